//! One node by itself: made, used, restarted, left. Its engine never answers, which is no obstacle
//! to any of that.
#![expect(clippy::unwrap_used, reason = "a test that cannot go on has failed")]

mod support;

use std::path::Path;
use std::time::Duration;
use support::{place_on, service};
use swarmrs_engine::Engine;
use swarmrs_node::{Config, Node, Rotation, SwarmState};
use swarmrs_types::spec::{
    EndpointSpec, InitRequest, NetworkAttachmentConfig, NetworkSpec, PortConfig, ServiceSpec,
    SwarmSpec,
};
use swarmrs_types::{Code, TaskState};
use tempfile::TempDir;

async fn start(folder: &Path) -> Node {
    let config = Config::new(folder);
    let engine = Engine::connect(&folder.join("no-engine.sock"));
    Node::start(config, engine).await.unwrap()
}

fn init_request() -> InitRequest {
    InitRequest {
        listen_addr: "127.0.0.1:0".to_owned(),
        advertise_addr: "127.0.0.1".to_owned(),
        ..InitRequest::default()
    }
}

/// Waits until the cluster's state is as wanted.
async fn eventually(node: &Node, wanted: impl Fn(&swarmrs_node::ClusterView) -> bool) {
    let deadline = tokio::time::Instant::now() + Duration::from_secs(10);
    loop {
        let view = node.view().await.unwrap();
        if wanted(&view) {
            return;
        }
        assert!(tokio::time::Instant::now() < deadline, "{:#?}", view.state);
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
}

#[tokio::test]
async fn outside_a_swarm_every_cluster_call_is_refused() {
    let folder = TempDir::new().unwrap();
    let node = start(folder.path()).await;
    assert_eq!(node.standing().state, SwarmState::Inactive);
    let fault = node.view().await.unwrap_err();
    assert_eq!(fault.code, Code::Unavailable);
    assert!(fault.text.starts_with("This node is not a swarm manager."));
    let fault = node.create_service(service("web", 1), None).await;
    assert_eq!(fault.unwrap_err().code, Code::Unavailable);
    // Before what is wrong with the request itself.
    let wrong = SwarmSpec {
        name: "mine".to_owned(),
        ..SwarmSpec::default()
    };
    let fault = node.update_swarm(1, wrong, Rotation::default()).await;
    assert_eq!(fault.unwrap_err().code, Code::Unavailable);
    let fault = node.leave(true).await.unwrap_err();
    assert_eq!(fault.text, "This node is not part of a swarm");
}

#[tokio::test]
async fn a_swarm_is_made_once() {
    let folder = TempDir::new().unwrap();
    let node = start(folder.path()).await;
    let id = node.init(init_request()).await.unwrap();
    let standing = node.standing();
    assert_eq!(
        (standing.state, standing.node),
        (SwarmState::Active, Some(id))
    );
    assert_eq!(standing.addr, "127.0.0.1");
    // Gone a moment later, it would be missed.
    let noted = std::fs::read_to_string(Config::new(folder.path()).own_address());
    assert_eq!(noted.unwrap(), "127.0.0.1");
    let fault = node.init(init_request()).await.unwrap_err();
    assert!(
        fault
            .text
            .starts_with("This node is already part of a swarm.")
    );
    let view = node.view().await.unwrap();
    assert_eq!(view.leader, Some(id));
    let own = view.state.nodes().get(&id).unwrap();
    assert!(
        own.description
            .tls_info
            .trust_root
            .contains("BEGIN CERTIFICATE")
    );
    node.stop().await;
}

#[tokio::test]
async fn tasks_of_a_new_service_are_placed_at_once() {
    let folder = TempDir::new().unwrap();
    let node = start(folder.path()).await;
    let id = node.init(init_request()).await.unwrap();
    let web = node.create_service(service("web", 3), None).await.unwrap();
    eventually(&node, |view| {
        let mut tasks = view.state.tasks_of_service(web);
        tasks.by_ref().count() == 3
            && view
                .state
                .tasks_of_service(web)
                .all(|task| task.node == Some(id) && task.status.state >= TaskState::Assigned)
    })
    .await;
    let fault = node
        .create_service(service("WEB", 1), None)
        .await
        .unwrap_err();
    assert_eq!(fault.code, Code::AlreadyExists);
    node.stop().await;
}

#[tokio::test]
async fn a_restarted_node_knows_all_that_was_acknowledged() {
    let folder = TempDir::new().unwrap();
    let node = start(folder.path()).await;
    let id = node.init(init_request()).await.unwrap();
    let web = node.create_service(service("web", 2), None).await.unwrap();
    eventually(&node, |view| view.state.tasks_of_service(web).count() == 2).await;
    let before = node.view().await.unwrap().state;
    node.stop().await;

    let node = start(folder.path()).await;
    assert_eq!(node.standing().node, Some(id));
    let after = node.view().await.unwrap().state;
    let tasks = |state: &swarmrs_core::State| -> Vec<_> {
        state.tasks_of_service(web).map(|task| task.id).collect()
    };
    assert_eq!(tasks(&before), tasks(&after));
    assert_eq!(before.cluster(), after.cluster());
    node.stop().await;
}

#[tokio::test]
async fn many_services_made_at_once_are_all_there() {
    let folder = TempDir::new().unwrap();
    let node = start(folder.path()).await;
    node.init(init_request()).await.unwrap();
    let mut requests = tokio::task::JoinSet::new();
    for number in 0..50 {
        let node = node.clone();
        requests.spawn(async move {
            node.create_service(service(&format!("s{number}"), 1), None)
                .await
        });
    }
    while let Some(made) = requests.join_next().await {
        made.unwrap().unwrap();
    }
    eventually(&node, |view| {
        view.state.services().len() == 50 && view.state.tasks().len() == 50
    })
    .await;
    assert_eq!(
        swarmrs_core::invariant::violations(&node.view().await.unwrap().state),
        Vec::<String>::new()
    );
    node.stop().await;
}

#[tokio::test]
async fn leaving_needs_force_and_an_engine_to_clean_up() {
    let folder = TempDir::new().unwrap();
    let node = start(folder.path()).await;
    node.init(init_request()).await.unwrap();
    let fault = node.leave(false).await.unwrap_err();
    assert!(
        fault
            .text
            .contains("Removing the last manager erases all current state")
    );
    let fault = node.leave(true).await.unwrap_err();
    assert!(fault.text.contains("no-engine.sock"), "{fault}");
    assert_eq!(node.standing().state, SwarmState::Active);
    node.stop().await;
}

#[tokio::test]
async fn a_taken_port_fails_the_init_and_leaves_nothing() {
    let folder = TempDir::new().unwrap();
    let taken = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let node = start(folder.path()).await;
    let request = InitRequest {
        listen_addr: taken.local_addr().unwrap().to_string(),
        ..init_request()
    };
    let fault = node.init(request).await.unwrap_err();
    assert!(
        fault.text.to_lowercase().contains("address already in use"),
        "{fault}"
    );
    assert_eq!(node.standing().state, SwarmState::Inactive);
    let left = std::fs::read_dir(folder.path().join("swarm"))
        .unwrap()
        .count();
    assert_eq!(left, 0);
}

#[tokio::test]
async fn a_rotated_token_differs_and_the_other_stays() {
    let folder = TempDir::new().unwrap();
    let node = start(folder.path()).await;
    node.init(init_request()).await.unwrap();
    let before = node.view().await.unwrap().state.cluster().unwrap().clone();
    let rotation = Rotation {
        worker: true,
        ..Rotation::default()
    };
    node.update_swarm(before.meta.version, before.spec.clone(), rotation)
        .await
        .unwrap();
    let after = node.view().await.unwrap().state.cluster().unwrap().clone();
    assert_ne!(before.join_tokens.worker, after.join_tokens.worker);
    assert_eq!(before.join_tokens.manager, after.join_tokens.manager);
    let stale = node.update_swarm(before.meta.version, before.spec.clone(), rotation);
    assert_eq!(stale.await.unwrap_err().text, "update out of sequence");
    node.stop().await;
}

#[tokio::test]
async fn rubble_of_a_failed_init_is_cleared_at_start() {
    let folder = TempDir::new().unwrap();
    let rubble = folder.path().join("swarm/raft");
    std::fs::create_dir_all(&rubble).unwrap();
    std::fs::write(rubble.join("half"), b"x").unwrap();
    std::fs::write(folder.path().join("swarm/unfinished"), b"").unwrap();
    let node = start(folder.path()).await;
    assert_eq!(node.standing().state, SwarmState::Inactive);
    assert!(!rubble.exists());
}

#[tokio::test]
async fn a_swarm_that_lost_its_record_is_refused_and_kept() {
    let folder = TempDir::new().unwrap();
    let node = start(folder.path()).await;
    node.init(init_request()).await.unwrap();
    node.stop().await;
    drop(node);
    std::fs::remove_file(folder.path().join("swarm/start.json")).unwrap();
    let engine = Engine::connect(&folder.path().join("no-engine.sock"));
    let refused = Node::start(Config::new(folder.path()), engine).await;
    let error = refused.err().unwrap().to_string();
    assert!(
        error.ends_with("start.json is missing beside the state of a swarm"),
        "{error}"
    );
    assert!(folder.path().join("swarm/raft/format").exists());
}

fn network(name: &str) -> NetworkSpec {
    NetworkSpec {
        name: name.to_owned(),
        attachable: true,
        ..NetworkSpec::default()
    }
}

/// On a network, with a port of the mesh that is left to the swarm.
fn published(name: &str, network: &str) -> ServiceSpec {
    let mut spec = service(name, 2);
    spec.task_template.networks = vec![NetworkAttachmentConfig {
        target: network.to_owned(),
        ..NetworkAttachmentConfig::default()
    }];
    spec.endpoint_spec = Some(EndpointSpec {
        ports: vec![PortConfig {
            target_port: 80,
            ..PortConfig::default()
        }],
        ..EndpointSpec::default()
    });
    spec
}

#[tokio::test]
async fn services_and_containers_are_on_a_network() {
    let folder = TempDir::new().unwrap();
    let node = start(folder.path()).await;
    let id = node.init(init_request()).await.unwrap();
    let app = node.create_network(network("app")).await.unwrap();
    let web = node.create_service(published("web", "app"), None);
    let web = web.await.unwrap();
    eventually(&node, |view| {
        let addressed = |task: &std::sync::Arc<swarmrs_types::object::Task>| {
            task.networks.len() == 2 && task.networks.iter().all(|on| on.addresses.len() == 1)
        };
        let tasks = view.state.tasks_of_service(web);
        tasks.filter(|task| addressed(task)).count() == 2
    })
    .await;
    let view = node.view().await.unwrap();
    let own = view.state.nodes().get(&id).unwrap();
    assert_eq!((own.index, own.ingress.is_some()), (1, true));
    let fault = node.remove_network("app").await.unwrap_err();
    assert_eq!(
        fault.text,
        format!("network {app} is in use by service {web}")
    );
    let wanted = place_on("app", "shell");
    let lease = node.attach(wanted.clone()).await.unwrap();
    assert_eq!(node.attach(wanted).await.unwrap().id, lease.id);
    node.remove_service("web").await.unwrap();
    let fault = node.remove_network("app").await.unwrap_err();
    assert_eq!(
        fault.text,
        format!("network {app} is in use by task {}", lease.id)
    );
    node.detach(lease.id).await.unwrap();
    node.remove_network("app").await.unwrap();
    node.stop().await;
}

#[tokio::test]
async fn what_many_ask_for_at_once_each_gets_for_itself() {
    let folder = TempDir::new().unwrap();
    let node = start(folder.path()).await;
    node.init(init_request()).await.unwrap();
    node.create_network(network("app")).await.unwrap();
    let all = (0..60).map(|number| {
        let node = node.clone();
        tokio::spawn(async move {
            let (name, net) = (format!("s{number}"), format!("n{number}"));
            node.create_network(network(&net)).await.unwrap();
            node.create_service(published(&name, "app"), None)
                .await
                .unwrap();
        })
    });
    for one in all.collect::<Vec<_>>() {
        one.await.unwrap();
    }
    let view = node.view().await.unwrap();
    let services: Vec<_> = view.state.services().iter().collect();
    let ports: std::collections::BTreeSet<u32> = services
        .iter()
        .map(|one| one.endpoint.ports[0].published_port)
        .collect();
    assert_eq!((services.len(), ports.len()), (60, 60));
    let broken = swarmrs_core::invariant::violations(&view.state);
    assert_eq!(broken, Vec::<String>::new());
    node.stop().await;
}
