//! How far two cores are from each other: two threads hand a number back and forth through one cache line.
//!
//! Virtual machines move their cores about. While the two share a cache, a hand-over takes tens of nanoseconds, else
//! hundreds, and then everything on the loopback interface costs a multiple. Figures from both states do not mix.

use std::sync::atomic::{AtomicU64, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use crate::args::Args;
use crate::error::{Error, Result};
use crate::report::Report;
use crate::system;

const TRIALS: u32 = 12;
const HAND_OVERS: u64 = 4_000;

pub fn run(args: &Args) -> Result<Report> {
    let (a, b) = args.cpus;
    let mut least = f64::INFINITY;
    for _ in 0..TRIALS {
        least = least.min(trial(a, b)?);
        thread::sleep(Duration::from_millis(1));
    }
    Ok(Report::default()
        .text("mode", "distance")
        .figure("ns", least))
}

/// Nanoseconds of one hand-over.
fn trial(a: usize, b: usize) -> Result<f64> {
    #[repr(align(128))]
    struct Line(AtomicU64);
    let line = Line(AtomicU64::new(0));
    // Even numbers are the first thread's turn, odd ones the second's.
    let play = |cpu: usize, parity: u64| -> Option<Duration> {
        let bound = system::bind_to_cpu(cpu);
        let start = Instant::now();
        for turn in (parity..HAND_OVERS).step_by(2) {
            while line.0.load(Ordering::Acquire) != turn {
                std::hint::spin_loop();
            }
            line.0.store(turn + 1, Ordering::Release);
        }
        bound.then(|| start.elapsed())
    };
    let times = thread::scope(|scope| {
        [scope.spawn(|| play(a, 0)), scope.spawn(|| play(b, 1))].map(|t| t.join().ok().flatten())
    });
    match times {
        [Some(first), Some(second)] => Ok(first.min(second).as_nanos() as f64 / HAND_OVERS as f64),
        _ => Err(Error::Unsupported("cannot bind threads to these cores")),
    }
}
