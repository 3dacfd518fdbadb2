//! Certificates that are renewed in time, and such as run out, in one process over real sockets.
#![expect(clippy::unwrap_used, reason = "a test that cannot go on has failed")]

mod support;

use std::fs;
use std::time::{Duration, SystemTime};
use support::crowd::Walker;
use support::host::{Host, PATIENCE, managers, start, tokens, with_worker};
use support::{service_where, until};
use swarmrs_node::{ClusterView, Config, SwarmState};
use swarmrs_security::{
    Keystore, NodeCertificate, NodeCredentials, PrivateKey, Role, RootCa, RootCert, Subject,
};
use swarmrs_types::Nanos;
use swarmrs_types::object::{Cluster, NodeState};
use swarmrs_types::spec::CaSettings;

const HOUR: Duration = Duration::from_secs(3600);
/// Two thirds of a certificate for an hour, which begins 70 minutes before it is issued, are over so long after that.
const DUE: Duration = Duration::from_secs(1000);

/// The certificate of a node. Its key is not for others to look at while it runs: they might take what it is about to
/// replace for what a crash left behind.
fn held(host: &Host) -> NodeCertificate {
    let folder = Config::new(host.folder.path()).certificates();
    let pem = fs::read_to_string(folder.join("swarm-node.crt"));
    NodeCertificate::from_pem(&pem.unwrap()).unwrap()
}

/// Puts a certificate into the folder of a node that is not running, as if it had been issued so long ago.
fn age(host: &Host, cluster: &Cluster, role: Role, age: Duration) {
    let keystore = Keystore::open(&Config::new(host.folder.path()).certificates()).unwrap();
    let keys = keystore.unlock(None).unwrap();
    let node_id = held(host).identity().node_id.clone();
    let aged = issued(cluster, &node_id, role, age);
    keys.save_node(&aged).unwrap();
}

/// A certificate for an hour, issued so long ago.
fn issued(cluster: &Cluster, node_id: &str, role: Role, ago: Duration) -> NodeCredentials {
    let ca = RootCa::from_pem(&cluster.root_ca.certificate, &cluster.root_ca.key).unwrap();
    let key = PrivateKey::generate().unwrap();
    let subject = Subject {
        node_id,
        role,
        cluster_id: cluster.id.as_str(),
    };
    let request = key.request().unwrap();
    let certificate = ca.issue(&request, &subject, HOUR, SystemTime::now() - ago);
    NodeCredentials {
        certificate: certificate.unwrap(),
        key,
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_running_node_renews_its_certificate_in_time_and_sessions_nodes_and_tasks_stay_as_they_are()
 {
    let (mut hosts, mut worker) = with_worker(1).await;
    let manager = &mut hosts[0];
    let (token, _) = tokens(manager).await;
    let walker = Walker::join(1, &manager.addr, &token).await;
    walker.walk(vec![manager.addr.clone()]);
    let web = service_where("web", 2, &format!("node.id=={}", walker.id));
    manager.node.create_service(web, None).await.unwrap();
    until("its tasks", PATIENCE, || walker.running().len() == 2).await;
    let expiry = |hours: i64| {
        move |ca: &mut CaSettings| ca.node_cert_expiry = Nanos::from_secs(hours * 3600)
    };
    manager.update_authority(expiry(7)).await.unwrap();

    let cluster = manager.cluster().await;
    for host in [&mut worker, manager] {
        host.node.stop().await;
    }
    let nearly = DUE - Duration::from_secs(4);
    age(manager, &cluster, Role::Manager, nearly);
    age(&worker, &cluster, Role::Worker, nearly);
    for host in [&mut *manager, &mut worker] {
        host.node = start(&host.folder, &host.engine).await;
    }
    let sessions = || {
        let seen = manager.node.measures();
        (seen.sessions_opened.get(), seen.sessions_closed.get())
    };
    until("three sessions", PATIENCE, || sessions() == (3, 0)).await;
    let all_ready = |view: &ClusterView| {
        let mut nodes = view.state.nodes().iter();
        nodes.all(|node| node.status.state == NodeState::Ready)
    };
    manager.sees("all of them", all_ready).await;
    let before = manager.node.view().await.unwrap();
    let lasts = |host: &Host, hours: u32| {
        let left = held(host)
            .identity()
            .not_after
            .duration_since(SystemTime::now());
        left.is_ok_and(|left| left > HOUR * (hours - 1) && left <= HOUR * hours)
    };
    for host in [&*manager, &worker] {
        until("another certificate", PATIENCE, || lasts(host, 7)).await;
    }
    // What is asked for next has what the spec says by then; nobody asks for it because of that.
    manager.update_authority(expiry(9)).await.unwrap();
    let late = Host::start().await;
    late.join(manager, &token).await.unwrap();
    assert!(lasts(&late, 9) && lasts(&worker, 7) && lasts(manager, 7));
    late.node.stop().await;

    let after = manager.node.view().await.unwrap();
    for node in before.state.nodes().iter() {
        assert_eq!(after.state.nodes().get(&node.id), Some(node));
    }
    let tasks = |view: &ClusterView| view.state.tasks().iter().cloned().collect::<Vec<_>>();
    assert_eq!(tasks(&before), tasks(&after));
    assert_eq!(sessions().0, 4, "each node has its first session");
    for host in [&worker, manager] {
        host.node.stop().await;
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_session_that_outlives_its_certificate_goes_on_by_the_renewed_one_and_nothing_is_touched()
{
    let manager = &managers(1).await[0];
    let (token, _) = tokens(manager).await;
    let cluster = manager.cluster().await;
    let root = RootCert::from_pem(&cluster.root_ca.certificate).unwrap();
    let [renewed, old] = [1, 2].map(|number| Walker::join(number, &manager.addr, &token));
    let (renewed, old) = (renewed.await, old.await);
    let show = |walker: &Walker, ago| {
        let node = issued(&cluster, walker.id.as_str(), Role::Worker, ago);
        walker.show(&node, &root);
    };
    for walker in [&renewed, &old] {
        show(walker, HOUR - Duration::from_secs(8));
        walker.walk(vec![manager.addr.clone()]);
        let on = service_where(walker.id.as_str(), 2, &format!("node.id=={}", walker.id));
        manager.node.create_service(on, None).await.unwrap();
        until("its tasks", PATIENCE, || walker.running().len() == 2).await;
    }
    show(&renewed, Duration::ZERO);
    let state = |view: &ClusterView, walker: &Walker| {
        view.state.nodes().get(&walker.id).unwrap().status.state
    };
    manager
        .sees("both", |view| {
            [&renewed, &old].map(|walker| state(view, walker)) == [NodeState::Ready; 2]
        })
        .await;
    let before = manager.node.view().await.unwrap();
    let sessions = || {
        let seen = manager.node.measures();
        (seen.sessions_opened.get(), seen.sessions_closed.get())
    };
    assert_eq!(sessions(), (3, 0));

    until("the end of both sessions", PATIENCE, || {
        sessions() == (4, 2)
    })
    .await;
    let is_down = |view: &ClusterView| state(view, &old) == NodeState::Down;
    manager.sees("the other down", is_down).await;
    let after = manager.node.view().await.unwrap();
    let of_renewed = |view: &ClusterView| {
        let tasks = view.state.tasks().iter().cloned();
        let its: Vec<_> = tasks.filter(|task| task.node == Some(renewed.id)).collect();
        (view.state.nodes().get(&renewed.id).cloned(), its)
    };
    assert_eq!(of_renewed(&before), of_renewed(&after));
    assert_eq!(renewed.running().len(), 2);
    assert_eq!(sessions(), (4, 2));
    manager.node.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_worker_that_was_off_for_longer_than_its_certificate_says_so_and_joins_anew() {
    let (hosts, mut worker) = with_worker(1).await;
    worker.node.stop().await;
    age(&worker, &hosts[0].cluster().await, Role::Worker, 2 * HOUR);
    worker.node = start(&worker.folder, &worker.engine).await;
    let standing = worker.node.standing();
    assert_eq!(standing.state, SwarmState::Error);
    assert!(
        standing.error.contains("has expired")
            && standing.error.contains("docker swarm leave --force")
    );
    let (token, _) = tokens(&hosts[0]).await;
    let refused = worker.join(&hosts[0], &token).await.unwrap_err();
    assert!(
        refused
            .text
            .starts_with("This node is already part of a swarm")
    );
    worker.node.leave(true).await.unwrap();
    worker.join(&hosts[0], &token).await.unwrap();
    assert_eq!(worker.node.standing().state, SwarmState::Active);
    worker.node.stop().await;
    hosts[0].node.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn managers_that_were_off_for_longer_than_their_certificates_keep_everything() {
    let mut hosts = managers(3).await;
    let service = support::service("web", 1);
    hosts[0].node.create_service(service, None).await.unwrap();
    let before = hosts[0].cluster().await;
    for host in &hosts {
        host.node.stop().await;
    }
    for host in &mut hosts {
        age(host, &before, Role::Manager, 2 * HOUR);
    }
    for host in &mut hosts {
        host.node = start(&host.folder, &host.engine).await;
    }
    for host in &hosts {
        host.sees("the service", |view| view.state.services().len() == 1)
            .await;
        assert_eq!(host.node.standing().state, SwarmState::Active);
        let root = RootCert::from_pem(&before.root_ca.certificate).unwrap();
        held(host).verify(&root, SystemTime::now()).unwrap();
    }
    for host in &hosts {
        host.node.stop().await;
    }
}
