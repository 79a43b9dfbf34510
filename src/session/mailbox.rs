//! The hand-over between two threads: a list that is swapped whole.
//!
//! One side posts batches, the other takes everything there is. Neither waits for the other, a batch that nobody has
//! taken yet is added to, and the flag beside the list makes one wake-up carry all of it:
//!
//! ```text
//! poster: post(batch); if claim_wake() { wake the taker }
//! taker:  begin_take(); take() ... handle
//! ```
//!
//! `begin_take` clears the flag *before* the list is read, so a post that comes too late for this take finds the flag
//! clear and wakes again. `tests/model` explores every interleaving of that.

use crate::sync::{AtomicBool, AtomicU64, Mutex, Ordering};

/// A list of records that can be joined to another of its kind.
pub trait Batch: Default {
    /// Whether nothing is in it.
    fn is_empty(&self) -> bool;
    /// Moves everything out of `other` behind what is here, in order. `other` is empty afterwards.
    fn append(&mut self, other: &mut Self);
    /// Bytes of payload held, for the bounds on what may wait.
    fn weight(&self) -> usize;
}

/// One direction between one pair of threads.
#[derive(Debug, Default)]
pub struct Mailbox<B> {
    slot: Mutex<B>,
}

impl<B: Batch> Mailbox<B> {
    /// An empty mailbox.
    #[must_use]
    pub fn new() -> Self {
        Self {
            slot: Mutex::new(B::default()),
        }
    }

    /// Hands over everything in `batch`, which is empty afterwards (and may hold a recycled allocation).
    /// Returns the bytes that now wait to be taken.
    pub fn post(&self, batch: &mut B) -> usize {
        let mut slot = lock(&self.slot);
        if slot.is_empty() {
            std::mem::swap(&mut *slot, batch);
        } else {
            slot.append(batch);
        }
        slot.weight()
    }

    /// Takes everything that was posted into `batch`, which must be empty; its allocation serves the poster next.
    pub fn take(&self, batch: &mut B) {
        debug_assert!(
            batch.is_empty(),
            "a batch is handled whole before the next is taken"
        );
        let mut slot = lock(&self.slot);
        std::mem::swap(&mut *slot, batch);
    }
}

/// "A wake-up is under way": set by whoever wakes, cleared by the woken before it takes.
#[derive(Debug)]
pub struct WakeFlag(AtomicBool);

impl Default for WakeFlag {
    fn default() -> Self {
        Self(AtomicBool::new(false))
    }
}

impl WakeFlag {
    /// True for the one caller that has to wake the other side.
    #[must_use]
    pub fn claim_wake(&self) -> bool {
        !self.0.swap(true, Ordering::AcqRel)
    }

    /// To be called by the taker before it takes.
    pub fn begin_take(&self) {
        // A read-modify-write, not a store: it must see, and so order itself behind, the claim that woke us.
        self.0.swap(false, Ordering::AcqRel);
    }

    /// Whether a wake-up was sent that no take has answered yet.
    #[must_use]
    pub fn is_pending(&self) -> bool {
        self.0.load(Ordering::Acquire)
    }
}

/// How many things were posted, such as batches, and how many of those the taker is through with. One poster, one taker.
///
/// ```text
/// poster: post(batch); number = receipts.post(); wake the taker ... has_handled(number)?
/// taker:  posted = receipts.posted(); take() ... handle; receipts.handled(posted)
/// ```
///
/// The poster counts *behind* its post, and the taker looks *before* its take: a number that the taker has seen stands
/// for a batch that its take finds. The wake-up comes behind both, so a batch taken before it was counted gets its
/// receipt from the take that follows.
#[derive(Debug)]
pub struct Receipts {
    posted: AtomicU64,
    handled: AtomicU64,
}

impl Default for Receipts {
    fn default() -> Self {
        Self {
            posted: AtomicU64::new(0),
            handled: AtomicU64::new(0),
        }
    }
}

impl Receipts {
    /// Counts a post, for the poster, behind [`Mailbox::post`] where that is what is counted. Returns its number.
    pub fn post(&self) -> u64 {
        let number = self.posted.load(Ordering::Relaxed) + 1;
        self.posted.store(number, Ordering::Release);
        number
    }

    /// For the taker, before [`Mailbox::take`]: the number to pass to [`Receipts::handled`].
    #[must_use]
    pub fn posted(&self) -> u64 {
        self.posted.load(Ordering::Acquire)
    }

    /// For the taker, before [`Mailbox::take`]: the same, if it is not through with that.
    #[must_use]
    pub fn due(&self) -> Option<u64> {
        let number = self.posted();
        (!self.has_handled(number)).then_some(number)
    }

    /// The taker is through with everything up to `number`.
    pub fn handled(&self, number: u64) {
        self.handled.store(number, Ordering::Release);
    }

    /// Whether the taker is through with everything up to `number`.
    #[must_use]
    pub fn has_handled(&self, number: u64) -> bool {
        self.handled.load(Ordering::Acquire) >= number
    }

    /// For the poster: whether the taker is through with everything.
    #[must_use]
    pub fn has_handled_all(&self) -> bool {
        self.has_handled(self.posted.load(Ordering::Relaxed))
    }
}

/// Locks a mutex whose holders cannot panic half-way through a change.
fn lock<T>(mutex: &Mutex<T>) -> impl std::ops::DerefMut<Target = T> + '_ {
    mutex
        .lock()
        .unwrap_or_else(std::sync::PoisonError::into_inner)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[derive(Debug, Default)]
    struct Numbers(Vec<u32>);

    impl Batch for Numbers {
        fn is_empty(&self) -> bool {
            self.0.is_empty()
        }
        fn append(&mut self, other: &mut Self) {
            self.0.append(&mut other.0);
        }
        fn weight(&self) -> usize {
            self.0.len()
        }
    }

    #[test]
    fn posts_are_taken_in_order_and_once() {
        let mailbox = Mailbox::new();
        assert_eq!(mailbox.post(&mut Numbers(vec![1, 2])), 2);
        assert_eq!(mailbox.post(&mut Numbers(vec![3])), 3);
        let mut taken = Numbers::default();
        mailbox.take(&mut taken);
        assert_eq!(taken.0, [1, 2, 3]);
        let mut nothing = Numbers::default();
        mailbox.take(&mut nothing);
        assert!(nothing.is_empty());
    }

    #[test]
    fn only_the_first_of_many_posters_has_to_wake() {
        let flag = WakeFlag::default();
        assert!(flag.claim_wake());
        assert!(!flag.claim_wake());
        assert!(flag.is_pending());
        flag.begin_take();
        assert!(flag.claim_wake());
    }
}
