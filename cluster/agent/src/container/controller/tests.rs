//! What a container's state means, without an engine.

use super::*;
use crate::container::policy::Policy;
use crate::executor::fake::{node, order};
use crate::mock::MockEngine;
use serde_json::{Value, json};
use wiremock::matchers::{method, path};
use wiremock::{Mock, ResponseTemplate};

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

/// A controller of an engine that gives these answers in turn, each as often as it says.
async fn controller(answers: &[(&str, &str, u16, Value, u64)]) -> (Controller, MockEngine) {
    let mock = MockEngine::start().await;
    for (verb, at, status, body, times) in answers {
        let answer = ResponseTemplate::new(*status).set_body_json(body);
        let at = format!("/v1.41/containers/{at}");
        let given = Mock::given(method(*verb))
            .and(path(at))
            .respond_with(answer);
        given.up_to_n_times(*times).mount(&mock.server).await;
    }
    let engine = mock.engine.clone();
    let networks = Arc::new(Networks::without_plane(engine.clone()));
    let settings = Settings {
        secrets: "/exec/secrets".into(),
        node: node(),
        generic_resources: Vec::new(),
        tls_info: tokio::sync::watch::channel(TlsInfo::default()).1,
        prefer_offline_image: true,
        sockets: None,
        policy: Policy::default(),
    };
    (Controller::new(engine, networks, settings), mock)
}

fn found() -> Container {
    Container {
        id: "c1".into(),
        untouched: false,
    }
}

fn looks(status: &str) -> Value {
    let started = if status == "created" {
        "0001-01-01T00:00:00Z"
    } else {
        "2026-01-01T00:00:00Z"
    };
    json!({"Id": "c1", "State": {"Status": status, "Running": status == "running", "StartedAt": started}})
}

#[tokio::test]
async fn a_container_that_is_listed_and_cannot_be_looked_at_is_not_made_yet() {
    let absent = json!({"message": "No such container: c1"});
    let answers = [
        ("GET", "c1/json", 404, absent, 1),
        ("GET", "c1/json", 200, looks("created"), 1),
    ];
    let (controller, _scene) = controller(&answers).await;
    assert_eq!(controller.is_made("c1").await, Ok(false));
    assert_eq!(controller.is_made("c1").await, Ok(true));
}

#[tokio::test]
async fn a_container_that_has_run_is_not_started_again() {
    for status in ["running", "exited"] {
        let answers = [("GET", "c1/json", 200, looks(status), 1)];
        let (controller, mock) = controller(&answers).await;
        assert_eq!(controller.start(&order(1), &found()).await, Ok(()));
        let asked = mock.server.received_requests().await.unwrap();
        assert!(
            asked.iter().all(|request| request.method == "GET"),
            "{status}"
        );
    }
}

#[tokio::test]
async fn a_refused_start_is_fine_if_the_container_runs_and_else_the_tasks_failure() {
    let refusal = json!({"message": "no luck"});
    for (then, expected) in [
        ("running", Ok(())),
        (
            "created",
            Err(Failure::fatal("starting container failed: no luck")),
        ),
        (
            "exited",
            Err(Failure::fatal("starting container failed: no luck")),
        ),
    ] {
        let answers = [
            ("GET", "c1/json", 200, looks("created"), 1),
            ("POST", "c1/start", 500, refusal.clone(), 1),
            ("GET", "c1/json", 200, looks(then), 1),
        ];
        let (controller, _scene) = controller(&answers).await;
        assert_eq!(
            controller.start(&order(1), &found()).await,
            expected,
            "{then}"
        );
    }
}
