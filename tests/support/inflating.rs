//! What must hold whatever a peer sends as compressed messages: no panic, never more out than the limit allows, the
//! same on a used inflater as on a new one, and no harm to the connection that is served next.
//!
//! `tests/deflate_fuzz_smoke.rs` and `fuzz/fuzz_targets/inflate.rs` feed it.

use ferrows::wire::{Deflater, History, Inflater, ProtocolError, ShortDeflater};

/// Bytes that may come out before it is noticed that they are too many.
const BLOCK: u64 = 16 << 10;

/// A peer, whose messages an inflater reads that others use too.
pub(crate) struct Peer {
    history: History,
    /// The same, for the inflater that is new.
    twin: History,
    takeover: bool,
    limit: u64,
}

impl Peer {
    pub(crate) fn new(window: u8, takeover: bool, limit: u64) -> Self {
        Self {
            history: History::new(window),
            twin: History::new(window),
            takeover,
            limit,
        }
    }

    /// What comes out. After an error the peer must not be heard again.
    pub(crate) fn message(
        &mut self,
        used: &mut Inflater,
        packed: &[u8],
    ) -> Result<Vec<u8>, ProtocolError> {
        let history = self.takeover.then_some(&mut self.history);
        let first = inflate(used, packed, history, self.limit);
        let twin = self.takeover.then_some(&mut self.twin);
        let second = inflate(&mut Inflater::default(), packed, twin, self.limit);
        assert_eq!(first, second, "{packed:02x?}");
        first
    }
}

/// The next connection is served as if nothing had been.
pub(crate) fn serves_the_next(
    used: &mut Inflater,
    deflater: &mut Deflater,
    short: &mut ShortDeflater,
    window: u8,
    message: &[u8],
) {
    let mut packed = Vec::new();
    assert!(deflater.compress(message, None, &mut packed));
    reads(used, &packed, message);

    let message = &message[..message.len().min(ShortDeflater::LONGEST)];
    packed.clear();
    short.compress(message, window, &mut packed);
    reads(used, &packed, message);
}

fn reads(used: &mut Inflater, packed: &[u8], message: &[u8]) {
    for limit in [message.len() as u64, u64::MAX] {
        let whole = inflate(used, packed, None, limit);
        assert_eq!(whole.as_deref(), Ok(message));
    }
}

fn inflate(
    inflater: &mut Inflater,
    packed: &[u8],
    history: Option<&mut History>,
    limit: u64,
) -> Result<Vec<u8>, ProtocolError> {
    let mut out = Vec::new();
    let result = inflater.inflate(&mut packed.to_vec(), history, limit, &mut out);
    assert!(out.len() as u64 <= limit.saturating_add(BLOCK));
    assert!(result.is_err() || out.len() as u64 <= limit);
    result.map(|()| out)
}
