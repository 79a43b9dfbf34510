//! The system calls of the hot paths, on streams that the reactor knows.
//!
//! On Linux they are made in place (rustix) and not by libc, so that nothing returns to its caller between the call and
//! [`refill`]; elsewhere by tokio.

#[cfg(target_os = "linux")]
pub(super) use linux::{poll_read, try_write, try_write_vectored};
#[cfg(not(target_os = "linux"))]
pub(super) use portable::{poll_read, try_write, try_write_vectored};

#[cfg(target_os = "linux")]
mod linux {
    use crate::session::returns::refill;
    use rustix::net::{RecvFlags, SendAncillaryBuffer, SendFlags, recv, send, sendmsg};
    use std::io::{self, IoSlice};
    use std::os::fd::AsFd;
    use std::task::{Context, Poll, ready};
    use tokio::io::{Interest, ReadBuf};
    use tokio::net::{TcpStream, UnixStream};

    /// What the two kinds of stream have in common.
    pub(crate) trait Stream: AsFd {
        fn poll_readable(&self, cx: &mut Context<'_>) -> Poll<io::Result<()>>;

        fn attempt<R>(
            &self,
            interest: Interest,
            call: impl FnOnce() -> io::Result<R>,
        ) -> io::Result<R>;
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
    stream!(UnixStream);

    /// See [`Transport::try_write`](crate::session::Transport::try_write).
    #[inline]
    pub(crate) fn try_write(stream: &impl Stream, bytes: &[u8]) -> io::Result<usize> {
        stream.attempt(Interest::WRITABLE, || {
            let sent = send(stream, bytes, SendFlags::NOSIGNAL);
            refill();
            Ok(sent?)
        })
    }

    /// See [`Transport::try_write_vectored`](crate::session::Transport::try_write_vectored).
    #[inline]
    pub(crate) fn try_write_vectored(
        stream: &impl Stream,
        pieces: &[IoSlice<'_>],
    ) -> io::Result<usize> {
        stream.attempt(Interest::WRITABLE, || {
            let mut nothing = SendAncillaryBuffer::default();
            let sent = sendmsg(stream, pieces, &mut nothing, SendFlags::NOSIGNAL);
            refill();
            Ok(sent?)
        })
    }

    /// See [`ReadHalf::poll_read`](crate::session::ReadHalf::poll_read).
    #[inline]
    pub(crate) fn poll_read<S: Stream>(
        read: &impl AsRef<S>,
        cx: &mut Context<'_>,
        buf: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let stream = read.as_ref();
        loop {
            ready!(stream.poll_readable(cx))?;
            let space = buf.initialize_unfilled();
            let room = space.len();
            let mut received = None;
            let result = stream.attempt(Interest::READABLE, || {
                let answer = recv(stream, space, RecvFlags::empty());
                refill();
                let (_, n) = answer?;
                received = Some(n);
                // Less than there was room for is all there is: the reactor is told what the next call would find, and
                // says so when more has come.
                if n > 0 && n < room {
                    return Err(io::ErrorKind::WouldBlock.into());
                }
                Ok(())
            });
            if let Some(n) = received {
                buf.advance(n);
                return Poll::Ready(Ok(()));
            }
            match result {
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => {}
                other => return Poll::Ready(other),
            }
        }
    }
}

#[cfg(not(target_os = "linux"))]
mod portable {
    use std::io::{self, IoSlice};
    use std::pin::Pin;
    use std::task::{Context, Poll};
    use tokio::io::{AsyncRead, ReadBuf};
    use tokio::net::TcpStream;
    #[cfg(unix)]
    use tokio::net::UnixStream;

    /// What the two kinds of stream have in common.
    pub(crate) trait Stream {
        fn write(&self, bytes: &[u8]) -> io::Result<usize>;

        fn write_vectored(&self, pieces: &[IoSlice<'_>]) -> io::Result<usize>;
    }

    macro_rules! stream {
        ($stream:ty) => {
            impl Stream for $stream {
                fn write(&self, bytes: &[u8]) -> io::Result<usize> {
                    self.try_write(bytes)
                }

                fn write_vectored(&self, pieces: &[IoSlice<'_>]) -> io::Result<usize> {
                    self.try_write_vectored(pieces)
                }
            }
        };
    }
    stream!(TcpStream);
    #[cfg(unix)]
    stream!(UnixStream);

    /// See [`Transport::try_write`](crate::session::Transport::try_write).
    pub(crate) fn try_write(stream: &impl Stream, bytes: &[u8]) -> io::Result<usize> {
        stream.write(bytes)
    }

    /// See [`Transport::try_write_vectored`](crate::session::Transport::try_write_vectored).
    pub(crate) fn try_write_vectored(
        stream: &impl Stream,
        pieces: &[IoSlice<'_>],
    ) -> io::Result<usize> {
        stream.write_vectored(pieces)
    }

    /// See [`ReadHalf::poll_read`](crate::session::ReadHalf::poll_read).
    pub(crate) fn poll_read<S: Stream>(
        read: &mut (impl AsRef<S> + AsyncRead + Unpin),
        cx: &mut Context<'_>,
        buf: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        Pin::new(read).poll_read(cx, buf)
    }
}
