//! What a peer did wrong, and what it is told.

use std::fmt;

use super::CloseCode;

/// A violation of the protocol. It ends the connection: the peer is sent a close frame with
/// [`close_code`](Self::close_code) and [`reason`](Self::reason).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum ProtocolError {
    /// A frame without a masking key (5.1: a client masks every frame).
    UnmaskedFrame,
    /// RSV1 without negotiated compression, on a control frame, or on a continuation (5.2; RFC 7692, 6).
    UnexpectedRsv1,
    /// RSV2 or RSV3, for which no extension is offered (5.2).
    UnexpectedRsv2Or3,
    /// Opcode 3 to 7 or 11 to 15 (5.2).
    InvalidOpcode,
    /// A control frame without FIN (5.5).
    FragmentedControlFrame,
    /// A control frame whose length field says more than 125, or uses an extended form (5.5).
    ControlFrameTooBig,
    /// A continuation while no message is open (5.4).
    UnexpectedContinuation,
    /// A text or binary frame while a fragmented message is open (5.4).
    UnfinishedMessage,
    /// A message over [`Limits::max_payload_length`](super::Limits::max_payload_length), or a 64-bit length with
    /// its top bit set (5.2).
    MessageTooBig,
    /// Text or a close reason that is not UTF-8 (8.1, 5.5.1).
    InvalidUtf8,
    /// A compressed message that does not inflate (RFC 7692, 7.2.2).
    InvalidCompressedData,
    /// A close frame with a code that must not be sent (7.4).
    InvalidCloseCode,
    /// A close frame of one byte: half a code (5.5.1).
    InvalidClosePayload,
    /// Memory for the message could not be had. The one variant the peer is not to blame for.
    OutOfMemory,
}

impl ProtocolError {
    /// The code for the close frame: 1002, 1007, 1009, or 1011 for the failure of our own.
    #[must_use]
    pub const fn close_code(self) -> CloseCode {
        match self {
            Self::UnmaskedFrame
            | Self::UnexpectedRsv1
            | Self::UnexpectedRsv2Or3
            | Self::InvalidOpcode
            | Self::FragmentedControlFrame
            | Self::ControlFrameTooBig
            | Self::UnexpectedContinuation
            | Self::UnfinishedMessage
            | Self::InvalidCloseCode
            | Self::InvalidClosePayload => CloseCode::PROTOCOL_ERROR,
            Self::InvalidUtf8 | Self::InvalidCompressedData => CloseCode::INVALID_DATA,
            Self::MessageTooBig => CloseCode::TOO_BIG,
            Self::OutOfMemory => CloseCode::INTERNAL,
        }
    }

    /// The reason for the close frame and for the application's close handler. The texts are Bun's, because
    /// programs compare them.
    #[must_use]
    pub const fn reason(self) -> &'static str {
        match self {
            Self::UnmaskedFrame => "Received an incorrectly masked frame",
            Self::UnexpectedRsv1 => "Received unexpected RSV1 bit",
            Self::UnexpectedRsv2Or3 => "Received unexpected RSV2 or RSV3 bit",
            Self::InvalidOpcode => "Received invalid opcode",
            Self::FragmentedControlFrame => "Received fragmented control frame",
            Self::ControlFrameTooBig => "Received too big control frame",
            Self::UnexpectedContinuation => {
                "Received continuation frame outside a fragmented message"
            }
            Self::UnfinishedMessage => "Received new message inside a fragmented message",
            Self::MessageTooBig => "Received too big message",
            Self::InvalidUtf8 => "Received invalid UTF-8",
            Self::InvalidCompressedData => "Received invalid compressed data",
            Self::InvalidCloseCode => "Received invalid close code",
            Self::InvalidClosePayload => "Received invalid close payload",
            Self::OutOfMemory => "Failed to allocate memory for the message",
        }
    }
}

impl fmt::Display for ProtocolError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.reason())
    }
}

impl std::error::Error for ProtocolError {}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn fits_a_byte() {
        assert_eq!(size_of::<ProtocolError>(), 1);
        assert_eq!(size_of::<Result<(), ProtocolError>>(), 1);
    }

    #[test]
    fn says_what_the_peer_is_told() {
        let error = ProtocolError::InvalidUtf8;
        assert_eq!(error.close_code().get(), 1007);
        assert_eq!(error.to_string(), "Received invalid UTF-8");
        assert_eq!(ProtocolError::MessageTooBig.close_code().get(), 1009);
        assert_eq!(ProtocolError::UnmaskedFrame.close_code().get(), 1002);
        assert_eq!(ProtocolError::OutOfMemory.close_code().get(), 1011);
    }
}
