//! Every connection of the process: the I/O threads, their listeners, HTTP until the 101, topics.

mod closing;
mod commands;
pub mod connection;
mod deflate;
pub mod env;
pub mod http;
mod http_answer;
pub mod io_thread;
pub mod listener;
pub mod pool;
pub mod routes;
pub mod server;
pub mod socket;
mod timers;
pub mod topics;
pub mod wheel;
pub mod writer;

pub use env::{EnvPort, EnvWaker};
pub use pool::IoPool;
pub use server::{Bind, Bound, Server};
