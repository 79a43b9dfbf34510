//! The end of sockets, from either side, and what is written on the way there.

use crate::hub::connection::{Connection, Farewell, Phase, SocketState, at};
use crate::hub::io_thread::IoThread;
use crate::hub::writer;
use crate::session::{Event, Turn};
use crate::wire::{Opcode, put_close, put_frame};
use std::sync::atomic::Ordering;

/// Bytes after which the JavaScript thread may see that they are written, though nothing waits.
const VISIBLE_STEP: i64 = 32 << 10;

impl IoThread {
    /// A socket ends from outside: JavaScript is told, and the farewell waits until it has heard.
    pub(crate) fn end_socket(&mut self, slot: u32, code: u16, reason: &str, farewell: Farewell) {
        let Some(connection) = at(&mut self.slots, slot) else {
            return;
        };
        let Phase::Socket(socket) = &mut connection.phase else {
            return;
        };
        if !matches!(socket.state, SocketState::Open) {
            return;
        }
        socket.state = SocketState::Ended(farewell);
        let (id, env) = (socket.id, connection.env);
        self.envs[env].batch.push_close(id, code, reason);
        self.flush_soon();
    }

    /// JavaScript has closed the socket.
    pub(super) fn close(&mut self, env: usize, slot: u32, abrupt: bool) {
        let Some(connection) = at(&mut self.slots, slot) else {
            return;
        };
        match &mut connection.phase {
            Phase::Socket(socket) => {
                // A socket that ended from outside has had its last event.
                if matches!(socket.state, SocketState::Open) {
                    self.envs[env]
                        .batch
                        .events
                        .push(Event::Gone { id: socket.id });
                }
                socket.released = true;
                socket.state = SocketState::Closing { fin: false, abrupt };
                self.envs[env].topics.remove_all(slot);
                self.round.dirty.push(slot);
                self.uncount(slot);
                self.schedule(slot);
                self.flush_soon();
            }
            // The client left before the upgrade or before the close: JavaScript's close event is on its way.
            Phase::Dead | Phase::Http(_) => self.acknowledge(env, slot),
        }
    }

    /// JavaScript has heard that the socket ended.
    pub(super) fn release(&mut self, env: usize, slot: u32) {
        let Some(connection) = at(&mut self.slots, slot) else {
            return;
        };
        match &mut connection.phase {
            Phase::Socket(socket) => {
                socket.released = true;
                let at = self.round.local.len() as u32;
                let (mut abrupt, mut is_late) = (false, false);
                if let SocketState::Ended(farewell) = &socket.state {
                    match farewell {
                        // TLS has an end of its own to send.
                        Farewell::Late if connection.shared.transport().is_shareable() => {
                            is_late = true;
                        }
                        Farewell::Nothing | Farewell::Late => abrupt = true,
                        Farewell::Echo(payload) => {
                            put_frame(&mut self.round.local, Opcode::Close, payload);
                        }
                        Farewell::Error(error) => {
                            put_close(
                                &mut self.round.local,
                                error.close_code().get(),
                                error.reason(),
                            );
                        }
                    }
                }
                let len = self.round.local.len() as u32 - at;
                if len > 0 {
                    self.send_own(slot, at, len, &[]);
                }
                if let Some(connection) = self.connection(slot)
                    && let Phase::Socket(socket) = &mut connection.phase
                {
                    // Closing a stream that the peer has ended is all there is to do, and says FIN too.
                    socket.state = if is_late {
                        SocketState::Finished
                    } else {
                        SocketState::Closing { fin: false, abrupt }
                    };
                    connection.wake();
                }
                self.envs[env].topics.remove_all(slot);
                self.round.dirty.push(slot);
                self.uncount(slot);
                self.schedule(slot);
            }
            Phase::Dead | Phase::Http(_) => self.acknowledge(env, slot),
        }
    }

    /// JavaScript knows that the request, or the socket it was to become, is no more, and will not name the slot again.
    fn acknowledge(&mut self, env: usize, slot: u32) {
        self.envs[env].topics.remove_all(slot);
        let Some(connection) = self.connection(slot) else {
            return;
        };
        connection.named = false;
        if matches!(connection.phase, Phase::Dead) {
            self.free_slot(slot);
        }
    }

    /// Writes everything that this round wants written; ends the sockets that had only that left to do.
    pub(crate) fn write_round(&mut self, batch: &[u8]) {
        let mut dirty = std::mem::take(&mut self.round.dirty);
        for slot in dirty.drain(..) {
            let Some(connection) = at(&mut self.slots, slot) else {
                continue;
            };
            let gone = self
                .round
                .write(connection, batch, &mut self.gather)
                .and_then(|()| writer::flush_outbox(connection))
                .is_err();
            self.after_write(slot, gone);
        }
        self.round.dirty = dirty;
        self.round.clear();
    }

    /// Brings what both threads see in line with the outbox, and goes on with a connection whose turn it was to write.
    pub(crate) fn after_write(&mut self, slot: u32, gone: bool) {
        let Some(connection) = at(&mut self.slots, slot) else {
            return;
        };
        let Connection {
            phase,
            out,
            shared,
            env,
            server,
            waker,
            ..
        } = connection;
        let socket = match phase {
            Phase::Socket(socket) => socket,
            Phase::Http(_) => return self.after_http_write(slot, gone),
            Phase::Dead => return,
        };
        if gone {
            out.drop_outbox();
        }
        // The rest of a frame that JavaScript has begun is on its way here.
        let rest = shared.is_blocked() && *shared.writer() == Turn::Rest;
        let waits = rest || !out.outbox.is_empty();
        if waits && let Some(waker) = waker {
            // The task registers for the moment when the kernel takes more.
            waker.wake_by_ref();
        }
        let env = &mut self.envs[*env];
        let blocked = waits && socket.accepts();
        let mut drained = false;
        if shared.set_blocked(blocked) {
            env.port.note_blocked(socket.id, blocked);
            if !blocked
                && !gone
                && matches!(socket.state, SocketState::Open)
                && server.config.wants_drains.load(Ordering::Relaxed)
            {
                env.batch.events.push(Event::Drain { id: socket.id });
                shared.set_settled(out.settled);
                drained = true;
            }
        }
        if blocked || out.settled - socket.published >= VISIBLE_STEP {
            socket.published = out.settled;
            shared.set_settled(out.settled);
        }
        if drained {
            self.flush_soon();
        }
        self.go_on_closing(slot, gone);
    }

    pub(super) fn go_on_closing(&mut self, slot: u32, gone: bool) {
        let Some(connection) = self.connection(slot) else {
            return;
        };
        let Phase::Socket(socket) = &mut connection.phase else {
            return;
        };
        if let SocketState::Closing { fin, abrupt } = &mut socket.state {
            if *abrupt || gone {
                connection.out.outbox.clear();
            }
            if connection.out.outbox.is_empty() && !*fin {
                let patient = !*abrupt && !gone;
                // If not, the task tries again when the kernel takes more.
                *fin = connection.shared.transport().shutdown_write(patient);
                connection.wake();
            }
        }
    }
}
