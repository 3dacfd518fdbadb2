//! Whom nodes trust, in one process over real sockets: roots that take each other's place, updates that are refused.
#![expect(clippy::unwrap_used, reason = "a test that cannot go on has failed")]

mod support;

use std::time::SystemTime;
use support::host::{Host, managers, start, tokens, with_worker};
use swarmrs_node::{ClusterView, Rotation};
use swarmrs_security::RootCa;
use swarmrs_types::Code;
use swarmrs_types::object::{Cluster, NodeState};
use swarmrs_types::spec::CaSettings;

fn rotate(settings: &mut CaSettings) {
    settings.force_rotate += 1;
}

/// Whether the swarm has one root, other than this, and every node says so.
fn has_settled(view: &ClusterView, not: &str) -> bool {
    let cluster = view.state.cluster().unwrap();
    let (root, issuer) = (&cluster.root_ca.certificate, cluster.issuer());
    let settled = view.state.nodes().iter().all(|node| {
        let said = &node.description.tls_info;
        said.trust_root == *root
            && said.cert_issuer_subject == issuer.subject
            && said.cert_issuer_public_key == issuer.public_key
            && node.status.state == NodeState::Ready
    });
    settled && root != not && cluster.root_rotation.is_none()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_root_takes_anothers_place_while_the_swarm_works_and_holds_after_restarts() {
    let (mut hosts, mut worker) = with_worker(3).await;
    let old = tokens(&hosts[0]).await;
    let before = hosts[0].cluster().await.root_ca.certificate;
    hosts[1].update_authority(rotate).await.unwrap();
    for host in &hosts {
        host.sees("another root", |view| has_settled(view, &before))
            .await;
    }
    let new = tokens(&hosts[2]).await;
    assert!(old.0 != new.0 && old.1 != new.1);
    let late = Host::start().await;
    let refused = late.join(&hosts[0], &old.0).await.unwrap_err();
    assert!(
        refused
            .text
            .starts_with("remote CA does not match fingerprint"),
        "{refused}"
    );
    late.join(&hosts[1], &new.0).await.unwrap();

    worker.restart().await;
    hosts[2].restart().await;
    hosts[0].restart().await;
    hosts[1]
        .sees("five nodes", |view| {
            view.state.nodes().len() == 5 && has_settled(view, &before)
        })
        .await;
    // And once more, by what is left of the first rotation.
    let second = hosts[1].cluster().await.root_ca.certificate;
    hosts[2].update_authority(rotate).await.unwrap();
    hosts[0]
        .sees("a third root", |view| has_settled(view, &second))
        .await;
    for host in hosts.iter().chain([&worker, &late]) {
        host.node.stop().await;
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_node_that_is_away_holds_a_rotation_up_and_comes_back_into_it() {
    let (hosts, mut worker) = with_worker(1).await;
    let manager = &hosts[0];
    let before = manager.cluster().await;
    worker.node.stop().await;
    let old = tokens(manager).await;
    manager.update_authority(rotate).await.unwrap();
    let changed = |view: &ClusterView| {
        let cluster = view.state.cluster().unwrap();
        let mut nodes = view.state.nodes().iter();
        let is_new = |key: &str| key == cluster.issuer().public_key;
        cluster.root_rotation.is_some()
            && nodes.any(|node| is_new(&node.description.tls_info.cert_issuer_public_key))
    };
    manager.sees("the manager's new certificate", changed).await;
    // Meanwhile tokens are good, and a second rotation takes the place of the first.
    let late = Host::start().await;
    late.join(manager, &old.0).await.unwrap();
    let first = manager.cluster().await.root_rotation.unwrap().certificate;
    manager.update_authority(rotate).await.unwrap();
    let second = manager.cluster().await.root_rotation.unwrap().certificate;
    assert_ne!(first, second);
    assert_eq!(manager.cluster().await.root_ca, before.root_ca);
    worker.restart().await;
    let root = before.root_ca.certificate;
    manager
        .sees("all with the second root", |view| has_settled(view, &root))
        .await;
    assert_eq!(manager.cluster().await.root_ca.certificate, second);
    for host in [&hosts[0], &worker, &late] {
        host.node.stop().await;
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_root_of_the_users_own_is_taken_and_a_rotation_called_off_by_bringing_the_root_there_is()
{
    let (hosts, worker) = with_worker(1).await;
    let manager = &hosts[0];
    let own = RootCa::create(SystemTime::now()).unwrap();
    let bring = |ca: &RootCa| {
        let (cert, key) = (ca.cert().pem().to_owned(), ca.key_pem().to_owned());
        move |settings: &mut CaSettings| {
            settings.signing_ca_cert = cert.clone();
            settings.signing_ca_key = key.clone();
        }
    };
    let before = manager.cluster().await.root_ca.certificate;
    manager.update_authority(bring(&own)).await.unwrap();
    manager
        .sees("the user's root", |view| has_settled(view, &before))
        .await;
    let now = manager.cluster().await;
    assert_eq!(now.root_ca.certificate, own.cert().pem());
    let kept = serde_json::to_string(&now.spec).unwrap();
    assert!(
        !kept.contains("CERTIFICATE") && !kept.contains("PRIVATE"),
        "{kept}"
    );

    worker.node.stop().await;
    manager.update_authority(rotate).await.unwrap();
    assert!(manager.cluster().await.root_rotation.is_some());
    manager.update_authority(bring(&own)).await.unwrap();
    assert_eq!(manager.cluster().await.root_rotation, None);
    let worker = start(&worker.folder, &worker.engine).await;
    manager
        .sees("the user's root again", |view| has_settled(view, &before))
        .await;
    worker.stop().await;
    manager.node.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_cannot_be_an_authority_is_refused_and_nothing_is_changed() {
    let hosts = managers(1).await;
    let host = &hosts[0];
    let before = host.cluster().await;
    let now = SystemTime::now();
    let (own, other) = (RootCa::create(now).unwrap(), RootCa::create(now).unwrap());
    let present = before.root_ca.key.to_string();
    let rows: [(&str, &str, &str); 6] = [
        (
            "",
            own.key_pem(),
            "if a signing CA key is provided, the signing CA cert must also be provided",
        ),
        ("rubbish", own.key_pem(), "invalid root certificates: "),
        (own.cert().pem(), "rubbish", "malformed private key: "),
        (
            own.cert().pem(),
            other.key_pem(),
            "certificate key mismatch",
        ),
        (own.cert().pem(), &present, "certificate key mismatch"),
        (
            own.cert().pem(),
            "",
            "there must be at least one valid, reachable external CA corresponding to the desired CA certificate",
        ),
    ];
    for (cert, key, text) in rows {
        let bring = |settings: &mut CaSettings| {
            settings.signing_ca_cert = cert.to_owned();
            settings.signing_ca_key = key.to_owned();
        };
        let refused = host.update_authority(bring).await.unwrap_err();
        assert!(refused.text.starts_with(text), "{refused}");
        assert_eq!(refused.code, Code::InvalidArgument);
    }
    // The same key in another certificate.
    let again = again_of(&before);
    let bring = |settings: &mut CaSettings| {
        settings.signing_ca_cert = again.clone();
        settings.signing_ca_key = present.clone();
    };
    let refused = host.update_authority(bring).await.unwrap_err();
    assert_eq!(
        refused.text,
        "Cannot update to a cert with an identical key"
    );
    let stale = host
        .node
        .update_swarm(1, before.spec.clone(), Rotation::default())
        .await;
    assert_eq!(stale.unwrap_err().text, "update out of sequence");
    assert_eq!(host.cluster().await, before);
    host.node.stop().await;
}

/// Another certificate of the swarm's root's key and name.
fn again_of(cluster: &Cluster) -> String {
    let present = RootCa::from_pem(&cluster.root_ca.certificate, &cluster.root_ca.key).unwrap();
    present.cross_sign(present.cert()).unwrap()
}
