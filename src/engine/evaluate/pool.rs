//! The threads that compute: one pool for the packs of all candidates in flight.

use std::cell::Cell;
use std::sync::{Barrier, Mutex, PoisonError};
use std::time::{Duration, Instant};

use crate::model::Scratch;

/// A fixed number of threads, and the memory that their work reuses. Whoever drives a candidate is not one of them: it
/// calls [`Pool::install`], so that never more than this number of threads compute, and each of them finds work as long as
/// any candidate has some.
pub struct Pool {
    threads: rayon::ThreadPool,
    scratches: Mutex<Vec<Scratch>>,
    buffers: Mutex<Vec<Vec<f32>>>,
}

impl Pool {
    /// Starts `threads` threads (at least one).
    ///
    /// # Errors
    /// When the system gives no thread.
    pub fn new(threads: usize) -> Result<Self, rayon::ThreadPoolBuildError> {
        let threads = rayon::ThreadPoolBuilder::new()
            .num_threads(threads.max(1))
            .thread_name(|index| format!("compute-{index}"))
            .build()?;
        Ok(Pool { threads, scratches: Mutex::default(), buffers: Mutex::default() })
    }

    /// Number of threads.
    pub fn threads(&self) -> usize {
        self.threads.current_num_threads()
    }

    /// Runs `job` on one of the threads; its rayon calls use all of them.
    pub fn install<R: Send>(&self, job: impl FnOnce() -> R + Send) -> R {
        self.threads.install(job)
    }

    /// Runs `job` on the calling thread while all of these rest. Each of them first ends what it is at.
    pub(super) fn alone<R>(&self, job: impl FnOnce() -> R) -> R {
        if self.threads.current_thread_index().is_some() {
            // One of them cannot wait for itself; the others have nothing of this job to do.
            return job();
        }
        let (resting, done) = (Barrier::new(self.threads() + 1), Barrier::new(self.threads() + 1));
        self.threads.in_place_scope(|scope| {
            scope.spawn_broadcast(|_, _| {
                resting.wait();
                done.wait();
            });
            resting.wait();
            // Also when the job panics: they would rest for ever.
            let _awake = WaitAtEnd(&done);
            job()
        })
    }

    /// Lends activations that an earlier batch has grown. `job` must not call rayon: a thread that waits may begin
    /// another job, and there would be more activations than threads.
    pub(super) fn with_scratch<R>(
        &self,
        job: impl FnOnce(&mut Scratch) -> candle_core::Result<R>,
    ) -> candle_core::Result<R> {
        let spare = take(&self.scratches);
        let mut scratch = spare.map_or_else(Scratch::new, Ok)?;
        let result = job(&mut scratch);
        give(&self.scratches, scratch);
        result
    }

    /// Lends memory for `elements` values, of any content.
    pub(super) fn with_buffer<R>(&self, elements: usize, job: impl FnOnce(&mut [f32]) -> R) -> R {
        let mut buffer = take(&self.buffers).unwrap_or_default();
        if buffer.len() < elements {
            buffer = vec![0.0; elements];
        }
        let result = job(&mut buffer[..elements]);
        give(&self.buffers, buffer);
        result
    }
}

struct WaitAtEnd<'a>(&'a Barrier);

impl Drop for WaitAtEnd<'_> {
    fn drop(&mut self) {
        self.0.wait();
    }
}

fn take<T>(spare: &Mutex<Vec<T>>) -> Option<T> {
    spare.lock().unwrap_or_else(PoisonError::into_inner).pop()
}

fn give<T>(spare: &Mutex<Vec<T>>, value: T) {
    spare.lock().unwrap_or_else(PoisonError::into_inner).push(value);
}

thread_local! {
    /// Time of the timed jobs that ran inside the one at hand.
    static INSIDE: Cell<Duration> = const { Cell::new(Duration::ZERO) };
}

/// Runs `job` and gives the time it took, in seconds. What a thread takes up while it waits for a part of its own job (rayon's work
/// stealing) and times there is not counted twice.
pub(super) fn timed<R>(job: impl FnOnce() -> R) -> (R, f64) {
    let outer = INSIDE.replace(Duration::ZERO);
    let start = Instant::now();
    let result = job();
    let elapsed = start.elapsed();
    let own = elapsed.saturating_sub(INSIDE.get());
    INSIDE.set(outer + elapsed);
    (result, own.as_secs_f64())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_timed_job_inside_another_is_counted_once() {
        let nap = || std::thread::sleep(Duration::from_millis(40));
        let ((_, inner), outer) = timed(|| {
            nap();
            timed(nap)
        });
        assert!(inner >= 0.04 && outer >= 0.04, "{inner} {outer}");
        assert!(outer < inner + 0.03, "the outer job has the inner one's time: {outer}");
    }

    #[test]
    fn nothing_runs_beside_a_job_that_is_alone() {
        use std::sync::atomic::{AtomicUsize, Ordering};
        let (pool, running) = (Pool::new(3).unwrap(), AtomicUsize::new(0));
        let busy = |milliseconds| {
            running.fetch_add(1, Ordering::SeqCst);
            std::thread::sleep(Duration::from_millis(milliseconds));
            running.fetch_sub(1, Ordering::SeqCst);
        };
        std::thread::scope(|scope| {
            for _ in 0..3 {
                scope.spawn(|| (0..20).for_each(|_| pool.install(|| busy(1))));
            }
            for _ in 0..2 {
                scope.spawn(|| {
                    let seen = pool.alone(|| {
                        let before = running.load(Ordering::SeqCst);
                        std::thread::sleep(Duration::from_millis(5));
                        before + running.load(Ordering::SeqCst)
                    });
                    assert_eq!(seen, 0);
                });
            }
        });
        assert_eq!(pool.install(|| pool.alone(|| 7)), 7);
    }

    #[test]
    fn a_job_that_panics_alone_leaves_the_threads_awake() {
        let pool = Pool::new(2).unwrap();
        let job = || pool.alone(|| -> usize { panic!("on purpose") });
        assert!(std::panic::catch_unwind(std::panic::AssertUnwindSafe(job)).is_err());
        assert_eq!(pool.install(|| 7), 7);
    }

    #[test]
    fn a_buffer_is_lent_again() {
        let pool = Pool::new(1).unwrap();
        let first = pool.with_buffer(100, |buffer| buffer.as_ptr());
        assert_eq!(pool.with_buffer(50, |buffer| (buffer.as_ptr(), buffer.len())), (first, 50));
        assert_eq!(pool.with_buffer(200, |buffer| buffer.len()), 200);
    }
}
