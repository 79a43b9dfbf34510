//! A connection as its I/O thread holds it: an HTTP connection until the 101, then a WebSocket.

use crate::hub::deflate::SocketDeflate;
use crate::hub::http::HttpPhase;
use crate::hub::server::Server;
use crate::session::transport::{Accepted, Transport};
use crate::session::{Outbox, Peer, SocketShared};
use crate::wire::{Decoder, Deflate, ProtocolError};
use std::sync::Arc;
use std::task::Waker;

/// An accepted connection on its way to its I/O thread.
#[derive(Debug)]
pub struct Incoming {
    /// Whose it is.
    pub server: Arc<Server>,
    /// The peer; `None` on a unix socket.
    pub peer: Option<Peer>,
    /// The stream.
    pub stream: Stream,
}

/// A stream, known to this thread's reactor or to none.
#[derive(Debug)]
pub enum Stream {
    /// Accepted here.
    Registered(Transport),
    /// Accepted by another thread.
    Foreign(Accepted),
}

/// One connection.
#[derive(Debug)]
pub struct Connection {
    /// Index of its env on this I/O thread.
    pub env: usize,
    /// Its server.
    pub server: Arc<Server>,
    /// What both threads look at.
    pub shared: Arc<SocketShared>,
    /// Wakes its task.
    pub waker: Option<Waker>,
    /// Second in which something last arrived or was sent.
    pub active: u32,
    /// Second of its valid entry in the wheel; 0 for none.
    pub entered: u32,
    /// Seconds of silence that override the server's HTTP timeout.
    pub timeout: Option<u32>,
    /// Whether it still holds the server open.
    pub counted: bool,
    /// JavaScript may still name the slot, for a request that has been aborted.
    pub named: bool,
    /// It waits, unread, until JavaScript has taken what waits for it.
    pub stalled: bool,
    /// What is to be written.
    pub out: Output,
    /// What it is.
    pub phase: Phase,
}

/// What a connection has to write.
#[derive(Debug)]
pub struct Output {
    /// What the kernel has not taken.
    pub outbox: Outbox,
    /// First and last node of what is to be written in this round; `NONE` when there is nothing.
    pub head: u32,
    /// See `head`.
    pub tail: u32,
    /// See [`SocketShared`]'s `settled`.
    pub settled: i64,
}

impl Default for Output {
    fn default() -> Self {
        Self {
            outbox: Outbox::default(),
            head: NONE,
            tail: NONE,
            settled: 0,
        }
    }
}

impl Output {
    /// Whether everything has met the kernel.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.head == NONE && self.outbox.is_empty()
    }

    /// Drops what is queued: it counts as no longer waiting.
    pub fn drop_outbox(&mut self) {
        self.settled += self.outbox.len() as i64;
        self.outbox.clear();
    }
}

/// What a connection is.
#[derive(Debug)]
pub enum Phase {
    /// HTTP, between requests or in one.
    Http(HttpPhase),
    /// A WebSocket.
    Socket(SocketPhase),
    /// The task has ended, and JavaScript has not released the slot yet.
    Dead,
}

/// A WebSocket.
#[derive(Debug)]
pub struct SocketPhase {
    /// Its identifier in events.
    pub id: u32,
    /// Frames out of bytes.
    pub decoder: Decoder,
    /// Compression, if it was agreed on.
    pub(crate) deflate: Option<SocketDeflate>,
    /// The value of `settled` that was last made visible.
    pub published: i64,
    /// Where it is in its life.
    pub state: SocketState,
    /// JavaScript has asked not to read.
    pub paused: bool,
    /// Pings that JavaScript has still to answer, because they came behind messages.
    pub owed: u32,
    /// A ping is unanswered.
    pub pinged: bool,
    /// JavaScript will not name the slot again.
    pub released: bool,
}

/// Where a WebSocket is in its life.
///
/// ```text
///          peer's end, error, timeout            Release
///   Open ───────────────────────────────▶ Ended ─────────▶ Closing ──▶ (gone)
///     │                                     │                 ▲
///     └───────── Close, Terminate ──────────┴─────────────────┘
/// ```
#[derive(Debug)]
pub enum SocketState {
    /// Frames go both ways.
    Open,
    /// The peer ended it, or broke a rule. What JavaScript has sent before it learns so is still written; then the
    /// farewell.
    Ended(Farewell),
    /// The last bytes are on their way; then FIN, and the peer's FIN is waited for. Nothing is received any more.
    Closing {
        /// FIN has been sent.
        fin: bool,
        /// What the kernel does not take at once is dropped.
        abrupt: bool,
    },
    /// The task may end.
    Finished,
}

/// The last frame of a connection that ended from outside.
#[derive(Debug)]
pub enum Farewell {
    /// None: it timed out.
    Nothing,
    /// None, and nobody is there for it: the peer's side of the stream has ended.
    Late,
    /// The peer's close frame, sent back.
    Echo(Box<[u8]>),
    /// The peer broke a rule.
    Error(ProtocolError),
}

/// The connection in a slot. Not a method of the thread's state: its other parts stay free to be borrowed.
#[inline]
pub(crate) fn at(slots: &mut [Option<Box<Connection>>], slot: u32) -> Option<&mut Connection> {
    slots.get_mut(slot as usize)?.as_deref_mut()
}

/// No node.
pub const NONE: u32 = u32::MAX;

impl SocketPhase {
    /// A socket, open.
    #[must_use]
    pub fn new(id: u32, deflate: Option<Deflate>) -> Self {
        Self {
            id,
            decoder: Decoder::new(deflate.is_some()),
            deflate: deflate.map(SocketDeflate::new),
            published: 0,
            state: SocketState::Open,
            paused: false,
            owed: 0,
            pinged: false,
            released: false,
        }
    }

    /// Whether frames may still be queued.
    #[must_use]
    pub fn accepts(&self) -> bool {
        matches!(self.state, SocketState::Open | SocketState::Ended(_))
    }
}

impl Incoming {
    /// The stream taken from this thread's reactor; `None` if it broke meanwhile.
    #[must_use]
    pub(crate) fn into_foreign(self) -> Option<Self> {
        let stream = match self.stream {
            Stream::Foreign(accepted) => Stream::Foreign(accepted),
            Stream::Registered(stream) => Stream::Foreign(Accepted::take(stream).ok()?),
        };
        Some(Self { stream, ..self })
    }
}

impl Connection {
    /// Makes its task run.
    pub fn wake(&self) {
        if let Some(waker) = &self.waker {
            waker.wake_by_ref();
        }
    }

    /// Whether bytes for the peer wait, here or in the kernel. See [`Transport::has_unsent`](crate::session::Transport).
    #[must_use]
    pub fn has_unsent(&self) -> bool {
        !self.out.is_empty() || self.shared.transport().has_unsent()
    }
}
