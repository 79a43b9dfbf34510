//! Accepting: one task a listening socket, on one I/O thread, that places each connection on the thread with the fewest.

use crate::hub::connection::{Incoming, Phase, Stream};
use crate::hub::io_thread::{self, IoThread};
use crate::hub::pool::IoPool;
use crate::hub::server::{ListenerStart, Listening, Server};
use crate::session::Transport;
use std::io;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::task::{Context, Poll};
use std::time::Duration;
use tokio::net::TcpListener;
#[cfg(unix)]
use tokio::net::UnixListener;

/// Pause after an accept that failed for want of descriptors or memory: trying again at once would only burn the core.
const BACK_OFF: Duration = Duration::from_millis(50);
/// Connections accepted in one turn before others get theirs.
const BURST: usize = 64;

/// A listening socket of this thread. Dropping it closes it.
#[derive(Debug)]
pub(crate) struct Listener {
    pub(crate) server: Arc<Server>,
    socket: Socket,
    /// Which listener of the thread it is, since their order changes.
    number: u32,
}

#[derive(Debug)]
enum Socket {
    Tcp(TcpListener),
    #[cfg(unix)]
    Unix(UnixListener),
}

impl Listener {
    /// Takes a bound socket on and starts accepting.
    pub(crate) fn start(io: &mut IoThread, start: ListenerStart) {
        let ListenerStart { server, listening } = start;
        let socket = match listening {
            Listening::Tcp(listener) => TcpListener::from_std(listener).map(Socket::Tcp),
            #[cfg(unix)]
            Listening::Unix(listener) => UnixListener::from_std(listener).map(Socket::Unix),
        };
        // The reactor refuses only what is no socket.
        let Ok(socket) = socket else {
            return io.connection_ended(&server);
        };
        io.serial += 1;
        let number = io.serial;
        io.listeners.push(Self {
            server,
            socket,
            number,
        });
        tokio::spawn(accept_all(number));
    }

    fn poll_accept(&self, cx: &mut Context<'_>) -> Poll<io::Result<Incoming>> {
        let (stream, peer) = match &self.socket {
            Socket::Tcp(listener) => {
                let (stream, peer) = std::task::ready!(listener.poll_accept(cx))?;
                // A frame is whole when it is written: waiting for more to send would only delay it.
                stream.set_nodelay(true)?;
                let peer = Some((peer.ip(), peer.port()));
                (Stream::Registered(Transport::Tcp(stream)), peer)
            }
            #[cfg(unix)]
            Socket::Unix(listener) => {
                let (stream, _) = std::task::ready!(listener.poll_accept(cx))?;
                (Stream::Registered(Transport::Unix(stream)), None)
            }
        };
        Poll::Ready(Ok(Incoming {
            server: Arc::clone(&self.server),
            peer,
            stream,
        }))
    }
}

impl IoThread {
    /// A server stops listening. Its `WebSockets` stay.
    pub(super) fn stop(&mut self, server: u32, force: bool) {
        if let Some(server) = Server::find(server) {
            server.stopping.store(true, Ordering::Release);
        }
        let mut stopped = Vec::new();
        self.listeners.retain(|listener| {
            let keep = listener.server.id != server;
            if !keep {
                stopped.push(Arc::clone(&listener.server));
            }
            keep
        });
        for server in stopped {
            self.connection_ended(&server);
        }
        for slot in 0..self.slots.len() as u32 {
            if let Some(connection) = self.connection(slot)
                && connection.server.id == server
                && let Phase::Http(phase) = &mut connection.phase
            {
                phase.close_after = true;
                connection.wake();
            }
        }
        self.kill_http(server, force);
    }

    /// Ends the server's HTTP connections: those without a pending request, or all of them.
    pub(super) fn kill_http(&mut self, server: u32, all: bool) {
        for slot in 0..self.slots.len() as u32 {
            if let Some(connection) = self.connection(slot)
                && connection.server.id == server
                && let Phase::Http(phase) = &mut connection.phase
                && (all || !phase.is_answering(&connection.out))
            {
                phase.kill = true;
                connection.wake();
            }
        }
    }

    /// Lets the connections of a server look again at what they wait for.
    pub(super) fn wake_http(&mut self, server: u32) {
        for slot in 0..self.slots.len() as u32 {
            if let Some(connection) = self.connection(slot)
                && connection.server.id == server
                && matches!(connection.phase, Phase::Http(_))
            {
                connection.wake();
            }
        }
    }

    /// A request takes or leaves its connection.
    pub(crate) fn set_idle(&mut self, slot: u32, idle: bool) {
        let Some(connection) = self.connection(slot) else {
            return;
        };
        if let Phase::Http(phase) = &mut connection.phase
            && phase.counted_idle != idle
        {
            phase.counted_idle = idle;
            let count = &connection.server.idle;
            if idle {
                count.fetch_add(1, Ordering::Relaxed);
            } else {
                count.fetch_sub(1, Ordering::Relaxed);
            }
        }
    }

    /// Gives a connection to the thread that has the fewest.
    pub(crate) fn place(&mut self, incoming: Incoming) {
        let pool = IoPool::global();
        let target = if pool.len() == 1 {
            self.index
        } else {
            pool.least_loaded()
        };
        let handle = pool.thread(target);
        if target == self.index {
            handle.connections.fetch_add(1, Ordering::Relaxed);
            incoming.server.hold();
            self.adopt(incoming);
        } else if let Some(incoming) = incoming.into_foreign() {
            // Counted here, not when it arrives: the next one is placed before that.
            handle.connections.fetch_add(1, Ordering::Relaxed);
            incoming.server.hold();
            handle.arrivals().connections.push(incoming);
            handle.wake();
        }
    }
}

/// What a turn of accepting came to.
enum Turn {
    /// The listener is no more.
    Closed,
    /// The system is out of something.
    Exhausted,
    /// More may be waiting.
    Again,
}

async fn accept_all(number: u32) {
    loop {
        let turn = std::future::poll_fn(|cx| {
            io_thread::with(|io| {
                for _ in 0..BURST {
                    let Some(listener) = io.listeners.iter().find(|l| l.number == number) else {
                        return Poll::Ready(Turn::Closed);
                    };
                    match std::task::ready!(listener.poll_accept(cx)) {
                        Ok(incoming) => io.place(incoming),
                        // The client left while it waited: the next one is another's.
                        Err(error) if is_about_one_connection(&error) => {}
                        Err(_) => return Poll::Ready(Turn::Exhausted),
                    }
                }
                Poll::Ready(Turn::Again)
            })
            .unwrap_or(Poll::Ready(Turn::Closed))
        })
        .await;
        match turn {
            Turn::Closed => return,
            Turn::Exhausted => tokio::time::sleep(BACK_OFF).await,
            Turn::Again => tokio::task::yield_now().await,
        }
    }
}

fn is_about_one_connection(error: &io::Error) -> bool {
    use io::ErrorKind::{
        ConnectionAborted, ConnectionRefused, ConnectionReset, InvalidInput, NotConnected,
    };
    // InvalidInput: setting an option of a connection that is reset already (macOS).
    matches!(
        error.kind(),
        ConnectionAborted | ConnectionRefused | ConnectionReset | NotConnected | InvalidInput
    )
}
