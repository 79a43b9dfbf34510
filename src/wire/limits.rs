//! What one peer may make the decoder hold.

/// Bounds on what is received. Handed to each [`Decoder::next`](super::Decoder::next) call, so a changed option
/// counts from the next header on.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Limits {
    /// Largest message in bytes, summed over its fragments. A compressed one is measured when it is inflated; on the
    /// wire it may be as long as incompressible bytes become by being compressed. Control frames have their own bound
    /// of 125 bytes. 0 admits empty messages only.
    pub max_payload_length: u64,
}

impl Limits {
    /// The same for a compressed message on the wire: DEFLATE adds 5 bytes to a stored block, and a compressor that
    /// uses small ones stays below an eighth.
    pub(super) fn packed(self) -> Self {
        let max = self.max_payload_length;
        Self {
            max_payload_length: max.saturating_add(max / 8).saturating_add(64),
        }
    }
}

impl Default for Limits {
    /// 16 MiB, the default of `maxPayloadLength`.
    fn default() -> Self {
        Self {
            max_payload_length: 16 << 20,
        }
    }
}
