//! Managers whose address to listen on is not to be had: what they say meanwhile, and what brings them back.
#![expect(clippy::unwrap_used, reason = "a test that cannot go on has failed")]

mod support;

use std::net::TcpListener;
use support::host::{Host, PATIENCE, start, tokens};
use support::{service, until};
use swarmrs_node::SwarmState;
use swarmrs_types::spec::{EncryptionSettings, InitRequest, SwarmSpec};

fn request(listen: &str) -> InitRequest {
    InitRequest {
        listen_addr: listen.to_owned(),
        advertise_addr: listen.to_owned(),
        ..InitRequest::default()
    }
}

/// Starts the node again while somebody else has its port.
async fn restart_without_port(host: &mut Host) -> TcpListener {
    host.node.stop().await;
    let taken = TcpListener::bind(&host.addr).unwrap();
    host.node = start(&host.folder, &host.engine).await;
    taken
}

fn is_unbound(host: &Host) -> bool {
    let standing = host.node.standing();
    let why = format!("cannot listen on {}", host.addr);
    standing.state == SwarmState::Error && standing.error.contains(&why)
}

async fn until_it_shows(host: &Host, name: &str) {
    let active = || host.node.standing().state == SwarmState::Active;
    until("a manager that is heard", PATIENCE, active).await;
    let view = host.node.view().await.unwrap();
    let mut services = view.state.services().iter();
    assert!(services.any(|service| service.name == name));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_manager_without_its_port_says_so_and_goes_on_once_it_has_it() {
    let mut host = Host::start().await;
    host.init().await;
    let web = service("web", 1);
    host.node.create_service(web, None).await.unwrap();
    let taken = restart_without_port(&mut host).await;
    assert!(is_unbound(&host), "{:?}", host.node.standing());
    let fault = host.node.view().await.unwrap_err();
    assert!(fault.text.contains(&host.addr), "{fault}");
    drop(taken);
    until_it_shows(&host, "web").await;
    host.node.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn one_whose_address_does_not_come_back_is_forced_to_another() {
    let mut host = Host::start().await;
    host.init().await;
    let web = service("web", 1);
    host.node.create_service(web, None).await.unwrap();
    let _taken = restart_without_port(&mut host).await;
    let elsewhere = Host::start().await.addr;
    let forced = InitRequest {
        force_new_cluster: true,
        ..request(&elsewhere)
    };
    host.node.init(forced).await.unwrap();
    until_it_shows(&host, "web").await;
    host.node.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn one_that_was_unlocked_asks_for_the_key_no_second_time() {
    let mut host = Host::start().await;
    let locked = InitRequest {
        spec: SwarmSpec {
            encryption_config: EncryptionSettings {
                auto_lock_managers: true,
            },
            ..SwarmSpec::default()
        },
        ..request(&host.addr)
    };
    host.node.init(locked).await.unwrap();
    let web = service("web", 1);
    host.node.create_service(web, None).await.unwrap();
    let key = host.cluster().await.unlock_key.unwrap();
    let taken = restart_without_port(&mut host).await;
    assert_eq!(host.node.standing().state, SwarmState::Locked);
    let fault = host.node.unlock(&key).await.unwrap_err();
    assert!(fault.text.contains("cannot listen on"), "{fault}");
    assert!(is_unbound(&host), "{:?}", host.node.standing());
    drop(taken);
    until_it_shows(&host, "web").await;
    host.node.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_manager_that_cannot_be_heard_does_not_join_and_leaves_nothing_behind() {
    let first = Host::start().await;
    first.init().await;
    let (_, token) = tokens(&first).await;
    let second = Host::start().await;
    let _taken = TcpListener::bind(&second.addr).unwrap();
    let fault = second.join(&first, &token).await.unwrap_err();
    let why = format!("cannot listen on {}", second.addr);
    assert!(fault.text.contains(&why), "{fault}");
    assert_eq!(second.node.standing().state, SwarmState::Inactive);
    let one = |view: &swarmrs_node::ClusterView| view.state.nodes().len() == 1;
    first.sees("no trace of the newcomer", one).await;
    for host in [first, second] {
        host.node.stop().await;
    }
}
