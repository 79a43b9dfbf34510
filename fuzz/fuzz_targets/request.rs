//! Any bytes as requests. `requesting` says what must hold.
//!
//! The first byte sets the size of the pieces; the rest is what the client sends.

#![no_main]

#[path = "../../tests/support/requesting.rs"]
mod requesting;

use libfuzzer_sys::fuzz_target;
use requesting::understand;

fuzz_target!(|data: &[u8]| {
    let [size, input @ ..] = data else {
        return;
    };
    let (whole, used) = understand([input]);
    let (split, split_used) = understand(input.chunks(usize::from(*size).max(1)));
    assert_eq!(whole, split);
    assert!(whole.is_err() || used == split_used);
});
