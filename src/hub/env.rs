//! A JavaScript thread as the I/O threads see it: one pair of lists for each of them, and a way to wake it.

use crate::hub::pool::IoPool;
use crate::session::mailbox::{Receipts, WakeFlag};
use crate::session::{CommandBatch, EventBatch, Mailbox};
use std::sync::atomic::{AtomicBool, AtomicU64, AtomicUsize, Ordering};
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

/// Bytes that may wait for a JavaScript thread, per I/O thread. Past that its sockets are not read: TCP makes the
/// clients wait, and a blocked thread does not grow the process.
const INBOX_LIMIT: usize = 4 << 20;

/// Bytes of commands that may wait for an I/O thread. Past that the JavaScript thread waits for it, as it would have
/// waited in the system calls that the I/O thread makes in its stead.
const OUTBOX_LIMIT: usize = 4 << 20;

/// How often is looked whether bytes have left: the kernel does not tell.
const LOOK_AGAIN: Duration = Duration::from_millis(1);

/// How a JavaScript thread is woken.
pub trait EnvWaker: Send {
    /// Makes the thread take its events soon. Called from any thread.
    fn wake(&self);
}

/// The meeting place of one JavaScript thread with all I/O threads.
pub struct EnvPort {
    lanes: Box<[Lane]>,
    flag: WakeFlag,
    /// `None` once the env has ended: nothing may touch it then.
    waker: Mutex<Option<Box<dyn EnvWaker>>>,
    /// How many drains have begun; with it the I/O threads notice a wake-up that got lost.
    drains: AtomicU64,
    /// Whether this host loses wake-ups.
    loses_wakes: bool,
    /// Sockets for which bytes wait. Nearly always none.
    blocked: AtomicUsize,
    blocked_ids: Mutex<Vec<u32>>,
}

/// The two lists shared with one I/O thread.
struct Lane {
    events: Mailbox<EventBatch>,
    commands: Mailbox<CommandBatch>,
    /// Set by the I/O thread when too much waits; cleared, with a wake-up, by the JavaScript thread.
    full: AtomicBool,
    /// For the batches of commands.
    receipts: Receipts,
    /// For the calls of [`EnvPort::leave`].
    leaves: Receipts,
}

impl std::fmt::Debug for EnvPort {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("EnvPort")
            .field("lanes", &self.lanes.len())
            .finish_non_exhaustive()
    }
}

impl EnvPort {
    /// A port with a lane to each I/O thread of the pool.
    #[must_use]
    pub fn new(pool: &IoPool, waker: Box<dyn EnvWaker>, loses_wakes: bool) -> Self {
        let lane = |_| Lane {
            events: Mailbox::new(),
            commands: Mailbox::new(),
            full: AtomicBool::new(false),
            receipts: Receipts::default(),
            leaves: Receipts::default(),
        };
        Self {
            lanes: (0..pool.len()).map(lane).collect(),
            flag: WakeFlag::default(),
            waker: Mutex::new(Some(waker)),
            drains: AtomicU64::new(0),
            loses_wakes,
            blocked: AtomicUsize::new(0),
            blocked_ids: Mutex::default(),
        }
    }

    /// The port of no JavaScript thread, for I/O threads that remember none.
    #[must_use]
    pub(crate) fn nobody() -> Self {
        Self {
            lanes: Box::default(),
            flag: WakeFlag::default(),
            waker: Mutex::default(),
            drains: AtomicU64::new(0),
            loses_wakes: false,
            blocked: AtomicUsize::new(0),
            blocked_ids: Mutex::default(),
        }
    }

    // --- the JavaScript thread's side ---

    /// To be called before the first [`EnvPort::take_events`] of a drain.
    pub fn begin_drain(&self) {
        self.drains.fetch_add(1, Ordering::Relaxed);
        self.flag.begin_take();
    }

    /// Whether there are events that came after this drain has begun.
    #[must_use]
    pub fn is_woken(&self) -> bool {
        self.flag.is_pending()
    }

    /// Everything that I/O thread `thread` has for us.
    pub fn take_events(&self, pool: &IoPool, thread: usize, batch: &mut EventBatch) {
        let lane = &self.lanes[thread];
        lane.events.take(batch);
        if lane.full.load(Ordering::Acquire) && lane.full.swap(false, Ordering::AcqRel) {
            pool.thread(thread).wake();
        }
    }

    /// Hands over commands; waits for the I/O thread when it is far behind.
    pub fn post_commands(&self, pool: &IoPool, thread: usize, batch: &mut CommandBatch) {
        let lane = &self.lanes[thread];
        let waiting = lane.commands.post(batch);
        let number = lane.receipts.post();
        pool.thread(thread).wake();
        if waiting > OUTBOX_LIMIT {
            self.wait_until(Duration::from_secs(5), || lane.receipts.has_handled(number));
        }
    }

    /// Whether everything handed to I/O thread `thread` has been applied.
    #[must_use]
    pub fn is_settled(&self, thread: usize) -> bool {
        self.lanes[thread].receipts.has_handled_all()
    }

    /// Waits until I/O thread `thread` has applied everything handed to it, or `limit` has passed.
    pub fn settle(&self, thread: usize, limit: Duration) {
        self.wait_until(limit, || self.is_settled(thread));
    }

    /// Waits until what was handed over has met the kernel, or `limit` has passed.
    pub fn flush(&self, limit: Duration) {
        self.wait_until(limit, || {
            (0..self.lanes.len()).all(|thread| self.is_settled(thread))
        });
    }

    /// The process is about to end: waits until what was handed over has left, as
    /// [`Transport::has_unsent`](crate::session::Transport::has_unsent) has it, or `limit` has passed. Returns which.
    #[allow(clippy::must_use_candidate, reason = "it is called to wait")]
    pub fn leave(&self, pool: &IoPool, limit: Duration) -> bool {
        for lane in &self.lanes {
            lane.leaves.post();
        }
        let has_left = |lane: &Lane| lane.leaves.has_handled_all();
        let start = Instant::now();
        loop {
            for (thread, lane) in self.lanes.iter().enumerate() {
                if !has_left(lane) {
                    pool.thread(thread).wake();
                }
            }
            if self.wait_until(LOOK_AGAIN, || self.lanes.iter().all(has_left)) {
                return true;
            }
            if start.elapsed() > limit {
                return false;
            }
            std::thread::sleep(LOOK_AGAIN);
        }
    }

    /// Sockets of this thread for which bytes wait: `None` in the usual case that there are none.
    #[must_use]
    pub fn blocked_ids(&self) -> Option<Vec<u32>> {
        self.has_blocked().then(|| {
            self.blocked_ids
                .lock()
                .unwrap_or_else(PoisonError::into_inner)
                .clone()
        })
    }

    /// Whether bytes wait for any socket of this thread.
    #[must_use]
    pub fn has_blocked(&self) -> bool {
        self.blocked.load(Ordering::Acquire) != 0
    }

    /// Notes that a socket is blocked or no longer is. Both sides call it, at each change of the socket's own flag.
    pub fn note_blocked(&self, id: u32, blocked: bool) {
        let mut ids = self
            .blocked_ids
            .lock()
            .unwrap_or_else(PoisonError::into_inner);
        if blocked {
            ids.push(id);
        } else if let Some(at) = ids.iter().position(|other| *other == id) {
            ids.swap_remove(at);
        }
        self.blocked.store(ids.len(), Ordering::Release);
    }

    /// The env has ended: nobody is woken any more.
    pub fn detach(&self) {
        *self.waker.lock().unwrap_or_else(PoisonError::into_inner) = None;
    }

    // --- an I/O thread's side ---

    /// Whether the env has ended.
    #[must_use]
    pub fn is_detached(&self) -> bool {
        self.waker
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .is_none()
    }

    /// Drops the events that the JavaScript thread, which has ended, did not take.
    pub fn discard_events(&self, thread: usize) {
        let mut batch = EventBatch::default();
        self.lanes[thread].events.take(&mut batch);
    }

    /// Hands over events, and wakes the JavaScript thread if nobody has.
    pub fn post_events(&self, thread: usize, batch: &mut EventBatch) {
        let lane = &self.lanes[thread];
        if lane.events.post(batch) > INBOX_LIMIT {
            lane.full.store(true, Ordering::Release);
        }
        if self.flag.claim_wake() {
            self.wake();
        }
    }

    /// Whether so much waits that the sockets should not be read.
    #[must_use]
    pub fn is_full(&self, thread: usize) -> bool {
        self.lanes[thread].full.load(Ordering::Acquire)
    }

    /// Takes everything the JavaScript thread wants of I/O thread `thread`. Returns the number to pass to
    /// [`EnvPort::applied`] when that has been applied.
    #[must_use]
    pub fn take_commands(&self, thread: usize, batch: &mut CommandBatch) -> u64 {
        let lane = &self.lanes[thread];
        let posted = lane.receipts.posted();
        lane.commands.take(batch);
        posted
    }

    /// The number of the [`EnvPort::leave`] under way, if I/O thread `thread` has not answered it. To be asked before
    /// [`EnvPort::take_commands`]: what was handed over before that call is then among what is taken.
    #[must_use]
    pub fn leaving(&self, thread: usize) -> Option<u64> {
        self.lanes[thread].leaves.due()
    }

    /// For I/O thread `thread`, everything that was handed over before [`EnvPort::leave`] `number` has left.
    pub fn left(&self, thread: usize, number: u64) {
        self.lanes[thread].leaves.handled(number);
    }

    /// See [`EnvPort::take_commands`].
    pub fn applied(&self, thread: usize, posted: u64) {
        self.lanes[thread].receipts.handled(posted);
    }

    /// On a host that loses wake-ups: the number of drains so far if one is owed, for [`EnvPort::kick`].
    #[must_use]
    pub fn owed_drain(&self) -> Option<u64> {
        (self.loses_wakes && self.flag.is_pending()).then(|| self.drains.load(Ordering::Relaxed))
    }

    /// Wakes again if the drain that was owed at number `seen` has not begun. Returns whether it is still owed.
    #[must_use]
    pub fn kick(&self, seen: u64) -> bool {
        let owed = self.owed_drain() == Some(seen);
        if owed {
            self.wake();
        }
        owed
    }

    fn wake(&self) {
        if let Some(waker) = &*self.waker.lock().unwrap_or_else(PoisonError::into_inner) {
            waker.wake();
        }
    }

    /// Waits for the I/O threads: they never wait for us, so this ends after what they have in hand. Returns false when
    /// `limit` has passed.
    #[expect(clippy::unused_self, reason = "a method of the port's waiting side")]
    fn wait_until(&self, limit: Duration, done: impl Fn() -> bool) -> bool {
        if done() {
            return true;
        }
        let start = Instant::now();
        loop {
            std::thread::yield_now();
            if done() {
                return true;
            }
            let waited = start.elapsed();
            if waited > limit {
                return false;
            }
            if waited > Duration::from_millis(1) {
                std::thread::sleep(Duration::from_micros(100));
            }
        }
    }
}
