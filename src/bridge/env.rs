//! The state of one env: its side of the lists, and its sockets and requests by number.

use super::raw::{Js, Value};
use super::small::SmallBytes;
use super::wakeup::Wakeup;
use crate::hub::{EnvPort, IoPool};
use crate::session::{Batch, Command, CommandBatch, EventBatch, SocketShared};
use napi_sys as sys;
use std::cell::{Cell, OnceCell, RefCell};
use std::collections::HashMap;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

/// Everything of one env. Its address is the data of all its functions; see `lifecycle` for how long it lives.
pub(super) struct EnvState {
    pub(super) js: Js,
    pub(super) port: Arc<EnvPort>,
    pub(super) pool: &'static IoPool,
    pub(super) callbacks: Callbacks,
    pub(super) small: SmallBytes,
    pub(super) wakeup: OnceCell<Wakeup>,
    pub(super) out: RefCell<Out>,
    /// How many corks and drains are open: commands are handed over when the outermost ends.
    pub(super) depth: Cell<u32>,
    pub(super) requests: RefCell<Requests>,
    /// What a drain left for the next turn.
    pub(super) left: RefCell<Option<Left>>,
    pub(super) spare: RefCell<Vec<EventBatch>>,
    /// Set by the cleanup hook.
    pub(super) ended: Cell<bool>,
    /// The host has stopped this thread's JavaScript: none of it may run until the env ends.
    pub(super) terminated: Cell<bool>,
}

/// Events of a batch that had to wait for another turn.
pub(super) struct Left {
    pub(super) thread: usize,
    pub(super) batch: EventBatch,
    pub(super) position: usize,
    /// Threads behind it, not looked at yet.
    pub(super) next_thread: usize,
}

/// The JavaScript layer's functions.
pub(super) struct Callbacks {
    references: Vec<sys::napi_ref>,
}

/// Their names and order.
#[derive(Clone, Copy)]
pub(super) enum Callback {
    Message,
    Messages,
    Ping,
    Pong,
    Drain,
    Close,
    Gone,
    Request,
    Body,
    ResponseWritable,
    RequestEnd,
    ServerGone,
    Later,
}

const NAMES: [&str; 13] = [
    "message",
    "messages",
    "ping",
    "pong",
    "drain",
    "close",
    "gone",
    "request",
    "body",
    "responseWritable",
    "requestEnd",
    "serverGone",
    "later",
];

impl Callbacks {
    /// Takes the functions from an object. The name of the first that is missing, otherwise.
    pub(super) fn from_object(js: Js, object: Value) -> Result<Self, &'static str> {
        let mut references = Vec::with_capacity(NAMES.len());
        for name in NAMES {
            let function = js.get(object, name);
            if js.type_of(function) != sys::ValueType::napi_function {
                return Err(name);
            }
            references.push(js.reference(function));
        }
        Ok(Self { references })
    }

    #[inline]
    pub(super) fn function(&self, js: Js, which: Callback) -> Value {
        js.dereference(self.references[which as usize])
    }
}

/// What JavaScript's calls write to.
#[derive(Default)]
pub(super) struct Out {
    pub(super) lanes: Vec<CommandBatch>,
    pub(super) sockets: Slab<JsSocket>,
    /// How many of the sockets compress.
    pub(super) deflating: usize,
    pub(super) scratch: Vec<u8>,
    /// The socket that was last sent something small.
    pub(super) last_sent: u32,
    /// The last text sent was not ASCII: the next one is probably not either.
    pub(super) is_wide: bool,
    /// What the queues of blocked sockets said to the last publish, before it was among what they hold.
    pub(super) said: Vec<(u32, i32)>,
    /// Bytes published since the I/O threads were last known to have applied everything.
    pub(super) published: u64,
}

/// A socket as its env sees it.
pub(super) struct JsSocket {
    pub(super) thread: usize,
    pub(super) slot: u32,
    pub(super) shared: Arc<SocketShared>,
    /// Bytes queued by this thread since the beginning.
    pub(super) added: i64,
    /// What `added` may come to before the I/O thread's count, and the limit, are looked at: looking is dear while that
    /// thread writes.
    pub(super) budget: i64,
    /// Compression was agreed on.
    pub(super) deflates: bool,
    /// Over its limit, and to be closed for it.
    pub(super) overflowed: bool,
    /// Closed by JavaScript: what still comes for it is passed over.
    pub(super) closed: bool,
}

/// A request as its env sees it.
pub(super) struct JsRequest {
    pub(super) thread: usize,
    pub(super) slot: u32,
    pub(super) serial: u32,
    pub(super) shared: Arc<SocketShared>,
    /// The socket it may become will compress.
    pub(super) deflates: bool,
    /// Bytes of the response's body that the I/O thread has not reported gone.
    pub(super) waiting: usize,
}

/// May a socket take more?
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Verdict {
    /// Yes, and nothing waits.
    Free,
    /// Yes, behind what waits.
    Queues,
    /// No.
    Full,
}

/// Bytes that may be in flight to an I/O thread before this one looks what became of them: half the limit, within these.
const UNSEEN: std::ops::RangeInclusive<i64> = 4 << 10..=1 << 20;
/// Bytes of commands that are handed over though a cork is open.
const HAND_OVER: usize = 1 << 20;
/// How long JavaScript waits for an I/O thread at most; it answers in microseconds unless the machine is starved.
pub(super) const PATIENCE: Duration = Duration::from_millis(200);

impl EnvState {
    /// What a socket's queue says to one more frame.
    #[inline]
    pub(super) fn verdict(&self, out: &mut Out, id: u32) -> Verdict {
        let Some(socket) = out.sockets.get_mut(id) else {
            return Verdict::Full;
        };
        if socket.shared.is_blocked() || socket.overflowed {
            return self.verdict_blocked(out, id);
        }
        if socket.added <= socket.budget {
            return Verdict::Free;
        }
        self.verdict_unseen(out, id)
    }

    /// Much has been sent since the I/O thread's count was looked at.
    #[cold]
    fn verdict_unseen(&self, out: &mut Out, id: u32) -> Verdict {
        let Some(socket) = out.sockets.get_mut(id) else {
            return Verdict::Full;
        };
        let limit = socket
            .shared
            .config
            .backpressure_limit
            .load(Ordering::Relaxed) as i64;
        let unseen = match limit {
            0 => *UNSEEN.end(),
            limit => (limit / 2).clamp(*UNSEEN.start(), *UNSEEN.end()),
        };
        socket.budget = socket.shared.settled() + unseen;
        if socket.added <= socket.budget || limit == 0 {
            return Verdict::Free;
        }
        // More is under way than should be: see what the kernel says to it before more is added.
        let thread = socket.thread;
        self.hand_over(out);
        self.port.settle(thread, PATIENCE);
        match out.sockets.get_mut(id) {
            Some(socket) if socket.shared.is_blocked() => self.verdict_blocked(out, id),
            Some(socket) => {
                socket.budget = socket.added + unseen;
                Verdict::Free
            }
            None => Verdict::Full,
        }
    }

    #[cold]
    fn verdict_blocked(&self, out: &mut Out, id: u32) -> Verdict {
        let Some(socket) = out.sockets.get_mut(id) else {
            return Verdict::Full;
        };
        if socket.overflowed {
            return Verdict::Full;
        }
        let limit = socket
            .shared
            .config
            .backpressure_limit
            .load(Ordering::Relaxed);
        if limit == 0 || !socket.waits_over(limit) {
            return Verdict::Queues;
        }
        if socket
            .shared
            .config
            .close_on_backpressure_limit
            .load(Ordering::Relaxed)
        {
            socket.overflowed = true;
            let (thread, slot) = (socket.thread, socket.slot);
            out.lanes[thread].commands.push(Command::Overflow { slot });
            self.hand_over_unless_held(out);
        }
        Verdict::Full
    }

    /// Hands the commands over, unless a cork or a drain is open.
    #[inline]
    pub(super) fn hand_over_unless_held(&self, out: &mut Out) {
        if self.depth.get() == 0 {
            self.hand_over(out);
        }
    }

    /// The same after bytes for one lane: so many are not held back.
    #[inline]
    pub(super) fn hand_over_sent(&self, out: &mut Out, thread: usize) {
        let lane = &out.lanes[thread];
        if self.depth.get() == 0 || lane.bytes.len() + 2 * lane.wide.len() > HAND_OVER {
            self.hand_over(out);
        }
    }

    /// Hands all commands over.
    pub(super) fn hand_over(&self, out: &mut Out) {
        for (thread, lane) in out.lanes.iter_mut().enumerate() {
            if !lane.is_empty() {
                self.port.post_commands(self.pool, thread, lane);
            }
        }
    }

    /// Opens a cork.
    pub(super) fn hold(&self) {
        self.depth.set(self.depth.get() + 1);
    }

    /// Closes one.
    pub(super) fn release(&self) {
        let depth = self.depth.get().saturating_sub(1);
        self.depth.set(depth);
        if depth == 0 {
            self.hand_over(&mut self.out.borrow_mut());
        }
    }
}

impl Out {
    /// The socket is no more: its number is free.
    pub(super) fn forget(&mut self, id: u32) -> Option<JsSocket> {
        let socket = self.sockets.remove(id)?;
        self.deflating -= usize::from(socket.deflates);
        Some(socket)
    }

    /// Whether a message for this socket is to be compressed, if it is not empty.
    #[inline]
    pub(super) fn compresses(&mut self, js: Js, id: u32, wanted: Value) -> bool {
        self.deflating > 0
            && js.as_bool(wanted)
            && self
                .sockets
                .get_mut(id)
                .is_some_and(|socket| socket.deflates)
    }
}

impl JsSocket {
    /// Bytes that wait, while it is blocked.
    pub(super) fn waiting(&self) -> u64 {
        (self.added - self.shared.settled()).max(0) as u64
    }

    /// Whether more than so many wait. A write that is under way counts when it is over: a message is not dropped for bytes
    /// that the peer has read already.
    pub(super) fn waits_over(&self, limit: u64) -> bool {
        self.waiting() > limit && {
            drop(self.shared.writer());
            self.waiting() > limit
        }
    }
}

/// Values by small numbers that are used again.
pub(super) struct Slab<T> {
    entries: Vec<Option<T>>,
    free: Vec<u32>,
}

impl<T> Default for Slab<T> {
    fn default() -> Self {
        Self {
            entries: Vec::new(),
            free: Vec::new(),
        }
    }
}

impl<T> Slab<T> {
    pub(super) fn insert(&mut self, value: T) -> u32 {
        if let Some(index) = self.free.pop() {
            self.entries[index as usize] = Some(value);
            return index;
        }
        self.entries.push(Some(value));
        self.entries.len() as u32 - 1
    }

    #[inline]
    pub(super) fn get_mut(&mut self, index: u32) -> Option<&mut T> {
        self.entries.get_mut(index as usize)?.as_mut()
    }

    pub(super) fn remove(&mut self, index: u32) -> Option<T> {
        let value = self.entries.get_mut(index as usize)?.take();
        if value.is_some() {
            self.free.push(index);
        }
        value
    }
}

/// The requests of an env, by their number and by where they came from.
#[derive(Default)]
pub(super) struct Requests {
    by_number: Slab<JsRequest>,
    /// A connection has one request at a time.
    by_connection: HashMap<(usize, u32), u32>,
}

impl Requests {
    pub(super) fn insert(&mut self, request: JsRequest) -> u32 {
        let connection = (request.thread, request.slot);
        let number = self.by_number.insert(request);
        self.by_connection.insert(connection, number);
        number
    }

    pub(super) fn get_mut(&mut self, number: u32) -> Option<&mut JsRequest> {
        self.by_number.get_mut(number)
    }

    pub(super) fn remove(&mut self, number: u32) -> Option<JsRequest> {
        let request = self.by_number.remove(number)?;
        let connection = (request.thread, request.slot);
        if self.by_connection.get(&connection) == Some(&number) {
            self.by_connection.remove(&connection);
        }
        Some(request)
    }

    pub(super) fn find(&mut self, thread: usize, slot: u32, serial: u32) -> Option<u32> {
        let number = *self.by_connection.get(&(thread, slot))?;
        (self.by_number.get_mut(number)?.serial == serial).then_some(number)
    }
}
