//! Logs of services and tasks, gathered from the nodes that have them.

use crate::log_relay::Lines;
use crate::role::{Node, Role};
use std::collections::BTreeSet;
use swarmrs_engine::{LogFrame, LogOptions};
use swarmrs_types::{Fault, ServiceId, TaskId};
use tokio::sync::mpsc;

/// Frames read ahead of the client.
const READ_AHEAD: usize = 256;

/// Whose logs.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum LogSelector {
    Service(ServiceId),
    Task(TaskId),
}

/// The logs of all selected tasks, as they come.
#[derive(Debug)]
pub struct ServiceLogs(mpsc::Receiver<(TaskId, LogFrame)>);

impl ServiceLogs {
    /// The next line of any of the tasks; none at the end.
    pub async fn next(&mut self) -> Option<(TaskId, LogFrame)> {
        self.0.recv().await
    }
}

impl Node {
    /// Opens the logs of a service or a task. With `follow`, tasks that come later are added.
    pub async fn logs(
        &self,
        selector: LogSelector,
        options: LogOptions,
    ) -> Result<ServiceLogs, Fault> {
        self.view().await?;
        let (sender, receiver) = mpsc::channel(READ_AHEAD);
        tokio::spawn(gather(self.clone(), selector, options, sender));
        Ok(ServiceLogs(receiver))
    }

    /// The tasks selected that may have logs by now.
    async fn selected(&self, selector: LogSelector) -> Vec<TaskId> {
        let Ok(view) = self.view().await else {
            return Vec::new();
        };
        match selector {
            LogSelector::Task(task) => vec![task],
            LogSelector::Service(service) => {
                let tasks = view.state.tasks_of_service(service);
                tasks.map(|task| task.id).collect()
            }
        }
    }

    async fn open(&self, task: TaskId, options: &LogOptions) -> Option<Lines> {
        let role = self.0.role.load_full();
        let Role::Manager(manager) = &*role else {
            return None;
        };
        let (logs, state) = (manager.logs.clone(), manager.desk.store.view());
        drop(role);
        logs.open(&state, task, options).await
    }
}

/// Copies the logs of every selected task until all have ended, or the client has gone.
async fn gather(
    node: Node,
    selector: LogSelector,
    options: LogOptions,
    sender: mpsc::Sender<(TaskId, LogFrame)>,
) {
    let mut events = node.events();
    let mut seen = BTreeSet::new();
    loop {
        for task in node.selected(selector).await {
            if seen.contains(&task) {
                continue;
            }
            if let Some(lines) = node.open(task, &options).await {
                seen.insert(task);
                tokio::spawn(copy(task, lines, sender.clone()));
            }
        }
        if !options.follow || matches!(selector, LogSelector::Task(_)) && !seen.is_empty() {
            return;
        }
        tokio::select! {
            () = sender.closed() => return,
            event = events.recv() => {
                if let Err(tokio::sync::broadcast::error::RecvError::Closed) = event {
                    return;
                }
            }
        }
    }
}

async fn copy(task: TaskId, mut lines: Lines, sender: mpsc::Sender<(TaskId, LogFrame)>) {
    loop {
        tokio::select! {
            () = sender.closed() => return,
            frame = lines.recv() => {
                let Some(frame) = frame else { return };
                if sender.send((task, frame)).await.is_err() {
                    return;
                }
            }
        }
    }
}
