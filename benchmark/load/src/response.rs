//! The answer to a GET, read strictly.

use crate::error::{Error, Result};
use crate::head::Head;

/// Length of the response at the front of `input`, `None` while it is incomplete. It has to be a 200 that gives its
/// length and has this body.
pub fn check(input: &[u8], body: &[u8]) -> Result<Option<usize>> {
    let Some(head) = Head::read(input)? else {
        return Ok(None);
    };
    if head.status != "HTTP/1.1 200 OK" {
        return Err(Error::Server(format!(
            "answered a request with {:?}",
            head.status
        )));
    }
    if head.has("transfer-encoding") || head.has("content-encoding") {
        return Err(Error::Server("an encoded response".into()));
    }
    if head.only("content-length").and_then(digits) != Some(body.len()) {
        let given: Vec<_> = head.all("content-length").collect();
        return Err(Error::Server(format!("Content-Length is {given:?}")));
    }
    let received = &input[head.len..];
    let received = &received[..received.len().min(body.len())];
    if !body.starts_with(received) {
        return Err(Error::Server("not the body that was to come".into()));
    }
    Ok((received.len() == body.len()).then_some(head.len + body.len()))
}

/// A number of digits only: `parse` would take a sign too.
fn digits(text: &str) -> Option<usize> {
    let all_digits = text.bytes().all(|byte| byte.is_ascii_digit());
    all_digits.then(|| text.parse().ok()).flatten()
}

#[cfg(test)]
mod tests {
    use super::*;

    const BODY: &[u8] = b"Hello World";
    const GOOD: &str =
        "HTTP/1.1 200 OK\r\nContent-Type: text/plain\r\nContent-Length: 11\r\n\r\nHello World";

    #[test]
    fn a_response_is_read_once_it_is_whole() {
        for len in 0..GOOD.len() {
            assert_eq!(check(&GOOD.as_bytes()[..len], BODY).unwrap(), None, "{len}");
        }
        assert_eq!(check(GOOD.as_bytes(), BODY).unwrap(), Some(GOOD.len()));
        let two = format!("{GOOD}{GOOD}");
        assert_eq!(check(two.as_bytes(), BODY).unwrap(), Some(GOOD.len()));
    }

    #[test]
    fn an_empty_body_needs_no_byte() {
        let response = b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n";
        assert_eq!(check(response, b"").unwrap(), Some(response.len()));
    }

    #[test]
    fn every_other_response_is_refused() {
        for (from, to) in [
            ("200 OK", "404 Not Found"),
            ("200 OK", "2000 OK"),
            ("HTTP/1.1", "HTTP/1.0"),
            ("Content-Length: 11", "Content-Length: 10"),
            ("Content-Length: 11", "Content-Length: +11"),
            ("Content-Length: 11", "Content-Length:"),
            (
                "Content-Length: 11",
                "Content-Length: 11\r\nContent-Length: 11",
            ),
            ("Content-Length: 11", "Transfer-Encoding: chunked"),
            ("Content-Type: text/plain", "Content-Encoding: gzip"),
            ("Hello World", "Hello world"),
            ("Hello World", "hello"),
        ] {
            let bad = GOOD.replace(from, to);
            assert!(check(bad.as_bytes(), BODY).is_err(), "{to}");
        }
    }
}
