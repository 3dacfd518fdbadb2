//! What a container's state means, without an engine.

use super::*;
use serde_json::Value;

fn state(status: Status, health: Option<Health>, exit_code: i64, error: &str) -> ContainerState {
    ContainerState {
        id: "c1".into(),
        name: "web.1".into(),
        labels: Default::default(),
        image: String::new(),
        created: None,
        started_at: None,
        finished_at: None,
        running: status == Status::Running,
        status,
        pid: 0,
        exit_code,
        error: error.into(),
        oom: false,
        health,
        ports: Vec::new(),
        tty: false,
        raw: Value::Null,
    }
}

#[test]
fn a_health_check_decides_only_while_the_container_runs() {
    for (status, health, expected) in [
        (Status::Running, None, Verdict::Running),
        (Status::Running, Some(Health::Starting), Verdict::Unsettled),
        (Status::Running, Some(Health::Healthy), Verdict::Running),
        (Status::Running, Some(Health::Unhealthy), Verdict::Unhealthy),
        (Status::Paused, None, Verdict::Running),
        (Status::Exited, Some(Health::Unhealthy), Verdict::Ended),
        (Status::Dead, None, Verdict::Ended),
    ] {
        assert_eq!(
            verdict(&state(status.clone(), health, 0, "")),
            expected,
            "{status:?}"
        );
    }
}

#[test]
fn an_exit_reads_as_docker_writes_it() {
    let text = |code, error| match exit(&state(Status::Exited, None, code, error)) {
        Ok(_) => String::new(),
        Err(failure) => failure.to_string(),
    };
    assert_eq!(text(0, ""), "");
    assert_eq!(text(3, ""), "task: non-zero exit (3)");
    assert_eq!(
        text(127, "no such file"),
        "task: non-zero exit (127): no such file"
    );
}

#[test]
fn a_port_bound_for_both_families_is_one_port_with_its_name() {
    let ordered = [PortConfig {
        name: "http".into(),
        target_port: 80,
        ..PortConfig::default()
    }];
    let binding = |host_ip: &str| PortBinding {
        container_port: 80,
        protocol: "tcp".into(),
        host_ip: host_ip.into(),
        host_port: 32768,
    };
    let expected = [PortConfig {
        name: "http".into(),
        protocol: Some(Protocol::Tcp),
        target_port: 80,
        published_port: 32768,
        publish_mode: Some(PublishMode::Host),
    }];
    assert_eq!(
        bound(&ordered, &[binding("0.0.0.0"), binding("::")]),
        expected
    );
}

#[test]
fn only_an_engine_that_is_there_can_fail_a_task() {
    let says = |status| Error::Api {
        status,
        message: "no".into(),
    };
    assert!(matches!(failure(&says(503)), Failure::Away(_)));
    assert_eq!(failure(&says(500)), Failure::fatal("no"));
    let silent = Error::Timeout {
        call: "start".into(),
        limit: Duration::from_secs(1),
    };
    assert!(matches!(failure(&silent), Failure::Away(_)));
}

#[tokio::test]
async fn a_look_that_was_dropped_is_owed() {
    let hint = Notify::new();
    drop(LookAgain(Some(&hint)));
    assert!(
        tokio::time::timeout(Duration::ZERO, hint.notified())
            .await
            .is_ok()
    );
    LookAgain(Some(&hint)).done();
    assert!(
        tokio::time::timeout(Duration::ZERO, hint.notified())
            .await
            .is_err()
    );
}
