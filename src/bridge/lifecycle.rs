//! Attaching to an env, waking it, letting go of it.
//!
//! An [`EnvState`] is made by `attach` and lives until the env's cleanup hook has run: that is the last time Node-API
//! calls any of its functions with it, and what wakes it (`wakeup`), whose calls carry it too, is told then that nobody
//! is there. I/O threads know only the [`EnvPort`], which they share.

use super::env::{Callbacks, EnvState, Out};
use super::raw::{Js, Value};
use super::small::SmallBytes;
use super::wakeup::{RemoteWaker, Wakeup};
use super::{server, socket};
use crate::hub::{EnvPort, IoPool};
use napi::bindgen_prelude::Object;
use napi::{Env, Error, JsValue, Result, Status};
use napi_derive::napi;
use napi_sys as sys;
use std::cell::{Cell, OnceCell, RefCell};
use std::os::raw::c_void;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;
use std::time::Duration;

/// How long an env that ends waits for its last bytes to meet the kernel.
const FAREWELL: Duration = Duration::from_millis(500);

/// Joins this env to the I/O threads. `callbacks` holds the functions that take events, `options.deno` says that the
/// host is Deno, which now and then loses a wake-up; `options.small` is memory for small binary messages.
/// Returns the functions by which JavaScript commands.
///
/// # Errors
/// When a callback is missing: the JavaScript and the native part are of different versions.
#[napi(
    ts_args_type = "callbacks: Record<string, (...args: never[]) => unknown>, options: { deno: boolean, small: ArrayBuffer }",
    ts_return_type = "Record<string, (...args: unknown[]) => unknown>"
)]
pub(super) fn attach<'env>(
    env: &'env Env,
    callbacks: Object<'env>,
    options: Object<'env>,
) -> Result<Object<'env>> {
    keep_mapped();
    let js = Js(env.raw());
    let deno = options.get::<bool>("deno")?.unwrap_or(false);
    let callbacks = Callbacks::from_object(js, callbacks.raw()).map_err(|name| {
        let text = format!(
            "the callback '{name}' is missing: JavaScript and native part are of different versions"
        );
        Error::new(Status::InvalidArg, text)
    })?;
    let small = SmallBytes::new(js, js.get(options.raw(), "small"), super::events::CHUNK);
    let pool = IoPool::global();
    let waker = Box::new(RemoteWaker::new());
    let remote: *const RemoteWaker = &raw const *waker;
    let port = Arc::new(EnvPort::new(pool, waker, deno));
    let state = Box::into_raw(Box::new(EnvState {
        js,
        port: Arc::clone(&port),
        pool,
        callbacks,
        small,
        wakeup: OnceCell::new(),
        out: RefCell::new(Out {
            lanes: EnvState::lanes(pool.len()),
            ..Out::default()
        }),
        depth: Cell::new(0),
        requests: RefCell::default(),
        left: RefCell::default(),
        spare: RefCell::default(),
        ended: Cell::new(false),
        terminated: Cell::new(false),
    }));
    let wakeup = Wakeup::new(js, state, deno).map_err(|()| {
        Error::new(
            Status::GenericFailure,
            "the host gives no threadsafe function",
        )
    })?;
    // SAFETY: `state` was made above; its shell is never freed.
    let wakeup = unsafe { &*state }.wakeup.get_or_init(|| wakeup);
    // SAFETY: the waker is owned by the port, which lives in `state`.
    let remote = unsafe { &*remote };
    // SAFETY: it lives in `state`, whose shell is never freed.
    unsafe { remote.set(wakeup) };
    // SAFETY: the hook takes `state`, which it owns from then on.
    unsafe { sys::napi_add_env_cleanup_hook(js.0, Some(cleanup), state.cast()) };
    pool.attach(&port);
    let hot = js.object();
    for (name, function) in socket::FUNCTIONS.iter().chain(server::FUNCTIONS) {
        js.set(hot, name, js.function(name, Some(*function), state.cast()));
    }
    Ok(Object::from_raw(env.raw(), hot))
}

impl EnvState {
    /// Another turn, behind the microtasks of this one.
    pub(super) fn wake_self(&self) {
        if let Some(wakeup) = self.wakeup.get() {
            wakeup.again();
        }
    }

    /// Whether open servers keep the process alive.
    pub(super) fn keep_alive(&self, alive: bool) {
        if let Some(wakeup) = self.wakeup.get() {
            wakeup.keep_alive(self.js, alive);
        }
    }
}

/// The env ends: what was sent leaves, and nothing here is used any more.
unsafe extern "C" fn cleanup(state: *mut c_void) {
    // SAFETY: made by `attach` for this hook, which runs once.
    let state = unsafe { Box::from_raw(state.cast::<EnvState>()) };
    let _ = catch_unwind(AssertUnwindSafe(|| {
        state.ended.set(true);
        state.hand_over(&mut state.out.borrow_mut());
        state.port.flush(FAREWELL);
        state.port.detach();
        state.pool.wake_all();
        state.forget_all();
    }));
    // The functions of the hot object and the threadsafe function still carry this address: an env in its last moments
    // may call them. So the shell stays, some hundred bytes an env; what it held is gone.
    std::mem::forget(state);
}

/// I/O threads run our code until the process ends: the module must not be unmapped with the env that loaded it.
fn keep_mapped() {
    #[cfg(unix)]
    {
        static ONCE: std::sync::Once = std::sync::Once::new();
        ONCE.call_once(|| {
            let mut info = std::mem::MaybeUninit::<libc::Dl_info>::zeroed();
            let address = keep_mapped as fn() as *const c_void;
            // SAFETY: `info` is filled on success only, and read on success only.
            let found = unsafe { libc::dladdr(address, info.as_mut_ptr()) };
            if found != 0 {
                // SAFETY: filled by the call above.
                let info = unsafe { info.assume_init() };
                // SAFETY: the name is the loader's own, of a module that is mapped now; the handle is never closed.
                unsafe { libc::dlopen(info.dli_fname, libc::RTLD_LAZY | libc::RTLD_NODELETE) };
            }
        });
    }
}

/// Runs the body of a function of the hot object: no panic crosses into the host.
#[inline]
pub(super) fn guarded<const N: usize>(
    env: sys::napi_env,
    info: sys::napi_callback_info,
    body: impl FnOnce(&EnvState, [Value; N]) -> Value,
) -> Value {
    let js = Js(env);
    let (arguments, data) = js.arguments::<N>(info);
    // SAFETY: the data of every function of the hot object is the env's state; its shell is never freed.
    let state = unsafe { &*data.cast::<EnvState>() };
    if state.ended.get() {
        return js.undefined();
    }
    catch_unwind(AssertUnwindSafe(|| body(state, arguments))).unwrap_or_else(|_| {
        js.throw_message("ferrows: internal error");
        js.undefined()
    })
}
