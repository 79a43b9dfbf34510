//! The negotiation of permessage-deflate (RFC 7692, 7.1).

use std::fmt::Write as _;

/// What one direction is compressed with, as the server is set: `perMessageDeflate.compress` and `.decompress`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default)]
pub enum DeflateContext {
    /// Nothing of its own. If the other direction is enabled, this one is as [`Shared`](Self::Shared): the extension
    /// cannot be had for one direction only.
    #[default]
    Disabled,
    /// One context for all connections: each message is compressed by itself ("no context takeover").
    Shared,
    /// A context for each connection, with a window of 2 to the power of this many bytes (9 to 15).
    Dedicated(u8),
}

/// How a server is set.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default)]
pub struct DeflateOptions {
    /// What is sent.
    pub compress: DeflateContext,
    /// What is received.
    pub decompress: DeflateContext,
}

/// What was agreed on for one connection.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Deflate {
    /// Window of what is sent: 2 to the power of this many bytes (8 to 15).
    pub server_window: u8,
    /// Whether what is sent may refer to earlier messages.
    pub server_takeover: bool,
    /// Window of what is received (8 to 15).
    pub client_window: u8,
    /// Whether what is received may refer to earlier messages.
    pub client_takeover: bool,
    /// The client has asked for a bound on the server's window, so the answer names it.
    names_server_window: bool,
}

/// The largest window: that of DEFLATE itself.
const MAX_WINDOW: u8 = 15;
/// The smallest one a shared context is made for. 8 is as in Bun left to contexts of a connection's own.
const MIN_SHARED_WINDOW: u8 = 9;

/// One element of an offer; `None` where it is not given.
#[derive(Default)]
struct Offer {
    client_no_context_takeover: bool,
    server_no_context_takeover: bool,
    /// Without a value the client says that it understands the parameter: as good as the largest.
    client_max_window_bits: Option<u8>,
    server_max_window_bits: Option<u8>,
}

impl DeflateOptions {
    /// Whether the extension is accepted at all.
    #[must_use]
    pub fn is_enabled(self) -> bool {
        self.compress != DeflateContext::Disabled || self.decompress != DeflateContext::Disabled
    }

    /// Accepts the first acceptable offer in `header`, the value of `Sec-WebSocket-Extensions` with all lines joined by
    /// commas. `None` means: without the extension.
    ///
    /// An offer is declined for a parameter that is unknown, given twice, or has a value it must not have, and for a
    /// window of 8 where the context is shared.
    #[must_use]
    pub fn negotiate(self, header: &str) -> Option<Deflate> {
        if !self.is_enabled() {
            return None;
        }
        split(header, ',').find_map(|offer| self.accept(&Offer::parse(offer)?))
    }

    fn accept(self, offer: &Offer) -> Option<Deflate> {
        let (own_window, server_takeover) = match self.compress {
            DeflateContext::Dedicated(window) if !offer.server_no_context_takeover => {
                (window, true)
            }
            _ => (MAX_WINDOW, false),
        };
        let server_window = match offer.server_max_window_bits {
            Some(window) if !server_takeover && window < MIN_SHARED_WINDOW => return None,
            Some(window) => window.min(own_window),
            None => own_window,
        };
        let asked = offer.client_max_window_bits;
        let (client_window, client_takeover) = match self.decompress {
            _ if offer.client_no_context_takeover => (MAX_WINDOW, false),
            // A smaller window can only be asked of a client that understands the parameter.
            DeflateContext::Dedicated(own) if own == MAX_WINDOW || asked.is_some() => {
                (asked.unwrap_or(MAX_WINDOW).min(own), true)
            }
            _ => (MAX_WINDOW, false),
        };
        Some(Deflate {
            server_window,
            server_takeover,
            client_window,
            client_takeover,
            names_server_window: offer.server_max_window_bits.is_some(),
        })
    }
}

impl Deflate {
    /// The value of `Sec-WebSocket-Extensions` in the answer.
    #[must_use]
    pub fn answer(&self) -> String {
        let mut answer = "permessage-deflate".to_owned();
        if !self.client_takeover {
            answer.push_str("; client_no_context_takeover");
        } else if self.client_window < MAX_WINDOW {
            // Writing to a string does not fail.
            let _ = write!(answer, "; client_max_window_bits={}", self.client_window);
        }
        if !self.server_takeover {
            answer.push_str("; server_no_context_takeover");
        }
        if self.names_server_window || self.server_window < MAX_WINDOW {
            let _ = write!(answer, "; server_max_window_bits={}", self.server_window);
        }
        answer
    }
}

impl Offer {
    /// `None` for another extension and for parameters that make the offer invalid.
    fn parse(offer: &str) -> Option<Self> {
        let mut parts = split(offer, ';');
        if !parts.next()?.eq_ignore_ascii_case("permessage-deflate") {
            return None;
        }
        let mut parsed = Self::default();
        for part in parts {
            let (name, value) = match part.split_once('=') {
                Some((name, value)) => (trim(name), Some(unquote(trim(value))?)),
                None => (part, None),
            };
            let is = |known: &str| name.eq_ignore_ascii_case(known);
            if is("client_no_context_takeover") {
                set_flag(&mut parsed.client_no_context_takeover, value)?;
            } else if is("server_no_context_takeover") {
                set_flag(&mut parsed.server_no_context_takeover, value)?;
            } else if is("client_max_window_bits") {
                let bits = match value {
                    Some(value) => window_bits(value)?,
                    None => MAX_WINDOW,
                };
                set_once(&mut parsed.client_max_window_bits, bits)?;
            } else if is("server_max_window_bits") {
                set_once(&mut parsed.server_max_window_bits, window_bits(value?)?)?;
            } else {
                return None;
            }
        }
        Some(parsed)
    }
}

fn set_flag(flag: &mut bool, value: Option<&str>) -> Option<()> {
    (value.is_none() && !std::mem::replace(flag, true)).then_some(())
}

fn set_once<T>(parameter: &mut Option<T>, value: T) -> Option<()> {
    parameter.replace(value).is_none().then_some(())
}

/// 8 to 15 in decimal, without leading zeros.
fn window_bits(value: &str) -> Option<u8> {
    match value {
        "8" => Some(8),
        "9" => Some(9),
        "10" => Some(10),
        "11" => Some(11),
        "12" => Some(12),
        "13" => Some(13),
        "14" => Some(14),
        "15" => Some(15),
        _ => None,
    }
}

/// A value that may be a quoted string; no known one needs an escape.
fn unquote(value: &str) -> Option<&str> {
    match value.strip_prefix('"') {
        Some(rest) => rest.strip_suffix('"'),
        None => Some(value),
    }
}

fn trim(text: &str) -> &str {
    text.trim_matches([' ', '\t'])
}

/// The trimmed elements of a list whose separator does not count inside quotes. Empty ones are skipped
/// (RFC 9110, 5.6.1).
fn split(list: &str, separator: char) -> impl Iterator<Item = &str> {
    let mut quoted = false;
    let mut escaped = false;
    list.split(move |c| {
        if std::mem::take(&mut escaped) {
            return false;
        }
        match c {
            '\\' if quoted => escaped = true,
            '"' => quoted = !quoted,
            _ => return !quoted && c == separator,
        }
        false
    })
    .map(trim)
    .filter(|element| !element.is_empty())
}

#[cfg(test)]
mod tests {
    use super::*;
    use DeflateContext::{Dedicated, Disabled, Shared};
    use proptest::prelude::*;

    fn answer(compress: DeflateContext, decompress: DeflateContext, offer: &str) -> String {
        let options = DeflateOptions {
            compress,
            decompress,
        };
        options
            .negotiate(offer)
            .map_or_else(|| "-".into(), |deflate| deflate.answer())
            .replace("permessage-deflate", "pmd")
            .replace("context_takeover", "ct")
            .replace("max_window_bits", "bits")
    }

    fn offer(parameters: &str) -> String {
        format!("permessage-deflate{parameters}")
    }

    #[test]
    fn a_disabled_server_accepts_nothing() {
        assert_eq!(answer(Disabled, Disabled, "permessage-deflate"), "-");
    }

    #[test]
    fn shared_contexts_forget_each_message() {
        for (compress, decompress) in [(Shared, Shared), (Shared, Disabled), (Disabled, Shared)] {
            for parameters in [
                "",
                "; client_max_window_bits",
                "; client_max_window_bits=10",
                "; client_no_context_takeover; server_no_context_takeover",
            ] {
                assert_eq!(
                    answer(compress, decompress, &offer(parameters)),
                    "pmd; client_no_ct; server_no_ct"
                );
            }
        }
    }

    #[test]
    fn shared_contexts_honour_smaller_windows() {
        for bits in 9..=15 {
            assert_eq!(
                answer(
                    Shared,
                    Shared,
                    &offer(&format!("; server_max_window_bits={bits}"))
                ),
                format!("pmd; client_no_ct; server_no_ct; server_bits={bits}")
            );
        }
        assert_eq!(
            answer(Shared, Shared, &offer("; server_max_window_bits=8")),
            "-"
        );
    }

    #[test]
    fn dedicated_contexts_keep_what_is_not_asked_away() {
        let both = |parameters| answer(Dedicated(15), Dedicated(15), &offer(parameters));
        assert_eq!(both(""), "pmd");
        assert_eq!(both("; client_max_window_bits"), "pmd");
        assert_eq!(both("; client_max_window_bits=15"), "pmd");
        assert_eq!(both("; client_max_window_bits=8"), "pmd; client_bits=8");
        assert_eq!(
            both("; client_max_window_bits=\"12\""),
            "pmd; client_bits=12"
        );
        assert_eq!(both("; client_no_context_takeover"), "pmd; client_no_ct");
        assert_eq!(both("; server_no_context_takeover"), "pmd; server_no_ct");
        assert_eq!(both("; server_max_window_bits=8"), "pmd; server_bits=8");
        assert_eq!(both("; server_max_window_bits=15"), "pmd; server_bits=15");
    }

    #[test]
    fn smaller_contexts_bound_the_window() {
        let small = |parameters| answer(Dedicated(11), Dedicated(14), &offer(parameters));
        assert_eq!(small(""), "pmd; client_no_ct; server_bits=11");
        assert_eq!(
            small("; client_max_window_bits"),
            "pmd; client_bits=14; server_bits=11"
        );
        assert_eq!(
            small("; client_max_window_bits=10; server_max_window_bits=9"),
            "pmd; client_bits=10; server_bits=9"
        );
        assert_eq!(
            small("; server_max_window_bits=15"),
            "pmd; client_no_ct; server_bits=11"
        );
        // Without takeover the context is the shared one, whose window is whole.
        assert_eq!(
            small("; server_no_context_takeover"),
            "pmd; client_no_ct; server_no_ct"
        );
    }

    #[test]
    fn declines_what_it_must() {
        for parameters in [
            "; server_max_window_bits",
            "; server_max_window_bits=7",
            "; server_max_window_bits=16",
            "; server_max_window_bits=09",
            "; server_max_window_bits=\"10",
            "; client_max_window_bits=7",
            "; client_max_window_bits=",
            "; client_max_window_bits; client_max_window_bits=10",
            "; client_no_context_takeover; client_no_context_takeover",
            "; client_no_context_takeover=1",
            "; foo",
            "; foo=1",
            "x",
        ] {
            assert_eq!(
                answer(Dedicated(15), Dedicated(15), &offer(parameters)),
                "-",
                "{parameters}"
            );
        }
    }

    #[test]
    fn takes_the_first_acceptable_offer() {
        let two = "permessage-deflate; server_max_window_bits=8, permessage-deflate";
        assert_eq!(
            answer(Shared, Shared, two),
            "pmd; client_no_ct; server_no_ct"
        );
        assert_eq!(
            answer(Dedicated(15), Dedicated(15), two),
            "pmd; server_bits=8"
        );
        let others = "x-frame; a=\"b, c; d\\\", permessage-deflate\",, PerMessage-Deflate ;Client_Max_Window_Bits = 9 ";
        assert_eq!(
            answer(Dedicated(15), Dedicated(15), others),
            "pmd; client_bits=9"
        );
    }

    proptest! {
        #[test]
        fn the_answer_stays_within_the_offer(
            header in "(permessage-deflate(; ?(client|server)_(no_context_takeover|max_window_bits(=(7|8|9|12|15|\"10\"|16))?)){0,3},? ?){0,3}",
            compress in 8..=15u8,
            decompress in 8..=15u8,
        ) {
            // 8 stands for a shared context here.
            let context = |bits| if bits == 8 { Shared } else { Dedicated(bits) };
            let options = DeflateOptions { compress: context(compress), decompress: context(decompress) };
            if let Some(deflate) = options.negotiate(&header) {
                prop_assert!((8..=15).contains(&deflate.server_window));
                prop_assert!((8..=15).contains(&deflate.client_window));
                let answer = deflate.answer();
                if answer.contains("client_max_window_bits") {
                    prop_assert!(header.contains("client_max_window_bits"));
                }
                // The answer, taken for an offer, is one that can be accepted.
                prop_assert!(options.negotiate(&answer).is_some(), "{}", answer);
            }
        }

        #[test]
        fn no_header_makes_it_panic(header in ".*") {
            let _ = DeflateOptions { compress: Shared, decompress: Shared }.negotiate(&header);
        }
    }
}
