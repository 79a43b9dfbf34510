//! Node-API calls with Rust types. Copies where it says so; nothing returned outlives the handle scope it was made in.

use napi_sys as sys;
use std::ffi::CString;
use std::os::raw::c_void;
use std::ptr;

pub(super) type Value = sys::napi_value;

/// A JavaScript env, on its own thread: every method may only be called there, which the crate ensures by making one
/// only inside a call from that env.
#[derive(Clone, Copy)]
pub(super) struct Js(pub(super) sys::napi_env);

/// A JavaScript exception is pending, or the env can run no more JavaScript.
#[derive(Debug)]
pub(super) struct Thrown;

impl Js {
    fn check(status: sys::napi_status) -> Result<(), Thrown> {
        if status == sys::Status::napi_ok {
            Ok(())
        } else {
            Err(Thrown)
        }
    }

    pub(super) fn undefined(self) -> Value {
        let mut value = ptr::null_mut();
        // SAFETY: `self.0` is this thread's live env; `value` outlives the call.
        unsafe { sys::napi_get_undefined(self.0, &raw mut value) };
        value
    }

    pub(super) fn null(self) -> Value {
        let mut value = ptr::null_mut();
        // SAFETY: as in `undefined`.
        unsafe { sys::napi_get_null(self.0, &raw mut value) };
        value
    }

    pub(super) fn boolean(self, flag: bool) -> Value {
        let mut value = ptr::null_mut();
        // SAFETY: as in `undefined`.
        unsafe { sys::napi_get_boolean(self.0, flag, &raw mut value) };
        value
    }

    #[inline]
    pub(super) fn u32(self, number: u32) -> Value {
        let mut value = ptr::null_mut();
        // SAFETY: as in `undefined`.
        unsafe { sys::napi_create_uint32(self.0, number, &raw mut value) };
        value
    }

    #[inline]
    pub(super) fn number(self, number: f64) -> Value {
        let mut value = ptr::null_mut();
        // SAFETY: as in `undefined`.
        unsafe { sys::napi_create_double(self.0, number, &raw mut value) };
        value
    }

    /// A string of bytes below 256, copied.
    #[inline]
    pub(super) fn latin1(self, bytes: &[u8]) -> Value {
        let mut value = ptr::null_mut();
        // SAFETY: the bytes are read during the call only; `isize` lengths are what slices have.
        unsafe {
            sys::napi_create_string_latin1(
                self.0,
                bytes.as_ptr().cast(),
                bytes.len() as isize,
                &raw mut value,
            )
        };
        value
    }

    /// A string of valid UTF-8, copied.
    #[inline]
    pub(super) fn utf8(self, bytes: &[u8]) -> Value {
        let mut value = ptr::null_mut();
        // SAFETY: as in `latin1`.
        unsafe {
            sys::napi_create_string_utf8(
                self.0,
                bytes.as_ptr().cast(),
                bytes.len() as isize,
                &raw mut value,
            )
        };
        value
    }

    /// A string of UTF-16 code units, copied.
    #[inline]
    pub(super) fn utf16(self, units: &[u16]) -> Value {
        let mut value = ptr::null_mut();
        // SAFETY: as in `latin1`.
        unsafe {
            sys::napi_create_string_utf16(
                self.0,
                units.as_ptr(),
                units.len() as isize,
                &raw mut value,
            )
        };
        value
    }

    /// An `ArrayBuffer` of its own, with a copy of the bytes.
    #[inline]
    pub(super) fn array_buffer(self, bytes: &[u8]) -> Value {
        let mut value = ptr::null_mut();
        let mut data: *mut c_void = ptr::null_mut();
        // SAFETY: as in `undefined`.
        let status = unsafe {
            sys::napi_create_arraybuffer(self.0, bytes.len(), &raw mut data, &raw mut value)
        };
        if status == sys::Status::napi_ok && !bytes.is_empty() {
            // SAFETY: the new buffer has `bytes.len()` bytes, is not yet known to JavaScript, and cannot overlap ours.
            unsafe { ptr::copy_nonoverlapping(bytes.as_ptr(), data.cast(), bytes.len()) };
        }
        value
    }

    pub(super) fn object(self) -> Value {
        let mut value = ptr::null_mut();
        // SAFETY: as in `undefined`.
        unsafe { sys::napi_create_object(self.0, &raw mut value) };
        value
    }

    pub(super) fn array(self, values: impl ExactSizeIterator<Item = Value>) -> Value {
        let mut array = ptr::null_mut();
        // SAFETY: as in `undefined`.
        unsafe { sys::napi_create_array_with_length(self.0, values.len(), &raw mut array) };
        for (index, value) in values.enumerate() {
            // SAFETY: both are live handles of this scope.
            unsafe { sys::napi_set_element(self.0, array, index as u32, value) };
        }
        array
    }

    pub(super) fn set(self, object: Value, name: &str, value: Value) {
        let key = self.latin1(name.as_bytes());
        // SAFETY: all are live handles of this scope.
        unsafe { sys::napi_set_property(self.0, object, key, value) };
    }

    pub(super) fn get(self, object: Value, name: &str) -> Value {
        let key = self.latin1(name.as_bytes());
        let mut value = ptr::null_mut();
        // SAFETY: as in `set`.
        let status = unsafe { sys::napi_get_property(self.0, object, key, &raw mut value) };
        if status == sys::Status::napi_ok {
            value
        } else {
            self.undefined()
        }
    }

    /// The elements of an array; none for anything else.
    pub(super) fn elements(self, array: Value) -> Vec<Value> {
        let mut len = 0;
        // SAFETY: a live handle; for another kind of value the call fails and leaves the length alone.
        unsafe { sys::napi_get_array_length(self.0, array, &raw mut len) };
        let element = |index| {
            let mut value = ptr::null_mut();
            // SAFETY: as in `set`.
            let status = unsafe { sys::napi_get_element(self.0, array, index, &raw mut value) };
            if status == sys::Status::napi_ok {
                value
            } else {
                self.undefined()
            }
        };
        (0..len).map(element).collect()
    }

    pub(super) fn type_of(self, value: Value) -> sys::napi_valuetype {
        let mut kind = sys::ValueType::napi_undefined;
        // SAFETY: a live handle of this scope.
        unsafe { sys::napi_typeof(self.0, value, &raw mut kind) };
        kind
    }

    pub(super) fn as_u32(self, value: Value) -> u32 {
        let mut number = 0;
        // SAFETY: as in `type_of`. Not a number leaves it 0.
        unsafe { sys::napi_get_value_uint32(self.0, value, &raw mut number) };
        number
    }

    /// A number; `None` for anything else.
    #[inline]
    pub(super) fn as_i32(self, value: Value) -> Option<i32> {
        let mut number = 0;
        // SAFETY: as in `type_of`.
        let status = unsafe { sys::napi_get_value_int32(self.0, value, &raw mut number) };
        (status == sys::Status::napi_ok).then_some(number)
    }

    pub(super) fn as_f64(self, value: Value) -> f64 {
        let mut number = 0.0;
        // SAFETY: as in `type_of`.
        unsafe { sys::napi_get_value_double(self.0, value, &raw mut number) };
        number
    }

    pub(super) fn as_bool(self, value: Value) -> bool {
        let mut flag = false;
        // SAFETY: as in `type_of`.
        unsafe { sys::napi_get_value_bool(self.0, value, &raw mut flag) };
        flag
    }

    /// Appends a string as UTF-8, lone surrogates as U+FFFD, to `out`; `units` is its length in UTF-16 code units.
    /// Returns the bytes appended.
    #[inline]
    pub(super) fn append_utf8(self, value: Value, units: usize, out: &mut Vec<u8>) -> usize {
        // A code unit is at most three bytes, and Node-API writes a NUL behind them.
        out.reserve(units * 3 + 1);
        let start = out.len();
        let mut written = 0;
        let spare = out.spare_capacity_mut();
        // SAFETY: the spare capacity is ours to fill; the call writes `written` bytes and a NUL, and no more than it has.
        unsafe {
            sys::napi_get_value_string_utf8(
                self.0,
                value,
                spare.as_mut_ptr().cast(),
                spare.len(),
                &raw mut written,
            )
        };
        // SAFETY: the call has initialised that many bytes of the spare capacity.
        unsafe { out.set_len(start + written) };
        written
    }

    /// Appends a string of `units` UTF-16 code units to `out`.
    #[inline]
    pub(super) fn append_utf16(self, value: Value, units: usize, out: &mut Vec<u16>) {
        // Node-API writes a NUL behind them.
        out.reserve(units + 1);
        let start = out.len();
        let mut written = 0;
        let spare = out.spare_capacity_mut();
        // SAFETY: as in `append_utf8`, in code units.
        unsafe {
            sys::napi_get_value_string_utf16(
                self.0,
                value,
                spare.as_mut_ptr().cast(),
                spare.len(),
                &raw mut written,
            )
        };
        // SAFETY: the call has initialised that many code units of the spare capacity.
        unsafe { out.set_len(start + written) };
    }

    /// A string's bytes, each code unit cut to eight bits.
    pub(super) fn latin1_bytes(self, value: Value) -> Vec<u8> {
        let mut len = 0;
        // SAFETY: without a buffer the call only measures.
        unsafe {
            sys::napi_get_value_string_latin1(self.0, value, ptr::null_mut(), 0, &raw mut len)
        };
        let mut out = vec![0; len + 1];
        // SAFETY: `out` has room for the string and the NUL.
        unsafe {
            sys::napi_get_value_string_latin1(
                self.0,
                value,
                out.as_mut_ptr().cast(),
                len + 1,
                &raw mut len,
            )
        };
        out.truncate(len);
        out
    }

    /// Length of a string as UTF-8; `None` if it is no string.
    pub(super) fn utf8_len(self, value: Value) -> Option<usize> {
        let mut len = 0;
        // SAFETY: without a buffer the call only measures.
        let status = unsafe {
            sys::napi_get_value_string_utf8(self.0, value, ptr::null_mut(), 0, &raw mut len)
        };
        (status == sys::Status::napi_ok).then_some(len)
    }

    /// A string, copied; `None` if it is no string.
    pub(super) fn string(self, value: Value) -> Option<String> {
        let len = self.utf8_len(value)?;
        let mut out = Vec::new();
        self.append_utf8(value, len, &mut out);
        String::from_utf8(out).ok()
    }

    /// Calls `f` with the bytes of an `ArrayBuffer`, a `SharedArrayBuffer` or a view of one; with none for anything else,
    /// and for a detached one.
    pub(super) fn with_bytes<R>(self, value: Value, f: impl FnOnce(&[u8]) -> R) -> R {
        let (data, len) = self.bytes(value);
        if data.is_null() || len == 0 {
            return f(&[]);
        }
        // SAFETY: Node-API gave address and length of live memory that `value` keeps alive; JavaScript does not run while
        // `f` does. Of memory shared with another thread a racing write can be seen half-done, as in every host.
        f(unsafe { std::slice::from_raw_parts(data.cast::<u8>(), len) })
    }

    fn bytes(self, value: Value) -> (*mut c_void, usize) {
        let mut data: *mut c_void = ptr::null_mut();
        let mut len = 0;
        let mut offset = 0;
        let mut buffer = ptr::null_mut();
        let mut kind = 0;
        // SAFETY: a live handle; for another kind of value the call fails and leaves the results alone.
        let status = unsafe {
            sys::napi_get_typedarray_info(
                self.0,
                value,
                &raw mut kind,
                &raw mut len,
                &raw mut data,
                &raw mut buffer,
                &raw mut offset,
            )
        };
        if status == sys::Status::napi_ok {
            return (data, len * element_size(kind));
        }
        // SAFETY: as above.
        let status =
            unsafe { sys::napi_get_arraybuffer_info(self.0, value, &raw mut data, &raw mut len) };
        if status == sys::Status::napi_ok {
            return (data, len);
        }
        // SAFETY: as above.
        let status = unsafe {
            sys::napi_get_dataview_info(
                self.0,
                value,
                &raw mut len,
                &raw mut data,
                &raw mut buffer,
                &raw mut offset,
            )
        };
        if status == sys::Status::napi_ok {
            (data, len)
        } else {
            (ptr::null_mut(), 0)
        }
    }

    /// Calls a function with `this` undefined.
    #[inline]
    pub(super) fn call(self, function: Value, arguments: &[Value]) -> Result<Value, Thrown> {
        let mut result = ptr::null_mut();
        let this = self.undefined();
        // SAFETY: all are live handles of this scope.
        let status = unsafe {
            sys::napi_call_function(
                self.0,
                this,
                function,
                arguments.len(),
                arguments.as_ptr(),
                &raw mut result,
            )
        };
        Self::check(status).map(|()| result)
    }

    /// Takes a pending exception, if the env can still tell.
    pub(super) fn take_exception(self) -> Option<Value> {
        let mut pending = false;
        // SAFETY: the env is live.
        unsafe { sys::napi_is_exception_pending(self.0, &raw mut pending) };
        if !pending {
            return None;
        }
        let mut error = ptr::null_mut();
        // SAFETY: as above.
        let status = unsafe { sys::napi_get_and_clear_last_exception(self.0, &raw mut error) };
        (status == sys::Status::napi_ok).then_some(error)
    }

    /// The host's own way with an exception that nobody caught.
    pub(super) fn fatal_exception(self, error: Value) {
        // SAFETY: a live handle of this scope.
        unsafe { sys::napi_fatal_exception(self.0, error) };
    }

    pub(super) fn throw(self, error: Value) {
        // SAFETY: a live handle of this scope.
        unsafe { sys::napi_throw(self.0, error) };
    }

    pub(super) fn error(self, message: &str) -> Value {
        let text = self.utf8(message.as_bytes());
        let mut error = ptr::null_mut();
        // SAFETY: a live handle of this scope; no code is asked for.
        unsafe { sys::napi_create_error(self.0, ptr::null_mut(), text, &raw mut error) };
        error
    }

    /// Runs `f` in a handle scope of its own: what it makes is free afterwards.
    pub(super) fn scope<R>(self, f: impl FnOnce() -> R) -> R {
        let mut scope = ptr::null_mut();
        // SAFETY: closed below, in the order of opening.
        unsafe { sys::napi_open_handle_scope(self.0, &raw mut scope) };
        let result = f();
        // SAFETY: opened above, and nothing in between outlives it.
        unsafe { sys::napi_close_handle_scope(self.0, scope) };
        result
    }

    /// A function that calls `callback` with `data`.
    pub(super) fn function(
        self,
        name: &str,
        callback: sys::napi_callback,
        data: *mut c_void,
    ) -> Value {
        let mut function = ptr::null_mut();
        // SAFETY: the name is read during the call; `data` lives as long as the env, by `lifecycle`.
        unsafe {
            sys::napi_create_function(
                self.0,
                name.as_ptr().cast(),
                name.len() as isize,
                callback,
                data,
                &raw mut function,
            )
        };
        function
    }

    /// Keeps a value beyond its scope.
    pub(super) fn reference(self, value: Value) -> sys::napi_ref {
        let mut reference = ptr::null_mut();
        // SAFETY: a live handle.
        unsafe { sys::napi_create_reference(self.0, value, 1, &raw mut reference) };
        reference
    }

    #[inline]
    pub(super) fn dereference(self, reference: sys::napi_ref) -> Value {
        let mut value = ptr::null_mut();
        // SAFETY: a reference made by `reference` and not deleted while the env lives.
        unsafe { sys::napi_get_reference_value(self.0, reference, &raw mut value) };
        value
    }

    /// Arguments of the call and the function's data. Missing arguments are undefined.
    #[inline]
    pub(super) fn arguments<const N: usize>(
        self,
        info: sys::napi_callback_info,
    ) -> ([Value; N], *mut c_void) {
        let mut arguments = [ptr::null_mut(); N];
        let mut count = N;
        let mut data = ptr::null_mut();
        // SAFETY: `info` is this call's; Node-API fills `N` entries.
        unsafe {
            sys::napi_get_cb_info(
                self.0,
                info,
                &raw mut count,
                arguments.as_mut_ptr(),
                ptr::null_mut(),
                &raw mut data,
            )
        };
        (arguments, data)
    }

    /// A named error class and code are the JavaScript layer's business; here only a name for what went wrong.
    pub(super) fn throw_message(self, message: &str) {
        let text = CString::new(message).unwrap_or_default();
        // SAFETY: the text is read during the call.
        unsafe { sys::napi_throw_error(self.0, ptr::null(), text.as_ptr()) };
    }
}

/// Bytes of one element of a typed array.
fn element_size(kind: sys::napi_typedarray_type) -> usize {
    use sys::TypedarrayType as T;
    match kind {
        T::int16_array | T::uint16_array | FLOAT16_ARRAY => 2,
        T::int32_array | T::uint32_array | T::float32_array => 4,
        T::float64_array | T::bigint64_array | T::biguint64_array => 8,
        _ => 1,
    }
}

/// `Float16Array`, newer than the bindings.
const FLOAT16_ARRAY: i32 = 11;
