//! Events in: what the I/O threads have for a JavaScript thread, as records over one arena a batch.

use super::mailbox::Batch;
use crate::session::shared::SocketShared;
use std::sync::Arc;

/// What a payload is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum MessageKind {
    /// A text message whose bytes are all ASCII.
    Ascii,
    /// A text message with at least one byte outside ASCII; valid UTF-8.
    Utf8,
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
    /// The method, as sent.
    pub method: Box<str>,
    /// The request target, as sent.
    pub target: Box<[u8]>,
    /// `name: value\n` for each field, names in lower case, values as Latin-1 bytes.
    pub fields: Vec<u8>,
    /// What `upgrade()` may do with it: 0 not a handshake, 1 a good one, 2 one with a wrong version.
    pub handshake: u8,
    /// Whether the socket it may become will compress.
    pub deflates: bool,
    /// Bit 0: has a body; bit 1: HTTP/1.0.
    pub flags: u32,
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
        self.events.clear();
        self.outside = 0;
        if self.arena.capacity() > KEEP {
            self.arena = Vec::new();
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
        self.arena.extend_from_slice(&other.arena);
        self.events.extend(other.events.drain(..).map(|mut event| {
            if let Event::Message { start, .. } | Event::Close { start, .. } = &mut event {
                *start += base;
            }
            event
        }));
        self.outside += other.outside;
        other.clear();
    }

    fn weight(&self) -> usize {
        self.arena.len() + self.outside + self.events.len() * size_of::<Event>()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn appended_records_point_into_the_joined_arena() {
        let mut first = EventBatch::default();
        first.arena.extend_from_slice(b"one");
        first.push_message(1, MessageKind::Ascii, 0, 3);
        let mut second = EventBatch::default();
        second.arena.extend_from_slice(b"two");
        second.push_message(2, MessageKind::Ascii, 0, 3);
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
    fn a_record_stays_small() {
        assert!(size_of::<Event>() <= 24, "{}", size_of::<Event>());
    }
}
