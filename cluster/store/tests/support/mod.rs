//! Commands to propose and folders to open, for all suites.

#![allow(dead_code, reason = "each suite uses a part")]
#![allow(clippy::unwrap_used, reason = "a test that cannot go on has failed")]

pub mod cluster;
pub mod disk;
pub mod writer;

use std::path::Path;
use std::time::{Duration, Instant};
use swarmrs_core::{Change, Command, Expect, Object, State};
use swarmrs_security::{DataKey, Sealer};
use swarmrs_store::{Config, Store};
use swarmrs_types::object::{Meta, Network, Unknown};
use swarmrs_types::spec::NetworkSpec;
use swarmrs_types::{ClusterTime, NetworkId, Timestamp};

pub fn config(folder: &Path) -> Config {
    let sealer = Sealer::new(&DataKey::from_bytes([7; DataKey::LEN]));
    Config::new(folder, 1, "127.0.0.1:2377", sealer)
}

pub async fn open(folder: &Path) -> Store {
    Store::open(config(folder)).await.expect("opens")
}

/// A new cluster of one.
pub async fn fresh(config: Config) -> Store {
    let store = Store::open(config).await.expect("opens");
    store.initialize().await.expect("initializes");
    store
}

/// Creates the network number `number`; rejected if it is there.
pub fn create(number: u64) -> Command {
    create_named(number, format!("net{number}"))
}

pub fn create_named(number: u64, name: String) -> Command {
    let network = Network {
        id: id(number),
        meta: Meta::default(),
        spec: NetworkSpec {
            name,
            driver: "overlay".to_owned(),
            ..NetworkSpec::default()
        },
        segments: Vec::new(),
        unknown: Unknown::new(),
    };
    Command {
        time: ClusterTime(number),
        wall: Timestamp::from_unix_nanos(1),
        guards: Vec::new(),
        changes: vec![Change::Put {
            object: Object::Network(network.into()),
            expect: Expect::Absent,
        }],
    }
}

pub fn id(number: u64) -> NetworkId {
    format!("{number:025}").parse().expect("is an id")
}

/// The networks there are: number and version.
pub fn networks(state: &State) -> Vec<(u64, u64)> {
    let number = |id: &NetworkId| id.as_str().parse().expect("is a number");
    let all = state.networks().iter();
    all.map(|network| (number(&network.id), network.meta.version))
        .collect()
}

/// Waits until `condition` holds.
pub async fn eventually(what: &str, condition: impl Fn() -> bool) {
    let deadline = Instant::now() + Duration::from_secs(20);
    while !condition() {
        assert!(Instant::now() < deadline, "never: {what}");
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
}

/// The names in a folder, in order.
pub fn names(folder: &Path) -> Vec<String> {
    let entries = std::fs::read_dir(folder).expect("is a folder");
    let name = |entry: std::io::Result<std::fs::DirEntry>| {
        let entry = entry.expect("can be read");
        entry.file_name().to_string_lossy().into_owned()
    };
    let mut names: Vec<String> = entries.map(name).collect();
    names.sort();
    names
}
