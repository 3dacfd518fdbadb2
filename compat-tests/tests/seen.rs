//! What an operator sees: `docker swarmrs status` through the stock command, metrics, health, and the flight recorder.
#![allow(clippy::unwrap_used, reason = "a test that cannot go on has failed")]

use std::time::Duration;

use serde_json::Value;
use swarmrs_compat_tests::command::Output;
use swarmrs_compat_tests::observe::{wait_for_replicas, wait_until_gone, with_plugin};
use swarmrs_compat_tests::testbed::{IMAGE, shared, unique};
use swarmrs_compat_tests::{Host, Options, Testbed, swarm, wait};

const SOON: Duration = Duration::from_secs(60);
const CANARY: &str = "c4nary";

/// Asks until the page says so.
fn page_says(host: &Host, what: &str, code: i32) -> Output {
    let mut last = None;
    wait::until(what, SOON, || {
        let page = with_plugin(host, &["swarmrs", "status"]).unwrap();
        let said = page.stdout.contains(what) && page.status == code;
        let shown = format!("exit {}: {}{}", page.status, page.stdout, page.stderr);
        last = Some(page);
        said.then_some(()).ok_or(shown)
    })
    .unwrap();
    last.unwrap()
}

#[test]
fn status_shows_what_is_not_converged_and_why_and_fails_for_it() {
    let testbed = shared(&Options::default());
    let host = testbed.host(0);
    swarm::init(host);
    let (well, stuck, broken) = (unique("well"), unique("stuck"), unique("broken"));
    host.docker_ok(&[
        "service", "create", "-d", "--name", &well, IMAGE, "sleep", "600",
    ]);
    wait_for_replicas(host, &well, "1/1").unwrap();
    let page = page_says(host, "Services:  1 of 1 converged", 0);
    for row in [
        "Quorum:    yes (1 of 1 manager reachable, 1 needed, 0 may be lost)",
        "(leader)",
        "Nodes:     1 ready",
    ] {
        assert!(page.stdout.contains(row), "{}", page.stdout);
    }

    let nowhere = ["--constraint", "node.labels.nowhere==true"];
    host.docker_ok(
        &[
            &["service", "create", "-d", "--name", &stuck],
            &nowhere[..],
            &[IMAGE],
        ]
        .concat(),
    );
    host.docker_ok(&["service", "create", "-d", "--name", &broken, IMAGE, "false"]);
    page_says(
        host,
        "no suitable node (scheduling constraints not satisfied on 1 node)",
        1,
    );
    let page = page_says(host, "task: non-zero exit (1)", 1);
    assert!(
        page.stdout.contains("Services:  1 of 3 converged"),
        "{}",
        page.stdout
    );

    let json = with_plugin(host, &["swarmrs", "status", "--format", "json"]).unwrap();
    let report: Value = serde_json::from_str(&json.stdout).unwrap();
    assert_eq!(
        (json.status, &report["Healthy"]),
        (1, &Value::Bool(false)),
        "{report}"
    );
    assert_eq!(
        report["Services"]["NotConverged"].as_array().unwrap().len(),
        2
    );
    for name in [&well, &stuck, &broken] {
        host.docker_ok(&["service", "rm", name]);
        wait_until_gone(host, name).unwrap();
    }
    page_says(host, "Services:  0 of 0 converged", 0);
}

#[test]
fn status_finds_its_daemon_as_docker_does_and_knows_a_stock_engine() {
    let testbed = shared(&Options::default());
    let host = testbed.host(0);
    let ours = format!("unix://{}", host.socket().display());
    let engine = format!("unix://{}", host.engine().socket().display());
    let by_flag = with_plugin(host, &["-H", &ours, "swarmrs", "status"]).unwrap();
    assert!(
        by_flag.stdout.starts_with("Swarm: "),
        "{}{}",
        by_flag.stdout,
        by_flag.stderr
    );
    let context = unique("far");
    let endpoint = format!("host={ours}");
    let made = with_plugin(
        host,
        &["context", "create", &context, "--docker", &endpoint],
    )
    .unwrap();
    assert_eq!(made.status, 0, "{}", made.stderr);
    let by_context = with_plugin(host, &["--context", &context, "swarmrs", "status"]).unwrap();
    assert_eq!(by_context.stdout, by_flag.stdout);
    let stock = with_plugin(host, &["-H", &engine, "swarmrs", "status"]).unwrap();
    assert_eq!(stock.status, 1);
    assert!(
        stock.stderr.contains("is a stock engine, not swarmrsd"),
        "{}",
        stock.stderr
    );
    let version = with_plugin(host, &["swarmrs", "version"]).unwrap();
    let json = with_plugin(host, &["swarmrs", "version", "--format", "json"]).unwrap();
    let versions: Value = serde_json::from_str(&json.stdout).unwrap();
    let server = &versions["Server"];
    for (row, value) in [
        ("Version:      ", &server["Version"]),
        ("Engine:       ", &server["EngineVersion"]),
        ("API version:  ", &server["ApiVersion"]),
        ("Swarm:        ", &server["Swarm"]),
    ] {
        let row = format!("{row}{}\n", value.as_str().unwrap());
        assert!(version.stdout.contains(&row), "{row}{}", version.stdout);
    }
    assert_eq!(versions["Client"]["Version"], server["Version"]);
    let template = with_plugin(host, &["swarmrs", "status", "--format", "{{.Swarm}}"]).unwrap();
    assert_ne!(template.status, 0);
    assert!(
        template.stderr.contains("Go templates are not"),
        "{}",
        template.stderr
    );
}

#[test]
fn an_engine_that_is_away_is_a_problem_while_health_is_answered() {
    let mut testbed = shared(&Options::default());
    swarm::init(testbed.host(0));
    testbed.host_mut(0).kill_engine();
    let host = testbed.host(0);
    let probe = |aspect: &str| {
        let target = format!("/swarmrs/v1/read/health?for={aspect}");
        host.api("GET", &target, None).unwrap().status
    };
    assert_eq!(
        (probe("live"), probe("ready"), probe("quorum")),
        (200, 503, 200)
    );
    page_says(host, "the engine does not answer", 1);
    testbed.host_mut(0).start_engine().unwrap();
    let host = testbed.host(0);
    page_says(host, "Services:  0 of 0 converged", 0);
    let lines = recorder(host);
    assert!(
        lines.contains("\"Kind\":\"Engine\",\"State\":\"away\""),
        "{lines}"
    );
}

fn recorder(host: &Host) -> String {
    let answer = host.api("GET", "/swarmrs/v1/read/recorder", None).unwrap();
    assert_eq!(answer.status, 200);
    answer.text()
}

#[test]
fn a_task_that_runs_and_one_that_fails_leave_nothing_of_their_spec_in_the_recorder() {
    let testbed = shared(&Options::default());
    let host = testbed.host(0);
    swarm::init(host);
    let name = unique("recorded");
    let (variable, label) = (format!("TOKEN={CANARY}"), format!("key={CANARY}"));
    let spec = [
        "--env",
        &variable,
        "--label",
        &label,
        "--container-label",
        &label,
    ];
    let create = [
        "service",
        "create",
        "-d",
        "--name",
        &name,
        "--hostname",
        CANARY,
    ];
    host.docker_ok(&[&create[..], &spec, &[IMAGE, "sleep", "600"]].concat());
    wait_for_replicas(host, &name, "1/1").unwrap();
    // The engine's refusal quotes the command.
    host.docker_ok(&["service", "update", "-d", "--args", CANARY, &name]);
    wait::until("a failed task", SOON, || {
        let lines = recorder(host);
        let failed =
            lines.contains("\"State\":\"failed\"") || lines.contains("\"State\":\"rejected\"");
        failed.then_some(()).ok_or(lines)
    })
    .unwrap();
    let lines = recorder(host);
    assert!(lines.contains(&name), "{lines}");
    assert!(!lines.contains(CANARY), "{lines}");
    let metrics = host
        .api("GET", "/swarmrs/v1/read/metrics", None)
        .unwrap()
        .text();
    assert!(!metrics.contains(CANARY), "{metrics}");
    host.docker_ok(&["service", "rm", &name]);
    wait_until_gone(host, &name).unwrap();
}

#[test]
fn tasks_taken_over_after_a_kill_are_counted() {
    let mut testbed: std::sync::MutexGuard<'static, Testbed> = shared(&Options::default());
    swarm::init(testbed.host(0));
    let name = unique("kept");
    let create = [
        "service",
        "create",
        "-d",
        "--replicas",
        "3",
        "--name",
        &name,
    ];
    testbed
        .host(0)
        .docker_ok(&[&create[..], &[IMAGE, "sleep", "600"]].concat());
    wait_for_replicas(testbed.host(0), &name, "3/3").unwrap();
    testbed.host_mut(0).kill_daemon();
    testbed.host_mut(0).start_daemon().unwrap();
    let host = testbed.host(0);
    wait::until("three adopted tasks", SOON, || {
        let metrics = host.api("GET", "/swarmrs/v1/read/metrics", None);
        let metrics = metrics.map_err(|error| error.to_string())?.text();
        let line = "\nswarmrs_agent_adopted_tasks_total 3\n";
        metrics.contains(line).then_some(()).ok_or(metrics)
    })
    .unwrap();
    host.docker_ok(&["service", "rm", &name]);
    wait_until_gone(host, &name).unwrap();
}
