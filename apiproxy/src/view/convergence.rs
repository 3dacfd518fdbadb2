//! Whether a service is as it was asked for, and if not, why: in the words of whoever knows.

use swarmrs_core::State;
use swarmrs_core::orchestrator::lost::is_on_a_lost_node;
use swarmrs_node::ClusterView;
use swarmrs_types::TaskState;
use swarmrs_types::object::{Service, Task, UpdateState};
use swarmrs_types::report::ServiceReport;
use swarmrs_types::spec::Mode;

/// How a service stands.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Convergence {
    /// Everything that was asked for runs, or has run to its end.
    Converged,
    /// It runs, and an update was taken back.
    RolledBack,
    /// Something is missing, or an update is under way or was halted.
    Not,
}

/// Looks at one service.
pub fn convergence(view: &ClusterView, service: &Service) -> (Convergence, ServiceReport) {
    let state = &*view.state;
    let update = service.update_status.as_ref();
    let updating = update.map(|update| update.state);
    let (running, desired) = counts(state, service);
    let unsettled = matches!(
        updating,
        Some(
            UpdateState::Updating
                | UpdateState::Paused
                | UpdateState::RollbackStarted
                | UpdateState::RollbackPaused
        )
    );
    let (found, reason) = if unsettled || running < desired {
        let reason = task_reason(view, service);
        let told = || update.filter(|_| unsettled).map(|u| u.message.clone());
        let reason = reason.or_else(told).unwrap_or_default();
        (Convergence::Not, reason)
    } else if updating == Some(UpdateState::RollbackCompleted) {
        let told = update.map(|update| update.message.clone());
        (Convergence::RolledBack, told.unwrap_or_default())
    } else {
        (Convergence::Converged, String::new())
    };
    let report = ServiceReport {
        id: service.id,
        name: service.name.clone(),
        running,
        desired,
        update: updating.map_or("", UpdateState::as_str).to_owned(),
        reason,
    };
    (found, report)
}

/// Tasks that do what is wanted of them, and how many shall. Nobody knows what one on a node that is down
/// does; a task for each node is wanted of those that answer.
fn counts(state: &State, service: &Service) -> (u64, u64) {
    let answering = || tasks(state, service).filter(|task| !is_on_a_lost_node(state, task));
    let content = answering().filter(|task| is_content(task));
    let content = content.count() as u64;
    let wanted = || answering().filter(|task| is_wanted(task)).count() as u64;
    let mode = state.current_spec(service).map(|spec| &spec.spec.mode);
    let desired = mode.and_then(replicas);
    (content, desired.unwrap_or_else(wanted))
}

/// A service's tasks; of a job, those of its present iteration.
fn tasks<'a>(state: &'a State, service: &Service) -> impl Iterator<Item = &'a Task> {
    let iteration = service.job.map(|job| job.iteration);
    let tasks = state.tasks_of_service(service.id).map(|task| &**task);
    tasks.filter(move |task| task.iteration == iteration)
}

/// A job's task that did its work stays as the record of that.
fn is_wanted(task: &Task) -> bool {
    task.desired.is_runnable() || task.is_done()
}

fn is_content(task: &Task) -> bool {
    task.is_done() || (task.desired.is_runnable() && task.status.state == TaskState::Running)
}

/// How many tasks a service wants, where its spec says a number.
fn replicas(mode: &Mode) -> Option<u64> {
    let replicated = mode.replicated.as_ref()?;
    Some(replicated.replicas.unwrap_or(1))
}

/// Why the first task that is missing does not run: its own error, else that of the task it replaces, else where it is. If
/// none is under way, how the last one ended.
fn task_reason(view: &ClusterView, service: &Service) -> Option<String> {
    let tasks: Vec<&Task> = tasks(&view.state, service).collect();
    let missing = |task: &&&Task| is_wanted(task) && !is_content(task);
    let mut waiting: Vec<&Task> = tasks.iter().filter(missing).copied().collect();
    waiting.sort_by_key(|task| (task.slot, task.created, task.id));
    let former = |task: &Task| error(view, last_ended(&tasks, |other| same_slot(other, task))?);
    let known = |task: &&Task| error(view, task).or_else(|| former(task));
    let known = waiting.iter().find_map(known);
    known.or_else(|| {
        let ended = || last_ended(&tasks, |_| true);
        let task = waiting.first().copied().or_else(ended)?;
        let status = view.status(task);
        error(view, task).or_else(|| Some(format!("{}: {}", status.state, status.message)))
    })
}

fn error(view: &ClusterView, task: &Task) -> Option<String> {
    Some(view.status(task).err.clone()).filter(|err| !err.is_empty())
}

/// A global service has one slot per node.
fn same_slot(one: &Task, other: &Task) -> bool {
    one.slot == other.slot && (one.slot != 0 || one.node == other.node)
}

fn last_ended<'a>(tasks: &[&'a Task], of: impl Fn(&Task) -> bool) -> Option<&'a Task> {
    let ended = tasks
        .iter()
        .filter(|task| task.status.state.is_terminal() && of(task));
    ended.max_by_key(|task| (task.created, task.id)).copied()
}

#[cfg(test)]
mod tests;
