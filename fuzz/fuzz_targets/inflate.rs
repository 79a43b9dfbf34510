//! Any bytes as compressed messages. `inflating` says what must hold.
//!
//! The first byte sets the limit and the window, the second the length of the messages; the rest is what the peer
//! sends.

#![no_main]

#[path = "../../tests/support/inflating.rs"]
mod inflating;

use ferrows::wire::{Deflater, Inflater, ShortDeflater};
use inflating::{Peer, serves_the_next};
use libfuzzer_sys::fuzz_target;

fuzz_target!(|data: &[u8]| {
    let [options, size, input @ ..] = data else {
        return;
    };
    let limit = [0, 1, 1000, 1 << 20][usize::from(options & 3)];
    let window = 8 + (options >> 2 & 7);
    let takeover = options & 32 != 0;
    let size = usize::from(*size).max(1);

    let mut used = Inflater::default();
    let mut peer = Peer::new(window, takeover, limit);
    for packed in input.chunks(size) {
        if peer.message(&mut used, packed).is_err() {
            break;
        }
    }
    serves_the_next(
        &mut used,
        &mut Deflater::new(window),
        &mut ShortDeflater::default(),
        window,
        input,
    );
});
