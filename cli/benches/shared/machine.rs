//! What the figures were measured on.

use std::fs;

use super::{Outcome, mib};

/// The machine and the day.
pub(crate) struct Machine {
    processor: String,
    cores: usize,
    memory_bytes: u64,
    kernel: String,
    date: String,
    /// The average load of the last minute before anything was started: others at work.
    load_before: f64,
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
            // What a distribution or a host adds says nothing to a reader.
            kernel: fs::read_to_string("/proc/sys/kernel/osrelease")?
                .split('-')
                .next()
                .unwrap_or_default()
                .trim()
                .to_owned(),
            date: jiff::Zoned::now().date().to_string(),
            load_before: load.split(' ').next().and_then(|n| n.parse().ok()).unwrap_or(0.0),
        })
    }

    /// The day and the machine, in words.
    pub(crate) fn words(&self) -> String {
        let Machine { processor, cores, memory_bytes, kernel, date, load_before } = self;
        format!(
            "{date}: {cores} cores ({processor}), {} of memory, Linux {kernel}, load {load_before:.1} before the benchmark began",
            mib(*memory_bytes)
        )
    }
}
