//! One I/O thread: its runtime, its connections, and the loop that applies what JavaScript wants.
//!
//! A turn has phases, so that the kernel's code stays in the caches: the ready sockets are read (their tasks run one
//! after another and add to the batches of events), then the flush task writes what reading has caused and hands the
//! events over; commands are applied batch by batch, and each batch ends with one write a connection.
//!
//! All state of the thread is in one thread-local value. Tasks borrow it for the length of one poll, never across an
//! await.

use crate::hub::connection::{Connection, Incoming, Output, Phase, SocketState, Stream, at};
use crate::hub::deflate::Contexts;
use crate::hub::env::EnvPort;
use crate::hub::http::{self, HttpPhase};
use crate::hub::listener::Listener;
use crate::hub::pool::IoHandle;
use crate::hub::server::Server;
use crate::hub::topics::Topics;
use crate::hub::wheel::Wheel;
use crate::hub::writer::Round;
use crate::session::{CommandBatch, Event, EventBatch, Peer, SocketShared, Transport, tls};
use std::cell::RefCell;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::task::{Poll, Waker};
use std::time::Duration;

/// Bytes read at once, shared by all connections of the thread: an idle one owns no buffer.
const SCRATCH: usize = 256 << 10;

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
    pub(crate) deflate: Contexts,
    pub(crate) slots: Vec<Option<Box<Connection>>>,
    free: Vec<u32>,
    pub(crate) envs: Vec<Env>,
    free_envs: Vec<usize>,
    nobody: Arc<EnvPort>,
    pub(crate) round: Round,
    pub(super) gather: Vec<u8>,
    pub(crate) wheel: Wheel,
    pub(crate) listeners: Vec<Listener>,
    flush_waker: Option<Waker>,
    flush_due: bool,
    pub(crate) serial: u32,
    /// The lengths of messages published in a row; kept for its room.
    pub(super) lengths: Vec<u32>,
    /// Sockets that the next publish passes over.
    pub(super) skips: Vec<u32>,
    pub(super) date: (u32, Box<str>),
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
    pub(super) ended: bool,
    /// A task looks after wake-ups that get lost.
    kicked: bool,
    /// The [`EnvPort::leave`] under way, and the first slot whose bytes may not have left.
    leaving: (u64, u32),
    /// Connections that name it.
    connections: usize,
}

impl Env {
    fn new(port: Arc<EnvPort>) -> Self {
        Self {
            port,
            batch: EventBatch::default(),
            commands: CommandBatch::default(),
            topics: Topics::default(),
            stalled: Vec::new(),
            ended: false,
            kicked: false,
            leaving: (0, 0),
            connections: 0,
        }
    }
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
        tokio::spawn(async {
            loop {
                std::future::poll_fn(|cx| {
                    let due = with(|io| {
                        if io.flush_waker.is_none() {
                            io.flush_waker = Some(cx.waker().clone());
                        }
                        io.flush_due
                    });
                    if due == Some(true) {
                        Poll::Ready(())
                    } else {
                        Poll::Pending
                    }
                })
                .await;
                if with(|io| io.is_worth_a_look()) == Some(true) {
                    tokio::task::yield_now().await;
                }
                with(IoThread::flush);
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

/// On a host that loses wake-ups: looks, a moment after each, whether the drain has begun, and wakes again. One task an
/// env, for as long as a drain is owed.
fn kick_if_owed() {
    let owed = with(|io| {
        let unkicked = io.envs.iter_mut().filter(|env| !env.kicked && !env.ended);
        unkicked
            .filter_map(|env| {
                let seen = env.port.owed_drain()?;
                env.kicked = true;
                Some((Arc::clone(&env.port), seen))
            })
            .collect()
    });
    for (port, mut seen) in owed.unwrap_or_else(Vec::new) {
        tokio::spawn(async move {
            const SHORTEST: Duration = Duration::from_millis(2);
            const LONGEST: Duration = Duration::from_millis(64);
            let mut pause = SHORTEST;
            loop {
                tokio::time::sleep(pause).await;
                if port.kick(seen) {
                    pause = (pause * 2).min(LONGEST);
                } else if let Some(next) = port.owed_drain() {
                    seen = next;
                    pause = SHORTEST;
                } else {
                    with(|io| io.unkick(&port));
                    return;
                }
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
            deflate: Contexts::default(),
            slots: Vec::new(),
            free: Vec::new(),
            envs: Vec::new(),
            free_envs: Vec::new(),
            nobody: Arc::new(EnvPort::nobody()),
            round: Round::default(),
            gather: Vec::new(),
            wheel: Wheel::default(),
            listeners: Vec::new(),
            flush_waker: None,
            flush_due: false,
            serial: 0,
            lengths: Vec::new(),
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
        self.catch_up();
        // Accepted by another thread before it knew.
        if server.stopping.load(Ordering::Acquire) {
            return self.turn_away(&server);
        }
        let stream = match stream {
            Stream::Registered(stream) => Ok(stream),
            Stream::Foreign(accepted) => accepted.register(),
        };
        let stream = match server.tls() {
            Some(config) => stream.and_then(|stream| tls::accept(stream, &config)),
            None => stream,
        };
        // A stream that cannot be registered is dropped, and with it closed: there is nobody to tell.
        let (Ok(stream), Some(env)) = (stream, self.env_of(&server.port)) else {
            return self.turn_away(&server);
        };
        let slot = self.insert(env, server, peer, stream);
        http::spawn(slot);
    }

    /// A connection that was placed here ends before it began.
    fn turn_away(&mut self, server: &Arc<Server>) {
        self.handle.connections.fetch_sub(1, Ordering::Relaxed);
        self.connection_ended(server);
    }

    fn insert(
        &mut self,
        env: usize,
        server: Arc<Server>,
        peer: Option<Peer>,
        stream: Transport,
    ) -> u32 {
        let shared = Arc::new(SocketShared::new(
            self.index as u32,
            peer,
            Arc::clone(&server.config),
            stream,
        ));
        server.idle.fetch_add(1, Ordering::Relaxed);
        let connection = Connection {
            env,
            server,
            phase: Phase::Http(HttpPhase::new(!shared.transport().is_shareable())),
            shared,
            waker: None,
            active: self.wheel.now(),
            entered: 0,
            timeout: None,
            counted: true,
            named: false,
            stalled: false,
            out: Output::default(),
        };
        let slot = self.free.pop().unwrap_or_else(|| {
            self.slots.push(None);
            self.slots.len() as u32 - 1
        });
        self.slots[slot as usize] = Some(Box::new(connection));
        self.envs[env].connections += 1;
        self.schedule(slot);
        slot
    }

    pub(crate) fn connection(&mut self, slot: u32) -> Option<&mut Connection> {
        at(&mut self.slots, slot)
    }

    /// The connection's task has ended, and with it the stream.
    pub(crate) fn remove(&mut self, slot: u32) {
        let Some(connection) = at(&mut self.slots, slot) else {
            return;
        };
        let ended = self.envs[connection.env].ended;
        let released = match &connection.phase {
            Phase::Socket(socket) => ended || socket.released,
            Phase::Http(_) => ended || !connection.named,
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
        let Some(connection) = self.slots[slot as usize].take() else {
            return;
        };
        self.free.push(slot);
        let env = &mut self.envs[connection.env];
        env.connections -= 1;
        if env.ended && env.connections == 0 {
            self.retire(connection.env);
        }
    }

    /// Nothing of an ended env is left: its place may be another's.
    fn retire(&mut self, index: usize) {
        self.envs[index] = Env {
            ended: true,
            ..Env::new(Arc::clone(&self.nobody))
        };
        self.free_envs.push(index);
    }

    fn unkick(&mut self, port: &Arc<EnvPort>) {
        for env in &mut self.envs {
            env.kicked &= !Arc::ptr_eq(&env.port, port);
        }
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

    /// Hands events over, and writes what reading has caused, when the tasks that are ready have run; see
    /// [`IoThread::is_worth_a_look`].
    pub(crate) fn flush_soon(&mut self) {
        if !std::mem::replace(&mut self.flush_due, true)
            && let Some(waker) = &self.flush_waker
        {
            waker.wake_by_ref();
        }
    }

    /// Where several messages have come, others may have just now: one more look at the sockets before they are handed
    /// over makes fewer and larger batches, and a subscriber gets more of them in one write.
    fn is_worth_a_look(&self) -> bool {
        self.envs.iter().any(|env| env.batch.events.len() > 1)
    }

    fn flush(&mut self) {
        self.flush_due = false;
        self.write_round(&[]);
        for env in 0..self.envs.len() {
            self.post_events(env);
        }
    }

    /// Hands over the events of one env.
    pub(super) fn post_events(&mut self, env: usize) {
        let env = &mut self.envs[env];
        if env.ended {
            env.batch.clear();
        } else if !env.batch.events.is_empty() {
            env.port.post_events(self.index, &mut env.batch);
            if env.port.owed_drain().is_some() {
                // The command task does the looking; it runs when this borrow is over.
                self.handle.wake();
            }
        }
    }

    // --- commands ---

    fn run_commands(&mut self) {
        self.catch_up();
        self.take_arrivals();
        for index in 0..self.envs.len() {
            let env = &mut self.envs[index];
            if env.ended {
                continue;
            }
            let mut batch = std::mem::take(&mut env.commands);
            let leaving = env.port.leaving(self.index);
            let posted = env.port.take_commands(self.index, &mut batch);
            self.apply(index, &mut batch);
            self.write_round(&batch.bytes);
            batch.clear();
            let env = &mut self.envs[index];
            env.commands = batch;
            env.port.applied(self.index, posted);
            if !env.stalled.is_empty() && !env.port.is_full(self.index) {
                for slot in std::mem::take(&mut env.stalled) {
                    if let Some(connection) = self.connection(slot) {
                        connection.stalled = false;
                        connection.wake();
                    }
                }
            }
            if let Some(number) = leaving {
                self.leave(index, number);
            }
            if self.envs[index].port.is_detached() {
                self.end_env(index);
            }
        }
    }

    /// Looks whether all bytes of an env's connections have left, and answers if so.
    fn leave(&mut self, index: usize, number: u64) {
        let env = &mut self.envs[index];
        if env.leaving.0 != number {
            env.leaving = (number, 0);
        }
        let (_, from) = env.leaving;
        let waiting = (from..self.slots.len() as u32).find(|slot| {
            at(&mut self.slots, *slot)
                .is_some_and(|connection| connection.env == index && connection.has_unsent())
        });
        let env = &mut self.envs[index];
        match waiting {
            Some(slot) => env.leaving.1 = slot,
            None => env.port.left(self.index, number),
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
            let env = Env::new(port);
            match self.free_envs.pop() {
                Some(index) => self.envs[index] = env,
                None => self.envs.push(env),
            }
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
        // What JavaScript did not take holds streams open.
        env.port.discard_events(self.index);
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
                    if socket.accepts() {
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
        Server::forget_all(&port);
        if self.envs[index].connections == 0 {
            self.retire(index);
        }
    }
}
