//! Certificates that are issued outside of the swarm.
#![expect(clippy::unwrap_used, reason = "a test that cannot go on has failed")]

mod support;

use std::time::SystemTime;
use support::host::{Host, PATIENCE, managers, tokens};
use support::outside::{Outside, free_port, url};
use swarmrs_node::{ClusterView, SwarmState};
use swarmrs_security::RootCa;
use swarmrs_types::spec::{CaSettings, ExternalCa};
use tokio::net::TcpListener;
use tokio::time::timeout;

fn external(url: &str, root: &str) -> ExternalCa {
    ExternalCa {
        protocol: "cfssl".to_owned(),
        url: url.to_owned(),
        ca_cert: root.to_owned(),
        ..ExternalCa::default()
    }
}

fn root_is(root: &str) -> impl Fn(&ClusterView) -> bool + '_ {
    move |view| {
        let cluster = view.state.cluster().unwrap();
        let mut nodes = view.state.nodes().iter();
        cluster.root_ca.certificate == root
            && cluster.root_rotation.is_none()
            && nodes.all(|node| node.description.tls_info.trust_root == root)
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn who_joins_waits_for_an_authority_that_does_not_answer_and_leaves_nothing_behind() {
    let hosts = managers(1).await;
    let manager = &hosts[0];
    let now = manager.cluster().await;
    let ca = RootCa::from_pem(&now.root_ca.certificate, &now.root_ca.key).unwrap();
    let silent = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let port = silent.local_addr().unwrap().port();
    // With the swarm's own key at hand it need not answer yet, as with Docker.
    manager
        .update_authority(|ca| ca.external_cas = vec![external(&url(port), "")])
        .await
        .unwrap();
    assert_eq!(
        manager.cluster().await.spec.ca_config.external_cas[0].ca_cert,
        ca.cert().pem()
    );
    let (token, _) = tokens(manager).await;
    let worker = std::sync::Arc::new(Host::start().await);
    let joining = tokio::spawn({
        let (worker, through) = (worker.clone(), manager.addr.clone());
        async move { worker.join_at(&through, &token).await }
    });
    // It hangs up; that it is asked again says that the newcomer was told to wait.
    for _ in 0..2 {
        drop(timeout(PATIENCE, silent.accept()).await.unwrap().unwrap());
    }
    assert_eq!(worker.node.standing().state, SwarmState::Pending);
    assert_eq!(manager.node.view().await.unwrap().state.nodes().len(), 1);
    drop(silent);
    let outside = Outside::start(&ca, ca.cert().pem(), port);
    joining.await.unwrap().unwrap();
    assert_eq!(*outside.asked.lock().unwrap(), ["swarm-worker"]);
    assert_eq!(manager.node.view().await.unwrap().state.nodes().len(), 2);
    worker.node.stop().await;
    manager.node.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_authority_outside_takes_the_swarms_place_and_gives_it_back() {
    let hosts = managers(2).await;
    let manager = &hosts[0];
    let (token, _) = tokens(manager).await;
    let worker = Host::start().await;
    worker.join(manager, &token).await.unwrap();
    let inside = manager.cluster().await.root_ca.certificate;
    let own = RootCa::create(SystemTime::now()).unwrap();
    let root = own.cert().pem().to_owned();
    let outside = Outside::start(&own, &format!("{inside}{root}"), free_port());
    let ask = |settings: &mut CaSettings| {
        settings.signing_ca_cert = root.clone();
        settings.external_cas = vec![external(&outside.url, &root)];
    };
    manager.update_authority(ask).await.unwrap();
    manager.sees("the root outside", root_is(&root)).await;
    assert!(manager.cluster().await.root_ca.key.is_empty());
    let mut asked = outside.asked.lock().unwrap().clone();
    asked.sort();
    assert_eq!(asked, ["swarm-manager", "swarm-manager", "swarm-worker"]);

    // Without its key nothing goes without the one outside.
    let refused = manager
        .update_authority(|ca| ca.external_cas.clear())
        .await
        .unwrap_err();
    let text = "there must be at least one valid, reachable external CA corresponding to the current CA certificate";
    assert_eq!(refused.text, text);
    let another = RootCa::create(SystemTime::now())
        .unwrap()
        .cert()
        .pem()
        .to_owned();
    let ask = |settings: &mut CaSettings| {
        settings.signing_ca_cert = another.clone();
        settings
            .external_cas
            .push(external("https://localhost:9/", &another));
    };
    let refused = manager.update_authority(ask).await.unwrap_err();
    assert!(
        refused
            .text
            .ends_with("corresponding to the desired CA certificate"),
        "{refused}"
    );

    // A root of the swarm's own again, which the one outside certifies.
    manager
        .update_authority(|ca| ca.force_rotate += 1)
        .await
        .unwrap();
    assert!(
        outside
            .asked
            .lock()
            .unwrap()
            .iter()
            .any(|unit| unit == "CA")
    );
    let next = manager.cluster().await.root_rotation.unwrap().certificate;
    manager.sees("the swarm's own root", root_is(&next)).await;
    assert!(!manager.cluster().await.root_ca.key.is_empty());
    manager
        .update_authority(|ca| ca.external_cas.clear())
        .await
        .unwrap();
    for host in hosts.iter().chain([&worker]) {
        host.node.stop().await;
    }
}
