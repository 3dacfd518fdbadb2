//! The worker against an executor without an engine.

use super::*;
use crate::executor::Failure;
use crate::executor::fake::{Fake, assignment, task};
use crate::journal::Journal;
use std::sync::Mutex;
use swarmrs_types::TaskState;
use tempfile::TempDir;

fn worker(found: &[(u8, &str)]) -> (Arc<Fake>, mpsc::UnboundedSender<Orders>, TempDir) {
    let folder = tempfile::tempdir().unwrap();
    let fake = Arc::new(Fake::default());
    let found = found.iter().map(|(n, container)| Found {
        task: task(*n),
        container: (*container).to_owned(),
    });
    *fake.found.lock().unwrap() = found.collect();
    let shared = Arc::new(Shared {
        executor: fake.clone(),
        reporter: Arc::default(),
        directory: Arc::default(),
        journal: Mutex::new(Journal::open(folder.path()).unwrap()),
        measures: Arc::default(),
    });
    let (sender, receiver) = mpsc::unbounded_channel();
    tokio::spawn(Worker::new(shared).run(receiver));
    (fake, sender, folder)
}

fn complete(tasks: &[u8]) -> Orders {
    let start = tasks.iter().map(|n| assignment(*n, TaskState::Running));
    Orders {
        complete: true,
        start: start.collect(),
        ..Orders::default()
    }
}

#[tokio::test]
async fn a_found_container_is_its_tasks_and_the_others_are_removed() {
    let (fake, orders, _folder) = worker(&[(1, "c1"), (9, "c9")]);
    orders.send(complete(&[1, 2])).unwrap();
    for call in ["wait c1", "wait c2", "remove c9"] {
        fake.called(call).await;
    }
    let calls = fake.calls();
    assert!(!calls.contains(&"create c1".to_owned()));
    assert!(!calls.contains(&"remove c1".to_owned()));
    assert_eq!(
        calls
            .iter()
            .filter(|call| *call == "inventory node")
            .count(),
        1
    );
}

#[tokio::test]
async fn without_an_engine_the_worker_waits_and_loses_nothing() {
    let (fake, orders, _folder) = worker(&[(1, "c1")]);
    fake.fail("inventory", Failure::Away("no engine".into()));
    orders.send(complete(&[1])).unwrap();
    let removal = Orders {
        remove: vec![task(1)],
        ..Orders::default()
    };
    orders.send(removal).unwrap();
    fake.called("remove c1").await;
}

#[tokio::test]
async fn a_task_is_wanted_differently() {
    let (fake, orders, _folder) = worker(&[]);
    orders.send(complete(&[1])).unwrap();
    fake.called("wait c1").await;
    let update = Orders {
        update: vec![(task(1), TaskState::Shutdown)],
        ..Orders::default()
    };
    orders.send(update).unwrap();
    fake.called("shutdown c1").await;
}

#[tokio::test(start_paused = true)]
async fn a_container_that_shows_up_late_is_found_by_the_second_look() {
    let (fake, orders, _folder) = worker(&[(1, "c1")]);
    orders.send(complete(&[1])).unwrap();
    fake.called("wait c1").await;
    fake.found.lock().unwrap().push(Found {
        task: task(9),
        container: "c9".to_owned(),
    });
    tokio::time::sleep(SECOND_LOOK).await;
    fake.called("remove c9").await;
    assert!(!fake.calls().contains(&"remove c1".to_owned()));
}

#[tokio::test]
async fn without_managers_a_task_is_stopped_only_if_its_service_wants_it_so() {
    let (fake, orders, _folder) = worker(&[]);
    let mut first = complete(&[1, 2]);
    let mut order = (*first.start[1].order).clone();
    let label = ("swarmrs.disconnect".to_owned(), "stop".to_owned());
    order.service_labels.extend([label]);
    first.start[1].order = Arc::new(order);
    orders.send(first).unwrap();
    for call in ["wait c1", "wait c2"] {
        fake.called(call).await;
    }
    let alone = Orders {
        alone: true,
        ..Orders::default()
    };
    orders.send(alone).unwrap();
    fake.called("shutdown c2").await;
    // Whoever is back and wants it running is told that it is not.
    let back = Orders {
        update: vec![(task(2), TaskState::Running)],
        ..Orders::default()
    };
    orders.send(back).unwrap();
    let update = Orders {
        update: vec![(task(1), TaskState::Shutdown)],
        ..Orders::default()
    };
    assert!(!fake.calls().contains(&"shutdown c1".to_owned()));
    orders.send(update).unwrap();
    fake.called("shutdown c1").await;
}
