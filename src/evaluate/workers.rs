//! The local pool: candidates side by side, each on one thread.

use std::sync::Mutex;
use std::sync::atomic::{AtomicUsize, Ordering};

/// A fixed number of workers. Each is a rayon pool of one thread, so that whatever rayon parallelism a library uses
/// inside a candidate stays on that worker: no oversubscription, no stealing of other candidates' work in the middle
/// of a measured time.
pub struct Workers {
    pools: Vec<rayon::ThreadPool>,
}

impl Workers {
    /// Starts `count` workers (at least one).
    ///
    /// # Errors
    /// When the system gives no thread.
    pub fn new(count: usize) -> Result<Self, rayon::ThreadPoolBuildError> {
        let pool = |worker| {
            rayon::ThreadPoolBuilder::new()
                .num_threads(1)
                .thread_name(move |_| format!("worker-{worker}"))
                .build()
        };
        let pools = (0..count.max(1)).map(pool).collect::<Result<Vec<_>, _>>()?;
        Ok(Self { pools })
    }

    /// How many candidates are scored at once.
    pub fn count(&self) -> usize {
        self.pools.len()
    }

    /// Runs `job` on every item. Items are started in order, whenever a worker is free; results come in item order.
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
            for pool in &self.pools {
                scope.spawn(|| pool.install(work));
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

    #[test]
    fn results_come_in_item_order_and_inner_rayon_stays_on_the_worker() {
        let workers = Workers::new(3).unwrap();
        let items: Vec<usize> = (0..50).collect();
        let seen = workers.map(&items, |index, item| {
            assert_eq!(rayon::current_num_threads(), 1);
            (index, item * item)
        });
        let expected: Vec<_> = items.iter().map(|item| (*item, item * item)).collect();
        assert_eq!(seen, expected);
    }
}
