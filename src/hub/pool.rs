//! The I/O threads. They belong to the process: they outlive every server and every env, and end with it.

use crate::hub::connection::Incoming;
use crate::hub::env::EnvPort;
use crate::hub::io_thread;
use crate::hub::server::ListenerStart;
use crate::session::mailbox::WakeFlag;
use std::sync::atomic::{AtomicU32, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, OnceLock, PoisonError};
use std::time::Duration;
use tokio::sync::Notify;

/// Environment variable with the number of I/O threads.
pub const THREADS_VARIABLE: &str = "FERROWS_IO_THREADS";
const MOST_THREADS: usize = 64;

/// All I/O threads.
#[derive(Debug)]
pub struct IoPool {
    threads: Box<[Arc<IoHandle>]>,
}

/// What other threads know of an I/O thread.
#[derive(Debug, Default)]
pub struct IoHandle {
    flag: WakeFlag,
    pub(crate) notify: Notify,
    /// Connections it owns.
    pub(crate) connections: AtomicUsize,
    arrivals: Mutex<Arrivals>,
    /// Seconds that have passed and that it has not counted yet.
    pub(crate) seconds: AtomicU32,
    /// The second in which it is, by its own count.
    pub(crate) now: AtomicU32,
}

/// What other threads bring.
#[derive(Debug, Default)]
pub(crate) struct Arrivals {
    pub(crate) envs: Vec<Arc<EnvPort>>,
    pub(crate) listeners: Vec<ListenerStart>,
    pub(crate) connections: Vec<Incoming>,
}

impl IoPool {
    /// The process's pool; its threads start with the first call.
    ///
    /// # Panics
    /// When the system refuses a thread or an epoll set: the process has reached its limits before it served anyone.
    pub fn global() -> &'static Self {
        static POOL: OnceLock<IoPool> = OnceLock::new();
        POOL.get_or_init(|| Self::start(thread_count()))
    }

    fn start(count: usize) -> Self {
        let threads: Box<[_]> = (0..count).map(|_| Arc::new(IoHandle::default())).collect();
        for (index, handle) in threads.iter().enumerate() {
            let handle = Arc::clone(handle);
            std::thread::Builder::new()
                .name(format!("ferrows-io-{index}"))
                .spawn(move || io_thread::run(index, &handle))
                .expect("the system gives a thread before the first connection");
        }
        let ticked = threads.clone();
        std::thread::Builder::new()
            .name("ferrows-clock".into())
            .spawn(move || tick(&ticked))
            .expect("the system gives a thread before the first connection");
        Self { threads }
    }

    /// How many threads there are.
    #[must_use]
    #[expect(clippy::len_without_is_empty, reason = "never empty")]
    pub fn len(&self) -> usize {
        self.threads.len()
    }

    /// One of them.
    #[must_use]
    pub fn thread(&self, index: usize) -> &Arc<IoHandle> {
        &self.threads[index]
    }

    /// The thread with the fewest connections.
    pub(crate) fn least_loaded(&self) -> usize {
        let load = |index: &usize| self.threads[*index].connections.load(Ordering::Relaxed);
        (0..self.threads.len()).min_by_key(load).unwrap_or(0)
    }

    /// Makes a JavaScript thread known to all I/O threads; to be called before its first command.
    pub fn attach(&self, port: &Arc<EnvPort>) {
        for thread in &self.threads {
            thread.arrivals().envs.push(Arc::clone(port));
            thread.wake();
        }
    }

    /// Gives a listening socket to one of the threads.
    pub fn listen(&self, start: ListenerStart) {
        let thread = self.thread(start.server.id as usize % self.len());
        thread.arrivals().listeners.push(start);
        thread.wake();
    }

    /// Lets seconds pass at once, beside those that the clock counts: tests of long timeouts have no time for them.
    #[doc(hidden)]
    pub fn skip_seconds(&self, seconds: u32) {
        for thread in &self.threads {
            thread.seconds.fetch_add(seconds, Ordering::Relaxed);
            thread.wake();
        }
    }

    /// Wakes all threads, for example to let them see that an env has ended.
    pub fn wake_all(&self) {
        for thread in &self.threads {
            thread.wake();
        }
    }
}

impl IoHandle {
    /// Makes the thread look at its lists.
    pub fn wake(&self) {
        if self.flag.claim_wake() {
            self.notify.notify_one();
        }
    }

    /// The second in which it is, by its own count.
    #[must_use]
    pub fn now(&self) -> u32 {
        self.now.load(Ordering::Relaxed)
    }

    pub(crate) fn begin_take(&self) {
        self.flag.begin_take();
    }

    pub(crate) fn arrivals(&self) -> MutexGuard<'_, Arrivals> {
        self.arrivals.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Counts the seconds for all I/O threads: a timer of their own would cost them a look at the clock on every turn. A
/// thread without connections is left asleep, and counts when it is woken for something else.
fn tick(threads: &[Arc<IoHandle>]) -> ! {
    loop {
        std::thread::sleep(Duration::from_secs(1));
        for thread in threads {
            thread.seconds.fetch_add(1, Ordering::Relaxed);
            if thread.connections.load(Ordering::Relaxed) > 0 {
                thread.wake();
            }
        }
    }
}

/// One core is JavaScript's; more than four I/O threads need a machine whose owner says so.
fn thread_count() -> usize {
    let asked = std::env::var(THREADS_VARIABLE)
        .ok()
        .and_then(|value| value.trim().parse::<usize>().ok());
    match asked {
        Some(count) if count > 0 => count.min(MOST_THREADS),
        _ => std::thread::available_parallelism()
            .map_or(1, |cores| cores.get().saturating_sub(1).clamp(1, 4)),
    }
}
