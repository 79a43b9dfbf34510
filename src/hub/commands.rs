//! Applying what JavaScript wants, strictly in call order.

use crate::hub::connection::{Farewell, Phase, at};
use crate::hub::http;
use crate::hub::io_thread::IoThread;
use crate::hub::writer::{self, Source};
use crate::session::command::NOBODY;
use crate::session::{Command, CommandBatch, Turn};
use crate::wire::put_close;
use std::sync::atomic::Ordering;

impl IoThread {
    pub(super) fn apply(&mut self, env: usize, batch: &mut CommandBatch) {
        let CommandBatch {
            bytes, commands, ..
        } = batch;
        for command in commands.drain(..) {
            match command {
                Command::Send { slot, start, len } => {
                    self.send(slot, Source::Batch, start, len, bytes);
                }
                Command::SendLarge { slot, frame, rest } => {
                    if rest {
                        self.send_rest(slot, *frame);
                    } else {
                        let len = frame.len() as u32;
                        let index = self.round.keep(*frame);
                        self.send(slot, Source::Large(index), 0, len, bytes);
                    }
                }
                Command::Publish {
                    topic,
                    except,
                    start,
                    len,
                } => {
                    self.publish(env, topic, except, Source::Batch, start, len, bytes);
                }
                Command::PublishLarge {
                    topic,
                    except,
                    frame,
                } => {
                    let len = frame.len() as u32;
                    let index = self.round.keep(*frame);
                    self.publish(env, topic, except, Source::Large(index), 0, len, bytes);
                }
                Command::Subscribe { slot, topic } => {
                    if self.connection(slot).is_some() {
                        self.envs[env].topics.subscribe(slot, topic);
                    }
                }
                Command::Unsubscribe { slot, topic } => {
                    self.envs[env].topics.unsubscribe(slot, topic);
                }
                Command::Close {
                    slot,
                    code,
                    start,
                    len,
                } => {
                    let reason = &bytes[start as usize..(start + len) as usize];
                    let at = self.round.local.len() as u32;
                    put_close(
                        &mut self.round.local,
                        code,
                        std::str::from_utf8(reason).unwrap_or_default(),
                    );
                    let len = self.round.local.len() as u32 - at;
                    self.send_own(slot, at, len, bytes);
                    self.close(env, slot, false);
                }
                Command::Terminate { slot } => self.close(env, slot, true),
                Command::Overflow { slot } => self.overflow(slot),
                Command::Answered { slot } => {
                    if let Some(Phase::Socket(socket)) = self.connection(slot).map(|c| &mut c.phase)
                    {
                        socket.owed = socket.owed.saturating_sub(1);
                    }
                }
                Command::Skip { slot } => self.skips.push(slot),
                Command::Leave { slot } => self.envs[env].topics.remove_all(slot),
                Command::Release { slot } => self.release(env, slot),
                Command::Pause { slot } => self.set_paused(slot, true),
                Command::Resume { slot } => self.set_paused(slot, false),
                Command::Request {
                    slot,
                    serial,
                    request,
                } => http::apply(self, slot, serial, *request),
                Command::Stop { server, force } => self.stop(server, force),
                Command::Reschedule { server } => self.reschedule(server),
                Command::Rerouted { server } => self.wake_http(server),
                Command::CloseIdle { server } => self.kill_http(server, false),
            }
        }
    }

    fn send(&mut self, slot: u32, source: Source, start: u32, len: u32, batch: &[u8]) {
        let now = self.wheel.now();
        let Some(connection) = at(&mut self.slots, slot) else {
            return;
        };
        if let Phase::Socket(socket) = &mut connection.phase
            && socket.accepts()
        {
            connection.active = now;
            self.round.add(slot, socket, source, start, len, batch);
        }
    }

    /// Bytes of `Round::local`, which JavaScript has not counted.
    pub(crate) fn send_own(&mut self, slot: u32, start: u32, len: u32, batch: &[u8]) {
        if let Some(Phase::Socket(socket)) = self.connection(slot).map(|c| &mut c.phase) {
            socket.settled -= i64::from(len);
        }
        self.send(slot, Source::Local, start, len, batch);
    }

    /// The rest of a frame that the JavaScript thread has begun to write.
    fn send_rest(&mut self, slot: u32, rest: bytes::Bytes) {
        let Some(connection) = self.connection(slot) else {
            return;
        };
        if let Phase::Socket(socket) = &mut connection.phase
            && socket.accepts()
        {
            socket.outbox.push_front(rest);
            *connection.shared.writer() = Turn::Queue;
            connection.wake();
            self.round.dirty.push(slot);
        }
    }

    #[expect(clippy::too_many_arguments, reason = "a range is three of them")]
    fn publish(
        &mut self,
        env: usize,
        topic: u32,
        except: u32,
        source: Source,
        start: u32,
        len: u32,
        batch: &[u8],
    ) {
        let now = self.wheel.now();
        let size = i64::from(len);
        let mut overflowed = Vec::new();
        for slot in self.envs[env].topics.members(topic) {
            if slot == except && except != NOBODY {
                continue;
            }
            let Some(connection) = self.slots[slot as usize].as_deref_mut() else {
                continue;
            };
            let Phase::Socket(socket) = &mut connection.phase else {
                continue;
            };
            if !socket.accepts() {
                continue;
            }
            let skipped = !self.skips.is_empty() && self.skips.contains(&slot);
            if skipped || !socket.outbox.is_empty() {
                let config = &connection.server.config;
                let limit = config.backpressure_limit.load(Ordering::Relaxed);
                if skipped || limit != 0 && socket.outbox.len() as u64 > limit {
                    if config.close_on_backpressure_limit.load(Ordering::Relaxed) {
                        overflowed.push(slot);
                    }
                    continue;
                }
            }
            connection.active = now;
            socket.settled -= size;
            self.round.add(slot, socket, source, start, len, batch);
            if !socket.outbox.is_empty() {
                connection.shared.set_settled(socket.settled);
            }
        }
        self.skips.clear();
        for slot in overflowed {
            self.overflow(slot);
        }
    }

    /// More waits for the socket than its server allows: what waits is dropped, and the socket ended.
    fn overflow(&mut self, slot: u32) {
        if let Some(Phase::Socket(socket)) = self.connection(slot).map(|c| &mut c.phase) {
            writer::drop_outbox(socket);
        }
        self.end_socket(slot, 1006, "", Farewell::Nothing);
    }

    fn set_paused(&mut self, slot: u32, paused: bool) {
        let now = self.wheel.now();
        let Some(connection) = self.connection(slot) else {
            return;
        };
        if let Phase::Socket(socket) = &mut connection.phase {
            socket.paused = paused;
            // The idle timer stands still meanwhile.
            connection.active = now;
            connection.wake();
        }
        self.schedule(slot);
    }
}
