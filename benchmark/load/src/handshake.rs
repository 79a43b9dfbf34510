//! The opening handshake, client side: the request, and a strict reading of the answer.

use crate::error::{Error, Result};
use crate::head::Head;

const GUID: &[u8] = b"258EAFA5-E914-47DA-95CA-C5AB0DC85B11";

/// The bytes of a request for `path`, and the accept value that its answer must carry.
pub fn request(path: &str, port: u16, nonce: [u8; 16]) -> (String, String) {
    let key = base64(&nonce);
    let accept = accept_of(&key);
    let request = format!(
        "GET {path} HTTP/1.1\r\nHost: 127.0.0.1:{port}\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n\
         Sec-WebSocket-Key: {key}\r\nSec-WebSocket-Version: 13\r\n\r\n"
    );
    (request, accept)
}

/// RFC 6455, section 4.2.2.
pub fn accept_of(key: &str) -> String {
    base64(&sha1(&[key.as_bytes(), GUID].concat()))
}

/// Length of the response head at the front of `input`, `None` while it is incomplete.
pub fn check_response(input: &[u8], accept: &str) -> Result<Option<usize>> {
    let Some(head) = Head::read(input)? else {
        return Ok(None);
    };
    if !head.status.starts_with("HTTP/1.1 101") {
        return Err(Error::Server(format!(
            "answered the handshake with {:?}",
            head.status
        )));
    }
    let upgrade = head.only("upgrade");
    if !upgrade.is_some_and(|value| value.eq_ignore_ascii_case("websocket")) {
        return Err(Error::Server("101 without Upgrade: websocket".into()));
    }
    let mut tokens = head.all("connection").flat_map(|value| value.split(','));
    if !tokens.any(|token| token.trim().eq_ignore_ascii_case("upgrade")) {
        return Err(Error::Server("101 without Connection: Upgrade".into()));
    }
    if head.only("sec-websocket-accept") != Some(accept) {
        return Err(Error::Server("wrong Sec-WebSocket-Accept".into()));
    }
    for unasked in ["sec-websocket-extensions", "sec-websocket-protocol"] {
        if head.has(unasked) {
            return Err(Error::Server(format!("{unasked} without being asked")));
        }
    }
    Ok(Some(head.len))
}

fn base64(bytes: &[u8]) -> String {
    const ALPHABET: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    let mut out = String::with_capacity(bytes.len().div_ceil(3) * 4);
    for group in bytes.chunks(3) {
        let word = group
            .iter()
            .fold(0u32, |word, byte| word << 8 | u32::from(*byte))
            << (8 * (3 - group.len()));
        for place in 0..4 {
            let index = word >> (18 - 6 * place) & 0x3F;
            out.push(if place <= group.len() {
                ALPHABET[index as usize] as char
            } else {
                '='
            });
        }
    }
    out
}

/// FIPS 180-4, section 6.1.
fn sha1(message: &[u8]) -> [u8; 20] {
    let mut padded = message.to_vec();
    padded.push(0x80);
    padded.resize((message.len() + 9).next_multiple_of(64) - 8, 0);
    padded.extend_from_slice(&(message.len() as u64 * 8).to_be_bytes());

    let mut hash = [
        0x6745_2301u32,
        0xEFCD_AB89,
        0x98BA_DCFE,
        0x1032_5476,
        0xC3D2_E1F0,
    ];
    for block in padded.chunks_exact(64) {
        let mut w = [0u32; 80];
        for (word, bytes) in w.iter_mut().zip(block.chunks_exact(4)) {
            *word = u32::from_be_bytes(bytes.try_into().unwrap());
        }
        for t in 16..80 {
            w[t] = (w[t - 3] ^ w[t - 8] ^ w[t - 14] ^ w[t - 16]).rotate_left(1);
        }
        let [mut a, mut b, mut c, mut d, mut e] = hash;
        for (t, word) in w.iter().enumerate() {
            let (f, k) = match t {
                0..20 => (b & c | !b & d, 0x5A82_7999),
                20..40 => (b ^ c ^ d, 0x6ED9_EBA1),
                40..60 => (b & c | b & d | c & d, 0x8F1B_BCDC),
                _ => (b ^ c ^ d, 0xCA62_C1D6u32),
            };
            let next = a
                .rotate_left(5)
                .wrapping_add(f)
                .wrapping_add(e)
                .wrapping_add(k)
                .wrapping_add(*word);
            (a, b, c, d, e) = (next, a, b.rotate_left(30), c, d);
        }
        for (sum, part) in hash.iter_mut().zip([a, b, c, d, e]) {
            *sum = sum.wrapping_add(part);
        }
    }
    let mut out = [0; 20];
    for (bytes, word) in out.chunks_exact_mut(4).zip(hash) {
        bytes.copy_from_slice(&word.to_be_bytes());
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    const ACCEPT: &str = "s3pPLMBiTxaQ9kYGzzhZRbK+xOo=";

    #[test]
    fn accept_value_as_in_the_rfc() {
        let (request, accept) = request("/chat", 80, *b"the sample nonce");
        assert!(request.contains("Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n"));
        assert_eq!(accept, ACCEPT);
    }

    #[test]
    fn base64_pads() {
        assert_eq!(
            ["", "f", "fo", "foo", "foob"].map(|text| base64(text.as_bytes())),
            ["", "Zg==", "Zm8=", "Zm9v", "Zm9vYg=="]
        );
    }

    #[test]
    fn sha1_across_a_block_boundary() {
        let digest = sha1(b"abcdbcdecdefdefgefghfghighijhijkijkljklmklmnlmnomnopnopq");
        assert_eq!(digest[..4], [0x84, 0x98, 0x3E, 0x44]);
    }

    #[test]
    fn reads_the_answer_strictly() {
        let good = format!(
            "HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\nSec-WebSocket-Accept: {ACCEPT}\r\n\r\nrest"
        );
        assert_eq!(
            check_response(good.as_bytes(), ACCEPT).unwrap(),
            Some(good.len() - 4)
        );
        assert_eq!(
            check_response(&good.as_bytes()[..60], ACCEPT).unwrap(),
            None
        );
        for (from, to) in [
            ("101", "200"),
            ("Upgrade: websocket", "Upgrade: h2c"),
            ("Connection: Upgrade", "Connection: close"),
            ("s3p", "S3p"),
            ("\r\n\r\n", "\r\nSec-WebSocket-Protocol: x\r\n\r\n"),
        ] {
            assert!(
                check_response(good.replace(from, to).as_bytes(), ACCEPT).is_err(),
                "{to}"
            );
        }
    }
}
