//! A runner against an executor without an engine.

use super::*;
use crate::executor::fake::{Fake, assignment, task};
use std::time::Instant;
use tempfile::TempDir;

struct Scene {
    fake: Arc<Fake>,
    shared: Arc<Shared>,
    wishes: watch::Sender<Wish>,
    /// What the managers think.
    told: TaskStatus,
    found: Option<String>,
    _folder: TempDir,
}

fn scene(desired: TaskState) -> Scene {
    let folder = tempfile::tempdir().unwrap();
    let fake = Arc::new(Fake::default());
    let shared = Arc::new(Shared {
        executor: fake.clone(),
        reporter: Arc::default(),
        directory: Arc::default(),
        journal: Mutex::new(Journal::open(folder.path()).unwrap()),
        measures: Arc::default(),
    });
    let forgotten = false;
    Scene {
        fake,
        shared,
        wishes: watch::Sender::new(Wish { desired, forgotten }),
        told: assignment(1, desired).status,
        found: None,
        _folder: folder,
    }
}

impl Scene {
    fn run(&self) -> tokio::task::JoinHandle<TaskId> {
        let mut assignment = assignment(1, self.wishes.borrow().desired);
        assignment.status = self.told.clone();
        let wishes = self.wishes.subscribe();
        let found = self.found.clone();
        tokio::spawn(Runner::new(self.shared.clone(), assignment, found, wishes).run())
    }

    fn want(&self, desired: TaskState) {
        self.wishes.send_modify(|wish| wish.desired = desired);
    }

    fn forget(&self) {
        self.wishes.send_modify(|wish| wish.forgotten = true);
    }

    fn journalled(&self, state: TaskState, exit: i64) {
        let record = Record {
            task: task(1),
            container: Some("c1".into()),
            desired: TaskState::Running,
            state,
            exit,
            spec: String::new(),
        };
        self.shared.journal(|journal| journal.note(record));
    }

    /// The reports up to the one of this state, repeated ones left out.
    async fn reports_until(&self, state: TaskState) -> Vec<TaskStatus> {
        let mut seen = Vec::new();
        let reading = async {
            loop {
                for report in self.shared.reporter.batch().await {
                    seen.push(report.status);
                }
                if seen.last().is_some_and(|status| status.state == state) {
                    return;
                }
            }
        };
        let in_time = tokio::time::timeout(Duration::from_secs(10), reading).await;
        assert!(in_time.is_ok(), "no {state} in {seen:?}");
        seen
    }

    async fn report_of(&self, state: TaskState) -> TaskStatus {
        self.reports_until(state).await.pop().unwrap()
    }
}

fn running() -> TaskStatus {
    TaskStatus {
        state: TaskState::Running,
        message: "started".into(),
        container: Some(ContainerStatus {
            id: "c1".into(),
            pid: 42,
            exit_code: 0,
        }),
        ..TaskStatus::default()
    }
}

#[tokio::test]
async fn a_task_goes_from_assigned_to_its_end() {
    let scene = scene(TaskState::Running);
    scene.run();
    let status = scene.report_of(TaskState::Running).await;
    assert_eq!(status.message, "started");
    assert_eq!(status.container.unwrap().pid, 42);
    assert_eq!(status.ports[0].published_port, 32768);
    scene.fake.release("wait");
    let status = scene.report_of(TaskState::Complete).await;
    assert_eq!(
        (status.message.as_str(), status.err.as_str()),
        ("finished", "")
    );
    assert_eq!(
        status.ports,
        [],
        "a port that another container may have by now"
    );
    let calls = ["fetch c1", "create c1", "start c1", "settle c1", "wait c1"];
    assert_eq!(scene.fake.calls(), calls);
}

#[tokio::test]
async fn a_task_wanted_ready_is_prepared_and_not_started() {
    let scene = scene(TaskState::Ready);
    scene.run();
    scene.report_of(TaskState::Ready).await;
    assert_eq!(scene.fake.calls(), ["fetch c1", "create c1"]);
    scene.want(TaskState::Running);
    scene.report_of(TaskState::Running).await;
}

#[tokio::test]
async fn wanting_a_prepared_task_to_run_does_not_begin_its_preparation_again() {
    let scene = scene(TaskState::Ready);
    scene.fake.hold("fetch");
    scene.run();
    scene.fake.called("fetch c1").await;
    scene.want(TaskState::Running);
    scene.fake.release("fetch");
    scene.report_of(TaskState::Running).await;
    let fetches = scene
        .fake
        .calls()
        .iter()
        .filter(|call| *call == "fetch c1")
        .count();
    assert_eq!(fetches, 1);
}

#[tokio::test]
async fn a_shutdown_ends_a_pull_that_is_under_way() {
    let scene = scene(TaskState::Running);
    scene.fake.hold("fetch");
    scene.run();
    scene.fake.called("fetch c1").await;
    scene.want(TaskState::Shutdown);
    let status = scene.report_of(TaskState::Shutdown).await;
    assert_eq!(
        (status.message.as_str(), status.container),
        ("shutdown", None)
    );
    assert_eq!(scene.fake.calls(), ["fetch c1", "shutdown by name"]);
}

#[tokio::test]
async fn a_request_under_way_is_finished_before_the_shutdown() {
    let scene = scene(TaskState::Running);
    scene.fake.hold("start");
    scene.run();
    scene.fake.called("start c1").await;
    scene.want(TaskState::Shutdown);
    tokio::task::yield_now().await;
    assert!(!scene.fake.calls().contains(&"shutdown c1".to_owned()));
    scene.fake.release("start");
    scene.report_of(TaskState::Shutdown).await;
    assert!(scene.fake.calls().contains(&"shutdown c1".to_owned()));
}

#[tokio::test]
async fn what_fails_before_the_start_is_rejected_and_after_it_failed() {
    for (verb, state, message) in [
        ("fetch", TaskState::Rejected, "preparing"),
        ("create", TaskState::Rejected, "preparing"),
        ("start", TaskState::Failed, "starting"),
        ("settle", TaskState::Failed, "starting"),
        ("wait", TaskState::Failed, "started"),
    ] {
        let scene = scene(TaskState::Running);
        scene.fake.release("wait");
        scene.fake.fail(verb, Failure::fatal("no luck"));
        scene.run();
        let status = scene.report_of(state).await;
        assert_eq!(
            (status.message.as_str(), status.err.as_str()),
            (message, "no luck"),
            "{verb}"
        );
    }
}

#[tokio::test]
async fn an_engine_that_is_away_fails_no_task() {
    let scene = scene(TaskState::Running);
    scene.fake.release("wait");
    for verb in ["fetch", "create", "start", "settle", "wait"] {
        scene.fake.fail(verb, Failure::Away("no engine".into()));
    }
    scene.run();
    let reports = scene.reports_until(TaskState::Complete).await;
    assert!(reports.iter().all(|status| status.err.is_empty()));
    assert!(scene.fake.calls().contains(&"look-start c1".to_owned()));
}

#[tokio::test]
async fn a_task_has_not_shut_down_while_its_container_may_run() {
    let scene = scene(TaskState::Running);
    scene.run();
    scene.fake.called("wait c1").await;
    scene.fake.fail("shutdown", Failure::fatal("cannot stop"));
    scene.want(TaskState::Shutdown);
    scene.report_of(TaskState::Shutdown).await;
    let stops = scene
        .fake
        .calls()
        .iter()
        .filter(|call| *call == "shutdown c1")
        .count();
    assert_eq!(stops, 2);
}

#[tokio::test]
async fn a_running_task_is_adopted_without_a_start_or_a_report() {
    let mut scene = scene(TaskState::Running);
    (scene.told, scene.found) = (running(), Some("c1".into()));
    scene.run();
    scene.fake.called("wait c1").await;
    assert_eq!(scene.fake.calls(), ["wait c1"]);
    assert!(scene.shared.reporter.is_settled());
}

#[tokio::test]
async fn a_task_whose_running_no_manager_has_heard_of_is_looked_at_and_reported() {
    let mut scene = scene(TaskState::Running);
    scene.found = Some("c1".into());
    scene.journalled(TaskState::Running, 0);
    scene.run();
    let status = scene.report_of(TaskState::Running).await;
    assert_eq!(status.container.unwrap().pid, 42);
    scene.fake.called("wait c1").await;
    assert_eq!(
        scene.fake.calls(),
        ["look-start c1", "settle c1", "wait c1"]
    );
}

#[tokio::test]
async fn a_container_found_without_a_journal_is_neither_fetched_nor_made_again() {
    let mut scene = scene(TaskState::Running);
    scene.found = Some("c1".into());
    scene.run();
    scene.report_of(TaskState::Running).await;
    let calls = ["look c1", "look-start c1", "settle c1"];
    assert_eq!(scene.fake.calls()[..3], calls);
}

#[tokio::test]
async fn a_container_found_in_the_making_fails_no_task_and_is_made_again_if_it_comes_to_nothing() {
    let mut scene = scene(TaskState::Running);
    scene.found = Some("c1".into());
    *scene.fake.in_the_making.lock().unwrap() = true;
    let name_taken = Failure::Away("name in use".into());
    scene.fake.fail("create", name_taken);
    scene.run();
    let reports = scene.reports_until(TaskState::Running).await;
    assert!(reports.iter().all(|status| status.err.is_empty()));
    let calls = [
        "look c1",
        "fetch c1",
        "create c1",
        "fetch c1",
        "create c1",
        "start c1",
    ];
    assert_eq!(scene.fake.calls()[..6], calls);
}

#[tokio::test]
async fn an_end_that_no_manager_has_heard_of_is_reported_from_the_journal() {
    let scene = scene(TaskState::Running);
    scene.journalled(TaskState::Failed, 3);
    scene.run();
    let status = scene.report_of(TaskState::Failed).await;
    assert_eq!(status.err, "task: non-zero exit (3)");
    assert!(scene.fake.calls().is_empty());
}

#[tokio::test]
async fn a_forgotten_task_is_stopped_removed_and_forgotten() {
    let scene = scene(TaskState::Running);
    let runner = scene.run();
    scene.fake.called("wait c1").await;
    scene
        .fake
        .fail("remove", Failure::fatal("removal in progress"));
    scene.forget();
    assert_eq!(runner.await.unwrap(), task(1));
    let calls = scene.fake.calls();
    assert_eq!(calls[5..], ["shutdown c1", "remove c1", "remove c1"]);
    let known = scene
        .shared
        .journal(|journal| Ok(journal.get(task(1)).cloned()));
    assert_eq!(known, Some(None));
}

#[tokio::test]
async fn a_new_wish_ends_the_wait_for_an_engine() {
    let scene = scene(TaskState::Running);
    for _ in 0..8 {
        scene.fake.fail("create", Failure::Away("no engine".into()));
    }
    let began = Instant::now();
    scene.run();
    scene.fake.called("create c1").await;
    scene.want(TaskState::Shutdown);
    scene.report_of(TaskState::Shutdown).await;
    assert!(began.elapsed() < Duration::from_secs(1));
}

#[tokio::test]
async fn a_forgotten_task_without_a_known_container_is_looked_for_by_name() {
    let scene = scene(TaskState::Running);
    scene.fake.fail("create", Failure::fatal("broken off"));
    let runner = scene.run();
    scene.report_of(TaskState::Rejected).await;
    scene.forget();
    runner.await.unwrap();
    assert_eq!(scene.fake.calls()[2..], ["shutdown by name"]);
}
