//! Listening, limits, and the exchange of requests and responses.

use super::env::{EnvState, JsSocket, PATIENCE};
use super::error::{throw_bind, throw_tls};
use super::lifecycle::guarded;
use super::raw::{Js, Value};
use crate::hub::routes::{Content, Routes, StaticRoute, Target};
use crate::hub::server::{BindError, DEFAULT_BACKLOG, ListenerStart};
use crate::hub::{Bind, Server};
use crate::session::command::Response;
use crate::session::tls_config::{Clients, Identity, KeyForm};
use crate::session::{Command, Request, TlsConfig, TlsMaterial};
use bytes::Bytes;
use napi_sys as sys;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

type Function = unsafe extern "C" fn(sys::napi_env, sys::napi_callback_info) -> Value;

/// The functions, by name.
pub(super) const FUNCTIONS: &[(&str, Function)] = &[
    ("listen", listen),
    ("configure", configure),
    ("setRoutes", set_routes),
    ("setStatic", set_static),
    ("secure", secure),
    ("stopListening", stop_listening),
    ("closeIdle", close_idle),
    ("abortRequests", abort_requests),
    ("ref", keep_alive),
    ("unref", let_die),
    ("requestTimeout", request_timeout),
    ("upgrade", upgrade),
    ("respond", respond),
    ("respondChunk", respond_chunk),
    ("respondEnd", respond_end),
    ("respondAbort", respond_abort),
    ("bodyRead", body_read),
    ("bodyCancel", body_cancel),
    ("fatal", fatal),
    ("leave", leave),
    ("continueDrain", continue_drain),
    ("byteLengthUtf8", byte_length_utf8),
];

/// Bytes of a streamed response that may wait before JavaScript is asked to.
const STREAM_WINDOW: usize = 256 << 10;
/// How long `leave` waits at most, whatever is asked.
const LONGEST_LEAVE: Duration = Duration::from_secs(10);

/// Bits of `mode` in `respond`.
const MODE_STREAM: u32 = 1;
const MODE_CLOSE: u32 = 2;
const MODE_BARE: u32 = 4;

/// `listen({ hostname, port, unix, reusePort, ipv6Only, backlog, tls })`.
unsafe extern "C" fn listen(env: sys::napi_env, info: sys::napi_callback_info) -> Value {
    guarded::<1>(env, info, |state, [options]| {
        let js = state.js;
        let material = js.get(options, "tls");
        let tls = if js.type_of(material) == sys::ValueType::napi_object {
            match TlsConfig::new(material_of(js, material)) {
                Ok(config) => Some(config),
                Err(error) => {
                    throw_tls(js, error);
                    return js.undefined();
                }
            }
        } else {
            None
        };
        let bind = bind_of(js, options);
        match bind.and_then(|bind| bind.listen()) {
            Ok(bound) => {
                let server = Server::with_tls(Arc::clone(&state.port), tls);
                let id = server.id;
                state.pool.listen(ListenerStart {
                    server,
                    listening: bound.listening,
                });
                let result = js.object();
                js.set(result, "id", js.u32(id));
                let path = js.get(options, "unix");
                if js.type_of(path) == sys::ValueType::napi_string {
                    js.set(result, "path", path);
                }
                if let Some(address) = bound.address {
                    js.set(result, "port", js.u32(u32::from(address.port())));
                    js.set(
                        result,
                        "address",
                        js.utf8(address.ip().to_string().as_bytes()),
                    );
                    let family = if address.is_ipv6() { "IPv6" } else { "IPv4" };
                    js.set(result, "family", js.utf8(family.as_bytes()));
                }
                result
            }
            Err(error) => {
                throw_bind(js, &error);
                js.undefined()
            }
        }
    })
}

#[cfg_attr(
    unix,
    expect(
        clippy::unnecessary_wraps,
        reason = "elsewhere there are no unix sockets"
    )
)]
fn bind_of(js: Js, options: Value) -> Result<Bind, BindError> {
    let backlog = js
        .as_i32(js.get(options, "backlog"))
        .filter(|n| *n > 0)
        .unwrap_or(DEFAULT_BACKLOG);
    if let Some(path) = js.string(js.get(options, "unix")) {
        #[cfg(unix)]
        return Ok(Bind::Unix { path, backlog });
        #[cfg(not(unix))]
        return {
            let _ = path;
            Err(BindError::Os(std::io::ErrorKind::Unsupported.into()))
        };
    }
    Ok(Bind::Tcp {
        hostname: js.string(js.get(options, "hostname")),
        port: js.as_u32(js.get(options, "port")) as u16,
        reuse_port: js.as_bool(js.get(options, "reusePort")),
        ipv6_only: js.as_bool(js.get(options, "ipv6Only")),
        backlog,
    })
}

/// `secure(server, tls)`: new connections begin with this.
unsafe extern "C" fn secure(env: sys::napi_env, info: sys::napi_callback_info) -> Value {
    guarded::<2>(env, info, |state, [server, material]| {
        let js = state.js;
        match TlsConfig::new(material_of(js, material)) {
            Ok(config) => {
                let server = Server::find(js.as_u32(server));
                js.boolean(server.is_some_and(|server| server.set_tls(config)))
            }
            Err(error) => {
                throw_tls(js, error);
                js.undefined()
            }
        }
    })
}

fn material_of(js: Js, material: Value) -> TlsMaterial {
    let bytes = |value| js.with_bytes(value, <[u8]>::to_vec);
    let list = |value| -> Vec<_> { js.elements(value).into_iter().map(bytes).collect() };
    let identity = |value| Identity {
        name: js.string(js.get(value, "serverName")),
        chain: list(js.get(value, "chain")),
        key: bytes(js.get(value, "key")),
        form: match js.string(js.get(value, "form")).as_deref() {
            Some("pkcs1") => KeyForm::Pkcs1,
            Some("sec1") => KeyForm::Sec1,
            _ => KeyForm::Pkcs8,
        },
        clients: js.as_u32(js.get(value, "clients")) as usize,
    };
    let clients = |value| {
        let flag = |name| js.as_bool(js.get(value, name));
        match (flag("requestCert"), flag("rejectUnauthorized")) {
            (false, _) => Clients::Anybody,
            (true, false) => Clients::Asked,
            (true, true) => Clients::Verified {
                authorities: list(js.get(value, "authorities")),
                told: flag("namesAuthorities"),
            },
        }
    };
    let all = |name| js.elements(js.get(material, name)).into_iter();
    TlsMaterial {
        identities: all("identities").map(identity).collect(),
        clients: all("clients").map(clients).collect(),
        only_tls13: js.as_bool(js.get(material, "onlyTls13")),
        only_tls12: js.as_bool(js.get(material, "onlyTls12")),
    }
}

/// `configure(server, limits)`.
unsafe extern "C" fn configure(env: sys::napi_env, info: sys::napi_callback_info) -> Value {
    guarded::<2>(env, info, |state, [server, limits]| {
        let js = state.js;
        let server = js.as_u32(server);
        if let Some(server) = Server::find(server) {
            let number = |name| js.as_f64(js.get(limits, name)).max(0.0);
            let flag = |name| js.as_bool(js.get(limits, name));
            let config = &server.config;
            config
                .max_payload_length
                .store(number("maxPayloadLength") as u64, Ordering::Relaxed);
            config
                .backpressure_limit
                .store(number("backpressureLimit") as u64, Ordering::Relaxed);
            config
                .close_on_backpressure_limit
                .store(flag("closeOnBackpressureLimit"), Ordering::Relaxed);
            config
                .idle_timeout
                .store(number("idleTimeout") as u32, Ordering::Relaxed);
            config
                .send_pings
                .store(flag("sendPings"), Ordering::Relaxed);
            config
                .http_idle_timeout
                .store(number("httpIdleTimeout") as u32, Ordering::Relaxed);
            config
                .max_request_body_size
                .store(number("maxRequestBodySize") as u64, Ordering::Relaxed);
            config
                .compress
                .store(number("compress") as u8, Ordering::Relaxed);
            config
                .decompress
                .store(number("decompress") as u8, Ordering::Relaxed);
            config
                .wants_messages
                .store(flag("hasMessage"), Ordering::Relaxed);
            config.wants_pings.store(flag("hasPing"), Ordering::Relaxed);
            config.wants_pongs.store(flag("hasPong"), Ordering::Relaxed);
            config
                .wants_drains
                .store(flag("hasDrain"), Ordering::Relaxed);
        }
        let mut out = state.out.borrow_mut();
        for lane in &mut out.lanes {
            lane.commands.push(Command::Reschedule { server });
        }
        state.hand_over_unless_held(&mut out);
        js.undefined()
    })
}

/// `setRoutes(server, table, upgrades)`. A line of the table is a route: its number and a method, each `-` for none, and
/// the pattern; blanks between them.
unsafe extern "C" fn set_routes(env: sys::napi_env, info: sys::napi_callback_info) -> Value {
    guarded::<3>(env, info, |state, [server, table, upgrades]| {
        let js = state.js;
        if let Some(server) = Server::find(js.as_u32(server)) {
            let mut routes = Routes::default();
            routes.upgrades = js.as_bool(upgrades);
            let mut unknown = Vec::new();
            let table = js.latin1_bytes(table);
            for line in table.split(|byte| *byte == b'\n') {
                let mut words = line.splitn(3, |byte| *byte == b' ');
                let (Some(number), Some(method), Some(pattern)) =
                    (words.next(), words.next(), words.next())
                else {
                    continue;
                };
                let number = std::str::from_utf8(number)
                    .ok()
                    .and_then(|n| n.parse().ok());
                let target = match number {
                    Some(number) => {
                        let route = Arc::new(StaticRoute::default());
                        unknown.push((number, Arc::clone(&route)));
                        Target::Static(route)
                    }
                    None => Target::Handler,
                };
                let method = if method == b"-" { b"" } else { method };
                routes.add(pattern, method, target);
            }
            server.set_routes(routes, unknown);
        }
        js.undefined()
    })
}

/// `setStatic(server, number, status, headerLines, body, close)`: what a static route answers.
unsafe extern "C" fn set_static(env: sys::napi_env, info: sys::napi_callback_info) -> Value {
    guarded::<6>(
        env,
        info,
        |state, [server, number, status, lines, body, close]| {
            let js = state.js;
            let server = js.as_u32(server);
            if let Some(found) = Server::find(server) {
                let body = if js.type_of(body) == sys::ValueType::napi_null {
                    Bytes::new()
                } else {
                    state.body(body)
                };
                let lines = js.latin1_bytes(lines);
                let status = js.as_u32(status) as u16;
                let content = Content::new(status, &lines, body, js.as_bool(close));
                found.set_content(js.as_u32(number), content);
                let mut out = state.out.borrow_mut();
                for lane in &mut out.lanes {
                    lane.commands.push(Command::Rerouted { server });
                }
                state.hand_over_unless_held(&mut out);
            }
            js.undefined()
        },
    )
}

impl EnvState {
    /// Tells every I/O thread something about a server, and waits until they know.
    fn tell_all(&self, make: impl Fn() -> Command) {
        let mut out = self.out.borrow_mut();
        for lane in &mut out.lanes {
            lane.commands.push(make());
        }
        self.hand_over(&mut out);
        for thread in 0..self.pool.len() {
            self.port.settle(thread, PATIENCE);
        }
    }

    /// Sends a command about a request. Does nothing if it is over.
    fn answer(&self, rid: Value, request: Request) -> Value {
        let (thread, slot, serial) = match self.requests.borrow_mut().get_mut(self.js.as_u32(rid)) {
            Some(request) => (request.thread, request.slot, request.serial),
            None => return self.js.undefined(),
        };
        let mut out = self.out.borrow_mut();
        out.lanes[thread].commands.push(Command::Request {
            slot,
            serial,
            request: Box::new(request),
        });
        self.hand_over_unless_held(&mut out);
        self.js.undefined()
    }

    /// The bytes of a string, as UTF-8, or of a buffer; copied.
    fn body(&self, value: Value) -> Bytes {
        match self.js.utf8_len(value) {
            Some(len) => {
                let mut text = Vec::with_capacity(len + 1);
                self.js.append_utf8(value, len, &mut text);
                text.into()
            }
            None => self.js.with_bytes(value, Bytes::copy_from_slice),
        }
    }
}

/// `stopListening(server)`: the port is free when it returns.
unsafe extern "C" fn stop_listening(env: sys::napi_env, info: sys::napi_callback_info) -> Value {
    guarded::<1>(env, info, |state, [server]| {
        let server = state.js.as_u32(server);
        state.tell_all(|| Command::Stop {
            server,
            force: false,
        });
        state.js.undefined()
    })
}

/// `abortRequests(server)`.
unsafe extern "C" fn abort_requests(env: sys::napi_env, info: sys::napi_callback_info) -> Value {
    guarded::<1>(env, info, |state, [server]| {
        let server = state.js.as_u32(server);
        state.tell_all(|| Command::Stop {
            server,
            force: true,
        });
        state.js.undefined()
    })
}

/// `closeIdle(server)`.
unsafe extern "C" fn close_idle(env: sys::napi_env, info: sys::napi_callback_info) -> Value {
    guarded::<1>(env, info, |state, [server]| {
        let server = state.js.as_u32(server);
        let idle = Server::find(server).map_or(0, |server| server.idle.load(Ordering::Relaxed));
        state.tell_all(|| Command::CloseIdle { server });
        state.js.number(idle as f64)
    })
}

/// `ref()`.
unsafe extern "C" fn keep_alive(env: sys::napi_env, info: sys::napi_callback_info) -> Value {
    guarded::<0>(env, info, |state, []| {
        state.keep_alive(true);
        state.js.undefined()
    })
}

/// `unref()`.
unsafe extern "C" fn let_die(env: sys::napi_env, info: sys::napi_callback_info) -> Value {
    guarded::<0>(env, info, |state, []| {
        state.keep_alive(false);
        state.js.undefined()
    })
}

/// `requestTimeout(rid, seconds)`.
unsafe extern "C" fn request_timeout(env: sys::napi_env, info: sys::napi_callback_info) -> Value {
    guarded::<2>(env, info, |state, [rid, seconds]| {
        let seconds = state.js.as_f64(seconds).clamp(0.0, f64::from(u32::MAX)) as u32;
        state.answer(rid, Request::Timeout(seconds))
    })
}

/// `upgrade(rid, headerLines, protocol)`: the number of the new socket.
unsafe extern "C" fn upgrade(env: sys::napi_env, info: sys::napi_callback_info) -> Value {
    guarded::<3>(env, info, |state, [rid, lines, protocol]| {
        let js = state.js;
        let Some(request) = state.requests.borrow_mut().remove(js.as_u32(rid)) else {
            return js.number(-1.0);
        };
        let lines = js.latin1_bytes(lines);
        let protocol = js
            .utf8_len(protocol)
            .map(|_| js.latin1_bytes(protocol).into_boxed_slice());
        let mut out = state.out.borrow_mut();
        let id = out.sockets.insert(JsSocket {
            thread: request.thread,
            slot: request.slot,
            shared: request.shared,
            added: 0,
            budget: 0,
            deflates: request.deflates,
            overflowed: false,
            closed: false,
        });
        out.deflating += usize::from(request.deflates);
        out.lanes[request.thread].commands.push(Command::Request {
            slot: request.slot,
            serial: request.serial,
            request: Box::new(Request::Upgrade {
                id,
                lines,
                protocol,
            }),
        });
        state.hand_over_unless_held(&mut out);
        js.u32(id)
    })
}

/// `respond(rid, status, statusText, headerLines, body, mode)`.
unsafe extern "C" fn respond(env: sys::napi_env, info: sys::napi_callback_info) -> Value {
    guarded::<6>(
        env,
        info,
        |state, [rid, status, reason, lines, body, mode]| {
            let js = state.js;
            let mode = js.as_u32(mode);
            let reason = js
                .string(reason)
                .filter(|reason| !reason.is_empty())
                .map(String::into_boxed_str);
            let body = (mode & MODE_STREAM == 0).then(|| {
                if js.type_of(body) == sys::ValueType::napi_null {
                    Bytes::new()
                } else {
                    state.body(body)
                }
            });
            let response = Response {
                status: js.as_u32(status) as u16,
                reason,
                lines: js.latin1_bytes(lines),
                body,
                close: mode & MODE_CLOSE != 0,
            };
            let response = Box::new(response);
            let bare = mode & MODE_BARE != 0;
            let request = if bare {
                Request::Refuse(response)
            } else {
                Request::Respond(response)
            };
            state.answer(rid, request)
        },
    )
}

/// `respondChunk(rid, data)`: whether more may be written now.
unsafe extern "C" fn respond_chunk(env: sys::napi_env, info: sys::napi_callback_info) -> Value {
    guarded::<2>(env, info, |state, [rid, data]| {
        let js = state.js;
        let data = state.body(data);
        let more = match state.requests.borrow_mut().get_mut(js.as_u32(rid)) {
            Some(request) => {
                request.waiting += data.len();
                request.waiting <= STREAM_WINDOW
            }
            None => return js.boolean(true),
        };
        state.answer(
            rid,
            Request::Chunk {
                data,
                want_writable: !more,
            },
        );
        js.boolean(more)
    })
}

/// `respondEnd(rid)`.
unsafe extern "C" fn respond_end(env: sys::napi_env, info: sys::napi_callback_info) -> Value {
    guarded::<1>(env, info, |state, [rid]| state.answer(rid, Request::End))
}

/// `respondAbort(rid)`.
unsafe extern "C" fn respond_abort(env: sys::napi_env, info: sys::napi_callback_info) -> Value {
    guarded::<1>(env, info, |state, [rid]| state.answer(rid, Request::Abort))
}

/// `bodyRead(rid)`.
unsafe extern "C" fn body_read(env: sys::napi_env, info: sys::napi_callback_info) -> Value {
    guarded::<1>(env, info, |state, [rid]| {
        state.answer(rid, Request::ReadBody)
    })
}

/// `bodyCancel(rid)`.
unsafe extern "C" fn body_cancel(env: sys::napi_env, info: sys::napi_callback_info) -> Value {
    guarded::<1>(env, info, |state, [rid]| {
        state.answer(rid, Request::CancelBody)
    })
}

/// `fatal(error)`.
unsafe extern "C" fn fatal(env: sys::napi_env, info: sys::napi_callback_info) -> Value {
    guarded::<1>(env, info, |state, [error]| {
        state.js.fatal_exception(error);
        state.js.undefined()
    })
}

/// `leave(ms)`.
unsafe extern "C" fn leave(env: sys::napi_env, info: sys::napi_callback_info) -> Value {
    guarded::<1>(env, info, |state, [ms]| {
        let limit = Duration::from_millis(state.js.as_f64(ms).max(0.0) as u64).min(LONGEST_LEAVE);
        state.hand_over(&mut state.out.borrow_mut());
        state.port.leave(state.pool, limit);
        state.js.undefined()
    })
}

/// `continueDrain()`: called by JavaScript in a turn of its own, after `later` was.
unsafe extern "C" fn continue_drain(env: sys::napi_env, info: sys::napi_callback_info) -> Value {
    guarded::<0>(env, info, |state, []| {
        state.drain();
        state.js.undefined()
    })
}

/// `byteLengthUtf8(string)`.
unsafe extern "C" fn byte_length_utf8(env: sys::napi_env, info: sys::napi_callback_info) -> Value {
    guarded::<1>(env, info, |state, [text]| {
        let len = state.js.utf8_len(text).unwrap_or(0);
        state.js.number(len as f64)
    })
}
