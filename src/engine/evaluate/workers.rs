//! Who drives candidates side by side, so that the pool's threads always find work.

use std::sync::Mutex;
use std::sync::atomic::{AtomicUsize, Ordering};

/// Drivers of candidates. They compute nothing themselves: each hands its candidate's work to a [`super::Pool`] and waits.
#[derive(Debug, Clone, Copy)]
pub struct Workers {
    threads: usize,
    candidates: usize,
}

impl Workers {
    /// One driver for each of `threads` threads (at least one).
    pub fn new(threads: usize) -> Self {
        Workers { threads: threads.max(1), candidates: threads.max(1) }
    }

    /// No more than so many candidates at once (at least one), as memory may demand.
    pub fn at_most(self, candidates: usize) -> Self {
        Workers { candidates: self.candidates.min(candidates).max(1), ..self }
    }

    /// The number of threads that compute.
    pub fn count(&self) -> usize {
        self.threads
    }

    /// Runs `job` on every item. Items are started in order, whenever a driver is free; results come in item order.
    pub fn map<T: Sync, R: Send>(
        &self,
        items: &[T],
        job: impl Fn(usize, &T) -> R + Sync,
    ) -> Vec<R> {
        let next = AtomicUsize::new(0);
        let done = Mutex::new(Vec::with_capacity(items.len()));
        let work = || {
            while let index = next.fetch_add(1, Ordering::Relaxed)
                && let Some(item) = items.get(index)
            {
                let result = job(index, item);
                done.lock().unwrap_or_else(|poisoned| poisoned.into_inner()).push((index, result));
            }
        };
        std::thread::scope(|scope| {
            for _ in 0..self.candidates.min(items.len()) {
                scope.spawn(work);
            }
        });
        let mut done = done.into_inner().unwrap_or_else(|poisoned| poisoned.into_inner());
        done.sort_by_key(|(index, _)| *index);
        done.into_iter().map(|(_, result)| result).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::evaluate::Pool;

    #[test]
    fn results_come_in_item_order() {
        let items: Vec<usize> = (0..50).collect();
        let seen = Workers::new(3).map(&items, |index, item| (index, item * item));
        let expected: Vec<_> = items.iter().map(|item| (*item, item * item)).collect();
        assert_eq!(seen, expected);
    }

    #[test]
    fn no_more_threads_compute_than_the_pool_has_and_no_more_candidates_run_than_allowed() {
        use rayon::prelude::*;
        let pool = Pool::new(2).unwrap();
        let workers = Workers::new(8).at_most(5);
        let (candidates, computing) = (Gauge::default(), Gauge::default());
        workers.map(&[(); 40], |_, ()| {
            candidates.during(|| {
                pool.install(|| {
                    (0..16).into_par_iter().for_each(|_| {
                        computing
                            .during(|| std::thread::sleep(std::time::Duration::from_micros(200)))
                    })
                })
            })
        });
        assert_eq!((candidates.highest(), computing.highest()), (5, 2));
    }

    /// How many are inside at once, and the most that were.
    #[derive(Default)]
    struct Gauge(AtomicUsize, AtomicUsize);

    impl Gauge {
        fn during(&self, job: impl FnOnce()) {
            let inside = self.0.fetch_add(1, Ordering::SeqCst) + 1;
            self.1.fetch_max(inside, Ordering::SeqCst);
            job();
            self.0.fetch_sub(1, Ordering::SeqCst);
        }

        fn highest(&self) -> usize {
            self.1.load(Ordering::SeqCst)
        }
    }
}
