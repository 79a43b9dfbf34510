//! The byte stream under a connection. The connection's task reads it; the JavaScript thread may put a large frame on the
//! wire itself.

use super::direct;
use super::tls::TlsStream;
use std::io::{self, IoSlice};
use std::task::{Context, Poll};
use tokio::io::ReadBuf;
use tokio::net::TcpStream;
#[cfg(unix)]
use tokio::net::UnixStream;

/// A stream that the reactor of an I/O thread knows.
#[derive(Debug)]
pub enum Transport {
    /// TCP.
    Tcp(TcpStream),
    /// A unix socket.
    #[cfg(unix)]
    Unix(UnixStream),
    /// TLS over one of the others.
    Tls(Box<TlsStream>),
}

/// An accepted stream, not yet known to any I/O thread's reactor.
#[derive(Debug)]
pub enum Accepted {
    /// TCP.
    Tcp(std::net::TcpStream),
    /// A unix socket.
    #[cfg(unix)]
    Unix(std::os::unix::net::UnixStream),
}

impl Accepted {
    /// Takes a stream from the reactor of the current thread, for another one.
    ///
    /// # Errors
    /// The reactor's, or that TLS has begun.
    pub fn take(stream: Transport) -> io::Result<Self> {
        match stream {
            Transport::Tcp(stream) => Ok(Self::Tcp(stream.into_std()?)),
            #[cfg(unix)]
            Transport::Unix(stream) => Ok(Self::Unix(stream.into_std()?)),
            Transport::Tls(_) => Err(io::Error::other(
                "TLS begins on the connection's own thread",
            )),
        }
    }

    /// Registers the stream with the reactor of the current thread.
    ///
    /// # Errors
    /// The reactor's, for example when the process is out of descriptors.
    pub fn register(self) -> io::Result<Transport> {
        Ok(match self {
            Self::Tcp(stream) => {
                stream.set_nonblocking(true)?;
                let stream = TcpStream::from_std(stream)?;
                // A frame is whole when it is written: waiting for more to send would only delay it.
                stream.set_nodelay(true)?;
                Transport::Tcp(stream)
            }
            #[cfg(unix)]
            Self::Unix(stream) => {
                stream.set_nonblocking(true)?;
                Transport::Unix(UnixStream::from_std(stream)?)
            }
        })
    }
}

impl Transport {
    /// Reads what is there; only for the connection's own task.
    ///
    /// # Errors
    /// The transport's.
    pub fn poll_read(&self, cx: &mut Context<'_>, buf: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        match self {
            Self::Tcp(stream) => direct::poll_read(stream, cx, buf),
            #[cfg(unix)]
            Self::Unix(stream) => direct::poll_read(stream, cx, buf),
            Self::Tls(stream) => stream.poll_read(cx, buf),
        }
    }

    /// Writes what the kernel takes at once; `WouldBlock` when it takes nothing. Callable from any thread, but for
    /// TLS.
    ///
    /// # Errors
    /// The transport's.
    pub fn try_write(&self, bytes: &[u8]) -> io::Result<usize> {
        match self {
            Self::Tcp(stream) => direct::try_write(stream, bytes),
            #[cfg(unix)]
            Self::Unix(stream) => direct::try_write(stream, bytes),
            Self::Tls(stream) => stream.try_write(&[IoSlice::new(bytes)]),
        }
    }

    /// The same with several pieces.
    ///
    /// # Errors
    /// The transport's.
    pub fn try_write_vectored(&self, pieces: &[IoSlice<'_>]) -> io::Result<usize> {
        match self {
            Self::Tcp(stream) => direct::try_write_vectored(stream, pieces),
            #[cfg(unix)]
            Self::Unix(stream) => direct::try_write_vectored(stream, pieces),
            Self::Tls(stream) => stream.try_write(pieces),
        }
    }

    /// Waits until a write can succeed; only for the connection's own task.
    ///
    /// # Errors
    /// The reactor's.
    pub fn poll_write_ready(&self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        match self {
            Self::Tcp(stream) => stream.poll_write_ready(cx),
            #[cfg(unix)]
            Self::Unix(stream) => stream.poll_write_ready(cx),
            Self::Tls(stream) => stream.poll_write_ready(cx),
        }
    }

    /// Ends the stream in this direction: with TLS by `close_notify`, then by FIN. False when the former found no room in
    /// the kernel and the caller is `patient`: to be tried again when a write can succeed. Failing otherwise means that
    /// the peer is gone already.
    #[must_use]
    pub fn shutdown_write(&self, patient: bool) -> bool {
        let how = std::net::Shutdown::Write;
        let _ = match self {
            Self::Tcp(stream) => socket2::SockRef::from(stream).shutdown(how),
            #[cfg(unix)]
            Self::Unix(stream) => socket2::SockRef::from(stream).shutdown(how),
            Self::Tls(stream) => return stream.shutdown_write(patient),
        };
        true
    }

    /// Whether written bytes have not left yet: a process that ends now could lose them, for a connection that is closed
    /// with something unread is reset, and what the kernel has not sent by then is dropped. Bytes sent and not yet
    /// acknowledged have left. On other systems than Linux only what waits here is known.
    ///
    /// To be asked at the end only: from then on the kernel takes little at a time.
    #[must_use]
    pub fn has_unsent(&self) -> bool {
        match self {
            Self::Tcp(stream) => direct::has_unsent(stream),
            // Written bytes are with the peer at once.
            #[cfg(unix)]
            Self::Unix(_) => false,
            Self::Tls(stream) => stream.has_unsent(),
        }
    }

    /// Whether bytes have moved although writes said `WouldBlock`; asking forgets it.
    #[must_use]
    pub fn take_progress(&self) -> bool {
        if let Self::Tls(stream) = self {
            return stream.take_progress();
        }
        false
    }

    /// Whether a thread other than the connection's own may write.
    #[must_use]
    pub fn is_shareable(&self) -> bool {
        !matches!(self, Self::Tls(_))
    }
}
