//! Small binary messages cross in memory that both sides know: making an `ArrayBuffer` for each, or asking for the
//! address of a view, costs ten times as much as the copy that JavaScript makes or takes.

use super::raw::{Js, Value};
use napi_sys as sys;
use std::ptr;

/// Largest such message in bytes. V8 keeps views up to this size in its own heap.
pub(super) const SMALL: usize = 64;

/// An `ArrayBuffer` of JavaScript's: [`SMALL`] bytes for each message of a chunk, and as many for one that is sent.
pub(super) struct SmallBytes {
    /// `None` when the buffer is not as large as agreed on: then nothing is small.
    data: Option<ptr::NonNull<u8>>,
    places: usize,
}

impl SmallBytes {
    /// `buffer` has `places` places for what is received, then one for what is sent.
    pub(super) fn new(js: Js, buffer: Value, places: usize) -> Self {
        let mut data = ptr::null_mut();
        let mut len = 0;
        // SAFETY: a live handle; for another kind of value the call fails and leaves the results alone.
        unsafe { sys::napi_get_arraybuffer_info(js.0, buffer, &raw mut data, &raw mut len) };
        // Kept for as long as the env lives, and with it the memory, which never moves.
        js.reference(buffer);
        let data = ptr::NonNull::new(data.cast::<u8>()).filter(|_| len >= (places + 1) * SMALL);
        Self { data, places }
    }

    /// Puts a message that JavaScript is about to be given into its place. False if it is not small.
    #[inline]
    pub(super) fn put(&self, place: usize, message: &[u8]) -> bool {
        let Some(data) = self.data else {
            return false;
        };
        if message.len() > SMALL || place >= self.places {
            return false;
        }
        // SAFETY: the place is within the buffer, as `new` has checked.
        let place = unsafe { data.add(place * SMALL) };
        // SAFETY: the place has room for the message, which is not in this buffer: nothing of ours is.
        unsafe { ptr::copy_nonoverlapping(message.as_ptr(), place.as_ptr(), message.len()) };
        true
    }

    /// Calls `f` with the first `len` bytes of what JavaScript is sending.
    #[inline]
    pub(super) fn with_sent<R>(&self, len: usize, f: impl FnOnce(&[u8]) -> R) -> R {
        let Some(data) = self.data.filter(|_| len <= SMALL) else {
            return f(&[]);
        };
        // SAFETY: within the buffer, as `new` has checked.
        let sent = unsafe { data.add(self.places * SMALL) };
        // SAFETY: the place has `len` bytes, and JavaScript does not run while `f` does.
        f(unsafe { std::slice::from_raw_parts(sent.as_ptr(), len) })
    }
}
