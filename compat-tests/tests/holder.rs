//! What carries a node's networks outlives swarmrsd, and itself.
#![allow(clippy::unwrap_used, reason = "a test that cannot go on has failed")]

use std::io::{BufRead, BufReader, Write};
use std::process::{Child, ChildStdout, Command, Stdio};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use serde_json::Value;
use swarmrs_compat_tests::observe::{wait_for_replicas, wait_until_gone};
use swarmrs_compat_tests::swarm::CREATE;
use swarmrs_compat_tests::testbed::IMAGE;
use swarmrs_compat_tests::web::{
    IN_CONTAINER, SERVER, mounts, overlay, sleeper, virtual_address_on,
};
use swarmrs_compat_tests::{Host, Testbed, swarm, traces, wait};

const SOON: Duration = Duration::from_secs(30);
const LOAD: &str = env!("CARGO_BIN_EXE_swarmrs-load");

/// Looks a name up and fetches from what it found, again and again, and counts what went well and what did not.
const PROBE: &str = "while :; do \
    if nslookup web >/dev/null 2>&1; then echo >>/tmp/found; else echo >>/tmp/lost; fi; \
    if wget -qO- http://web/ >/dev/null 2>&1; then echo >>/tmp/found; else echo >>/tmp/lost; fi; done";

/// A swarm of one with a service `web` of two on the network `front`, and a container `probe` that probes it.
fn probed() -> Testbed {
    let testbed = Testbed::one().unwrap();
    let host = testbed.host(0);
    swarm::init(host);
    let network = [
        "network",
        "create",
        "--driver",
        "overlay",
        "--attachable",
        "front",
    ];
    host.docker_ok(&network);
    let create = [
        "service",
        "create",
        "--detach",
        "--no-resolve-image",
        "--stop-signal",
        "KILL",
    ];
    let what = ["--name", "web", "--network", "front", "--replicas", "2"];
    let published = ["--publish", "8080:80", IMAGE, "sh", "-c", SERVER];
    host.docker_ok(&[&create[..], &what, &published].concat());
    wait_for_replicas(host, "web", "2/2").unwrap();
    let probe = [
        "run",
        "--detach",
        "--name",
        "probe",
        "--network",
        "front",
        IMAGE,
    ];
    host.docker_ok(&[&probe[..], &["sh", "-c", PROBE]].concat());
    wait::until("the first answers", SOON, || match probes(host) {
        (found, _) if found > 4 => Ok(()),
        seen => Err(format!("{seen:?}")),
    })
    .unwrap();
    forget(host);
    testbed
}

/// In the container, past swarmrsd.
fn in_probe(host: &Host, line: &str) -> String {
    let output = host.engine_docker(&["exec", "probe", "sh", "-c", line]);
    output.unwrap().success().unwrap().trim().to_owned()
}

/// How many probes went well, and how many did not.
fn probes(host: &Host) -> (usize, usize) {
    let counted = in_probe(
        host,
        "touch /tmp/found /tmp/lost; wc -l </tmp/found; wc -l </tmp/lost",
    );
    let mut counts = counted.lines().map(|line| line.trim().parse().unwrap());
    (counts.next().unwrap(), counts.next().unwrap())
}

fn forget(host: &Host) {
    in_probe(host, "rm -f /tmp/found /tmp/lost");
}

fn exec_root(host: &Host) -> String {
    let root = host.daemon().data_root().with_file_name("exec");
    root.to_string_lossy().into_owned()
}

/// The holder of this host's swarmrsd.
fn holder(host: &Host) -> Option<i32> {
    host.daemon().holder_pid()
}

fn kill(pid: i32) {
    signal("-KILL", pid);
}

fn signal(which: &str, pid: i32) {
    let sent = Command::new("kill")
        .args([which, &pid.to_string()])
        .status();
    assert!(sent.unwrap().success());
}

/// The mesh, asked on the host itself.
fn mesh(host: &Host) -> Result<(), String> {
    let asked = host.inside(&[
        "curl",
        "--silent",
        "--fail",
        "--max-time",
        "2",
        "http://127.0.0.1:8080/",
    ]);
    let output = asked.map_err(|error| error.to_string())?;
    output
        .success()
        .map(drop)
        .map_err(|error| error.to_string())
}

/// A port that the swarm publishes, asked for by another program of the host.
fn is_taken(host: &Host) {
    let asked = host.inside(&["busybox", "nc", "-l", "-p", "8080", "-w", "1"]);
    let output = asked.unwrap();
    let refused = output.stderr.contains("Address already in use");
    assert!(refused, "{output:?}");
}

/// Ends swarmrsd, and starts it again after that long: nobody notices either.
fn is_missed_by_nobody(end: impl FnOnce(&mut Host), away: Duration) {
    let mut testbed = probed();
    let before = holder(testbed.host(0)).expect("a holder");
    is_taken(testbed.host(0));
    end(testbed.host_mut(0));
    std::thread::sleep(away);
    let host = testbed.host(0);
    mesh(host).unwrap();
    is_taken(host);
    let (found, lost) = probes(host);
    assert!(found > 0 && lost == 0, "{found} went well, {lost} did not");
    host.engine_docker(&["restart", "--time", "0", "probe"])
        .unwrap()
        .success()
        .unwrap();
    wait::until(
        "a container that was started meanwhile",
        SOON,
        || match probes(host) {
            (found, 0) if found > 20 => Ok(()),
            seen => Err(format!("{seen:?}")),
        },
    )
    .unwrap();
    testbed.host_mut(0).start_daemon().unwrap();
    let host = testbed.host(0);
    wait_for_replicas(host, "web", "2/2").unwrap();
    let (found, lost) = probes(host);
    assert!(found > 50 && lost == 0, "{found} went well, {lost} did not");
    assert_eq!(holder(host), Some(before), "the holder is the same");
}

#[test]
fn nothing_is_lost_while_swarmrsd_is_killed_and_away_for_a_minute() {
    is_missed_by_nobody(Host::kill_daemon, Duration::from_secs(60));
}

/// A panic ends swarmrsd by this signal.
#[test]
fn nothing_is_lost_when_swarmrsd_aborts() {
    let abort = |host: &mut Host| {
        signal("-ABRT", host.daemon().pid().expect("it runs"));
        host.kill_daemon();
    };
    is_missed_by_nobody(abort, Duration::from_secs(2));
}

#[test]
fn a_killed_holder_is_back_within_a_second_and_no_connection_notices() {
    let testbed = probed();
    let host = testbed.host(0);
    let address = in_probe(host, "nslookup web | sed -n 's/^Address: //p' | tail -1");
    let fetch = format!(
        "for i in 1 2 3 4 5 6 7 8 9 10; do wget -qO- http://{address}/ >/dev/null || echo lost; done"
    );
    let before = holder(host).expect("a holder");
    let began = Instant::now();
    kill(before);
    assert_eq!(in_probe(host, &fetch), "", "packets need no holder");
    mesh(host).unwrap();
    wait::until("another holder", SOON, || match holder(host) {
        Some(pid) if pid != before => Ok(()),
        seen => Err(format!("{seen:?}")),
    })
    .unwrap();
    wait::until("a name", SOON, || name(host)).unwrap();
    assert!(
        began.elapsed() < Duration::from_secs(8),
        "{:?}",
        began.elapsed()
    );
    let log = std::fs::read_to_string(host.daemon().log()).unwrap();
    let taken = log
        .lines()
        .rfind(|line| line.contains("networks taken up"))
        .unwrap();
    let took: u64 = taken
        .rsplit_once("took=")
        .unwrap()
        .1
        .trim()
        .parse()
        .unwrap();
    assert!(took < 1000, "{taken}");
}

/// Networks that a holder takes up anew.
const NETWORKS: usize = 50;

/// Asks again and again, a little after each answer, and keeps count; of what was lost it keeps the moment of the question.
fn again_and_again(host: &Host, asker: &str, what: &str, program: &str) {
    let line = format!(
        "touch /tmp/{what}.found /tmp/{what}.lost; while usleep 20000; do asked=$(cut -d ' ' -f 1 /proc/uptime); \
         if {program} >/dev/null 2>&1; then echo found >>/tmp/{what}.found; else echo $asked >>/tmp/{what}.lost; fi; done"
    );
    detached(host, asker, &line);
}

fn detached(host: &Host, container: &str, line: &str) {
    let exec = ["exec", "--detach", container, "sh", "-c", line];
    host.engine_docker(&exec).unwrap().success().unwrap();
}

/// Starts a container that asks in each way there is, all the time: over one connection, over new ones and by datagrams, at
/// virtual addresses; and for a name.
fn start_asking(host: &Host) -> String {
    let mounts = mounts(LOAD);
    let mounts: Vec<&str> = mounts.iter().map(String::as_str).collect();
    let mirror = [
        "--name",
        "mirror",
        "--network",
        "front",
        "--publish",
        "9090:90",
    ];
    let run = [IMAGE, IN_CONTAINER, "mirror", "90"];
    host.docker_ok(&[&CREATE[..], &mirror, &mounts, &run].concat());
    wait_for_replicas(host, "mirror", "1/1").unwrap();
    let asker = sleeper(host, "front", &mounts);
    let [web, mirror] = ["web", "mirror"].map(|service| virtual_address_on(host, "front", service));
    let open = format!(
        "(while echo again; do usleep 100000; done) | nc {mirror} 90 >/tmp/open; echo closed >>/tmp/open"
    );
    detached(host, &asker, &open);
    let new = format!("{IN_CONTAINER} ask {web}:80 50 >/tmp/new & echo $! >/tmp/new.pid; wait");
    detached(host, &asker, &new);
    let say = format!("echo again | {IN_CONTAINER} say udp {mirror}:90");
    again_and_again(host, &asker, "datagram", &say);
    let resolve = format!("{IN_CONTAINER} resolve web");
    again_and_again(host, &asker, "name", &resolve);
    Asking {
        host,
        asker: &asker,
    }
    .go_on();
    asker
}

struct Asking<'a> {
    host: &'a Host,
    asker: &'a str,
}

impl Asking<'_> {
    fn sh(&self, line: &str) -> String {
        let exec = ["exec", self.asker, "sh", "-c", line];
        let output = self.host.engine_docker(&exec).unwrap();
        output.success().unwrap().to_owned()
    }

    fn lines(&self, file: &str) -> Vec<String> {
        let text = self.sh(&format!("cat /tmp/{file}"));
        text.lines().map(str::to_owned).collect()
    }

    /// Waits until each way has brought more answers than until now.
    fn go_on(&self) {
        let counts = || ["open", "datagram.found", "name.found"].map(|file| self.lines(file).len());
        let before = counts();
        wait::until("more answers of each way", SOON, || {
            let now = counts();
            match now
                .iter()
                .zip(before)
                .all(|(now, before)| *now > before + 5)
            {
                true => Ok(()),
                false => Err(format!("{now:?} after {before:?}")),
            }
        })
        .unwrap();
    }

    /// The questions since then that were not answered.
    fn lost_since(&self, since: f64, file: &str) -> Vec<String> {
        let mut lost = self.lines(file);
        lost.retain(|asked| asked.parse::<f64>().unwrap() >= since);
        lost
    }

    /// But for names until then.
    fn lost_nothing(self, nameless: f64) {
        self.go_on();
        let open = self.lines("open");
        assert_ne!(open.last().map(String::as_str), Some("closed"), "{open:?}");
        for (file, since) in [("datagram.lost", 0.0), ("name.lost", nameless)] {
            assert_eq!(self.lost_since(since, file), [""; 0], "{file}");
        }
        self.sh("kill -TERM $(cat /tmp/new.pid)");
        let report = wait::until("the client's report", SOON, || match self.lines("new") {
            lines if lines.is_empty() => Err("nothing yet".to_owned()),
            lines => Ok(lines.concat()),
        });
        let report: Value = serde_json::from_str(&report.unwrap()).unwrap();
        assert!(report["asked"].as_u64() > Some(100), "{report}");
        assert_eq!(report["failed"], 0, "{report}");
    }
}

/// A connection of an IPv6 client to the mesh: the holder carries it.
struct Sixth {
    client: Child,
    said: BufReader<ChildStdout>,
}

impl Sixth {
    fn open(host: &Host) -> Sixth {
        let mut client = host.inside_command();
        client.args(["busybox", "nc", "::1", "9090"]);
        let mut client = client
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        let said = BufReader::new(client.stdout.take().unwrap());
        Sixth { client, said }
    }

    /// Says something and is answered with the same.
    fn says(&mut self, word: &str) {
        let said = self.client.stdin.as_mut().unwrap();
        said.write_all(format!("{word}\n").as_bytes()).unwrap();
        let mut answer = String::new();
        self.said.read_line(&mut answer).unwrap();
        assert!(answer.ends_with(&format!("{word}\n")), "{answer:?}");
    }

    fn close(mut self) {
        drop(self.client.stdin.take());
        self.client.wait().unwrap();
    }
}

/// How often the port was seen to be held by nobody, until told to stop.
fn watch_port(engine: i32, stop: &AtomicBool) -> usize {
    let mut free = 0;
    while !stop.load(Ordering::Relaxed) {
        let sockets = std::fs::read_to_string(format!("/proc/{engine}/net/tcp")).unwrap();
        free += usize::from(!sockets.contains(" 00000000:1F90 "));
        thread::sleep(Duration::from_millis(1));
    }
    free
}

#[test]
fn a_holder_of_another_build_is_replaced_and_no_container_notices() {
    let mut testbed = probed();
    let host = testbed.host(0);
    host.docker_ok(&[
        "run",
        "--detach",
        "--name",
        "everywhere",
        IMAGE,
        "sleep",
        "600",
    ]);
    for _ in 1..NETWORKS {
        host.docker_ok(&["network", "connect", &overlay(host, &[]), "everywhere"]);
    }
    host.docker_ok(&["network", "connect", "front", "everywhere"]);
    let asker = start_asking(host);
    again_and_again(host, "everywhere", "inside", "nslookup web");
    testbed.host_mut(0).stop_daemon().unwrap();
    let host = testbed.host(0);
    let asking = Asking {
        host,
        asker: &asker,
    };
    let old = holder(host).expect("a holder");
    let ours = std::fs::read_link(format!("/proc/{old}/exe")).unwrap();
    let other = host.files().join("swarmrsd-of-another-build");
    std::fs::copy(&ours, &other).unwrap();
    kill(old);
    let lock = format!("{}/holder.lock", exec_root(host));
    wait::until("the end of the old one", SOON, || {
        let free = host.inside(&["flock", "--nonblock", &lock, "true"]);
        let free = free.and_then(|free| free.success().map(drop));
        free.map_err(|error| error.to_string())
    })
    .unwrap();
    let stranger = start_holder(host, &other.to_string_lossy());
    wait::until("the stranger", SOON, || mesh_and_name(host)).unwrap();
    asking.go_on();
    let inside = Asking {
        host,
        asker: "everywhere",
    };
    let found_again = || match inside.sh("nslookup web >/dev/null && echo found || echo lost") {
        found if found.trim() == "found" => Ok(()),
        other => Err(other),
    };
    wait::until("names inside a container", SOON, found_again).unwrap();
    inside.sh(": >/tmp/inside.found");
    let named_again = uptime();
    let mut sixth = Sixth::open(host);
    sixth.says("before");
    let (engine, stop) = (
        host.engine().pid().unwrap(),
        Arc::new(AtomicBool::new(false)),
    );
    let watched = stop.clone();
    let watcher = thread::spawn(move || watch_port(engine, &watched));
    testbed.host_mut(0).start_daemon().unwrap();
    let host = testbed.host(0);
    let program = || std::fs::read_link(format!("/proc/{}/exe", stranger));
    let ours = || match (program(), holder(host)) {
        (Ok(program), Some(pid)) if program == ours && pid.cast_unsigned() == stranger => Ok(()),
        seen => Err(format!("{seen:?}")),
    };
    wait::until("the same process, of our build", SOON, ours).unwrap();
    wait::until("names", SOON, || mesh_and_name(host)).unwrap();
    let asking = Asking {
        host,
        asker: &asker,
    };
    asking.lost_nothing(named_again);
    sixth.says("after");
    sixth.close();
    let inside = Asking {
        host,
        asker: "everywhere",
    };
    assert_eq!(inside.lost_since(named_again, "inside.lost"), [""; 0]);
    assert!(inside.lines("inside.found").len() > 10);
    stop.store(true, Ordering::Relaxed);
    assert_eq!(watcher.join().unwrap(), 0, "the port was free");
    is_taken(host);
    let id = host.docker_ok(&[
        "inspect",
        "--format",
        "{{.State.Running}} {{.RestartCount}}",
        "probe",
    ]);
    assert_eq!(id.trim(), "true 0");
}

/// The machine's, in seconds.
fn uptime() -> f64 {
    let uptime = std::fs::read_to_string("/proc/uptime").unwrap();
    uptime.split(' ').next().unwrap().parse().unwrap()
}

/// What `docs/operations/will-not-start.md` says of a holder that does not start.
#[test]
fn a_holder_whose_files_are_damaged_is_told_of_and_is_whole_again_with_those_of_a_backup() {
    let mut testbed = probed();
    let host = testbed.host_mut(0);
    let folder = host.daemon().data_root().join("swarm/network");
    let backup = host.files().join("network");
    std::fs::create_dir(&backup).unwrap();
    let files = ["facts.json", "driver.json"];
    for file in files {
        std::fs::copy(folder.join(file), backup.join(file)).unwrap();
    }
    host.docker_ok(&["service", "scale", "--detach", "web=3"]);
    wait_for_replicas(host, "web", "3/3").unwrap();
    host.kill_daemons();
    for file in files {
        std::fs::write(folder.join(file), "{").unwrap();
    }
    host.start_daemon().unwrap();
    let reasons = || health(host)["Reasons"].to_string();
    wait::until("the reason", SOON, || match reasons() {
        told if told.contains("networks does not start") => Ok(()),
        other => Err(other),
    })
    .unwrap();
    host.stop_daemon().unwrap();
    for file in files {
        std::fs::copy(backup.join(file), folder.join(file)).unwrap();
    }
    host.start_daemon().unwrap();
    wait::until("health", SOON, || match health(host) {
        health if health["Ready"] == true => Ok(()),
        other => Err(other.to_string()),
    })
    .unwrap();
    wait_for_replicas(host, "web", "3/3").unwrap();
    wait::until("the mesh and a name", SOON, || mesh_and_name(host)).unwrap();
    host.docker_ok(&["restart", "--time", "0", "probe"]);
    host.docker_ok(&["service", "update", "--detach", "--force", "web"]);
    wait::until("the mesh and a name", SOON, || mesh_and_name(host)).unwrap();
    is_taken(host);
    host.docker_ok(&["rm", "--force", "probe"]);
    host.docker_ok(&["service", "rm", "web"]);
    wait_until_gone(host, "web").unwrap();
    host.docker_ok(&["network", "rm", "front"]);
}

fn health(host: &Host) -> Value {
    let health = host.api("GET", "/swarmrs/v1/read/health", None).unwrap();
    serde_json::from_slice(&health.body).unwrap()
}

fn mesh_and_name(host: &Host) -> Result<(), String> {
    mesh(host)?;
    name(host)
}

/// A look-up in the probe.
fn name(host: &Host) -> Result<(), String> {
    match in_probe(host, "nslookup web >/dev/null && echo found || echo lost") {
        found if found == "found" => Ok(()),
        other => Err(other),
    }
}

/// Its process, which is waited for beside the test.
fn start_holder(host: &Host, program: &str) -> u32 {
    let data = host.daemon().data_root();
    let mut command = host.inside_command();
    command
        .arg(program)
        .args(["holder", "--exec-root", &exec_root(host), "--data-root"]);
    command
        .arg(data)
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .stderr(Stdio::null());
    let mut child = command.spawn().unwrap();
    let process = child.id();
    thread::spawn(move || child.wait());
    process
}

#[test]
fn leaving_takes_the_holder_and_all_that_it_held_along() {
    let testbed = Testbed::one().unwrap();
    let host = testbed.host(0);
    let before = traces::of(host).unwrap();
    swarm::init(host);
    let create = ["network", "create", "--driver", "overlay", "--ipv6"];
    let subnets = ["--subnet", "10.99.0.0/24", "--subnet", "fd99:1::/64"];
    host.docker_ok(&[&create[..], &subnets, &["front"]].concat());
    let create = [
        "service",
        "create",
        "--detach",
        "--no-resolve-image",
        "--stop-signal",
        "KILL",
        "--name",
        "web",
    ];
    let what = [
        "--network",
        "front",
        "--publish",
        "8080:80",
        IMAGE,
        "sh",
        "-c",
        SERVER,
    ];
    host.docker_ok(&[&create[..], &what].concat());
    wait_for_replicas(host, "web", "1/1").unwrap();
    mesh(host).unwrap();
    assert!(holder(host).is_some());
    host.docker_ok(&["service", "rm", "web"]);
    wait_until_gone(host, "web").unwrap();
    host.docker_ok(&["swarm", "leave", "--force"]);
    wait::until("the end of the holder", SOON, || match holder(host) {
        None => Ok(()),
        some => Err(format!("{some:?}")),
    })
    .unwrap();
    traces::none_since(&before, host).unwrap();
}
