//! The stream under an HTTP connection, as hyper sees it.

use crate::hub::connection::Phase;
use crate::hub::http::HEAD_LIMIT;
use crate::hub::io_thread::{self, IoThread};
use crate::session::{ReadHalf, SocketShared};
use std::io;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, ready};
use tokio::io::ReadBuf;

/// The version hyper writes to a client of HTTP/1.0, and the one a server of HTTP/1.1 has (RFC 9110, 6.2).
const OLD_VERSION: &[u8] = b"HTTP/1.0";
const VERSION: &[u8] = b"HTTP/1.1";

/// The stream, as hyper sees it.
pub(super) struct Stream {
    pub(super) slot: u32,
    pub(super) read: ReadHalf,
    pub(super) shared: Arc<SocketShared>,
    /// A head of ours instead of hyper's, until the kernel has taken it.
    pub(super) pending: Vec<u8>,
}

impl hyper::rt::Read for Stream {
    fn poll_read(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        mut buf: hyper::rt::ReadBufCursor<'_>,
    ) -> Poll<io::Result<()>> {
        let this = self.get_mut();
        io_thread::with(|io| {
            let want = buf.remaining().min(io.scratch.len());
            let mut read = ReadBuf::new(&mut io.scratch[..want]);
            ready!(this.read.poll_read(cx, &mut read))?;
            let read = read.filled().len();
            buf.put_slice(&io.scratch[..read]);
            let now = io.wheel.now();
            let connection = io.slots.get_mut(this.slot as usize);
            if let Some(connection) = connection.and_then(Option::as_deref_mut) {
                connection.active = now;
                if let Phase::Http(http) = &mut connection.phase
                    && http.exchange.is_none()
                    && http.head.len() <= HEAD_LIMIT
                {
                    http.head.extend_from_slice(&io.scratch[..read]);
                }
            }
            Poll::Ready(Ok(()))
        })
        .unwrap_or_else(|| Poll::Ready(Err(io::ErrorKind::BrokenPipe.into())))
    }
}

impl hyper::rt::Write for Stream {
    fn poll_write(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        let this = self.get_mut();
        ready!(this.poll_pending(cx))?;
        if let Some(rewritten) = this.rewrite(bytes) {
            this.pending = rewritten;
            if let Poll::Ready(result) = this.poll_pending(cx) {
                result?;
            }
            return Poll::Ready(Ok(bytes.len()));
        }
        this.poll_transport(cx, bytes)
    }

    fn poll_flush(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        self.get_mut().poll_pending(cx)
    }

    fn poll_shutdown(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        let this = self.get_mut();
        ready!(this.poll_pending(cx))?;
        let transport = this.shared.transport();
        while !transport.shutdown_write(true) {
            ready!(transport.poll_write_ready(cx))?;
        }
        Poll::Ready(Ok(()))
    }
}

impl Stream {
    fn poll_pending(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        while !self.pending.is_empty() {
            let pending = std::mem::take(&mut self.pending);
            let written = self.poll_transport(cx, &pending);
            self.pending = pending;
            let written = ready!(written)?;
            self.pending.drain(..written);
        }
        Poll::Ready(Ok(()))
    }

    fn poll_transport(&self, cx: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        let transport = self.shared.transport();
        let result = loop {
            match transport.try_write(bytes) {
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => {
                    match transport.poll_write_ready(cx) {
                        Poll::Pending => break Poll::Pending,
                        Poll::Ready(Err(error)) => break Poll::Ready(Err(error)),
                        Poll::Ready(Ok(())) => {}
                    }
                }
                other => break Poll::Ready(other),
            }
        };
        io_thread::with(|io| {
            let now = io.wheel.now();
            if let Some(connection) = io.connection(self.slot) {
                connection.unflushed = result.is_pending();
                if result.is_ready() || transport.take_progress() {
                    connection.active = now;
                }
            }
        });
        result
    }

    /// The last head of a connection as Bun writes it: in our version, where hyper echoes the client's, and without
    /// the `Connection: close` that hyper adds. `None` for all other bytes.
    fn rewrite(&self, bytes: &[u8]) -> Option<Vec<u8>> {
        const CLOSE: &[u8] = b"\r\nConnection: close\r\n";
        let slot = self.slot;
        let due = |io: &mut IoThread| {
            let http = io.http(slot)?;
            Some(std::mem::take(&mut http.head_due) && http.close_after)
        };
        if !io_thread::with(due).flatten()? {
            return None;
        }
        let rest = bytes
            .strip_prefix(OLD_VERSION)
            .or(bytes.strip_prefix(VERSION))?;
        let mut out = VERSION.to_vec();
        let head = memchr::memmem::find(rest, b"\r\n\r\n")? + 2;
        match memchr::memmem::find(&rest[..head], CLOSE) {
            Some(at) => {
                out.extend_from_slice(&rest[..at + 2]);
                out.extend_from_slice(&rest[at + CLOSE.len()..]);
            }
            None => out.extend_from_slice(rest),
        }
        Some(out)
    }
}
