//! The WebSocket part of the opening handshake (RFC 6455, 4.2). The HTTP around it is `request.rs`.

use tungstenite::handshake::derive_accept_key;

/// How a request stands as an opening handshake.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Handshake {
    /// An ordinary request: it is answered as any other.
    NotWebSocket,
    /// Everything needed is there: it may be answered 101.
    Accepted,
    /// A handshake for a version other than 13, or for none: to be answered 426 with `Sec-WebSocket-Version: 13`
    /// (4.4).
    WrongVersion,
}

/// Judges a request. Header values come trimmed; `upgrade` is the whole list when the field occurs more than once,
/// joined by commas.
///
/// `Connection` is not asked for, because proxies drop it and Bun does not ask either. `http11` says that the
/// request is HTTP/1.1 or later: 4.2.1 wants it, and an HTTP/1.0 peer may not know upgrades.
#[must_use]
pub fn classify(
    method: &str,
    http11: bool,
    upgrade: Option<&str>,
    key: Option<&str>,
    version: Option<&str>,
) -> Handshake {
    let wants_websocket = upgrade
        .is_some_and(|list| tokens(list).any(|token| token.eq_ignore_ascii_case("websocket")));
    if !wants_websocket || !http11 || method != "GET" || !key.is_some_and(is_valid_key) {
        return Handshake::NotWebSocket;
    }
    if version == Some("13") {
        Handshake::Accepted
    } else {
        Handshake::WrongVersion
    }
}

/// Whether `key` is a `Sec-WebSocket-Key`: 16 bytes in base64, which is 22 characters and `==`.
///
/// The four bits that the last character has to spare may be anything, as in Bun.
#[must_use]
pub fn is_valid_key(key: &str) -> bool {
    key.strip_suffix("==").is_some_and(|digits| {
        digits.len() == 22
            && digits
                .bytes()
                .all(|byte| byte.is_ascii_alphanumeric() || matches!(byte, b'+' | b'/'))
    })
}

/// The `Sec-WebSocket-Accept` value that answers `key` (4.2.2).
#[must_use]
pub fn accept_key(key: &str) -> String {
    derive_accept_key(key.as_bytes())
}

/// The elements of a comma-separated list, without the blanks around them; empty ones are skipped (RFC 9110, 5.6.1).
fn tokens(list: &str) -> impl Iterator<Item = &str> {
    list.split(',')
        .map(|token| token.trim_matches([' ', '\t']))
        .filter(|token| !token.is_empty())
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The key of RFC 6455, 1.3.
    const KEY: &str = "dGhlIHNhbXBsZSBub25jZQ==";

    fn upgrade(list: &str) -> Handshake {
        classify("GET", true, Some(list), Some(KEY), Some("13"))
    }

    fn version(version: Option<&str>) -> Handshake {
        classify("GET", true, Some("websocket"), Some(KEY), version)
    }

    #[test]
    fn answers_the_key_of_the_rfc() {
        assert_eq!(accept_key(KEY), "s3pPLMBiTxaQ9kYGzzhZRbK+xOo=");
    }

    #[test]
    fn keys_are_sixteen_bytes_of_base64() {
        assert!(is_valid_key(KEY));
        assert!(is_valid_key("++++++++++//////////AR==")); // spare bits set
        for key in [
            "",
            "==",
            "dGhlIHNhbXBsZSBub25jZQ=",   // 23 characters
            "dGhlIHNhbXBsZSBub25jZQ===", // 25
            "dGhlIHNhbXBsZSBub25jZQAA",  // 18 bytes
            "dGhlIHNhbXBsZSBub25jZQA=",  // 17 bytes
            "dGhlIHNhbXBsZSBub25jZ-==",  // the URL alphabet
            "dGhlIHNhbXBsZSBub25jZ!==",
            "========================",
            "dGhlIHNhbXBsZSBub25éZ==",
        ] {
            assert!(!is_valid_key(key), "{key}");
        }
    }

    #[test]
    fn upgrade_is_a_list_of_tokens() {
        for list in [
            "websocket",
            "WebSocket",
            "h2c, websocket",
            "h2c,WEBSOCKET",
            "websocket\t, h2c",
        ] {
            assert_eq!(upgrade(list), Handshake::Accepted, "{list}");
        }
        for list in [
            "",
            "h2c",
            "xwebsocket",
            "websocketx",
            "websocket/13",
            "websocket;q=1",
            "web socket",
        ] {
            assert_eq!(upgrade(list), Handshake::NotWebSocket, "{list}");
        }
    }

    #[test]
    fn version_must_be_thirteen() {
        assert_eq!(version(Some("13")), Handshake::Accepted);
        for other in [
            None,
            Some(""),
            Some("8"),
            Some("013"),
            Some("+13"),
            Some("13, 8"),
        ] {
            assert_eq!(version(other), Handshake::WrongVersion, "{other:?}");
        }
    }

    #[test]
    fn version_is_judged_last() {
        let bad = Some("8");
        let websocket = Some("websocket");
        let key = Some(KEY);
        for handshake in [
            classify("POST", true, websocket, key, bad),
            classify("get", true, websocket, key, bad),
            classify("GET", false, websocket, key, bad),
            classify("GET", true, None, key, bad),
            classify("GET", true, websocket, None, bad),
            classify("GET", true, websocket, Some("x"), bad),
        ] {
            assert_eq!(handshake, Handshake::NotWebSocket);
        }
    }
}
