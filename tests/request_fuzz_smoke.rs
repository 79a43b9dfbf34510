//! What `fuzz/fuzz_targets/request.rs` does, on inputs that are the same in every run: no nightly toolchain needed.
//!
//! Only without `node-api`: with it, a test would need the host's functions to link.
#![cfg(not(feature = "node-api"))]
#![allow(clippy::unwrap_used, reason = "a test that fails panics")]

#[path = "support/random.rs"]
mod random;
#[path = "support/requesting.rs"]
mod requesting;

use random::Random;
use requesting::understand;

/// Inputs driven through the reader.
const INPUTS: u32 = 40_000;

/// What the tests feed.
impl Random {
    fn pick<'a>(&mut self, from: &[&'a str]) -> &'a str {
        from[self.below(from.len())]
    }

    /// A request that makes some sense, with one byte broken now and then.
    fn request(&mut self) -> Vec<u8> {
        let mut out = String::new();
        out += self.pick(&["GET", "GET", "POST", "HEAD", "BREW", "G(T"]);
        out += " ";
        out += self.pick(&[
            "/",
            "/",
            "/a?b#c",
            "http://h/a",
            "http://u@h/",
            "*",
            "/\u{e9}",
        ]);
        out += " ";
        out += self.pick(&[
            "HTTP/1.1",
            "HTTP/1.1",
            "HTTP/1.1",
            "HTTP/1.0",
            "HTTP/2.0",
            "HTTP/1.1 ",
        ]);
        out += self.pick(&["\r\n", "\r\n", "\r\n", "\r\n", "\r\n", "\n"]);
        out += self.pick(&[
            "Host: h\r\n",
            "Host: h\r\n",
            "Host: h\r\n",
            "host:h:1\r\n",
            "",
            "Host: a b\r\n",
        ]);
        for _ in 0..self.below(4) {
            out += self.pick(&[
                "X: 1\r\n",
                "If-None-Match: W/\"x\"\r\n",
                "Accept: */*\r\n",
                "Cookie: a=b; c=d\r\n",
                "X-Long:   some value, and more \t\r\n",
                "Content-Length: 5\r\n",
                "Content-Length: 05\r\n",
                "Content-Length: -5\r\n",
                "Transfer-Encoding: chunked\r\n",
                "Transfer-Encoding: gzip, chunked\r\n",
                "Connection: close, x\r\n",
                "Expect: 100-continue\r\n",
                "Upgrade: websocket\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n",
                "Sec-WebSocket-Version: 13\r\n",
                "Sec-WebSocket-Version: 8\r\n",
                " folded\r\n",
                "No colon\r\n",
                "Bare: 1\n",
            ]);
        }
        out += "\r\n";
        out += self.pick(&[
            "",
            "hello",
            "hello, and the next",
            "5\r\nhello\r\n0\r\n\r\n",
            "5;x=y\r\nhello\r\n3\r\nabc\r\n0\r\nTrailer: 1\r\n\r\nGET",
            "5\r\nhello",
            "5\nhello\n",
            "fffffffffffffffff\r\n",
        ]);
        let mut out = out.into_bytes();
        if self.below(4) == 0 {
            let at = self.below(out.len());
            out[at] = self.below(256) as u8;
        }
        out
    }
}

#[test]
fn survives_and_understands_any_split_alike() {
    let mut random = Random::new(0x9e37_79b9_7f4a_7c15);
    let (mut understood, mut refused) = (0, 0);
    for _ in 0..INPUTS {
        let input = random.request();
        let whole = understand([&input[..]]);
        let size = 1 + random.below(40);
        let split = understand(input.chunks(size));
        // Where it is cut decides how much of what is refused has been used, and nothing else.
        assert_eq!(whole.0, split.0, "{} by {size}", input.escape_ascii());
        match &whole.0 {
            Ok(_) => assert_eq!(whole.1, split.1, "{} by {size}", input.escape_ascii()),
            Err(error) => assert!((400..600).contains(&error.status())),
        }
        understood += u32::from(matches!(whole.0, Ok(Some(_))));
        refused += u32::from(whole.0.is_err());
    }
    // Both happen often, or the inputs are no good.
    assert!(understood > INPUTS / 10, "{understood} understood");
    assert!(refused > INPUTS / 10, "{refused} refused");
}
