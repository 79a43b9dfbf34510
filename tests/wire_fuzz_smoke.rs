//! What `fuzz/fuzz_targets/decoder.rs` does, on inputs that are the same in every run: no nightly toolchain needed.
//!
//! Only without `node-api`: with it, a test would need the host's functions to link.
#![cfg(not(feature = "node-api"))]

#[path = "support/random.rs"]
mod random;

use ferrows::wire::{Decoder, FrameKind, Limits, Payload, ProtocolError, parse_close};
use random::Random;

/// Inputs driven through the decoder.
const INPUTS: u32 = 20_000;

#[derive(Debug, PartialEq)]
struct Outcome {
    frames: Vec<(FrameKind, Vec<u8>, bool)>,
    error: Option<ProtocolError>,
}

/// Decodes the pieces in order, up to the first error.
fn decode<'a>(
    pieces: impl IntoIterator<Item = &'a [u8]>,
    rsv1_allowed: bool,
    limits: Limits,
) -> Outcome {
    let mut decoder = Decoder::new(rsv1_allowed);
    let mut frames = Vec::new();
    for piece in pieces {
        let mut arena = Vec::new();
        let mut rest = piece;
        let mut emitted = Vec::new();
        let result = loop {
            match decoder.next(&mut rest, limits, &mut arena) {
                Ok(Some(frame)) => emitted.push(frame),
                Ok(None) => break Ok(()),
                Err(error) => break Err(error),
            }
        };
        frames.extend(emitted.into_iter().map(|frame| {
            let payload = match frame.payload {
                Payload::Arena { start, len } => arena[start..start + len].to_vec(),
                Payload::Owned(payload) => payload,
            };
            (frame.kind, payload, frame.compressed)
        }));
        if let Err(error) = result {
            assert!(decoder.is_idle(), "keeps something after an error");
            let again = decoder.next(&mut &*piece, limits, &mut arena);
            assert_eq!(again, Err(error));
            return Outcome {
                frames,
                error: Some(error),
            };
        }
    }
    Outcome {
        frames,
        error: None,
    }
}

/// What must hold for everything that comes out.
fn check(outcome: &Outcome, limits: Limits) {
    for (at, (kind, payload, compressed)) in outcome.frames.iter().enumerate() {
        match kind {
            FrameKind::Text { ascii } => {
                assert!(*compressed || std::str::from_utf8(payload).is_ok());
                assert_eq!(*ascii, !compressed && payload.is_ascii());
                assert!(*compressed || payload.len() as u64 <= limits.max_payload_length);
            }
            FrameKind::Binary => {
                assert!(*compressed || payload.len() as u64 <= limits.max_payload_length);
            }
            FrameKind::Ping | FrameKind::Pong => assert!(payload.len() <= 125 && !compressed),
            FrameKind::Close => {
                assert!(payload.len() <= 125 && !compressed);
                assert_eq!(
                    at + 1,
                    outcome.frames.len(),
                    "something after a close frame"
                );
                // Any verdict will do.
                let _ = parse_close(payload);
            }
        }
    }
}

/// What the tests feed.
impl Random {
    fn byte(&mut self) -> u8 {
        self.below(256) as u8
    }

    fn bytes(&mut self, len: usize) -> Vec<u8> {
        (0..len).map(|_| self.byte()).collect()
    }

    /// A few frames that make some sense together, with one byte broken now and then.
    fn frames(&mut self) -> Vec<u8> {
        let mut out = Vec::new();
        let mut fragmented = false;
        for _ in 0..self.below(7) {
            let opcode = match self.below(10) {
                0..=4 if fragmented => 0x0,
                0..=2 => 0x1,
                3..=5 => 0x2,
                6 | 7 => 0x9,
                8 => 0xa,
                _ => [0x0, 0x1, 0x2, 0x8, 0x9, 0xb][self.below(6)],
            };
            let control = opcode & 0x8 != 0;
            let fin = control || self.below(3) > 0;
            fragmented = if control { fragmented } else { !fin };
            let rsv1 = !control && opcode != 0 && self.below(10) == 0;
            let len = match self.below(8) {
                0 => 0,
                1 => 120 + self.below(10),
                2 if !control => 126 + self.below(300),
                _ => self.below(24),
            };
            let payload = match self.below(3) {
                0 => self.bytes(len.min(6)),
                1 => "zwölf 😀 日本".repeat(len / 8).into_bytes(),
                _ => vec![b'x'; len],
            };
            out.push(u8::from(fin) << 7 | u8::from(rsv1) << 6 | opcode);
            match payload.len() {
                len @ 0..=125 => out.push(0x80 | len as u8),
                len => {
                    out.push(0xfe);
                    out.extend((len as u16).to_be_bytes());
                }
            }
            let key = self.bytes(4);
            out.extend(&key);
            out.extend(
                payload
                    .iter()
                    .zip(key.iter().cycle())
                    .map(|(byte, key)| byte ^ key),
            );
        }
        if !out.is_empty() && self.below(4) == 0 {
            let at = self.below(out.len());
            out[at] = self.byte();
        }
        out
    }
}

#[test]
fn survives_and_decodes_any_split_alike() {
    let mut random = Random::new(0x9e37_79b9_7f4a_7c15);
    let mut frames = 0;
    let mut errors = 0;
    for _ in 0..INPUTS {
        let input = if random.below(8) == 0 {
            let len = random.below(200);
            random.bytes(len)
        } else {
            random.frames()
        };
        let rsv1_allowed = random.below(2) == 0;
        let limits = Limits {
            max_payload_length: [0, 125, 400, 1 << 20, u64::MAX][random.below(5)],
        };
        let whole = decode([&input[..]], rsv1_allowed, limits);
        check(&whole, limits);
        let cut = random.below(input.len() + 1);
        let (front, back) = input.split_at(cut);
        assert_eq!(
            decode([front, back], rsv1_allowed, limits),
            whole,
            "{input:02x?} cut at {cut}"
        );
        let size = 1 + random.below(9);
        assert_eq!(
            decode(input.chunks(size), rsv1_allowed, limits),
            whole,
            "{input:02x?} in pieces of {size}"
        );
        frames += whole.frames.len();
        errors += u32::from(whole.error.is_some());
    }
    // The generator is worth something only while both outcomes are common.
    assert!(frames > INPUTS as usize, "{frames} frames");
    assert!((INPUTS / 10..INPUTS).contains(&errors), "{errors} errors");
}
