//! Nothing secret is in the daemon's log, at any level, nor in what the flight recorder kept; what nobody needs any more is
//! not in its memory, and no memory is dumped.
#![allow(clippy::unwrap_used, reason = "a test that cannot go on has failed")]

mod memory;

use std::time::Duration;

use swarmrs_compat_tests::http::Request;
use swarmrs_compat_tests::testbed::IMAGE;
use swarmrs_compat_tests::{Host, Options, Testbed, wait};

const LIMIT: Duration = Duration::from_secs(60);
const CANARY: &str = "canary-7f3e91c4";
/// The canary as the password of `X-Registry-Auth`, in URL-safe base64.
const AUTH: &str = "eyJ1c2VybmFtZSI6InUiLCJwYXNzd29yZCI6ImNhbmFyeS03ZjNlOTFjNCJ9";
/// What the canary looks like inside base64, at each of its three alignments, without the bytes that neighbours change.
const ENCODED: [&str; 3] = [
    "Y2FuYXJ5LTdmM2U5MWM0",
    "NhbmFyeS03ZjNlOTFjN",
    "jYW5hcnktN2YzZTkxYz",
];

/// Brings the swarm a root and its key, and then one more with a key that is not its own. Answers the lines of the keys.
fn rotated_by_a_root_of_ours(host: &Host) -> Vec<String> {
    const MAKE: &str = "set -e; cd \"$1\"; for name in one two; do openssl req -x509 -newkey ec -nodes -days 3650 \
        -pkeyopt ec_paramgen_curve:prime256v1 -subj /CN=$name -keyout $name.key -out $name.crt; done";
    let folder = host.files().join("roots");
    std::fs::create_dir_all(&folder).unwrap();
    let mut make = std::process::Command::new("bash");
    let made = make
        .args(["-c", MAKE, "roots"])
        .arg(&folder)
        .output()
        .unwrap();
    assert!(made.status.success(), "{made:?}");
    let file = |name: &str| folder.join(name).display().to_string();
    let rotate = ["swarm", "ca", "--rotate", "--quiet"];
    let bring = |cert: &str, key: &str| {
        let (cert, key) = (file(cert), file(key));
        host.docker(&[&rotate[..], &["--ca-cert", &cert, "--ca-key", &key]].concat())
            .unwrap()
    };
    let taken = bring("one.crt", "one.key");
    assert_eq!(taken.status, 0, "{taken:?}");
    let refused = bring("two.crt", "one.key");
    assert!(
        refused.stderr.contains("certificate key mismatch"),
        "{refused:?}"
    );
    let lines = |name: &str| {
        let key = std::fs::read_to_string(file(name)).unwrap();
        let body = key.lines().filter(|line| !line.starts_with("-----"));
        body.map(str::to_owned).collect::<Vec<_>>()
    };
    [lines("one.key"), lines("two.key")].concat()
}

/// What the flight recorder writes to a file when it is told to.
fn flights(host: &Host) -> String {
    let folder = host.daemon().exec_root();
    let files = || {
        let files = std::fs::read_dir(&folder)
            .unwrap()
            .flatten()
            .map(|entry| entry.path());
        let ours = |path: &std::path::PathBuf| path.extension().is_some_and(|kind| kind == "jsonl");
        files
            .filter(ours)
            .collect::<std::collections::BTreeSet<_>>()
    };
    let before = files();
    let daemon = host.daemon().pid().unwrap().to_string();
    host.inside(&["kill", "-USR1", &daemon])
        .unwrap()
        .success()
        .unwrap();
    wait::until("what happened, in a file", LIMIT, || {
        let new = files()
            .difference(&before)
            .next()
            .cloned()
            .ok_or("no new file")?;
        let text = std::fs::read_to_string(new).unwrap();
        text.ends_with('\n')
            .then_some(text)
            .ok_or_else(|| "half a file".to_owned())
    })
    .unwrap()
}

#[test]
fn a_session_at_trace_level_leaves_no_secret_in_the_log_nor_in_the_flight_recorder() {
    let flags = vec!["--log-level=trace".to_owned()];
    let options = Options {
        flags,
        ..Options::default()
    };
    let mut testbed = Testbed::hosts(1, &options).unwrap();
    let host = testbed.host(0);
    host.docker_ok(&["swarm", "init", "--advertise-addr", host.address()]);
    let mut secrets = vec![CANARY.to_owned()];
    secrets.extend(ENCODED.map(str::to_owned));
    for role in ["worker", "manager"] {
        secrets.push(
            host.docker_ok(&["swarm", "join-token", "--quiet", role])
                .trim()
                .to_owned(),
        );
        secrets.push(
            host.docker_ok(&["swarm", "join-token", "--quiet", "--rotate", role])
                .trim()
                .to_owned(),
        );
    }
    secrets.extend(rotated_by_a_root_of_ours(host));
    let env = format!("PASSWORD={CANARY}");
    host.docker_ok(&[
        "service",
        "create",
        "--detach",
        "--name",
        "a",
        "--env",
        &env,
        IMAGE,
        "sh",
        "-c",
        "echo $PASSWORD; sleep 3600",
    ]);
    let body = format!(
        r#"{{"Name":"b","TaskTemplate":{{"ContainerSpec":{{"Image":"{IMAGE}","Command":["sleep","3600"],"Env":["{env}"]}}}}}}"#
    );
    let headers = [
        ("Content-Type", "application/json"),
        ("X-Registry-Auth", AUTH),
    ];
    let create = Request {
        method: "POST",
        target: "/services/create",
        headers: &headers,
        body: Some(body.as_bytes()),
    };
    host.send(&create).unwrap().success().unwrap();
    for service in ["a", "b"] {
        wait::until("a running task", LIMIT, || {
            let tasks = host.docker_ok(&["service", "ps", service]);
            tasks.contains("Running ").then_some(()).ok_or(tasks)
        })
        .unwrap();
    }
    host.docker_ok(&["service", "logs", "a"]);
    for kind in ["secret", "config"] {
        let made = host.docker_fed(&[kind, "create", "s", "-"], CANARY.as_bytes());
        made.unwrap().success().unwrap();
    }
    let other = format!("OTHER={CANARY}");
    host.docker_ok(&[
        "service",
        "update",
        "--detach",
        "--secret-add",
        "s",
        "--config-add",
        "s",
        "--env-add",
        &other,
        "a",
    ]);
    wait::until("a task that reads both", LIMIT, || {
        let name = "label=com.docker.swarm.service.name=a";
        let all = host.docker_ok(&["ps", "--quiet", "--filter", name]);
        let read = ["cat", "/run/secrets/s", "/s"];
        let mut tasks = all
            .lines()
            .filter_map(|task| host.docker(&[&["exec", task], &read[..]].concat()).ok());
        let both = format!("{CANARY}{CANARY}");
        tasks
            .any(|read| read.stdout == both)
            .then_some(())
            .ok_or(all)
    })
    .unwrap();
    // Refused: what was sent is secret all the same.
    let _ = host.docker_fed(
        &["swarm", "unlock"],
        format!("SWMKEY-1-{CANARY}").as_bytes(),
    );
    let _ = host.docker(&["swarm", "join", "--token", &secrets[4], "10.77.0.9:2377"]);
    let malformed = Request {
        body: Some(b"{\"Name\": \"canary-7f3e91c4"),
        ..create
    };
    let _ = host.send(&malformed);
    host.docker_ok(&["swarm", "update", "--autolock=true"]);
    for ask in [
        &["swarm", "unlock-key", "--quiet"][..],
        &["swarm", "unlock-key", "--quiet", "--rotate"],
    ] {
        secrets.push(host.docker_ok(ask).trim().to_owned());
    }
    let mut said = flights(host);
    testbed.host_mut(0).stop_daemon().unwrap();
    testbed.host_mut(0).start_daemon().unwrap();
    let host = testbed.host(0);
    let key = secrets.last().unwrap();
    let unlocked = host.docker_fed(&["swarm", "unlock"], key.as_bytes());
    unlocked.unwrap().success().unwrap();
    said += &flights(host);
    assert!(
        said.contains("ServiceCreate") && said.contains("locked"),
        "{said}"
    );
    let log = std::fs::read_to_string(host.daemon().log()).unwrap();
    assert!(
        log.lines().count() > 20 && log.contains("swarmrsd is ready"),
        "{log}"
    );
    said += &log;
    for secret in &secrets {
        let found = said.lines().find(|line| line.contains(secret.as_str()));
        assert!(found.is_none(), "{secret} in: {found:?}");
    }
    for kind in ["SWMTKN-1-", "SWMKEY-1-", "PRIVATE KEY"] {
        assert!(!said.contains(kind), "{kind}");
    }
}
