//! How I/O threads wake an env's thread.
//!
//! Every host has threadsafe functions. Node's holds a lock while it writes to the thread that it wakes: when both share
//! a core, that thread runs at once, wants the same lock, and two more switches of threads come to each wake-up. Where
//! the host has libuv (Node, but not on Windows, whose executable exports nothing by name that could be looked up
//! here), its own async handle does the same without a lock.

use super::env::EnvState;
use super::raw::{Js, Value};
use crate::hub::EnvWaker;
use napi_sys as sys;
use std::cell::Cell;
use std::os::raw::c_void;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::ptr;
use std::sync::atomic::{AtomicPtr, Ordering};

/// What the env's thread has of it.
pub(super) enum Wakeup {
    /// By a threadsafe function.
    Threadsafe(sys::napi_threadsafe_function),
    /// By an async handle of the event loop.
    #[cfg(unix)]
    Loop(uv::LoopHandle),
}

/// What I/O threads have of it. It is made before the [`Wakeup`], and wakes nobody until that is known.
pub(super) struct RemoteWaker(AtomicPtr<Wakeup>);

impl RemoteWaker {
    pub(super) fn new() -> Self {
        Self(AtomicPtr::new(ptr::null_mut()))
    }

    /// # Safety
    /// `wakeup` lives for as long as this is not dropped.
    pub(super) unsafe fn set(&self, wakeup: *const Wakeup) {
        self.0.store(wakeup.cast_mut(), Ordering::Release);
    }
}

impl EnvWaker for RemoteWaker {
    fn wake(&self) {
        // SAFETY: by the contract of `set`.
        if let Some(wakeup) = unsafe { self.0.load(Ordering::Acquire).as_ref() } {
            wakeup.send();
        }
    }
}

impl Wakeup {
    /// Makes the env's thread drain whenever it is woken. `is_deno`: Deno's libuv is there in name only.
    ///
    /// # Errors
    /// The host gives no threadsafe function.
    pub(super) fn new(js: Js, state: *mut EnvState, is_deno: bool) -> Result<Self, ()> {
        #[cfg(unix)]
        if !is_deno && let Some(handle) = uv::LoopHandle::new(js, state) {
            return Ok(Self::Loop(handle));
        }
        #[cfg(not(unix))]
        let _ = is_deno;
        threadsafe_function(js, state.cast())
            .map(Self::Threadsafe)
            .ok_or(())
    }

    /// From any thread, until the env's cleanup.
    fn send(&self) {
        match self {
            // SAFETY: the function lives until the env's cleanup, before which the port drops its waker.
            Self::Threadsafe(function) => unsafe {
                sys::napi_call_threadsafe_function(*function, ptr::null_mut(), 0);
            },
            #[cfg(unix)]
            Self::Loop(handle) => handle.send(),
        }
    }

    /// From the env's own thread: another turn, behind the microtasks of this one.
    pub(super) fn again(&self) {
        match self {
            Self::Threadsafe(_) => self.send(),
            #[cfg(unix)]
            Self::Loop(handle) => handle.again(),
        }
    }

    /// Whether it keeps the process alive.
    pub(super) fn keep_alive(&self, js: Js, alive: bool) {
        match self {
            // SAFETY: as in `send`; this is the env's thread.
            Self::Threadsafe(function) if alive => unsafe {
                sys::napi_ref_threadsafe_function(js.0, *function);
            },
            // SAFETY: as above.
            Self::Threadsafe(function) => unsafe {
                sys::napi_unref_threadsafe_function(js.0, *function);
            },
            #[cfg(unix)]
            Self::Loop(handle) => handle.keep_alive(alive),
        }
    }
}

fn threadsafe_function(js: Js, state: *mut c_void) -> Option<sys::napi_threadsafe_function> {
    let mut function = ptr::null_mut();
    // SAFETY: the env is live; `state` outlives the function's last call, by `on_wake` looking for the null env.
    let status = unsafe {
        sys::napi_create_threadsafe_function(
            js.0,
            ptr::null_mut(),
            ptr::null_mut(),
            js.latin1(b"ferrows"),
            0,
            1,
            ptr::null_mut(),
            None,
            state,
            Some(on_wake),
            &raw mut function,
        )
    };
    if status != sys::Status::napi_ok {
        return None;
    }
    // Servers keep the process alive, not our being loaded.
    // SAFETY: made above, on this thread.
    unsafe { sys::napi_unref_threadsafe_function(js.0, function) };
    Some(function)
}

unsafe extern "C" fn on_wake(env: sys::napi_env, _: Value, state: *mut c_void, _: *mut c_void) {
    if !env.is_null() {
        // SAFETY: with a live env, the cleanup hook has not run.
        drain(unsafe { &*state.cast::<EnvState>() });
    }
}

/// No panic crosses into the host.
fn drain(state: &EnvState) {
    if catch_unwind(AssertUnwindSafe(|| state.drain())).is_err() {
        state.js.fatal_exception(
            state
                .js
                .error("ferrows: internal error while handling events"),
        );
    }
}

/// libuv's async handle, by the few functions of libuv that have been the same since its version 1.19.
#[cfg(unix)]
mod uv {
    use super::{
        AssertUnwindSafe, Cell, EnvState, Js, Value, c_void, catch_unwind, drain, ptr, sys,
    };
    use std::ffi::CStr;
    use std::mem::transmute;
    use std::os::raw::c_int;
    use std::sync::OnceLock;
    use std::time::{Duration, Instant};

    /// `UV_ASYNC` of `uv_handle_type`.
    const ASYNC: c_int = 1;
    /// Time after which further turns wait for the loop, so that timers and other I/O of the program get theirs.
    const TURNS: Duration = Duration::from_millis(4);

    type Handle = *mut c_void;
    type Callback = unsafe extern "C" fn(Handle);
    type Init = unsafe extern "C" fn(*mut c_void, Handle, Callback) -> c_int;
    type Send = unsafe extern "C" fn(Handle) -> c_int;
    type Close = unsafe extern "C" fn(Handle, Callback);
    type SetData = unsafe extern "C" fn(Handle, *mut c_void);
    type Data = unsafe extern "C" fn(Handle) -> *mut c_void;

    struct Functions {
        init: Init,
        send: Send,
        close: Close,
        hold: Callback,
        release: Callback,
        set_data: SetData,
        data: Data,
        /// Bytes of an async handle.
        size: usize,
    }

    /// An async handle, open until the env's cleanup.
    pub(in super::super) struct LoopHandle {
        uv: &'static Functions,
        handle: Handle,
        js: Js,
        /// The function that drains, for a call that the host's microtasks follow.
        drain: sys::napi_ref,
        /// Such a call is under way.
        is_draining: Cell<bool>,
        /// And another one is wanted behind it.
        again: Cell<bool>,
        /// The env's cleanup waits for the handle to be closed.
        cleanup: Cell<sys::napi_async_cleanup_hook_handle>,
    }

    impl LoopHandle {
        /// `None` where there is no such loop.
        pub(super) fn new(js: Js, state: *mut EnvState) -> Option<Self> {
            let uv = functions()?;
            let mut event_loop = ptr::null_mut();
            // SAFETY: the env is live.
            let status = unsafe { sys::napi_get_uv_event_loop(js.0, &raw mut event_loop) };
            if status != sys::Status::napi_ok || event_loop.is_null() {
                return None;
            }
            // Aligned as for any C object, and never freed: see `EnvState`'s shell.
            let memory = vec![0_u128; uv.size.div_ceil(size_of::<u128>())];
            let handle: Handle = Box::leak(memory.into_boxed_slice()).as_mut_ptr().cast();
            // SAFETY: the loop is this thread's, and the memory is as large as libuv wants it.
            if unsafe { (uv.init)(event_loop.cast(), handle, on_send) } != 0 {
                return None;
            }
            // SAFETY: initialised above.
            unsafe { (uv.set_data)(handle, state.cast()) };
            // Servers keep the process alive, not our being loaded.
            // SAFETY: as above.
            unsafe { (uv.release)(handle) };
            let function = js.function("drain", Some(on_drain), state.cast());
            let drain = js.reference(function);
            let mut cleanup = ptr::null_mut();
            // SAFETY: the env is live; the hook takes `state`, whose shell is never freed.
            unsafe {
                sys::napi_add_async_cleanup_hook(
                    js.0,
                    Some(on_cleanup),
                    state.cast(),
                    &raw mut cleanup,
                )
            };
            Some(Self {
                uv,
                handle,
                js,
                drain,
                is_draining: Cell::new(false),
                again: Cell::new(false),
                cleanup: Cell::new(cleanup),
            })
        }

        /// From any thread.
        pub(super) fn send(&self) {
            // SAFETY: the handle is open until the env's cleanup, before which the port drops its waker.
            unsafe { (self.uv.send)(self.handle) };
        }

        pub(super) fn again(&self) {
            if self.is_draining.get() {
                self.again.set(true);
            } else {
                self.send();
            }
        }

        pub(super) fn keep_alive(&self, alive: bool) {
            let set = if alive { self.uv.hold } else { self.uv.release };
            // SAFETY: the handle is open, and this is its loop's thread.
            unsafe { set(self.handle) };
        }

        /// Drains, and what is wanted behind the microtasks too, for a while.
        fn run(&self) {
            let start = Instant::now();
            loop {
                self.again.set(false);
                self.is_draining.set(true);
                self.js.scope(|| {
                    let (mut global, mut result) = (ptr::null_mut(), ptr::null_mut());
                    // SAFETY: the env is live and has a handle scope.
                    unsafe { sys::napi_get_global(self.js.0, &raw mut global) };
                    let function = self.js.dereference(self.drain);
                    // An env that is ending refuses; its events are dropped with it.
                    // SAFETY: both values are of this scope; no async context means the root one.
                    unsafe {
                        sys::napi_make_callback(
                            self.js.0,
                            ptr::null_mut(),
                            global,
                            function,
                            0,
                            ptr::null(),
                            &raw mut result,
                        )
                    };
                    // What handlers throw has been reported. What stops a thread must not be left in an env that ends:
                    // whoever looks at it in a cleanup hook, where there is no handle scope, ends the process.
                    let _ = self.js.take_exception();
                });
                self.is_draining.set(false);
                if !self.again.get() {
                    return;
                }
                if start.elapsed() > TURNS {
                    return self.send();
                }
            }
        }
    }

    /// The loop's callback: there is no JavaScript below it.
    unsafe extern "C" fn on_send(handle: Handle) {
        let Some(uv) = functions() else { return };
        // SAFETY: set when the handle was made.
        let state = unsafe { (uv.data)(handle) };
        // SAFETY: the state's shell is never freed.
        let state = unsafe { &*state.cast::<EnvState>() };
        if !state.ended.get()
            && let Some(super::Wakeup::Loop(handle)) = state.wakeup.get()
        {
            let _ = catch_unwind(AssertUnwindSafe(|| handle.run()));
        }
    }

    /// The function that is called by it.
    unsafe extern "C" fn on_drain(env: sys::napi_env, info: sys::napi_callback_info) -> Value {
        let js = Js(env);
        let ([], state) = js.arguments::<0>(info);
        // SAFETY: the state's shell is never freed.
        drain(unsafe { &*state.cast::<EnvState>() });
        js.undefined()
    }

    /// The env ends: the handle has to be closed before its loop is.
    unsafe extern "C" fn on_cleanup(hook: sys::napi_async_cleanup_hook_handle, state: *mut c_void) {
        // SAFETY: the state's shell is never freed.
        let state = unsafe { &*state.cast::<EnvState>() };
        // From here on nobody sends.
        state.port.detach();
        let Some(super::Wakeup::Loop(handle)) = state.wakeup.get() else {
            return;
        };
        handle.cleanup.set(hook);
        // SAFETY: the handle is open; this runs once, on its loop's thread.
        unsafe { (handle.uv.close)(handle.handle, on_closed) };
    }

    unsafe extern "C" fn on_closed(handle: Handle) {
        let Some(uv) = functions() else { return };
        // SAFETY: set when the handle was made.
        let state = unsafe { (uv.data)(handle) };
        // SAFETY: the state's shell is never freed.
        let state = unsafe { &*state.cast::<EnvState>() };
        if let Some(super::Wakeup::Loop(handle)) = state.wakeup.get() {
            // SAFETY: given by the hook, and given back once.
            unsafe { sys::napi_remove_async_cleanup_hook(handle.cleanup.get()) };
        }
    }

    /// The functions, if the host has all of them.
    fn functions() -> Option<&'static Functions> {
        static FUNCTIONS: OnceLock<Option<Functions>> = OnceLock::new();
        FUNCTIONS.get_or_init(look_up).as_ref()
    }

    fn look_up() -> Option<Functions> {
        let find = |name: &'static CStr| {
            // SAFETY: the name ends with NUL.
            let found = unsafe { libc::dlsym(libc::RTLD_DEFAULT, name.as_ptr()) };
            (!found.is_null()).then_some(found)
        };
        let size = find(c"uv_handle_size")?;
        // SAFETY: the signature is libuv's own, as are those below.
        let size = unsafe { transmute::<*mut c_void, unsafe extern "C" fn(c_int) -> usize>(size) };
        let init = find(c"uv_async_init")?;
        let send = find(c"uv_async_send")?;
        let close = find(c"uv_close")?;
        let hold = find(c"uv_ref")?;
        let release = find(c"uv_unref")?;
        let set_data = find(c"uv_handle_set_data")?;
        let data = find(c"uv_handle_get_data")?;
        Some(Functions {
            // SAFETY: see above.
            init: unsafe { transmute::<*mut c_void, Init>(init) },
            // SAFETY: see above.
            send: unsafe { transmute::<*mut c_void, Send>(send) },
            // SAFETY: see above.
            close: unsafe { transmute::<*mut c_void, Close>(close) },
            // SAFETY: see above.
            hold: unsafe { transmute::<*mut c_void, Callback>(hold) },
            // SAFETY: see above.
            release: unsafe { transmute::<*mut c_void, Callback>(release) },
            // SAFETY: see above.
            set_data: unsafe { transmute::<*mut c_void, SetData>(set_data) },
            // SAFETY: see above.
            data: unsafe { transmute::<*mut c_void, Data>(data) },
            // SAFETY: a pure function.
            size: unsafe { size(ASYNC) },
        })
    }
}
