//! Header values of a request, separated by line feeds: no panic, and what is accepted keeps its promises.

#![no_main]

use ferrows::wire::{Handshake, accept_key, classify, is_valid_key};
use libfuzzer_sys::fuzz_target;

fuzz_target!(|data: &str| {
    let mut fields = data.split('\n');
    let method = fields.next().unwrap_or_default();
    let [upgrade, key, version] = std::array::from_fn(|_| fields.next());
    if classify(method, true, upgrade, key, version) == Handshake::Accepted {
        let key = key.expect("accepted without a key");
        assert!(is_valid_key(key));
        assert_eq!(accept_key(key).len(), 28);
    }
});
