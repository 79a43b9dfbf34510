//! Frames to write (RFC 6455, 5.2). A server's frames are not masked (5.1), and ours are never fragmented.

use super::{CloseCode, Opcode};

/// Bytes of the longest header of an unmasked frame.
pub const MAX_HEADER: usize = 10;

/// Bytes of the header in front of a payload of `payload_len` bytes: 2, 4 or 10.
#[must_use]
#[inline]
pub const fn header_len(payload_len: usize) -> usize {
    match payload_len {
        0..=125 => 2,
        126..=0xffff => 4,
        _ => MAX_HEADER,
    }
}

/// Appends the header of a final frame to `out`.
#[inline]
pub fn put_header(out: &mut Vec<u8>, opcode: Opcode, rsv1: bool, payload_len: usize) {
    let (header, len) = header(opcode, rsv1, payload_len);
    out.extend_from_slice(&header[..len]);
}

/// Writes the header of a final frame to the front of `out` and returns its length in bytes.
///
/// # Panics
///
/// If `out` is shorter than [`header_len`]`(payload_len)`.
#[inline]
pub fn write_header(out: &mut [u8], opcode: Opcode, rsv1: bool, payload_len: usize) -> usize {
    let (header, len) = header(opcode, rsv1, payload_len);
    out[..len].copy_from_slice(&header[..len]);
    len
}

/// Appends a whole uncompressed frame to `out`.
pub fn put_frame(out: &mut Vec<u8>, opcode: Opcode, payload: &[u8]) {
    out.reserve(header_len(payload.len()) + payload.len());
    put_header(out, opcode, false, payload.len());
    out.extend_from_slice(payload);
}

/// A frame that has been begun: where, and how much room its header has.
#[derive(Debug)]
pub struct OpenFrame {
    start: usize,
    header: usize,
}

/// Begins a frame whose payload is appended next. Its length is not known yet: there is room for the header of `guess`
/// bytes.
#[inline]
#[must_use]
pub fn begin_frame(out: &mut Vec<u8>, guess: usize) -> OpenFrame {
    let (start, header) = (out.len(), header_len(guess));
    out.extend_from_slice(&[0; MAX_HEADER][..header]);
    OpenFrame { start, header }
}

/// Writes the header in front of what has been appended, which is moved if the guess was wrong. Returns the length of
/// the payload.
#[inline]
pub fn finish_frame(out: &mut Vec<u8>, frame: &OpenFrame, opcode: Opcode, rsv1: bool) -> usize {
    let OpenFrame { start, header } = *frame;
    let len = out.len() - start - header;
    let real = header_len(len);
    if real != header {
        out.resize(start + real.max(header) + len, 0);
        out.copy_within(start + header..start + header + len, start + real);
        out.truncate(start + real + len);
    }
    write_header(&mut out[start..], opcode, rsv1, len);
    len
}

/// Appends a close frame to `out`. `reason` is cut as by [`cut_reason`].
///
/// The codes 0, 1005 and 1006 stand for a frame without payload; the reason is then dropped. No other code is
/// refused, because Bun's `close(code)` refuses none.
pub fn put_close(out: &mut Vec<u8>, code: u16, reason: &str) {
    if code == 0 || code == CloseCode::NO_STATUS.get() || code == CloseCode::ABNORMAL.get() {
        put_header(out, Opcode::Close, false, 0);
        return;
    }
    let reason = cut_reason(reason);
    put_header(out, Opcode::Close, false, size_of_val(&code) + reason.len());
    out.extend_from_slice(&code.to_be_bytes());
    out.extend_from_slice(reason.as_bytes());
}

/// The longest front part of `reason` that fits a close frame beside the code: at most 123 bytes, whole characters.
#[must_use]
pub fn cut_reason(reason: &str) -> &str {
    let mut end = reason.len().min(MAX_REASON);
    while !reason.is_char_boundary(end) {
        end -= 1;
    }
    &reason[..end]
}

#[inline]
fn header(opcode: Opcode, rsv1: bool, payload_len: usize) -> ([u8; MAX_HEADER], usize) {
    let mut header = [0; MAX_HEADER];
    header[0] = FIN | if rsv1 { RSV1 } else { 0 } | opcode as u8;
    let len = header_len(payload_len);
    let length = (payload_len as u64).to_be_bytes();
    match len {
        2 => header[1] = length[7],
        4 => {
            header[1] = LEN_16;
            header[2..4].copy_from_slice(&length[6..]);
        }
        _ => {
            header[1] = LEN_64;
            header[2..].copy_from_slice(&length);
        }
    }
    (header, len)
}

const FIN: u8 = 0x80;
const RSV1: u8 = 0x40;
const LEN_16: u8 = 126;
const LEN_64: u8 = 127;
/// Bytes: 125 of a control frame's payload, less two for the code.
const MAX_REASON: usize = 123;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn uses_the_shortest_length_form() {
        let cases: [(usize, &[u8]); 6] = [
            (0, &[0x82, 0]),
            (125, &[0x82, 125]),
            (126, &[0x82, 126, 0, 126]),
            (65_535, &[0x82, 126, 0xff, 0xff]),
            (65_536, &[0x82, 127, 0, 0, 0, 0, 0, 1, 0, 0]),
            (0x0102_0304, &[0x82, 127, 0, 0, 0, 0, 1, 2, 3, 4]),
        ];
        for (payload_len, bytes) in cases {
            let mut appended = vec![7];
            put_header(&mut appended, Opcode::Binary, false, payload_len);
            assert_eq!(&appended[1..], bytes);
            let mut written = [7; MAX_HEADER + 1];
            let len = write_header(&mut written, Opcode::Binary, false, payload_len);
            assert_eq!(&written[..len], bytes);
            assert!(
                written[len..].iter().all(|&byte| byte == 7),
                "wrote past the header"
            );
            assert_eq!(len, header_len(payload_len));
        }
    }

    #[test]
    fn a_wrong_guess_moves_the_payload() {
        for guess in [0, 125, 126, 65_535, 65_536] {
            for len in [0, 1, 125, 126, 300, 65_535, 65_536] {
                let payload: Vec<u8> = (0..len).map(|at| at as u8).collect();
                let mut out = vec![7];
                let frame = begin_frame(&mut out, guess);
                out.extend_from_slice(&payload);
                assert_eq!(finish_frame(&mut out, &frame, Opcode::Text, true), len);
                let mut expected = vec![7];
                put_header(&mut expected, Opcode::Text, true, len);
                expected.extend_from_slice(&payload);
                assert_eq!(out, expected, "{guess}, {len}");
            }
        }
    }

    #[test]
    fn sets_rsv1_when_asked() {
        let mut out = Vec::new();
        put_header(&mut out, Opcode::Text, true, 3);
        assert_eq!(out, [0xc1, 3]);
    }

    #[test]
    fn close_frames_carry_code_and_reason() {
        let close = |code, reason: &str| {
            let mut out = Vec::new();
            put_close(&mut out, code, reason);
            out
        };
        assert_eq!(close(1000, "bye"), b"\x88\x05\x03\xe8bye");
        assert_eq!(close(65_535, ""), b"\x88\x02\xff\xff");
        for code in [0, 1005, 1006] {
            assert_eq!(close(code, "dropped"), b"\x88\x00");
        }
        assert_eq!(close(1000, &"x".repeat(500)).len(), 2 + 125);
    }

    #[test]
    fn cuts_reasons_at_a_character() {
        let cut = |reason: &str| cut_reason(reason).len();
        assert_eq!(cut(&"x".repeat(122)), 122);
        assert_eq!(cut(&"x".repeat(123)), 123);
        assert_eq!(cut(&"x".repeat(124)), 123);
        assert_eq!(cut(&format!("{}é", "x".repeat(121))), 123);
        assert_eq!(cut(&format!("{}é", "x".repeat(122))), 122);
        assert_eq!(cut(&"😀".repeat(40)), 120);
    }
}
