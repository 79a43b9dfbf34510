//! The frame header (RFC 6455, 5.2).

use super::{Opcode, ProtocolError};

/// The header of a frame from a client, once it has passed every rule that needs no knowledge of other frames.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct FrameHeader {
    /// What the frame is for.
    pub opcode: Opcode,
    /// FIN: last or only frame of its message.
    pub fin: bool,
    /// RSV1: the message is compressed (RFC 7692, 6). Only ever set on a text or binary frame.
    pub rsv1: bool,
    /// The masking key.
    pub key: [u8; 4],
    /// Payload length in bytes, as the peer claims it: nothing of it need have arrived.
    pub payload_len: u64,
}

impl FrameHeader {
    /// Bytes of the longest header a client sends: two, an eight-byte length, the masking key.
    pub const MAX_LEN: usize = 14;

    /// Reads a header from the front of `input` and returns it with the input behind it. `Ok(None)` means that more
    /// bytes are needed. Lengths need not be in their shortest form.
    ///
    /// `rsv1_allowed` says whether permessage-deflate was negotiated.
    ///
    /// # Errors
    ///
    /// Found as soon as the first two bytes are there, the first of these that applies: unmasked, RSV1, RSV2 or
    /// RSV3, opcode, fragmented control frame, control frame over 125 bytes. The order is Bun's.
    #[inline]
    pub fn parse(input: &[u8], rsv1_allowed: bool) -> Result<Option<(Self, &[u8])>, ProtocolError> {
        let Some((&[first, second], rest)) = input.split_first_chunk::<2>() else {
            return Ok(None);
        };
        let opcode = check(first, second, rsv1_allowed)?;
        let (payload_len, rest) = match second & LEN {
            LEN_16 => match rest.split_first_chunk::<2>() {
                Some((bytes, rest)) => (u64::from(u16::from_be_bytes(*bytes)), rest),
                None => return Ok(None),
            },
            LEN_64 => match rest.split_first_chunk::<8>() {
                Some((bytes, rest)) => (u64::from_be_bytes(*bytes), rest),
                None => return Ok(None),
            },
            len => (u64::from(len), rest),
        };
        let Some((&key, rest)) = rest.split_first_chunk::<4>() else {
            return Ok(None);
        };
        let header = Self {
            opcode,
            fin: first & FIN != 0,
            rsv1: first & RSV1 != 0,
            key,
            payload_len,
        };
        Ok(Some((header, rest)))
    }
}

/// Judges the two bytes that every header begins with.
#[inline]
fn check(first: u8, second: u8, rsv1_allowed: bool) -> Result<Opcode, ProtocolError> {
    if second & MASK == 0 {
        return Err(ProtocolError::UnmaskedFrame);
    }
    let opcode = Opcode::from_bits(first & OPCODE);
    if first & RSV1 != 0 {
        let may_compress = matches!(opcode, Some(Opcode::Text | Opcode::Binary));
        if !(rsv1_allowed && may_compress) {
            return Err(ProtocolError::UnexpectedRsv1);
        }
    }
    if first & (RSV2 | RSV3) != 0 {
        return Err(ProtocolError::UnexpectedRsv2Or3);
    }
    let opcode = opcode.ok_or(ProtocolError::InvalidOpcode)?;
    if opcode.is_control() {
        if first & FIN == 0 {
            return Err(ProtocolError::FragmentedControlFrame);
        }
        if second & LEN > MAX_CONTROL_PAYLOAD {
            return Err(ProtocolError::ControlFrameTooBig);
        }
    }
    Ok(opcode)
}

const FIN: u8 = 0x80;
const RSV1: u8 = 0x40;
const RSV2: u8 = 0x20;
const RSV3: u8 = 0x10;
const OPCODE: u8 = 0x0f;
const MASK: u8 = 0x80;
const LEN: u8 = 0x7f;
/// Length field: the length is in the next two bytes.
const LEN_16: u8 = 126;
/// Length field: the length is in the next eight bytes.
const LEN_64: u8 = 127;
/// Bytes. As every longer length needs an extended form, this judges the length field itself.
const MAX_CONTROL_PAYLOAD: u8 = 125;

#[cfg(test)]
mod tests {
    use super::*;

    fn error_of(first: u8, second: u8, rsv1_allowed: bool) -> Option<ProtocolError> {
        FrameHeader::parse(&[first, second], rsv1_allowed).err()
    }

    #[test]
    fn reads_the_three_length_forms() {
        let forms: [(&[u8], u64); 5] = [
            (&[0x82, 0xfd, 1, 2, 3, 4], 125),
            (&[0x82, 0xfe, 0x01, 0x00, 1, 2, 3, 4], 256),
            (&[0x82, 0xff, 0, 0, 0, 1, 0, 0, 0, 0, 1, 2, 3, 4], 1 << 32),
            // not in the shortest form
            (&[0x82, 0xfe, 0, 5, 1, 2, 3, 4], 5),
            (&[0x82, 0xff, 0, 0, 0, 0, 0, 0, 0, 5, 1, 2, 3, 4], 5),
        ];
        for (bytes, payload_len) in forms {
            for cut in 0..bytes.len() {
                assert_eq!(
                    FrameHeader::parse(&bytes[..cut], false),
                    Ok(None),
                    "{cut} bytes"
                );
            }
            let mut longer = bytes.to_vec();
            longer.push(9);
            let expected = FrameHeader {
                opcode: Opcode::Binary,
                fin: true,
                rsv1: false,
                key: [1, 2, 3, 4],
                payload_len,
            };
            assert_eq!(
                FrameHeader::parse(&longer, false),
                Ok(Some((expected, &[9][..])))
            );
        }
    }

    #[test]
    fn names_the_first_broken_rule() {
        use ProtocolError::{
            ControlFrameTooBig, FragmentedControlFrame, InvalidOpcode, UnexpectedRsv1,
            UnexpectedRsv2Or3, UnmaskedFrame,
        };
        let cases = [
            (b'G', b'E', UnmaskedFrame),          // an HTTP request
            (0xf3, 0x01, UnmaskedFrame),          // and RSV1 to 3, opcode 3
            (0xf3, 0x81, UnexpectedRsv1),         // and RSV2, RSV3, opcode 3
            (0x49, 0xfe, UnexpectedRsv1),         // and a fragmented, too big ping
            (0xa3, 0x81, UnexpectedRsv2Or3),      // and opcode 3
            (0x9b, 0xfe, UnexpectedRsv2Or3),      // and opcode 11
            (0x0b, 0xfe, InvalidOpcode),          // and neither FIN nor a short length
            (0x09, 0xfe, FragmentedControlFrame), // and too big
            (0x89, 0xfe, ControlFrameTooBig),
            (0x88, 0xff, ControlFrameTooBig),
        ];
        for (first, second, error) in cases {
            assert_eq!(
                error_of(first, second, false),
                Some(error),
                "{first:02x} {second:02x}"
            );
        }
    }

    #[test]
    fn rsv1_begins_data_messages_only() {
        assert_eq!(error_of(0xc1, 0x80, true), None);
        assert_eq!(error_of(0x42, 0x80, true), None);
        assert_eq!(
            error_of(0xc1, 0x80, false),
            Some(ProtocolError::UnexpectedRsv1)
        );
        for opcode in [0x0, 0x3, 0x8, 0x9, 0xa, 0xb] {
            assert_eq!(
                error_of(0xc0 | opcode, 0x80, true),
                Some(ProtocolError::UnexpectedRsv1)
            );
        }
        assert_eq!(
            error_of(0xe1, 0x80, true),
            Some(ProtocolError::UnexpectedRsv2Or3)
        );
    }
}
