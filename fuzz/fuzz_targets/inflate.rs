//! Any bytes as compressed messages: no panic, never more out than the limit allows, the same on a used inflater as on
//! a new one, and no harm to the connection that is served next.
//!
//! The first byte sets the limit and the window, the second the length of the messages; the rest is what the peer
//! sends.

#![no_main]

use ferrows::wire::{Deflater, History, Inflater, ProtocolError, ShortDeflater};
use libfuzzer_sys::fuzz_target;

/// Bytes that may come out before it is noticed that they are too many.
const BLOCK: usize = 16 << 10;

fuzz_target!(|data: &[u8]| {
    let [options, size, input @ ..] = data else {
        return;
    };
    let limit = [0, 1, 1000, 1 << 20][usize::from(options & 3)];
    let window = 8 + (options >> 2 & 7);
    let takeover = options & 32 != 0;
    let size = usize::from(*size).max(1);

    let mut used = Inflater::default();
    let mut history = History::new(window);
    let mut twin = History::new(window);
    for packed in input.chunks(size) {
        let first = inflate(&mut used, packed, takeover.then_some(&mut history), limit);
        let mut new = Inflater::default();
        let second = inflate(&mut new, packed, takeover.then_some(&mut twin), limit);
        assert_eq!(first, second);
        if first.is_err() {
            break;
        }
    }

    let mut packed = Vec::new();
    assert!(Deflater::new(window).compress(input, None, &mut packed));
    let whole = inflate(&mut used, &packed, None, u64::MAX);
    assert_eq!(whole.as_deref(), Ok(input));

    let short = &input[..input.len().min(ShortDeflater::LONGEST)];
    packed.clear();
    ShortDeflater::default().compress(short, window, &mut packed);
    let whole = inflate(&mut used, &packed, None, u64::MAX);
    assert_eq!(whole.as_deref(), Ok(short));
});

fn inflate(
    inflater: &mut Inflater,
    packed: &[u8],
    history: Option<&mut History>,
    limit: u64,
) -> Result<Vec<u8>, ProtocolError> {
    let mut out = Vec::new();
    let result = inflater.inflate(&mut packed.to_vec(), history, limit, &mut out);
    assert!(out.len() as u64 <= limit.saturating_add(BLOCK as u64));
    assert!(result.is_err() || out.len() as u64 <= limit);
    result.map(|()| out)
}
