//! UTF-8 that arrives in pieces (RFC 6455, 8.1).

use super::ProtocolError;

/// Judges text in pieces and refuses it at the first byte that no valid text could continue with.
///
/// A character may be split between two pieces, also between two frames. Only its outstanding part is kept.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Utf8Validator {
    /// Continuation bytes that the open character still needs: 0 to 3. With 0 no character is open.
    needed: u8,
    /// Range of the next continuation byte, both ends included. Narrower than 80 to bf behind some lead bytes: that
    /// is what rules out overlong forms, surrogates and anything above U+10FFFF.
    low: u8,
    /// See `low`.
    high: u8,
}

impl Utf8Validator {
    /// A validator at the start of a text.
    #[must_use]
    pub const fn new() -> Self {
        Self {
            needed: 0,
            low: CONTINUATION.0,
            high: CONTINUATION.1,
        }
    }

    /// Whether no character is open, so that the text could end here.
    #[must_use]
    #[inline]
    pub const fn is_complete(self) -> bool {
        self.needed == 0
    }

    /// Takes the next piece.
    ///
    /// # Errors
    ///
    /// [`ProtocolError::InvalidUtf8`] at the first impossible byte, even when the character it belongs to has not
    /// arrived in full.
    pub fn push(&mut self, bytes: &[u8]) -> Result<(), ProtocolError> {
        let mut rest = bytes;
        while self.needed > 0 {
            let Some((&byte, tail)) = rest.split_first() else {
                return Ok(());
            };
            self.step(byte)?;
            rest = tail;
        }
        match simdutf8::compat::from_utf8(rest) {
            Ok(_) => Ok(()),
            Err(error) if error.error_len().is_some() => Err(ProtocolError::InvalidUtf8),
            // A character is cut off at the end: at most three bytes.
            Err(error) => rest
                .iter()
                .skip(error.valid_up_to())
                .try_for_each(|&byte| self.step(byte)),
        }
    }

    /// Ends the text.
    ///
    /// # Errors
    ///
    /// [`ProtocolError::InvalidUtf8`] when it ends inside a character.
    pub const fn finish(self) -> Result<(), ProtocolError> {
        if self.is_complete() {
            Ok(())
        } else {
            Err(ProtocolError::InvalidUtf8)
        }
    }

    /// The automaton of the Unicode Standard's table 3-7, one byte at a time.
    fn step(&mut self, byte: u8) -> Result<(), ProtocolError> {
        if self.needed > 0 {
            if byte < self.low || self.high < byte {
                return Err(ProtocolError::InvalidUtf8);
            }
            self.needed -= 1;
            (self.low, self.high) = CONTINUATION;
            return Ok(());
        }
        let (needed, (low, high)) = match byte {
            0x00..=0x7f => (0, CONTINUATION),
            0xc2..=0xdf => (1, CONTINUATION),
            0xe0 => (2, (0xa0, 0xbf)), // below: overlong
            0xed => (2, (0x80, 0x9f)), // above: surrogates
            0xe1..=0xef => (2, CONTINUATION),
            0xf0 => (3, (0x90, 0xbf)), // below: overlong
            0xf1..=0xf3 => (3, CONTINUATION),
            0xf4 => (3, (0x80, 0x8f)), // above: past U+10FFFF
            _ => return Err(ProtocolError::InvalidUtf8),
        };
        *self = Self { needed, low, high };
        Ok(())
    }
}

impl Default for Utf8Validator {
    fn default() -> Self {
        Self::new()
    }
}

/// Range of a continuation byte.
const CONTINUATION: (u8, u8) = (0x80, 0xbf);

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    /// Bytes accepted before the refusal, or `None` if there is none.
    fn refused_at(bytes: &[u8]) -> Option<usize> {
        let mut validator = Utf8Validator::new();
        bytes
            .iter()
            .position(|&byte| validator.push(&[byte]).is_err())
    }

    /// Text, bytes, and text with one byte broken, so that both verdicts are common.
    fn nearly_text() -> impl Strategy<Value = Vec<u8>> {
        let text = || "(?s).{0,60}".prop_map(String::into_bytes);
        let broken = (text(), any::<prop::sample::Index>(), any::<u8>());
        prop_oneof![
            text(),
            prop::collection::vec(any::<u8>(), 0..8),
            prop::collection::vec(0x80u8..=0xff, 0..8),
            broken.prop_map(|(mut bytes, at, byte)| {
                if !bytes.is_empty() {
                    let at = at.index(bytes.len());
                    bytes[at] = byte;
                }
                bytes
            }),
        ]
    }

    #[test]
    fn is_a_few_bytes() {
        assert_eq!(size_of::<Utf8Validator>(), 3);
    }

    #[test]
    fn refuses_at_the_first_impossible_byte() {
        let cases: [(&[u8], usize); 9] = [
            (&[0x80], 0), // continuation without a lead
            (&[0xc0], 0), // overlong whatever follows
            (&[0xc1, 0xbf], 0),
            (&[0xff], 0),
            (&[b'a', 0xc3, b'a'], 2), // lead without its continuation
            (&[0xe0, 0x9f], 1),       // overlong
            (&[0xed, 0xa0], 1),       // surrogate
            (&[0xf0, 0x8f], 1),       // overlong
            (&[0xf4, 0x90], 1),       // past U+10FFFF
        ];
        for (bytes, at) in cases {
            assert_eq!(refused_at(bytes), Some(at), "{bytes:02x?}");
            assert_eq!(
                Utf8Validator::new().push(bytes),
                Err(ProtocolError::InvalidUtf8)
            );
        }
    }

    #[test]
    fn refuses_an_end_inside_a_character() {
        for cut in 1..4 {
            let mut validator = Utf8Validator::new();
            assert_eq!(validator.push(&"😀".as_bytes()[..cut]), Ok(()));
            assert_eq!(
                validator.finish(),
                Err(ProtocolError::InvalidUtf8),
                "{cut} bytes"
            );
        }
    }

    /// Every character, and every two and three bytes, against the standard library.
    #[test]
    fn agrees_with_the_standard_library_on_short_input() {
        for first in 0..=u8::MAX {
            for second in 0..=u8::MAX {
                for third in [
                    0x00, 0x7f, 0x80, 0x8f, 0x90, 0x9f, 0xa0, 0xbf, 0xc0, 0xc2, 0xff,
                ] {
                    let bytes = [first, second, third];
                    let expected = match std::str::from_utf8(&bytes) {
                        Ok(_) => None,
                        Err(error) if error.error_len().is_none() => None,
                        Err(_) => Some(()),
                    };
                    assert_eq!(refused_at(&bytes).map(|_| ()), expected, "{bytes:02x?}");
                }
            }
        }
    }

    proptest! {
        #[test]
        fn any_split_is_judged_alike(
            bytes in nearly_text(),
            long in any::<bool>(),
            cuts in prop::collection::vec(any::<prop::sample::Index>(), 0..4),
        ) {
            // Long enough for the vector code, which takes over at 64 bytes.
            let bytes = if long { [&[b'a'; 150], &bytes[..]].concat() } else { bytes };
            let mut cuts: Vec<usize> = cuts.iter().map(|at| at.index(bytes.len() + 1)).collect();
            cuts.extend([0, bytes.len()]);
            cuts.sort_unstable();
            let mut validator = Utf8Validator::new();
            let verdict = cuts
                .windows(2)
                .try_for_each(|range| validator.push(&bytes[range[0]..range[1]]))
                .and_then(|()| validator.finish());
            prop_assert_eq!(verdict.is_ok(), std::str::from_utf8(&bytes).is_ok());
        }

        #[test]
        fn refuses_no_later_and_no_earlier_than_it_must(bytes in nearly_text()) {
            // The first prefix that the standard library calls wrong rather than cut off.
            let expected = (0..bytes.len()).find(|&at| {
                std::str::from_utf8(&bytes[..=at]).is_err_and(|error| error.error_len().is_some())
            });
            prop_assert_eq!(refused_at(&bytes), expected);
        }
    }
}
