//! What must hold whatever a client sends as requests: no panic, nothing used that is not there, the same verdict
//! wherever the stream is cut, and nothing in a head that could be read as more than it is.
//!
//! `tests/request_fuzz_smoke.rs` and `fuzz/fuzz_targets/request.rs` feed it.

use ferrows::wire::{Handshake, RequestError, RequestReader, is_valid_key};

/// A request as it was understood.
#[derive(Debug, PartialEq)]
pub(crate) struct Understood {
    method: Vec<u8>,
    target: Vec<u8>,
    fields: Vec<u8>,
    handshake: Handshake,
    closes: bool,
    /// As far as the body has come.
    body: Vec<u8>,
    is_whole: bool,
}

/// What the bytes come to, up to the end of the first request, and how many of them were used for it.
pub(crate) fn understand<'a>(
    pieces: impl IntoIterator<Item = &'a [u8]>,
) -> (Result<Option<Understood>, RequestError>, usize) {
    let mut reader = RequestReader::default();
    let mut request: Option<Understood> = None;
    let mut used = 0;
    for piece in pieces {
        let mut rest = piece;
        if request.is_none() {
            match reader.read_head(piece) {
                Err(error) => return (Err(error), used),
                Ok(None) => {
                    used += piece.len();
                    continue;
                }
                Ok(Some((head, len))) => {
                    let mut fields = Vec::new();
                    head.put_fields(&mut fields);
                    check_head(head.method(), head.target(), &fields);
                    if head.handshake() == Handshake::Accepted {
                        assert!(head.key().is_some_and(is_valid_key));
                        assert!(head.method() == b"GET" && !head.has_body());
                    }
                    request = Some(Understood {
                        method: head.method().to_vec(),
                        target: head.target().to_vec(),
                        fields,
                        handshake: head.handshake(),
                        closes: head.closes(),
                        body: Vec::new(),
                        is_whole: false,
                    });
                    used += len;
                    rest = &piece[len..];
                }
            }
        }
        if let Some(request) = &mut request {
            match reader.read_body(rest, &mut request.body) {
                Err(error) => return (Err(error), used),
                Ok(len) => {
                    assert!(len <= rest.len(), "used what is not there");
                    used += len;
                }
            }
            request.is_whole = reader.is_complete();
            if request.is_whole {
                break;
            }
        }
    }
    (Ok(request), used)
}

/// Whatever stands in it, it ends where it seems to end.
fn check_head(method: &[u8], target: &[u8], fields: &[u8]) {
    let is_plain = |bytes: &[u8]| bytes.iter().all(|byte| *byte > b' ' && *byte != 0x7f);
    assert!(!method.is_empty() && is_plain(method), "{method:?}");
    assert!(!target.is_empty() && is_plain(target), "{target:?}");
    let mut lengths = 0;
    for line in fields.split_inclusive(|byte| *byte == b'\n') {
        let line = line.strip_suffix(b"\n").expect("lines end");
        let colon = line.iter().position(|byte| *byte == b':').expect("a name");
        assert!(is_plain(&line[..colon]), "{line:?}");
        assert!(!line.contains(&b'\r') && !line.contains(&0), "{line:?}");
        assert!(!line[..colon].iter().any(u8::is_ascii_uppercase));
        lengths += usize::from(matches!(
            &line[..colon],
            b"content-length" | b"transfer-encoding"
        ));
    }
    assert!(lengths <= 1, "a body has one end");
}
