//! A swarm that was killed is started with something else in one of its files.

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use swarmrs_compat_tests::{Host, Testbed, wait};

use crate::{Known, SOON, files, known, something_of_everything, wait_for};

/// A swarm that lies still: its data root, and what it was.
struct Swarm {
    testbed: Testbed,
    saved: PathBuf,
    files: BTreeMap<PathBuf, Vec<u8>>,
    expected: Known,
}

impl Swarm {
    fn killed() -> Self {
        let mut testbed = Testbed::one().unwrap();
        something_of_everything(testbed.host(0));
        let expected = known(testbed.host(0)).unwrap();
        testbed.host_mut(0).kill_daemons();
        let root = testbed.host(0).daemon().data_root();
        let saved = root.with_extension("saved");
        fs::rename(&root, &saved).unwrap();
        // As a kill in the midst of a write leaves it, now and then.
        let network = saved.join("swarm/network");
        let mut draft = fs::read(network.join("facts.json")).unwrap();
        draft.truncate(draft.len() / 2);
        fs::write(network.join("facts.next"), draft).unwrap();
        Self {
            files: files(&saved),
            testbed,
            saved,
            expected,
        }
    }

    fn put_back(&self) -> PathBuf {
        let root = self.testbed.host(0).daemon().data_root();
        if root.exists() {
            fs::remove_dir_all(&root).unwrap();
        }
        let copied = Command::new("cp")
            .arg("-a")
            .args([&self.saved, &root])
            .status();
        assert!(copied.unwrap().success());
        root
    }

    /// Starts it with other bytes in one file. The words of whoever refuses them, or nothing if all is as it was.
    ///
    /// # Errors
    /// If they are neither refused by name and left alone nor make no difference.
    fn start_with(&mut self, name: &Path, bytes: &[u8]) -> Result<Option<String>, String> {
        let root = self.put_back();
        fs::write(root.join(name), bytes).unwrap();
        let mut changed = self.files.clone();
        changed.insert(name.to_owned(), bytes.to_owned());
        let host = self.testbed.host_mut(0);
        let logged = fs::metadata(host.daemon().log()).unwrap().len() as usize;
        host.launch_daemon().unwrap();
        let what = format!("a start with another {}", name.display());
        let ended = wait::until(&what, SOON, || outcome(host, logged, &self.expected));
        let runs = !host.daemon().pid().is_none_or(has_ended);
        let refused = matches!(ended, Ok(Some(_)));
        let shown = wait::until("health", SOON, || match runs && refused {
            true => shows_no_networks(host),
            false => Ok(()),
        });
        host.kill_daemons();
        let said = ended.map_err(|error| error.to_string())?;
        let Some(said) = said else {
            return Ok(None);
        };
        shown.map_err(|error| error.to_string())?;
        let folder = root.join(name.parent().unwrap());
        let is_named = said.contains(folder.to_str().unwrap());
        let left = files(&root);
        let is_alone = match runs {
            // Its holder does not.
            true => left[name] == changed[name],
            false => left == changed,
        };
        match is_named && is_alone {
            true => Ok(Some(said)),
            false => Err(format!("named: {is_named}, left alone: {is_alone}: {said}")),
        }
    }

    fn start_as_it_was(&mut self) {
        self.put_back();
        self.testbed.host_mut(0).start_daemon().unwrap();
        wait_for(self.testbed.host(0), &self.expected);
    }
}

/// The first byte of what is written of a file, an early one, the one in the middle and the last.
fn places(bytes: &[u8]) -> Vec<usize> {
    let written: Vec<usize> = (0..bytes.len()).filter(|at| bytes[*at] != 0).collect();
    let of = |at: usize| written.get(at).copied();
    let count = written.len();
    [0, count / 5, count / 2, count.saturating_sub(1)]
        .into_iter()
        .filter_map(of)
        .collect()
}

/// Whether a process has ended, or is about to be forgotten.
fn has_ended(pid: i32) -> bool {
    fs::read_to_string(format!("/proc/{pid}/stat")).map_or(true, |stat| stat.contains(") Z "))
}

/// What a start leads to: the last words of a daemon or a holder that ended, or nothing if all is as it was.
fn outcome(host: &Host, logged: usize, expected: &Known) -> Result<Option<String>, String> {
    let has_ended = host.daemon().pid().is_none_or(has_ended);
    let log = fs::read(host.daemon().log()).unwrap();
    let log = String::from_utf8_lossy(&log[logged..]).into_owned();
    if let Some(words) = log.lines().find(|line| line.starts_with("swarmrsd: ")) {
        return Ok(Some(words.to_owned()));
    }
    if has_ended {
        return Ok(Some(format!("it ended without a word: {log}")));
    }
    match known(host)? {
        found if found == *expected && log.contains("holder is ready") => Ok(None),
        found => Err(format!("{found:#?}\n{log}")),
    }
}

/// A daemon whose holder does not start is not ready, and says so.
fn shows_no_networks(host: &Host) -> Result<(), String> {
    let health = host.api("GET", "/swarmrs/v1/read/health", None);
    let health = health.map_err(|error| error.to_string())?;
    let health = String::from_utf8_lossy(&health.body).into_owned();
    match health.contains("networks does not start") {
        true => Ok(()),
        false => Err(health),
    }
}

/// Files in which a changed byte may make no difference, and why.
const HARMLESS: [(&str, &str); 6] = [
    (
        "*.next",
        "what was being written; whole it has another name",
    ),
    ("swarm/own-address", "what the start record says counts"),
    (
        "swarm/certificates/swarm-node.crt",
        "the end of its last line",
    ),
    (
        "swarm/certificates/swarm-root-ca.crt",
        "as long as the node's certificate leads to it: a manager has it in the log and puts it back",
    ),
    ("swarm/raft/log.redb", "a page that nothing leads to"),
    ("swarm/raft/log.redb-journal", "what the log has taken over"),
];

/// What a file begins with that a newer release has written.
const NEWER: [(&str, &[u8]); 12] = [
    ("swarm/start.json", b"{\n  \"format\": 2"),
    ("swarm/managers.json", b"{\n  \"format\": 2"),
    ("swarm/agent/journal", b"swarmrs-agent-journal 2"),
    ("swarm/certificates/format", b"swarmrs-keystore 3"),
    ("swarm/certificates/swarm-data.key", b"\x03"),
    ("swarm/certificates/swarm-node.key", b"\x02"),
    ("swarm/network/facts.json", b"{\"version\":2"),
    ("swarm/network/driver.json", b"{\"version\":2"),
    ("swarm/raft/format", b"\xff"),
    ("swarm/raft/acknowledged", b"\x02"),
    ("swarm/raft/log.redb-journal", b"\x02"),
    ("swarm/raft/snapshots/", b"\x02"),
];

/// Files without a format of ours.
const OF_NO_FORMAT: [(&str, &str); 5] = [
    ("*.next", "read by nobody"),
    ("swarm/own-address", "an address"),
    ("swarm/certificates/swarm-node.crt", "PEM"),
    ("swarm/certificates/swarm-root-ca.crt", "PEM"),
    (
        "swarm/raft/log.redb",
        "redb's own; each record in it has a version below its seal",
    ),
];

/// The row of a table for this file. A folder stands for what is in it, a star for whatever comes before the ending.
fn row<'a, T>(table: &'a [(&str, T)], name: &Path) -> Option<&'a T> {
    let name = name.to_str().unwrap();
    let is_it = |of: &str| match of.strip_prefix('*') {
        Some(ending) => name.ends_with(ending),
        None => name == of || (of.ends_with('/') && name.starts_with(of)),
    };
    table.iter().find(|(of, _)| is_it(of)).map(|(_, what)| what)
}

#[test]
fn a_byte_changed_anywhere_is_refused_by_name_and_left_alone_or_makes_no_difference() {
    let mut swarm = Swarm::killed();
    let mut wrong = Vec::new();
    for (name, bytes) in swarm.files.clone() {
        for at in places(&bytes) {
            let mut changed = bytes.clone();
            changed[at] ^= 0x04;
            let ended = swarm.start_with(&name, &changed);
            println!("byte {at} of {}: {ended:?}", name.display());
            let may_be = |said: &Option<String>| said.is_some() || row(&HARMLESS, &name).is_some();
            if !ended.as_ref().is_ok_and(may_be) {
                wrong.push((name.clone(), at, ended));
            }
        }
    }
    assert!(wrong.is_empty(), "{wrong:#?}");
    swarm.start_as_it_was();
}

#[test]
fn what_a_newer_release_wrote_is_refused_by_name_and_left_alone() {
    let mut swarm = Swarm::killed();
    let mut wrong = Vec::new();
    for (name, bytes) in swarm.files.clone() {
        let Some(newer) = row(&NEWER, &name) else {
            let why = row(&OF_NO_FORMAT, &name);
            assert!(why.is_some(), "{} is in no table", name.display());
            continue;
        };
        let mut changed = bytes;
        changed[..newer.len()].copy_from_slice(newer);
        let ended = swarm.start_with(&name, &changed);
        println!("{}: {ended:?}", name.display());
        let is_newer = |said: &Option<String>| {
            let said = said.as_deref().unwrap_or_default();
            said.contains("this release reads up to") || said.contains("by a newer release")
        };
        if !ended.as_ref().is_ok_and(is_newer) {
            wrong.push((name, ended));
        }
    }
    assert!(wrong.is_empty(), "{wrong:#?}");
    swarm.start_as_it_was();
}
