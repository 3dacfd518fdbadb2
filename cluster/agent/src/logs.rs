//! The output of this node's tasks, for whoever serves it.
//!
//! The [`Directory`] knows which container is a task's, from the moment that it may have written something.

use crate::error::Error;
use std::collections::BTreeMap;
use swarmrs_engine::{Engine, LogOptions, LogStream};
use swarmrs_types::TaskId;
use tokio::sync::watch;

/// Where the output of each task is.
#[derive(Debug)]
pub struct Directory {
    places: watch::Sender<BTreeMap<TaskId, Place>>,
}

/// Where one task's output is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Place {
    /// It has not been started yet.
    Nowhere,
    /// In this container.
    In(String),
    /// It ended without one.
    Never,
}

impl Default for Directory {
    fn default() -> Self {
        Directory {
            places: watch::Sender::new(BTreeMap::new()),
        }
    }
}

impl Directory {
    /// Notes where a task's output is; runners call this again and again.
    pub fn put(&self, task: TaskId, place: Place) {
        self.places.send_if_modified(|places| {
            let old = places.insert(task, place.clone());
            old.as_ref() != Some(&place)
        });
    }

    pub fn forget(&self, task: TaskId) {
        self.places
            .send_if_modified(|places| places.remove(&task).is_some());
    }

    /// The container of a task, at once or when it is started. A task that is not of this node, or ends without a
    /// container, has none.
    async fn container(&self, task: TaskId, patient: bool) -> Option<String> {
        let mut places = self.places.subscribe();
        loop {
            match places.borrow_and_update().get(&task) {
                Some(Place::In(container)) => return Some(container.clone()),
                Some(Place::Nowhere) if patient => {}
                _ => return None,
            }
            places.changed().await.ok()?;
        }
    }
}

/// The output of a task's container. With `follow` a task that has not been started yet is waited for.
pub async fn open(
    engine: &Engine,
    directory: &Directory,
    task: TaskId,
    options: &LogOptions,
) -> Result<LogStream, Error> {
    let container = directory.container(task, options.follow).await;
    let container = container.ok_or(Error::NoContainer(task))?;
    Ok(engine.logs(&container, options).await?)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::executor::fake::task;

    #[tokio::test]
    async fn a_follower_waits_for_the_start_and_others_do_not() {
        let directory = Directory::default();
        directory.put(task(1), Place::Nowhere);
        assert_eq!(directory.container(task(1), false).await, None);
        let (found, ()) = tokio::join!(directory.container(task(1), true), async {
            directory.put(task(1), Place::In("c1".into()));
        });
        assert_eq!(found.as_deref(), Some("c1"));
    }

    #[tokio::test]
    async fn a_follower_of_a_task_that_never_starts_is_let_go() {
        let directory = Directory::default();
        directory.put(task(1), Place::Nowhere);
        let (found, ()) = tokio::join!(directory.container(task(1), true), async {
            directory.put(task(1), Place::Never);
        });
        assert_eq!(found, None);
        assert_eq!(directory.container(task(9), true).await, None);
    }
}
