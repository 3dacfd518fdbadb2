//! Locked managers: what they answer, what runs on meanwhile, and what brings them back. Of the tour: a restarted manager is
//! locked until it is unlocked, and a swarm begins anew on another host.
#![allow(clippy::unwrap_used, reason = "a test that cannot go on has failed")]

use std::fs;
use std::path::Path;
use std::time::Duration;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD_NO_PAD;
use serde_json::{Value, json};
use swarmrs_compat_tests::observe::{task_containers, wait_for_replicas};
use swarmrs_compat_tests::testbed::IMAGE;
use swarmrs_compat_tests::{Host, Options, Testbed, wait, web};

const SOON: Duration = Duration::from_secs(30);

/// Well-formed, and nobody's.
const OTHER_KEY: &str = "SWMKEY-1-AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA";

/// Commands that need the swarm, and what does not.
const COMMANDS: [&[&str]; 14] = [
    &["info", "--format", "{{json .Swarm}}"],
    &["node", "ls"],
    &["service", "ls"],
    &["service", "create", "busybox"],
    &["swarm", "join-token", "worker"],
    &["swarm", "ca"],
    &["swarm", "update", "--autolock=false"],
    &["swarm", "unlock-key"],
    &["swarm", "unlock-key", "--rotate"],
    &["swarm", "leave"],
    &["swarm", "init"],
    &["swarm", "init", "--force-new-cluster"],
    &["swarm", "join", "--token", "SWMTKN-1-x", "127.0.0.1"],
    &["secret", "ls"],
];

/// One answer: what was asked, the exit code or status, and the text.
type Answer = (String, i64, String);

fn unlock_call(host: &Host, key: &str) -> Answer {
    let body = json!({"UnlockKey": key});
    let answer = host
        .api("POST", "/v1.41/swarm/unlock", Some(&body))
        .unwrap();
    (format!("unlock {key}"), answer.status.into(), answer.text())
}

/// What a host answers while it is locked. Nothing of it may unlock or change it.
fn locked_answers(host: &Host) -> Vec<Answer> {
    let mut answers: Vec<Answer> = COMMANDS
        .iter()
        .map(|command| {
            let output = host.docker(command).unwrap();
            let said = output.stdout + &output.stderr;
            (command.join(" "), output.status.into(), said)
        })
        .collect();
    let reads = [
        "swarm",
        "swarm/unlockkey",
        "services",
        "nodes",
        "tasks",
        "configs",
    ];
    for path in reads {
        let answer = host.api("GET", &format!("/v1.41/{path}"), None).unwrap();
        answers.push((path.to_owned(), answer.status.into(), answer.text()));
    }
    for key in [
        "",
        "SWMKEY-1-?",
        "SWMKEY-2-AAAA",
        "SWMKEY-1-AAAA",
        OTHER_KEY,
    ] {
        answers.push(unlock_call(host, key));
    }
    answers
}

/// Makes a locked swarm and says its key, as the stock command prints it.
fn init_locked(host: &Host) -> String {
    let init = [
        "swarm",
        "init",
        "--autolock",
        "--advertise-addr",
        host.address(),
    ];
    key_in(&host.docker_ok(&init))
}

fn key_in(output: &str) -> String {
    let mut words = output.split_whitespace();
    words
        .find(|word| word.starts_with("SWMKEY-1-"))
        .unwrap()
        .to_owned()
}

fn swarm_state(host: &Host) -> String {
    host.docker_ok(&["info", "--format", "{{.Swarm.LocalNodeState}}"])
}

fn unlock(host: &Host, key: &str) {
    let unlocked = host.docker_fed(&["swarm", "unlock"], format!("{key}\n").as_bytes());
    unlocked.unwrap().success().unwrap();
    assert_eq!(swarm_state(host), "active");
}

/// The daemon under test ends without warning and comes back.
fn crash(testbed: &mut Testbed) {
    testbed.host_mut(0).kill_daemon();
    testbed.host_mut(0).start_daemon().unwrap();
}

fn sleeper(host: &Host, name: &str) {
    let spec = json!({
        "Name": name,
        "TaskTemplate": {"ContainerSpec": {"Image": IMAGE, "Command": ["sleep", "600"], "StopSignal": "SIGKILL"}},
        "Mode": {"Replicated": {"Replicas": 2}},
    });
    let answer = host.api("POST", "/services/create", Some(&spec)).unwrap();
    assert_eq!(answer.status, 201, "{}", answer.text());
    wait_for_replicas(host, name, "2/2").unwrap();
}

#[test]
fn a_locked_node_answers_as_the_stock_one_does() {
    let mut stock = Testbed::hosts(1, &Options::stock()).unwrap();
    let mut ours = Testbed::hosts(1, &Options::default()).unwrap();
    let keys = [init_locked(stock.host(0)), init_locked(ours.host(0))];
    stock.host_mut(0).stop_engine().unwrap();
    stock.host_mut(0).start_engine().unwrap();
    crash(&mut ours);
    let expected = locked_answers(stock.host(0));
    let found = locked_answers(ours.host(0));
    for (expected, found) in expected.iter().zip(&found) {
        assert_eq!(found, expected);
    }
    println!("{} answers are the same", found.len());
    for (host, key) in [(stock.host(0), &keys[0]), (ours.host(0), &keys[1])] {
        unlock(host, key);
        assert_eq!(host.docker_ok(&["swarm", "unlock-key", "-q"]), *key);
    }
    let again = |host: &Host| unlock_call(host, OTHER_KEY);
    assert_eq!(again(ours.host(0)), again(stock.host(0)));
}

#[test]
fn tasks_run_on_while_their_node_is_locked() {
    let mut testbed = Testbed::one().unwrap();
    let key = init_locked(testbed.host(0));
    sleeper(testbed.host(0), "web");
    let before = task_containers(testbed.host(0), "web").unwrap();
    crash(&mut testbed);
    let host = testbed.host(0);
    assert_eq!(swarm_state(host), "locked");
    let ping = host.api("GET", "/_ping", None).unwrap();
    assert_eq!(ping.header("swarm"), Some("locked"));
    assert_eq!(task_containers(host, "web").unwrap(), before);
    assert_eq!(host.docker_ok(&["ps", "-q"]).lines().count(), 2);
    assert_eq!(
        host.docker_ok(&["run", "--rm", IMAGE, "echo", "beside"]),
        "beside"
    );
    assert_eq!(unlock_call(host, OTHER_KEY).1, 401);
    unlock(host, &key);
    wait_for_replicas(host, "web", "2/2").unwrap();
    assert_eq!(task_containers(host, "web").unwrap(), before);

    crash(&mut testbed);
    let host = testbed.host(0);
    host.docker_ok(&["swarm", "leave", "--force"]);
    assert_eq!(swarm_state(host), "inactive");
    assert!(task_containers(host, "web").unwrap().is_empty());
}

/// Whether a service is found by its name and answers at its virtual address, asked in a container, past swarmrsd.
fn is_reached(host: &Host, asker: &str, service: &str, address: &str) -> Result<(), String> {
    let fetch = web::request(address);
    let line = format!("nslookup {service} 127.0.0.11 | grep -qF {address} && {fetch} | grep -q .");
    let asked = host.engine_docker(&["exec", asker, "sh", "-c", &line]);
    let asked = asked.and_then(|output| output.success().map(drop));
    asked.map_err(|error| error.to_string())
}

/// Ends swarmrsd, then its holder as a machine does that goes down: it writes what it knows.
fn go_down(testbed: &mut Testbed) {
    testbed.host_mut(0).kill_daemon();
    let host = testbed.host(0);
    let holder = host.daemon().holder_pid().unwrap().to_string();
    host.inside(&["kill", &holder]).unwrap().success().unwrap();
    wait::until("the end of the holder", SOON, || {
        match host.daemon().holder_pid() {
            None => Ok(()),
            Some(pid) => Err(format!("{pid} runs")),
        }
    })
    .unwrap();
}

#[test]
fn networks_are_held_while_their_node_is_locked() {
    let mut testbed = Testbed::one().unwrap();
    let host = testbed.host(0);
    let key = init_locked(host);
    let network = web::overlay(host, &[]);
    let service = web::servers(host, 2, &["--network", &network]);
    let asker = web::sleeper(host, &network, &[]);
    let address = web::virtual_address(host, &service);
    let until_reached = |host: &Host| {
        wait::until("the service", SOON, || {
            is_reached(host, &asker, &service, &address)
        })
        .unwrap();
    };
    until_reached(host);

    go_down(&mut testbed);
    let host = testbed.host(0);
    is_reached(host, &asker, &service, &address).unwrap_err();
    testbed.host_mut(0).start_daemon().unwrap();
    let host = testbed.host(0);
    assert_eq!(swarm_state(host), "locked");
    until_reached(host);
    // The engine asks the holder for whatever a container starts with.
    let restarted = host.engine_docker(&["restart", "--time", "0", &asker]);
    restarted.unwrap().success().unwrap();
    until_reached(host);
    let holder = host.daemon().holder_pid();
    unlock(host, &key);
    wait_for_replicas(host, &service, "2/2").unwrap();
    until_reached(host);
    assert_eq!(host.daemon().holder_pid(), holder, "one holder all along");
}

#[test]
fn the_lock_comes_goes_and_changes_its_key() {
    let mut testbed = Testbed::one().unwrap();
    let host = testbed.host(0);
    host.docker_ok(&["swarm", "init", "--advertise-addr", host.address()]);
    let first = key_in(&host.docker_ok(&["swarm", "update", "--autolock=true"]));
    let second = key_in(&host.docker_ok(&["swarm", "unlock-key", "--rotate"]));
    assert_ne!(first, second);
    crash(&mut testbed);
    let host = testbed.host(0);
    assert_eq!(unlock_call(host, &first).1, 401);
    unlock(host, &second);
    no_trace(testbed.host(0), &[&first, &second]);
    testbed
        .host(0)
        .docker_ok(&["swarm", "update", "--autolock=false"]);
    crash(&mut testbed);
    let host = testbed.host(0);
    assert_eq!(swarm_state(host), "active");
    let answer = host.api("GET", "/swarm/unlockkey", None).unwrap();
    assert_eq!(answer.text(), "{\"UnlockKey\":\"\"}\n");
}

/// Neither the keys nor any private key are on the disk or in the log, as text or as bytes.
fn no_trace(host: &Host, keys: &[&str]) {
    let mut needles: Vec<Vec<u8>> = vec![b"PRIVATE KEY".to_vec()];
    for key in keys {
        let encoded = key.strip_prefix("SWMKEY-1-").unwrap();
        needles.push(encoded.as_bytes().to_vec());
        needles.push(STANDARD_NO_PAD.decode(encoded).unwrap());
    }
    let mut files = Vec::new();
    collect(&host.daemon().data_root(), &mut files);
    files.push(host.daemon().log());
    assert!(files.len() > 5, "{files:?}");
    for file in files {
        let bytes = fs::read(&file).unwrap();
        for needle in &needles {
            let found = bytes.windows(needle.len()).any(|window| window == needle);
            assert!(!found, "a key is in {}", file.display());
        }
    }
}

fn collect(folder: &Path, files: &mut Vec<std::path::PathBuf>) {
    for entry in fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            collect(&path, files);
        } else {
            files.push(path);
        }
    }
}

/// What must be the same before and after.
fn identity(host: &Host) -> Value {
    let swarm: Value = host.api("GET", "/swarm", None).unwrap().json().unwrap();
    let services: Value = host.api("GET", "/services", None).unwrap().json().unwrap();
    let node = host.docker_ok(&["info", "--format", "{{.Swarm.NodeID}}"]);
    json!([
        swarm["ID"],
        swarm["JoinTokens"],
        swarm["TLSInfo"]["TrustRoot"],
        services[0]["ID"],
        node
    ])
}

fn manager_address(host: &Host) -> String {
    host.docker_ok(&[
        "node",
        "inspect",
        "self",
        "--format",
        "{{.ManagerStatus.Addr}}",
    ])
}

#[test]
fn a_data_root_brought_to_another_host_goes_on_there() {
    let mut testbed = Testbed::hosts(2, &Options::default()).unwrap();
    let host = testbed.host(0);
    let key = init_locked(host);
    sleeper(host, "web");
    let before = identity(host);
    testbed.host_mut(0).stop_daemon().unwrap();
    testbed.host_mut(1).stop_daemon().unwrap();
    let (from, to) = (
        testbed.host(0).daemon().data_root(),
        testbed.host(1).daemon().data_root(),
    );
    fs::remove_dir_all(&to).unwrap();
    let copied = std::process::Command::new("cp")
        .arg("-a")
        .args([&from, &to])
        .status();
    assert!(copied.unwrap().success());

    testbed.host_mut(1).start_daemon().unwrap();
    let host = testbed.host(1);
    let force = [
        "swarm",
        "init",
        "--force-new-cluster",
        "--advertise-addr",
        host.address(),
    ];
    assert_eq!(host.docker(&force).unwrap().status, 1, "it is locked");
    unlock(host, &key);
    let said = host.docker_ok(&force);
    assert!(said.contains("is now a manager"), "{said}");
    let here = format!("{}:2377", host.address());
    assert!(said.contains(&here), "{said}");
    assert_eq!(identity(host), before);
    assert_eq!(manager_address(host), here);
    assert_eq!(host.docker_ok(&["swarm", "unlock-key", "-q"]), key);
    wait_for_replicas(host, "web", "2/2").unwrap();
    let token = host.docker_ok(&["swarm", "join-token", "worker"]);
    assert!(token.contains(&here), "{token}");

    testbed.host_mut(1).kill_daemon();
    testbed.host_mut(1).start_daemon().unwrap();
    let host = testbed.host(1);
    unlock(host, &key);
    assert_eq!(identity(host), before);
    assert_eq!(manager_address(host), here);
}
