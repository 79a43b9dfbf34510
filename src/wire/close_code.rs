//! Close codes and the payload of a close frame (RFC 6455, 5.5.1 and 7.4).

use super::ProtocolError;

/// A close code. Those read off the wire are checked by [`from_peer`](Self::from_peer).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct CloseCode(u16);

impl CloseCode {
    /// The purpose of the connection is fulfilled.
    pub const NORMAL: Self = Self(1000);
    /// The server goes down, or the browser has left the page.
    pub const GOING_AWAY: Self = Self(1001);
    /// The peer broke the protocol.
    pub const PROTOCOL_ERROR: Self = Self(1002);
    /// A kind of data that the endpoint does not accept.
    pub const UNSUPPORTED: Self = Self(1003);
    /// Never on the wire: the close frame carried no code.
    pub const NO_STATUS: Self = Self(1005);
    /// Never on the wire: the connection ended without a close frame.
    pub const ABNORMAL: Self = Self(1006);
    /// Data that does not fit its type, such as text that is not UTF-8.
    pub const INVALID_DATA: Self = Self(1007);
    /// The message breaks a rule of the application.
    pub const POLICY_VIOLATION: Self = Self(1008);
    /// The message is too big to process.
    pub const TOO_BIG: Self = Self(1009);
    /// The client wanted an extension that the server did not agree to.
    pub const MANDATORY_EXTENSION: Self = Self(1010);
    /// The server met a condition that it cannot go on from.
    pub const INTERNAL: Self = Self(1011);

    /// A code that a peer may send: 1000 to 1003, 1007 to 1014 and 3000 to 4999; `None` for every other.
    #[must_use]
    pub const fn from_peer(code: u16) -> Option<Self> {
        match code {
            1000..=1003 | 1007..=1014 | 3000..=4999 => Some(Self(code)),
            _ => None,
        }
    }

    /// The number.
    #[must_use]
    #[inline]
    pub const fn get(self) -> u16 {
        self.0
    }
}

/// Reads the payload of a close frame: a code and a reason, or `None` when it is empty.
///
/// # Errors
///
/// In this order: [`InvalidClosePayload`](ProtocolError::InvalidClosePayload) for a single byte,
/// [`InvalidCloseCode`](ProtocolError::InvalidCloseCode), [`InvalidUtf8`](ProtocolError::InvalidUtf8) in the reason.
pub fn parse_close(payload: &[u8]) -> Result<Option<(CloseCode, &str)>, ProtocolError> {
    let Some((code, reason)) = payload.split_first_chunk::<2>() else {
        return match payload {
            [] => Ok(None),
            _ => Err(ProtocolError::InvalidClosePayload),
        };
    };
    let code =
        CloseCode::from_peer(u16::from_be_bytes(*code)).ok_or(ProtocolError::InvalidCloseCode)?;
    let reason = std::str::from_utf8(reason).map_err(|_| ProtocolError::InvalidUtf8)?;
    Ok(Some((code, reason)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_codes_meant_for_the_wire_are_accepted() {
        for code in [
            1000, 1001, 1002, 1003, 1007, 1011, 1014, 3000, 3999, 4000, 4999,
        ] {
            assert_eq!(CloseCode::from_peer(code).map(CloseCode::get), Some(code));
        }
        for code in [
            0,
            1,
            999,
            1004,
            1005,
            1006,
            1015,
            1016,
            1100,
            2000,
            2999,
            5000,
            u16::MAX,
        ] {
            assert_eq!(CloseCode::from_peer(code), None, "{code}");
        }
    }

    #[test]
    fn reads_code_and_reason() {
        assert_eq!(parse_close(b""), Ok(None));
        assert_eq!(parse_close(b"\x03\xe8"), Ok(Some((CloseCode::NORMAL, ""))));
        assert_eq!(
            parse_close("\u{3}\u{7f}".as_bytes()), // 895
            Err(ProtocolError::InvalidCloseCode)
        );
        assert_eq!(
            parse_close(b"\x0f\xa0b\xc3\xa9"), // 4000 "bé"
            Ok(Some((CloseCode(4000), "bé")))
        );
    }

    #[test]
    fn judges_length_then_code_then_reason() {
        assert_eq!(
            parse_close(b"\x03"),
            Err(ProtocolError::InvalidClosePayload)
        );
        // 1005 and a reason that is not UTF-8
        assert_eq!(
            parse_close(b"\x03\xed\xff"),
            Err(ProtocolError::InvalidCloseCode)
        );
        assert_eq!(
            parse_close(b"\x03\xe8\xff"),
            Err(ProtocolError::InvalidUtf8)
        );
    }
}
