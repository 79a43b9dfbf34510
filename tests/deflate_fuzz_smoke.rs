//! What `fuzz/fuzz_targets/{extension,inflate}.rs` do, on inputs that are the same in every run: no nightly toolchain
//! needed.
//!
//! Only without `node-api`: with it, a test would need the host's functions to link.
#![cfg(not(feature = "node-api"))]
#![allow(clippy::unwrap_used, reason = "a test that fails panics")]

#[path = "support/inflating.rs"]
mod inflating;
#[path = "support/random.rs"]
mod random;

use ferrows::wire::{DeflateContext, DeflateOptions, Deflater, History, Inflater, ShortDeflater};
use inflating::{Peer, serves_the_next};
use random::Random;

/// Headers offered.
const OFFERS: u32 = 20_000;
/// Conversations of some messages each.
const CONVERSATIONS: u32 = 400;

#[test]
fn agrees_only_on_what_was_offered() {
    let mut random = Random::new(0x9e37_79b9_7f4a_7c15);
    let mut accepted = 0;
    for _ in 0..OFFERS {
        let header = random.header();
        let options = DeflateOptions {
            compress: random.context(),
            decompress: random.context(),
        };
        let Some(agreed) = options.negotiate(&header) else {
            continue;
        };
        accepted += 1;
        assert!(options.is_enabled());
        assert!((8..=15).contains(&agreed.server_window), "{header}");
        assert!((8..=15).contains(&agreed.client_window), "{header}");
        let answer = agreed.answer();
        assert!(
            !answer.contains("client_max_window_bits") || header.contains("client_max_window_bits"),
            "{header}: {answer}"
        );
        let again = options.negotiate(&answer).unwrap();
        assert_eq!(again.answer(), answer, "{header}");
        assert_eq!(again.server_takeover, agreed.server_takeover);
        assert_eq!(again.client_takeover, agreed.client_takeover);
    }
    // The generator is worth something only while both outcomes are common.
    assert!(
        (OFFERS / 10..OFFERS * 9 / 10).contains(&accepted),
        "{accepted} accepted"
    );
}

#[test]
fn no_message_breaks_an_inflater_or_its_limit() {
    let mut random = Random::new(0x0123_4567_89ab_cdef);
    let mut used = Inflater::default();
    let mut short = ShortDeflater::default();
    let mut messages = 0;
    let mut errors = 0;
    for _ in 0..CONVERSATIONS {
        let window = 8 + random.below(8) as u8;
        let takeover = random.below(2) == 0;
        let limit = [0, 1, 1000, 1 << 20][random.below(4)];
        let mut deflater = Deflater::new(window);
        let mut sent = History::new(window);
        let mut peer = Peer::new(window, takeover, limit);
        for _ in 0..=random.below(5) {
            let message = random.message();
            let mut packed = Vec::new();
            let context = takeover.then_some((&mut sent, 1));
            assert!(deflater.compress(&message, context, &mut packed));
            random.damage(&mut packed);
            let result = peer.message(&mut used, &packed);
            messages += 1;
            if result.is_err() {
                errors += 1;
                break;
            }
        }
        let message = random.message();
        serves_the_next(&mut used, &mut deflater, &mut short, window, &message);
    }
    assert!(
        (messages / 10..messages * 9 / 10).contains(&errors),
        "{errors} of {messages}"
    );
}

/// What the tests feed.
impl Random {
    fn one_of<'a>(&mut self, choices: &[&'a str]) -> &'a str {
        choices[self.below(choices.len())]
    }

    fn context(&mut self) -> DeflateContext {
        match self.below(9) {
            0 => DeflateContext::Disabled,
            1 => DeflateContext::Shared,
            bits => DeflateContext::Dedicated(bits as u8 + 7),
        }
    }

    /// Offers that make some sense, with a character broken now and then.
    fn header(&mut self) -> String {
        let mut header = String::new();
        for offer in 0..=self.below(3) {
            if offer > 0 {
                header += self.one_of(&[", ", ",", " , ", ",,"]);
            }
            header += self.one_of(&[
                "permessage-deflate",
                "permessage-deflate",
                "permessage-deflate",
                "PerMessage-Deflate",
                "x-webkit-deflate-frame",
                "permessage-deflatex",
            ]);
            for _ in 0..self.below(4) {
                header += self.one_of(&["; ", ";", " ;\t"]);
                header += self.one_of(&[
                    "client_no_context_takeover",
                    "server_no_context_takeover",
                    "client_max_window_bits",
                    "client_max_window_bits",
                    "server_max_window_bits=10",
                    "client_max_window_bits=9",
                    "client_max_window_bits=\"12\"",
                    "server_max_window_bits=8",
                    "server_max_window_bits=15",
                    "server_max_window_bits",
                    "foo",
                    "a=\"b, c; \\\" d\"",
                ]);
            }
        }
        if self.below(5) == 0 {
            let at = self.below(header.len());
            let broken = self.one_of(&["\"", "\\", ";", ",", "=", " ", "1", "é"]);
            header.replace_range(at..=at, broken);
        }
        header
    }

    /// Some of it worth compressing, some of it not.
    fn message(&mut self) -> Vec<u8> {
        let len = [1, 20, 300, 5000, 40_000][self.below(5)];
        let values = [1, 3, 256][self.below(3)];
        (0..=self.below(len))
            .map(|_| self.below(values) as u8)
            .collect()
    }

    /// Half of the time the message stays as it is.
    fn damage(&mut self, packed: &mut Vec<u8>) {
        match self.below(12) {
            0 => {
                let at = self.below(packed.len());
                packed[at] ^= 1 << self.below(8);
            }
            1 => packed.truncate(self.below(packed.len())),
            2 => packed.extend([0, 0, 0xff, 0xff]),
            3 => packed.push(self.below(256) as u8),
            4 => {
                let at = self.below(packed.len());
                packed.insert(at, self.below(256) as u8);
            }
            5 => *packed = (0..self.below(60)).map(|_| self.below(256) as u8).collect(),
            _ => {}
        }
    }
}
