//! Several nodes in one process, over real sockets on loopback: they join, agree, lose their leader, change
//! roles and leave. Their engines run nothing.

mod support;

use std::sync::Arc;
use std::time::Duration;
use support::crowd::{self, Walker};
use support::host::{Host, PATIENCE, managers, start, tokens};
use support::{overlay, place_on, service, service_where, until};
use swarmrs_node::{ClusterView, Rotation, SwarmState};
use swarmrs_rpc::{CallError, Method, session};
use swarmrs_security::PrivateKey;
use swarmrs_types::object::NodeState;
use swarmrs_types::spec::{Global, Mode, NodeSpec, Role, ServiceSpec};
use swarmrs_types::{Code, NodeId, TaskState};

fn count_members(view: &ClusterView) -> usize {
    let nodes = view.state.nodes().iter();
    nodes.filter(|node| node.raft_id.is_some()).count()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_one_manager_takes_all_of_them_show_and_the_rest_go_on_when_one_is_gone() {
    let hosts = managers(3).await;
    for (at, host) in hosts.iter().enumerate() {
        let name = format!("web{at}");
        host.node
            .create_service(service(&name, 1), None)
            .await
            .unwrap();
        for other in &hosts {
            let view = other.node.view().await.unwrap();
            let mut services = view.state.services().iter();
            assert!(
                services.any(|service| service.name == name),
                "read your writes"
            );
        }
    }
    let taken = hosts[1].node.create_service(service("web0", 1), None).await;
    assert_eq!(taken.unwrap_err().code, Code::AlreadyExists);
    hosts[2]
        .sees("three members", |view| count_members(view) == 3)
        .await;

    hosts[0].node.stop().await;
    hosts[1]
        .node
        .create_service(service("after", 1), None)
        .await
        .unwrap();
    let gone = hosts[0].addr.clone();
    hosts[2]
        .sees("another leads", |view| {
            let leader = view.leader.and_then(|id| view.state.nodes().get(&id));
            leader.is_some_and(|leader| leader.manager_addr.as_deref() != Some(gone.as_str()))
        })
        .await;
    for host in &hosts[1..] {
        host.node.stop().await;
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn managers_that_were_all_stopped_go_on_where_they_were() {
    let mut hosts = managers(3).await;
    hosts[0]
        .node
        .create_service(service("web", 1), None)
        .await
        .unwrap();
    for host in &mut hosts {
        host.node.stop().await;
    }
    for host in &mut hosts {
        host.node = start(&host.folder, &host.engine).await;
    }
    for host in &hosts {
        host.sees("the service", |view| view.state.services().len() == 1)
            .await;
    }
    hosts[2]
        .node
        .create_service(service("more", 1), None)
        .await
        .unwrap();
    hosts[1].restart().await;
    hosts[1]
        .sees("both services", |view| view.state.services().len() == 2)
        .await;
    for host in &hosts {
        host.node.stop().await;
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_worker_is_promoted_demoted_and_leaves() {
    let hosts = managers(1).await;
    let (worker, _) = tokens(&hosts[0]).await;
    let host = Host::start().await;
    host.join(&hosts[0], &worker).await.unwrap();
    assert_eq!(host.node.standing().state, SwarmState::Active);
    assert!(!host.node.standing().manager);
    let refused = host.node.view().await.unwrap_err();
    assert!(refused.text.contains("Worker nodes can't be used"));

    hosts[0].set_role(&host, Role::Manager).await.unwrap();
    host.stands("a manager", |standing| standing.manager).await;
    hosts[0]
        .sees("two members", |view| count_members(view) == 2)
        .await;
    host.sees("two members", |view| count_members(view) == 2)
        .await;

    hosts[0].set_role(&host, Role::Worker).await.unwrap();
    host.stands("a worker", |standing| {
        standing.state == SwarmState::Active && !standing.manager
    })
    .await;
    hosts[0]
        .sees("one member", |view| count_members(view) == 1)
        .await;
    let id = host.node.standing().node.unwrap();
    host.node.leave(false).await.unwrap();
    assert_eq!(host.node.standing().state, SwarmState::Inactive);
    hosts[0]
        .sees("down", |view| {
            let node = view.state.nodes().get(&id).unwrap();
            node.status.state == NodeState::Down
        })
        .await;
    hosts[0].node.remove_node(id.as_str(), false).await.unwrap();
    hosts[0].node.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_token_that_is_wrong_changed_or_of_another_swarm_lets_nobody_in() {
    let hosts = managers(1).await;
    let (worker, _) = tokens(&hosts[0]).await;
    let other = managers(1).await;
    let (foreign, _) = tokens(&other[0]).await;
    let host = Host::start().await;
    let secret = worker.rsplit_once('-').unwrap();
    let guessed = format!("{}-{}", secret.0, "0".repeat(25));
    for (token, text) in [
        ("SWMTKN-1-x", "invalid join token"),
        (
            guessed.as_str(),
            "A valid join token is necessary to join this cluster",
        ),
        (foreign.as_str(), "remote CA does not match fingerprint"),
    ] {
        let refused = host.join(&hosts[0], token).await.unwrap_err();
        assert!(refused.text.starts_with(text), "{refused}");
        assert_eq!(host.node.standing().state, SwarmState::Inactive);
    }
    let view = hosts[0].node.view().await.unwrap();
    assert_eq!(view.state.nodes().len(), 1);
    // Whoever guesses on is not heard any more, not even with the right one.
    for _ in 0..20 {
        host.join(&hosts[0], &guessed).await.unwrap_err();
    }
    let refused = host.join(&hosts[0], &worker).await.unwrap_err();
    let text = "too many wrong join tokens from 127.0.0.1: try again in a minute";
    assert!(refused.text.starts_with(text), "{refused}");
    hosts[0].node.stop().await;
    other[0].node.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_request_that_is_sent_again_makes_another_node_until_its_token_is_changed() {
    let hosts = managers(1).await;
    let (manager, addr) = (&hosts[0], &hosts[0].addr);
    let (worker, boss) = tokens(manager).await;
    let everywhere = ServiceSpec {
        mode: Mode {
            global: Some(Global::default()),
            ..Mode::default()
        },
        ..service("everywhere", 0)
    };
    let request = crowd::request("ghost", &PrivateKey::generate().unwrap(), &worker);
    let mut ghosts: Vec<NodeId> = Vec::new();
    for _ in 0..3 {
        let issued = crowd::issue(addr, &request).await.unwrap();
        ghosts.push(issued.node_id.parse().unwrap());
        if let [first, _] = ghosts[..] {
            let first = first.as_str();
            manager.node.remove_node(first, false).await.unwrap();
        }
    }
    manager.node.create_service(everywhere, None).await.unwrap();
    // One that comes is given a task; those that do not come run none.
    let walker = Walker::join(1, addr, &worker).await;
    walker.walk(vec![addr.clone()]);
    until("its task", PATIENCE, || !walker.running().is_empty()).await;
    let view = manager.node.view().await.unwrap();
    let here = |id: &NodeId| view.state.nodes().contains(id);
    assert_eq!([0, 1, 2].map(|at| here(&ghosts[at])), [false, true, true]);
    for ghost in &ghosts {
        let tasks = view.state.tasks_of_node(*ghost);
        let most = tasks.map(|task| task.status.state).max();
        assert!(most < Some(TaskState::Assigned), "{most:?}");
    }

    let cluster = manager.cluster().await;
    let both = Rotation {
        worker: true,
        manager: true,
        ..Rotation::default()
    };
    let version = cluster.meta.version;
    let rotated = manager.node.update_swarm(version, cluster.spec, both).await;
    rotated.unwrap();
    let text = "A valid join token is necessary to join this cluster";
    let Err(CallError::Refused(refusal)) = crowd::issue(addr, &request).await else {
        panic!("a token that was changed is good still");
    };
    assert_eq!(refusal.fault.text, text);
    let host = Host::start().await;
    for token in [&worker, &boss] {
        let refused = host.join(manager, token).await.unwrap_err();
        assert!(refused.text.contains(text), "{refused}");
    }
    let (worker, _) = tokens(manager).await;
    host.join(manager, &worker).await.unwrap();
    for host in [manager, &host] {
        host.node.stop().await;
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_worker_asks_for_its_own_containers_places_and_whichever_manager_is_left_decides() {
    let hosts = managers(3).await;
    let (token, _) = tokens(&hosts[0]).await;
    let (worker, other) = (Host::start().await, Host::start().await);
    for host in [&worker, &other] {
        host.join(&hosts[0], &token).await.unwrap();
    }
    let first = &hosts[0].node;
    for network in [overlay("app", true), overlay("plain", false)] {
        first.create_network(network).await.unwrap();
    }
    let lease = worker.node.attach(place_on("app", "c")).await.unwrap();
    assert_eq!(Some(lease.node), worker.node.standing().node);
    assert_eq!(lease.addresses.len(), 1);
    let again = worker.node.attach(place_on("app", "c")).await.unwrap();
    assert_eq!(again.id, lease.id);
    for (name, code, text) in [
        (
            "plain",
            Code::PermissionDenied,
            "network plain not manually attachable",
        ),
        ("nowhere", Code::NotFound, "network nowhere not found"),
    ] {
        let refused = worker.node.attach(place_on(name, "c")).await.unwrap_err();
        assert_eq!((refused.code, refused.text.as_str()), (code, text));
    }
    let stranger = other.node.detach(lease.id).await.unwrap_err();
    assert_eq!(stranger.code, Code::PermissionDenied);
    assert!(stranger.text.ends_with("is of another node"), "{stranger}");

    hosts[0].node.stop().await;
    let late = worker.node.attach(place_on("app", "late")).await.unwrap();
    for gone in [lease.id, late.id, late.id] {
        worker.node.detach(gone).await.unwrap();
    }
    hosts[1]
        .sees("no lease", |view| view.state.attachments().is_empty())
        .await;
    for host in [&worker, &other, &hosts[1], &hosts[2]] {
        host.node.stop().await;
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_worker_that_is_removed_as_it_runs_is_heard_no_more_and_may_come_anew() {
    let hosts = managers(1).await;
    let (token, _) = tokens(&hosts[0]).await;
    let (manager, worker) = (&hosts[0], Host::start().await);
    let network = overlay("app", true);
    manager.node.create_network(network).await.unwrap();
    worker.join(manager, &token).await.unwrap();
    let id = worker.node.standing().node.unwrap();
    let is_ready = |view: &ClusterView, id: &NodeId| {
        let node = view.state.nodes().get(id);
        node.is_some_and(|node| node.status.state == NodeState::Ready)
    };
    manager.sees("it", |view| is_ready(view, &id)).await;
    worker.node.attach(place_on("app", "c")).await.unwrap();
    let refused = manager.node.remove_node(id.as_str(), false).await;
    assert!(refused.unwrap_err().text.contains("is not down"));

    manager.node.remove_node(id.as_str(), true).await.unwrap();
    let refused = worker.node.attach(place_on("app", "late")).await;
    assert_eq!(refused.unwrap_err().code, Code::PermissionDenied);
    manager
        .sees("nothing of it", |view| {
            view.state.nodes().len() == 1 && view.state.attachments().is_empty()
        })
        .await;

    worker.node.leave(true).await.unwrap();
    worker.join(manager, &token).await.unwrap();
    let anew = worker.node.standing().node.unwrap();
    assert_ne!(anew, id);
    manager.sees("it anew", |view| is_ready(view, &anew)).await;
    for host in [manager, &worker] {
        host.node.stop().await;
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn any_manager_shows_how_far_a_task_is_whoever_its_node_speaks_to() {
    let mut hosts = managers(3).await;
    let (token, _) = tokens(&hosts[0]).await;
    let walker = Walker::join(1, &hosts[0].addr, &token).await;
    walker.pause_at(Some(TaskState::Preparing));
    walker.walk(vec![hosts[1].addr.clone()]);
    let is_ready = |view: &ClusterView| {
        let node = view.state.nodes().get(&walker.id);
        node.is_some_and(|node| node.status.state == NodeState::Ready)
    };
    hosts[0].sees("the walker", is_ready).await;
    let web = service_where("web", 1, "node.role==worker");
    hosts[0].node.create_service(web, None).await.unwrap();
    let shown = |view: &ClusterView| {
        let mut tasks = view.state.tasks().iter();
        let task = tasks.next()?;
        Some((task.status.state, view.status(task).state))
    };
    let prepares = Some((TaskState::Assigned, TaskState::Preparing));
    for host in &hosts {
        host.sees("it prepares", |view| shown(view) == prepares)
            .await;
    }
    // One that was started anew is told again.
    hosts[2].restart().await;
    hosts[2]
        .sees("it prepares still", |view| shown(view) == prepares)
        .await;
    walker.stop();
    walker.pause_at(None);
    walker.walk(vec![hosts[2].addr.clone()]);
    let runs = Some((TaskState::Running, TaskState::Running));
    for host in &hosts {
        host.sees("it runs", |view| shown(view) == runs).await;
    }
    for host in &hosts {
        host.node.stop().await;
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_session_that_a_node_lets_go_of_before_its_hello_takes_no_others_place() {
    let manager = managers(1).await.remove(0);
    let (token, _) = tokens(&manager).await;
    let walker = Walker::join(1, &manager.addr, &token).await;
    walker.walk(vec![manager.addr.clone()]);
    until("a session", PATIENCE, || walker.at().is_some()).await;
    let opened = || manager.node.measures().sessions_opened.get();
    let before = opened();
    for _ in 0..3 {
        let client = walker.client(&manager.addr, Method::Session.purpose());
        drop(session::dial(&client, PATIENCE).await.unwrap());
    }
    let here = service_where("here", 1, &format!("node.id=={}", walker.id));
    manager.node.create_service(here, None).await.unwrap();
    until("its task", PATIENCE, || !walker.running().is_empty()).await;
    assert_eq!(opened(), before);
    manager.node.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_manager_without_a_leader_says_so_before_it_says_what_is_to_run() {
    let mut hosts = managers(3).await;
    let (token, _) = tokens(&hosts[0]).await;
    let walker = Walker::join(1, &hosts[0].addr, &token).await;
    walker.walk(vec![hosts[2].addr.clone()]);
    until("a session", PATIENCE, || walker.led() == Some(true)).await;
    for host in &hosts[..2] {
        host.node.stop().await;
    }
    until("a session without a leader", PATIENCE, || {
        walker.led() == Some(false)
    })
    .await;
    hosts[0].node = start(&hosts[0].folder, &hosts[0].engine).await;
    until("a session with a leader", PATIENCE, || {
        walker.led() == Some(true)
    })
    .await;
    for host in [&hosts[0], &hosts[2]] {
        host.node.stop().await;
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_manager_that_was_just_let_in_is_reachable_to_all() {
    let mut hosts = managers(2).await;
    // Meanwhile the leader has told the other one who answers.
    tokio::time::sleep(Duration::from_secs(3)).await;
    let (_, token) = tokens(&hosts[0]).await;
    let third = Host::start().await;
    third.join(&hosts[0], &token).await.unwrap();
    hosts.push(third);
    for host in &hosts {
        host.sees("three members", |view| {
            let members = view.state.nodes().iter();
            let mut members = members.filter(|node| node.raft_id.is_some());
            assert!(members.all(|node| view.is_reachable(node)));
            count_members(view) == 3
        })
        .await;
    }
    for host in &hosts {
        host.node.stop().await;
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn managers_hold_on_to_no_state_that_is_over() {
    let hosts = managers(2).await;
    hosts[1]
        .sees("two members", |view| count_members(view) == 2)
        .await;
    let view = hosts[0].node.view().await.unwrap();
    let node = view.state.nodes().get(&view.local).unwrap();
    let spec = NodeSpec {
        labels: [("a".to_owned(), "b".to_owned())].into(),
        ..node.spec.clone()
    };
    let (id, version) = (node.id.to_string(), node.meta.version);
    hosts[0].node.update_node(&id, version, spec).await.unwrap();
    drop(view);
    let mut old = Vec::new();
    for host in &hosts {
        let view = host.node.view().await.unwrap();
        old.push(Arc::downgrade(&view.state));
    }
    let after = service("after", 1);
    hosts[0].node.create_service(after, None).await.unwrap();
    until("no old state", PATIENCE, || {
        old.iter().all(|state| state.strong_count() == 0)
    })
    .await;
    for host in &hosts {
        host.node.stop().await;
    }
}
