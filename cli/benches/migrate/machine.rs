//! What the figures were measured on.

use std::fs;

use crate::Outcome;

/// The machine and the day.
pub(crate) struct Machine {
    pub(crate) processor: String,
    pub(crate) cores: usize,
    pub(crate) memory_bytes: u64,
    pub(crate) kernel: String,
    pub(crate) date: String,
    /// The average load of the last minute before anything was started: others at work.
    pub(crate) load_before: f64,
}

impl Machine {
    pub(crate) fn look() -> Outcome<Self> {
        let processor = fs::read_to_string("/proc/cpuinfo")?;
        let processor = processor.lines().find(|line| line.starts_with("model name")).and_then(|l| l.split_once(':'));
        let memory = fs::read_to_string("/proc/meminfo")?;
        let memory =
            memory.lines().find_map(|l| l.strip_prefix("MemTotal:")?.trim().strip_suffix("kB")?.trim().parse().ok());
        let memory: u64 = memory.unwrap_or(0);
        let load = fs::read_to_string("/proc/loadavg")?;
        Ok(Machine {
            processor: processor.map_or_else(|| std::env::consts::ARCH.to_owned(), |(_, name)| name.trim().to_owned()),
            cores: std::thread::available_parallelism()?.get(),
            memory_bytes: memory * 1024,
            kernel: fs::read_to_string("/proc/sys/kernel/osrelease")?.trim().to_owned(),
            date: jiff::Zoned::now().date().to_string(),
            load_before: load.split(' ').next().and_then(|n| n.parse().ok()).unwrap_or(0.0),
        })
    }
}
