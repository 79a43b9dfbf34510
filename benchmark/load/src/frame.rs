//! RFC 6455 frames as a client sees them: it sends masked ones and accepts only unmasked ones.

use crate::error::{Error, Result};

pub const TEXT: u8 = 0x1;
pub const BINARY: u8 = 0x2;
pub const CLOSE: u8 = 0x8;
pub const PING: u8 = 0x9;
pub const PONG: u8 = 0xA;

const FIN: u8 = 0x80;
const RSV: u8 = 0x70;
const MASK: u8 = 0x80;
const MAX_CONTROL: usize = 125;

/// Appends a masked frame whose payload `fill` appends to the buffer.
pub fn write_masked(
    out: &mut Vec<u8>,
    opcode: u8,
    size: usize,
    key: [u8; 4],
    fill: impl FnOnce(&mut Vec<u8>),
) {
    out.push(FIN | opcode);
    match size {
        0..=125 => out.push(MASK | size as u8),
        126..=0xFFFF => {
            out.push(MASK | 126);
            out.extend_from_slice(&(size as u16).to_be_bytes());
        }
        _ => {
            out.push(MASK | 127);
            out.extend_from_slice(&(size as u64).to_be_bytes());
        }
    }
    out.extend_from_slice(&key);
    let start = out.len();
    fill(out);
    debug_assert_eq!(out.len() - start, size);
    mask(&mut out[start..], key);
}

fn mask(bytes: &mut [u8], key: [u8; 4]) {
    let wide = u64::from_ne_bytes([
        key[0], key[1], key[2], key[3], key[0], key[1], key[2], key[3],
    ]);
    let mut words = bytes.chunks_exact_mut(8);
    for word in &mut words {
        let masked = u64::from_ne_bytes((&*word).try_into().unwrap()) ^ wide;
        word.copy_from_slice(&masked.to_ne_bytes());
    }
    for (byte, k) in words.into_remainder().iter_mut().zip(key.iter().cycle()) {
        *byte ^= k;
    }
}

/// A whole frame at the front of the input.
#[derive(Debug, PartialEq, Eq)]
pub struct Frame<'a> {
    pub opcode: u8,
    pub payload: &'a [u8],
    /// Bytes that header and payload take.
    pub len: usize,
}

/// Reads one frame; `None` if it is not complete yet. Anything that a server may not send, and fragments, which none
/// of the measured servers has a reason to send, are errors.
pub fn read(input: &[u8]) -> Result<Option<Frame<'_>>> {
    let [first, second, rest @ ..] = input else {
        return Ok(None);
    };
    let opcode = first & 0x0F;
    if first & RSV != 0 {
        return Err(Error::Server(format!(
            "frame with reserved bits 0x{:02X}, though no extension is in use",
            first & RSV
        )));
    }
    if first & FIN == 0 {
        return Err(Error::Server("fragmented message".into()));
    }
    if !matches!(opcode, TEXT | BINARY | CLOSE | PING | PONG) {
        return Err(Error::Server(format!("unexpected opcode 0x{opcode:X}")));
    }
    if second & MASK != 0 {
        return Err(Error::Server("masked frame".into()));
    }
    let short = usize::from(second & 0x7F);
    if opcode >= CLOSE && short > MAX_CONTROL {
        return Err(Error::Server("control frame of more than 125 bytes".into()));
    }
    let (extra, size, least) = match short {
        126 => match rest.first_chunk::<2>() {
            Some(bytes) => (2, u64::from(u16::from_be_bytes(*bytes)), 126),
            None => return Ok(None),
        },
        127 => match rest.first_chunk::<8>() {
            Some(bytes) => (8, u64::from_be_bytes(*bytes), 0x1_0000),
            None => return Ok(None),
        },
        size => (0, size as u64, 0),
    };
    if size < least {
        return Err(Error::Server(format!(
            "length {size} not in its shortest form"
        )));
    }
    let size = usize::try_from(size)
        .ok()
        .filter(|size| *size <= 1 << 30)
        .ok_or_else(|| Error::Server(format!("frame of {size} bytes")))?;
    let header = 2 + extra;
    Ok(input.get(header..header + size).map(|payload| Frame {
        opcode,
        payload,
        len: header + size,
    }))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reads_each_length_form_at_its_limits() {
        for size in [0usize, 1, 125, 126, 0xFFFF, 0x1_0000] {
            let mut bytes = vec![FIN | BINARY];
            match size {
                0..=125 => bytes.push(size as u8),
                126..=0xFFFF => {
                    bytes.push(126);
                    bytes.extend((size as u16).to_be_bytes());
                }
                _ => {
                    bytes.push(127);
                    bytes.extend((size as u64).to_be_bytes());
                }
            }
            bytes.resize(bytes.len() + size, 7);
            let whole = read(&bytes).unwrap().unwrap();
            assert_eq!(
                (whole.opcode, whole.payload.len(), whole.len),
                (BINARY, size, bytes.len())
            );
            assert_eq!(read(&bytes[..bytes.len() - 1]).unwrap(), None);
        }
    }

    #[test]
    fn refuses_what_a_server_may_not_send() {
        let bad: [&[u8]; 7] = [
            &[0xC1, 0],                                 // reserved bit
            &[0x01, 0],                                 // fragment
            &[0x83, 0],                                 // unknown opcode
            &[0x81, 0x80, 0, 0, 0, 0],                  // masked
            &[0x89, 126, 0, 126],                       // long control frame
            &[0x82, 126, 0, 125],                       // 16-bit length where 7 bits do
            &[0x82, 127, 0, 0, 0, 0, 0, 0, 0xFF, 0xFF], // 64-bit length where 16 bits do
        ];
        for bytes in bad {
            assert!(read(bytes).is_err(), "{bytes:02X?}");
        }
    }

    #[test]
    fn masks_as_the_example_in_the_rfc() {
        let mut out = Vec::new();
        write_masked(&mut out, TEXT, 5, [0x37, 0xFA, 0x21, 0x3D], |out| {
            out.extend_from_slice(b"Hello")
        });
        assert_eq!(
            out,
            [
                0x81, 0x85, 0x37, 0xFA, 0x21, 0x3D, 0x7F, 0x9F, 0x4D, 0x51, 0x58
            ]
        );
    }

    #[test]
    fn wide_masking_equals_the_definition() {
        let key = [0x12, 0x34, 0x56, 0x78];
        for size in 0..40usize {
            let plain: Vec<u8> = (0..size as u8).collect();
            let expected: Vec<u8> = plain
                .iter()
                .enumerate()
                .map(|(i, b)| b ^ key[i % 4])
                .collect();
            let mut got = plain;
            mask(&mut got, key);
            assert_eq!(got, expected);
        }
    }
}
