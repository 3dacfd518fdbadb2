//! The executor that drives the node's engine.
//!
//! Every verb looks before it changes something that may have been changed already: by a former life of this daemon, by
//! a request whose answer was lost, or by the user. Short requests share a bound, so that a burst of tasks neither waits
//! in one queue nor drowns the engine.

mod files;
mod links;

use crate::container::config::{self, Node, Request};
use crate::container::image::Images;
use crate::container::label;
use crate::container::policy::Policy;
use crate::container::socket::SocketMap;
use crate::container::watch::Watch;
use crate::description::describe;
use crate::executor::{Container, Executor, Failure, Found, Running};
use crate::network::{Networks, link};
use crate::secret::Secrets;
use async_trait::async_trait;
use std::collections::BTreeSet;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;
use swarmrs_engine::{
    ContainerState, ContainerStatus as Status, Engine, Error, Filters, Health, PortBinding,
};
use swarmrs_types::assignment::{Order, PayloadDiff};
use swarmrs_types::endpoint::FactDiff;
use swarmrs_types::object::ContainerStatus;
use swarmrs_types::spec::{
    GenericResource, NodeDescription, PortConfig, Protocol, PublishMode, TlsInfo,
};
use swarmrs_types::{NodeId, TaskId};
use tokio::sync::{Notify, OnceCell, Semaphore, SemaphorePermit, watch};
use tracing::debug;

/// Requests that change containers at the same time. A burst of 20 starts about as fast as the engine can when none of them
/// waits for another (1.3 s on two cores; 1.8 s with 8 at a time); the bound is for hundreds.
const CONCURRENT: usize = 32;

/// The engine's refusal of a bind whose source is not there; a path follows.
const NO_BIND_SOURCE: &str = "bind source path does not exist: ";

/// What the controller is told of the node.
#[derive(Clone, Debug)]
pub struct Settings {
    pub node: NodeId,
    pub tls_info: watch::Receiver<TlsInfo>,
    /// Where secrets and configs are laid out as files.
    pub secrets: PathBuf,
    pub generic_resources: Vec<GenericResource>,
    pub prefer_offline_image: bool,
    pub sockets: Option<SocketMap>,
    pub policy: Policy,
}

/// Runs tasks as containers.
pub struct Controller {
    engine: Engine,
    settings: Settings,
    images: Images,
    watch: Watch,
    turns: Semaphore,
    node: OnceCell<Node>,
    secrets: Arc<Secrets>,
    networks: Arc<Networks>,
}

impl Controller {
    pub fn new(engine: Engine, networks: Arc<Networks>, settings: Settings) -> Self {
        Controller {
            images: Images::new(engine.clone(), settings.prefer_offline_image),
            engine,
            secrets: Arc::new(Secrets::at(settings.secrets.clone())),
            settings,
            watch: Watch::default(),
            turns: Semaphore::new(CONCURRENT),
            node: OnceCell::new(),
            networks,
        }
    }

    /// Listens to the engine's events for all runners, for good.
    pub async fn watch(self: Arc<Self>) {
        self.watch.run(&self.engine, self.settings.node).await;
    }

    async fn turn(&self) -> Option<SemaphorePermit<'_>> {
        // Only a closed semaphore has no permit, and this one is never closed.
        self.turns.acquire().await.ok()
    }

    /// What templates see of this node. Asked once: a host that is renamed keeps its old name in new containers until
    /// the daemon restarts, as in Docker.
    async fn node(&self) -> Result<&Node, Failure> {
        let ask = || async {
            let info = self.engine.info().await.map_err(|error| failure(&error))?;
            let api = self.engine.api_version().await;
            Ok(Node {
                id: self.settings.node.to_string(),
                hostname: info.name,
                architecture: info.arch,
                os: info.os,
                secrets: self.settings.secrets.clone(),
                api: api.map_err(|error| failure(&error))?,
            })
        };
        self.node.get_or_try_init(ask).await
    }

    async fn inspect(&self, id: &str) -> Result<ContainerState, Failure> {
        let state = self.engine.inspect_container(id).await;
        state.map_err(|error| failure(&error))
    }

    /// What the engine's refusal to start a container means. One that runs all the same was started by another request,
    /// perhaps of our former life, and is fine.
    async fn not_started(&self, id: &str, error: &Error) -> Result<(), Failure> {
        let Failure::Fatal { text, .. } = failure(error) else {
            return Err(failure(error));
        };
        if self.inspect(id).await.is_ok_and(|state| state.running) {
            return Ok(());
        }
        Err(Failure::fatal(format!("starting container failed: {text}")))
    }

    async fn request(&self, order: &Order) -> Result<Request, Failure> {
        let node = self.node().await?;
        let payloads = self.settings.secrets.join(order.task.as_str());
        let request = config::request(order, node).and_then(|request| {
            self.settings.policy.check(&request, &payloads)?;
            Ok(request)
        });
        let mut request = request.map_err(|unfit| Failure::fatal(unfit.0))?;
        if let Some(sockets) = &self.settings.sockets {
            sockets.apply(&mut request.container);
        }
        Ok(request)
    }

    /// The container that bears the task's name: ours if it was made for this task on this node. The engine reserves a
    /// name before there is a container to look at: then a create of our former life is still under way.
    async fn adopt(&self, order: &Order, conflict: &Error) -> Result<Container, Failure> {
        let state = match self.engine.inspect_container(&order.name).await {
            Ok(state) => state,
            Err(error) if error.is_not_found() => return Err(Failure::Away(conflict.message())),
            Err(error) => return Err(failure(&error)),
        };
        if !label::belongs_to(&state.labels, order) {
            return Err(Failure::fatal(conflict.message()));
        }
        Ok(Container {
            id: state.id,
            untouched: false,
        })
    }

    /// Why a container could not be made, in the words that users know.
    fn not_created(&self, order: &Order, error: &Error) -> Failure {
        let message = error.message();
        if let Some((_, path)) = message.split_once(NO_BIND_SOURCE)
            && Path::new(path).starts_with(&self.settings.secrets)
        {
            return Failure::fatal(files::unseen(path));
        }
        if error.is_not_found() && message.to_lowercase().contains("no such image") {
            let (image, auth) = image_of(order);
            let complaint = self.images.missing(image, auth);
            return Failure::fatal(complaint.unwrap_or(message));
        }
        failure(error)
    }

    /// A container that runs, with its ports as the engine bound them, or the plane.
    async fn running(&self, order: &Order, state: &ContainerState) -> Running {
        let mut bindings = state.ports.clone();
        bindings.extend(self.published(order).await);
        Running {
            container: shown(state),
            ports: bound(&order.ports, &bindings),
        }
    }

    /// Stops a container within its grace period; none if it is gone.
    async fn stop(&self, order: &Order, id: &str) -> Result<Option<ContainerStatus>, Failure> {
        let grace = order
            .spec
            .container_spec
            .as_ref()
            .and_then(config::stop_timeout);
        let grace = grace.map(Duration::from_secs);
        match self.engine.stop_container(id, grace).await {
            Ok(()) => {}
            Err(error) if error.is_not_found() => return Ok(None),
            Err(error) => return Err(failure(&error)),
        }
        let state = self.inspect(id).await;
        Ok(state.ok().map(|state| shown(&state)))
    }

    /// Stops a container that is not healthy, and says how it ended.
    async fn end_unhealthy(&self, order: &Order, id: &str) -> Failure {
        let stopped = match self.stop(order, id).await {
            Ok(stopped) => stopped.unwrap_or_default(),
            Err(failure) => return failure,
        };
        let code = stopped.exit_code;
        Failure::Fatal {
            text: format!("task: non-zero exit ({code}): dockerexec: unhealthy container"),
            container: Some(stopped),
        }
    }
}

#[async_trait]
impl Executor for Controller {
    async fn describe(&self) -> Result<NodeDescription, Failure> {
        let info = self.engine.info().await.map_err(|error| failure(&error))?;
        let own = &self.settings.generic_resources;
        Ok(describe(&info, own, &self.settings.tls_info.borrow()))
    }

    /// Listens first and lists then: nothing that happens in between is missed. One call for all containers; those that
    /// run need no look of their own.
    async fn inventory(&self, journalled: &[(TaskId, String)]) -> Result<Vec<Found>, Failure> {
        self.watch.connected().await;
        let node = self.settings.node;
        let filters = Filters::new().label(format!("{}={node}", label::NODE_ID));
        let listed = self.engine.list_containers(&filters, true).await;
        let mut found = Vec::new();
        for container in listed.map_err(|error| failure(&error))? {
            if let Some(task) = label::task_of(&container, node, journalled) {
                if container.status == Status::Running {
                    self.watch.hint_from_now(&container.id);
                }
                found.push(Found {
                    task,
                    container: container.id,
                });
            }
        }
        Ok(found)
    }

    async fn fetch(&self, order: &Order) -> Result<(), Failure> {
        // What cannot become a container needs no image.
        self.request(order).await?;
        let (image, auth) = image_of(order);
        self.images.fetch(image, auth).await
    }

    async fn create(&self, order: &Order) -> Result<Container, Failure> {
        let mut request = self.request(order).await?;
        self.reserve_files(order).await?;
        let links = self.links(order).await?;
        if let Some(first) = links.first() {
            link::join(&mut request.container, first);
        }
        let _turn = self.turn().await;
        for volume in &request.volumes {
            let made = self.engine.create_volume(volume).await;
            made.map_err(|error| failure(&error))?;
        }
        let created = self
            .engine
            .create_container(&order.name, &request.container)
            .await;
        let container = match created {
            Ok(created) => Container {
                id: created.id,
                untouched: true,
            },
            Err(error) if error.is_conflict() => self.adopt(order, &error).await?,
            Err(error) => return Err(self.not_created(order, &error)),
        };
        self.connect(&container, &links).await?;
        Ok(container)
    }

    /// The engine lists a container a moment before it can be looked at, while its create may still be rolled back.
    async fn is_made(&self, id: &str) -> Result<bool, Failure> {
        match self.engine.inspect_container(id).await {
            Ok(_) => Ok(true),
            Err(error) if error.is_not_found() => Ok(false),
            Err(error) => Err(failure(&error)),
        }
    }

    async fn start(&self, order: &Order, container: &Container) -> Result<(), Failure> {
        let _turn = self.turn().await;
        if !container.untouched && self.inspect(&container.id).await?.started_at.is_some() {
            return Ok(());
        }
        self.fill_files(order).await?;
        self.relink(order, container).await?;
        self.watch.hint_from_now(&container.id);
        debug!(task = %order.task, container = %container.id, "starting");
        match self.engine.start_container(&container.id).await {
            Ok(()) => Ok(()),
            Err(error) => self.not_started(&container.id, &error).await,
        }
    }

    async fn settle(&self, order: &Order, id: &str) -> Result<Running, Failure> {
        let hint = self.watch.hint(id);
        loop {
            let state = self.inspect(id).await?;
            match verdict(&state) {
                Verdict::Running => return Ok(self.running(order, &state).await),
                // Without a health check it has run, if only for a moment: how it ended is told from there.
                Verdict::Ended if state.health.is_none() => {
                    hint.notify_one();
                    return Ok(self.running(order, &state).await);
                }
                Verdict::Ended => {
                    hint.notify_one();
                    exit(&state)?;
                    return Ok(self.running(order, &state).await);
                }
                Verdict::Unhealthy => return Err(self.end_unhealthy(order, id).await),
                Verdict::Unsettled => hint.notified().await,
            }
        }
    }

    async fn wait(&self, order: &Order, id: &str) -> Result<ContainerStatus, Failure> {
        let hint = self.watch.hint(id);
        loop {
            hint.notified().await;
            let again = LookAgain(Some(&hint));
            let state = self.inspect(id).await?;
            match verdict(&state) {
                Verdict::Ended => return exit(&state),
                Verdict::Unhealthy => return Err(self.end_unhealthy(order, id).await),
                Verdict::Running | Verdict::Unsettled => again.done(),
            }
        }
    }

    async fn shutdown(
        &self,
        order: &Order,
        id: Option<&str>,
    ) -> Result<Option<ContainerStatus>, Failure> {
        let id = match id {
            Some(id) => id.to_owned(),
            None => match self.engine.inspect_container(&order.name).await {
                Ok(state) if label::belongs_to(&state.labels, order) => state.id,
                Ok(_) => return Ok(None),
                Err(error) if error.is_not_found() => return Ok(None),
                Err(error) => return Err(failure(&error)),
            },
        };
        self.drain(order).await;
        self.stop(order, &id).await
    }

    async fn tell(&self, facts: FactDiff, complete: bool) {
        self.networks.tell(facts, complete).await;
    }

    fn keep(&self, payloads: PayloadDiff, complete: bool) {
        self.secrets.keep(payloads, complete);
    }

    fn kept(&self) -> Vec<TaskId> {
        self.secrets.kept()
    }

    fn expect(&self, order: &Order) {
        self.networks.expect(order);
    }

    fn forget(&self, task: TaskId) {
        self.networks.release(task);
        self.secrets.forget(task);
    }

    fn clear(&self) {
        self.secrets.clear();
    }

    async fn remove(&self, id: &str) -> Result<(), Failure> {
        let stopped = self.engine.stop_container(id, None).await;
        gone_is_fine(stopped)?;
        let _turn = self.turn().await;
        let removed = self.engine.remove_container(id, true, true).await;
        gone_is_fine(removed)?;
        self.watch.forget(id);
        Ok(())
    }
}

/// A look that is not done with is owed: if it fails or is dropped, whoever waits next begins with one.
struct LookAgain<'a>(Option<&'a Notify>);

impl LookAgain<'_> {
    fn done(mut self) {
        self.0 = None;
    }
}

impl Drop for LookAgain<'_> {
    fn drop(&mut self) {
        if let Some(hint) = self.0 {
            hint.notify_one();
        }
    }
}

/// What a container's state means for its task.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Verdict {
    Unsettled,
    Running,
    Unhealthy,
    Ended,
}

fn verdict(state: &ContainerState) -> Verdict {
    match (&state.status, state.health) {
        (Status::Running | Status::Paused | Status::Restarting, health) => match health {
            None | Some(Health::Healthy) => Verdict::Running,
            Some(Health::Starting) => Verdict::Unsettled,
            Some(Health::Unhealthy) => Verdict::Unhealthy,
        },
        (
            Status::Created | Status::Removing | Status::Exited | Status::Dead | Status::Other(_),
            _,
        ) => Verdict::Ended,
    }
}

/// How a container ended: with success, or as the task's failure.
fn exit(state: &ContainerState) -> Result<ContainerStatus, Failure> {
    let container = shown(state);
    let code = state.exit_code;
    let text = match (code, state.error.as_str()) {
        (0, _) => return Ok(container),
        (_, "") => format!("task: non-zero exit ({code})"),
        (_, cause) => format!("task: non-zero exit ({code}): {cause}"),
    };
    Err(Failure::Fatal {
        text,
        container: Some(container),
    })
}

fn shown(state: &ContainerState) -> ContainerStatus {
    ContainerStatus {
        id: state.id.clone(),
        pid: state.pid,
        exit_code: state.exit_code,
    }
}

/// The ports as they are bound, each once though the engine binds IPv4 and IPv6. The name is the spec's.
fn bound(ordered: &[PortConfig], bindings: &[PortBinding]) -> Vec<PortConfig> {
    let ports: BTreeSet<_> = bindings
        .iter()
        .map(|binding| (binding.container_port, &binding.protocol, binding.host_port))
        .collect();
    let shown = |(target, protocol, host): (u16, &String, u16)| {
        let protocol = Protocol::from(protocol.as_str());
        let same = |port: &&PortConfig| {
            port.target_port == u32::from(target)
                && *port.protocol.as_ref().unwrap_or(&Protocol::Tcp) == protocol
                && [0, u32::from(host)].contains(&port.published_port)
        };
        let ordered = ordered.iter().find(same);
        PortConfig {
            name: ordered.map(|port| port.name.clone()).unwrap_or_default(),
            protocol: Some(protocol),
            target_port: target.into(),
            published_port: host.into(),
            publish_mode: Some(PublishMode::Host),
        }
    };
    ports.into_iter().map(shown).collect()
}

fn image_of(order: &Order) -> (&str, Option<&str>) {
    let image = order.spec.container_spec.as_ref();
    let auth = order.registry_auth.as_ref();
    (
        image.map_or("", |spec| spec.image.as_str()),
        auth.map(|auth| &*auth.0).filter(|auth| !auth.is_empty()),
    )
}

/// What is being removed already is as good as gone: the next look will tell.
fn gone_is_fine(done: Result<(), Error>) -> Result<(), Failure> {
    match done {
        Err(error) if !error.is_not_found() => Err(failure(&error)),
        _ => Ok(()),
    }
}

/// An engine that is away, silent or going down is not the task's fault; what it says is.
pub fn failure(error: &Error) -> Failure {
    match error {
        Error::Absent { .. }
        | Error::Timeout { .. }
        | Error::Stream { .. }
        | Error::Protocol { .. }
        | Error::TooOld { .. }
        | Error::Api { status: 503, .. } => Failure::Away(error.message()),
        Error::Api { .. } | Error::Failed { .. } => Failure::fatal(error.message()),
    }
}

#[cfg(test)]
mod tests;
