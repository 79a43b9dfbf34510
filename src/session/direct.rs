//! The system calls of the hot paths, on streams that the reactor knows.

use std::io::{self, IoSlice};
use std::task::{Context, Poll, ready};
use tokio::io::{Interest, ReadBuf};
use tokio::net::TcpStream;
#[cfg(unix)]
use tokio::net::UnixStream;

#[cfg(target_os = "linux")]
pub(super) use linux::has_unsent;
#[cfg(target_os = "linux")]
use linux::{Socket, recv, send, send_vectored};
#[cfg(not(target_os = "linux"))]
pub(super) use portable::has_unsent;
#[cfg(not(target_os = "linux"))]
use portable::{Socket, recv, send, send_vectored};

/// What the two kinds of stream have in common.
pub(super) trait Stream: Socket {
    fn poll_readable(&self, cx: &mut Context<'_>) -> Poll<io::Result<()>>;

    fn attempt<R>(&self, interest: Interest, call: impl FnOnce() -> io::Result<R>)
    -> io::Result<R>;
}

macro_rules! stream {
    ($stream:ty) => {
        impl Stream for $stream {
            #[inline]
            fn poll_readable(&self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
                self.poll_read_ready(cx)
            }

            #[inline]
            fn attempt<R>(
                &self,
                interest: Interest,
                call: impl FnOnce() -> io::Result<R>,
            ) -> io::Result<R> {
                self.try_io(interest, call)
            }
        }
    };
}
stream!(TcpStream);
#[cfg(unix)]
stream!(UnixStream);

/// See [`Transport::try_write`](crate::session::Transport::try_write).
#[inline]
pub(super) fn try_write(stream: &impl Stream, bytes: &[u8]) -> io::Result<usize> {
    stream.attempt(Interest::WRITABLE, || send(stream, bytes))
}

/// See [`Transport::try_write_vectored`](crate::session::Transport::try_write_vectored).
#[inline]
pub(super) fn try_write_vectored(
    stream: &impl Stream,
    pieces: &[IoSlice<'_>],
) -> io::Result<usize> {
    stream.attempt(Interest::WRITABLE, || send_vectored(stream, pieces))
}

/// See [`Transport::poll_read`](crate::session::Transport::poll_read).
#[inline]
pub(super) fn poll_read(
    stream: &impl Stream,
    cx: &mut Context<'_>,
    buf: &mut ReadBuf<'_>,
) -> Poll<io::Result<()>> {
    loop {
        ready!(stream.poll_readable(cx))?;
        let room = buf.remaining();
        let mut received = None;
        let result = stream.attempt(Interest::READABLE, || {
            let n = recv(stream, buf)?;
            received = Some(n);
            // Less than there was room for is all there is: the reactor is told what the next call would find, and
            // says so when more has come.
            if n > 0 && n < room {
                return Err(io::ErrorKind::WouldBlock.into());
            }
            Ok(())
        });
        if received.is_some() {
            return Poll::Ready(Ok(()));
        }
        match result {
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => {}
            other => return Poll::Ready(other),
        }
    }
}

/// The calls are made in place and not by libc, so that nothing returns to its caller between a call
/// and [`refill`](crate::session::returns::refill).
#[cfg(target_os = "linux")]
mod linux {
    use crate::session::returns::refill;
    use rustix::event::{PollFd, PollFlags, Timespec, poll};
    use rustix::net::{self, RecvFlags, SendAncillaryBuffer, SendFlags};
    use socket2::SockRef;
    use std::io::{self, IoSlice};
    pub(super) use std::os::fd::AsFd as Socket;
    use tokio::io::ReadBuf;

    #[inline]
    pub(super) fn send(socket: &impl Socket, bytes: &[u8]) -> io::Result<usize> {
        let sent = net::send(socket, bytes, SendFlags::NOSIGNAL);
        refill();
        Ok(sent?)
    }

    #[inline]
    pub(super) fn send_vectored(socket: &impl Socket, pieces: &[IoSlice<'_>]) -> io::Result<usize> {
        let mut nothing = SendAncillaryBuffer::default();
        let sent = net::sendmsg(socket, pieces, &mut nothing, SendFlags::NOSIGNAL);
        refill();
        Ok(sent?)
    }

    #[inline]
    pub(super) fn recv(socket: &impl Socket, buf: &mut ReadBuf<'_>) -> io::Result<usize> {
        let received = net::recv(socket, buf.initialize_unfilled(), RecvFlags::empty());
        refill();
        let (_, n) = received?;
        buf.advance(n);
        Ok(n)
    }

    /// See [`Transport::has_unsent`](crate::session::Transport::has_unsent). With this mark the kernel calls a TCP
    /// socket writable when it has sent everything; when the connection has failed it does so too.
    pub(in crate::session) fn has_unsent(socket: &impl Socket) -> bool {
        let mut sockets = [PollFd::new(socket, PollFlags::OUT)];
        SockRef::from(socket).set_tcp_notsent_lowat(1).is_ok()
            && poll(&mut sockets, Some(&Timespec::default())) == Ok(0)
    }
}

#[cfg(not(target_os = "linux"))]
mod portable {
    use socket2::SockRef;
    use std::io::{self, IoSlice, Read};
    #[cfg(unix)]
    pub(super) use std::os::fd::AsFd as Socket;
    #[cfg(windows)]
    pub(super) use std::os::windows::io::AsSocket as Socket;
    use tokio::io::ReadBuf;

    pub(super) fn send(socket: &impl Socket, bytes: &[u8]) -> io::Result<usize> {
        SockRef::from(socket).send(bytes)
    }

    pub(super) fn send_vectored(socket: &impl Socket, pieces: &[IoSlice<'_>]) -> io::Result<usize> {
        SockRef::from(socket).send_vectored(pieces)
    }

    pub(super) fn recv(socket: &impl Socket, buf: &mut ReadBuf<'_>) -> io::Result<usize> {
        let n = (&*SockRef::from(socket)).read(buf.initialize_unfilled())?;
        buf.advance(n);
        Ok(n)
    }

    /// Other systems don't say.
    pub(in crate::session) fn has_unsent(_socket: &impl Socket) -> bool {
        false
    }
}
