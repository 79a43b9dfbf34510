//! Any split of any input decodes alike, and nothing panics.
//!
//! The first byte sets the options, the second the size of the pieces; the rest is what the peer sends.

#![no_main]

use ferrows::wire::{Decoder, FrameKind, Limits, Payload, ProtocolError};
use libfuzzer_sys::fuzz_target;

type Outcome = (Vec<(FrameKind, Vec<u8>, bool)>, Result<(), ProtocolError>);

fuzz_target!(|data: &[u8]| {
    let [options, size, input @ ..] = data else {
        return;
    };
    let rsv1_allowed = options & 1 != 0;
    let limits = Limits {
        max_payload_length: [0, 125, 70_000, u64::MAX][usize::from(options >> 1 & 3)],
    };
    let size = usize::from(*size).max(1);
    let whole = decode([input], rsv1_allowed, limits);
    assert_eq!(decode(input.chunks(size), rsv1_allowed, limits), whole);
});

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
            assert!(
                frame.compressed
                    || !matches!(frame.kind, FrameKind::Text { .. })
                    || std::str::from_utf8(&payload).is_ok()
            );
            (frame.kind, payload, frame.compressed)
        }));
        if result.is_err() {
            return (frames, result);
        }
    }
    (frames, Ok(()))
}
