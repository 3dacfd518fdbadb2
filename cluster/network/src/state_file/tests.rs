//! The files' bytes, and what else may be found in their place.

use super::*;
use crate::driver::book::Record;
use crate::port::{BoundPort, HostPort};
use swarmrs_types::endpoint::Peer;
use swarmrs_types::spec::Protocol;

fn folder() -> (tempfile::TempDir, StateFolder) {
    let root = tempfile::tempdir().unwrap();
    let folder = StateFolder::at(root.path().join("network")).unwrap();
    (root, folder)
}

fn saved() -> Saved {
    let network = "n000000000000000000000001".parse().unwrap();
    let address = "10.0.1.5".parse().unwrap();
    let node = "0123456789abcdefghijklmno".parse().unwrap();
    let wanted = HostPort {
        protocol: Protocol::Tcp,
        port: 80,
        host_ip: None,
        host_port: 8080,
        host_port_end: 8080,
    };
    let bound = BoundPort {
        network,
        address,
        protocol: Protocol::Tcp,
        port: 80,
        host_ip: None,
        host_port: 8080,
    };
    let record = Record {
        engine_network: "e1".to_owned(),
        network,
        address,
        sandbox: Some("/run/docker/netns/0".to_owned()),
        routes: Vec::new(),
        wanted: vec![wanted],
        bound: vec![bound],
    };
    Saved {
        settings: Some(Settings {
            node,
            data_path: "192.0.2.1".parse().unwrap(),
            data_path_port: 4789,
        }),
        facts: vec![Fact::Peer(Peer {
            node,
            index: 1,
            data_path: "192.0.2.1".parse().unwrap(),
            ingress: Some("10.0.0.2/24".parse().unwrap()),
        })],
        book: Book {
            networks: [("e1".to_owned(), network)].into(),
            endpoints: [("p1".to_owned(), record)].into(),
        },
    }
}

fn save_all(folder: &StateFolder) {
    let saved = saved();
    folder
        .save_facts(saved.settings.as_ref(), &saved.facts)
        .unwrap();
    folder.save_book(&saved.book, true).unwrap();
}

#[test]
fn the_bytes_of_both_files_are_fixed_and_read_back() {
    let (_root, folder) = folder();
    save_all(&folder);
    assert_eq!(
        fs::read_to_string(folder.facts()).unwrap(),
        "{\"version\":1,\"settings\":{\"node\":\"0123456789abcdefghijklmno\",\"data_path\":\"192.0.2.1\",\
         \"data_path_port\":4789},\"facts\":[{\"peer\":{\"node\":\"0123456789abcdefghijklmno\",\"index\":1,\
         \"data_path\":\"192.0.2.1\",\"ingress\":\"10.0.0.2/24\"}}],\
         \"sum\":\"31bd0f04d1534dcc5b0c9ee7d50c0b1cfba11ff5303ca2a25127a589d7ebda03\"}"
    );
    assert_eq!(
        fs::read_to_string(folder.book()).unwrap(),
        "{\"version\":1,\"networks\":{\"e1\":\"n000000000000000000000001\"},\"endpoints\":{\"p1\":{\
         \"engine_network\":\"e1\",\"network\":\"n000000000000000000000001\",\"address\":\"10.0.1.5\",\
         \"sandbox\":\"/run/docker/netns/0\",\"wanted\":[{\"protocol\":\"tcp\",\"port\":80,\"host_ip\":null,\
         \"host_port\":8080,\"host_port_end\":8080}],\"bound\":[{\"network\":\"n000000000000000000000001\",\
         \"address\":\"10.0.1.5\",\"protocol\":\"tcp\",\"port\":80,\"host_ip\":null,\"host_port\":8080}]}},\
         \"sum\":\"864f6395a5c6b0edf8d59070d523c650502f6b1ab767569d70690698ba76e836\"}"
    );
    assert_eq!(folder.load().unwrap(), saved());
}

#[test]
fn a_folder_without_files_is_a_fresh_start() {
    let (_root, folder) = folder();
    assert_eq!(folder.load().unwrap(), Saved::default());
}

#[test]
fn a_file_of_a_newer_release_and_half_a_file_are_named() {
    let (_root, folder) = folder();
    fs::write(folder.facts(), br#"{"version":2,"else":1}"#).unwrap();
    let error = folder.load().unwrap_err();
    assert!(
        matches!(error, StateError::Newer { found: 2, .. }),
        "{error}"
    );
    assert!(error.to_string().contains("facts.json"), "{error}");
    fs::write(folder.facts(), br#"{"version":1,"sett"#).unwrap();
    let error = folder.load().unwrap_err();
    assert!(matches!(error, StateError::Damaged { .. }), "{error}");
}

#[test]
fn a_changed_byte_is_refused_or_changes_nothing_and_files_without_a_sum_are_read() {
    let (_root, folder) = folder();
    save_all(&folder);
    for file in [folder.facts(), folder.book()] {
        let good = fs::read(&file).unwrap();
        for at in 0..good.len() {
            let mut bad = good.clone();
            bad[at] ^= 1 << (at % 8);
            fs::write(&file, &bad).unwrap();
            match folder.load() {
                Ok(found) => assert_eq!(found, saved(), "byte {at}"),
                Err(error) => assert!(
                    error.to_string().contains(file.to_str().unwrap()),
                    "{error}"
                ),
            }
        }
        let whole = String::from_utf8(good).unwrap();
        let (without, _) = whole.split_once(",\"sum\"").unwrap();
        fs::write(&file, format!("{without}}}")).unwrap();
        assert_eq!(folder.load().unwrap(), saved());
    }
}

#[test]
fn clearing_removes_our_files_and_the_empty_folder() {
    let (root, folder) = folder();
    save_all(&folder);
    folder.clear().unwrap();
    assert!(!root.path().join("network").exists());
    folder.clear().unwrap();
}
