//! The drain: what I/O threads have for JavaScript, one batch after another, messages eight at a time.

use super::env::{Callback, EnvState, JsRequest, Left, Out, Requests};
use super::raw::{Thrown, Value};
use crate::session::event::{BodyChunk, RequestHead};
use crate::session::{Command, CommandBatch, Event, EventBatch, MessageKind};
use std::ptr;
use std::time::{Duration, Instant};

/// Messages per call: enough that the crossing is a small part, few enough that arguments stay in registers and on the
/// stack.
pub(super) const CHUNK: usize = 8;
/// Time after which the rest waits for another turn, so that timers and other I/O of the program get theirs.
const TURN: Duration = Duration::from_millis(4);
/// Time after which replies leave though the batch goes on: a slow handler delays its own reply only.
const HAND_OVER: Duration = Duration::from_micros(160);
/// Calls after which the clock is looked at for that.
const CALLS: u32 = 2;
/// Events between two handle scopes.
const SCOPE: usize = 64;

/// How a drain, or a part of one, ended.
enum Outcome {
    /// Everything has been handled.
    Done,
    /// A handler returned a thenable: the rest comes in a new turn, behind the microtasks.
    Yield,
    /// The turn has been long enough.
    Late,
    /// The env can run no more JavaScript.
    Ended,
}

/// Messages collected for one call.
struct Chunk {
    arguments: [Value; 1 + 2 * CHUNK],
    /// Where each came from, to go on behind the last that was handled.
    positions: [usize; CHUNK],
    len: usize,
}

impl EnvState {
    /// Takes and handles what there is.
    pub(super) fn drain(&self) {
        if self.ended.get() || self.terminated.get() {
            return;
        }
        self.port.begin_drain();
        self.hold();
        let mut handled = 0;
        let outcome = self.drain_all(&mut handled);
        // One message, and nothing else to do: its reply need not wait until another thread has woken up.
        if handled == 1 && matches!(outcome, Outcome::Done) && !self.port.is_woken() {
            self.write_lone(&mut self.out.borrow_mut());
        }
        self.release();
        match outcome {
            Outcome::Done | Outcome::Ended => {}
            Outcome::Yield => self.wake_self(),
            Outcome::Late => {
                self.js.scope(|| {
                    if self.call(Callback::Later, &[]).is_err() {
                        self.report();
                    }
                });
            }
        }
    }

    /// Counts the events it has handled in `handled`.
    fn drain_all(&self, handled: &mut usize) -> Outcome {
        let start = Instant::now();
        let mut first = 0;
        if let Some(left) = self.left.take() {
            *handled += left.batch.events.len();
            match self.handle(
                left.thread,
                left.batch,
                left.position,
                left.next_thread,
                start,
            ) {
                Outcome::Done => first = left.next_thread,
                other => return other,
            }
        }
        // All of them, also that of the batch that was left: its wake-up may have been answered by this drain.
        let count = self.pool.len();
        for thread in (first..count).chain(0..first) {
            let mut batch = self.spare.borrow_mut().pop().unwrap_or_default();
            self.port.take_events(self.pool, thread, &mut batch);
            *handled += batch.events.len();
            match self.handle(thread, batch, 0, (thread + 1) % count, start) {
                Outcome::Done => {}
                other => return other,
            }
        }
        Outcome::Done
    }

    /// Handles a batch from `position` on.
    fn handle(
        &self,
        thread: usize,
        mut batch: EventBatch,
        mut position: usize,
        next_thread: usize,
        start: Instant,
    ) -> Outcome {
        let mut handed = start;
        let outcome = loop {
            if position >= batch.events.len() {
                break Outcome::Done;
            }
            let end = (position + SCOPE).min(batch.events.len());
            let (next, outcome) = self
                .js
                .scope(|| self.handle_some(thread, &mut batch, position, end, &mut handed));
            position = next;
            if let Some(outcome) = outcome {
                break outcome;
            }
            if position < batch.events.len() && start.elapsed() > TURN {
                break Outcome::Late;
            }
        };
        if matches!(outcome, Outcome::Yield | Outcome::Late) {
            // Threads that have not been looked at get their turn in the next drain, behind this batch.
            *self.left.borrow_mut() = Some(Left {
                thread,
                batch,
                position,
                next_thread,
            });
        } else {
            batch.clear();
            self.spare.borrow_mut().push(batch);
        }
        outcome
    }

    /// Handles events in one handle scope. Returns where to go on, and why not at once. `handed`: when commands were last
    /// handed over.
    fn handle_some(
        &self,
        thread: usize,
        batch: &mut EventBatch,
        from: usize,
        to: usize,
        handed: &mut Instant,
    ) -> (usize, Option<Outcome>) {
        let mut chunk = Chunk {
            arguments: [ptr::null_mut(); 1 + 2 * CHUNK],
            positions: [0; CHUNK],
            len: 0,
        };
        let mut at = from;
        // Messages of one socket often come in a row; a handle is good for the whole scope.
        let mut last = (u32::MAX, ptr::null_mut());
        let mut calls = 0;
        while at < to {
            let EventBatch {
                arena,
                wide,
                events,
                ..
            } = &mut *batch;
            let (id, value) = match &events[at] {
                Event::Message {
                    id,
                    kind: MessageKind::Utf16,
                    start,
                    len,
                } => {
                    let text = &wide[*start as usize..(*start + *len) as usize];
                    (*id, self.js.utf16(text))
                }
                Event::Message {
                    id,
                    kind,
                    start,
                    len,
                } if is_data(*kind) => (
                    *id,
                    self.value(
                        *kind,
                        &arena[*start as usize..(*start + *len) as usize],
                        chunk.len,
                    ),
                ),
                Event::LargeMessage { id, kind, payload } => {
                    (*id, self.value(*kind, payload, chunk.len))
                }
                _ => {
                    if let Some(stop) = self.deliver(&mut chunk) {
                        return stop.at(at);
                    }
                    // Taken out, so that boxed parts move to where they are used; the record is not looked at again.
                    let event = std::mem::replace(&mut events[at], Event::Drain { id: u32::MAX });
                    if self.other(thread, event, arena).is_err() && self.report() {
                        return (at + 1, Some(Outcome::Ended));
                    }
                    at += 1;
                    continue;
                }
            };
            if last.0 != id {
                last = (id, self.js.u32(id));
            }
            chunk.arguments[1 + 2 * chunk.len] = last.1;
            chunk.arguments[2 + 2 * chunk.len] = value;
            chunk.positions[chunk.len] = at;
            chunk.len += 1;
            at += 1;
            if chunk.len == CHUNK {
                if let Some(stop) = self.deliver(&mut chunk) {
                    return stop.at(at);
                }
                // While this thread is at work on the rest, the I/O threads write these replies and read what follows.
                calls += 1;
                if calls % CALLS == 0 {
                    let now = Instant::now();
                    if now - *handed > HAND_OVER {
                        *handed = now;
                        self.hand_over(&mut self.out.borrow_mut());
                    }
                }
            }
        }
        match self.deliver(&mut chunk) {
            Some(stop) => stop.at(at),
            None => (at, None),
        }
    }

    /// What JavaScript is given for the message that is to be the chunk's `place`th: a string, an `ArrayBuffer`, or the
    /// length of a small binary message.
    #[inline]
    fn value(&self, kind: MessageKind, payload: &[u8], place: usize) -> Value {
        match kind {
            MessageKind::Latin1 => self.js.latin1(payload),
            MessageKind::Binary if self.small.put(place, payload) => {
                self.js.u32(payload.len() as u32)
            }
            MessageKind::Utf16
            | MessageKind::Binary
            | MessageKind::Ping
            | MessageKind::PingOwed
            | MessageKind::Pong => self.js.array_buffer(payload),
        }
    }

    /// Calls the handlers of the collected messages.
    #[inline]
    fn deliver(&self, chunk: &mut Chunk) -> Option<Stop> {
        let count = std::mem::take(&mut chunk.len);
        let result = match count {
            0 => return None,
            1 => self.call(Callback::Message, &chunk.arguments[1..3]),
            _ => {
                chunk.arguments[0] = self.js.u32(count as u32);
                // The unused places hold whatever was there: give them something that is alive.
                let filler = chunk.arguments[0];
                chunk.arguments[1 + 2 * count..].fill(filler);
                self.call(Callback::Messages, &chunk.arguments)
            }
        };
        match result {
            Ok(value) if count == 1 => self.js.as_bool(value).then_some(Stop {
                next: None,
                outcome: Outcome::Yield,
            }),
            Ok(value) => {
                // Deno reads undefined as 0; neither says that the rest has to wait.
                let handled = self.js.as_i32(value).filter(|handled| *handled > 0)?;
                let next = chunk.positions[..count].get(handled as usize).copied();
                Some(Stop {
                    next,
                    outcome: Outcome::Yield,
                })
            }
            // The JavaScript layer catches what handlers throw, so this is its own fault, or the env's end.
            Err(Thrown) => self.report().then_some(Stop {
                next: None,
                outcome: Outcome::Ended,
            }),
        }
    }

    /// An exception out of a callback: reported. Returns whether there was none, because the env is ending.
    fn report(&self) -> bool {
        match self.js.take_exception() {
            // Deno's way of stopping a thread that is to end: there is nothing to report, and no more to run.
            Some(error) if self.js.type_of(error) == napi_sys::ValueType::napi_null => {
                self.terminated.set(true);
                true
            }
            Some(error) => {
                self.js.fatal_exception(error);
                false
            }
            None => true,
        }
    }

    #[inline]
    fn call(&self, which: Callback, arguments: &[Value]) -> Result<Value, Thrown> {
        self.js
            .call(self.callbacks.function(self.js, which), arguments)
    }

    /// An event that is not a message.
    fn other(&self, thread: usize, event: Event, arena: &[u8]) -> Result<(), Thrown> {
        let js = self.js;
        match event {
            Event::Message {
                id,
                kind,
                start,
                len,
            } => {
                if !self.is_open(id) {
                    return Ok(());
                }
                let payload = &arena[start as usize..(start + len) as usize];
                if kind == MessageKind::PingOwed {
                    self.pong(id, payload);
                    if !self.wants_pings(id) {
                        return Ok(());
                    }
                }
                let payload = js.array_buffer(payload);
                let which = if kind == MessageKind::Pong {
                    Callback::Pong
                } else {
                    Callback::Ping
                };
                self.call(which, &[js.u32(id), payload])?;
            }
            Event::LargeMessage { .. } => {}
            Event::Drain { id } => {
                if self.is_open(id) {
                    self.call(Callback::Drain, &[js.u32(id)])?;
                }
            }
            Event::Close {
                id,
                code,
                start,
                len,
            } => {
                let Some((slot, closed)) = self
                    .out
                    .borrow_mut()
                    .sockets
                    .get_mut(id)
                    .map(|s| (s.slot, s.closed))
                else {
                    return Ok(());
                };
                // What is published from now on, in its handler too, is not for it.
                self.out.borrow_mut().lanes[thread]
                    .commands
                    .push(Command::Leave { slot });
                // A socket that JavaScript closed first is gone with the event that crossed its close.
                let result = if closed {
                    self.call(Callback::Gone, &[js.u32(id)])
                } else {
                    let reason = js.utf8(&arena[start as usize..(start + len) as usize]);
                    self.call(
                        Callback::Close,
                        &[js.u32(id), js.u32(u32::from(code)), reason],
                    )
                };
                let mut out = self.out.borrow_mut();
                // The handler may have closed it in vain; the I/O thread waits for one of the two.
                let closed_meanwhile = out.forget(id).is_some_and(|socket| socket.closed);
                if !closed_meanwhile {
                    out.lanes[thread].commands.push(Command::Release { slot });
                }
                drop(out);
                result?;
            }
            Event::Gone { id } => {
                let result = self.call(Callback::Gone, &[js.u32(id)]);
                self.out.borrow_mut().forget(id);
                result?;
            }
            Event::Request(head) => self.request(thread, *head)?,
            Event::Body {
                slot,
                serial,
                chunk,
            } => {
                if let Some(rid) = self.find_request(thread, slot, serial) {
                    let value = match *chunk {
                        BodyChunk::Data(data) => js.array_buffer(&data),
                        BodyChunk::End => js.null(),
                        BodyChunk::Failed => js.undefined(),
                    };
                    self.call(Callback::Body, &[js.u32(rid), value])?;
                }
            }
            Event::ResponseWritable { slot, serial } => {
                if let Some(rid) = self.find_request(thread, slot, serial) {
                    if let Some(request) = self.requests.borrow_mut().get_mut(rid) {
                        request.waiting = 0;
                    }
                    self.call(Callback::ResponseWritable, &[js.u32(rid)])?;
                }
            }
            Event::RequestEnd {
                slot,
                serial,
                aborted,
            } => {
                let Some(rid) = self.find_request(thread, slot, serial) else {
                    return Ok(());
                };
                let result = self.call(Callback::RequestEnd, &[js.u32(rid), js.boolean(aborted)]);
                // Still ours unless the callback made a socket of it.
                if self.requests.borrow_mut().remove(rid).is_some() && aborted {
                    self.out.borrow_mut().lanes[thread]
                        .commands
                        .push(Command::Release { slot });
                }
                result?;
            }
            Event::ServerGone { server } => {
                crate::hub::Server::forget(server);
                self.call(Callback::ServerGone, &[js.u32(server)])?;
            }
        }
        Ok(())
    }

    fn request(&self, thread: usize, head: RequestHead) -> Result<(), Thrown> {
        let RequestHead {
            server,
            slot,
            serial,
            shared,
            text,
            handshake,
            deflates,
            flags,
        } = head;
        let js = self.js;
        let peer = shared.peer;
        let request = JsRequest {
            thread,
            slot,
            serial,
            shared,
            deflates,
            waiting: 0,
        };
        let rid = self.requests.borrow_mut().insert(request);
        let (address, port, family) = match peer {
            Some((ip, port)) => (ip.to_string(), port, u32::from(ip.is_ipv6()) << 2),
            None => (String::new(), 0, 1 << 3),
        };
        self.call(
            Callback::Request,
            &[
                js.u32(server),
                js.u32(rid),
                js.latin1(text.method()),
                js.latin1(text.target()),
                js.latin1(text.fields()),
                js.u32(u32::from(handshake)),
                js.u32(flags | family),
                js.latin1(address.as_bytes()),
                js.u32(u32::from(port)),
            ],
        )?;
        Ok(())
    }

    fn is_open(&self, id: u32) -> bool {
        self.out
            .borrow_mut()
            .sockets
            .get_mut(id)
            .is_some_and(|socket| !socket.closed)
    }

    fn find_request(&self, thread: usize, slot: u32, serial: u32) -> Option<u32> {
        self.requests.borrow_mut().find(thread, slot, serial)
    }

    /// The env has ended: lets go of what it holds.
    pub(super) fn forget_all(&self) {
        *self.out.borrow_mut() = Out::default();
        *self.requests.borrow_mut() = Requests::default();
        *self.left.borrow_mut() = None;
        self.spare.borrow_mut().clear();
    }

    /// Empty lists for commands, one a thread.
    pub(super) fn lanes(count: usize) -> Vec<CommandBatch> {
        (0..count).map(|_| CommandBatch::default()).collect()
    }
}

/// Why a chunk was the last of this turn, and where to go on.
struct Stop {
    /// The first message that was not handled, if any of the chunk was not.
    next: Option<usize>,
    outcome: Outcome,
}

impl Stop {
    /// The message behind the chunk is at `behind`.
    fn at(self, behind: usize) -> (usize, Option<Outcome>) {
        (self.next.unwrap_or(behind), Some(self.outcome))
    }
}

fn is_data(kind: MessageKind) -> bool {
    matches!(
        kind,
        MessageKind::Latin1 | MessageKind::Utf16 | MessageKind::Binary
    )
}
