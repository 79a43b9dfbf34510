//! The hand-over between two threads under loom, which walks every interleaving.
#![cfg(test)]
#![allow(dead_code, reason = "the model uses a part of it")]

/// What `mailbox.rs` finds in the crate as `sync`.
mod sync {
    pub(crate) use loom::sync::{
        Mutex,
        atomic::{AtomicBool, AtomicU64, Ordering},
    };
}

#[path = "../../../src/session/mailbox.rs"]
mod mailbox;

use loom::sync::Arc;
use loom::thread;
use mailbox::{Batch, Mailbox, Receipts, WakeFlag};
use sync::{AtomicBool, AtomicU64, Ordering};

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

/// Two posters and a taker, and wake-ups that become one when the taker has not looked yet, as those of an event loop
/// do. Whatever the interleaving, every post is taken, in its poster's order, and no post is left behind without a
/// wake-up on its way.
#[test]
fn no_post_is_lost_between_the_flag_and_the_list() {
    loom::model(|| {
        let mailbox = Arc::new(Mailbox::<Numbers>::new());
        let flag = Arc::new(WakeFlag::default());
        let woken = Arc::new(AtomicBool::new(false));
        let post = |values: &'static [u32]| {
            let (mailbox, flag, woken) = (mailbox.clone(), flag.clone(), woken.clone());
            thread::spawn(move || {
                for value in values {
                    mailbox.post(&mut Numbers(vec![*value]));
                    if flag.claim_wake() {
                        woken.swap(true, Ordering::AcqRel);
                    }
                }
            })
        };
        let posters = [post(&[1, 2]), post(&[11])];
        let drain = |seen: &mut Vec<u32>| {
            if woken.swap(false, Ordering::AcqRel) {
                flag.begin_take();
                let mut batch = Numbers::default();
                mailbox.take(&mut batch);
                seen.append(&mut batch.0);
            }
        };
        let mut seen = Vec::new();
        drain(&mut seen);
        for poster in posters {
            poster.join().expect("posters do not panic");
        }
        // One wake-up may still be on its way, and no more.
        drain(&mut seen);
        assert!(!woken.load(Ordering::Acquire));
        let ones: Vec<_> = seen.iter().filter(|value| **value < 10).collect();
        assert_eq!(ones, [&1, &2]);
        assert_eq!(seen.len(), 3);
    });
}

/// What the poster takes for handled is handled: it may then write to a socket itself, or end the process. And the last
/// wake-up is enough for all to be handled.
#[test]
fn a_receipt_comes_behind_what_it_is_for() {
    loom::model(|| {
        let mailbox = Arc::new(Mailbox::<Numbers>::new());
        let receipts = Arc::new(Receipts::default());
        let woken = Arc::new(AtomicBool::new(false));
        let done = Arc::new(AtomicU64::new(0));
        let take = {
            let (mailbox, receipts) = (mailbox.clone(), receipts.clone());
            let (woken, done) = (woken.clone(), done.clone());
            move || {
                if woken.swap(false, Ordering::AcqRel) {
                    let posted = receipts.posted();
                    let mut batch = Numbers::default();
                    mailbox.take(&mut batch);
                    done.fetch_add(batch.0.len() as u64, Ordering::Relaxed);
                    receipts.handled(posted);
                }
            }
        };
        let taker = thread::spawn(take.clone());
        for posts in 1..=2 {
            mailbox.post(&mut Numbers(vec![7]));
            let number = receipts.post();
            woken.swap(true, Ordering::AcqRel);
            if receipts.has_handled(number) {
                assert_eq!(done.load(Ordering::Relaxed), posts);
            }
        }
        taker.join().expect("the taker does not panic");
        take();
        assert!(receipts.has_handled_all());
        assert_eq!(done.load(Ordering::Relaxed), 2);
    });
}
