//! The native core of `ferrows`: a WebSocket and HTTP server whose sockets live on I/O threads of their own, so that the
//! thread that runs JavaScript runs nothing but JavaScript.
//!
//! | layer | what it knows |
//! | --- | --- |
//! | [`wire`] | bytes and RFC 6455 values; no sockets, tasks or clock |
//! | [`session`] | one connection: its queues, deadlines and the two lists it shares with a JavaScript thread |
//! | [`hub`] | every connection: I/O threads, listeners, HTTP until the 101, topics |
//! | `bridge` | Node-API; the only layer that knows of JavaScript values |
//!
//! Each layer is used by those below it in the table, and none imports upwards: without the feature `node-api` the
//! crate builds, and its tests run, without `bridge`.

pub mod hub;
pub mod session;
mod sync;
pub mod wire;

#[cfg(feature = "node-api")]
#[cfg_attr(
    test,
    allow(
        dead_code,
        reason = "napi-derive registers nothing in a test executable"
    )
)]
mod bridge;
