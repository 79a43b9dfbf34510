//! What other programs took of the cores in use. Where that is much, the figures are not the server's alone.

use std::fs;
use std::time::Instant;

use crate::server_process::ServerProcess;

/// Of those in /proc/stat: every Linux counts in hundredths of a second there.
const NANOS_PER_TICK: u64 = 10_000_000;

/// The cores that the server and this process are bound to.
pub struct Cores(Vec<Core>);

/// A core with one process that is bound to it and to no other.
struct Core {
    number: usize,
    process: ServerProcess,
}

/// What is accounted for at one moment: the time of each core that was the bound process's, nobody's or the kernel's.
pub struct Accounts {
    taken: Instant,
    nanos: Vec<Option<u64>>,
}

impl Cores {
    pub fn of(server: Option<u32>) -> Self {
        let pids = server.into_iter().chain([std::process::id()]);
        Self(pids.filter_map(Core::of).collect())
    }

    pub fn accounts(&self) -> Accounts {
        let stat = fs::read_to_string("/proc/stat").unwrap_or_default();
        Accounts {
            nanos: self.0.iter().map(|core| core.accounted(&stat)).collect(),
            taken: Instant::now(),
        }
    }
}

impl Core {
    fn of(pid: u32) -> Option<Self> {
        let status = fs::read_to_string(format!("/proc/{pid}/status")).ok()?;
        Some(Self {
            number: only_core(&status)?,
            process: ServerProcess::new(Some(pid)),
        })
    }

    fn accounted(&self, stat: &str) -> Option<u64> {
        let ticks = idle_and_interrupts(stat, self.number)?;
        Some(ticks * NANOS_PER_TICK + self.process.cpu_time()?.process)
    }
}

impl Accounts {
    /// The share of the core with more of it that others took between two moments. What the kernel needs to go to sleep
    /// and to wake is in it.
    pub fn taken_by_others(&self, later: &Self) -> Option<f64> {
        let wall = (later.taken - self.taken).as_nanos() as f64;
        let shares = self.nanos.iter().zip(&later.nanos).filter_map(|(a, b)| {
            let accounted = b.as_ref()?.saturating_sub(*a.as_ref()?) as f64;
            Some((1.0 - accounted / wall).max(0.0))
        });
        shares.reduce(f64::max)
    }
}

/// The core in a /proc/PID/status, when it is the only one allowed.
fn only_core(status: &str) -> Option<usize> {
    let list = status
        .lines()
        .find_map(|line| line.strip_prefix("Cpus_allowed_list:"))?;
    list.trim().parse().ok()
}

/// Of a core's line in /proc/stat: idle, waiting for a disk, interrupts. Some kernels count interrupts as time of the
/// process they fell into too; then a small share of others goes unnoticed.
fn idle_and_interrupts(stat: &str, core: usize) -> Option<u64> {
    let name = format!("cpu{core}");
    let mut fields = stat
        .lines()
        .map(str::split_whitespace)
        .find_map(|mut fields| (fields.next() == Some(&name)).then_some(fields))?;
    let [_user, _nice, _system, idle, disk, hard, soft] =
        std::array::from_fn(|_| fields.next().and_then(|field| field.parse::<u64>().ok()));
    Some(idle? + disk? + hard? + soft?)
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    #[test]
    fn reads_what_the_kernel_says() {
        let status =
            |list: &str| format!("Name:\tx\nCpus_allowed:\t3\nCpus_allowed_list:\t{list}\n");
        assert_eq!(only_core(&status("12")), Some(12));
        assert_eq!(only_core(&status("0-1")), None);
        assert_eq!(only_core(&status("0,2")), None);

        let stat =
            "cpu  9 9 9 9 9 9 9 9\ncpu1 1 2 3 400 50 6 7 8 0 0\ncpu10 1 2 3 4 5 6 7 8\nintr 1\n";
        assert_eq!(idle_and_interrupts(stat, 1), Some(463));
        assert_eq!(idle_and_interrupts(stat, 10), Some(22));
        assert_eq!(idle_and_interrupts(stat, 2), None);
    }

    #[test]
    fn what_is_not_accounted_for_is_others() {
        let taken = Instant::now();
        let accounts = |seconds, nanos| Accounts {
            taken: taken + Duration::from_secs(seconds),
            nanos,
        };
        let first = accounts(0, vec![Some(5_000_000_000), Some(0), None]);
        let second = accounts(2, vec![Some(7_000_000_000), Some(500_000_000), Some(1)]);
        assert_eq!(first.taken_by_others(&second), Some(0.75));
        // Ticks are coarse: more may be accounted for than there was.
        let third = accounts(2, vec![Some(7_010_000_000), None, None]);
        assert_eq!(first.taken_by_others(&third), Some(0.0));
        assert_eq!(
            accounts(0, vec![]).taken_by_others(&accounts(1, vec![])),
            None
        );
    }
}
