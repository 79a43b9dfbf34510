//! The atomics and locks of the hand-over between threads. `tests/model` puts loom's in their place.

pub(crate) use std::sync::{
    Mutex,
    atomic::{AtomicBool, AtomicU64, Ordering},
};
