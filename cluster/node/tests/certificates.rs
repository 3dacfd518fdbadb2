//! Certificates that run out, in one process over real sockets.
#![expect(clippy::unwrap_used, reason = "a test that cannot go on has failed")]

mod support;

use std::time::{Duration, SystemTime};
use support::host::{Host, managers, start, tokens, with_worker};
use swarmrs_node::{Config, SwarmState};
use swarmrs_security::{Keystore, NodeCredentials, PrivateKey, Role, RootCa, RootCert, Subject};
use swarmrs_types::object::Cluster;

const HOUR: Duration = Duration::from_secs(3600);

/// Puts a certificate into the folder of a node that is not running, as if it had been issued so long ago.
fn age(host: &Host, cluster: &Cluster, role: Role, age: Duration) {
    let keystore = Keystore::open(&Config::new(host.folder.path()).certificates()).unwrap();
    let keys = keystore.unlock(None).unwrap();
    let node_id = keys
        .node()
        .unwrap()
        .unwrap()
        .certificate
        .identity()
        .node_id
        .clone();
    let ca = RootCa::from_pem(&cluster.root_ca.certificate, &cluster.root_ca.key).unwrap();
    let key = PrivateKey::generate().unwrap();
    let subject = Subject {
        node_id: &node_id,
        role,
        cluster_id: cluster.id.as_str(),
    };
    let issued_at = SystemTime::now() - age;
    let certificate = ca
        .issue(&key.request().unwrap(), &subject, HOUR, issued_at)
        .unwrap();
    keys.save_node(&NodeCredentials { certificate, key })
        .unwrap();
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
        let folder = Config::new(host.folder.path()).certificates();
        let keys = Keystore::open(&folder).unwrap().unlock(None).unwrap();
        let root = RootCert::from_pem(&before.root_ca.certificate).unwrap();
        let held = keys.node().unwrap().unwrap().certificate;
        held.verify(&root, SystemTime::now()).unwrap();
    }
    for host in &hosts {
        host.node.stop().await;
    }
}
