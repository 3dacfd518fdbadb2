//! A table: objects by id, shared and in order.

use imbl::OrdMap;
use std::sync::Arc;
use swarmrs_types::RawId;

/// Below and above every id, for ranges.
pub(super) const FIRST_ID: RawId = RawId::MIN;
pub(super) const LAST_ID: RawId = RawId::MAX;

/// Objects by id.
#[derive(Clone, Debug, PartialEq)]
pub struct Table<K: Ord + Clone, T>(OrdMap<K, Arc<T>>);

impl<K: Ord + Clone, T> Default for Table<K, T> {
    fn default() -> Self {
        Table(OrdMap::new())
    }
}

impl<K: Ord + Clone, T> Table<K, T> {
    pub fn get(&self, id: &K) -> Option<&Arc<T>> {
        self.0.get(id)
    }

    pub fn contains(&self, id: &K) -> bool {
        self.0.contains_key(id)
    }

    /// All objects, by id.
    pub fn iter(&self) -> impl Iterator<Item = &Arc<T>> {
        self.0.values()
    }

    pub fn len(&self) -> usize {
        self.0.len()
    }

    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    pub(super) fn insert(&mut self, id: K, object: Arc<T>) -> Option<Arc<T>> {
        self.0.insert(id, object)
    }

    pub(super) fn remove(&mut self, id: &K) -> Option<Arc<T>> {
        self.0.remove(id)
    }
}
