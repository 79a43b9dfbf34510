//! The functions that `WebSockets` use: the hot ones. The JavaScript layer has checked states and arguments.

use super::env::{EnvState, JsSocket, Out, PATIENCE, Verdict};
use super::lifecycle::guarded;
use super::raw::{Js, Value};
use crate::session::command::{LARGE, NOBODY};
use crate::session::{Command, Publication};
use crate::wire::{
    MAX_HEADER, Opcode, begin_frame, finish_frame, header_len, put_frame, put_header, utf8_len,
    write_header,
};
use bytes::Bytes;
use napi_sys as sys;
use std::sync::Arc;
use std::sync::atomic::Ordering;

type Function = unsafe extern "C" fn(sys::napi_env, sys::napi_callback_info) -> Value;

/// The functions, by name.
pub(super) const FUNCTIONS: &[(&str, Function)] = &[
    ("sendText", send_text),
    ("sendBinary", send_binary),
    ("sendSmall", send_small),
    ("publishText", publish_text),
    ("publishBinary", publish_binary),
    ("control", control),
    ("close", close),
    ("terminate", terminate),
    ("subscribe", subscribe),
    ("unsubscribe", unsubscribe),
    ("pause", pause),
    ("resume", resume),
    ("buffered", buffered),
    ("queueState", queue_state),
    ("blockedSockets", blocked_sockets),
    ("hold", hold),
    ("release", release),
];

/// Strings of more code units than this are converted outside the batch.
const LARGE_TEXT: usize = LARGE / 3;

/// Code units from which text that is not ASCII is left to the I/O thread: V8 writes it as UTF-8 a character at a time.
const WIDE: usize = 48;

/// `sendText(id, string, string.length, compress)`.
unsafe extern "C" fn send_text(env: sys::napi_env, info: sys::napi_callback_info) -> Value {
    guarded::<4>(env, info, |state, [id, text, units, compress]| {
        let js = state.js;
        let (id, units) = (js.as_u32(id), js.as_u32(units) as usize);
        let mut out = state.out.borrow_mut();
        let out = &mut *out;
        if units > 0 && out.compresses(js, id, compress) {
            let write = |payload: &mut Vec<u8>| {
                js.append_utf8(text, units, payload);
            };
            return js.number(state.send_compressed(out, id, Opcode::Text, write));
        }
        if units > LARGE_TEXT {
            let mut scratch = std::mem::take(&mut out.scratch);
            scratch.clear();
            js.append_utf8(text, units, &mut scratch);
            let sent = state.send(out, id, Opcode::Text, &scratch);
            out.keep_scratch(scratch);
            return js.number(sent);
        }
        let verdict = state.verdict(out, id);
        if verdict == Verdict::Full {
            return js.number(0.0);
        }
        let Out {
            lanes,
            sockets,
            is_wide,
            last_sent,
            ..
        } = out;
        let Some(socket) = sockets.get_mut(id) else {
            return js.number(0.0);
        };
        let thread = socket.thread;
        let lane = &mut lanes[thread];
        let sent = if *is_wide && units >= WIDE {
            let start = lane.wide.len();
            js.append_utf16(text, units, &mut lane.wide);
            let text = &lane.wide[start..];
            let sent = utf8_len(text);
            *is_wide = sent > text.len();
            let len = text.len() as u32;
            lane.commands.push(Command::SendWide {
                slot: socket.slot,
                start: start as u32,
                len,
            });
            socket.added += (header_len(sent) + sent) as i64;
            sent
        } else {
            let start = lane.bytes.len();
            let sent = put_text_frame(js, text, units, &mut lane.bytes);
            *is_wide = sent > units;
            lane.push_send(socket.slot, start);
            *last_sent = id;
            socket.added += (lane.bytes.len() - start) as i64;
            sent
        };
        state.hand_over_sent(out, thread);
        js.number(if verdict == Verdict::Free {
            sent as f64
        } else {
            -1.0
        })
    })
}

/// `sendBinary(id, bytes, compress)`.
unsafe extern "C" fn send_binary(env: sys::napi_env, info: sys::napi_callback_info) -> Value {
    guarded::<3>(env, info, |state, [id, bytes, compress]| {
        let js = state.js;
        let id = js.as_u32(id);
        let mut out = state.out.borrow_mut();
        let compress = out.compresses(js, id, compress);
        let sent = js.with_bytes(bytes, |bytes| {
            if compress && !bytes.is_empty() {
                let write = |payload: &mut Vec<u8>| payload.extend_from_slice(bytes);
                state.send_compressed(&mut out, id, Opcode::Binary, write)
            } else {
                state.send(&mut out, id, Opcode::Binary, bytes)
            }
        });
        js.number(sent)
    })
}

/// `sendSmall(id, length)`: the bytes are in the memory for that.
unsafe extern "C" fn send_small(env: sys::napi_env, info: sys::napi_callback_info) -> Value {
    guarded::<2>(env, info, |state, [id, len]| {
        let js = state.js;
        let (id, len) = (js.as_u32(id), js.as_u32(len) as usize);
        let mut out = state.out.borrow_mut();
        let sent = state
            .small
            .with_sent(len, |bytes| state.send(&mut out, id, Opcode::Binary, bytes));
        js.number(sent)
    })
}

/// `control(id, opcode, data)`.
unsafe extern "C" fn control(env: sys::napi_env, info: sys::napi_callback_info) -> Value {
    guarded::<3>(env, info, |state, [id, opcode, data]| {
        let js = state.js;
        let id = js.as_u32(id);
        let opcode = if js.as_u32(opcode) == Opcode::Ping as u32 {
            Opcode::Ping
        } else {
            Opcode::Pong
        };
        let mut out = state.out.borrow_mut();
        let sent = if let Some(len) = js.utf8_len(data) {
            let mut text = Vec::with_capacity(len + 1);
            js.append_utf8(data, len, &mut text);
            state.send(&mut out, id, opcode, &text)
        } else {
            js.with_bytes(data, |bytes| state.send(&mut out, id, opcode, bytes))
        };
        js.number(sent)
    })
}

impl EnvState {
    /// Sends a frame. Returns what `send()` returns.
    fn send(&self, out: &mut Out, id: u32, opcode: Opcode, payload: &[u8]) -> f64 {
        if payload.len() >= LARGE {
            return self.send_large(out, id, opcode, payload);
        }
        let verdict = self.verdict(out, id);
        if verdict == Verdict::Full {
            return 0.0;
        }
        let Out {
            lanes,
            sockets,
            last_sent,
            ..
        } = out;
        let Some(socket) = sockets.get_mut(id) else {
            return 0.0;
        };
        let thread = socket.thread;
        let lane = &mut lanes[thread];
        let start = lane.bytes.len();
        put_header(&mut lane.bytes, opcode, false, payload.len());
        lane.bytes.extend_from_slice(payload);
        lane.push_send(socket.slot, start);
        *last_sent = id;
        socket.added += (lane.bytes.len() - start) as i64;
        self.hand_over_sent(out, thread);
        if verdict == Verdict::Free {
            payload.len() as f64
        } else {
            -1.0
        }
    }

    /// Sends a message that the I/O thread compresses. Returns what `send()` returns.
    fn send_compressed(
        &self,
        out: &mut Out,
        id: u32,
        opcode: Opcode,
        write: impl FnOnce(&mut Vec<u8>),
    ) -> f64 {
        let verdict = self.verdict(out, id);
        if verdict == Verdict::Full {
            return 0.0;
        }
        let Out { lanes, sockets, .. } = out;
        let Some(socket) = sockets.get_mut(id) else {
            return 0.0;
        };
        let (thread, slot) = (socket.thread, socket.slot);
        let lane = &mut lanes[thread];
        let start = lane.bytes.len();
        write(&mut lane.bytes);
        let len = lane.bytes.len() - start;
        // What it comes to on the wire is not known yet: until then the payload counts.
        socket.added += len as i64;
        if len >= LARGE {
            let payload = Box::new(Bytes::copy_from_slice(&lane.bytes[start..]));
            lane.bytes.truncate(start);
            let command = Command::SendLargeCompressed {
                slot,
                opcode,
                payload,
            };
            lane.push_outside(command, len);
            self.hand_over(out);
        } else {
            lane.commands.push(Command::SendCompressed {
                slot,
                opcode,
                start: start as u32,
                len: len as u32,
            });
            self.hand_over_sent(out, thread);
        }
        if verdict == Verdict::Free {
            len as f64
        } else {
            -1.0
        }
    }

    /// Writes the one frame that is all there is to hand over, instead of waking the I/O thread for it.
    pub(super) fn write_lone(&self, out: &mut Out) {
        let Out {
            lanes,
            sockets,
            last_sent,
            ..
        } = out;
        let Some(socket) = sockets.get_mut(*last_sent) else {
            return;
        };
        let thread = socket.thread;
        let others = (0..lanes.len()).filter(|other| *other != thread);
        let is_alone = others
            .into_iter()
            .all(|other| lanes[other].commands.is_empty());
        let lane = &mut lanes[thread];
        let [
            Command::Send {
                slot,
                start: 0,
                len,
            },
        ] = lane.commands[..]
        else {
            return;
        };
        if !is_alone || slot != socket.slot || len as usize != lane.bytes.len() {
            return;
        }
        // Commands that the I/O thread has not applied may be about the same socket.
        if !self.port.is_settled(thread) {
            return;
        }
        let now = self.pool.thread(thread).now();
        let Some(result) = socket.shared.write_directly(&[], &lane.bytes, now) else {
            return;
        };
        // The peer is gone: its close event is on the way.
        let written = result.unwrap_or(lane.bytes.len());
        // Only what the I/O thread writes is counted as sent; it counts it as settled in turn.
        socket.added -= written as i64;
        let rest = lane.bytes.split_off(written);
        lane.clear();
        if !rest.is_empty() {
            if socket.shared.set_blocked(true) {
                self.port.note_blocked(*last_sent, true);
            }
            let len = rest.len();
            let frame = Box::new(Bytes::from(rest));
            lane.push_outside(
                Command::SendLarge {
                    slot,
                    frame,
                    rest: true,
                },
                len,
            );
        }
    }

    /// A large frame is written by this thread itself when nothing is in front of it: no copy, and an exact answer.
    fn send_large(&self, out: &mut Out, id: u32, opcode: Opcode, payload: &[u8]) -> f64 {
        let Some(socket) = out.sockets.get_mut(id) else {
            return 0.0;
        };
        let thread = socket.thread;
        if !socket.shared.is_blocked() {
            self.hand_over(out);
            self.port.settle(thread, PATIENCE);
        }
        let verdict = self.verdict(out, id);
        let Some(socket) = out.sockets.get_mut(id) else {
            return 0.0;
        };
        if verdict == Verdict::Full {
            return 0.0;
        }
        let mut header = [0; MAX_HEADER];
        let header_len = write_header(&mut header, opcode, false, payload.len());
        let header = &header[..header_len];
        let total = header.len() + payload.len();
        let direct = (verdict == Verdict::Free && self.port.is_settled(thread))
            .then(|| {
                let now = self.pool.thread(thread).now();
                socket.shared.write_directly(header, payload, now)
            })
            .flatten();
        let (written, rest) = match direct {
            Some(Ok(written)) if written == total => return payload.len() as f64,
            // The peer is gone; its close event is on the way.
            Some(Err(_)) => return payload.len() as f64,
            Some(Ok(written)) => (written, true),
            None => (0, false),
        };
        let mut frame = Vec::with_capacity(total - written);
        frame.extend_from_slice(&header[written.min(header_len)..]);
        frame.extend_from_slice(&payload[written.saturating_sub(header_len)..]);
        socket.added += frame.len() as i64;
        if rest && socket.shared.set_blocked(true) {
            self.port.note_blocked(id, true);
        }
        let slot = socket.slot;
        let len = frame.len();
        // Not to be written from here (TLS), and more than may wait: without an answer now the next would be 0, and the
        // program would never have heard -1.
        let limit = socket
            .shared
            .config
            .backpressure_limit
            .load(Ordering::Relaxed);
        let asked = verdict == Verdict::Free && !rest && limit != 0 && len as u64 > limit;
        let command = Command::SendLarge {
            slot,
            frame: Box::new(Bytes::from(frame)),
            rest,
        };
        out.lanes[thread].push_outside(command, len);
        self.hand_over(out);
        if rest || asked {
            // The kernel is asked once more before the next frame is.
            self.port.settle(thread, PATIENCE);
        }
        let waits = asked
            && out
                .sockets
                .get_mut(id)
                .is_some_and(|socket| socket.shared.is_blocked());
        if rest || waits || verdict == Verdict::Queues {
            -1.0
        } else {
            payload.len() as f64
        }
    }

    /// The pong to a ping that came behind messages, now that those have been handled.
    pub(super) fn pong(&self, id: u32, payload: &[u8]) {
        let mut out = self.out.borrow_mut();
        self.send(&mut out, id, Opcode::Pong, payload);
        if let Some(JsSocket { thread, slot, .. }) = out.sockets.get_mut(id) {
            let (thread, slot) = (*thread, *slot);
            out.lanes[thread].commands.push(Command::Answered { slot });
        }
    }

    /// Whether the program has a handler for pings of this socket.
    pub(super) fn wants_pings(&self, id: u32) -> bool {
        let wants =
            |socket: &mut JsSocket| socket.shared.config.wants_pings.load(Ordering::Relaxed);
        self.out.borrow_mut().sockets.get_mut(id).is_some_and(wants)
    }

    /// Publishes a frame that stands at the end of the first lane's bytes, from `start` on.
    fn publish(&self, out: &mut Out, topic: u32, except: Option<u32>, start: usize) {
        let (except_thread, except_slot) = Self::except(out, except);
        let (first, others) = out.lanes.split_at_mut(1);
        let first = &mut first[0];
        let len = (first.bytes.len() - start) as u32;
        for (index, lane) in others.iter_mut().enumerate() {
            let at = lane.bytes.len() as u32;
            lane.bytes.extend_from_slice(&first.bytes[start..]);
            let except = if except_thread == index + 1 {
                except_slot
            } else {
                NOBODY
            };
            lane.commands.push(Command::Publish {
                topic,
                except,
                start: at,
                len,
            });
        }
        let except = if except_thread == 0 {
            except_slot
        } else {
            NOBODY
        };
        first.commands.push(Command::Publish {
            topic,
            except,
            start: start as u32,
            len,
        });
        self.hand_over_sent(out, 0);
    }

    fn publish_large(&self, out: &mut Out, topic: u32, except: Option<u32>, frame: &Bytes) {
        let (except_thread, except_slot) = Self::except(out, except);
        for (index, lane) in out.lanes.iter_mut().enumerate() {
            let except = if except_thread == index {
                except_slot
            } else {
                NOBODY
            };
            lane.push_outside(
                Command::PublishLarge {
                    topic,
                    except,
                    frame: Box::new(frame.clone()),
                },
                frame.len(),
            );
        }
        self.hand_over(out);
    }

    fn publish_compressed(
        &self,
        out: &mut Out,
        topic: u32,
        except: Option<u32>,
        publication: Publication,
    ) {
        let len = publication.plain().len();
        let publication = Arc::new(publication);
        let (except_thread, except_slot) = Self::except(out, except);
        for (index, lane) in out.lanes.iter_mut().enumerate() {
            let except = if except_thread == index {
                except_slot
            } else {
                NOBODY
            };
            let command = Command::PublishCompressed {
                topic,
                except,
                publication: Arc::clone(&publication),
            };
            lane.push_outside(command, len);
        }
        if len >= LARGE {
            self.hand_over(out);
        } else {
            self.hand_over_unless_held(out);
        }
    }

    fn except(out: &mut Out, except: Option<u32>) -> (usize, u32) {
        except
            .and_then(|id| out.sockets.get_mut(id))
            .map_or((usize::MAX, NOBODY), |s| (s.thread, s.slot))
    }

    /// Notes what the queues of blocked sockets say, in front of a publish, and holds the I/O threads to it.
    fn ask_blocked(&self, out: &mut Out) {
        out.said.clear();
        let Some(ids) = self.port.blocked_ids() else {
            out.published = 0;
            return;
        };
        if out.published > 0 && ids.iter().any(|id| out.is_unsure(*id)) {
            // What was published last is not among what waits yet, and makes the difference.
            self.hand_over(out);
            for thread in 0..self.pool.len() {
                self.port.settle(thread, PATIENCE);
            }
            out.published = 0;
        }
        for id in ids {
            if let Some(socket) = out.sockets.get_mut(id) {
                let answer = socket.answer();
                out.said.push((id, answer));
                if answer == 0 {
                    let (thread, slot) = (socket.thread, socket.slot);
                    out.lanes[thread].commands.push(Command::Skip { slot });
                }
            }
        }
    }

    /// `n`, or `-1 - n` when JavaScript has to look who is blocked.
    fn published(&self, out: &mut Out, n: usize) -> Value {
        out.published += n as u64;
        let n = n as f64;
        let clear = out.said.is_empty();
        self.js.number(if clear { n } else { -1.0 - n })
    }

    fn socket<R>(&self, id: Value, f: impl FnOnce(&mut Out, &mut JsSocketRef) -> R) -> Option<R> {
        let id = self.js.as_u32(id);
        let mut out = self.out.borrow_mut();
        let socket = out.sockets.get_mut(id)?;
        let mut found = JsSocketRef {
            id,
            thread: socket.thread,
            slot: socket.slot,
        };
        Some(f(&mut out, &mut found))
    }

    /// Pushes a command for a socket and hands it over.
    fn command(&self, id: Value, make: impl FnOnce(u32) -> Command) -> Value {
        self.socket(id, |out, socket| {
            out.lanes[socket.thread].commands.push(make(socket.slot));
            self.hand_over_unless_held(out);
        });
        self.js.undefined()
    }

    /// Waits until the I/O thread knows: what it reads afterwards would be delivered to a program that asked for nothing.
    fn pause(&self, id: Value) -> Value {
        self.socket(id, |out, socket| {
            out.lanes[socket.thread]
                .commands
                .push(Command::Pause { slot: socket.slot });
            self.hand_over(out);
            self.port.settle(socket.thread, PATIENCE);
        });
        self.js.undefined()
    }

    /// The same for the end of the socket's life on this side.
    fn end(&self, id: Value, make: impl FnOnce(&mut Out, &JsSocketRef) -> Command) -> Value {
        self.socket(id, |out, socket| {
            let command = make(out, socket);
            out.lanes[socket.thread].commands.push(command);
            if let Some(entry) = out.sockets.get_mut(socket.id) {
                entry.closed = true;
            }
            self.hand_over_unless_held(out);
        });
        self.js.undefined()
    }
}

/// Where a socket is.
struct JsSocketRef {
    id: u32,
    thread: usize,
    slot: u32,
}

/// `publishText(topic, except, string, string.length, compress)`.
unsafe extern "C" fn publish_text(env: sys::napi_env, info: sys::napi_callback_info) -> Value {
    guarded::<5>(
        env,
        info,
        |state, [topic, except, text, units, compress]| {
            let js = state.js;
            let (topic, units) = (js.as_u32(topic), js.as_u32(units) as usize);
            let except = js.as_i32(except).filter(|id| *id >= 0).map(|id| id as u32);
            let mut out = state.out.borrow_mut();
            let out = &mut *out;
            state.ask_blocked(out);
            let compress = units > 0 && out.deflating > 0 && js.as_bool(compress);
            if compress || units > LARGE_TEXT {
                let mut frame = vec![0; MAX_HEADER];
                let n = js.append_utf8(text, units, &mut frame);
                // The header goes right in front of the text.
                let skip = MAX_HEADER - header_len(n);
                write_header(&mut frame[skip..], Opcode::Text, false, n);
                let frame = Bytes::from(frame).slice(skip..);
                if compress {
                    let publication = Publication::new(Opcode::Text, frame, header_len(n));
                    state.publish_compressed(out, topic, except, publication);
                } else {
                    state.publish_large(out, topic, except, &frame);
                }
                return state.published(out, n);
            }
            let start = out.lanes[0].bytes.len();
            let n = put_text_frame(js, text, units, &mut out.lanes[0].bytes);
            state.publish(out, topic, except, start);
            state.published(out, n)
        },
    )
}

/// `publishBinary(topic, except, bytes, compress)`.
unsafe extern "C" fn publish_binary(env: sys::napi_env, info: sys::napi_callback_info) -> Value {
    guarded::<4>(env, info, |state, [topic, except, bytes, compress]| {
        let js = state.js;
        let topic = js.as_u32(topic);
        let except = js.as_i32(except).filter(|id| *id >= 0).map(|id| id as u32);
        let mut out = state.out.borrow_mut();
        state.ask_blocked(&mut out);
        let n = js.with_bytes(bytes, |bytes| {
            let compress = !bytes.is_empty() && out.deflating > 0 && js.as_bool(compress);
            if compress || bytes.len() >= LARGE {
                let mut frame = Vec::with_capacity(MAX_HEADER + bytes.len());
                put_frame(&mut frame, Opcode::Binary, bytes);
                let frame = Bytes::from(frame);
                if compress {
                    let publication =
                        Publication::new(Opcode::Binary, frame, header_len(bytes.len()));
                    state.publish_compressed(&mut out, topic, except, publication);
                } else {
                    state.publish_large(&mut out, topic, except, &frame);
                }
            } else {
                let lane = &mut out.lanes[0].bytes;
                let start = lane.len();
                put_header(lane, Opcode::Binary, false, bytes.len());
                lane.extend_from_slice(bytes);
                state.publish(&mut out, topic, except, start);
            }
            bytes.len()
        });
        state.published(&mut out, n)
    })
}

/// `close(id, code, reason)`.
unsafe extern "C" fn close(env: sys::napi_env, info: sys::napi_callback_info) -> Value {
    guarded::<3>(env, info, |state, [id, code, reason]| {
        let js = state.js;
        let code = js.as_u32(code) as u16;
        let units = js.utf8_len(reason).unwrap_or(0);
        state.end(id, |out, socket| {
            let bytes = &mut out.lanes[socket.thread].bytes;
            let start = bytes.len() as u32;
            let len = if units == 0 {
                0
            } else {
                js.append_utf8(reason, units, bytes)
            } as u32;
            Command::Close {
                slot: socket.slot,
                code,
                start,
                len,
            }
        })
    })
}

/// `terminate(id)`.
unsafe extern "C" fn terminate(env: sys::napi_env, info: sys::napi_callback_info) -> Value {
    guarded::<1>(env, info, |state, [id]| {
        state.end(id, |_, socket| Command::Terminate { slot: socket.slot })
    })
}

/// `subscribe(id, topic)`.
unsafe extern "C" fn subscribe(env: sys::napi_env, info: sys::napi_callback_info) -> Value {
    guarded::<2>(env, info, |state, [id, topic]| {
        let topic = state.js.as_u32(topic);
        state.command(id, |slot| Command::Subscribe { slot, topic })
    })
}

/// `unsubscribe(id, topic)`.
unsafe extern "C" fn unsubscribe(env: sys::napi_env, info: sys::napi_callback_info) -> Value {
    guarded::<2>(env, info, |state, [id, topic]| {
        let topic = state.js.as_u32(topic);
        state.command(id, |slot| Command::Unsubscribe { slot, topic })
    })
}

/// `pause(id)`: nothing that arrives from now on is read.
unsafe extern "C" fn pause(env: sys::napi_env, info: sys::napi_callback_info) -> Value {
    guarded::<1>(env, info, |state, [id]| state.pause(id))
}

/// `resume(id)`.
unsafe extern "C" fn resume(env: sys::napi_env, info: sys::napi_callback_info) -> Value {
    guarded::<1>(env, info, |state, [id]| {
        state.command(id, |slot| Command::Resume { slot })
    })
}

/// `buffered(id)`: bytes that the kernel has refused. What merely has not reached the I/O thread yet does not count.
unsafe extern "C" fn buffered(env: sys::napi_env, info: sys::napi_callback_info) -> Value {
    guarded::<1>(env, info, |state, [id]| {
        let id = state.js.as_u32(id);
        let waiting = |socket: &mut JsSocket| {
            if socket.shared.is_blocked() {
                socket.waiting()
            } else {
                0
            }
        };
        let waiting = state
            .out
            .borrow_mut()
            .sockets
            .get_mut(id)
            .map_or(0, waiting);
        state.js.number(waiting as f64)
    })
}

/// `queueState(id)`: what the socket's queue said to the last publish: -1 that the frame waits, 0 that it is dropped.
unsafe extern "C" fn queue_state(env: sys::napi_env, info: sys::napi_callback_info) -> Value {
    guarded::<1>(env, info, |state, [id]| {
        let id = state.js.as_u32(id);
        let out = state.out.borrow();
        let said = out.said.iter().find(|(other, _)| *other == id);
        state
            .js
            .number(said.map_or(1.0, |(_, answer)| f64::from(*answer)))
    })
}

/// `blockedSockets()`: the sockets that were blocked before the last publish.
unsafe extern "C" fn blocked_sockets(env: sys::napi_env, info: sys::napi_callback_info) -> Value {
    guarded::<0>(env, info, |state, []| {
        let out = state.out.borrow();
        state
            .js
            .array(out.said.iter().map(|(id, _)| state.js.u32(*id)))
    })
}

impl Out {
    /// Whether what is on its way to the I/O threads decides whether a blocked socket is over its limit.
    fn is_unsure(&mut self, id: u32) -> bool {
        let published = self.published;
        self.sockets.get_mut(id).is_some_and(|socket| {
            let limit = socket
                .shared
                .config
                .backpressure_limit
                .load(Ordering::Relaxed);
            let waiting = socket.waiting();
            limit != 0 && waiting <= limit && waiting + published > limit
        })
    }
}

impl JsSocket {
    /// 1 when nothing waits, -1 when a frame would wait, 0 when it would be dropped.
    fn answer(&self) -> i32 {
        if self.overflowed {
            return 0;
        }
        if !self.shared.is_blocked() {
            return 1;
        }
        let limit = self
            .shared
            .config
            .backpressure_limit
            .load(Ordering::Relaxed);
        if limit != 0 && self.waits_over(limit) {
            0
        } else {
            -1
        }
    }
}

/// `hold()`.
unsafe extern "C" fn hold(env: sys::napi_env, info: sys::napi_callback_info) -> Value {
    guarded::<0>(env, info, |state, []| {
        state.hold();
        state.js.undefined()
    })
}

/// `release()`.
unsafe extern "C" fn release(env: sys::napi_env, info: sys::napi_callback_info) -> Value {
    guarded::<0>(env, info, |state, []| {
        state.release();
        state.js.undefined()
    })
}

/// Appends a text frame of a string of `units` code units. The length in bytes is not known before the string is
/// written, and asking for it walks the string: so the header is made for ASCII, and the text moved if it was not.
#[inline]
fn put_text_frame(js: Js, text: Value, units: usize, out: &mut Vec<u8>) -> usize {
    let frame = begin_frame(out, units);
    js.append_utf8(text, units, out);
    finish_frame(out, &frame, Opcode::Text, false)
}

impl Out {
    /// Takes the scratch buffer back, unless one large text has made it a burden.
    fn keep_scratch(&mut self, scratch: Vec<u8>) {
        if scratch.capacity() <= 1 << 20 {
            self.scratch = scratch;
        }
    }
}
