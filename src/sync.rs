//! The atomics and locks of the hand-over between threads: `std`'s, or loom's in a model run (`--cfg ferrows_loom`).

#[cfg(ferrows_loom)]
pub(crate) use loom::sync::{
    Mutex,
    atomic::{AtomicBool, Ordering},
};
#[cfg(not(ferrows_loom))]
pub(crate) use std::sync::{
    Mutex,
    atomic::{AtomicBool, Ordering},
};
