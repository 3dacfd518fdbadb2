//! An engine that is not there yet, or is in a swarm of its own: what is said, what is left alone, and how it goes on.
#![allow(clippy::unwrap_used, reason = "a test that cannot go on has failed")]

use std::sync::MutexGuard;
use std::time::Duration;

use serde_json::{Value, json};
use swarmrs_compat_tests::observe::{
    TaskContainer, shown_replicas, task_containers, wait_for_replicas,
};
use swarmrs_compat_tests::testbed::{IMAGE, shared, unique};
use swarmrs_compat_tests::web::remove;
use swarmrs_compat_tests::{Host, Options, Testbed, wait};

const SOON: Duration = Duration::from_secs(30);

/// Within this time a change of the engine's state must be noticed.
const NOTICED: Duration = Duration::from_secs(60);

/// The shared host with nothing running in front of an engine in no swarm, whatever a test before this one left.
fn bare() -> MutexGuard<'static, Testbed> {
    let mut testbed = shared(&Options::default());
    let host = testbed.host_mut(0);
    if host.engine().pid().is_none() {
        host.start_engine().unwrap();
    }
    // Refused when the engine is in no swarm, as it mostly is.
    leave_engines_swarm(host);
    host.stop_daemon().unwrap();
    host.start_daemon().unwrap();
    if state(host) == "active" {
        host.docker_ok(&["swarm", "leave", "--force"]);
    }
    host.stop_daemon().unwrap();
    testbed
}

fn state(host: &Host) -> String {
    host.docker_ok(&["info", "--format", "{{.Swarm.LocalNodeState}}"])
}

fn wait_for_state(host: &Host, wanted: &str) {
    let what = format!("the state {wanted}");
    let probe = || {
        let now = state(host);
        if now == wanted { Ok(()) } else { Err(now) }
    };
    wait::until(&what, NOTICED, probe).unwrap();
}

/// On a port that ours does not use.
fn make_engines_swarm(host: &Host) {
    let address = host.address();
    let listen = format!("{address}:2388");
    let init = [
        "swarm",
        "init",
        "--advertise-addr",
        &listen,
        "--listen-addr",
        &listen,
    ];
    host.engine_docker(&init).unwrap().success().unwrap();
}

fn leave_engines_swarm(host: &Host) -> i32 {
    let left = host.engine_docker(&["swarm", "leave", "--force"]);
    left.unwrap().status
}

/// What a user is told of an engine in swarm mode.
fn in_swarm_mode(host: &Host) -> String {
    let socket = host.engine().socket();
    let socket = socket.display();
    format!(
        "the engine at {socket} is itself in swarm mode: nothing is scheduled beside it. To leave its swarm (its services \
         end): docker -H unix://{socket} swarm leave --force"
    )
}

fn init(host: &Host) {
    host.docker_ok(&["swarm", "init", "--advertise-addr", host.address()]);
}

fn sleeper(name: &str, replicas: usize) -> Value {
    json!({
        "Name": name,
        "TaskTemplate": {"ContainerSpec": {"Image": IMAGE, "Command": ["sleep", "600"], "StopSignal": "SIGKILL"}},
        "Mode": {"Replicated": {"Replicas": replicas}},
    })
}

fn create(host: &Host, name: &str, replicas: usize) {
    let spec = sleeper(name, replicas);
    let answer = host.api("POST", "/services/create", Some(&spec)).unwrap();
    assert_eq!(answer.status, 201, "{}", answer.text());
}

fn running(host: &Host, name: &str) -> Vec<TaskContainer> {
    let containers = task_containers(host, name).unwrap();
    containers.into_iter().filter(|one| one.running).collect()
}

/// Status and message of a `GET`.
fn asked(host: &Host, target: &str) -> (u16, String) {
    let answer = host.api("GET", target, None).unwrap();
    (answer.status, answer.message())
}

/// What swarmrsd has logged from this byte on.
fn log_from(host: &Host, start: usize) -> String {
    let log = std::fs::read(host.daemon().log()).unwrap();
    String::from_utf8_lossy(&log[start..]).into_owned()
}

#[test]
fn swarmrsd_waits_for_its_engine_and_works_once_it_comes() {
    let mut testbed = bare();
    let log_start = log_from(testbed.host(0), 0).len();
    testbed.host_mut(0).stop_engine().unwrap();
    testbed.host_mut(0).launch_daemon().unwrap();
    let host = testbed.host(0);
    let gate = wait::until("an answer", SOON, || {
        let answer = host.api("GET", "/swarm", None);
        answer.map_err(|error| error.to_string())
    });
    let gate = gate.unwrap();
    assert_eq!(gate.status, 503, "{}", gate.text());
    assert!(
        gate.message()
            .starts_with("This node is not a swarm manager.")
    );
    let engine = host.engine().socket().display().to_string();
    let log = log_from(host, log_start);
    let waits = |line: &str| line.contains("waiting for the engine") && line.contains(&engine);
    assert!(log.lines().any(waits), "{log}");
    engines_calls_name_the_socket(host, &engine);
    work_before_the_engine_comes(&mut testbed);
}

fn engines_calls_name_the_socket(host: &Host, engine: &str) {
    for target in [
        "/info",
        "/version",
        "/events",
        "/containers/json",
        "/images/json",
        "/_ping",
    ] {
        let (status, message) = asked(host, target);
        assert_eq!(status, 503, "{target}: {message}");
        assert!(message.contains(engine), "{target}: {message}");
    }
    let ping = host.api("HEAD", "/_ping", None).unwrap();
    assert_eq!((ping.status, ping.header("swarm")), (503, Some("inactive")));
    assert!(ping.header("api-version").is_some(), "{ping:?}");
    let listed = host.docker(&["ps"]).unwrap();
    assert!(
        listed.status != 0 && listed.stderr.contains(engine),
        "{listed:?}"
    );
}

/// A swarm is made and read without an engine; the engine finds its work when it comes.
fn work_before_the_engine_comes(testbed: &mut Testbed) {
    let host = testbed.host(0);
    init(host);
    assert_eq!(asked(host, "/services"), (200, "[]\n".to_owned()));
    let name = unique("early");
    create(host, &name, 2);
    assert_eq!(shown_replicas(host, &name).unwrap(), "0/2");
    testbed.host_mut(0).start_engine().unwrap();
    let host = testbed.host(0);
    wait_for_replicas(host, &name, "2/2").unwrap();
    assert_eq!(running(host, &name).len(), 2);
    assert_eq!(state(host), "active");
    remove(host, &name);
}

#[test]
fn an_engine_in_a_swarm_of_its_own_is_refused_until_it_has_left() {
    let mut testbed = bare();
    make_engines_swarm(testbed.host(0));
    testbed.host_mut(0).start_daemon().unwrap();
    let host = testbed.host(0);
    let reason = in_swarm_mode(host);
    let info = host.docker_ok(&["info"]);
    assert!(
        info.contains("Swarm: error\n") && info.contains(&format!("Error: {reason}\n")),
        "{info}"
    );
    let name = unique("refused");
    let init_flags = ["swarm", "init", "--advertise-addr", host.address()];
    let create_flags = [
        "service",
        "create",
        "--no-resolve-image",
        "--name",
        &name,
        IMAGE,
        "sleep",
        "600",
    ];
    for arguments in [&init_flags[..], &create_flags[..]] {
        let refused = host.docker(arguments).unwrap();
        assert_eq!(refused.status, 1, "{refused:?}");
        assert!(refused.stderr.contains(&reason), "{refused:?}");
    }
    let calls = [
        (
            "/swarm/init",
            json!({"ListenAddr": "0.0.0.0:2377", "AdvertiseAddr": host.address()}),
        ),
        ("/services/create", sleeper(&name, 1)),
    ];
    for (target, body) in calls {
        let answer = host.api("POST", target, Some(&body)).unwrap();
        assert_eq!(
            (answer.status, answer.message()),
            (503, reason.clone()),
            "{target}"
        );
    }
    let listed = [
        "ps",
        "--all",
        "--quiet",
        "--filter",
        "label=com.docker.swarm.task.id",
    ];
    let tasks = host.engine_docker(&listed).unwrap();
    assert_eq!(tasks.success().unwrap(), "");
    assert_eq!(
        leave_engines_swarm(host),
        0,
        "the engine's own swarm was left alone"
    );
    wait_for_state(host, "inactive");
    init(host);
    create(host, &name, 1);
    wait_for_replicas(host, &name, "1/1").unwrap();
    remove(host, &name);
}

#[test]
fn an_engine_that_goes_into_swarm_mode_under_ours_ends_it_until_it_has_left() {
    let mut testbed = bare();
    testbed.host_mut(0).start_daemon().unwrap();
    let host = testbed.host(0);
    init(host);
    let node = host.docker_ok(&["info", "--format", "{{.Swarm.NodeID}}"]);
    let name = unique("kept");
    create(host, &name, 2);
    wait_for_replicas(host, &name, "2/2").unwrap();
    let before = running(host, &name);
    make_engines_swarm(host);
    wait_for_state(host, "error");
    assert_eq!(running(host, &name), before);
    assert_eq!(asked(host, "/services"), (503, in_swarm_mode(host)));
    assert_eq!(leave_engines_swarm(host), 0);
    wait_for_state(host, "active");
    assert_eq!(
        host.docker_ok(&["info", "--format", "{{.Swarm.NodeID}}"]),
        node
    );
    wait_for_replicas(host, &name, "2/2").unwrap();
    assert_eq!(task_containers(host, &name).unwrap(), before);
    host.docker_ok(&["service", "scale", "--detach", &format!("{name}=3")]);
    wait_for_replicas(host, &name, "3/3").unwrap();
    let now = running(host, &name);
    assert!(
        before.iter().all(|one| now.contains(one)),
        "{before:?} {now:?}"
    );
    remove(host, &name);
}
