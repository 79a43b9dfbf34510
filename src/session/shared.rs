//! What the JavaScript thread and the I/O thread of a connection both look at, without waiting for each other.

use super::transport::Transport;
use crate::wire::{DeflateContext, DeflateOptions};
use std::io::{self, IoSlice};
use std::net::IpAddr;
use std::sync::atomic::{AtomicBool, AtomicI64, AtomicU8, AtomicU32, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

/// The limits of one server, changeable at any time: they hold for open sockets too.
#[derive(Debug)]
pub struct ServerConfig {
    /// Largest message accepted, in bytes.
    pub max_payload_length: AtomicU64,
    /// Bytes that may wait for a slow reader; 0 for no limit.
    pub backpressure_limit: AtomicU64,
    /// Whether a socket over that limit is closed.
    pub close_on_backpressure_limit: AtomicBool,
    /// Seconds of silence after which a WebSocket ends; 0 for never.
    pub idle_timeout: AtomicU32,
    /// Whether pings are sent before that.
    pub send_pings: AtomicBool,
    /// Seconds of silence after which an HTTP connection ends; 0 for never.
    pub http_idle_timeout: AtomicU32,
    /// Largest request body, in bytes.
    pub max_request_body_size: AtomicU64,
    /// What is sent is compressed with this: 0 nothing, 1 a shared context, 9 to 15 a context of each connection's own
    /// with a window of so many bits.
    pub compress: AtomicU8,
    /// The same for what is received.
    pub decompress: AtomicU8,
    /// Which events the program has a handler for; others are not sent.
    pub wants_messages: AtomicBool,
    /// See `wants_messages`.
    pub wants_pings: AtomicBool,
    /// See `wants_messages`.
    pub wants_pongs: AtomicBool,
    /// See `wants_messages`.
    pub wants_drains: AtomicBool,
}

impl Default for ServerConfig {
    fn default() -> Self {
        Self {
            max_payload_length: AtomicU64::new(16 << 20),
            backpressure_limit: AtomicU64::new(16 << 20),
            close_on_backpressure_limit: AtomicBool::new(false),
            idle_timeout: AtomicU32::new(120),
            send_pings: AtomicBool::new(true),
            http_idle_timeout: AtomicU32::new(10),
            max_request_body_size: AtomicU64::new(128 << 20),
            compress: AtomicU8::new(0),
            decompress: AtomicU8::new(0),
            wants_messages: AtomicBool::new(true),
            wants_pings: AtomicBool::new(false),
            wants_pongs: AtomicBool::new(false),
            wants_drains: AtomicBool::new(false),
        }
    }
}

impl ServerConfig {
    /// How compression is negotiated.
    #[must_use]
    pub fn deflate(&self) -> DeflateOptions {
        let context = |code: &AtomicU8| match code.load(Ordering::Relaxed) {
            0 => DeflateContext::Disabled,
            1 => DeflateContext::Shared,
            bits => DeflateContext::Dedicated(bits.clamp(9, 15)),
        };
        DeflateOptions {
            compress: context(&self.compress),
            decompress: context(&self.decompress),
        }
    }
}

/// Who may write.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Turn {
    /// Nothing waits: either side.
    Free,
    /// The I/O thread has bytes that come first.
    Queue,
    /// The JavaScript thread has begun a frame, and its rest is on the way to the I/O thread: nobody until it is there.
    Rest,
}

/// Where a connection comes from: address and port. A `SocketAddr` would take twelve bytes more.
pub type Peer = (IpAddr, u16);

/// One connection, from both sides. There is one for each of perhaps a million connections: keep it small.
#[derive(Debug)]
pub struct SocketShared {
    /// The I/O thread that owns it.
    pub thread: u32,
    /// The peer; `None` on a unix socket.
    pub peer: Option<Peer>,
    /// The limits that hold for it.
    pub config: Arc<ServerConfig>,
    transport: Transport,
    /// Held for the length of one write.
    turn: Mutex<Turn>,
    /// The kernel has refused bytes of this connection and they wait.
    blocked: AtomicBool,
    /// Second of the I/O thread's clock in which the JavaScript thread last wrote.
    written_at: AtomicU32,
    /// Bytes of JavaScript's sends that need waiting for no longer, minus bytes that the I/O thread queued of its own
    /// (publishes, pongs). What JavaScript counted as sent minus this is what waits. Exact while `blocked`, else late.
    settled: AtomicI64,
}

impl SocketShared {
    /// A connection that has just been accepted.
    #[must_use]
    pub fn new(
        thread: u32,
        peer: Option<Peer>,
        config: Arc<ServerConfig>,
        transport: Transport,
    ) -> Self {
        Self {
            thread,
            peer,
            config,
            transport,
            turn: Mutex::new(Turn::Queue),
            blocked: AtomicBool::new(false),
            written_at: AtomicU32::new(0),
            settled: AtomicI64::new(0),
        }
    }

    /// The stream, for the I/O thread's own use.
    #[must_use]
    pub fn transport(&self) -> &Transport {
        &self.transport
    }

    /// Whether bytes wait for the peer.
    #[must_use]
    pub fn is_blocked(&self) -> bool {
        self.blocked.load(Ordering::Acquire)
    }

    /// Sets that; returns whether it changed.
    #[must_use]
    pub fn set_blocked(&self, blocked: bool) -> bool {
        self.blocked.load(Ordering::Relaxed) != blocked
            && self.blocked.swap(blocked, Ordering::AcqRel) != blocked
    }

    /// See the field.
    #[must_use]
    pub fn settled(&self) -> i64 {
        self.settled.load(Ordering::Acquire)
    }

    /// Only the I/O thread calls it.
    pub fn set_settled(&self, settled: i64) {
        self.settled.store(settled, Ordering::Release);
    }

    /// The right to write, for as long as the guard lives.
    pub fn writer(&self) -> MutexGuard<'_, Turn> {
        self.turn.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// See the field.
    #[must_use]
    pub fn written_at(&self) -> u32 {
        self.written_at.load(Ordering::Relaxed)
    }

    /// The JavaScript thread's own attempt at a frame: writes what the kernel takes, and claims the stream for the
    /// I/O thread if something is left. `None` when bytes wait already, and with TLS: encrypting is the I/O thread's.
    /// `now` is the second of that thread's clock.
    #[must_use]
    pub fn write_directly(
        &self,
        header: &[u8],
        payload: &[u8],
        now: u32,
    ) -> Option<io::Result<usize>> {
        if !self.transport.is_shareable() {
            return None;
        }
        let mut turn = self.writer();
        if *turn != Turn::Free {
            return None;
        }
        let total = header.len() + payload.len();
        let result = self
            .transport
            .try_write_vectored(&[IoSlice::new(header), IoSlice::new(payload)]);
        let written = match result {
            Ok(n) => n,
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => 0,
            // The peer is gone: the connection's task finds out by itself.
            Err(error) => return Some(Err(error)),
        };
        if written < total {
            *turn = Turn::Rest;
        }
        self.written_at.store(now, Ordering::Relaxed);
        Some(Ok(written))
    }
}

#[cfg(test)]
mod tests {
    use super::SocketShared;

    #[test]
    fn stays_small() {
        // 88 in a build without tests, whose tokio has one kind of runtime to tell apart and not two.
        assert!(
            size_of::<SocketShared>() <= 104,
            "{}",
            size_of::<SocketShared>()
        );
    }
}
