//! A WebSocket's half of the connection's task: reads what is there, decodes it into the batch of its env, and writes on when the kernel takes more.

use crate::hub::connection::{Connection, Farewell, Phase, SocketState, at};
use crate::hub::io_thread::IoThread;
use crate::hub::writer;
use crate::session::{MessageKind, Transport};
use crate::wire::{
    Frame, FrameKind, Limits, Opcode, Payload, ProtocolError, parse_close, put_frame,
};
use std::sync::atomic::Ordering;
use std::task::{Context, Poll};
use tokio::io::ReadBuf;

/// Reads in one poll before other connections get their turn.
const READS: usize = 4;
/// Bytes of events after which they are handed over without waiting for the turn's end.
const HAND_OVER: usize = 1 << 20;
/// Bytes of pongs that may wait for a peer that reads nothing, where the server sets no limit.
const PONG_LIMIT: u64 = 16 << 20;

/// What became of a read.
pub(super) enum Read {
    /// Bytes, in the scratch buffer.
    Bytes(usize),
    /// The peer's end: FIN or a broken stream.
    End,
    /// Nothing there.
    Pending,
}

impl IoThread {
    /// One poll of the connection's task. Ready when the connection is over and its slot let go.
    pub(crate) fn poll_socket(&mut self, slot: u32, cx: &mut Context<'_>) -> Poll<()> {
        self.poll_write(slot, cx);
        for _ in 0..READS {
            let Some(connection) = at(&mut self.slots, slot) else {
                return Poll::Ready(());
            };
            let Phase::Socket(socket) = &connection.phase else {
                return Poll::Ready(());
            };
            let stream = connection.shared.transport();
            match &socket.state {
                SocketState::Open if socket.paused => return Poll::Pending,
                SocketState::Open => {
                    let env = &mut self.envs[connection.env];
                    if env.port.is_full(self.index) {
                        if !std::mem::replace(&mut connection.stalled, true) {
                            env.stalled.push(slot);
                        }
                        return Poll::Pending;
                    }
                    match read_some(stream, cx, &mut self.scratch) {
                        Read::Pending => return Poll::Pending,
                        Read::End => self.end_socket(slot, 1006, "", Farewell::Late),
                        Read::Bytes(n) => self.receive(slot, n),
                    }
                }
                SocketState::Ended(_) => return Poll::Pending,
                // What still comes is read and dropped: closing with it unread would reset the connection, and the
                // peer might lose what it has not read of ours.
                SocketState::Closing { fin, .. } => {
                    match read_some(stream, cx, &mut self.scratch) {
                        Read::Bytes(_) => {}
                        Read::End if *fin => return self.finish(slot),
                        Read::End | Read::Pending => return Poll::Pending,
                    }
                }
                SocketState::Finished => return self.finish(slot),
            }
        }
        cx.waker().wake_by_ref();
        Poll::Pending
    }

    fn finish(&mut self, slot: u32) -> Poll<()> {
        if let Some(connection) = self.connection(slot)
            && let Phase::Socket(socket) = &mut connection.phase
        {
            connection.out.drop_outbox();
            let id = socket.id;
            if connection.shared.set_blocked(false) {
                let env = connection.env;
                self.envs[env].port.note_blocked(id, false);
            }
        }
        self.remove(slot);
        Poll::Ready(())
    }

    /// Writes what waits, as far as the kernel takes it, and registers for more.
    pub(crate) fn poll_write(&mut self, slot: u32, cx: &mut Context<'_>) {
        loop {
            let Some(connection) = at(&mut self.slots, slot) else {
                return;
            };
            if connection.out.outbox.is_empty() {
                let closes = matches!(&connection.phase, Phase::Socket(socket)
                    if matches!(socket.state, SocketState::Closing { fin: false, .. }));
                if !closes {
                    return;
                }
                // Only the end of TLS is left to be written.
                match connection.shared.transport().poll_write_ready(cx) {
                    Poll::Pending => return,
                    Poll::Ready(ready) => self.go_on_closing(slot, ready.is_err()),
                }
                continue;
            }
            let before = connection.out.outbox.len();
            let (more, gone) = match connection.shared.transport().poll_write_ready(cx) {
                Poll::Pending => return,
                Poll::Ready(Err(_)) => (false, true),
                Poll::Ready(Ok(())) => match writer::flush_outbox(connection) {
                    Ok(more) => (more, false),
                    Err(_) => (false, true),
                },
            };
            let moved = connection.out.outbox.len() != before;
            if moved || connection.shared.transport().take_progress() {
                connection.active = self.wheel.now();
            }
            if moved || gone {
                self.after_write(slot, gone);
            }
            if !more {
                return;
            }
        }
    }

    /// Decodes bytes that came with or behind the handshake.
    pub(crate) fn receive_early(&mut self, slot: u32, bytes: &[u8]) {
        for piece in bytes.chunks(self.scratch.len()) {
            self.scratch[..piece.len()].copy_from_slice(piece);
            self.receive(slot, piece.len());
        }
    }

    /// Decodes the first `n` bytes of the scratch buffer.
    fn receive(&mut self, slot: u32, n: usize) {
        let now = self.wheel.now();
        let Some(connection) = at(&mut self.slots, slot) else {
            return;
        };
        let env = connection.env;
        let Phase::Socket(socket) = &mut connection.phase else {
            return;
        };
        if !matches!(socket.state, SocketState::Open) {
            return;
        }
        connection.active = now;
        socket.pinged = false;
        let scratch = std::mem::take(&mut self.scratch);
        let mut input = &scratch[..n];
        // A pong may not overtake the answers to messages in front of its ping, nor follow a close among them: behind
        // messages it is JavaScript's turn first.
        let mut behind_messages = false;
        loop {
            match self.next_control(slot, &mut input, &mut behind_messages) {
                Ok(Some(frame)) => self.control(slot, &frame, behind_messages),
                Ok(None) => break,
                Err(error) => {
                    self.refuse(slot, error);
                    break;
                }
            }
        }
        self.scratch = scratch;
        let batch = &mut self.envs[env].batch;
        if batch.arena.len() > HAND_OVER || crate::session::Batch::weight(batch) > 2 * HAND_OVER {
            let env = &mut self.envs[env];
            env.port.post_events(self.index, &mut env.batch);
        } else if batch.events.is_empty() {
            batch.clear();
        }
        self.flush_soon();
    }

    /// Puts messages into the batch, up to the next control frame, which is returned. Sets `any` if there were some.
    fn next_control(
        &mut self,
        slot: u32,
        input: &mut &[u8],
        any: &mut bool,
    ) -> Result<Option<Frame>, ProtocolError> {
        let Some(connection) = at(&mut self.slots, slot) else {
            return Ok(None);
        };
        let Connection {
            phase, server, env, ..
        } = connection;
        let Phase::Socket(socket) = phase else {
            return Ok(None);
        };
        let config = &server.config;
        let limits = Limits {
            max_payload_length: config.max_payload_length.load(Ordering::Relaxed),
        };
        let wanted = config.wants_messages.load(Ordering::Relaxed);
        let id = socket.id;
        let batch = &mut self.envs[*env].batch;
        while let Some(frame) = socket.decoder.next(input, limits, &mut batch.arena)? {
            let (kind, checked) = match frame.kind {
                FrameKind::Text { ascii } => (MessageKind::Latin1, ascii),
                FrameKind::Binary => (MessageKind::Binary, true),
                FrameKind::Ping | FrameKind::Pong | FrameKind::Close => return Ok(Some(frame)),
            };
            let payload = if frame.compressed {
                let limit = limits.max_payload_length;
                let deflate = socket.deflate.as_mut();
                let arena = &mut batch.arena;
                self.deflate.inflate(deflate, frame.payload, limit, arena)?
            } else {
                frame.payload
            };
            match payload {
                // Text that was compressed has not been looked at.
                Payload::Arena { start, .. } if !checked => batch.push_text(id, start)?,
                Payload::Owned(payload) if !checked => batch.push_large_text(id, payload)?,
                Payload::Arena { start, len } => batch.push_message(id, kind, start, len),
                Payload::Owned(payload) => batch.push_large(id, kind, payload),
            }
            if !wanted {
                batch.events.pop();
            }
            *any |= wanted;
        }
        Ok(None)
    }

    fn control(&mut self, slot: u32, frame: &Frame, behind_messages: bool) {
        let Some(connection) = at(&mut self.slots, slot) else {
            return;
        };
        let env = connection.env;
        let Phase::Socket(socket) = &mut connection.phase else {
            return;
        };
        let id = socket.id;
        let config = &connection.server.config;
        let Payload::Arena { start, len } = &frame.payload else {
            return;
        };
        let (start, len) = (*start, *len);
        let payload = start..start + len;
        match frame.kind {
            FrameKind::Ping if behind_messages || socket.owed > 0 => {
                socket.owed += 1;
                self.envs[env]
                    .batch
                    .push_message(id, MessageKind::PingOwed, start, len);
            }
            FrameKind::Ping => {
                let limit = match config.backpressure_limit.load(Ordering::Relaxed) {
                    0 => PONG_LIMIT,
                    limit => limit,
                };
                let wanted = config.wants_pings.load(Ordering::Relaxed);
                if connection.out.outbox.len() as u64 <= limit {
                    let at = self.round.local.len() as u32;
                    let bytes = &self.envs[env].batch.arena[payload];
                    put_frame(&mut self.round.local, Opcode::Pong, bytes);
                    let size = self.round.local.len() as u32 - at;
                    self.send_own(slot, at, size, &[]);
                }
                if wanted {
                    self.envs[env]
                        .batch
                        .push_message(id, MessageKind::Ping, start, len);
                }
            }
            FrameKind::Pong => {
                if config.wants_pongs.load(Ordering::Relaxed) {
                    self.envs[env]
                        .batch
                        .push_message(id, MessageKind::Pong, start, len);
                }
            }
            FrameKind::Close => {
                let bytes: Box<[u8]> = self.envs[env].batch.arena[payload].into();
                match parse_close(&bytes) {
                    Ok(None) => self.end_socket(slot, 1005, "", Farewell::Echo(bytes)),
                    Ok(Some((code, reason))) => {
                        self.end_socket(slot, code.get(), reason, Farewell::Echo(bytes.clone()));
                    }
                    Err(error) => self.refuse(slot, error),
                }
            }
            FrameKind::Text { .. } | FrameKind::Binary => {}
        }
    }

    fn refuse(&mut self, slot: u32, error: ProtocolError) {
        self.end_socket(slot, 1006, error.reason(), Farewell::Error(error));
    }
}

pub(super) fn read_some(stream: &Transport, cx: &mut Context<'_>, scratch: &mut [u8]) -> Read {
    let mut buf = ReadBuf::new(scratch);
    match stream.poll_read(cx, &mut buf) {
        Poll::Pending => Read::Pending,
        Poll::Ready(Ok(())) if !buf.filled().is_empty() => Read::Bytes(buf.filled().len()),
        Poll::Ready(_) => Read::End,
    }
}
