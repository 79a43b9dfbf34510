//! One connection: what it owes its peer, when it must hear from it, and the lists that join it to a JavaScript thread.

pub mod command;
mod direct;
pub mod event;
pub mod keepalive;
pub mod mailbox;
pub mod outbox;
pub mod publication;
#[cfg(target_os = "linux")]
mod returns;
pub mod shared;
pub mod tls;
pub mod tls_config;
pub mod transport;

pub use command::{Command, CommandBatch, Request};
pub use event::{Event, EventBatch, MessageKind};
pub use keepalive::Keepalive;
pub use mailbox::{Batch, Mailbox};
pub use outbox::Outbox;
pub use publication::Publication;
pub use shared::{Peer, ServerConfig, SocketShared, Turn};
pub use tls_config::{TlsConfig, TlsError, TlsMaterial};
pub use transport::Transport;
