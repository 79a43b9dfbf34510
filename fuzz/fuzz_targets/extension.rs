//! Any offer of compression to any server: no panic, and what is agreed on keeps within what was offered.
//!
//! The first two bytes set the server, the rest is the header's value.

#![no_main]

use ferrows::wire::{DeflateContext, DeflateOptions};
use libfuzzer_sys::fuzz_target;

fuzz_target!(|data: &[u8]| {
    let [compress, decompress, header @ ..] = data else {
        return;
    };
    let Ok(header) = std::str::from_utf8(header) else {
        return;
    };
    let options = DeflateOptions {
        compress: context(*compress),
        decompress: context(*decompress),
    };
    let Some(agreed) = options.negotiate(header) else {
        return;
    };
    assert!(options.is_enabled());
    assert!((8..=15).contains(&agreed.server_window));
    assert!((8..=15).contains(&agreed.client_window));
    let answer = agreed.answer();
    let lower = header.to_ascii_lowercase();
    assert!(lower.contains("permessage-deflate"));
    assert!(
        !answer.contains("client_max_window_bits") || lower.contains("client_max_window_bits"),
        "a window asked of a client that may not know the parameter"
    );
    // An answer is an offer as well, of just what was agreed on.
    let again = options
        .negotiate(&answer)
        .expect("the answer can be accepted");
    assert_eq!(again.answer(), answer);
    assert_eq!(again.server_takeover, agreed.server_takeover);
    assert_eq!(again.client_takeover, agreed.client_takeover);
});

fn context(byte: u8) -> DeflateContext {
    match byte % 9 {
        0 => DeflateContext::Disabled,
        1 => DeflateContext::Shared,
        bits => DeflateContext::Dedicated(bits + 7),
    }
}
