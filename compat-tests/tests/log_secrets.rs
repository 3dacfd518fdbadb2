//! Nothing secret is in the daemon's log, at any level.
#![allow(clippy::unwrap_used, reason = "a test that cannot go on has failed")]

use std::time::Duration;

use swarmrs_compat_tests::http::Request;
use swarmrs_compat_tests::testbed::IMAGE;
use swarmrs_compat_tests::{Options, Testbed, wait};

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

#[test]
fn a_session_at_trace_level_leaves_no_secret_in_the_log() {
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
    host.docker_ok(&[
        "service",
        "update",
        "--detach",
        "--env-add",
        &format!("OTHER={CANARY}"),
        "a",
    ]);
    // Refused or not built: what was sent is secret all the same.
    let _ = host.docker_fed(&["secret", "create", "s", "-"], CANARY.as_bytes());
    let _ = host.docker_fed(&["config", "create", "c", "-"], CANARY.as_bytes());
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
    testbed.host_mut(0).stop_daemon().unwrap();
    testbed.host_mut(0).start_daemon().unwrap();
    let log = std::fs::read_to_string(testbed.host(0).daemon().log()).unwrap();
    assert!(
        log.lines().count() > 20 && log.contains("swarmrsd is ready"),
        "{log}"
    );
    for secret in &secrets {
        let found = log.lines().find(|line| line.contains(secret.as_str()));
        assert!(found.is_none(), "{secret} in: {found:?}");
    }
    for kind in ["SWMTKN-1-", "SWMKEY-1-", "PRIVATE KEY"] {
        assert!(!log.contains(kind), "{kind}");
    }
}
