//! Opcodes (RFC 6455, 5.2 and 11.8).

/// What a frame is for: the low four bits of its first byte.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[repr(u8)]
pub enum Opcode {
    /// A further fragment of the message that is open.
    Continuation = 0x0,
    /// First or only frame of a UTF-8 message.
    Text = 0x1,
    /// First or only frame of a message of bytes.
    Binary = 0x2,
    /// Begins or answers the closing handshake.
    Close = 0x8,
    /// Asks for a pong with the same payload.
    Ping = 0x9,
    /// Answers a ping, or comes unasked.
    Pong = 0xa,
}

impl Opcode {
    /// The opcode for four bits off the wire; `None` for the reserved ones (3 to 7 and 11 to 15) and for anything
    /// above 15.
    #[must_use]
    #[inline]
    pub const fn from_bits(bits: u8) -> Option<Self> {
        match bits {
            0x0 => Some(Self::Continuation),
            0x1 => Some(Self::Text),
            0x2 => Some(Self::Binary),
            0x8 => Some(Self::Close),
            0x9 => Some(Self::Ping),
            0xa => Some(Self::Pong),
            _ => None,
        }
    }

    /// Whether this is a control frame: never fragmented, at most 125 bytes, allowed between fragments (5.5).
    #[must_use]
    #[inline]
    pub const fn is_control(self) -> bool {
        self as u8 & 0x8 != 0
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_known_opcode_survives_the_wire() {
        for bits in 0..=u8::MAX {
            match Opcode::from_bits(bits) {
                Some(opcode) => assert_eq!(opcode as u8, bits),
                None => assert!(matches!(bits, 3..=7 | 11..=u8::MAX)),
            }
        }
    }

    #[test]
    fn control_opcodes_have_the_high_bit() {
        use Opcode::{Binary, Close, Continuation, Ping, Pong, Text};
        assert!([Close, Ping, Pong].into_iter().all(Opcode::is_control));
        assert!(
            ![Continuation, Text, Binary]
                .into_iter()
                .any(Opcode::is_control)
        );
    }
}
