//! Responses to bytes (RFC 9112): the head in Bun's order and spelling, and the chunked coding.

use super::request::{is_text, is_token};
use std::io::Write as _;

/// How the end of a body is known (RFC 9112, 6.3).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum BodyLength {
    /// There is none, by the status or the method; the program may have said what it would be.
    None,
    /// So many bytes.
    Known(u64),
    /// As many as the program says, or chunked when it says nothing.
    Open,
}

/// What the program's own fields have said.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Fields {
    /// `Content-Length`.
    pub length: Option<u64>,
    /// There was a `Date`.
    pub has_date: bool,
}

/// Appends a status line. Without a reason it has the usual one.
pub fn put_status_line(out: &mut Vec<u8>, status: u16, reason: Option<&str>) {
    let usual = || {
        http::StatusCode::from_u16(status)
            .ok()
            .and_then(|status| status.canonical_reason())
    };
    let reason = reason
        .filter(|reason| reason.bytes().all(is_text))
        .or_else(usual)
        .unwrap_or_default();
    out.extend_from_slice(b"HTTP/1.1 ");
    put_number(out, u64::from(status));
    out.push(b' ');
    out.extend_from_slice(reason.as_bytes());
    out.extend_from_slice(b"\r\n");
}

/// Appends the program's fields, `name: value\r\n` each, but for those that are the server's to say:
/// `Transfer-Encoding`, and `Content-Length`, of which it tells the caller. What is no field is left out: the JavaScript
/// side has checked them, and here is the last place where one could become two.
pub fn put_fields(out: &mut Vec<u8>, lines: &[u8]) -> Fields {
    let mut fields = Fields::default();
    let mut rest = lines;
    while let Some(end) = memchr::memchr(b'\n', rest) {
        let whole = &rest[..=end];
        rest = &rest[end + 1..];
        let line = whole.strip_suffix(b"\r\n").unwrap_or(&whole[..end]);
        let Some(colon) = memchr::memchr(b':', line) else {
            continue;
        };
        let (name, value) = (&line[..colon], &line[colon + 1..]);
        if name.is_empty()
            || !name.iter().all(|byte| is_token(*byte))
            || !value.iter().all(|byte| is_text(*byte))
        {
            continue;
        }
        let is = |wanted: &[u8]| name.eq_ignore_ascii_case(wanted);
        match name.len() {
            17 if is(b"transfer-encoding") => continue,
            14 if is(b"content-length") => {
                let value = std::str::from_utf8(value.trim_ascii());
                fields.length = value.ok().and_then(|value| value.parse().ok());
                continue;
            }
            4 => fields.has_date |= is(b"date"),
            _ => {}
        }
        out.extend_from_slice(line);
        out.extend_from_slice(b"\r\n");
    }
    fields
}

/// Appends `Date`, if the program has not set one, then what says where the body ends, and the end of the head. Returns
/// the length that was said.
pub fn put_end(out: &mut Vec<u8>, fields: Fields, date: &str, body: BodyLength) -> Option<u64> {
    if !fields.has_date {
        put_date(out, date);
    }
    let length = match body {
        BodyLength::Known(length) => Some(length),
        BodyLength::Open | BodyLength::None => fields.length,
    };
    if let Some(length) = length {
        put_length(out, length);
    } else if body == BodyLength::Open {
        out.extend_from_slice(b"Transfer-Encoding: chunked\r\n");
    }
    out.extend_from_slice(b"\r\n");
    length
}

/// Appends a `Date` field.
pub fn put_date(out: &mut Vec<u8>, date: &str) {
    out.extend_from_slice(b"Date: ");
    out.extend_from_slice(date.as_bytes());
    out.extend_from_slice(b"\r\n");
}

/// Appends a `Content-Length` field.
pub fn put_length(out: &mut Vec<u8>, length: u64) {
    out.extend_from_slice(b"Content-Length: ");
    put_number(out, length);
    out.extend_from_slice(b"\r\n");
}

/// Appends what stands in front of a chunk of so many bytes, which are not none; behind it comes [`CHUNK_END`].
pub fn put_chunk_size(out: &mut Vec<u8>, len: usize) {
    // A vector takes everything.
    let _ = write!(out, "{len:x}\r\n");
}

/// Behind a chunk.
pub const CHUNK_END: &[u8] = b"\r\n";
/// Behind the last chunk.
pub const LAST_CHUNK: &[u8] = b"0\r\n\r\n";
/// Leave for the client to send its body (RFC 9110, 15.2.1).
pub const CONTINUE: &[u8] = b"HTTP/1.1 100 Continue\r\n\r\n";

/// Whether a response with this status has no body, whatever else is said (RFC 9112, 6.3).
#[must_use]
pub fn is_bodiless(status: u16) -> bool {
    status < 200 || matches!(status, 204 | 304)
}

/// `write!` costs several times as much.
fn put_number(out: &mut Vec<u8>, mut number: u64) {
    let mut digits = [0; 20];
    let mut at = digits.len();
    loop {
        at -= 1;
        digits[at] = b'0' + (number % 10) as u8;
        number /= 10;
        if number == 0 {
            break;
        }
    }
    out.extend_from_slice(&digits[at..]);
}

#[cfg(test)]
mod tests {
    use super::*;

    fn fields(lines: &str) -> (String, Fields) {
        let mut out = Vec::new();
        let said = put_fields(&mut out, lines.as_bytes());
        (String::from_utf8(out).expect("text"), said)
    }

    #[test]
    fn numbers_are_decimal() {
        for number in [0, 9, 10, 12345, u64::MAX] {
            let mut out = Vec::new();
            put_number(&mut out, number);
            assert_eq!(out, number.to_string().into_bytes());
        }
    }

    #[test]
    fn a_status_has_its_reason_unless_another_is_given() {
        for (status, reason, line) in [
            (200, None, "HTTP/1.1 200 OK\r\n"),
            (404, Some("Gone Fishing"), "HTTP/1.1 404 Gone Fishing\r\n"),
            (404, Some("a\r\nb"), "HTTP/1.1 404 Not Found\r\n"),
            (799, None, "HTTP/1.1 799 \r\n"),
        ] {
            let mut out = Vec::new();
            put_status_line(&mut out, status, reason);
            assert_eq!(out, line.as_bytes());
        }
    }

    #[test]
    fn what_is_the_servers_to_say_is_left_out_and_told() {
        let (out, said) =
            fields("X-A: 1\r\ncontent-LENGTH:  7\r\nTransfer-Encoding: x\r\ndate: d\r\nx-b:2\r\n");
        assert_eq!(out, "X-A: 1\r\ndate: d\r\nx-b:2\r\n");
        assert_eq!(said.length, Some(7));
        assert!(said.has_date);
    }

    #[test]
    fn what_is_no_field_is_left_out() {
        let (out, _) = fields(
            "no colon\r\n: x\r\nA B: 1\r\nX: a\0b\r\nY: \x7f\r\nZ: a\rb\r\nOk: \u{e9}\r\nEnd: 1",
        );
        assert_eq!(out, "Ok: \u{e9}\r\n");
    }

    #[test]
    fn a_head_ends_with_what_says_where_the_body_ends() {
        for (length, body, end) in [
            (None, BodyLength::Known(3), "Content-Length: 3\r\n"),
            (Some(9), BodyLength::Known(3), "Content-Length: 3\r\n"),
            (Some(9), BodyLength::Open, "Content-Length: 9\r\n"),
            (None, BodyLength::Open, "Transfer-Encoding: chunked\r\n"),
            (None, BodyLength::None, ""),
            (Some(9), BodyLength::None, "Content-Length: 9\r\n"),
        ] {
            let mut out = Vec::new();
            let fields = Fields {
                length,
                has_date: false,
            };
            put_end(&mut out, fields, "now", body);
            assert_eq!(out, format!("Date: now\r\n{end}\r\n").into_bytes());
        }
    }
}
