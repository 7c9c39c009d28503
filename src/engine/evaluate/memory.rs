//! How much memory there is, and how much has been used.

use std::fs;

use crate::units::Bytes;

/// Highest resident memory of this process so far; 0 where the system does not say.
pub fn peak() -> Bytes {
    field("/proc/self/status", "VmHWM:").unwrap_or_default()
}

/// Resident memory of this process that no file stands behind; 0 where the system does not say.
pub(super) fn anonymous() -> Bytes {
    field("/proc/self/status", "RssAnon:").unwrap_or_default()
}

/// What this process may still allocate: the least of free memory, the address-space limit (`ulimit -v`) and the
/// control group's limit. `None` where the system does not say.
pub(super) fn available() -> Option<Bytes> {
    [field("/proc/meminfo", "MemAvailable:"), address_space(), control_group()]
        .into_iter()
        .flatten()
        .min()
}

/// A `name:  N kB` line of a file under `/proc`.
fn field(file: &str, name: &str) -> Option<Bytes> {
    let text = fs::read_to_string(file).ok()?;
    let line = text.lines().find_map(|line| line.strip_prefix(name))?;
    let kilobytes: u64 = line.trim().trim_end_matches("kB").trim().parse().ok()?;
    Some(Bytes(kilobytes * 1024))
}

fn address_space() -> Option<Bytes> {
    let limit = rustix::process::getrlimit(rustix::process::Resource::As).current?;
    let used = field("/proc/self/status", "VmSize:")?;
    Some(Bytes(limit.saturating_sub(used.0)))
}

fn control_group() -> Option<Bytes> {
    let read = |file| fs::read_to_string(file).ok()?.trim().parse::<u64>().ok();
    let limit = read("/sys/fs/cgroup/memory.max")?;
    let used = read("/sys/fs/cgroup/memory.current")?;
    // Mapped checkpoints sit in the page cache, which the kernel gives back when memory is asked for.
    let stat = fs::read_to_string("/sys/fs/cgroup/memory.stat").unwrap_or_default();
    let cached: u64 = stat
        .lines()
        .filter_map(|line| {
            line.strip_prefix("inactive_file ").or(line.strip_prefix("active_file "))
        })
        .filter_map(|bytes| bytes.parse::<u64>().ok())
        .sum();
    Some(Bytes(limit.saturating_sub(used.saturating_sub(cached))))
}
