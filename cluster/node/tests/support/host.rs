//! A node in this process, over a real socket on loopback.

use super::FakeEngine;
use std::net::TcpListener;
use std::time::Duration;
use swarmrs_engine::Engine;
use swarmrs_node::{ClusterView, Config, Node, Rotation};
use swarmrs_types::Fault;
use swarmrs_types::object::Cluster;
use swarmrs_types::spec::{CaSettings, InitRequest, JoinRequest, NodeSpec, Role};
use tempfile::TempDir;

/// Long enough for a busy machine.
pub const PATIENCE: Duration = Duration::from_secs(20);

/// A node of its own folder that listens on its own port.
pub struct Host {
    pub folder: TempDir,
    pub engine: FakeEngine,
    pub addr: String,
    pub node: Node,
}

impl Host {
    pub async fn start() -> Host {
        let folder = TempDir::new().unwrap();
        let free = TcpListener::bind("127.0.0.1:0").unwrap();
        let addr = free.local_addr().unwrap().to_string();
        let engine = FakeEngine::start("1.41", "inactive");
        let node = start(&folder, &engine).await;
        Host {
            folder,
            engine,
            addr,
            node,
        }
    }

    pub async fn init(&self) {
        let request = InitRequest {
            listen_addr: self.addr.clone(),
            advertise_addr: self.addr.clone(),
            ..InitRequest::default()
        };
        self.node.init(request).await.unwrap();
    }

    pub async fn join(&self, through: &Host, token: &str) -> Result<(), Fault> {
        self.join_at(&through.addr, token).await
    }

    pub async fn join_at(&self, through: &str, token: &str) -> Result<(), Fault> {
        let request = JoinRequest {
            listen_addr: self.addr.clone(),
            advertise_addr: self.addr.clone(),
            remote_addrs: vec![through.to_owned()],
            join_token: token.to_owned(),
            ..JoinRequest::default()
        };
        self.node.join(request).await
    }

    /// Ends the node and starts it from its folder.
    pub async fn restart(&mut self) {
        self.node.stop().await;
        self.node = start(&self.folder, &self.engine).await;
    }

    /// Waits until this manager's view is as wanted.
    pub async fn sees(&self, what: &str, wanted: impl Fn(&ClusterView) -> bool) {
        let deadline = tokio::time::Instant::now() + PATIENCE;
        loop {
            let view = self.node.view().await;
            if view.as_ref().is_ok_and(&wanted) {
                return;
            }
            let late = tokio::time::Instant::now() >= deadline;
            assert!(
                !late,
                "{what}: {:#?}",
                view.map(|view| view.state.nodes().clone())
            );
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    }

    /// Waits until the node stands as wanted.
    pub async fn stands(&self, what: &str, wanted: impl Fn(&swarmrs_node::Standing) -> bool) {
        let deadline = tokio::time::Instant::now() + PATIENCE;
        while !wanted(&self.node.standing()) {
            let late = tokio::time::Instant::now() >= deadline;
            assert!(!late, "{what}: {:?}", self.node.standing());
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    }

    pub async fn cluster(&self) -> Cluster {
        let view = self.node.view().await.unwrap();
        (**view.state.cluster().unwrap()).clone()
    }

    /// Updates what is wanted of the swarm's authority.
    pub async fn update_authority(&self, change: impl Fn(&mut CaSettings)) -> Result<(), Fault> {
        let cluster = self.cluster().await;
        let mut spec = cluster.spec;
        change(&mut spec.ca_config);
        let version = cluster.meta.version;
        let updated = self.node.update_swarm(version, spec, Rotation::default());
        updated.await.map(drop)
    }

    pub async fn set_role(&self, of: &Host, role: Role) -> Result<(), Fault> {
        let view = self.node.view().await.unwrap();
        let id = of.node.standing().node.unwrap();
        let node = view.state.nodes().get(&id).unwrap();
        let spec = NodeSpec {
            role,
            ..node.spec.clone()
        };
        let version = node.meta.version;
        let updated = self.node.update_node(id.as_str(), version, spec).await;
        updated.map(|_| ())
    }
}

pub async fn start(folder: &TempDir, engine: &FakeEngine) -> Node {
    let config = Config::new(folder.path());
    Node::start(config, Engine::connect(&engine.socket()))
        .await
        .unwrap()
}

pub async fn tokens(host: &Host) -> (String, String) {
    let tokens = host.cluster().await.join_tokens;
    (tokens.worker, tokens.manager)
}

/// `count` managers, the first of which made the swarm.
pub async fn managers(count: usize) -> Vec<Host> {
    let mut hosts = vec![Host::start().await];
    hosts[0].init().await;
    let (_, token) = tokens(&hosts[0]).await;
    for _ in 1..count {
        let host = Host::start().await;
        host.join(&hosts[0], &token).await.unwrap();
        hosts.push(host);
    }
    hosts
}

/// So many managers, and a worker.
pub async fn with_worker(count: usize) -> (Vec<Host>, Host) {
    let hosts = managers(count).await;
    let (token, _) = tokens(&hosts[0]).await;
    let worker = Host::start().await;
    worker.join(&hosts[0], &token).await.unwrap();
    (hosts, worker)
}
