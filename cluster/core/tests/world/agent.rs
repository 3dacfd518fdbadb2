//! A simulated node: runs what it is assigned, as its images behave.

use std::collections::BTreeMap;
use std::time::Duration;
use swarmrs_types::assignment::{Assignment, AssignmentDiff, Assignments, StatusReport};
use swarmrs_types::object::TaskStatus;
use swarmrs_types::spec::PublishMode;
use swarmrs_types::{ClusterTime, TaskId, TaskState};

/// How containers of an image behave.
#[derive(Clone, Debug, Default)]
pub struct Image {
    /// It cannot be had.
    pub broken: bool,
    /// From the start until it counts as running.
    pub start: Duration,
    /// From running until it ends by itself, and with which code.
    pub exits: Option<(Duration, i64)>,
    /// It never gets healthy: it fails so long after its start.
    pub unhealthy: Option<Duration>,
    /// From the stop signal until it is gone.
    pub stop: Duration,
}

#[derive(Clone, Debug, Default)]
pub struct Agent {
    pub connected: bool,
    tasks: BTreeMap<TaskId, Run>,
    reports: Vec<StatusReport>,
}

#[derive(Clone, Debug)]
struct Run {
    assignment: Assignment,
    status: TaskStatus,
    /// What happens next by itself, and when.
    next: Option<(ClusterTime, TaskState, &'static str)>,
}

impl Agent {
    /// A node that is in its session.
    pub fn connected() -> Self {
        Agent {
            connected: true,
            ..Agent::default()
        }
    }

    pub fn obey(
        &mut self,
        diff: AssignmentDiff,
        now: ClusterTime,
        images: &BTreeMap<String, Image>,
    ) {
        for assignment in diff.update {
            self.take(assignment, now, images);
        }
        for task in diff.remove {
            self.tasks.remove(&task);
        }
    }

    /// A new session: told all, tells all.
    pub fn reconnect(
        &mut self,
        all: Assignments,
        now: ClusterTime,
        images: &BTreeMap<String, Image>,
    ) {
        self.connected = true;
        self.tasks.retain(|id, _| all.contains_key(id));
        let known = self.tasks.iter();
        self.reports = known.map(|(id, run)| report(*id, run)).collect();
        for assignment in all.into_values() {
            self.take(assignment, now, images);
        }
    }

    fn take(&mut self, assignment: Assignment, now: ClusterTime, images: &BTreeMap<String, Image>) {
        let status = assignment.status.clone();
        let run = self.tasks.entry(assignment.order.task).or_insert(Run {
            assignment: assignment.clone(),
            status,
            next: None,
        });
        assert!(
            run.assignment.desired <= assignment.desired,
            "a wish was taken back"
        );
        run.assignment = assignment;
        run.consider(now, images);
    }

    /// Lets happen what is due. Whether anything did.
    pub fn run(&mut self, now: ClusterTime, images: &BTreeMap<String, Image>) -> bool {
        let mut any = false;
        for (id, run) in &mut self.tasks {
            while let Some((at, state, err)) = run.next.filter(|(at, ..)| *at <= now) {
                run.status.at = at.shown();
                run.status.state = state;
                run.status.message = state.as_str().to_owned();
                run.status.err = err.to_owned();
                run.status.ports = run.published();
                run.next = None;
                run.consider(at, images);
                self.reports.push(report(*id, run));
                any = true;
            }
        }
        any
    }

    pub fn next(&self) -> Option<ClusterTime> {
        self.tasks
            .values()
            .filter_map(|run| run.next.map(|(at, ..)| at))
            .min()
    }

    /// What there is to tell; nothing while cut off.
    pub fn take_reports(&mut self) -> Vec<StatusReport> {
        if self.connected {
            std::mem::take(&mut self.reports)
        } else {
            Vec::new()
        }
    }
}

fn report(task: TaskId, run: &Run) -> StatusReport {
    StatusReport {
        task,
        status: run.status.clone(),
    }
}

impl Run {
    fn published(&self) -> Vec<swarmrs_types::spec::PortConfig> {
        let ports = self.assignment.order.ports.iter();
        let host = ports.filter(|port| port.publish_mode == Some(PublishMode::Host));
        match self.status.state {
            TaskState::Running => host.cloned().collect(),
            _ => Vec::new(),
        }
    }

    /// Decides what happens next, from what is and what is wanted.
    fn consider(&mut self, now: ClusterTime, images: &BTreeMap<String, Image>) {
        let spec = self.assignment.order.spec.container_spec.as_ref();
        let name = spec.map_or("", |spec| spec.image.as_str());
        let image = images.get(name).cloned().unwrap_or_default();
        let (state, desired) = (self.status.state, self.assignment.desired);
        if state.is_terminal() {
            self.next = None;
        } else if desired >= TaskState::Shutdown {
            self.stop(now, &image);
        } else if state < TaskState::Ready {
            self.next = Some(if image.broken {
                (now, TaskState::Rejected, "No such image")
            } else {
                (now, TaskState::Ready, "")
            });
        } else if state == TaskState::Ready && desired > TaskState::Ready {
            self.next = Some((now, TaskState::Starting, ""));
        } else if state == TaskState::Starting && self.next.is_none() {
            self.next = Some(match image.unhealthy {
                Some(after) => (now.after(after), TaskState::Failed, "unhealthy container"),
                None => (now.after(image.start), TaskState::Running, ""),
            });
        } else if state == TaskState::Running && self.next.is_none() {
            self.next = image.exits.map(|(after, code)| match code {
                0 => (now.after(after), TaskState::Complete, ""),
                _ => (
                    now.after(after),
                    TaskState::Failed,
                    "task: non-zero exit (1)",
                ),
            });
        }
    }

    fn stop(&mut self, now: ClusterTime, image: &Image) {
        let stopping = self
            .next
            .is_some_and(|(_, state, _)| state == TaskState::Shutdown);
        if stopping {
            return;
        }
        let running = self.status.state >= TaskState::Starting;
        let span = if running { image.stop } else { Duration::ZERO };
        self.next = Some((now.after(span), TaskState::Shutdown, ""));
    }
}
