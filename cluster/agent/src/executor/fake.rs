//! An executor without an engine: it writes down what it is asked for, fails when told to, and holds back what a test
//! wants to see under way. And the objects that tests are made of.

use super::{Container, Executor, Failure, Found, Running};
use async_trait::async_trait;
use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::sync::{Arc, Mutex};
use swarmrs_types::assignment::{Assignment, Order, PayloadDiff};
use swarmrs_types::endpoint::FactDiff;
use swarmrs_types::object::{ContainerStatus, TaskStatus};
use swarmrs_types::spec::{ContainerSpec, Labels, NodeDescription, PortConfig, TaskSpec};
use swarmrs_types::{NodeId, TaskId, TaskState};
use tokio::sync::watch;

/// A task's id by number.
pub fn task(n: u8) -> TaskId {
    format!("{n:025}").parse().unwrap()
}

/// This node.
pub fn node() -> NodeId {
    format!("{:0>25}", "node").parse().unwrap()
}

/// What is asked of a task `web.N.<task>`.
pub fn order(n: u8) -> Order {
    Order {
        task: task(n),
        name: format!("web.{n}.{}", task(n)),
        slot: n.into(),
        node: node(),
        service: format!("{:0>25}", "web").parse().unwrap(),
        service_name: "web".into(),
        service_labels: Labels::new(),
        spec: TaskSpec {
            container_spec: Some(ContainerSpec {
                image: "busybox:test".into(),
                ..ContainerSpec::default()
            }),
            ..TaskSpec::default()
        },
        ports: Vec::new(),
        resources: Vec::new(),
        networks: Vec::new(),
        node_local: Vec::new(),
        registry_auth: None,
    }
}

/// A task just assigned.
pub fn assignment(n: u8, desired: TaskState) -> Assignment {
    Assignment {
        order: Arc::new(order(n)),
        desired,
        status: TaskStatus {
            state: TaskState::Assigned,
            ..TaskStatus::default()
        },
    }
}

/// See the module.
#[derive(Debug)]
pub struct Fake {
    calls: watch::Sender<Vec<String>>,
    held: watch::Sender<BTreeSet<&'static str>>,
    failures: Mutex<BTreeMap<&'static str, VecDeque<Failure>>>,
    pub found: Mutex<Vec<Found>>,
    /// Whether containers that are found cannot be looked at yet.
    pub in_the_making: Mutex<bool>,
    /// Tasks that have files.
    pub kept: Mutex<Vec<TaskId>>,
}

impl Default for Fake {
    /// Containers run until told otherwise.
    fn default() -> Self {
        Fake {
            calls: watch::Sender::new(Vec::new()),
            held: watch::Sender::new(BTreeSet::from(["wait"])),
            failures: Mutex::default(),
            found: Mutex::default(),
            in_the_making: Mutex::default(),
            kept: Mutex::default(),
        }
    }
}

impl Fake {
    /// From now on this verb does not come to its end.
    pub fn hold(&self, verb: &'static str) {
        self.held.send_modify(|held| {
            held.insert(verb);
        });
    }

    pub fn release(&self, verb: &'static str) {
        self.held.send_modify(|held| {
            held.remove(verb);
        });
    }

    /// The next use of this verb fails so.
    pub fn fail(&self, verb: &'static str, failure: Failure) {
        let mut failures = self.failures.lock().unwrap();
        failures.entry(verb).or_default().push_back(failure);
    }

    /// What was asked for so far.
    pub fn calls(&self) -> Vec<String> {
        self.calls.borrow().clone()
    }

    /// Waits until this was asked for.
    pub async fn called(&self, call: &str) {
        let mut calls = self.calls.subscribe();
        let asked = calls.wait_for(|calls| calls.iter().any(|one| one == call));
        let in_time = tokio::time::timeout(std::time::Duration::from_secs(10), asked).await;
        assert!(in_time.is_ok(), "{call} not among {:?}", self.calls());
    }

    async fn pass(&self, verb: &'static str, what: &str) -> Result<(), Failure> {
        self.calls
            .send_modify(|calls| calls.push(format!("{verb} {what}")));
        let mut held = self.held.subscribe();
        let _ = held.wait_for(|held| !held.contains(verb)).await;
        let mut failures = self.failures.lock().unwrap();
        let failure = failures.get_mut(verb).and_then(VecDeque::pop_front);
        failure.map_or(Ok(()), Err)
    }
}

/// The container of the task with that order.
pub fn container(order: &Order) -> String {
    format!("c{}", order.slot)
}

fn status(id: &str) -> ContainerStatus {
    ContainerStatus {
        id: id.to_owned(),
        pid: 42,
        exit_code: 0,
    }
}

#[async_trait]
impl Executor for Fake {
    async fn describe(&self) -> Result<NodeDescription, Failure> {
        self.pass("describe", "node").await?;
        Ok(NodeDescription::default())
    }

    async fn inventory(&self, _: &[(TaskId, String)]) -> Result<Vec<Found>, Failure> {
        self.pass("inventory", "node").await?;
        Ok(self.found.lock().unwrap().clone())
    }

    async fn fetch(&self, order: &Order) -> Result<(), Failure> {
        self.pass("fetch", &container(order)).await
    }

    async fn create(&self, order: &Order) -> Result<Container, Failure> {
        let id = container(order);
        self.pass("create", &id).await?;
        let untouched = true;
        Ok(Container { id, untouched })
    }

    async fn is_made(&self, id: &str) -> Result<bool, Failure> {
        self.pass("look", id).await?;
        Ok(!*self.in_the_making.lock().unwrap())
    }

    async fn start(&self, _: &Order, container: &Container) -> Result<(), Failure> {
        let verb = if container.untouched {
            "start"
        } else {
            "look-start"
        };
        self.pass(verb, &container.id).await
    }

    async fn settle(&self, _: &Order, id: &str) -> Result<Running, Failure> {
        self.pass("settle", id).await?;
        let ports = vec![PortConfig {
            published_port: 32768,
            ..PortConfig::default()
        }];
        Ok(Running {
            container: status(id),
            ports,
        })
    }

    async fn wait(&self, _: &Order, id: &str) -> Result<ContainerStatus, Failure> {
        self.pass("wait", id).await?;
        Ok(status(id))
    }

    async fn shutdown(
        &self,
        _: &Order,
        id: Option<&str>,
    ) -> Result<Option<ContainerStatus>, Failure> {
        self.pass("shutdown", id.unwrap_or("by name")).await?;
        Ok(id.map(status))
    }

    fn keep(&self, payloads: PayloadDiff, complete: bool) {
        let said = format!("keep {} {complete}", payloads.add.len());
        if !payloads.is_empty() {
            self.calls.send_modify(|calls| calls.push(said));
        }
    }

    async fn tell(&self, facts: FactDiff, complete: bool) {
        let said = format!("tell {} {complete}", facts.put.len());
        if !facts.is_empty() {
            self.calls.send_modify(|calls| calls.push(said));
        }
    }

    fn expect(&self, order: &Order) {
        let said = format!("expect {}", container(order));
        self.calls.send_modify(|calls| calls.push(said));
    }

    fn kept(&self) -> Vec<TaskId> {
        self.kept.lock().unwrap().clone()
    }

    fn forget(&self, task: TaskId) {
        self.kept.lock().unwrap().retain(|kept| *kept != task);
    }

    fn clear(&self) {
        self.kept.lock().unwrap().clear();
    }

    async fn remove(&self, id: &str) -> Result<(), Failure> {
        self.pass("remove", id).await
    }
}
