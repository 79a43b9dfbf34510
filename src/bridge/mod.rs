//! Node-API: the only layer that knows of JavaScript values.
//!
//! | module | what |
//! | --- | --- |
//! | `raw` | Node-API calls with Rust types; nothing of ferrows |
//! | `env` | the state of one env: its lists, its sockets and requests by number |
//! | `lifecycle` | attaching to an env, letting go of it |
//! | `wakeup` | waking its thread from I/O threads |
//! | `events` | what I/O threads have for JavaScript: the drain |
//! | `socket` | send, publish, subscribe, close: the hot functions |
//! | `server` | listening, limits, requests and responses |
//! | `error` | Rust errors as JavaScript errors |
//!
//! JavaScript's values are only touched on the env's own thread, within the call or scope they belong to. No borrow of
//! the env's state lives across a call into JavaScript, which may call any function here.

mod env;
mod error;
mod events;
mod lifecycle;
mod raw;
mod server;
mod small;
mod socket;
mod wakeup;
