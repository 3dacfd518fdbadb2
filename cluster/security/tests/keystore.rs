//! The keystore, with the crashes and the hands that may touch it.

#![expect(clippy::unwrap_used, reason = "a helper that fails fails its test")]

use std::fs;
use std::os::unix::fs::{MetadataExt as _, PermissionsExt as _};
use std::path::Path;
use std::time::{Duration, SystemTime};
use swarmrs_security::{
    DataKey, Error, Exposed, Keystore, NodeCredentials, PrivateKey, Role, RootCa, Subject,
};
use tempfile::TempDir;

fn credentials(ca: &RootCa) -> NodeCredentials {
    let key = PrivateKey::generate().unwrap();
    let subject = Subject {
        node_id: "node",
        role: Role::Worker,
        cluster_id: "cluster",
    };
    let day = Duration::from_secs(24 * 3600);
    let certificate = ca
        .issue(&key.request().unwrap(), &subject, day, SystemTime::now())
        .unwrap();
    NodeCredentials { certificate, key }
}

fn ca() -> RootCa {
    RootCa::create(SystemTime::now()).unwrap()
}

/// A keystore that holds `credentials`, in a folder that does not exist before.
fn filled(home: &TempDir, credentials: &NodeCredentials) -> Keystore {
    let keystore = Keystore::open(&home.path().join("certificates")).unwrap();
    keystore.save_node(credentials).unwrap();
    keystore
}

fn assert_holds(folder: &Path, expected: &NodeCredentials) {
    let found = Keystore::open(folder).unwrap().node().unwrap().unwrap();
    assert_eq!(found.certificate, expected.certificate);
    assert_eq!(found.key.pem(), expected.key.pem());
    assert!(!folder.join("swarm-node.key.next").exists());
}

fn mode(path: &Path) -> u32 {
    fs::metadata(path).unwrap().mode() & 0o777
}

fn names(folder: &Path) -> Vec<String> {
    let entries = fs::read_dir(folder).unwrap();
    let mut names: Vec<_> = entries
        .map(|entry| entry.unwrap().file_name().into_string().unwrap())
        .collect();
    names.sort();
    names
}

#[test]
fn a_new_keystore_is_empty_and_private() {
    let home = TempDir::new().unwrap();
    let folder = home.path().join("deep/certificates");
    let keystore = Keystore::open(&folder).unwrap();
    assert!(keystore.root().unwrap().is_none());
    assert!(keystore.node().unwrap().is_none());
    assert!(keystore.data_key().unwrap().is_none());
    assert_eq!(mode(&folder), 0o700);
}

#[test]
fn what_is_saved_is_there_after_opening_again() {
    let home = TempDir::new().unwrap();
    let ca = ca();
    let first = credentials(&ca);
    let data_key = DataKey::generate().unwrap();
    let keystore = filled(&home, &first);
    keystore.save_root(ca.cert()).unwrap();
    keystore.save_data_key(&data_key).unwrap();

    let folder = home.path().join("certificates");
    let again = Keystore::open(&folder).unwrap();
    assert_eq!(again.root().unwrap().unwrap().digest(), ca.cert().digest());
    let found = again.data_key().unwrap().unwrap();
    assert_eq!(found.as_bytes(), data_key.as_bytes());
    assert_holds(&folder, &first);

    let second = credentials(&ca);
    again.save_node(&second).unwrap();
    assert_holds(&folder, &second);
}

#[test]
fn the_files_are_these_with_these_bytes_and_permissions() {
    let home = TempDir::new().unwrap();
    let ca = ca();
    let credentials = credentials(&ca);
    let keystore = filled(&home, &credentials);
    keystore.save_root(ca.cert()).unwrap();
    keystore
        .save_data_key(&DataKey::from_bytes([7; 32]))
        .unwrap();

    let folder = home.path().join("certificates");
    let mut data_key = vec![1];
    data_key.extend_from_slice(&[7; 32]);
    let expected: [(&str, u32, &[u8]); 5] = [
        ("format", 0o644, b"swarmrs-keystore 1\n"),
        ("swarm-data.key", 0o600, &data_key),
        (
            "swarm-node.crt",
            0o644,
            credentials.certificate.pem().as_bytes(),
        ),
        ("swarm-node.key", 0o600, credentials.key.pem().as_bytes()),
        ("swarm-root-ca.crt", 0o644, ca.cert().pem().as_bytes()),
    ];
    for (name, permissions, bytes) in expected {
        assert_eq!(fs::read(folder.join(name)).unwrap(), bytes, "{name}");
        assert_eq!(mode(&folder.join(name)), permissions, "{name}");
    }
    assert_eq!(names(&folder), expected.map(|(name, ..)| name));
    assert_eq!(keystore.exposed().unwrap(), []);
}

#[test]
fn a_crash_before_the_certificate_is_replaced_keeps_the_old_pair() {
    let home = TempDir::new().unwrap();
    let ca = ca();
    let (old, new) = (credentials(&ca), credentials(&ca));
    filled(&home, &old);
    let folder = home.path().join("certificates");
    fs::write(folder.join("swarm-node.key.next"), new.key.pem()).unwrap();
    assert_holds(&folder, &old);
}

#[test]
fn a_crash_after_the_certificate_is_replaced_keeps_the_new_pair() {
    let home = TempDir::new().unwrap();
    let ca = ca();
    let (old, new) = (credentials(&ca), credentials(&ca));
    filled(&home, &old);
    let folder = home.path().join("certificates");
    fs::write(folder.join("swarm-node.key.next"), new.key.pem()).unwrap();
    fs::write(folder.join("swarm-node.crt"), new.certificate.pem()).unwrap();
    assert_holds(&folder, &new);
}

#[test]
fn a_crash_of_the_first_save_leaves_nothing_or_all() {
    let ca = ca();
    let new = credentials(&ca);
    for certificate_written in [false, true] {
        let home = TempDir::new().unwrap();
        let folder = home.path().to_owned();
        Keystore::open(&folder).unwrap();
        fs::write(folder.join("swarm-node.key.next"), new.key.pem()).unwrap();
        if certificate_written {
            fs::write(folder.join("swarm-node.crt"), new.certificate.pem()).unwrap();
            assert_holds(&folder, &new);
        } else {
            assert!(Keystore::open(&folder).unwrap().node().unwrap().is_none());
            assert!(!folder.join("swarm-node.key.next").exists());
        }
    }
}

#[test]
fn half_written_secrets_of_a_crash_are_removed() {
    let home = TempDir::new().unwrap();
    let credentials = credentials(&ca());
    filled(&home, &credentials);
    let folder = home.path().join("certificates");
    for name in ["swarm-node.key.next.tmp", "swarm-data.key.tmp"] {
        fs::write(folder.join(name), "half").unwrap();
    }
    assert_holds(&folder, &credentials);
    let expected = ["format", "swarm-node.crt", "swarm-node.key"];
    assert_eq!(names(&folder), expected);
}

#[test]
fn a_key_of_another_certificate_is_neither_saved_nor_read() {
    let home = TempDir::new().unwrap();
    let ca = ca();
    let (ours, other) = (credentials(&ca), credentials(&ca));
    let keystore = filled(&home, &ours);
    let mixed = NodeCredentials {
        key: other.key.clone(),
        ..ours
    };
    assert!(matches!(
        keystore.save_node(&mixed),
        Err(Error::KeyMismatch)
    ));
    let path = home.path().join("certificates/swarm-node.key");
    fs::write(path, other.key.pem()).unwrap();
    assert!(matches!(keystore.node(), Err(Error::KeyMismatch)));
}

#[test]
fn a_newer_format_is_refused_by_name_and_left_alone() {
    let home = TempDir::new().unwrap();
    let folder = home.path().join("certificates");
    filled(&home, &credentials(&ca()));
    fs::write(folder.join("format"), "swarmrs-keystore 2\n").unwrap();
    fs::write(folder.join("swarm-node.key.next"), "not ours to touch").unwrap();
    let refusal = Keystore::open(&folder).unwrap_err().to_string();
    let name = folder.display();
    assert_eq!(
        refusal,
        format!("keystore {name} has format 2, this release knows up to 1")
    );
    assert!(folder.join("swarm-node.key.next").exists());
}

#[test]
fn a_newer_data_key_is_refused_by_name() {
    let home = TempDir::new().unwrap();
    let keystore = Keystore::open(home.path()).unwrap();
    let path = home.path().join("swarm-data.key");
    fs::write(&path, [&[2][..], &[0; 72]].concat()).unwrap();
    let refusal = keystore.data_key().unwrap_err().to_string();
    let name = path.display();
    assert_eq!(
        refusal,
        format!("{name} has format 2, this release knows up to 1")
    );
}

#[test]
fn damage_is_named_and_never_taken_for_absence() {
    let home = TempDir::new().unwrap();
    let keystore = Keystore::open(home.path()).unwrap();
    for bytes in [&[][..], &[1], &[1; 32], &[0; 33]] {
        fs::write(home.path().join("swarm-data.key"), bytes).unwrap();
        let refusal = keystore.data_key();
        assert!(matches!(refusal, Err(Error::Damaged { .. })), "{bytes:?}");
    }
    fs::write(home.path().join("swarm-node.key"), "").unwrap();
    fs::write(home.path().join("swarm-node.crt"), [0xff]).unwrap();
    assert!(matches!(keystore.node(), Err(Error::Damaged { .. })));
    fs::write(home.path().join("format"), "").unwrap();
    let refusal = Keystore::open(home.path());
    assert!(matches!(refusal, Err(Error::Damaged { .. })));
    fs::remove_file(home.path().join("format")).unwrap();
    let refusal = Keystore::open(home.path());
    assert!(matches!(refusal, Err(Error::Damaged { .. })));
}

#[test]
fn a_secret_that_others_can_read_is_reported() {
    let home = TempDir::new().unwrap();
    let keystore = filled(&home, &credentials(&ca()));
    let path = home.path().join("certificates/swarm-node.key");
    fs::set_permissions(&path, fs::Permissions::from_mode(0o640)).unwrap();
    let expected = Exposed { path, mode: 0o640 };
    assert_eq!(keystore.exposed().unwrap(), [expected]);
}

#[test]
fn erasing_leaves_no_folder() {
    let home = TempDir::new().unwrap();
    let keystore = filled(&home, &credentials(&ca()));
    keystore
        .save_data_key(&DataKey::generate().unwrap())
        .unwrap();
    keystore.erase().unwrap();
    assert_eq!(names(home.path()), [""; 0]);
}
