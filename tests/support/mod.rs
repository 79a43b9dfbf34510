//! A program on the core without Node: a thread that takes events and gives commands as a JavaScript thread does,
//! and what tests need to talk to its server.
#![allow(dead_code, reason = "each test file uses its own part of this")]
#![allow(clippy::unwrap_used, reason = "a test that fails panics")]

pub(crate) mod client;
pub(crate) mod random;

use bytes::Bytes;
use ferrows::hub::server::{DEFAULT_BACKLOG, ListenerStart};
use ferrows::hub::{Bind, EnvPort, EnvWaker, IoPool, Server};
use ferrows::session::command::{LARGE, NOBODY, Response};
use ferrows::session::event::{BodyChunk, RequestHead};
use ferrows::session::{
    Command, CommandBatch, Event, EventBatch, MessageKind, Publication, Request, ServerConfig,
    SocketShared, TlsConfig,
};
use ferrows::wire::{MAX_HEADER, Opcode, cut_reason, put_frame, put_header, write_header};
use std::collections::HashMap;
use std::net::SocketAddr;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Condvar, Mutex, Once, mpsc};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

/// How long anything may take on a machine that does much else.
pub(crate) const PATIENCE: Duration = Duration::from_secs(30);
/// I/O threads of the process, so that connections really are on several.
const THREADS: &str = "3";

/// What the program has seen, in order.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Seen {
    Request {
        rid: u32,
        method: String,
        target: String,
        fields: String,
        handshake: u8,
        flags: u32,
    },
    Body {
        rid: u32,
        piece: Piece,
    },
    Writable {
        rid: u32,
    },
    RequestEnd {
        rid: u32,
        aborted: bool,
    },
    Open {
        id: u32,
    },
    Message {
        id: u32,
        kind: MessageKind,
        payload: Vec<u8>,
    },
    Drain {
        id: u32,
    },
    Close {
        id: u32,
        code: u16,
        reason: String,
    },
    Gone {
        id: u32,
    },
    ServerGone {
        server: u32,
    },
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Piece {
    Data(Vec<u8>),
    End,
    Failed,
}

/// What `send` came to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Sent {
    /// Nothing was in front of it.
    Free,
    /// It waits.
    Queued,
    /// The queue is over its limit.
    Dropped,
}

/// The handlers of a program: called for each event, after which the stand-in does what the bridge does.
pub(crate) type Program = Box<dyn FnMut(&mut Js, &Seen) + Send>;

type Job = Box<dyn FnOnce(&mut Js) + Send>;

/// The test's end of the stand-in.
pub(crate) struct Host {
    shared: Arc<HostShared>,
    pub(crate) port: Arc<EnvPort>,
    thread: Option<JoinHandle<()>>,
}

/// A server of the stand-in's.
#[derive(Clone)]
pub(crate) struct Served {
    pub(crate) server: Arc<Server>,
    pub(crate) address: SocketAddr,
}

#[derive(Default)]
struct HostShared {
    inbox: Mutex<Inbox>,
    called: Condvar,
    seen: Mutex<Vec<Seen>>,
    more: Condvar,
    wakes: AtomicU64,
}

#[derive(Default)]
struct Inbox {
    woken: bool,
    jobs: Vec<Job>,
    ended: bool,
}

struct Waker(Arc<HostShared>);

impl EnvWaker for Waker {
    fn wake(&self) {
        self.0.wakes.fetch_add(1, Ordering::Relaxed);
        self.0.inbox.lock().unwrap().woken = true;
        self.0.called.notify_one();
    }
}

/// The stand-in's own state: only its thread touches it.
pub(crate) struct Js {
    pub(crate) port: Arc<EnvPort>,
    pool: &'static IoPool,
    lanes: Vec<CommandBatch>,
    pub(crate) sockets: HashMap<u32, JsSocket>,
    requests: HashMap<u32, JsRequest>,
    next: u32,
    shared: Arc<HostShared>,
}

pub(crate) struct JsSocket {
    pub(crate) thread: usize,
    pub(crate) slot: u32,
    pub(crate) shared: Arc<SocketShared>,
    added: i64,
    overflowed: bool,
    closed: bool,
}

struct JsRequest {
    thread: usize,
    slot: u32,
    serial: u32,
    shared: Arc<SocketShared>,
}

/// The pool, with several threads whatever the machine has.
pub(crate) fn pool() -> &'static IoPool {
    static ONCE: Once = Once::new();
    ONCE.call_once(|| {
        // SAFETY: the tests read the environment through std alone, which takes its lock as this does.
        unsafe { std::env::set_var(ferrows::hub::pool::THREADS_VARIABLE, THREADS) };
        IoPool::global();
    });
    IoPool::global()
}

impl Host {
    /// A program that upgrades handshakes, echoes messages, and answers requests with their target.
    pub(crate) fn echo() -> Self {
        Self::start(Box::new(echo))
    }

    /// A program that only looks on; the test answers.
    pub(crate) fn passive() -> Self {
        Self::start(Box::new(|_, _| {}))
    }

    pub(crate) fn start(program: Program) -> Self {
        Self::start_on(program, false)
    }

    /// `loses_wakes`: as on a host of that kind.
    pub(crate) fn start_on(program: Program, loses_wakes: bool) -> Self {
        let pool = pool();
        let shared = Arc::new(HostShared::default());
        let waker = Box::new(Waker(Arc::clone(&shared)));
        let port = Arc::new(EnvPort::new(pool, waker, loses_wakes));
        pool.attach(&port);
        let js = Js {
            port: Arc::clone(&port),
            pool,
            lanes: (0..pool.len()).map(|_| CommandBatch::default()).collect(),
            sockets: HashMap::new(),
            requests: HashMap::new(),
            next: 0,
            shared: Arc::clone(&shared),
        };
        let thread = std::thread::Builder::new()
            .name("js".into())
            .spawn(move || js.run(program))
            .unwrap();
        Self {
            shared,
            port,
            thread: Some(thread),
        }
    }

    /// Listens on a port of the system's choice.
    pub(crate) fn serve(&self, configure: impl FnOnce(&ServerConfig)) -> Served {
        self.serve_after(configure, |_| {})
    }

    /// The same; `before` runs when the port takes connections that nobody accepts yet.
    pub(crate) fn serve_after(
        &self,
        configure: impl FnOnce(&ServerConfig),
        before: impl FnOnce(SocketAddr),
    ) -> Served {
        self.serve_with(None, configure, before)
    }

    /// Listens with TLS.
    pub(crate) fn serve_tls(
        &self,
        tls: TlsConfig,
        configure: impl FnOnce(&ServerConfig),
    ) -> Served {
        self.serve_with(Some(tls), configure, |_| {})
    }

    fn serve_with(
        &self,
        tls: Option<TlsConfig>,
        configure: impl FnOnce(&ServerConfig),
        before: impl FnOnce(SocketAddr),
    ) -> Served {
        let bound = Bind::Tcp {
            hostname: Some("127.0.0.1".into()),
            port: 0,
            reuse_port: false,
            ipv6_only: false,
            backlog: DEFAULT_BACKLOG,
        }
        .listen()
        .unwrap();
        let address = bound.address.unwrap();
        let server = Server::with_tls(Arc::clone(&self.port), tls);
        configure(&server.config);
        before(address);
        pool().listen(ListenerStart {
            server: Arc::clone(&server),
            listening: bound.listening,
        });
        Served { server, address }
    }

    /// Runs `job` on the program's thread and hands its commands over.
    pub(crate) fn run<R: Send + 'static>(
        &self,
        job: impl FnOnce(&mut Js) -> R + Send + 'static,
    ) -> R {
        let (send, receive) = mpsc::channel();
        self.post(move |js| {
            let result = job(js);
            js.hand_over();
            let _ = send.send(result);
        });
        receive
            .recv_timeout(PATIENCE)
            .expect("the program's thread answers")
    }

    /// Keeps the program's thread from everything until the sender is dropped.
    pub(crate) fn block(&self) -> mpsc::Sender<()> {
        let (release, released) = mpsc::channel::<()>();
        let (send, receive) = mpsc::channel();
        self.post(move |_| {
            let _ = send.send(());
            let _ = released.recv();
        });
        receive.recv_timeout(PATIENCE).unwrap();
        release
    }

    /// Has `job` run on the program's thread, in front of the events that wait for it.
    pub(crate) fn post(&self, job: impl FnOnce(&mut Js) + Send + 'static) {
        self.shared.inbox.lock().unwrap().jobs.push(Box::new(job));
        self.shared.called.notify_one();
    }

    /// Waits until `find` finds something in what the program has seen.
    #[track_caller]
    pub(crate) fn wait<R>(&self, find: impl Fn(&[Seen]) -> Option<R>) -> R {
        let end = Instant::now() + PATIENCE;
        let mut seen = self.shared.seen.lock().unwrap();
        loop {
            if let Some(found) = find(&seen) {
                return found;
            }
            let left = end.saturating_duration_since(Instant::now());
            assert!(!left.is_zero(), "did not happen; seen: {}", brief(&seen));
            seen = self.shared.more.wait_timeout(seen, left).unwrap().0;
        }
    }

    /// Waits for the first event that `pick` takes.
    #[track_caller]
    pub(crate) fn wait_for<R>(&self, pick: impl Fn(&Seen) -> Option<R>) -> R {
        self.wait(|seen| seen.iter().find_map(&pick))
    }

    /// Waits for `count` events of a kind.
    #[track_caller]
    pub(crate) fn wait_count(&self, count: usize, is: impl Fn(&Seen) -> bool) {
        self.wait(|seen| (seen.iter().filter(|s| is(s)).count() >= count).then_some(()));
    }

    #[track_caller]
    pub(crate) fn wait_open(&self) -> u32 {
        self.wait_for(|seen| match seen {
            Seen::Open { id } => Some(*id),
            _ => None,
        })
    }

    /// Code and reason of the first close event.
    #[track_caller]
    pub(crate) fn wait_close(&self) -> (u16, String) {
        self.wait_for(|seen| match seen {
            Seen::Close { code, reason, .. } => Some((*code, reason.clone())),
            _ => None,
        })
    }

    /// Number and target of the `n`th request.
    #[track_caller]
    pub(crate) fn wait_request(&self, n: usize) -> (u32, String) {
        self.wait(|seen| {
            let mut requests = seen.iter().filter_map(|event| match event {
                Seen::Request { rid, target, .. } => Some((*rid, target.clone())),
                _ => None,
            });
            requests.nth(n)
        })
    }

    /// Whether the exchange ended without its response.
    #[track_caller]
    pub(crate) fn wait_end(&self, of: u32) -> bool {
        self.wait_for(|seen| match seen {
            Seen::RequestEnd { rid, aborted } if *rid == of => Some(*aborted),
            _ => None,
        })
    }

    pub(crate) fn seen(&self) -> Vec<Seen> {
        self.shared.seen.lock().unwrap().clone()
    }

    /// How often the I/O threads have woken the program.
    pub(crate) fn wakes(&self) -> u64 {
        self.shared.wakes.load(Ordering::Relaxed)
    }

    /// Stops the server, as `stop(force)` does but for its `WebSocket`s.
    pub(crate) fn stop(&self, served: &Served, force: bool) {
        let number = served.server.id;
        let stop = move || Command::Stop {
            server: number,
            force,
        };
        self.run(move |js| js.tell_all(stop));
    }

    #[track_caller]
    pub(crate) fn wait_gone(&self, served: &Served) {
        let gone = Seen::ServerGone {
            server: served.server.id,
        };
        self.wait_for(|seen| (*seen == gone).then_some(()));
    }

    /// Stops the server, ends its `WebSocket`s, and sees that nothing holds it any more.
    #[track_caller]
    pub(crate) fn finish(&self, served: &Served) {
        self.stop(served, true);
        self.run(|js| {
            let open: Vec<u32> = js.open_sockets().collect();
            for id in open {
                js.terminate(id);
            }
        });
        self.wait_gone(served);
        let left = self.run(|js| js.sockets.values().filter(|s| !s.closed).count());
        assert_eq!(left, 0, "open sockets");
    }
}

impl Drop for Host {
    fn drop(&mut self) {
        self.shared.inbox.lock().unwrap().ended = true;
        self.shared.called.notify_one();
        if let Some(thread) = self.thread.take()
            && thread.join().is_err()
            && !std::thread::panicking()
        {
            panic!("the program's thread panicked");
        }
    }
}

/// The program of [`Host::echo`].
pub(crate) fn echo(js: &mut Js, seen: &Seen) {
    match seen {
        Seen::Request {
            rid, handshake: 1, ..
        } => {
            js.upgrade(*rid, "", None);
        }
        Seen::Request {
            rid,
            method,
            target,
            ..
        } => {
            let text = format!("{method} {target}");
            js.respond(*rid, 200, "Content-Type: text/plain\r\n", text.as_bytes());
        }
        Seen::Message {
            id,
            kind: MessageKind::Binary,
            payload,
        } => {
            js.send(*id, Opcode::Binary, payload);
        }
        Seen::Message {
            id,
            kind: MessageKind::Latin1 | MessageKind::Utf16,
            payload,
        } => {
            js.send(*id, Opcode::Text, payload);
        }
        _ => {}
    }
}

/// Text, a byte for each character, as UTF-8.
fn latin1(bytes: &[u8]) -> Vec<u8> {
    let text: String = bytes.iter().map(|byte| char::from(*byte)).collect();
    text.into_bytes()
}

impl Js {
    fn run(mut self, mut program: Program) {
        let shared = Arc::clone(&self.shared);
        loop {
            let (jobs, woken, ended) = {
                let mut inbox = shared.inbox.lock().unwrap();
                while !inbox.woken && !inbox.ended && inbox.jobs.is_empty() {
                    inbox = shared.called.wait(inbox).unwrap();
                }
                let woken = std::mem::take(&mut inbox.woken);
                (std::mem::take(&mut inbox.jobs), woken, inbox.ended)
            };
            for job in jobs {
                job(&mut self);
            }
            if ended {
                break;
            }
            if woken {
                self.drain(&mut program);
            }
        }
        self.hand_over();
        self.port.flush(Duration::from_millis(500));
        self.port.detach();
        self.pool.wake_all();
    }

    fn drain(&mut self, program: &mut Program) {
        /// As the bridge does in a long turn.
        const HAND_OVER: usize = 256 << 10;
        self.port.begin_drain();
        for thread in 0..self.pool.len() {
            let mut batch = EventBatch::default();
            self.port.take_events(self.pool, thread, &mut batch);
            let events = std::mem::take(&mut batch.events);
            for event in events {
                self.event(thread, event, &batch, program);
                if self.lanes.iter().any(|lane| lane.bytes.len() > HAND_OVER) {
                    self.hand_over();
                }
            }
            self.hand_over();
        }
    }

    fn event(&mut self, thread: usize, event: Event, batch: &EventBatch, program: &mut Program) {
        let range = |start: u32, len: u32| start as usize..(start + len) as usize;
        let bytes = |start: u32, len: u32| batch.arena[range(start, len)].to_vec();
        match event {
            Event::Message {
                id,
                kind,
                start,
                len,
            } => {
                // As UTF-8 again, for the tests to compare.
                let payload = match kind {
                    MessageKind::Latin1 => latin1(&bytes(start, len)),
                    MessageKind::Utf16 => {
                        String::from_utf16_lossy(&batch.wide[range(start, len)]).into_bytes()
                    }
                    _ => bytes(start, len),
                };
                self.message(id, kind, payload, program);
            }
            Event::LargeMessage { id, kind, payload } => {
                let payload = match kind {
                    MessageKind::Latin1 => latin1(&payload),
                    _ => *payload,
                };
                self.message(id, kind, payload, program);
            }
            Event::Drain { id } => {
                if self.is_open(id) {
                    self.tell(program, Seen::Drain { id });
                }
            }
            Event::Close {
                id,
                code,
                start,
                len,
            } => {
                let reason = String::from_utf8(bytes(start, len)).expect("a reason is UTF-8");
                let socket = &self.sockets[&id];
                let (slot, closed) = (socket.slot, socket.closed);
                self.lanes[thread].commands.push(Command::Leave { slot });
                if closed {
                    self.tell(program, Seen::Gone { id });
                } else {
                    self.tell(program, Seen::Close { id, code, reason });
                }
                if !self.sockets.remove(&id).unwrap().closed {
                    self.lanes[thread].commands.push(Command::Release { slot });
                }
            }
            Event::Gone { id } => {
                assert!(
                    self.sockets.remove(&id).unwrap().closed,
                    "gone, and not closed"
                );
                self.tell(program, Seen::Gone { id });
            }
            Event::Request(head) => self.request(thread, *head, program),
            Event::Body {
                slot,
                serial,
                chunk,
            } => {
                if let Some(rid) = self.find(thread, slot, serial) {
                    let piece = match *chunk {
                        BodyChunk::Data(data) => Piece::Data(data.to_vec()),
                        BodyChunk::End => Piece::End,
                        BodyChunk::Failed => Piece::Failed,
                    };
                    self.tell(program, Seen::Body { rid, piece });
                }
            }
            Event::ResponseWritable { slot, serial } => {
                if let Some(rid) = self.find(thread, slot, serial) {
                    self.tell(program, Seen::Writable { rid });
                }
            }
            Event::RequestEnd {
                slot,
                serial,
                aborted,
            } => {
                let Some(rid) = self.find(thread, slot, serial) else {
                    return;
                };
                self.tell(program, Seen::RequestEnd { rid, aborted });
                if self.requests.remove(&rid).is_some() && aborted {
                    self.lanes[thread].commands.push(Command::Release { slot });
                }
            }
            Event::ServerGone { server } => {
                Server::forget(server);
                self.tell(program, Seen::ServerGone { server });
            }
        }
    }

    fn message(&mut self, id: u32, kind: MessageKind, payload: Vec<u8>, program: &mut Program) {
        if !self.is_open(id) {
            return;
        }
        if kind == MessageKind::PingOwed {
            self.send(id, Opcode::Pong, &payload);
            let socket = &self.sockets[&id];
            let (thread, slot) = (socket.thread, socket.slot);
            let wanted = socket.shared.config.wants_pings.load(Ordering::Relaxed);
            self.lanes[thread].commands.push(Command::Answered { slot });
            if !wanted {
                return;
            }
        }
        self.tell(program, Seen::Message { id, kind, payload });
    }

    fn request(&mut self, thread: usize, head: RequestHead, program: &mut Program) {
        let rid = self.number();
        self.requests.insert(
            rid,
            JsRequest {
                thread,
                slot: head.slot,
                serial: head.serial,
                shared: head.shared,
            },
        );
        let seen = Seen::Request {
            rid,
            method: String::from_utf8_lossy(head.text.method()).into_owned(),
            target: String::from_utf8_lossy(head.text.target()).into_owned(),
            fields: head
                .text
                .fields()
                .iter()
                .map(|byte| *byte as char)
                .collect(),
            handshake: head.handshake,
            flags: head.flags,
        };
        self.tell(program, seen);
    }

    fn tell(&mut self, program: &mut Program, seen: Seen) {
        program(self, &seen);
        self.log(seen);
    }

    fn log(&self, seen: Seen) {
        self.shared.seen.lock().unwrap().push(seen);
        self.shared.more.notify_all();
    }

    fn number(&mut self) -> u32 {
        self.next += 1;
        self.next
    }

    fn find(&self, thread: usize, slot: u32, serial: u32) -> Option<u32> {
        self.requests.iter().find_map(|(rid, r)| {
            ((r.thread, r.slot, r.serial) == (thread, slot, serial)).then_some(*rid)
        })
    }

    pub(crate) fn is_open(&self, id: u32) -> bool {
        self.sockets.get(&id).is_some_and(|socket| !socket.closed)
    }

    pub(crate) fn open_sockets(&self) -> impl Iterator<Item = u32> + '_ {
        let open = self.sockets.iter().filter(|(_, socket)| !socket.closed);
        open.map(|(id, _)| *id)
    }

    pub(crate) fn hand_over(&mut self) {
        for (thread, lane) in self.lanes.iter_mut().enumerate() {
            if !lane.commands.is_empty() {
                self.port.post_commands(self.pool, thread, lane);
            }
        }
    }

    /// Hands a command to every I/O thread and waits until they have applied it.
    pub(crate) fn tell_all(&mut self, make: impl Fn() -> Command) {
        for lane in &mut self.lanes {
            lane.commands.push(make());
        }
        self.hand_over();
        for thread in 0..self.pool.len() {
            self.port.settle(thread, PATIENCE);
        }
    }

    // --- requests ---

    pub(crate) fn answer(&mut self, rid: u32, request: Request) {
        let Some(&JsRequest {
            thread,
            slot,
            serial,
            ..
        }) = self.requests.get(&rid)
        else {
            return;
        };
        self.lanes[thread].commands.push(Command::Request {
            slot,
            serial,
            request: Box::new(request),
        });
    }

    pub(crate) fn upgrade(&mut self, rid: u32, lines: &str, protocol: Option<&str>) -> u32 {
        let id = self.number();
        let protocol = protocol.map(|name| name.as_bytes().into());
        let lines = lines.as_bytes().to_vec();
        self.answer(
            rid,
            Request::Upgrade {
                id,
                lines,
                protocol,
            },
        );
        let request = self.requests.remove(&rid).unwrap();
        self.sockets.insert(
            id,
            JsSocket {
                thread: request.thread,
                slot: request.slot,
                shared: request.shared,
                added: 0,
                overflowed: false,
                closed: false,
            },
        );
        self.log(Seen::Open { id });
        id
    }

    pub(crate) fn respond(&mut self, rid: u32, status: u16, lines: &str, body: &[u8]) {
        let body = Some(Bytes::copy_from_slice(body));
        self.respond_with(rid, status, lines, body, false);
    }

    /// `body` of `None`: it follows in pieces.
    pub(crate) fn respond_with(
        &mut self,
        rid: u32,
        status: u16,
        lines: &str,
        body: Option<Bytes>,
        close: bool,
    ) {
        let response = Response {
            status,
            reason: None,
            lines: lines.as_bytes().to_vec(),
            body,
            close,
        };
        self.answer(rid, Request::Respond(Box::new(response)));
    }

    pub(crate) fn chunk(&mut self, rid: u32, data: &[u8], want_writable: bool) {
        let data = Bytes::copy_from_slice(data);
        self.answer(
            rid,
            Request::Chunk {
                data,
                want_writable,
            },
        );
    }

    // --- sockets ---

    /// Sends as the bridge does: small frames by way of the I/O thread, large ones directly while nothing waits.
    pub(crate) fn send(&mut self, id: u32, opcode: Opcode, payload: &[u8]) -> Sent {
        /// Bytes under way after which the kernel is asked first.
        const UNSEEN: i64 = 64 << 10;
        if !self.is_open(id) {
            return Sent::Dropped;
        }
        let socket = &self.sockets[&id];
        let thread = socket.thread;
        let under_way = socket.added - socket.shared.settled() > UNSEEN;
        if (under_way || payload.len() >= LARGE) && !socket.shared.is_blocked() {
            self.hand_over();
            self.port.settle(thread, PATIENCE);
        }
        let socket = self.sockets.get_mut(&id).unwrap();
        if socket.overflowed {
            return Sent::Dropped;
        }
        let blocked = socket.shared.is_blocked();
        let config = &socket.shared.config;
        let limit = config.backpressure_limit.load(Ordering::Relaxed);
        if blocked && limit != 0 && socket.waiting() > limit {
            if config.close_on_backpressure_limit.load(Ordering::Relaxed) {
                socket.overflowed = true;
                let slot = socket.slot;
                self.lanes[thread].commands.push(Command::Overflow { slot });
            }
            return Sent::Dropped;
        }
        let verdict = if blocked { Sent::Queued } else { Sent::Free };
        if payload.len() >= LARGE {
            return self.send_large(id, opcode, payload, verdict);
        }
        let lane = &mut self.lanes[thread];
        let start = lane.bytes.len();
        put_frame(&mut lane.bytes, opcode, payload);
        lane.push_send(socket.slot, start);
        socket.added += (lane.bytes.len() - start) as i64;
        verdict
    }

    fn send_large(&mut self, id: u32, opcode: Opcode, payload: &[u8], verdict: Sent) -> Sent {
        let socket = self.sockets.get_mut(&id).unwrap();
        let thread = socket.thread;
        let mut header = [0; MAX_HEADER];
        let header_len = write_header(&mut header, opcode, false, payload.len());
        let total = header_len + payload.len();
        let direct = (verdict == Sent::Free && self.port.is_settled(thread))
            .then(|| {
                socket
                    .shared
                    .write_directly(&header[..header_len], payload, 0)
            })
            .flatten();
        let (written, rest) = match direct {
            Some(Ok(written)) if written == total => return Sent::Free,
            // The peer is gone; its close event is on the way.
            Some(Err(_)) => return Sent::Free,
            Some(Ok(written)) => (written, true),
            None => (0, false),
        };
        let mut frame = header[..header_len].to_vec();
        frame.extend_from_slice(payload);
        let frame = Bytes::from(frame).slice(written..);
        socket.added += frame.len() as i64;
        if rest && socket.shared.set_blocked(true) {
            self.port.note_blocked(id, true);
        }
        let (slot, len) = (socket.slot, frame.len());
        let frame = Box::new(frame);
        self.lanes[thread].push_outside(Command::SendLarge { slot, frame, rest }, len);
        self.hand_over();
        if rest {
            self.port.settle(thread, PATIENCE);
            return Sent::Queued;
        }
        verdict
    }

    pub(crate) fn publish(
        &mut self,
        topic: u32,
        except: Option<u32>,
        opcode: Opcode,
        payload: &[u8],
    ) {
        let except = except
            .and_then(|id| self.sockets.get(&id))
            .map_or((usize::MAX, NOBODY), |s| (s.thread, s.slot));
        for (thread, lane) in self.lanes.iter_mut().enumerate() {
            let except = if except.0 == thread { except.1 } else { NOBODY };
            if payload.len() >= LARGE {
                let mut frame = Vec::new();
                put_frame(&mut frame, opcode, payload);
                let len = frame.len();
                let frame = Box::new(Bytes::from(frame));
                lane.push_outside(
                    Command::PublishLarge {
                        topic,
                        except,
                        frame,
                    },
                    len,
                );
                continue;
            }
            let start = lane.bytes.len();
            put_header(&mut lane.bytes, opcode, false, payload.len());
            lane.bytes.extend_from_slice(payload);
            lane.commands.push(Command::Publish {
                topic,
                except,
                start: start as u32,
                len: (lane.bytes.len() - start) as u32,
            });
        }
    }

    /// Sends a message that the I/O thread compresses, if the socket has agreed to that.
    pub(crate) fn send_compressed(&mut self, id: u32, opcode: Opcode, payload: &[u8]) {
        if !self.is_open(id) {
            return;
        }
        let socket = self.sockets.get_mut(&id).unwrap();
        socket.added += payload.len() as i64;
        let (thread, slot) = (socket.thread, socket.slot);
        let lane = &mut self.lanes[thread];
        if payload.len() >= LARGE {
            let payload = Box::new(Bytes::copy_from_slice(payload));
            let len = payload.len();
            let command = Command::SendLargeCompressed {
                slot,
                opcode,
                payload,
            };
            lane.push_outside(command, len);
            return;
        }
        let start = lane.bytes.len();
        lane.bytes.extend_from_slice(payload);
        lane.commands.push(Command::SendCompressed {
            slot,
            opcode,
            start: start as u32,
            len: payload.len() as u32,
        });
    }

    /// Gives every I/O thread the same publication.
    pub(crate) fn publish_compressed(
        &mut self,
        topic: u32,
        except: Option<u32>,
        opcode: Opcode,
        payload: &[u8],
    ) -> Arc<Publication> {
        let mut frame = Vec::new();
        put_frame(&mut frame, opcode, payload);
        let header_len = frame.len() - payload.len();
        let publication = Arc::new(Publication::new(opcode, frame.into(), header_len));
        let except = except
            .and_then(|id| self.sockets.get(&id))
            .map_or((usize::MAX, NOBODY), |s| (s.thread, s.slot));
        for (thread, lane) in self.lanes.iter_mut().enumerate() {
            let except = if except.0 == thread { except.1 } else { NOBODY };
            let command = Command::PublishCompressed {
                topic,
                except,
                publication: Arc::clone(&publication),
            };
            lane.push_outside(command, payload.len());
        }
        publication
    }

    pub(crate) fn subscribe(&mut self, id: u32, topic: u32) {
        self.command(id, |slot| Command::Subscribe { slot, topic });
    }

    pub(crate) fn unsubscribe(&mut self, id: u32, topic: u32) {
        self.command(id, |slot| Command::Unsubscribe { slot, topic });
    }

    pub(crate) fn close(&mut self, id: u32, code: u16, reason: &str) {
        if self.is_open(id) {
            let socket = self.sockets.get_mut(&id).unwrap();
            socket.closed = true;
            let lane = &mut self.lanes[socket.thread];
            let start = lane.bytes.len() as u32;
            let reason = cut_reason(reason);
            lane.bytes.extend_from_slice(reason.as_bytes());
            lane.commands.push(Command::Close {
                slot: socket.slot,
                code,
                start,
                len: reason.len() as u32,
            });
        }
    }

    pub(crate) fn terminate(&mut self, id: u32) {
        if self.is_open(id) {
            self.command(id, |slot| Command::Terminate { slot });
            self.sockets.get_mut(&id).unwrap().closed = true;
        }
    }

    pub(crate) fn command(&mut self, id: u32, make: impl FnOnce(u32) -> Command) {
        if self.is_open(id) {
            let socket = &self.sockets[&id];
            self.lanes[socket.thread].commands.push(make(socket.slot));
        }
    }
}

impl JsSocket {
    /// Bytes that wait, while it is blocked.
    pub(crate) fn waiting(&self) -> u64 {
        (self.added - self.shared.settled()).max(0) as u64
    }
}

/// Waits until `done`; looks again and again, for what gives no event.
#[track_caller]
pub(crate) fn until(what: &str, mut done: impl FnMut() -> bool) {
    let end = Instant::now() + PATIENCE;
    while !done() {
        assert!(Instant::now() < end, "did not happen: {what}");
        std::thread::sleep(Duration::from_millis(5));
    }
}

/// The events, long payloads cut.
fn brief(seen: &[Seen]) -> String {
    let mut lines: Vec<String> = seen
        .iter()
        .map(|event| format!("{event:?}").chars().take(160).collect())
        .collect();
    let hidden = lines.len().saturating_sub(40);
    let mut text = lines.split_off(hidden).join("\n  ");
    if hidden > 0 {
        text = format!("({hidden} more)\n  {text}");
    }
    text
}
