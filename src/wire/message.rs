//! Fragments to messages (RFC 6455, 5.4), and what the decoder hands out.

use super::mask::turned;
use super::{FrameHeader, Limits, Opcode, ProtocolError, Utf8Validator, unmask_append};

/// A whole message or control frame.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Frame {
    /// What it is.
    pub kind: FrameKind,
    /// Its payload, unmasked.
    pub payload: Payload,
    /// The payload is still to be inflated (RFC 7692). Text that is compressed has not been checked for UTF-8.
    pub compressed: bool,
}

/// What a [`Frame`] is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum FrameKind {
    /// A message of text: valid UTF-8, unless it is compressed.
    Text {
        /// Every byte is ASCII. Always false for compressed text.
        ascii: bool,
    },
    /// A message of bytes.
    Binary,
    /// A ping: to be answered with a pong of the same payload.
    Ping,
    /// A pong.
    Pong,
    /// A close frame: [`parse_close`](super::parse_close) reads the payload. Nothing comes after it.
    Close,
}

/// Where the payload of a [`Frame`] is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Payload {
    /// In the arena handed to [`Decoder::next`](super::Decoder::next), at its end.
    Arena {
        /// Index of the first byte.
        start: usize,
        /// Length in bytes.
        len: usize,
    },
    /// In a buffer of its own: a message of at least [`LARGE`] bytes that came in pieces.
    Owned(Vec<u8>),
}

impl Payload {
    /// Where the payload begins if it is in `arena`; the arena's end if it is not.
    #[must_use]
    pub fn start_in(&self, arena: &[u8]) -> usize {
        match self {
            Self::Arena { start, .. } => *start,
            Self::Owned(_) => arena.len(),
        }
    }
}

/// Bytes from which a message that came in pieces keeps the buffer it was put together in. Below, a copy to the
/// arena is cheaper than a buffer of its own on the way up.
pub const LARGE: usize = 64 * 1024;

/// A message of which something has arrived, but not all.
#[derive(Debug)]
pub(super) struct Message {
    kind: Kind,
    compressed: bool,
    /// Grows with what has arrived, never with what a header claims.
    payload: Vec<u8>,
    fragment: Fragment,
}

/// The frame that the message is at.
#[derive(Debug)]
struct Fragment {
    fin: bool,
    /// Turned to the next byte.
    key: [u8; 4],
    /// Payload bytes still to come. With 0 and no `fin` the next fragment's header is awaited.
    remaining: u64,
}

#[derive(Debug)]
enum Kind {
    Text {
        ascii: bool,
        utf8: Utf8Validator,
    },
    /// Also compressed text: `text` only says which.
    Unchecked {
        text: bool,
    },
}

impl Message {
    /// Starts with the header of a text or binary frame.
    pub(super) fn begin(header: &FrameHeader, limits: Limits) -> Result<Self, ProtocolError> {
        admit(0, header, limits)?;
        let text = header.opcode == Opcode::Text;
        let kind = if text && !header.rsv1 {
            Kind::Text {
                ascii: true,
                utf8: Utf8Validator::new(),
            }
        } else {
            Kind::Unchecked { text }
        };
        Ok(Self {
            kind,
            compressed: header.rsv1,
            payload: Vec::new(),
            fragment: Fragment::new(header),
        })
    }

    /// Goes on with the header of a continuation.
    pub(super) fn resume(
        &mut self,
        header: &FrameHeader,
        limits: Limits,
    ) -> Result<(), ProtocolError> {
        let limits = if self.compressed {
            limits.packed()
        } else {
            limits
        };
        admit(self.payload.len(), header, limits)?;
        self.fragment = Fragment::new(header);
        Ok(())
    }

    /// Whether the bytes to come are payload, not a header.
    pub(super) fn awaits_payload(&self) -> bool {
        self.fragment.remaining > 0
    }

    /// Whether the last byte of the last fragment has been taken.
    pub(super) fn is_complete(&self) -> bool {
        self.fragment.fin && self.fragment.remaining == 0
    }

    /// Takes payload of the current fragment from the front of `input` and returns what is behind it.
    pub(super) fn append<'a>(&mut self, input: &'a [u8]) -> Result<&'a [u8], ProtocolError> {
        let (piece, rest) = split_at_most(input, self.fragment.remaining);
        self.make_room(piece.len())?;
        let start = self.payload.len();
        let piece_is_ascii = unmask_append(&mut self.payload, piece, self.fragment.key);
        self.fragment.key = turned(self.fragment.key, piece.len());
        self.fragment.remaining -= piece.len() as u64;
        if let Kind::Text { ascii, utf8 } = &mut self.kind {
            *ascii &= piece_is_ascii;
            if !(piece_is_ascii && utf8.is_complete()) {
                utf8.push(&self.payload[start..])?;
            }
        }
        Ok(rest)
    }

    /// The whole message, moved to `arena` unless it is large.
    pub(super) fn finish(self, arena: &mut Vec<u8>) -> Result<Frame, ProtocolError> {
        let kind = match self.kind {
            Kind::Text { ascii, utf8 } => {
                utf8.finish()?;
                FrameKind::Text { ascii }
            }
            Kind::Unchecked { text: true } => FrameKind::Text { ascii: false },
            Kind::Unchecked { text: false } => FrameKind::Binary,
        };
        let payload = if self.payload.len() >= LARGE {
            Payload::Owned(self.payload)
        } else {
            let start = arena.len();
            arena.extend_from_slice(&self.payload);
            Payload::Arena {
                start,
                len: self.payload.len(),
            }
        };
        Ok(Frame {
            kind,
            payload,
            compressed: self.compressed,
        })
    }

    /// Makes room for `more` bytes that have arrived. Capacity at most doubles what has arrived, and stops at the end
    /// of the message where that is known.
    fn make_room(&mut self, more: usize) -> Result<(), ProtocolError> {
        let len = self.payload.len();
        if more <= self.payload.capacity() - len {
            return Ok(());
        }
        let doubled = more.saturating_add(len).saturating_add(more);
        let room = if self.fragment.fin {
            usize::try_from(self.fragment.remaining).map_or(doubled, |rest| rest.min(doubled))
        } else {
            doubled
        };
        self.payload
            .try_reserve_exact(room)
            .map_err(|_| ProtocolError::OutOfMemory)
    }
}

impl Fragment {
    fn new(header: &FrameHeader) -> Self {
        Self {
            fin: header.fin,
            key: header.key,
            remaining: header.payload_len,
        }
    }
}

/// Whether the frame's payload may follow the `received` bytes of a message.
#[inline]
pub(super) fn admit(
    received: usize,
    header: &FrameHeader,
    limits: Limits,
) -> Result<(), ProtocolError> {
    let limits = if header.rsv1 { limits.packed() } else { limits };
    // 5.2: the top bit of a 64-bit length must be 0, whatever the limit is.
    let max = limits.max_payload_length.min(u64::MAX >> 1);
    match (received as u64).checked_add(header.payload_len) {
        Some(total) if total <= max => Ok(()),
        _ => Err(ProtocolError::MessageTooBig),
    }
}

/// Splits off at most `len` bytes. Safe for any claimed length, also on machines where it does not fit a `usize`.
pub(super) fn split_at_most(input: &[u8], len: u64) -> (&[u8], &[u8]) {
    usize::try_from(len)
        .ok()
        .and_then(|len| input.split_at_checked(len))
        .unwrap_or((input, &[]))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn header(fin: bool, payload_len: u64) -> FrameHeader {
        FrameHeader {
            opcode: Opcode::Binary,
            fin,
            rsv1: false,
            key: [0; 4],
            payload_len,
        }
    }

    const NO_LIMIT: Limits = Limits {
        max_payload_length: u64::MAX,
    };

    #[test]
    fn memory_follows_what_has_arrived() {
        for fin in [false, true] {
            let claimed = header(fin, 1 << 40);
            let mut message = Message::begin(&claimed, NO_LIMIT).expect("within the limit");
            let mut grown = 0;
            for received in (1..=100).map(|pieces| pieces * 1000) {
                let before = message.payload.capacity();
                assert_eq!(message.append(&[7; 1000]), Ok(&[][..]));
                let after = message.payload.capacity();
                assert!(after <= 2 * received, "{after} bytes for {received}");
                grown += usize::from(after != before);
            }
            assert!(grown < 10, "grew {grown} times in 100 pieces");
        }
    }

    #[test]
    fn small_fragments_do_not_grow_the_buffer_one_by_one() {
        let mut message = Message::begin(&header(false, 0), NO_LIMIT).expect("within the limit");
        let mut grown = 0;
        for _ in 0..1000 {
            let before = message.payload.capacity();
            message
                .resume(&header(false, 1), NO_LIMIT)
                .expect("within the limit");
            assert_eq!(message.append(&[7]), Ok(&[][..]));
            grown += usize::from(message.payload.capacity() != before);
        }
        assert!(grown < 20, "grew {grown} times in 1000 fragments");
    }

    #[test]
    fn takes_no_more_than_the_fragment_has() {
        let mut message = Message::begin(&header(true, 3), NO_LIMIT).expect("within the limit");
        assert_eq!(message.append(b"ab"), Ok(&[][..]));
        assert!(message.awaits_payload() && !message.is_complete());
        assert_eq!(message.append(b"cde"), Ok(&b"de"[..]));
        assert!(message.is_complete());
        assert_eq!(message.payload, b"abc");
    }

    #[test]
    fn sums_are_judged_without_overflow() {
        let limits = Limits {
            max_payload_length: 10,
        };
        let too_big = Err(ProtocolError::MessageTooBig);
        let admit = |received, len, limits| admit(received, &header(false, len), limits);
        assert_eq!(admit(4, 5, limits), Ok(()));
        assert_eq!(admit(4, 6, limits), Ok(()));
        assert_eq!(admit(4, 7, limits), too_big);
        assert_eq!(admit(4, u64::MAX, limits), too_big);
        assert_eq!(admit(0, u64::MAX >> 1, NO_LIMIT), Ok(()));
        assert_eq!(admit(0, 1 << 63, NO_LIMIT), too_big);
    }

    #[test]
    fn compressed_messages_may_be_a_little_longer_on_the_wire() {
        let limits = Limits {
            max_payload_length: 1000,
        };
        let compressed = |len| FrameHeader {
            rsv1: true,
            ..header(false, len)
        };
        assert_eq!(admit(0, &compressed(1189), limits), Ok(()));
        assert!(admit(0, &compressed(1190), limits).is_err());
        let mut message = Message::begin(&compressed(500), limits).expect("within the limit");
        assert_eq!(message.append(&[0; 500]), Ok(&[][..]));
        assert_eq!(message.resume(&header(true, 689), limits), Ok(()));
        assert!(message.resume(&header(true, 690), limits).is_err());
        assert!(admit(0, &compressed(u64::MAX), NO_LIMIT).is_err());
    }
}
