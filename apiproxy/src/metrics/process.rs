//! What the kernel says of this process, under the names that every Prometheus client uses.

use std::fs;

use nix::unistd::{SysconfVar, sysconf};

use super::page::{Kind, Page};

/// Leaves out what cannot be read.
pub(super) fn write(page: &mut Page) {
    let ticks = sysconf(SysconfVar::CLK_TCK).ok().flatten().unwrap_or(100) as f64;
    let stat = Stat::read().unwrap_or_default();
    let mut gauge = |name, help, value: Option<f64>| {
        if let Some(value) = value {
            page.family(name, Kind::Gauge, help).sample(&[], value);
        }
    };
    gauge(
        "process_resident_memory_bytes",
        "Resident memory size in bytes.",
        resident(),
    );
    gauge(
        "process_open_fds",
        "Number of open file descriptors.",
        open_files(),
    );
    gauge(
        "process_max_fds",
        "Maximum number of open file descriptors.",
        most_files(),
    );
    gauge("process_threads", "Number of threads.", stat.threads);
    let started = stat
        .started
        .zip(booted())
        .map(|(started, boot)| boot + started / ticks);
    gauge(
        "process_start_time_seconds",
        "Start time of the process since unix epoch in seconds.",
        started,
    );
    if let Some(cpu) = stat.cpu {
        let help = "Total user and system CPU time spent in seconds.";
        let mut family = page.family("process_cpu_seconds_total", Kind::Counter, help);
        family.sample(&[], cpu / ticks);
    }
}

/// Of `/proc/self/stat`, in clock ticks.
#[derive(Debug, Default)]
struct Stat {
    cpu: Option<f64>,
    threads: Option<f64>,
    started: Option<f64>,
}

impl Stat {
    fn read() -> Option<Self> {
        Self::parse(&fs::read_to_string("/proc/self/stat").ok()?)
    }

    /// The name in parentheses may hold spaces: fields count from behind it, the third being the first.
    fn parse(text: &str) -> Option<Self> {
        let (_, rest) = text.rsplit_once(')')?;
        let fields: Vec<&str> = rest.split_whitespace().collect();
        let field = |number: usize| fields.get(number - 3)?.parse::<f64>().ok();
        Some(Self {
            cpu: Some(field(14)? + field(15)?),
            threads: field(20),
            started: field(22),
        })
    }
}

fn resident() -> Option<f64> {
    let statm = fs::read_to_string("/proc/self/statm").ok()?;
    let pages: f64 = statm.split_whitespace().nth(1)?.parse().ok()?;
    let page = sysconf(SysconfVar::PAGE_SIZE).ok().flatten()?;
    Some(pages * page as f64)
}

/// Without the one that reads the folder.
fn open_files() -> Option<f64> {
    let count = fs::read_dir("/proc/self/fd").ok()?.count();
    Some(count.saturating_sub(1) as f64)
}

fn most_files() -> Option<f64> {
    use nix::sys::resource::{Resource, getrlimit};
    getrlimit(Resource::RLIMIT_NOFILE)
        .ok()
        .map(|(soft, _)| soft as f64)
}

/// When the machine started, in seconds since 1970.
fn booted() -> Option<f64> {
    let stat = fs::read_to_string("/proc/stat").ok()?;
    let line = stat.lines().find_map(|line| line.strip_prefix("btime "))?;
    line.trim().parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_with_spaces_and_parentheses_shifts_nothing() {
        let text = "7 (a ) b) S 1 7 7 0 -1 4194560 100 0 0 0 30 12 0 0 20 0 9 0 555 1000 200";
        let stat = Stat::parse(text).unwrap();
        assert_eq!(
            (stat.cpu, stat.threads, stat.started),
            (Some(42.0), Some(9.0), Some(555.0))
        );
    }

    #[test]
    fn every_family_is_there() {
        let mut page = Page::default();
        write(&mut page);
        let text = page.finish();
        for name in [
            "process_resident_memory_bytes",
            "process_open_fds",
            "process_max_fds",
            "process_threads",
            "process_start_time_seconds",
            "process_cpu_seconds_total",
        ] {
            assert!(text.contains(&format!("\n{name} ")), "{name} in {text}");
        }
    }
}
