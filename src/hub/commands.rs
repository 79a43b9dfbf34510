//! Applying what JavaScript wants, strictly in call order.

use crate::hub::connection::{Farewell, Phase, at};
use crate::hub::deflate::{Contexts, SocketDeflate};
use crate::hub::http_answer;
use crate::hub::io_thread::IoThread;
use crate::hub::writer::{Round, Source};
use crate::session::command::NOBODY;
use crate::session::{Command, CommandBatch, Publication, Turn};
use crate::wire::{LARGE, Opcode, put_close, put_header, put_utf8, utf8_len};
use bytes::Bytes;
use std::sync::atomic::Ordering;

/// Bytes to write.
#[derive(Clone, Copy)]
struct Range {
    source: Source,
    start: u32,
    len: u32,
}

impl Range {
    /// All of a frame that has a buffer of its own.
    fn large(round: &mut Round, frame: Bytes) -> Self {
        let len = frame.len() as u32;
        Self {
            source: Source::Large(round.keep(frame)),
            start: 0,
            len,
        }
    }

    /// A frame that others may keep: copied if it is small, so that it merges with its neighbours.
    fn shared(round: &mut Round, frame: &Bytes) -> Self {
        if frame.len() >= LARGE {
            return Self::large(round, frame.clone());
        }
        let start = round.local.len() as u32;
        round.local.extend_from_slice(frame);
        Self {
            source: Source::Local,
            start,
            len: frame.len() as u32,
        }
    }
}

/// What a publish sends.
enum Published<'a> {
    /// The same to all: messages that lie behind each other, and the length of each.
    Plain(Range, &'a [u32]),
    /// To each as it has agreed.
    Compressed {
        publication: &'a Publication,
        /// What this thread has met, by window; the last is the frame for sockets without compression.
        known: &'a mut [Option<Range>; 17],
    },
}

/// The frame of a publication for one socket.
fn frame_for(
    contexts: &mut Contexts,
    round: &mut Round,
    deflate: Option<&mut SocketDeflate>,
    publication: &Publication,
    known: &mut [Option<Range>; 17],
) -> Range {
    let window = match &deflate {
        None => Some(16),
        Some(deflate) => deflate.shared_window().map(usize::from),
    };
    let Some(window) = window else {
        let (opcode, payload) = (publication.opcode(), publication.payload());
        return put_frame(contexts, round, deflate, opcode, payload);
    };
    *known[window].get_or_insert_with(|| {
        let frame = if window == 16 {
            publication.plain()
        } else {
            contexts.shared_frame(window as u8, publication)
        };
        Range::shared(round, frame)
    })
}

/// Makes a frame of a message for one socket, compressed as it has agreed.
fn put_frame(
    contexts: &mut Contexts,
    round: &mut Round,
    deflate: Option<&mut SocketDeflate>,
    opcode: Opcode,
    payload: &[u8],
) -> Range {
    if payload.len() >= LARGE {
        let mut frame = Vec::new();
        contexts.put_frame(deflate, opcode, payload, &mut frame);
        return Range::large(round, frame.into());
    }
    let start = round.local.len();
    contexts.put_frame(deflate, opcode, payload, &mut round.local);
    Range {
        source: Source::Local,
        start: start as u32,
        len: (round.local.len() - start) as u32,
    }
}

impl IoThread {
    pub(super) fn apply(&mut self, env: usize, batch: &mut CommandBatch) {
        let CommandBatch {
            bytes,
            wide,
            commands,
            ..
        } = batch;
        let mut lengths = std::mem::take(&mut self.lengths);
        let mut commands = commands.drain(..).peekable();
        while let Some(command) = commands.next() {
            match command {
                Command::Send { slot, start, len } => {
                    let source = Source::Batch;
                    self.send(slot, Range { source, start, len }, bytes);
                }
                Command::SendLarge { slot, frame, rest } => {
                    if rest {
                        self.send_rest(slot, *frame);
                    } else {
                        let range = Range::large(&mut self.round, *frame);
                        self.send(slot, range, bytes);
                    }
                }
                Command::SendWide { slot, start, len } => {
                    let text = &wide[start as usize..(start + len) as usize];
                    let at = self.round.local.len();
                    let local = &mut self.round.local;
                    put_header(local, Opcode::Text, false, utf8_len(text));
                    put_utf8(text, local);
                    let range = Range {
                        source: Source::Local,
                        start: at as u32,
                        len: (self.round.local.len() - at) as u32,
                    };
                    self.send(slot, range, bytes);
                }
                Command::SendCompressed {
                    slot,
                    opcode,
                    start,
                    len,
                } => {
                    let payload = &bytes[start as usize..(start + len) as usize];
                    self.send_compressed(slot, opcode, payload, bytes);
                }
                Command::SendLargeCompressed {
                    slot,
                    opcode,
                    payload,
                } => self.send_compressed(slot, opcode, &payload, bytes),
                Command::Publish {
                    topic,
                    except,
                    start,
                    len,
                } => {
                    let mut range = Range {
                        source: Source::Batch,
                        start,
                        len,
                    };
                    lengths.clear();
                    lengths.push(len);
                    // What follows for the same sockets goes with it: the topic is walked once for all. Only the first
                    // of them may have to pass sockets over.
                    while self.skips.is_empty()
                        && let Some(Command::Publish { len, .. }) = commands
                            .next_if(|next| next.continues(topic, except, range.start + range.len))
                    {
                        range.len += len;
                        lengths.push(len);
                    }
                    let mut published = Published::Plain(range, &lengths);
                    self.publish(env, topic, except, &mut published, bytes);
                }
                Command::PublishLarge {
                    topic,
                    except,
                    frame,
                } => {
                    let range = Range::large(&mut self.round, *frame);
                    let mut published = Published::Plain(range, &[range.len]);
                    self.publish(env, topic, except, &mut published, bytes);
                }
                Command::PublishCompressed {
                    topic,
                    except,
                    publication,
                } => {
                    let mut published = Published::Compressed {
                        publication: &publication,
                        known: &mut [None; 17],
                    };
                    self.publish(env, topic, except, &mut published, bytes);
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
                } => http_answer::apply(self, slot, serial, *request),
                Command::Stop { server, force } => self.stop(server, force),
                Command::Reschedule { server } => self.reschedule(server),
                Command::Rerouted { server } => self.wake_http(server),
                Command::CloseIdle { server } => self.kill_http(server, false),
            }
        }
        self.lengths = lengths;
    }

    fn send(&mut self, slot: u32, range: Range, batch: &[u8]) {
        let now = self.wheel.now();
        let Some(connection) = at(&mut self.slots, slot) else {
            return;
        };
        if let Phase::Socket(socket) = &mut connection.phase
            && socket.accepts()
        {
            connection.active = now;
            let Range { source, start, len } = range;
            self.round
                .add(slot, &mut connection.out, source, start, len, batch);
        }
    }

    /// JavaScript has counted the payload; from here on it is the frame that counts.
    fn send_compressed(&mut self, slot: u32, opcode: Opcode, payload: &[u8], batch: &[u8]) {
        let Some(connection) = at(&mut self.slots, slot) else {
            return;
        };
        let Phase::Socket(socket) = &mut connection.phase else {
            return;
        };
        // A compressor whose message is not sent would be ahead of the peer's.
        if !socket.accepts() {
            return;
        }
        let frame = put_frame(
            &mut self.deflate,
            &mut self.round,
            socket.deflate.as_mut(),
            opcode,
            payload,
        );
        connection.out.settled += payload.len() as i64 - i64::from(frame.len);
        self.send(slot, frame, batch);
    }

    /// Bytes of `Round::local`, which JavaScript has not counted.
    pub(crate) fn send_own(&mut self, slot: u32, start: u32, len: u32, batch: &[u8]) {
        if let Some(connection) = self.connection(slot) {
            connection.out.settled -= i64::from(len);
        }
        let source = Source::Local;
        self.send(slot, Range { source, start, len }, batch);
    }

    /// The rest of a frame that the JavaScript thread has begun to write.
    fn send_rest(&mut self, slot: u32, rest: bytes::Bytes) {
        let Some(connection) = self.connection(slot) else {
            return;
        };
        if let Phase::Socket(socket) = &mut connection.phase
            && socket.accepts()
        {
            connection.out.outbox.push_front(rest);
            *connection.shared.writer() = Turn::Queue;
            connection.wake();
            self.round.dirty.push(slot);
        }
    }

    fn publish(
        &mut self,
        env: usize,
        topic: u32,
        except: u32,
        published: &mut Published<'_>,
        batch: &[u8],
    ) {
        let now = self.wheel.now();
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
            let out = &mut connection.out;
            let skipped = !self.skips.is_empty() && self.skips.contains(&slot);
            let waits = skipped || !out.outbox.is_empty();
            // Where nothing waits all go at once, else each for itself, until the limit is reached.
            let pieces = match published {
                Published::Plain(_, lengths) if waits => lengths.len(),
                _ => 1,
            };
            let mut from = 0;
            for piece in 0..pieces {
                if waits {
                    let config = &connection.server.config;
                    let limit = config.backpressure_limit.load(Ordering::Relaxed);
                    if skipped || limit != 0 && out.outbox.len() as u64 > limit {
                        if config.close_on_backpressure_limit.load(Ordering::Relaxed) {
                            overflowed.push(slot);
                        }
                        break;
                    }
                }
                connection.active = now;
                let Range { source, start, len } = match published {
                    Published::Plain(range, lengths) if waits => {
                        let start = range.start + from;
                        let len = lengths[piece];
                        from += len;
                        Range {
                            start,
                            len,
                            ..*range
                        }
                    }
                    Published::Plain(range, _) => *range,
                    Published::Compressed { publication, known } => {
                        let deflate = socket.deflate.as_mut();
                        frame_for(
                            &mut self.deflate,
                            &mut self.round,
                            deflate,
                            publication,
                            known,
                        )
                    }
                };
                out.settled -= i64::from(len);
                self.round.add(slot, out, source, start, len, batch);
            }
            if !out.outbox.is_empty() {
                connection.shared.set_settled(out.settled);
            }
        }
        self.skips.clear();
        for slot in overflowed {
            self.overflow(slot);
        }
    }

    /// More waits for the socket than its server allows: what waits is dropped, and the socket ended.
    fn overflow(&mut self, slot: u32) {
        if let Some(connection) = self.connection(slot) {
            connection.out.drop_outbox();
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
