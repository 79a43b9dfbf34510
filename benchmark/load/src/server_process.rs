//! What the server process consumed, from /proc. Other systems give no figures.

use std::fs;

/// CPU time so far, in nanoseconds.
#[derive(Clone, Copy)]
pub struct CpuTime {
    /// All threads, user and system. A thread that ends between two samples takes its share with it.
    pub process: u64,
    /// The main thread: the one that runs JavaScript in Node, Deno and Bun.
    pub main_thread: u64,
}

#[derive(Clone, Copy)]
pub struct ServerProcess(Option<u32>);

impl ServerProcess {
    pub fn new(pid: Option<u32>) -> Self {
        Self(pid)
    }

    pub fn cpu_time(self) -> Option<CpuTime> {
        let pid = self.0?;
        let mut time = CpuTime {
            process: 0,
            main_thread: 0,
        };
        for task in fs::read_dir(format!("/proc/{pid}/task")).ok()?.flatten() {
            // A thread may end between the listing and the reading.
            let Ok(text) = fs::read_to_string(task.path().join("schedstat")) else {
                continue;
            };
            let nanos: u64 = text.split_whitespace().next()?.parse().ok()?;
            time.process += nanos;
            if task.file_name().to_str() == Some(&pid.to_string()) {
                time.main_thread = nanos;
            }
        }
        (time.process > 0).then_some(time)
    }

    pub fn resident_bytes(self) -> Option<f64> {
        let status = fs::read_to_string(format!("/proc/{}/status", self.0?)).ok()?;
        let line = status
            .lines()
            .find_map(|line| line.strip_prefix("VmRSS:"))?;
        let kib: f64 = line.trim().strip_suffix(" kB")?.trim().parse().ok()?;
        Some(kib * 1024.0)
    }
}
