//! One I/O thread: its runtime, its connections, and the loop that applies what JavaScript wants.
//!
//! A turn has phases, so that the kernel's code stays in the caches: the ready sockets are read (their tasks run one
//! after another and add to the batches of events), then the flush task writes what reading has caused and hands the
//! events over; commands are applied batch by batch, and each batch ends with one write a connection.
//!
//! All state of the thread is in one thread-local value. Tasks borrow it for the length of one poll, never across an
//! await, and never while hyper runs, whose callbacks borrow it themselves.

use crate::hub::connection::{
    Connection, Farewell, HttpPhase, Incoming, Phase, SocketState, Stream,
};
use crate::hub::env::EnvPort;
use crate::hub::http;
use crate::hub::listener::Listener;
use crate::hub::pool::{IoHandle, IoPool};
use crate::hub::server::Server;
use crate::hub::topics::Topics;
use crate::hub::wheel::Wheel;
use crate::hub::writer::{self, Round, Source};
use crate::session::command::NOBODY;
use crate::session::keepalive::Due;
use crate::session::{
    Command, CommandBatch, Event, EventBatch, Keepalive, ReadHalf, SocketShared, Transport, Turn,
};
use crate::wire::{Frame, Opcode, put_close, put_frame};
use std::cell::RefCell;
use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::task::{Poll, Waker};
use std::time::Duration;

/// Bytes read at once, shared by all connections of the thread: an idle one owns no buffer.
const SCRATCH: usize = 256 << 10;
/// Seconds that a closed connection may take to take its last bytes, or to answer FIN, without any progress.
const LINGER: u32 = 10;

thread_local! {
    static IO: RefCell<Option<IoThread>> = const { RefCell::new(None) };
}

/// Borrows the thread's state; `None` while the thread ends.
pub(crate) fn with<R>(f: impl FnOnce(&mut IoThread) -> R) -> Option<R> {
    IO.try_with(|cell| {
        cell.try_borrow_mut()
            .ok()
            .and_then(|mut io| io.as_mut().map(f))
    })
    .ok()
    .flatten()
}

/// The state of one I/O thread.
#[derive(Debug)]
pub(crate) struct IoThread {
    pub(crate) index: usize,
    pub(crate) handle: Arc<IoHandle>,
    pub(crate) scratch: Box<[u8]>,
    pub(crate) frames: Vec<Frame>,
    pub(crate) slots: Vec<Option<Box<Connection>>>,
    free: Vec<u32>,
    pub(crate) envs: Vec<Env>,
    pub(crate) round: Round,
    gather: Vec<u8>,
    pub(crate) wheel: Wheel,
    pub(crate) listeners: Vec<Listener>,
    flush_waker: Option<Waker>,
    flush_due: bool,
    pub(crate) serial: u32,
    /// Sockets that the next publish passes over.
    skips: Vec<u32>,
    date: (u32, Box<str>),
}

/// A JavaScript thread as this I/O thread sees it.
#[derive(Debug)]
pub(crate) struct Env {
    pub(crate) port: Arc<EnvPort>,
    /// Events since the last hand-over.
    pub(crate) batch: EventBatch,
    commands: CommandBatch,
    pub(crate) topics: Topics,
    /// Connections that wait, unread, until JavaScript has taken what waits for it.
    pub(crate) stalled: Vec<u32>,
    /// The env has ended and its connections are being let go.
    ended: bool,
}

/// The thread's main function. Ends with the process.
pub(crate) fn run(index: usize, handle: &Arc<IoHandle>) {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        // A turn of the reactor after so many tasks: enough for one read of every connection that is ready.
        .event_interval(128)
        .build()
        .expect("the system gives an epoll set before the first connection");
    IO.with(|cell| *cell.borrow_mut() = Some(IoThread::new(index, Arc::clone(handle))));
    let handle = Arc::clone(handle);
    runtime.block_on(async move {
        tokio::spawn(std::future::poll_fn(|cx| {
            with(|io| {
                if io.flush_waker.is_none() {
                    io.flush_waker = Some(cx.waker().clone());
                }
                io.flush();
            });
            Poll::<()>::Pending
        }));
        tokio::spawn(async {
            let mut seconds = tokio::time::interval(Duration::from_secs(1));
            seconds.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
            loop {
                seconds.tick().await;
                with(IoThread::tick);
            }
        });
        let commands = tokio::spawn(async move {
            loop {
                handle.notify.notified().await;
                handle.begin_take();
                with(IoThread::run_commands);
                kick_if_owed();
            }
        });
        // The task never ends; if it panics, a thread without it would be a server that hears nothing.
        if commands.await.is_err() {
            std::process::abort();
        }
    });
}

/// On a host that loses wake-ups: looks, a moment after each, whether the drain has begun, and wakes again.
fn kick_if_owed() {
    let owed = with(|io| {
        io.envs
            .iter()
            .filter_map(|env| Some((Arc::clone(&env.port), env.port.owed_drain()?)))
            .collect()
    });
    for (port, seen) in owed.unwrap_or_else(Vec::new) {
        tokio::spawn(async move {
            let mut pause = Duration::from_millis(2);
            loop {
                tokio::time::sleep(pause).await;
                if !port.kick(seen) {
                    return;
                }
                pause = (pause * 2).min(Duration::from_millis(64));
            }
        });
    }
}

impl IoThread {
    fn new(index: usize, handle: Arc<IoHandle>) -> Self {
        Self {
            index,
            handle,
            scratch: vec![0; SCRATCH].into_boxed_slice(),
            frames: Vec::new(),
            slots: Vec::new(),
            free: Vec::new(),
            envs: Vec::new(),
            round: Round::default(),
            gather: Vec::new(),
            wheel: Wheel::default(),
            listeners: Vec::new(),
            flush_waker: None,
            flush_due: false,
            serial: 0,
            skips: Vec::new(),
            date: (u32::MAX, Box::default()),
        }
    }

    // --- connections ---

    /// Takes a connection on: gives it a slot and a task.
    pub(crate) fn adopt(&mut self, incoming: Incoming) {
        let Incoming {
            server,
            peer,
            stream,
        } = incoming;
        let halves = match stream {
            Stream::Registered(read, write) => Ok((read, write)),
            Stream::Foreign(accepted) => accepted.register(),
        };
        // A stream that cannot be registered is dropped, and with it closed: there is nobody to tell.
        let (Ok((read, write)), Some(env)) = (halves, self.env_of(&server.port)) else {
            self.connection_ended(&server);
            return;
        };
        let (slot, shared) = self.insert(env, server, peer, write);
        tokio::spawn(http::run(slot, read, shared));
    }

    fn insert(
        &mut self,
        env: usize,
        server: Arc<Server>,
        peer: Option<SocketAddr>,
        write: Transport,
    ) -> (u32, Arc<SocketShared>) {
        let shared = Arc::new(SocketShared::new(
            self.index as u32,
            peer,
            Arc::clone(&server.config),
            write,
        ));
        server.idle.fetch_add(1, Ordering::Relaxed);
        let connection = Connection {
            env,
            server,
            shared: Arc::clone(&shared),
            waker: None,
            active: self.wheel.now(),
            entered: 0,
            timeout: None,
            counted: true,
            named: false,
            unflushed: false,
            phase: Phase::Http(HttpPhase {
                counted_idle: true,
                ..HttpPhase::default()
            }),
        };
        let slot = self.free.pop().unwrap_or_else(|| {
            self.slots.push(None);
            self.slots.len() as u32 - 1
        });
        self.slots[slot as usize] = Some(Box::new(connection));
        self.handle.connections.fetch_add(1, Ordering::Relaxed);
        self.schedule(slot);
        (slot, shared)
    }

    pub(crate) fn connection(&mut self, slot: u32) -> Option<&mut Connection> {
        self.slots.get_mut(slot as usize)?.as_deref_mut()
    }

    /// The connection's task has ended, and with it the stream.
    pub(crate) fn remove(&mut self, slot: u32) {
        let Some(connection) = self
            .slots
            .get_mut(slot as usize)
            .and_then(Option::as_deref_mut)
        else {
            return;
        };
        let released = match &connection.phase {
            Phase::Socket(socket) => socket.released,
            Phase::Http(_) => !connection.named,
            Phase::Dead => false,
        };
        if let Phase::Http(HttpPhase {
            counted_idle: true, ..
        }) = connection.phase
        {
            connection.server.idle.fetch_sub(1, Ordering::Relaxed);
        }
        connection.phase = Phase::Dead;
        connection.waker = None;
        self.handle.connections.fetch_sub(1, Ordering::Relaxed);
        self.uncount(slot);
        if released {
            self.free_slot(slot);
        }
    }

    pub(crate) fn free_slot(&mut self, slot: u32) {
        self.slots[slot as usize] = None;
        self.free.push(slot);
    }

    /// The connection no longer holds its server open.
    pub(crate) fn uncount(&mut self, slot: u32) {
        let Some(connection) = self.connection(slot) else {
            return;
        };
        if std::mem::take(&mut connection.counted) {
            let server = Arc::clone(&connection.server);
            self.connection_ended(&server);
        }
    }

    pub(crate) fn connection_ended(&mut self, server: &Arc<Server>) {
        if server.let_go()
            && let Some(env) = self.env_of(&server.port)
        {
            self.envs[env]
                .batch
                .events
                .push(Event::ServerGone { server: server.id });
            self.flush_soon();
        }
    }

    pub(crate) fn env_of(&self, port: &Arc<EnvPort>) -> Option<usize> {
        self.envs
            .iter()
            .position(|env| !env.ended && Arc::ptr_eq(&env.port, port))
    }

    // --- events ---

    /// Hands events over, and writes what reading has caused, when the tasks that are ready have run.
    pub(crate) fn flush_soon(&mut self) {
        if !std::mem::replace(&mut self.flush_due, true)
            && let Some(waker) = &self.flush_waker
        {
            waker.wake_by_ref();
        }
    }

    fn flush(&mut self) {
        self.flush_due = false;
        self.write_round(&[]);
        let mut owed = false;
        for env in &mut self.envs {
            if !env.batch.events.is_empty() {
                env.port.post_events(self.index, &mut env.batch);
                owed |= env.port.owed_drain().is_some();
            }
        }
        if owed {
            // The command task does the looking; it runs when this borrow is over.
            self.handle.wake();
        }
    }

    // --- commands ---

    fn run_commands(&mut self) {
        self.take_arrivals();
        for index in 0..self.envs.len() {
            let env = &mut self.envs[index];
            if env.ended {
                continue;
            }
            let mut batch = std::mem::take(&mut env.commands);
            let handed = env.port.handed(self.index);
            env.port.take_commands(self.index, &mut batch);
            self.apply(index, &mut batch);
            self.write_round(&batch.bytes);
            batch.clear();
            let env = &mut self.envs[index];
            env.commands = batch;
            env.port.applied(self.index, handed);
            if !env.stalled.is_empty() && !env.port.is_full(self.index) {
                for slot in std::mem::take(&mut env.stalled) {
                    if let Some(connection) = self.connection(slot) {
                        connection.wake();
                    }
                }
            }
            if self.envs[index].port.is_detached() {
                self.end_env(index);
            }
        }
    }

    fn take_arrivals(&mut self) {
        let (envs, listeners, connections) = {
            let mut arrivals = self.handle.arrivals();
            (
                std::mem::take(&mut arrivals.envs),
                std::mem::take(&mut arrivals.listeners),
                std::mem::take(&mut arrivals.connections),
            )
        };
        for port in envs {
            self.envs.push(Env {
                port,
                batch: EventBatch::default(),
                commands: CommandBatch::default(),
                topics: Topics::default(),
                stalled: Vec::new(),
                ended: false,
            });
        }
        for start in listeners {
            Listener::start(self, start);
        }
        for incoming in connections {
            self.adopt(incoming);
        }
    }

    /// The env is no more: what it sent is on its way, everything else of it goes.
    fn end_env(&mut self, index: usize) {
        let env = &mut self.envs[index];
        env.ended = true;
        env.batch.clear();
        env.stalled = Vec::new();
        let port = Arc::clone(&env.port);
        self.listeners
            .retain(|listener| !Arc::ptr_eq(&listener.server.port, &port));
        for slot in 0..self.slots.len() as u32 {
            let Some(connection) = self.connection(slot) else {
                continue;
            };
            if connection.env != index {
                continue;
            }
            match &mut connection.phase {
                Phase::Http(phase) => {
                    phase.kill = true;
                    connection.wake();
                }
                Phase::Socket(socket) => {
                    socket.released = true;
                    if !writer::is_closing(socket) {
                        socket.state = SocketState::Closing {
                            fin: false,
                            abrupt: false,
                        };
                    }
                    self.round.dirty.push(slot);
                    self.schedule(slot);
                }
                Phase::Dead => self.free_slot(slot),
            }
        }
        self.envs[index].topics = Topics::default();
        self.write_round(&[]);
    }

    fn apply(&mut self, env: usize, batch: &mut CommandBatch) {
        let CommandBatch {
            bytes, commands, ..
        } = batch;
        for command in commands.drain(..) {
            match command {
                Command::Send { slot, start, len } => {
                    self.send(slot, Source::Batch, start, len, bytes);
                }
                Command::SendLarge { slot, frame, rest } => {
                    if rest {
                        self.send_rest(slot, *frame);
                    } else {
                        let len = frame.len() as u32;
                        let index = self.round.keep(*frame);
                        self.send(slot, Source::Large(index), 0, len, bytes);
                    }
                }
                Command::Publish {
                    topic,
                    except,
                    start,
                    len,
                } => {
                    self.publish(env, topic, except, Source::Batch, start, len, bytes);
                }
                Command::PublishLarge {
                    topic,
                    except,
                    frame,
                } => {
                    let len = frame.len() as u32;
                    let index = self.round.keep(*frame);
                    self.publish(env, topic, except, Source::Large(index), 0, len, bytes);
                }
                Command::Subscribe { slot, topic } => {
                    if self.connection(slot).is_some() {
                        self.envs[env].topics.subscribe(slot, topic);
                    }
                }
                Command::Unsubscribe { slot, topic } => {
                    self.envs[env].topics.unsubscribe(slot, topic);
                }
                Command::Close {
                    slot,
                    code,
                    start,
                    len,
                } => {
                    let reason = &bytes[start as usize..(start + len) as usize];
                    let at = self.round.local.len() as u32;
                    put_close(
                        &mut self.round.local,
                        code,
                        std::str::from_utf8(reason).unwrap_or_default(),
                    );
                    let len = self.round.local.len() as u32 - at;
                    self.send_own(slot, at, len, bytes);
                    self.close(env, slot, false);
                }
                Command::Terminate { slot } => self.close(env, slot, true),
                Command::Overflow { slot } => self.overflow(slot),
                Command::Answered { slot } => {
                    if let Some(Phase::Socket(socket)) = self.connection(slot).map(|c| &mut c.phase)
                    {
                        socket.owed = socket.owed.saturating_sub(1);
                    }
                }
                Command::Skip { slot } => self.skips.push(slot),
                Command::Leave { slot } => self.envs[env].topics.remove_all(slot),
                Command::Release { slot } => self.release(env, slot),
                Command::Pause { slot } => self.set_paused(slot, true),
                Command::Resume { slot } => self.set_paused(slot, false),
                Command::Request {
                    slot,
                    serial,
                    request,
                } => http::apply(self, slot, serial, *request),
                Command::Stop { server, force } => self.stop(server, force),
                Command::CloseIdle { server } => self.kill_http(server, false),
            }
        }
    }

    fn send(&mut self, slot: u32, source: Source, start: u32, len: u32, batch: &[u8]) {
        let now = self.wheel.now();
        let Some(connection) = self
            .slots
            .get_mut(slot as usize)
            .and_then(Option::as_deref_mut)
        else {
            return;
        };
        if let Phase::Socket(socket) = &mut connection.phase
            && socket.accepts()
        {
            connection.active = now;
            self.round.add(slot, socket, source, start, len, batch);
        }
    }

    /// Bytes of [`Round::local`], which JavaScript has not counted.
    pub(crate) fn send_own(&mut self, slot: u32, start: u32, len: u32, batch: &[u8]) {
        if let Some(Phase::Socket(socket)) = self.connection(slot).map(|c| &mut c.phase) {
            socket.settled -= i64::from(len);
        }
        self.send(slot, Source::Local, start, len, batch);
    }

    /// The rest of a frame that the JavaScript thread has begun to write.
    fn send_rest(&mut self, slot: u32, rest: bytes::Bytes) {
        let Some(connection) = self.connection(slot) else {
            return;
        };
        if let Phase::Socket(socket) = &mut connection.phase
            && socket.accepts()
        {
            socket.outbox.push_front(rest);
            *connection.shared.writer() = Turn::Queue;
            connection.wake();
            self.round.dirty.push(slot);
        }
    }

    #[expect(clippy::too_many_arguments, reason = "a range is three of them")]
    fn publish(
        &mut self,
        env: usize,
        topic: u32,
        except: u32,
        source: Source,
        start: u32,
        len: u32,
        batch: &[u8],
    ) {
        let now = self.wheel.now();
        let size = i64::from(len);
        let mut overflowed = Vec::new();
        for slot in self.envs[env].topics.members(topic) {
            if slot == except && except != NOBODY {
                continue;
            }
            let Some(connection) = self.slots[slot as usize].as_deref_mut() else {
                continue;
            };
            let Phase::Socket(socket) = &mut connection.phase else {
                continue;
            };
            if !socket.accepts() {
                continue;
            }
            let skipped = !self.skips.is_empty() && self.skips.contains(&slot);
            if skipped || !socket.outbox.is_empty() {
                let config = &connection.server.config;
                let limit = config.backpressure_limit.load(Ordering::Relaxed);
                if skipped || limit != 0 && socket.outbox.len() as u64 > limit {
                    if config.close_on_backpressure_limit.load(Ordering::Relaxed) {
                        overflowed.push(slot);
                    }
                    continue;
                }
            }
            connection.active = now;
            socket.settled -= size;
            self.round.add(slot, socket, source, start, len, batch);
            if !socket.outbox.is_empty() {
                connection.shared.set_settled(socket.settled);
            }
        }
        self.skips.clear();
        for slot in overflowed {
            self.overflow(slot);
        }
    }

    /// More waits for the socket than its server allows: what waits is dropped, and the socket ended.
    fn overflow(&mut self, slot: u32) {
        if let Some(Phase::Socket(socket)) = self.connection(slot).map(|c| &mut c.phase) {
            writer::drop_outbox(socket);
        }
        self.end_socket(slot, 1006, "", Farewell::Nothing);
    }

    fn set_paused(&mut self, slot: u32, paused: bool) {
        let now = self.wheel.now();
        let Some(connection) = self.connection(slot) else {
            return;
        };
        if let Phase::Socket(socket) = &mut connection.phase {
            socket.paused = paused;
            // The idle timer stands still meanwhile.
            connection.active = now;
            connection.wake();
        }
        self.schedule(slot);
    }

    // --- the end of sockets ---

    /// A socket ends from outside: JavaScript is told, and the farewell waits until it has heard.
    pub(crate) fn end_socket(&mut self, slot: u32, code: u16, reason: &str, farewell: Farewell) {
        let Some(connection) = self
            .slots
            .get_mut(slot as usize)
            .and_then(Option::as_deref_mut)
        else {
            return;
        };
        let Phase::Socket(socket) = &mut connection.phase else {
            return;
        };
        if !matches!(socket.state, SocketState::Open) {
            return;
        }
        socket.state = SocketState::Ended(farewell);
        let (id, env) = (socket.id, connection.env);
        self.envs[env].batch.push_close(id, code, reason);
        self.flush_soon();
    }

    /// JavaScript has closed the socket.
    fn close(&mut self, env: usize, slot: u32, abrupt: bool) {
        let Some(connection) = self
            .slots
            .get_mut(slot as usize)
            .and_then(Option::as_deref_mut)
        else {
            return;
        };
        match &mut connection.phase {
            Phase::Socket(socket) => {
                // A socket that ended from outside has had its last event.
                if matches!(socket.state, SocketState::Open) {
                    self.envs[env]
                        .batch
                        .events
                        .push(Event::Gone { id: socket.id });
                }
                socket.released = true;
                socket.state = SocketState::Closing { fin: false, abrupt };
                self.envs[env].topics.remove_all(slot);
                self.round.dirty.push(slot);
                self.uncount(slot);
                self.schedule(slot);
                self.flush_soon();
            }
            // The client left before the upgrade or before the close: JavaScript's close event is on its way.
            Phase::Dead | Phase::Http(_) => self.acknowledge(env, slot),
        }
    }

    /// JavaScript has heard that the socket ended.
    fn release(&mut self, env: usize, slot: u32) {
        let Some(connection) = self
            .slots
            .get_mut(slot as usize)
            .and_then(Option::as_deref_mut)
        else {
            return;
        };
        match &mut connection.phase {
            Phase::Socket(socket) => {
                socket.released = true;
                let at = self.round.local.len() as u32;
                let mut abrupt = false;
                if let SocketState::Ended(farewell) = &socket.state {
                    match farewell {
                        Farewell::Nothing => abrupt = true,
                        Farewell::Echo(payload) => {
                            put_frame(&mut self.round.local, Opcode::Close, payload);
                        }
                        Farewell::Error(error) => {
                            put_close(
                                &mut self.round.local,
                                error.close_code().get(),
                                error.reason(),
                            );
                        }
                    }
                }
                let len = self.round.local.len() as u32 - at;
                if len > 0 {
                    self.send_own(slot, at, len, &[]);
                }
                if let Some(Phase::Socket(socket)) = self.connection(slot).map(|c| &mut c.phase) {
                    socket.state = SocketState::Closing { fin: false, abrupt };
                }
                self.envs[env].topics.remove_all(slot);
                self.round.dirty.push(slot);
                self.uncount(slot);
                self.schedule(slot);
            }
            Phase::Dead | Phase::Http(_) => self.acknowledge(env, slot),
        }
    }

    /// JavaScript knows that the request, or the socket it was to become, is no more, and will not name the slot again.
    fn acknowledge(&mut self, env: usize, slot: u32) {
        self.envs[env].topics.remove_all(slot);
        let Some(connection) = self.connection(slot) else {
            return;
        };
        connection.named = false;
        if matches!(connection.phase, Phase::Dead) {
            self.free_slot(slot);
        }
    }

    // --- writing ---

    /// Writes everything that this round wants written; ends the sockets that had only that left to do.
    pub(crate) fn write_round(&mut self, batch: &[u8]) {
        let mut dirty = std::mem::take(&mut self.round.dirty);
        for slot in dirty.drain(..) {
            let Some(connection) = self
                .slots
                .get_mut(slot as usize)
                .and_then(Option::as_deref_mut)
            else {
                continue;
            };
            let gone = self
                .round
                .write(connection, batch, &mut self.gather)
                .and_then(|()| writer::flush_outbox(connection))
                .is_err();
            self.after_write(slot, gone);
        }
        self.round.dirty = dirty;
        self.round.clear();
    }

    /// Brings what both threads see in line with the outbox, and goes on with a socket that is closing.
    pub(crate) fn after_write(&mut self, slot: u32, gone: bool) {
        let Some(connection) = self
            .slots
            .get_mut(slot as usize)
            .and_then(Option::as_deref_mut)
        else {
            return;
        };
        let Connection {
            phase,
            shared,
            env,
            server,
            waker,
            ..
        } = connection;
        let Phase::Socket(socket) = phase else { return };
        if gone {
            writer::drop_outbox(socket);
        }
        let waits = !socket.outbox.is_empty() && !socket.held;
        if waits && let Some(waker) = waker {
            // The task registers for the moment when the kernel takes more.
            waker.wake_by_ref();
        }
        let env = &mut self.envs[*env];
        let blocked = waits && socket.accepts();
        if shared.set_blocked(blocked) {
            env.port.note_blocked(socket.id, blocked);
            if !blocked
                && !gone
                && matches!(socket.state, SocketState::Open)
                && server.config.wants_drains.load(Ordering::Relaxed)
            {
                env.batch.events.push(Event::Drain { id: socket.id });
                shared.set_settled(socket.settled);
                self.flush_soon();
            }
        }
        let Some(Phase::Socket(socket)) = self.connection(slot).map(|c| &mut c.phase) else {
            return;
        };
        let visible = socket.settled - socket.published;
        if blocked || visible >= VISIBLE_STEP {
            socket.published = socket.settled;
            let settled = socket.settled;
            if let Some(connection) = self.connection(slot) {
                connection.shared.set_settled(settled);
            }
        }
        self.go_on_closing(slot, gone);
    }

    fn go_on_closing(&mut self, slot: u32, gone: bool) {
        let Some(connection) = self.connection(slot) else {
            return;
        };
        let Phase::Socket(socket) = &mut connection.phase else {
            return;
        };
        if let SocketState::Closing { fin, abrupt } = &mut socket.state {
            if (*abrupt || gone) && !socket.held {
                socket.outbox.clear();
            }
            if socket.outbox.is_empty() && !*fin && !socket.held {
                *fin = true;
                connection.shared.transport().shutdown_write();
                connection.wake();
            }
        }
    }

    // --- time ---

    /// Enters the connection for its next deadline.
    pub(crate) fn schedule(&mut self, slot: u32) {
        let now = self.wheel.now();
        let Some(connection) = self
            .slots
            .get_mut(slot as usize)
            .and_then(Option::as_deref_mut)
        else {
            return;
        };
        let at = match due(connection, now) {
            Due::At(at) => at,
            Due::Ping | Due::Expired => now + 1,
        };
        if at != u32::MAX && (connection.entered <= now || at < connection.entered) {
            connection.entered = self.wheel.insert(slot, at);
        }
    }

    fn tick(&mut self) {
        let list = self.wheel.advance();
        let now = self.wheel.now();
        for slot in &list {
            let Some(connection) = self.connection(*slot) else {
                continue;
            };
            if connection.entered != now {
                continue;
            }
            match due(connection, now) {
                Due::At(_) => {}
                Due::Ping => self.ping(*slot),
                Due::Expired => self.expire(*slot),
            }
            self.schedule(*slot);
        }
        self.wheel.recycle(list);
        // What timers have caused leaves at once.
        if !self.round.dirty.is_empty() {
            self.flush_soon();
        }
    }

    fn ping(&mut self, slot: u32) {
        let at = self.round.local.len() as u32;
        put_frame(&mut self.round.local, Opcode::Ping, &[]);
        let len = self.round.local.len() as u32 - at;
        let Some(connection) = self.connection(slot) else {
            return;
        };
        let active = connection.active;
        if let Phase::Socket(socket) = &mut connection.phase {
            socket.pinged = true;
        }
        self.send_own(slot, at, len, &[]);
        if let Some(connection) = self.connection(slot) {
            // Our own ping is no sign of life.
            connection.active = active;
        }
    }

    fn expire(&mut self, slot: u32) {
        let Some(connection) = self.connection(slot) else {
            return;
        };
        match &mut connection.phase {
            Phase::Http(phase) => {
                phase.kill = true;
                connection.wake();
            }
            Phase::Socket(socket) => match &mut socket.state {
                SocketState::Open => self.end_socket(
                    slot,
                    1006,
                    "WebSocket timed out from inactivity",
                    Farewell::Nothing,
                ),
                SocketState::Ended(_) | SocketState::Finished => {}
                SocketState::Closing { .. } => {
                    // The peer neither reads nor answers FIN: enough.
                    socket.state = SocketState::Finished;
                    connection.wake();
                }
            },
            Phase::Dead => {}
        }
    }

    /// The `Date` field's value, made once a second.
    pub(crate) fn date(&mut self) -> &str {
        if self.date.0 != self.wheel.now() {
            self.date = (
                self.wheel.now(),
                httpdate::fmt_http_date(std::time::SystemTime::now()).into(),
            );
        }
        &self.date.1
    }

    // --- servers ---

    /// A server stops listening. Its `WebSockets` stay.
    fn stop(&mut self, server: u32, force: bool) {
        let mut stopped = Vec::new();
        self.listeners.retain(|listener| {
            let keep = listener.server.id != server;
            if !keep {
                stopped.push(Arc::clone(&listener.server));
            }
            keep
        });
        for server in stopped {
            self.connection_ended(&server);
        }
        for slot in 0..self.slots.len() as u32 {
            if let Some(connection) = self.connection(slot)
                && connection.server.id == server
                && let Phase::Http(phase) = &mut connection.phase
            {
                phase.close_after = true;
                connection.wake();
            }
        }
        self.kill_http(server, force);
    }

    /// Ends the server's HTTP connections: those without a pending request, or all of them.
    fn kill_http(&mut self, server: u32, all: bool) {
        for slot in 0..self.slots.len() as u32 {
            if let Some(connection) = self.connection(slot)
                && connection.server.id == server
                && let Phase::Http(phase) = &mut connection.phase
                && (all || phase.exchange.is_none())
            {
                phase.kill = true;
                connection.wake();
            }
        }
    }

    /// A request takes or leaves its connection.
    pub(crate) fn set_idle(&mut self, slot: u32, idle: bool) {
        let Some(connection) = self.connection(slot) else {
            return;
        };
        if let Phase::Http(phase) = &mut connection.phase
            && phase.counted_idle != idle
        {
            phase.counted_idle = idle;
            let count = &connection.server.idle;
            if idle {
                count.fetch_add(1, Ordering::Relaxed);
            } else {
                count.fetch_sub(1, Ordering::Relaxed);
            }
        }
    }

    /// Gives a connection to the thread that has the fewest.
    pub(crate) fn place(&mut self, incoming: Incoming) {
        let pool = IoPool::global();
        let target = if pool.len() == 1 {
            self.index
        } else {
            pool.least_loaded()
        };
        incoming.server.hold();
        if target == self.index {
            self.adopt(incoming);
        } else if let Some(incoming) = incoming.into_foreign() {
            let handle = pool.thread(target);
            handle.arrivals().connections.push(incoming);
            handle.wake();
        }
    }

    /// Starts the task that reads a socket, with what hyper had read already.
    pub(crate) fn spawn_socket(slot: u32, mut read: ReadHalf) {
        tokio::spawn(std::future::poll_fn(move |cx| {
            with(|io| io.poll_socket(slot, &mut read, cx)).unwrap_or(Poll::Ready(()))
        }));
    }
}

/// Bytes after which the JavaScript thread may see that they are written, though nothing waits.
const VISIBLE_STEP: i64 = 32 << 10;

/// What is due for a connection.
fn due(connection: &Connection, now: u32) -> Due {
    let config = &connection.server.config;
    let silence = |limit: u32| {
        let rules = Keepalive {
            idle_timeout: limit,
            send_pings: false,
        };
        rules.due(connection.active, false, now)
    };
    match &connection.phase {
        Phase::Http(_) => silence(
            connection
                .timeout
                .unwrap_or_else(|| config.http_idle_timeout.load(Ordering::Relaxed)),
        ),
        Phase::Socket(socket) => match socket.state {
            SocketState::Open if socket.paused => Due::At(now + 1),
            SocketState::Open => Keepalive {
                idle_timeout: config.idle_timeout.load(Ordering::Relaxed),
                send_pings: config.send_pings.load(Ordering::Relaxed),
            }
            .due(connection.active, socket.pinged, now),
            SocketState::Ended(_) | SocketState::Finished => Due::At(u32::MAX),
            SocketState::Closing { .. } => silence(LINGER),
        },
        Phase::Dead => Due::At(u32::MAX),
    }
}
