//! What time does to connections: pings, timeouts, and the end of those that linger.

use crate::hub::connection::{Connection, Farewell, Phase, SocketState, at};
use crate::hub::io_thread::IoThread;
use crate::session::Keepalive;
use crate::session::keepalive::{Due, due_for_http};
use crate::wire::{Opcode, put_frame};
use std::sync::atomic::Ordering;

/// Seconds that a closed connection may take to take its last bytes, or to answer FIN, without any progress.
const LINGER: u32 = 10;

impl IoThread {
    /// Enters the connection for its next deadline.
    pub(crate) fn schedule(&mut self, slot: u32) {
        let now = self.wheel.now();
        let Some(connection) = at(&mut self.slots, slot) else {
            return;
        };
        let at = match due(connection, now) {
            Due::At(at) => at,
            Due::Ping | Due::Expired => now + 1,
        };
        if at != u32::MAX && (connection.entered <= now || at < connection.entered) {
            connection.entered = self.wheel.insert(slot, at);
        }
    }

    /// The connection has ended on our side, and has some time to end on the other.
    pub(super) fn linger(&mut self, slot: u32) {
        let now = self.wheel.now();
        if let Some(connection) = self.connection(slot) {
            connection.active = now;
            connection.timeout = Some(LINGER);
        }
        self.schedule(slot);
    }

    /// A server's timeouts have changed: its connections are entered for the earlier of both deadlines.
    pub(super) fn reschedule(&mut self, server: u32) {
        for slot in 0..self.slots.len() as u32 {
            if self.connection(slot).is_some_and(|c| c.server.id == server) {
                self.schedule(slot);
            }
        }
    }

    /// Counts the seconds that have passed.
    pub(super) fn catch_up(&mut self) {
        if self.handle.seconds.load(Ordering::Relaxed) != 0 {
            for _ in 0..self.handle.seconds.swap(0, Ordering::Relaxed) {
                self.tick();
            }
        }
    }

    fn tick(&mut self) {
        let list = self.wheel.advance();
        let now = self.wheel.now();
        self.handle.now.store(now, Ordering::Relaxed);
        for slot in &list {
            let Some(connection) = self.connection(*slot) else {
                continue;
            };
            if connection.entered != now {
                continue;
            }
            match due(connection, now) {
                Due::At(_) => {}
                Due::Ping => self.ping(*slot),
                Due::Expired => self.expire(*slot),
            }
            self.schedule(*slot);
        }
        self.wheel.recycle(list);
        // What timers have caused leaves at once.
        if !self.round.dirty.is_empty() {
            self.flush_soon();
        }
    }

    fn ping(&mut self, slot: u32) {
        let at = self.round.local.len() as u32;
        put_frame(&mut self.round.local, Opcode::Ping, &[]);
        let len = self.round.local.len() as u32 - at;
        let Some(connection) = self.connection(slot) else {
            return;
        };
        let active = connection.active;
        if let Phase::Socket(socket) = &mut connection.phase {
            socket.pinged = true;
        }
        self.send_own(slot, at, len, &[]);
        if let Some(connection) = self.connection(slot) {
            // Our own ping is no sign of life.
            connection.active = active;
        }
    }

    fn expire(&mut self, slot: u32) {
        let Some(connection) = self.connection(slot) else {
            return;
        };
        match &mut connection.phase {
            Phase::Http(phase) => {
                phase.kill = true;
                connection.wake();
            }
            Phase::Socket(socket) => match &mut socket.state {
                SocketState::Open => self.end_socket(
                    slot,
                    1006,
                    "WebSocket timed out from inactivity",
                    Farewell::Nothing,
                ),
                SocketState::Ended(_) | SocketState::Finished => {}
                SocketState::Closing { .. } => {
                    // The peer neither reads nor answers FIN: enough.
                    socket.state = SocketState::Finished;
                    connection.wake();
                }
            },
            Phase::Dead => {}
        }
    }

    /// Brings the value of the `Date` field up to date: it is made once a second.
    pub(crate) fn refresh_date(&mut self) {
        if self.date.0 != self.wheel.now() {
            self.date = (
                self.wheel.now(),
                httpdate::fmt_http_date(std::time::SystemTime::now()).into(),
            );
        }
    }
}

/// What is due for a connection.
fn due(connection: &mut Connection, now: u32) -> Due {
    // What the JavaScript thread writes itself is traffic too.
    connection.active = connection.active.max(connection.shared.written_at());
    let config = &connection.server.config;
    match &connection.phase {
        Phase::Http(http) => due_for_http(
            connection
                .timeout
                .unwrap_or_else(|| config.http_idle_timeout.load(Ordering::Relaxed)),
            connection.active,
            http.head_since,
            now,
        ),
        Phase::Socket(socket) => match socket.state {
            SocketState::Open if socket.paused => Due::At(now + 1),
            SocketState::Open => Keepalive {
                idle_timeout: config.idle_timeout.load(Ordering::Relaxed),
                send_pings: config.send_pings.load(Ordering::Relaxed),
            }
            .due(connection.active, socket.pinged, now),
            SocketState::Ended(_) | SocketState::Finished => Due::At(u32::MAX),
            SocketState::Closing { .. } => Keepalive {
                idle_timeout: LINGER,
                send_pings: false,
            }
            .due(connection.active, false, now),
        },
        Phase::Dead => Due::At(u32::MAX),
    }
}
