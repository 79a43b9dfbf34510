//! The byte stream under a connection. The read half belongs to the connection's task; the write half is shared, so that
//! the JavaScript thread can put a large frame on the wire itself.

use super::direct;
use super::tls::{TlsRead, TlsStream};
use std::io::{self, IoSlice};
use std::sync::Arc;
use std::task::{Context, Poll};
use tokio::io::ReadBuf;
use tokio::net::{TcpStream, tcp};
#[cfg(unix)]
use tokio::net::{UnixStream, unix};

/// The write half.
#[derive(Debug)]
pub enum Transport {
    /// TCP.
    Tcp(tcp::OwnedWriteHalf),
    /// A unix socket.
    #[cfg(unix)]
    Unix(unix::OwnedWriteHalf),
    /// TLS over one of the others.
    Tls(Arc<TlsStream>),
}

/// The read half.
#[derive(Debug)]
pub enum ReadHalf {
    /// TCP.
    Tcp(tcp::OwnedReadHalf),
    /// A unix socket.
    #[cfg(unix)]
    Unix(unix::OwnedReadHalf),
    /// TLS over one of the others.
    Tls(Box<TlsRead>),
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
    /// The reactor's, or that the halves are not of one stream.
    pub fn reunite(read: ReadHalf, write: Transport) -> io::Result<Self> {
        match (read, write) {
            (ReadHalf::Tcp(read), Transport::Tcp(write)) => {
                let stream = read.reunite(write).map_err(io::Error::other)?;
                Ok(Self::Tcp(stream.into_std()?))
            }
            #[cfg(unix)]
            (ReadHalf::Unix(read), Transport::Unix(write)) => {
                let stream = read.reunite(write).map_err(io::Error::other)?;
                Ok(Self::Unix(stream.into_std()?))
            }
            // TLS begins on the connection's own thread.
            _ => Err(io::Error::other("halves of two streams")),
        }
    }

    /// Registers the stream with the reactor of the current thread.
    ///
    /// # Errors
    /// The reactor's, for example when the process is out of descriptors.
    pub fn register(self) -> io::Result<(ReadHalf, Transport)> {
        Ok(match self {
            Self::Tcp(stream) => {
                stream.set_nonblocking(true)?;
                let stream = TcpStream::from_std(stream)?;
                // A frame is whole when it is written: waiting for more to send would only delay it.
                stream.set_nodelay(true)?;
                let (read, write) = stream.into_split();
                (ReadHalf::Tcp(read), Transport::Tcp(write))
            }
            #[cfg(unix)]
            Self::Unix(stream) => {
                stream.set_nonblocking(true)?;
                let (read, write) = UnixStream::from_std(stream)?.into_split();
                (ReadHalf::Unix(read), Transport::Unix(write))
            }
        })
    }
}

impl ReadHalf {
    /// Reads what is there.
    ///
    /// # Errors
    /// The transport's.
    pub fn poll_read(
        &mut self,
        cx: &mut Context<'_>,
        buf: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        match self {
            Self::Tcp(read) => direct::poll_read::<TcpStream>(read, cx, buf),
            #[cfg(unix)]
            Self::Unix(read) => direct::poll_read::<UnixStream>(read, cx, buf),
            Self::Tls(read) => read.poll_read(cx, buf),
        }
    }
}

impl Transport {
    /// Writes what the kernel takes at once; `WouldBlock` when it takes nothing. Callable from any thread, but for
    /// TLS.
    ///
    /// # Errors
    /// The transport's.
    pub fn try_write(&self, bytes: &[u8]) -> io::Result<usize> {
        match self {
            Self::Tcp(write) => direct::try_write(write.as_ref(), bytes),
            #[cfg(unix)]
            Self::Unix(write) => direct::try_write(write.as_ref(), bytes),
            Self::Tls(write) => write.try_write(&[IoSlice::new(bytes)]),
        }
    }

    /// The same with several pieces.
    ///
    /// # Errors
    /// The transport's.
    pub fn try_write_vectored(&self, pieces: &[IoSlice<'_>]) -> io::Result<usize> {
        match self {
            Self::Tcp(write) => direct::try_write_vectored(write.as_ref(), pieces),
            #[cfg(unix)]
            Self::Unix(write) => direct::try_write_vectored(write.as_ref(), pieces),
            Self::Tls(write) => write.try_write(pieces),
        }
    }

    /// Waits until a write can succeed; only for the connection's own task.
    ///
    /// # Errors
    /// The reactor's.
    pub fn poll_write_ready(&self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        match self {
            Self::Tcp(write) => write.as_ref().poll_write_ready(cx),
            #[cfg(unix)]
            Self::Unix(write) => write.as_ref().poll_write_ready(cx),
            Self::Tls(write) => write.poll_write_ready(cx),
        }
    }

    /// Ends the stream in this direction: with TLS by `close_notify`, then by FIN. False when the former found no room in
    /// the kernel and the caller is `patient`: to be tried again when a write can succeed. Failing otherwise means that
    /// the peer is gone already.
    #[must_use]
    pub fn shutdown_write(&self, patient: bool) -> bool {
        let how = std::net::Shutdown::Write;
        let _ = match self {
            Self::Tcp(write) => socket2::SockRef::from(write.as_ref()).shutdown(how),
            #[cfg(unix)]
            Self::Unix(write) => socket2::SockRef::from(write.as_ref()).shutdown(how),
            Self::Tls(write) => return write.shutdown_write(patient),
        };
        true
    }

    /// Whether bytes have moved although writes said `WouldBlock`; asking forgets it.
    #[must_use]
    pub fn take_progress(&self) -> bool {
        if let Self::Tls(write) = self {
            return write.take_progress();
        }
        false
    }

    /// Whether a thread other than the connection's own may write.
    #[must_use]
    pub fn is_shareable(&self) -> bool {
        !matches!(self, Self::Tls(_))
    }
}
