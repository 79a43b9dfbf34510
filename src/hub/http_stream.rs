//! The stream under an HTTP connection, as hyper sees it.

use crate::hub::connection::Phase;
use crate::hub::http::{HEAD_LIMIT, Next};
use crate::hub::http_guard::Guard;
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
    slot: u32,
    read: ReadHalf,
    shared: Arc<SocketShared>,
    /// A head of ours instead of hyper's, until the kernel has taken it.
    pending: Vec<u8>,
    guard: Guard,
    /// What the guard has passed and hyper has not taken.
    passed: Vec<u8>,
    /// What came behind the request that is being answered.
    behind: Vec<u8>,
    /// The client has been refused: nothing more of it is read.
    refused: bool,
}

/// What hyper sees in place of a request that is refused.
const STAND_IN: &[u8] = b"GET / HTTP/1.1\r\n\r\n";

impl hyper::rt::Read for Stream {
    fn poll_read(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        mut buf: hyper::rt::ReadBufCursor<'_>,
    ) -> Poll<io::Result<()>> {
        let this = self.get_mut();
        io_thread::with(|io| this.poll_guarded(cx, &mut buf, io))
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
    pub(super) fn new(slot: u32, read: ReadHalf, shared: Arc<SocketShared>) -> Self {
        Self {
            slot,
            read,
            shared,
            pending: Vec::new(),
            guard: Guard::default(),
            passed: Vec::new(),
            behind: Vec::new(),
            refused: false,
        }
    }

    /// The stream, and what has been read and not been used. `unparsed` is what hyper holds.
    pub(super) fn into_parts(self, unparsed: &[u8]) -> (ReadHalf, Vec<u8>) {
        let early = [unparsed, &self.passed, &self.behind].concat();
        (self.read, early)
    }

    /// Gives hyper what the guard lets pass.
    fn poll_guarded(
        &mut self,
        cx: &mut Context<'_>,
        buf: &mut hyper::rt::ReadBufCursor<'_>,
        io: &mut IoThread,
    ) -> Poll<io::Result<()>> {
        loop {
            if !self.passed.is_empty() {
                let len = self.passed.len().min(buf.remaining());
                buf.put_slice(&self.passed[..len]);
                self.passed.drain(..len);
                if self.passed.is_empty() {
                    // An idle connection owns no buffer.
                    self.passed = Vec::new();
                }
                return Poll::Ready(Ok(()));
            }
            let Some(http) = io.http(self.slot) else {
                return Poll::Pending;
            };
            if self.refused {
                return Poll::Pending;
            }
            if self.guard.is_complete() {
                if http.next.is_some() {
                    // hyper has the head and wants more: it has read it in another way than the guard.
                    return Poll::Ready(Err(io::ErrorKind::InvalidData.into()));
                }
                if http.busy {
                    return self.poll_behind(cx, io);
                }
                http.behind = false;
                self.guard.begin();
                if !self.behind.is_empty() {
                    let behind = std::mem::take(&mut self.behind);
                    self.take(&behind, io);
                    continue;
                }
            }
            let is_in_body = self.guard.is_in_body();
            // A body goes from here into hyper's buffer.
            let want = if is_in_body {
                buf.remaining().min(io.scratch.len())
            } else {
                HEAD_LIMIT
            };
            let mut scratch = std::mem::take(&mut io.scratch);
            let mut read = ReadBuf::new(&mut scratch[..want]);
            let polled = self.read.poll_read(cx, &mut read);
            let read = read.filled().len();
            let result = match polled {
                Poll::Ready(Ok(())) if read > 0 && is_in_body => {
                    Some(self.take_body(&scratch[..read], buf, io))
                }
                Poll::Ready(Ok(())) if read > 0 => {
                    self.take(&scratch[..read], io);
                    None
                }
                other => Some(other),
            };
            io.scratch = scratch;
            if let Some(result) = result {
                return result;
            }
        }
    }

    /// While a request is being answered: what the client sends is kept up to a bound, at which it is not read any
    /// more. Only its end is hyper's to know.
    fn poll_behind(&mut self, cx: &mut Context<'_>, io: &mut IoThread) -> Poll<io::Result<()>> {
        loop {
            let room = HEAD_LIMIT.saturating_sub(self.behind.len());
            if room == 0 {
                return Poll::Pending;
            }
            let mut read = ReadBuf::new(&mut io.scratch[..room]);
            ready!(self.read.poll_read(cx, &mut read))?;
            if read.filled().is_empty() {
                return Poll::Ready(Ok(()));
            }
            self.behind.extend_from_slice(read.filled());
            if let Some(http) = io.http(self.slot) {
                http.behind = true;
            }
        }
    }

    /// Bytes of a body: what is behind it waits.
    fn take_body(
        &mut self,
        bytes: &[u8],
        buf: &mut hyper::rt::ReadBufCursor<'_>,
        io: &mut IoThread,
    ) -> Poll<io::Result<()>> {
        let now = io.wheel.now();
        match self.guard.advance(bytes) {
            Ok(passed) => {
                let (body, behind) = bytes.split_at(passed.used);
                buf.put_slice(body);
                self.behind.extend_from_slice(behind);
                if let Some(connection) = io.connection(self.slot) {
                    connection.active = now;
                    if let Phase::Http(http) = &mut connection.phase {
                        http.behind = !behind.is_empty();
                    }
                }
                Poll::Ready(Ok(()))
            }
            Err(status) => {
                self.refused = true;
                io.refuse_rest(self.slot, status);
                Poll::Pending
            }
        }
    }

    /// Bytes where a head is due.
    fn take(&mut self, bytes: &[u8], io: &mut IoThread) {
        let now = io.wheel.now();
        let was_in_head = self.guard.is_in_head();
        let advanced = self.guard.advance(bytes);
        let Some(connection) = io.connection(self.slot) else {
            return;
        };
        let Phase::Http(http) = &mut connection.phase else {
            return;
        };
        match advanced {
            Ok(passed) if passed.head => {
                let mut head = self.guard.take_head();
                http.next = Some(Next::Request {
                    target: head.target().into(),
                    is_connect: head.is_connect(),
                    fields: head.take_fields(),
                });
                http.head_since = 0;
                // Only a whole head is a sign of life: one that comes byte by byte runs into the timeout.
                connection.active = now;
                let (rest, behind) = bytes.split_at(passed.used);
                let body = rest.len() - passed.head_used;
                self.passed = head.to_passed();
                http.behind = !behind.is_empty();
                self.passed.extend_from_slice(&rest[rest.len() - body..]);
                self.behind.extend_from_slice(behind);
            }
            Ok(_) => {
                if !was_in_head {
                    http.head_since = now.max(1);
                    io.schedule(self.slot);
                }
            }
            Err(status) => {
                http.next = Some(Next::Refused(status));
                http.refused = true;
                self.refused = true;
                self.passed = STAND_IN.to_vec();
            }
        }
    }

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
