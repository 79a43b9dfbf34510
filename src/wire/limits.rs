//! What one peer may make the decoder hold.

/// Bounds on what is received. Handed to each [`Decoder::decode`](super::Decoder::decode) call, so a changed option
/// counts from the next header on.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Limits {
    /// Largest message in bytes, summed over its fragments, as they are on the wire (before inflating). Control
    /// frames have their own bound of 125 bytes. 0 admits empty messages only.
    pub max_payload_length: u64,
}

impl Default for Limits {
    /// 16 MiB, the default of `maxPayloadLength`.
    fn default() -> Self {
        Self {
            max_payload_length: 16 << 20,
        }
    }
}
