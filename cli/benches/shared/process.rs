//! CPU and memory of processes, as Linux counts them in /proc.

use std::fs;

/// How many ticks a second /proc counts in; the kernel promises it to every program.
const TICKS: f64 = 100.0;

/// CPU time in seconds.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Cpu {
    pub(crate) user: f64,
    pub(crate) system: f64,
}

impl Cpu {
    pub(crate) fn total(self) -> f64 {
        self.user + self.system
    }

    pub(crate) fn since(self, before: Cpu) -> Cpu {
        Cpu { user: self.user - before.user, system: self.system - before.system }
    }

    fn plus(self, other: Cpu) -> Cpu {
        Cpu { user: self.user + other.user, system: self.system + other.system }
    }
}

/// The line of /proc about a process: its parent, its own CPU, and that of its children which it has waited for.
struct Stat {
    parent: u32,
    own: Cpu,
    children: Cpu,
}

fn stat(process: &str) -> Option<Stat> {
    let text = fs::read_to_string(format!("/proc/{process}/stat")).ok()?;
    // The name before it stands in brackets and may hold anything.
    let fields: Vec<&str> = text.rsplit_once(')')?.1.split_whitespace().collect();
    let seconds = |at: usize| fields.get(at).and_then(|n| n.parse::<f64>().ok()).map(|ticks| ticks / TICKS);
    Some(Stat {
        parent: fields.get(1)?.parse().ok()?,
        own: Cpu { user: seconds(11)?, system: seconds(12)? },
        children: Cpu { user: seconds(13)?, system: seconds(14)? },
    })
}

/// What this process has used itself.
pub(crate) fn own_cpu() -> Cpu {
    stat("self").map(|stat| stat.own).unwrap_or_default()
}

/// What the children of this process have used that have ended.
pub(crate) fn ended_children_cpu() -> Cpu {
    stat("self").map(|stat| stat.children).unwrap_or_default()
}

/// What a running process has used.
pub(crate) fn cpu_of(process: u32) -> Cpu {
    stat(&process.to_string()).map(|stat| stat.own).unwrap_or_default()
}

/// What a process and its children, running and ended, have used.
pub(crate) fn family_cpu(head: u32) -> Cpu {
    let mut sum = Cpu::default();
    // A child that ends while its family is counted would be missed or counted twice; then it is counted anew.
    for _ in 0..10 {
        let Some(before) = stat(&head.to_string()) else { break };
        let others = fs::read_dir("/proc").into_iter().flatten().flatten();
        let children =
            others.filter_map(|entry| stat(entry.file_name().to_str().filter(|name| name.parse::<u32>().is_ok())?));
        let children = children.filter(|child| child.parent == head);
        sum = children.fold(before.own.plus(before.children), |sum, child| sum.plus(child.own));
        if stat(&head.to_string()).is_some_and(|after| after.children.total() <= before.children.total()) {
            break;
        }
    }
    sum
}

/// The most memory that a process has had in use (resident), in bytes.
pub(crate) fn peak_bytes(process: &str) -> Option<u64> {
    let text = fs::read_to_string(format!("/proc/{process}/status")).ok()?;
    let kib: u64 =
        text.lines().find_map(|l| l.strip_prefix("VmHWM:")?.trim().strip_suffix("kB")?.trim().parse().ok())?;
    Some(kib * 1024)
}

/// How long all cores together have been busy since the machine started, in seconds.
pub(crate) fn machine_cpu() -> f64 {
    let text = fs::read_to_string("/proc/stat").unwrap_or_default();
    let line = text.lines().next().unwrap_or_default();
    let ticks: Vec<f64> = line.split_whitespace().skip(1).map_while(|n| n.parse().ok()).collect();
    // user, nice, system, idle, waiting, interrupts (two kinds), stolen.
    [0, 1, 2, 5, 6, 7].iter().filter_map(|at| ticks.get(*at)).sum::<f64>() / TICKS
}
