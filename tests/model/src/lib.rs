//! The hand-over between two threads under loom, which walks every interleaving.
#![cfg(test)]
#![allow(dead_code, reason = "the model uses a part of it")]

/// What `mailbox.rs` finds in the crate as `sync`.
mod sync {
    pub(crate) use loom::sync::{
        Mutex,
        atomic::{AtomicBool, Ordering},
    };
}

#[path = "../../../src/session/mailbox.rs"]
mod mailbox;

use loom::sync::Arc;
use loom::thread;
use mailbox::{Batch, Mailbox, WakeFlag};
use sync::{AtomicBool, Ordering};

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
