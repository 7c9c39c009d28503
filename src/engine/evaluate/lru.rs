//! A bounded memory that forgets what was not asked for the longest.

use std::collections::BTreeMap;

/// Values with their size in bytes.
#[derive(Debug)]
pub(super) struct Lru<K, V> {
    capacity: usize,
    held: usize,
    clock: u64,
    entries: BTreeMap<K, Entry<V>>,
}

#[derive(Debug)]
struct Entry<V> {
    value: V,
    bytes: usize,
    used: u64,
}

impl<K: Ord + Clone, V: Clone> Lru<K, V> {
    /// Holds nothing yet, and never more than `capacity` bytes.
    pub fn new(capacity: usize) -> Self {
        Lru { capacity, held: 0, clock: 0, entries: BTreeMap::new() }
    }

    /// Whether so many bytes can be held at all.
    pub fn takes(&self, bytes: usize) -> bool {
        bytes <= self.capacity
    }

    pub fn contains(&self, key: &K) -> bool {
        self.entries.contains_key(key)
    }

    pub fn get(&mut self, key: &K) -> Option<V> {
        self.clock += 1;
        let entry = self.entries.get_mut(key)?;
        entry.used = self.clock;
        Some(entry.value.clone())
    }

    /// Forgets until `bytes` more can be held.
    pub fn make_room(&mut self, bytes: usize) {
        while self.held + bytes > self.capacity {
            let oldest = self.entries.iter().min_by_key(|(_, entry)| entry.used);
            let Some(oldest) = oldest.map(|(key, _)| key.clone()) else { return };
            self.forget(&oldest);
        }
    }

    /// Not held if it is larger than the capacity.
    pub fn insert(&mut self, key: K, value: V, bytes: usize) {
        self.forget(&key);
        if !self.takes(bytes) {
            return;
        }
        self.make_room(bytes);
        self.clock += 1;
        self.held += bytes;
        self.entries.insert(key, Entry { value, bytes, used: self.clock });
    }

    fn forget(&mut self, key: &K) {
        if let Some(entry) = self.entries.remove(key) {
            self.held -= entry.bytes;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_was_not_asked_for_the_longest_goes_first_and_the_capacity_is_kept() {
        let mut lru = Lru::new(100);
        for key in 0..3 {
            lru.insert(key, key * 10, 40);
        }
        assert_eq!((lru.get(&0), lru.get(&1), lru.get(&2)), (None, Some(10), Some(20)));
        lru.get(&1);
        lru.insert(3, 30, 40);
        assert_eq!((lru.get(&1), lru.get(&2), lru.get(&3)), (Some(10), None, Some(30)));
        lru.insert(4, 40, 101);
        assert!(!lru.contains(&4) && lru.held == 80);
        lru.insert(1, 11, 101);
        assert!(!lru.contains(&1) && lru.held == 40, "it grew");
        lru.insert(3, 31, 100);
        assert_eq!((lru.get(&3), lru.held), (Some(31), 100));
    }
}
