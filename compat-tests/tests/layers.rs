//! Who may import whom: the house's table, compared with what cargo says.
//!
//! The table changes only together with the architecture's own.
#![allow(clippy::unwrap_used, reason = "a test that cannot go on has failed")]

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;
use std::process::Command;

use serde_json::Value;

/// Each crate's folder and the crates of ours that it may import.
const MAY_IMPORT: [(&str, &[&str]); 13] = [
    ("cluster/types", &[]),
    ("cluster/template", &["types"]),
    ("cluster/core", &["types", "template"]),
    ("cluster/security", &["types"]),
    ("cluster/rpc", &["types", "security"]),
    ("cluster/store", &["types", "core", "security", "rpc"]),
    ("cluster/engine", &["types"]),
    ("cluster/network", &["types"]),
    (
        "cluster/agent",
        &["types", "template", "rpc", "engine", "network"],
    ),
    (
        "cluster/node",
        &[
            "types", "template", "core", "security", "rpc", "store", "engine", "network", "agent",
        ],
    ),
    ("apiproxy", &["types", "core", "engine", "node"]),
    ("plugin", &["types", "engine"]),
    ("compat-tests", &["types", "core", "engine"]),
];

/// Crates of others that only some of ours may name, and those.
const ONLY_NAMED_BY: [(&[&str], &[&str]); 8] = [
    (&["rcgen", "x509-parser", "crypto_secretbox"], &["security"]),
    (&["h2"], &["rpc"]),
    (&["rustls", "tokio-rustls"], &["rpc", "apiproxy"]),
    (&["openraft", "redb", "sled"], &["store"]),
    (&["bollard", "bollard-stubs"], &["engine"]),
    (
        &[
            "rtnetlink",
            "netlink-packet-route",
            "nftables",
            "hickory-server",
            "hickory-proto",
        ],
        &["network"],
    ),
    (&["comfy-table", "indicatif", "ratatui"], &["plugin"]),
    (&["anyhow", "clap"], &["apiproxy", "plugin", "compat-tests"]),
];

/// What the pure crates may not name in code that ships: a runtime, a clock, randomness, the operating system.
const IMPURE: [&str; 10] = [
    "tokio",
    "hyper",
    "nix",
    "libc",
    "getrandom",
    "rand",
    "chrono",
    "rustix",
    "socket2",
    "tempfile",
];
const PURE: [&str; 3] = ["types", "template", "core"];

/// A crate's direct imports: name and kind (`null` for ordinary ones).
type Imports = BTreeMap<String, Vec<(String, Option<String>)>>;

fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR")).parent().unwrap()
}

fn short(name: &str) -> String {
    name.strip_prefix("swarmrs-")
        .unwrap_or(name)
        .replace("docker-swarmrs", "plugin")
}

fn packages() -> Vec<Value> {
    let output = Command::new(env!("CARGO"))
        .args([
            "metadata",
            "--no-deps",
            "--offline",
            "--format-version",
            "1",
        ])
        .current_dir(root())
        .output()
        .unwrap();
    assert!(
        output.status.success(),
        "{}",
        String::from_utf8_lossy(&output.stderr)
    );
    let metadata: Value = serde_json::from_slice(&output.stdout).unwrap();
    metadata["packages"].as_array().unwrap().clone()
}

fn imports() -> Imports {
    let text = |value: &Value| value.as_str().map(str::to_owned);
    let imports = |package: &Value| {
        let list = package["dependencies"].as_array().unwrap().iter();
        list.map(|import| (text(&import["name"]).unwrap(), text(&import["kind"])))
            .collect()
    };
    packages()
        .iter()
        .map(|package| (short(package["name"].as_str().unwrap()), imports(package)))
        .collect()
}

fn table() -> BTreeMap<&'static str, BTreeSet<&'static str>> {
    let crate_of = |folder: &'static str| folder.rsplit('/').next().unwrap();
    MAY_IMPORT
        .iter()
        .map(|(folder, may)| (crate_of(folder), may.iter().copied().collect()))
        .collect()
}

#[test]
fn a_crate_imports_only_what_its_layer_may() {
    let (table, mut broken) = (table(), Vec::new());
    for (name, imports) in imports() {
        let ours = imports
            .iter()
            .filter(|(import, _)| import.starts_with("swarmrs-"));
        for (import, _) in ours {
            if !table
                .get(name.as_str())
                .is_some_and(|may| may.contains(short(import).as_str()))
            {
                broken.push(format!("{name} imports {import}"));
            }
        }
    }
    assert!(
        broken.is_empty(),
        "against the table:\n{}",
        broken.join("\n")
    );
}

#[test]
fn a_crate_of_others_is_named_only_where_it_belongs() {
    let mut broken = Vec::new();
    for (name, imports) in imports() {
        for (import, _) in imports {
            let rule = ONLY_NAMED_BY
                .iter()
                .find(|(crates, _)| crates.contains(&import.as_str()));
            if rule.is_some_and(|(_, homes)| !homes.contains(&name.as_str())) {
                broken.push(format!("{name} names {import}"));
            }
        }
    }
    assert!(
        broken.is_empty(),
        "against the table:\n{}",
        broken.join("\n")
    );
}

#[test]
fn the_pure_crates_name_nothing_impure() {
    let imports = imports();
    for name in PURE {
        let shipped = imports[name]
            .iter()
            .filter(|(_, kind)| kind.as_deref() != Some("dev"));
        let impure: Vec<&String> = shipped
            .map(|(import, _)| import)
            .filter(|import| IMPURE.contains(&import.as_str()))
            .collect();
        assert!(impure.is_empty(), "{name} names {impure:?}");
    }
}

#[test]
fn every_crate_is_in_the_table_and_in_its_folder() {
    let folder = |package: &Value| {
        let manifest = Path::new(package["manifest_path"].as_str().unwrap())
            .parent()
            .unwrap()
            .to_owned();
        manifest
            .strip_prefix(root())
            .unwrap()
            .to_string_lossy()
            .into_owned()
    };
    let found: BTreeMap<String, String> = packages()
        .iter()
        .map(|package| (folder(package), short(package["name"].as_str().unwrap())))
        .collect();
    let crate_of = |folder: &str| folder.rsplit('/').next().unwrap().to_owned();
    let expected: BTreeMap<String, String> = MAY_IMPORT
        .iter()
        .map(|(folder, _)| ((*folder).to_owned(), crate_of(folder)))
        .collect();
    assert_eq!(found, expected);
}
