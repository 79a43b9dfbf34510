//! Text that is UTF-16, as JavaScript has it, to UTF-8.

/// Bytes of the text as UTF-8, with U+FFFD for each surrogate that has no partner.
#[must_use]
pub fn utf8_len(text: &[u16]) -> usize {
    let mut bytes = 0;
    let mut surrogates = 0;
    // Without a branch, so that the compiler takes many at a time.
    for unit in text {
        bytes += 1 + usize::from(*unit > 0x7f) + usize::from(*unit > 0x7ff);
        surrogates += usize::from(*unit & 0xf800 == 0xd800);
    }
    if surrogates == 0 {
        return bytes;
    }
    // Two that belong together are four bytes, not six.
    let pairs = char::decode_utf16(text.iter().copied()).filter(|c| matches!(c, Ok('\u{10000}'..)));
    bytes - 2 * pairs.count()
}

/// Appends the text as UTF-8, for which [`utf8_len`] gives the length.
pub fn put_utf8(text: &[u16], out: &mut Vec<u8>) {
    let start = out.len();
    // The conversion wants room for the worst case.
    out.resize(start + text.len() * 3, 0);
    let len = encoding_rs::mem::convert_utf16_to_utf8(text, &mut out[start..]);
    out.truncate(start + len);
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn check(text: &[u16]) {
        let expected = String::from_utf16_lossy(text);
        let mut out = b"before".to_vec();
        put_utf8(text, &mut out);
        assert_eq!(&out[6..], expected.as_bytes());
        assert_eq!(utf8_len(text), expected.len());
    }

    #[test]
    fn surrogates_without_partner_become_replacements() {
        check(&[0x41, 0xd83d, 0xde00, 0xd83d, 0x42, 0xde00, 0xde00, 0xd83d]);
        check(&[0xd83d]);
        check(&[0xdfff, 0xd800]);
        check(&[]);
    }

    proptest! {
        #[test]
        fn agrees_with_the_standard_library(
            text in prop::collection::vec(
                prop_oneof![0..0x80_u16, 0..0x800_u16, 0xd7f0..0xe010_u16, any::<u16>()], 0..300,
            ),
        ) {
            check(&text);
        }
    }
}
