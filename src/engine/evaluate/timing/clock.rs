//! Seconds that a piece of work took the thread it ran on.

use std::ops::AddAssign;

use rustix::time::{ClockId, clock_gettime};

/// Time that the calling thread has computed so far, in seconds. While something else has its core, this clock stands still.
pub(in crate::evaluate) fn thread_seconds() -> f64 {
    let now = clock_gettime(ClockId::ThreadCPUTime);
    now.tv_sec as f64 + 1e-9 * now.tv_nsec as f64
}

/// Runs `job` and gives the seconds it took the calling thread.
pub(in crate::evaluate) fn clocked<R>(job: impl FnOnce() -> R) -> (R, f64) {
    let start = thread_seconds();
    let result = job();
    (result, thread_seconds() - start)
}

/// What a piece of work took.
#[derive(Debug, Clone, Copy, Default, PartialEq)]
pub struct Lap {
    /// Seconds on the thread it ran on.
    pub seconds: f64,
    /// The part of them that went by while all texts were being written, from each one's first new token on.
    pub decode_seconds: f64,
    /// New tokens of that time.
    pub decoded: usize,
}

impl AddAssign for Lap {
    fn add_assign(&mut self, other: Lap) {
        self.seconds += other.seconds;
        self.decode_seconds += other.decode_seconds;
        self.decoded += other.decoded;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_thread_that_sleeps_takes_no_time_and_one_that_computes_does() {
        let nap = std::time::Duration::from_millis(50);
        assert!(clocked(|| std::thread::sleep(nap)).1 < 0.02);
        let busy = || {
            let start = thread_seconds();
            while thread_seconds() < start + 0.01 {}
        };
        assert!(clocked(busy).1 >= 0.01);
    }
}
