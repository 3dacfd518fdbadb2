//! Ten thousand connections to a live manager's port that are none of a node's, and as many once more: what is allocated
//! once is allocated by the first, and the second leaves nothing.
//!
//! The manager itself says how many there were: it logs the first few of a minute, and at the first of a later minute how
//! many it did not.

use std::process::{Command, Stdio};
use std::time::Instant;

use swarmrs_compat_tests::testbed::HUB_ADDRESS;
use swarmrs_compat_tests::{Host, Testbed, wait};

use crate::day::{Day, log};
use crate::hosts::{SOON, leader, shared, until, until_well};

const WAVE: usize = 10_000;
/// Of the manager's memory in KiB, while clients write. A KiB that is left of each connection makes twice as much.
const SLACK: usize = WAVE;

/// Comes from the hub, eight at a time, and says how many connections it had: each was made, and those that waited for it
/// were answered or ended.
///
/// Of ten, three come and go, three send half a hello, two speak without TLS and two send garbage; of fifty, one has a
/// certificate of another cluster, and one speaks the protocol and sends a frame that is too long.
const COME: &str = r#"
    set -e; trap '' PIPE
    address=$1 each=$(($2 / 8))
    cd "$(mktemp --directory)"; trap 'rm -r "$PWD"' EXIT
    exec 2>errors
    openssl req -x509 -newkey rsa:2048 -nodes -subj /CN=swarm-ca -keyout root.key -out root.crt
    openssl req -new -newkey rsa:2048 -nodes -subj /O=elsewhere/OU=swarm-manager/CN=stranger -keyout node.key -out node.csr
    openssl x509 -req -in node.csr -CA root.crt -CAkey root.key -CAcreateserial -out node.crt \
        -extfile <(echo extendedKeyUsage=clientAuth)
    printf 'PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n\0\0\0\4\0\0\0\0\0\377\377\377\0\0\0\0\0\1' >frame
    left() { exec 3<>"/dev/tcp/$address/2377" && { printf "$1" >&3; exec 3>&-; }; }
    told() { exec 3<>"/dev/tcp/$address/2377" && { printf "$1" >&3; read -r -n 1 -t 60 -u 3; [ $? -le 1 ]; }; }
    encrypted() {
        timeout 60 openssl s_client -connect "$address:2377" -alpn swarmrs -brief -ign_eof "$@" 2>&1 |
            grep --count '^CONNECTION ESTABLISHED' >/dev/null && [ "${PIPESTATUS[0]}" != 124 ]
    }
    one() {
        case $1 in
            48) encrypted -cert node.crt -key node.key </dev/null ;;
            49) encrypted <frame ;;
            *[048]) left '' ;;
            *[159]) left '\26\3\1\2\0\1\0\1' ;;
            *[26]) told 'GET / HTTP/1.1\r\n\r\n' ;;
            *[37]) told '\0\0\0\0\0\0\0\0\0\0' ;;
        esac
    }
    knock() { for number in $(seq "$each"); do one $((number % 50)) && echo; done; }
    for number in 1 2 3 4 5 6 7 8; do knock & done | wc --lines
"#;

#[test]
fn twice_ten_thousand_bad_connections_leave_nothing_and_are_counted() {
    let testbed = shared();
    let day = Day::begin(&testbed);
    let at = leader(&testbed, 0).unwrap();
    let visited = Visited::now(&testbed, at);
    let first = visited.wave(&day);
    visited.until_gone();
    let before = memory(visited.pid);
    let second = visited.wave(&day);
    visited.until_gone();
    let after = until("the memory as before", || match memory(visited.pid) {
        now if now < before + SLACK => Ok(now),
        now => Err(format!("{before} KiB, then {now}")),
    });
    let counted = visited.count();
    println!(
        "lines and writes: {first:?}, then {second:?}; {before} KiB, then {after}; {counted} counted"
    );
    until_well(&testbed);
    day.end("20000 bad connections", &testbed);
}

/// The manager that strangers come to.
struct Visited<'a> {
    testbed: &'a Testbed,
    host: &'a Host,
    pid: i32,
    /// What it had open at first.
    descriptors: usize,
    /// How much it had logged.
    logged: usize,
}

impl<'a> Visited<'a> {
    fn now(testbed: &'a Testbed, at: usize) -> Self {
        let host = testbed.host(at);
        let pid = host.daemon().pid().unwrap();
        Self {
            testbed,
            host,
            pid,
            descriptors: descriptors(pid),
            logged: log(host).len(),
        }
    }

    /// Ten thousand come, and the swarm serves meanwhile. How many lines were logged, and writes acknowledged.
    fn wave(&self, day: &Day) -> (usize, usize) {
        let (begun, logged) = (Instant::now(), log(self.host).len());
        let mut come = self.strangers(COME, WAVE);
        let mut coming = come.stdout(Stdio::piped()).spawn().unwrap();
        let mut writes = 0;
        while coming.try_wait().unwrap().is_none() {
            day.next_write();
            writes += 1;
        }
        let came = coming.wait_with_output().unwrap();
        let came = String::from_utf8(came.stdout).unwrap();
        assert_eq!(came.trim(), WAVE.to_string(), "connections that were made");
        assert!(writes > 0, "nothing was written meanwhile");
        let log = log(self.host);
        let lines: Vec<&str> = log[logged..].lines().filter(|line| is_told(line)).collect();
        // Five of a minute, of which it may see two.
        let minutes = usize::try_from(begun.elapsed().as_secs() / 60).unwrap();
        assert!(lines.len() <= 5 * (2 + minutes), "{lines:#?}");
        (lines.len(), writes)
    }

    /// Until no stranger's connection is left, and no more is open than at first.
    fn until_gone(&self) {
        let peer = format!("dst {HUB_ADDRESS}");
        let show = [
            "ss",
            "-tanH",
            "state",
            "connected",
            "exclude",
            "time-wait",
            &peer,
        ];
        until("no stranger's connection", || {
            let left = self.host.inside(&show).unwrap();
            let left = left.success().unwrap();
            match left.lines().count() {
                0 => Ok(()),
                some => Err(format!("{some}: {left}")),
            }
        });
        // Clients come and go.
        let most = self.descriptors + 20;
        until("the descriptors as before", || {
            match descriptors(self.pid) {
                now if now <= most => Ok(()),
                now => Err(format!("{now}, at most {most}")),
            }
        });
    }

    /// How many bad connections the manager tells of: the last come again until they are those of a later minute.
    fn count(&self) -> usize {
        let mut again = 0;
        let counted = wait::until("all of them in the log", 2 * SOON, || {
            let log = log(self.host);
            let told = log[self.logged..].lines().filter_map(told);
            let told: usize = told.sum();
            if told >= 2 * WAVE + again {
                return Ok(told);
            }
            if told < 2 * WAVE {
                let come = "exec 3<>/dev/tcp/$1/2377; sleep 1";
                assert!(self.strangers(come, 1).status().unwrap().success());
                again += 1;
            }
            Err(format!("{told} of {}", 2 * WAVE + again))
        });
        counted.unwrap()
    }

    fn strangers(&self, script: &str, count: usize) -> Command {
        let mut command = self.testbed.outside_command();
        let count = count.to_string();
        command.args(["bash", "-c", script, "bash", self.host.address(), &count]);
        command
    }
}

/// Whether a line is of bad connections.
fn is_told(line: &str) -> bool {
    let is_theirs = line.contains(&HUB_ADDRESS.to_string());
    told(line).is_some() || is_theirs && !line.contains(" DEBUG ")
}

/// Of how many bad connections a line tells.
fn told(line: &str) -> Option<usize> {
    let (_, more) = match line.split_once("more bad connections count=") {
        Some(split) => split,
        None => return line.contains("bad connection").then_some(1),
    };
    more.split(' ').next()?.parse().ok()
}

/// How many files and connections a process has open.
pub fn descriptors(pid: i32) -> usize {
    std::fs::read_dir(format!("/proc/{pid}/fd"))
        .unwrap()
        .count()
}

/// Resident memory in KiB.
fn memory(pid: i32) -> usize {
    let status = std::fs::read_to_string(format!("/proc/{pid}/status")).unwrap();
    let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:"));
    line.unwrap()
        .trim()
        .trim_end_matches(" kB")
        .parse()
        .unwrap()
}
