//! A service that mounts the engine's socket talks to the swarm through it.
#![allow(clippy::unwrap_used, reason = "a test that cannot go on has failed")]

use std::os::unix::fs::symlink;
use std::time::Duration;

use serde_json::Value;
use swarmrs_compat_tests::testbed::{IMAGE, unique};
use swarmrs_compat_tests::{Host, Options, Testbed, wait};

const LIMIT: Duration = Duration::from_secs(60);

fn swarm(flags: &[&str]) -> Testbed {
    let flags = flags.iter().map(|&flag| flag.to_owned()).collect();
    let options = Options {
        flags,
        ..Options::default()
    };
    let testbed = Testbed::hosts(1, &options).unwrap();
    testbed
        .host(0)
        .docker_ok(&["swarm", "init", "--advertise-addr", "10.77.0.1"]);
    testbed
}

/// Makes a service of one task with these binds (source and target) and returns what its container has mounted.
fn mounted(host: &Host, name: &str, binds: &[(String, &str)], command: &str) -> Vec<Value> {
    let mounts = binds
        .iter()
        .map(|(source, target)| format!("type=bind,src={source},dst={target}"));
    let mounts: Vec<String> = mounts
        .flat_map(|mount| ["--mount".to_owned(), mount])
        .collect();
    let mut arguments = vec!["service", "create", "--detach", "--name", name];
    arguments.extend(mounts.iter().map(String::as_str));
    arguments.extend([IMAGE, "sh", "-c", command]);
    host.docker_ok(&arguments);
    let filter = format!("label=com.docker.swarm.service.name={name}");
    let container = wait::until("a running task", LIMIT, || {
        let id = host
            .docker(&["ps", "-q", "--filter", &filter])
            .map_err(|e| e.to_string())?;
        let tasks = host
            .docker(&["service", "ps", "--no-trunc", name])
            .map_err(|e| e.to_string())?;
        match id.stdout.trim() {
            "" => Err(tasks.stdout),
            id => Ok(id.to_owned()),
        }
    });
    let shown = host.docker_ok(&[
        "inspect",
        "--format",
        "{{json .Mounts}}",
        &container.unwrap(),
    ]);
    serde_json::from_str::<Vec<Value>>(&shown).unwrap()
}

fn source_at<'a>(mounts: &'a [Value], target: &str) -> &'a str {
    let mount = mounts.iter().find(|mount| mount["Destination"] == target);
    mount.unwrap()["Source"].as_str().unwrap()
}

#[test]
fn a_service_lists_itself_through_the_socket_it_mounts() {
    let testbed = swarm(&[]);
    let host = testbed.host(0);
    let (ours, engine) = (host.socket(), host.engine().socket());
    let (ours, engine) = (ours.to_str().unwrap(), engine.to_str().unwrap());
    let link = host.files().join("link.sock");
    symlink(engine, &link).unwrap();
    let plain = host.write("plain.sock", b"").unwrap();
    let binds = [
        ("/var/run/docker.sock".to_owned(), "/var/run/docker.sock"),
        ("/run/docker.sock".to_owned(), "/sock/run"),
        (engine.to_owned(), "/sock/engine"),
        (link.display().to_string(), "/sock/link"),
        (plain.display().to_string(), "/sock/plain"),
        // The stock command and what it is linked to.
        ("/usr".to_owned(), "/usr"),
        ("/lib".to_owned(), "/lib"),
        ("/lib64".to_owned(), "/lib64"),
    ];
    let name = unique("sees-itself");
    let asks = "/usr/bin/docker -H unix:///var/run/docker.sock service ls; sleep 3600";
    let mounts = mounted(host, &name, &binds, asks);
    for target in [
        "/var/run/docker.sock",
        "/sock/run",
        "/sock/engine",
        "/sock/link",
    ] {
        assert_eq!(source_at(&mounts, target), ours, "{target}");
    }
    assert_eq!(source_at(&mounts, "/sock/plain"), plain.to_str().unwrap());
    wait::until("the service's own name in its output", LIMIT, || {
        let logs = host
            .docker(&["service", "logs", &name])
            .map_err(|e| e.to_string())?;
        let seen = logs.stdout.contains(&name) && logs.stdout.contains("1/1");
        seen.then_some(()).ok_or_else(|| logs.stdout + &logs.stderr)
    })
    .unwrap();
    let spec = host.docker_ok(&[
        "service",
        "inspect",
        "--format",
        "{{json .Spec.TaskTemplate}}",
        &name,
    ]);
    assert!(
        spec.contains("\"/var/run/docker.sock\"") && !spec.contains(ours),
        "{spec}"
    );
}

/// The stock command inside a task, over the socket that its stack file mounts, as such files are written.
const STACK: &str = r#"
version: "3.8"
services:
  watcher:
    image: IMAGE
    command: ["sh", "-c", "/usr/bin/docker service ls; sleep 3600"]
    volumes:
      - /var/run/docker.sock:/var/run/docker.sock
      - /usr:/usr:ro
      - /lib:/lib:ro
      - /lib64:/lib64:ro
"#;

#[test]
fn a_service_of_a_stack_file_lists_the_services_through_the_socket_it_mounts() {
    let testbed = swarm(&[]);
    let host = testbed.host(0);
    let file = host.write("stack.yml", STACK.replace("IMAGE", IMAGE).as_bytes());
    let file = file.unwrap().display().to_string();
    let stack = unique("stack");
    let deploy = ["stack", "deploy", "--resolve-image", "never"];
    host.docker_ok(&[&deploy[..], &["--compose-file", &file, &stack]].concat());
    let name = format!("{stack}_watcher");
    wait::until("the service's own name in its output", LIMIT, || {
        let logs = host.docker(&["service", "logs", &name]);
        let logs = logs.map_err(|error| error.to_string())?;
        let listed = |line: &str| line.contains("replicated") && line.contains(&name);
        let seen = logs.stdout.lines().any(listed);
        seen.then_some(()).ok_or_else(|| logs.stdout + &logs.stderr)
    })
    .unwrap();
}

/// What the node's policy does not allow is rejected with the reason, and what it allows runs.
fn refuses_a_capability(host: &Host) {
    let create = [
        "service",
        "create",
        "--detach",
        "--restart-condition",
        "none",
        "--name",
    ];
    for (capability, expected) in [
        (
            "SYS_ADMIN",
            "the policy of this node does not allow the capability CAP_SYS_ADMIN",
        ),
        ("NET_ADMIN", "Running "),
    ] {
        let name = unique("powers");
        host.docker_ok(
            &[
                &create[..],
                &[&name, "--cap-add", capability, IMAGE, "sleep", "3600"],
            ]
            .concat(),
        );
        wait::until(expected, LIMIT, || {
            let tasks = host.docker_ok(&["service", "ps", "--no-trunc", &name]);
            tasks.contains(expected).then_some(()).ok_or(tasks)
        })
        .unwrap();
    }
}

#[test]
fn a_node_may_leave_the_engines_socket_and_refuse_powers() {
    let policy = std::env::temp_dir().join(format!("swarmrs-policy-{}.json", std::process::id()));
    std::fs::write(&policy, r#"{"capabilities": ["NET_ADMIN"]}"#).unwrap();
    let testbed = swarm(&[
        "--map-engine-socket=false",
        "--node-policy",
        policy.to_str().unwrap(),
    ]);
    std::fs::remove_file(&policy).unwrap();
    let host = testbed.host(0);
    refuses_a_capability(host);
    let engine = host.engine().socket().display().to_string();
    let binds = [(engine.clone(), "/sock")];
    let mounts = mounted(host, &unique("unmapped"), &binds, "sleep 3600");
    assert_eq!(source_at(&mounts, "/sock"), engine);
}
