//! Locked managers, and what a crash can leave between the agreement and the disk.
#![expect(clippy::unwrap_used, reason = "a test that cannot go on has failed")]

use std::fs;
use std::path::{Path, PathBuf};
use swarmrs_engine::Engine;
use swarmrs_node::{Config, Node, Rotation, SwarmState};
use swarmrs_types::Code;
use swarmrs_types::spec::{EncryptionSettings, InitRequest, SwarmSpec};
use tempfile::TempDir;

async fn start(folder: &Path) -> Node {
    let config = Config::new(folder);
    let engine = Engine::connect(&folder.join("no-engine.sock"));
    Node::start(config, engine).await.unwrap()
}

fn init_request(locked: bool) -> InitRequest {
    InitRequest {
        listen_addr: "127.0.0.1:0".to_owned(),
        advertise_addr: "127.0.0.1".to_owned(),
        auto_lock_managers: locked,
        spec: SwarmSpec {
            encryption_config: EncryptionSettings {
                auto_lock_managers: locked,
            },
            ..SwarmSpec::default()
        },
        ..InitRequest::default()
    }
}

async fn unlock_key(node: &Node) -> Option<String> {
    let state = node.view().await.unwrap().state;
    let key = &state.cluster().unwrap().unlock_key;
    key.as_deref().map(str::to_owned)
}

/// Locks or opens the swarm, and gives the unlock key there is then.
async fn relock(node: &Node, locked: bool, rotate: bool) -> Option<String> {
    let cluster = node.view().await.unwrap().state.cluster().unwrap().clone();
    let mut spec = cluster.spec.clone();
    spec.encryption_config.auto_lock_managers = locked;
    let rotation = Rotation {
        unlock_key: rotate,
        ..Rotation::default()
    };
    let version = cluster.meta.version;
    node.update_swarm(version, spec, rotation).await.unwrap();
    unlock_key(node).await
}

fn data_key(folder: &Path) -> PathBuf {
    folder.join("swarm/certificates/swarm-data.key")
}

async fn restart(node: Node, folder: &Path) -> Node {
    node.stop().await;
    start(folder).await
}

#[tokio::test]
async fn a_locked_node_waits_for_its_key_and_for_no_other() {
    let folder = TempDir::new().unwrap();
    let node = start(folder.path()).await;
    let id = node.init(init_request(true)).await.unwrap();
    let key = unlock_key(&node).await.unwrap();
    let fault = node.unlock(&key).await.unwrap_err();
    assert_eq!(fault.code, Code::AlreadyExists);
    assert_eq!(fault.text, "swarm is not locked");

    let node = restart(node, folder.path()).await;
    let locked = "Swarm is encrypted and needs to be unlocked before it can be used. Please use \
                  \"docker swarm unlock\" to unlock it.";
    let standing = node.standing();
    assert_eq!((standing.state, standing.node), (SwarmState::Locked, None));
    assert_eq!(standing.error, locked);
    let fault = node.view().await.unwrap_err();
    assert_eq!((fault.code, &*fault.text), (Code::Unavailable, locked));
    let other = format!("SWMKEY-1-{}", "A".repeat(43));
    let rows = [
        ("x", Code::InvalidArgument, "invalid key string"),
        (
            "SWMKEY-1-AAAA",
            Code::Unauthenticated,
            "swarm could not be unlocked: invalid key provided",
        ),
        (
            &other,
            Code::Unauthenticated,
            "swarm could not be unlocked: invalid key provided",
        ),
    ];
    for (key, code, text) in rows {
        let fault = node.unlock(key).await.unwrap_err();
        assert_eq!((fault.code, &*fault.text), (code, text), "{key}");
        assert_eq!(node.standing().state, SwarmState::Locked);
    }
    let fault = node.leave(false).await.unwrap_err();
    assert_eq!(
        fault.text,
        "Swarm is encrypted and locked. Please unlock it first or use `--force` to ignore this message."
    );
    node.unlock(&key).await.unwrap();
    assert_eq!(node.standing().node, Some(id));
    assert_eq!(unlock_key(&node).await, Some(key));
    node.stop().await;
}

/// The entry is in the log, the disk is as it was: each change of the lock, cut off in between.
#[tokio::test]
async fn a_crash_between_agreement_and_disk_is_healed_by_the_next_start() {
    let folder = TempDir::new().unwrap();
    let file = data_key(folder.path());
    let mut node = start(folder.path()).await;
    node.init(init_request(false)).await.unwrap();
    let mut in_force: Option<String> = None;
    for (locked, rotate) in [(true, false), (true, true), (false, false)] {
        let before = fs::read(&file).unwrap();
        let agreed = relock(&node, locked, rotate).await;
        assert_ne!(agreed, in_force);
        assert_ne!(fs::read(&file).unwrap(), before, "in force when answered");
        node.stop().await;
        fs::write(&file, &before).unwrap();

        node = start(folder.path()).await;
        if let Some(old) = &in_force {
            assert_eq!(node.standing().state, SwarmState::Locked);
            node.unlock(old).await.unwrap();
        }
        assert_eq!(unlock_key(&node).await, agreed);
        node = restart(node, folder.path()).await;
        if let Some(old) = &in_force
            && agreed.is_some()
        {
            let fault = node.unlock(old).await.unwrap_err();
            assert_eq!(fault.code, Code::Unauthenticated);
        }
        if let Some(new) = &agreed {
            assert_eq!(node.standing().state, SwarmState::Locked);
            node.unlock(new).await.unwrap();
        }
        assert_eq!(node.standing().state, SwarmState::Active);
        in_force = agreed;
    }
    node.stop().await;
}

fn forced(request: InitRequest) -> InitRequest {
    InitRequest {
        force_new_cluster: true,
        ..request
    }
}

#[tokio::test]
async fn a_forced_cluster_keeps_everything_but_the_address() {
    let folder = TempDir::new().unwrap();
    let node = start(folder.path()).await;
    let id = node.init(init_request(true)).await.unwrap();
    let key = unlock_key(&node).await;
    let before = node.view().await.unwrap().state;
    let mut elsewhere = forced(init_request(true));
    elsewhere.advertise_addr = "127.0.0.2:4000".to_owned();
    let node_again = node.init(elsewhere).await.unwrap();
    assert_eq!(node_again, id);
    let after = node.view().await.unwrap().state;
    assert_eq!(after.cluster(), before.cluster());
    let own = after.nodes().get(&id).unwrap();
    assert_eq!(own.manager_addr.as_deref(), Some("127.0.0.2:4000"));
    assert_eq!(own.status.addr, "127.0.0.2");

    let node = restart(node, folder.path()).await;
    node.unlock(&key.unwrap()).await.unwrap();
    assert_eq!(node.standing().addr, "127.0.0.2");
    node.stop().await;
}

#[tokio::test]
async fn a_force_that_cannot_be_done_changes_nothing() {
    let folder = TempDir::new().unwrap();
    let node = start(folder.path()).await;
    let id = node.init(init_request(false)).await.unwrap();
    let before = node.view().await.unwrap().state;
    let taken = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let mut busy = forced(init_request(false));
    busy.listen_addr = taken.local_addr().unwrap().to_string();
    let fault = node.init(busy).await.unwrap_err();
    assert!(
        fault.text.to_lowercase().contains("address already in use"),
        "{fault}"
    );
    let mut nowhere = forced(init_request(false));
    nowhere.advertise_addr = "0.0.0.0".to_owned();
    let fault = node.init(nowhere).await.unwrap_err();
    assert_eq!(fault.code, Code::InvalidArgument);
    assert_eq!(node.standing().node, Some(id));
    let after = node.view().await.unwrap().state;
    assert_eq!(after.cluster(), before.cluster());
    assert_eq!(after.nodes().get(&id), before.nodes().get(&id));
    node.stop().await;
}

#[tokio::test]
async fn a_locked_node_cannot_be_forced() {
    let folder = TempDir::new().unwrap();
    let node = start(folder.path()).await;
    node.init(init_request(true)).await.unwrap();
    let node = restart(node, folder.path()).await;
    let fault = node.init(forced(init_request(true))).await.unwrap_err();
    assert!(
        fault
            .text
            .starts_with("This node is not a swarm manager. Worker nodes"),
        "{fault}"
    );
    let fault = node.init(init_request(true)).await.unwrap_err();
    assert!(
        fault
            .text
            .starts_with("This node is already part of a swarm.")
    );
    assert_eq!(node.standing().state, SwarmState::Locked);
    node.stop().await;
}
