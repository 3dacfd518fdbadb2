//! The keystore, with the crashes and the hands that may touch it.

#![expect(clippy::unwrap_used, reason = "a helper that fails fails its test")]

use std::fs;
use std::os::unix::fs::{MetadataExt as _, PermissionsExt as _};
use std::path::Path;
use std::time::{Duration, SystemTime};
use swarmrs_security::{
    DataKey, Error, Exposed, Keys, Keystore, Lock, NodeCredentials, PrivateKey, Role, RootCa,
    Sealer, Subject, UnlockKey,
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
fn filled(home: &TempDir, credentials: &NodeCredentials) -> Keys {
    let keystore = Keystore::open(&home.path().join("certificates")).unwrap();
    let keys = keystore.create_keys(Lock::default()).unwrap();
    keys.save_node(credentials).unwrap();
    keys
}

fn opened(folder: &Path) -> Keys {
    Keystore::open(folder).unwrap().unlock(None).unwrap()
}

/// Lays a private key as a replacement that a crash cut short left it.
fn lay_next(keys: &Keys, folder: &Path, key: &PrivateKey) {
    let sealed = keys.sealer().seal(key.pem().as_bytes()).unwrap();
    fs::write(folder.join("swarm-node.key.next"), sealed).unwrap();
}

fn locked(byte: u8, agreed_at: u64) -> Lock {
    Lock {
        key: Some(unlock_key(byte)),
        agreed_at,
    }
}

fn unlock_key(byte: u8) -> UnlockKey {
    UnlockKey::from_bytes([byte; 32])
}

fn assert_holds(folder: &Path, expected: &NodeCredentials) {
    let found = opened(folder).node().unwrap().unwrap();
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
    assert!(!keystore.is_locked().unwrap());
    assert!(matches!(keystore.unlock(None), Err(Error::Damaged { .. })));
    assert_eq!(mode(&folder), 0o700);
    let keys = keystore.create_keys(Lock::default()).unwrap();
    assert!(keys.node().unwrap().is_none());
}

#[test]
fn what_is_saved_is_there_after_opening_again() {
    let home = TempDir::new().unwrap();
    let ca = ca();
    let first = credentials(&ca);
    let keys = filled(&home, &first);
    keys.keystore().save_root(ca.cert()).unwrap();
    let sealed = keys.sealer().seal(b"log").unwrap();

    let folder = home.path().join("certificates");
    let again = opened(&folder);
    let root = again.keystore().root().unwrap().unwrap();
    assert_eq!(root.digest(), ca.cert().digest());
    assert_eq!(again.sealer().open(&sealed).unwrap(), b"log");
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
    let keys = filled(&home, &credentials);
    keys.keystore().save_root(ca.cert()).unwrap();

    let folder = home.path().join("certificates");
    let expected: [(&str, u32, Option<&[u8]>); 5] = [
        ("format", 0o644, Some(b"swarmrs-keystore 2\n")),
        ("swarm-data.key", 0o600, None),
        (
            "swarm-node.crt",
            0o644,
            Some(credentials.certificate.pem().as_bytes()),
        ),
        ("swarm-node.key", 0o600, None),
        ("swarm-root-ca.crt", 0o644, Some(ca.cert().pem().as_bytes())),
    ];
    for (name, permissions, bytes) in expected {
        let found = fs::read(folder.join(name)).unwrap();
        assert!(bytes.is_none_or(|bytes| bytes == found), "{name}");
        assert_eq!(mode(&folder.join(name)), permissions, "{name}");
    }
    assert_eq!(names(&folder), expected.map(|(name, ..)| name));
    assert_eq!(keys.keystore().exposed().unwrap(), []);
    let sealed = fs::read(folder.join("swarm-node.key")).unwrap();
    let pem = keys.sealer().open(&sealed).unwrap();
    assert_eq!(pem, credentials.key.pem().as_bytes());
}

#[test]
fn a_data_key_is_never_drawn_beside_another() {
    let home = TempDir::new().unwrap();
    let keys = filled(&home, &credentials(&ca()));
    let again = keys.keystore().create_keys(Lock::default());
    assert!(matches!(again, Err(Error::Damaged { .. })));
}

#[test]
fn a_locked_keystore_opens_with_its_key_only() {
    let home = TempDir::new().unwrap();
    let ca = ca();
    let credentials = credentials(&ca);
    let mut keys = filled(&home, &credentials);
    keys.keystore().save_root(ca.cert()).unwrap();
    let sealed = keys.sealer().seal(b"log").unwrap();
    keys.change_lock(locked(1, 7)).unwrap();

    let folder = home.path().join("certificates");
    let keystore = Keystore::open(&folder).unwrap();
    assert!(keystore.is_locked().unwrap());
    assert!(keystore.root().unwrap().is_some());
    assert!(matches!(keystore.unlock(None), Err(Error::Locked)));
    let before = fs::read(folder.join("swarm-data.key")).unwrap();
    let wrong = keystore.unlock(Some(&unlock_key(2)));
    assert!(matches!(wrong, Err(Error::WrongUnlockKey)));
    assert_eq!(fs::read(folder.join("swarm-data.key")).unwrap(), before);

    let keys = keystore.unlock(Some(&unlock_key(1))).unwrap();
    assert_eq!(*keys.lock(), locked(1, 7));
    assert_eq!(keys.sealer().open(&sealed).unwrap(), b"log");
    let found = keys.node().unwrap().unwrap();
    assert_eq!(found.key.pem(), credentials.key.pem());
}

/// What a thief of the disk has: all files, and no unlock key.
#[test]
fn a_locked_folder_shows_neither_key() {
    let home = TempDir::new().unwrap();
    let credentials = credentials(&ca());
    let keystore = Keystore::open(home.path()).unwrap();
    let keys = keystore.create_keys(locked(1, 0)).unwrap();
    keys.save_node(&credentials).unwrap();
    for name in names(home.path()) {
        let bytes = fs::read(home.path().join(&name)).unwrap();
        let text = String::from_utf8_lossy(&bytes);
        assert!(!text.contains("PRIVATE KEY"), "{name}");
        for window in bytes.windows(DataKey::LEN) {
            let key = DataKey::from_bytes(window.try_into().unwrap());
            let sealed = fs::read(home.path().join("swarm-node.key")).unwrap();
            assert!(Sealer::new(&key).open(&sealed).is_err(), "{name}");
        }
    }
}

#[test]
fn a_lock_is_replaced_by_a_later_one_and_never_by_an_earlier() {
    let home = TempDir::new().unwrap();
    let mut keys = filled(&home, &credentials(&ca()));
    let folder = home.path().join("certificates");
    let open = |agreed_at| Lock {
        key: None,
        agreed_at,
    };
    let rows = [
        (locked(1, 3), locked(1, 3)),
        (locked(2, 2), locked(1, 3)),
        (locked(2, 3), locked(1, 3)),
        (locked(2, 5), locked(2, 5)),
        (locked(2, 9), locked(2, 5)),
        (open(6), open(6)),
        (locked(1, 4), open(6)),
    ];
    for (agreed, expected) in rows {
        keys.change_lock(agreed.clone()).unwrap();
        assert_eq!(*keys.lock(), expected, "after {agreed:?}");
        let again = Keystore::open(&folder).unwrap();
        let again = again.unlock(expected.key.as_ref()).unwrap();
        assert_eq!(*again.lock(), expected, "on disk after {agreed:?}");
    }
}

/// A replacement is a temporary file and a rename: these are all the states a crash can leave.
#[test]
fn a_crash_while_the_lock_changes_leaves_the_old_or_the_new_one() {
    let home = TempDir::new().unwrap();
    let credentials = credentials(&ca());
    let mut keys = filled(&home, &credentials);
    let folder = home.path().join("certificates");
    let file = folder.join("swarm-data.key");
    let half = folder.join("swarm-data.key.tmp");
    for (agreed, before) in [(locked(1, 1), None), (locked(2, 2), Some(unlock_key(1)))] {
        let old = fs::read(&file).unwrap();
        keys.change_lock(agreed.clone()).unwrap();
        let new = fs::read(&file).unwrap();
        for written in 0..=new.len() {
            fs::write(&file, &old).unwrap();
            fs::write(&half, &new[..written]).unwrap();
            let again = Keystore::open(&folder).unwrap();
            let again = again.unlock(before.as_ref()).unwrap();
            assert_eq!(again.lock().key, before);
            assert!(!half.exists());
        }
        fs::write(&file, &new).unwrap();
        let again = Keystore::open(&folder).unwrap();
        assert!(again.unlock(agreed.key.as_ref()).unwrap().node().is_ok());
    }
}

#[test]
fn a_crash_before_the_certificate_is_replaced_keeps_the_old_pair() {
    let home = TempDir::new().unwrap();
    let ca = ca();
    let (old, new) = (credentials(&ca), credentials(&ca));
    let keys = filled(&home, &old);
    let folder = home.path().join("certificates");
    lay_next(&keys, &folder, &new.key);
    assert_holds(&folder, &old);
}

#[test]
fn a_crash_after_the_certificate_is_replaced_keeps_the_new_pair() {
    let home = TempDir::new().unwrap();
    let ca = ca();
    let (old, new) = (credentials(&ca), credentials(&ca));
    let keys = filled(&home, &old);
    let folder = home.path().join("certificates");
    lay_next(&keys, &folder, &new.key);
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
        let keystore = Keystore::open(&folder).unwrap();
        let keys = keystore.create_keys(Lock::default()).unwrap();
        lay_next(&keys, &folder, &new.key);
        if certificate_written {
            fs::write(folder.join("swarm-node.crt"), new.certificate.pem()).unwrap();
            assert_holds(&folder, &new);
        } else {
            assert!(opened(&folder).node().unwrap().is_none());
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
    let expected = [
        "format",
        "swarm-data.key",
        "swarm-node.crt",
        "swarm-node.key",
    ];
    assert_eq!(names(&folder), expected);
}

#[test]
fn a_key_of_another_certificate_is_neither_saved_nor_read() {
    let home = TempDir::new().unwrap();
    let ca = ca();
    let (ours, other) = (credentials(&ca), credentials(&ca));
    let keys = filled(&home, &ours);
    let mixed = NodeCredentials {
        key: other.key.clone(),
        ..ours
    };
    assert!(matches!(keys.save_node(&mixed), Err(Error::KeyMismatch)));
    let sealed = keys.sealer().seal(other.key.pem().as_bytes()).unwrap();
    let path = home.path().join("certificates/swarm-node.key");
    fs::write(path, sealed).unwrap();
    let refused = keys.node().unwrap_err().to_string();
    let folder = home.path().join("certificates");
    let expected = format!("{} is damaged: {}", folder.display(), Error::KeyMismatch);
    assert_eq!(refused, expected);
}

/// A folder as the first releases wrote it: both keys as they are.
fn first_format(folder: &Path, credentials: &NodeCredentials) {
    fs::create_dir_all(folder).unwrap();
    let data_key = [&[1][..], &[7; 32]].concat();
    fs::write(folder.join("format"), "swarmrs-keystore 1\n").unwrap();
    fs::write(folder.join("swarm-data.key"), data_key).unwrap();
    fs::write(folder.join("swarm-node.key"), credentials.key.pem()).unwrap();
    fs::write(folder.join("swarm-node.crt"), credentials.certificate.pem()).unwrap();
}

#[test]
fn a_folder_of_the_first_format_is_read_and_rewritten() {
    let home = TempDir::new().unwrap();
    let credentials = credentials(&ca());
    first_format(home.path(), &credentials);
    let sealed = Sealer::new(&DataKey::from_bytes([7; 32])).seal(b"log");
    let keys = opened(home.path());
    assert_eq!(keys.sealer().open(&sealed.unwrap()).unwrap(), b"log");
    let format = fs::read_to_string(home.path().join("format")).unwrap();
    assert_eq!(format, "swarmrs-keystore 2\n");
    let key = fs::read(home.path().join("swarm-node.key")).unwrap();
    assert!(!String::from_utf8_lossy(&key).contains("PRIVATE KEY"));
    assert_eq!(fs::read(home.path().join("swarm-data.key")).unwrap()[0], 2);
    assert_holds(home.path(), &credentials);
}

#[test]
fn a_rewriting_that_was_cut_short_is_finished() {
    let credentials = credentials(&ca());
    for rewritten in [
        &["swarm-node.key"][..],
        &["swarm-node.key", "swarm-data.key"],
    ] {
        let (done, home) = (TempDir::new().unwrap(), TempDir::new().unwrap());
        first_format(done.path(), &credentials);
        first_format(home.path(), &credentials);
        opened(done.path());
        for name in rewritten {
            fs::copy(done.path().join(name), home.path().join(name)).unwrap();
        }
        assert_holds(home.path(), &credentials);
        let format = fs::read_to_string(home.path().join("format")).unwrap();
        assert_eq!(format, "swarmrs-keystore 2\n");
    }
}

#[test]
fn a_newer_format_is_refused_by_name_and_left_alone() {
    let home = TempDir::new().unwrap();
    let folder = home.path().join("certificates");
    filled(&home, &credentials(&ca()));
    fs::write(folder.join("format"), "swarmrs-keystore 3\n").unwrap();
    fs::write(folder.join("swarm-node.key.next"), "not ours to touch").unwrap();
    let refusal = Keystore::open(&folder).unwrap_err().to_string();
    let name = folder.display();
    assert_eq!(
        refusal,
        format!("keystore {name} has format 3, this release reads up to 2")
    );
    assert!(folder.join("swarm-node.key.next").exists());
}

#[test]
fn a_newer_data_key_is_refused_by_name() {
    let home = TempDir::new().unwrap();
    let keystore = Keystore::open(home.path()).unwrap();
    let path = home.path().join("swarm-data.key");
    fs::write(&path, [&[3][..], &[0; 72]].concat()).unwrap();
    let refusal = keystore.unlock(None).unwrap_err().to_string();
    let name = path.display();
    assert_eq!(
        refusal,
        format!("{name} has format 3, this release reads up to 2")
    );
}

#[test]
fn damage_is_named_and_never_taken_for_absence() {
    let home = TempDir::new().unwrap();
    let keystore = Keystore::open(home.path()).unwrap();
    for bytes in [&[][..], &[1], &[1; 32], &[0; 33], &[2], &[2; 50]] {
        fs::write(home.path().join("swarm-data.key"), bytes).unwrap();
        let refusal = keystore.unlock(None);
        assert!(matches!(refusal, Err(Error::Damaged { .. })), "{bytes:?}");
    }
    fs::write(
        home.path().join("swarm-data.key"),
        [&[1][..], &[7; 32]].concat(),
    )
    .unwrap();
    let keys = keystore.unlock(None).unwrap();
    fs::write(home.path().join("swarm-node.crt"), [0xff]).unwrap();
    assert!(matches!(keys.node(), Err(Error::Damaged { .. })));
    fs::write(home.path().join("swarm-node.crt"), "no PEM").unwrap();
    let refused = keys.node().unwrap_err().to_string();
    assert!(refused.contains("swarm-node.crt is damaged: "), "{refused}");
    let whole = credentials(&ca());
    fs::write(home.path().join("swarm-node.crt"), whole.certificate.pem()).unwrap();
    for bytes in [&b""[..], &[0], &[1; 80]] {
        fs::write(home.path().join("swarm-node.key"), bytes).unwrap();
        assert!(
            matches!(keys.node(), Err(Error::Damaged { .. })),
            "{bytes:?}"
        );
    }
    fs::write(home.path().join("swarm-node.key"), [2; 80]).unwrap();
    let refusal = keys.node().unwrap_err().to_string();
    let newer = "swarm-node.key has format 2, this release reads up to 1";
    assert!(refusal.ends_with(newer), "{refusal}");
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
    let keys = filled(&home, &credentials(&ca()));
    let path = home.path().join("certificates/swarm-node.key");
    fs::set_permissions(&path, fs::Permissions::from_mode(0o640)).unwrap();
    let expected = Exposed { path, mode: 0o640 };
    assert_eq!(keys.keystore().exposed().unwrap(), [expected]);
}

#[test]
fn erasing_leaves_no_folder() {
    let home = TempDir::new().unwrap();
    let keys = filled(&home, &credentials(&ca()));
    keys.keystore().clone().erase().unwrap();
    assert_eq!(names(home.path()), [""; 0]);
}
