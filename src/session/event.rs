//! Events in: what the I/O threads have for a JavaScript thread, as records over one arena a batch.

use super::mailbox::Batch;
use crate::session::shared::SocketShared;
use crate::wire::{self, ProtocolError};
use encoding_rs::mem;
use std::sync::Arc;

/// What a payload is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum MessageKind {
    /// A text message, a byte for each character (ISO 8859-1). Strings are made of that or of UTF-16 without decoding.
    Latin1,
    /// A text message in UTF-16, in [`EventBatch::wide`]: start and length are in code units.
    Utf16,
    /// A binary message.
    Binary,
    /// A ping's payload; the pong is already on its way.
    Ping,
    /// A ping's payload, behind messages that JavaScript has not handled: the pong is sent when it has.
    PingOwed,
    /// A pong's payload.
    Pong,
}

/// A request whose head has been read, on its way to `fetch`.
#[derive(Debug)]
pub struct RequestHead {
    /// Which server it came in on.
    pub server: u32,
    /// The connection's slot on its I/O thread.
    pub slot: u32,
    /// Which exchange of that connection: answers to an earlier one are ignored.
    pub serial: u32,
    /// The connection, for the socket it may become.
    pub shared: Arc<SocketShared>,
    /// Its method, target and fields.
    pub text: RequestText,
    /// What `upgrade()` may do with it: 0 not a handshake, 1 a good one, 2 one with a wrong version.
    pub handshake: u8,
    /// Whether the socket it may become will compress.
    pub deflates: bool,
    /// Bit 0: has a body; bit 1: HTTP/1.0.
    pub flags: u32,
}

/// What JavaScript gets of a request's head, in one piece of memory.
#[derive(Debug)]
pub struct RequestText {
    bytes: Box<[u8]>,
    method: u16,
    target: u16,
}

impl RequestText {
    /// A copy of what the head says.
    #[must_use]
    pub fn new(head: &wire::RequestHead<'_>) -> Self {
        let (method, target) = (head.method(), head.target());
        let mut bytes = Vec::with_capacity(512);
        bytes.extend_from_slice(method);
        bytes.extend_from_slice(target);
        head.put_fields(&mut bytes);
        Self {
            bytes: bytes.into(),
            method: method.len() as u16,
            target: target.len() as u16,
        }
    }

    /// The method, as sent.
    #[must_use]
    pub fn method(&self) -> &[u8] {
        &self.bytes[..usize::from(self.method)]
    }

    /// The request target, as sent.
    #[must_use]
    pub fn target(&self) -> &[u8] {
        &self.bytes[usize::from(self.method)..self.fields_start()]
    }

    /// `name: value\n` for each field, names in lower case, values as Latin-1 bytes.
    #[must_use]
    pub fn fields(&self) -> &[u8] {
        &self.bytes[self.fields_start()..]
    }

    fn fields_start(&self) -> usize {
        usize::from(self.method) + usize::from(self.target)
    }
}

/// One record. Offsets are into the batch's arena.
#[derive(Debug)]
pub enum Event {
    /// A message or control frame for socket `id`.
    Message {
        /// The socket.
        id: u32,
        /// What it is.
        kind: MessageKind,
        /// Start of the payload in the arena.
        start: u32,
        /// Length of the payload in bytes.
        len: u32,
    },
    /// A message too large for the arena.
    LargeMessage {
        /// The socket.
        id: u32,
        /// What it is.
        kind: MessageKind,
        /// The payload.
        payload: Box<Vec<u8>>,
    },
    /// Everything that was queued for the socket has met the kernel.
    Drain {
        /// The socket.
        id: u32,
    },
    /// The connection ended from outside. Waits for [`crate::session::Command::Release`].
    Close {
        /// The socket.
        id: u32,
        /// What the close handler gets.
        code: u16,
        /// Start of the reason in the arena.
        start: u32,
        /// Length of the reason in bytes (UTF-8).
        len: u32,
    },
    /// A socket closed by JavaScript has been let go; its identifier is free.
    Gone {
        /// The socket.
        id: u32,
    },
    /// A request for `fetch`.
    Request(Box<RequestHead>),
    /// A piece of a request's body, asked for with [`crate::session::Request::ReadBody`].
    Body {
        /// The connection's slot.
        slot: u32,
        /// The exchange.
        serial: u32,
        /// The piece.
        chunk: Box<BodyChunk>,
    },
    /// The response's queue is empty again.
    ResponseWritable {
        /// The connection's slot.
        slot: u32,
        /// The exchange.
        serial: u32,
    },
    /// The exchange is over.
    RequestEnd {
        /// The connection's slot.
        slot: u32,
        /// The exchange.
        serial: u32,
        /// Whether the response did not get through.
        aborted: bool,
    },
    /// A server that stopped listening has no connection left.
    ServerGone {
        /// The server.
        server: u32,
    },
}

/// Appends text as UTF-16; returns how many code units that is.
fn widen(text: &str, wide: &mut Vec<u16>) -> usize {
    let from = wide.len();
    // Never more code units than bytes; the conversion asks for one more.
    wide.resize(from + text.len() + 1, 0);
    let len = mem::convert_str_to_utf16(text, &mut wide[from..]);
    wide.truncate(from + len);
    len
}

/// What a body read gave.
#[derive(Debug)]
pub enum BodyChunk {
    /// Bytes.
    Data(bytes::Bytes),
    /// The body is complete.
    End,
    /// The body cannot be read to its end: the client left, or sent more than the server accepts.
    Failed,
}

/// Events of one I/O thread for one JavaScript thread, in order.
#[derive(Debug, Default)]
pub struct EventBatch {
    /// Payloads.
    pub arena: Vec<u8>,
    /// Text with characters that a byte cannot hold.
    pub wide: Vec<u16>,
    /// Records, in order of arrival.
    pub events: Vec<Event>,
    /// Bytes held outside the arena.
    outside: usize,
}

impl EventBatch {
    /// Adds a message whose payload is already in the arena.
    pub fn push_message(&mut self, id: u32, kind: MessageKind, start: usize, len: usize) {
        self.events.push(Event::Message {
            id,
            kind,
            start: start as u32,
            len: len as u32,
        });
    }

    /// Adds a text message whose UTF-8 bytes are the arena's from `start` on.
    ///
    /// # Errors
    /// [`ProtocolError::InvalidUtf8`]. Nothing is added then.
    pub fn push_text(&mut self, id: u32, start: usize) -> Result<(), ProtocolError> {
        let utf8 = &self.arena[start..];
        if utf8.is_ascii() {
            let len = utf8.len();
            self.push_message(id, MessageKind::Latin1, start, len);
            return Ok(());
        }
        let text = simdutf8::basic::from_utf8(utf8).map_err(|_| ProtocolError::InvalidUtf8)?;
        if mem::is_str_latin1(text) {
            let mut latin1 = vec![0; text.len()];
            let len = mem::convert_utf8_to_latin1_lossy(utf8, &mut latin1);
            self.arena.truncate(start);
            self.arena.extend_from_slice(&latin1[..len]);
            self.push_message(id, MessageKind::Latin1, start, len);
        } else {
            let from = self.wide.len();
            let len = widen(text, &mut self.wide);
            self.arena.truncate(start);
            self.push_message(id, MessageKind::Utf16, from, len);
        }
        Ok(())
    }

    /// The same with UTF-8 in a buffer of its own.
    ///
    /// # Errors
    /// As [`EventBatch::push_text`].
    pub fn push_large_text(&mut self, id: u32, utf8: Vec<u8>) -> Result<(), ProtocolError> {
        if utf8.is_ascii() {
            self.push_large(id, MessageKind::Latin1, utf8);
            return Ok(());
        }
        let text = simdutf8::basic::from_utf8(&utf8).map_err(|_| ProtocolError::InvalidUtf8)?;
        let from = self.wide.len();
        let len = widen(text, &mut self.wide);
        self.push_message(id, MessageKind::Utf16, from, len);
        Ok(())
    }

    /// Adds a message that owns its payload.
    pub fn push_large(&mut self, id: u32, kind: MessageKind, payload: Vec<u8>) {
        self.outside += payload.len();
        self.events.push(Event::LargeMessage {
            id,
            kind,
            payload: Box::new(payload),
        });
    }

    /// Adds the end of a connection.
    pub fn push_close(&mut self, id: u32, code: u16, reason: &str) {
        let start = self.arena.len() as u32;
        self.arena.extend_from_slice(reason.as_bytes());
        self.events.push(Event::Close {
            id,
            code,
            start,
            len: reason.len() as u32,
        });
    }

    /// Adds a piece of a body.
    pub fn push_body(&mut self, slot: u32, serial: u32, chunk: BodyChunk) {
        if let BodyChunk::Data(data) = &chunk {
            self.outside += data.len();
        }
        self.events.push(Event::Body {
            slot,
            serial,
            chunk: Box::new(chunk),
        });
    }

    /// Empties the batch for its next use; lets go of an arena that one large burst has grown.
    pub fn clear(&mut self) {
        const KEEP: usize = 1 << 20;
        self.arena.clear();
        self.wide.clear();
        self.events.clear();
        self.outside = 0;
        if self.arena.capacity() > KEEP {
            self.arena = Vec::new();
        }
        if self.wide.capacity() > KEEP / size_of::<u16>() {
            self.wide = Vec::new();
        }
        if self.events.capacity() > KEEP / size_of::<Event>() {
            self.events = Vec::new();
        }
    }
}

impl Batch for EventBatch {
    fn is_empty(&self) -> bool {
        self.events.is_empty()
    }

    fn append(&mut self, other: &mut Self) {
        let base = self.arena.len() as u32;
        let wide_base = self.wide.len() as u32;
        self.arena.extend_from_slice(&other.arena);
        self.wide.extend_from_slice(&other.wide);
        self.events.extend(other.events.drain(..).map(|mut event| {
            match &mut event {
                Event::Message {
                    kind: MessageKind::Utf16,
                    start,
                    ..
                } => *start += wide_base,
                Event::Message { start, .. } | Event::Close { start, .. } => *start += base,
                _ => {}
            }
            event
        }));
        self.outside += other.outside;
        other.clear();
    }

    fn weight(&self) -> usize {
        self.arena.len()
            + 2 * self.wide.len()
            + self.outside
            + self.events.len() * size_of::<Event>()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn appended_records_point_into_the_joined_arena() {
        let mut first = EventBatch::default();
        first.arena.extend_from_slice(b"one");
        first.push_message(1, MessageKind::Latin1, 0, 3);
        let mut second = EventBatch::default();
        second.arena.extend_from_slice(b"two");
        second.push_message(2, MessageKind::Latin1, 0, 3);
        second.push_close(2, 1000, "bye");
        first.append(&mut second);
        assert!(second.is_empty());
        let texts: Vec<&[u8]> = first
            .events
            .iter()
            .map(|event| match event {
                Event::Message { start, len, .. } | Event::Close { start, len, .. } => {
                    &first.arena[*start as usize..(*start + *len) as usize]
                }
                _ => unreachable!("only these were pushed"),
            })
            .collect();
        assert_eq!(texts, [&b"one"[..], b"two", b"bye"]);
    }

    #[test]
    fn text_becomes_what_strings_are_made_of() {
        let mut joined = EventBatch::default();
        let texts = [
            "plain",
            "caf\u{e9}",
            "\u{65e5}\u{672c} \u{1f600}",
            "\u{ff}",
            "\u{100}",
        ];
        for half in [&texts[..2], &texts[2..]] {
            let mut batch = EventBatch::default();
            batch.arena.extend_from_slice(b"before");
            for (id, text) in half.iter().enumerate() {
                let start = batch.arena.len();
                batch.arena.extend_from_slice(text.as_bytes());
                assert_eq!(batch.push_text(id as u32, start), Ok(()));
            }
            let large = "\u{416}".repeat(40_000);
            assert_eq!(batch.push_large_text(9, large.into_bytes()), Ok(()));
            joined.append(&mut batch);
        }
        let seen: Vec<_> = joined
            .events
            .iter()
            .map(|event| {
                let Event::Message {
                    kind, start, len, ..
                } = event
                else {
                    panic!("not in the batch: {event:?}");
                };
                let range = *start as usize..(*start + *len) as usize;
                match kind {
                    MessageKind::Latin1 => {
                        joined.arena[range].iter().map(|b| char::from(*b)).collect()
                    }
                    _ => String::from_utf16_lossy(&joined.wide[range]),
                }
            })
            .collect();
        let large = "\u{416}".repeat(40_000);
        let expected = [
            texts[0], texts[1], &large, texts[2], texts[3], texts[4], &large,
        ];
        assert_eq!(seen, expected);
    }

    #[test]
    fn what_is_not_utf8_is_no_text() {
        let mut batch = EventBatch::default();
        batch.arena.extend_from_slice(b"ok\xc3");
        assert_eq!(batch.push_text(1, 2), Err(ProtocolError::InvalidUtf8));
        assert_eq!(
            batch.push_large_text(1, vec![0xed, 0xa0, 0x80]),
            Err(ProtocolError::InvalidUtf8)
        );
        assert!(batch.is_empty());
    }

    #[test]
    fn a_record_stays_small() {
        assert!(size_of::<Event>() <= 24, "{}", size_of::<Event>());
    }
}
