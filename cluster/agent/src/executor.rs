//! Who really does it: the verbs a runner needs, and how they fail.
//!
//! Verbs are idempotent: done again after a crash, a lost answer or a restart of the engine, they find what is there and
//! go on from it. `fetch`, `settle` and `wait` may be dropped at any point; the others are short and are left to finish,
//! since a request that is on its way to the engine cannot be called back.

#[cfg(test)]
pub mod fake;

use async_trait::async_trait;
use swarmrs_types::TaskId;
use swarmrs_types::assignment::{Order, PayloadDiff};
use swarmrs_types::endpoint::FactDiff;
use swarmrs_types::object::ContainerStatus;
use swarmrs_types::spec::{NodeDescription, PortConfig};

/// The container of a task.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Container {
    pub id: String,
    /// It was made just now and nobody has asked for its start: there is no need to look before starting it.
    pub untouched: bool,
}

/// A container of a task of this node that is there already.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Found {
    pub task: TaskId,
    pub container: String,
}

/// A task that runs.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Running {
    pub container: ContainerStatus,
    /// Published ports as they are bound.
    pub ports: Vec<PortConfig>,
}

/// Why a verb did not get done.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Failure {
    /// Not the task's fault: the engine is away or silent. Try again.
    #[error("{0}")]
    Away(String),
    /// The task's end. The text is its status' error, the engine's own words where it spoke.
    #[error("{text}")]
    Fatal {
        text: String,
        container: Option<ContainerStatus>,
    },
}

impl Failure {
    /// The end of a task that has nothing to show of its container.
    pub fn fatal(text: impl Into<String>) -> Self {
        Failure::Fatal {
            text: text.into(),
            container: None,
        }
    }
}

#[async_trait]
pub trait Executor: Send + Sync + 'static {
    /// What this node is.
    async fn describe(&self) -> Result<NodeDescription, Failure>;

    /// The containers of this node's tasks, running or not. `journalled` are ids known to be ours whatever they are
    /// called by now.
    async fn inventory(&self, journalled: &[(TaskId, String)]) -> Result<Vec<Found>, Failure>;

    /// Gets what the container is made of: its image.
    async fn fetch(&self, order: &Order) -> Result<(), Failure>;

    /// Makes the container, or finds the one that was made for this very task.
    async fn create(&self, order: &Order) -> Result<Container, Failure>;

    /// Whether a container that was found is whole. One in the making may come or go: only [`Executor::create`] settles it.
    async fn is_made(&self, id: &str) -> Result<bool, Failure>;

    /// Starts it, unless it was started before.
    async fn start(&self, order: &Order, container: &Container) -> Result<(), Failure>;

    /// Waits until it counts as running: at once, or when its health check is content.
    async fn settle(&self, order: &Order, id: &str) -> Result<Running, Failure>;

    /// Waits for it to end by itself with success; any other end is a failure.
    async fn wait(&self, order: &Order, id: &str) -> Result<ContainerStatus, Failure>;

    /// Waits for the connections that others hold to it, a short while, and then stops it within its grace period;
    /// without an id, the one that was made for this task if there is one.
    async fn shutdown(
        &self,
        order: &Order,
        id: Option<&str>,
    ) -> Result<Option<ContainerStatus>, Failure>;

    /// Takes in secrets and configs that orders to come may ask for; a complete set replaces all before it.
    fn keep(&self, payloads: PayloadDiff, complete: bool);

    /// Takes over what the node is to know of networks; a complete set replaces all before it. Comes back when it is in
    /// force, or after a short while.
    async fn tell(&self, facts: FactDiff, complete: bool);

    /// A task of this node, before anything is done for it: what it needs beside a container is kept until it is forgotten.
    fn expect(&self, order: &Order);

    /// Tasks that the node keeps something for beside a container.
    fn kept(&self) -> Vec<TaskId>;

    /// The container of the task is gone: so is all that was kept for it.
    fn forget(&self, task: TaskId);

    /// The node leaves: nothing is kept for anybody.
    fn clear(&self);

    /// Removes it with its anonymous volumes; one that runs is stopped first, within the grace that its own settings
    /// name. One that is gone is fine.
    async fn remove(&self, id: &str) -> Result<(), Failure>;
}
