//! Plain calls against a fake engine: what goes over the wire, and what each answer becomes.

#![allow(clippy::unwrap_used, reason = "a test ends where it cannot go on")]

use std::path::PathBuf;
use std::time::Duration;

use serde_json::{Value, json};
use swarmrs_engine::{
    ApiVersion, ContainerStatus, Engine, Error, EventFilter, Filters, Limits, LogOptions,
    MINIMUM_API, WaitCondition,
};
use tempfile::TempDir;
use tokio::net::{TcpStream, UnixListener};
use wiremock::matchers::{body_json, header, method, path, query_param};
use wiremock::{Mock, MockServer, ResponseTemplate};

/// A wiremock server behind a unix socket, as the engine's client knows no other.
struct Fake {
    server: MockServer,
    engine: Engine,
    _folder: TempDir,
}

impl Fake {
    async fn speaking(api: &str) -> Self {
        let fake = Self::silent().await;
        fake.answer("GET", "/version", 200, version(api)).await;
        fake
    }

    async fn silent() -> Self {
        let server = MockServer::start().await;
        let folder = tempfile::tempdir().unwrap();
        let socket = folder.path().join("engine.sock");
        bridge(UnixListener::bind(&socket).unwrap(), *server.address());
        let limits = Limits {
            read: Duration::from_millis(500),
            write: Duration::from_millis(500),
        };
        let engine = Engine::with_limits(&socket, limits);
        Self {
            server,
            engine,
            _folder: folder,
        }
    }

    async fn answer(&self, verb: &str, at: &str, status: u16, body: Value) {
        let response = ResponseTemplate::new(status).set_body_json(body);
        Mock::given(method(verb))
            .and(path(at))
            .respond_with(response)
            .mount(&self.server)
            .await;
    }
}

fn bridge(listener: UnixListener, to: std::net::SocketAddr) {
    tokio::spawn(async move {
        while let Ok((mut near, _)) = listener.accept().await {
            tokio::spawn(async move {
                let mut far = TcpStream::connect(to).await.unwrap();
                let _ = tokio::io::copy_bidirectional(&mut near, &mut far).await;
            });
        }
    });
}

fn version(api: &str) -> Value {
    json!({"Version": "fake", "ApiVersion": api, "MinAPIVersion": "1.12"})
}

#[tokio::test]
async fn every_call_carries_the_negotiated_version() {
    let fake = Fake::speaking("1.41").await;
    fake.answer("GET", "/v1.41/info", 200, json!({"Name": "host"}))
        .await;
    fake.answer("POST", "/v1.41/containers/c1/start", 204, json!(null))
        .await;

    assert_eq!(fake.engine.api_version().await.unwrap(), MINIMUM_API);
    assert_eq!(fake.engine.info().await.unwrap().name, "host");
    fake.engine.start_container("c1").await.unwrap();
}

#[tokio::test]
async fn a_newer_engine_is_spoken_to_in_the_newest_version_we_know() {
    let fake = Fake::speaking("1.99").await;
    assert_eq!(
        fake.engine.api_version().await.unwrap(),
        ApiVersion {
            major: 1,
            minor: 53
        }
    );
}

#[tokio::test]
async fn an_engine_older_than_docker_20_10_is_refused_with_both_versions() {
    let fake = Fake::speaking("1.40").await;
    let error = fake.engine.ping().await.unwrap_err();
    assert!(matches!(error, Error::TooOld { .. }));
    assert!(
        error
            .to_string()
            .ends_with("speaks API 1.40, but 1.41 or newer (Docker 20.10) is needed"),
        "{error}"
    );
}

#[tokio::test]
async fn an_engine_replaced_by_an_older_one_is_asked_again_in_its_version() {
    let fake = Fake::silent().await;
    let once = |api| {
        Mock::given(path("/version"))
            .respond_with(ResponseTemplate::new(200).set_body_json(version(api)))
    };
    once("1.51").up_to_n_times(1).mount(&fake.server).await;
    once("1.41").mount(&fake.server).await;
    let text = "client version 1.51 is too new. Maximum supported API version is 1.41";
    fake.answer(
        "POST",
        "/v1.51/containers/create",
        400,
        json!({"message": text}),
    )
    .await;
    fake.answer(
        "POST",
        "/v1.41/containers/create",
        201,
        json!({"Id": "c1", "Warnings": null}),
    )
    .await;
    fake.answer(
        "POST",
        "/v1.51/containers/c1/start",
        400,
        json!({"message": text}),
    )
    .await;
    fake.answer("POST", "/v1.41/containers/c1/start", 204, json!(null))
        .await;

    fake.engine.api_version().await.unwrap();
    let created = fake
        .engine
        .create_container("web.1", &json!({}))
        .await
        .unwrap();
    fake.engine.start_container(&created.id).await.unwrap();
    assert_eq!(fake.engine.api_version().await.unwrap(), MINIMUM_API);
}

#[tokio::test]
async fn a_containers_body_reaches_the_engine_as_it_was_written() {
    let fake = Fake::speaking("1.41").await;
    let config = json!({
        "Image": "app", "Healthcheck": {"Test": ["CMD", "true"], "Interval": 1_000_000_000},
        "FieldOfTheFuture": {"kept": true}, "HostConfig": {"Init": null},
    });
    Mock::given(method("POST"))
        .and(path("/v1.41/containers/create"))
        .and(query_param("name", "web.1.abc"))
        .and(header("content-type", "application/json"))
        .and(body_json(&config))
        .respond_with(
            ResponseTemplate::new(201).set_body_json(json!({"Id": "c1", "Warnings": ["slow"]})),
        )
        .mount(&fake.server)
        .await;

    let created = fake
        .engine
        .create_container("web.1.abc", &config)
        .await
        .unwrap();
    assert_eq!(
        (created.id.as_str(), created.warnings),
        ("c1", vec!["slow".to_owned()])
    );
}

#[tokio::test]
async fn a_refusal_keeps_the_engines_text_and_status() {
    let fake = Fake::speaking("1.41").await;
    let taken = "Conflict. The container name \"/web.1\" is already in use";
    fake.answer(
        "POST",
        "/v1.41/containers/create",
        409,
        json!({"message": taken}),
    )
    .await;
    fake.answer(
        "DELETE",
        "/v1.41/containers/c1",
        404,
        json!({"message": "No such container: c1"}),
    )
    .await;

    let conflict = fake
        .engine
        .create_container("web.1", &json!({}))
        .await
        .unwrap_err();
    assert!(conflict.is_conflict() && !conflict.is_not_found());
    assert_eq!(conflict.message(), taken);
    let missing = fake
        .engine
        .remove_container("c1", true, true)
        .await
        .unwrap_err();
    assert!(missing.is_not_found());
    assert_eq!(missing.message(), "No such container: c1");
}

#[tokio::test]
async fn a_refusal_without_json_is_kept_as_it_is() {
    let fake = Fake::speaking("1.41").await;
    let plain = ResponseTemplate::new(404).set_body_string("404 page not found\n");
    Mock::given(path("/v1.41/networks/n1"))
        .respond_with(plain)
        .mount(&fake.server)
        .await;
    assert_eq!(
        fake.engine
            .inspect_network("n1")
            .await
            .unwrap_err()
            .message(),
        "404 page not found"
    );
}

#[tokio::test]
async fn starting_what_runs_and_stopping_what_stands_is_no_error() {
    let fake = Fake::speaking("1.41").await;
    for deed in ["start", "stop"] {
        let unchanged = ResponseTemplate::new(304);
        Mock::given(path(format!("/v1.41/containers/c1/{deed}")))
            .respond_with(unchanged)
            .mount(&fake.server)
            .await;
    }
    fake.engine.start_container("c1").await.unwrap();
    fake.engine
        .stop_container("c1", Some(Duration::from_secs(1)))
        .await
        .unwrap();
}

#[tokio::test]
async fn a_silent_engine_costs_no_more_than_the_limit() {
    let fake = Fake::speaking("1.41").await;
    let late = ResponseTemplate::new(200)
        .set_body_json(json!({}))
        .set_delay(Duration::from_secs(60));
    Mock::given(path("/v1.41/containers/c1/json"))
        .respond_with(late.clone())
        .mount(&fake.server)
        .await;
    Mock::given(path("/v1.41/containers/c1/start"))
        .respond_with(late)
        .mount(&fake.server)
        .await;

    for error in [
        fake.engine.inspect_container("c1").await.unwrap_err(),
        fake.engine.start_container("c1").await.unwrap_err(),
    ] {
        assert!(matches!(error, Error::Timeout { .. }), "{error}");
    }
}

#[tokio::test]
async fn a_stop_may_take_its_whole_grace_period() {
    let fake = Fake::speaking("1.41").await;
    let slow = ResponseTemplate::new(204).set_delay(Duration::from_millis(800));
    Mock::given(path("/v1.41/containers/c1/stop"))
        .and(query_param("t", "1"))
        .respond_with(slow)
        .mount(&fake.server)
        .await;
    fake.engine
        .stop_container("c1", Some(Duration::from_secs(1)))
        .await
        .unwrap();
}

#[tokio::test]
async fn lists_are_filtered_by_all_labels() {
    let fake = Fake::speaking("1.41").await;
    Mock::given(path("/v1.41/containers/json"))
        .and(query_param("all", "1"))
        .and(query_param(
            "filters",
            r#"{"label":["a=1","b"],"name":["web"]}"#,
        ))
        .respond_with(
            ResponseTemplate::new(200).set_body_json(json!([{"Id": "c1", "State": "exited"}])),
        )
        .mount(&fake.server)
        .await;
    let filters = Filters::new().label("a=1").label("b").with("name", "web");
    let listed = fake.engine.list_containers(&filters, true).await.unwrap();
    assert_eq!(
        listed
            .iter()
            .map(|one| (one.id.as_str(), &one.status))
            .collect::<Vec<_>>(),
        [("c1", &ContainerStatus::Exited)]
    );
}

#[tokio::test]
async fn a_container_is_connected_to_a_network_with_the_endpoint_as_written() {
    let fake = Fake::speaking("1.41").await;
    let endpoint = json!({"IPAMConfig": {"IPv4Address": "10.0.1.5"}, "OfTheFuture": 1});
    for (deed, body) in [
        (
            "connect",
            json!({"Container": "c1", "EndpointConfig": endpoint}),
        ),
        ("disconnect", json!({"Container": "c1", "Force": true})),
    ] {
        Mock::given(method("POST"))
            .and(path(format!("/v1.41/networks/n1/{deed}")))
            .and(body_json(body))
            .respond_with(ResponseTemplate::new(200))
            .mount(&fake.server)
            .await;
    }
    fake.engine
        .connect_network("n1", "c1", &endpoint)
        .await
        .unwrap();
    fake.engine
        .disconnect_network("n1", "c1", true)
        .await
        .unwrap();
}

#[tokio::test]
async fn an_empty_list_written_as_null_is_empty() {
    let fake = Fake::speaking("1.41").await;
    fake.answer(
        "GET",
        "/v1.41/volumes",
        200,
        json!({"Volumes": null, "Warnings": null}),
    )
    .await;
    assert!(
        fake.engine
            .list_volumes(&Filters::new())
            .await
            .unwrap()
            .is_empty()
    );
}

#[tokio::test]
async fn a_name_cannot_reach_into_the_query() {
    let fake = Fake::speaking("1.41").await;
    fake.answer(
        "GET",
        "/v1.41/volumes/a%3Fforce=1",
        200,
        json!({"Name": "odd"}),
    )
    .await;
    fake.answer("DELETE", "/v1.41/volumes/a%3Fforce=1", 204, json!(null))
        .await;
    fake.engine
        .remove_volume("a?force=1", false)
        .await
        .unwrap_err();
    let requests = fake.server.received_requests().await.unwrap();
    let asked = requests.last().unwrap();
    assert_eq!(
        (asked.url.path(), asked.url.query()),
        ("/v1.41/volumes/a%3Fforce%3D1", Some("force=false"))
    );
}

#[tokio::test]
async fn a_pull_passes_the_credential_unread_and_defaults_to_latest() {
    let fake = Fake::speaking("1.41").await;
    Mock::given(method("POST"))
        .and(path("/v1.41/images/create"))
        .and(query_param("fromImage", "registry:5000/app"))
        .and(query_param("tag", "latest"))
        .and(header("x-registry-auth", "b3BhcXVl"))
        .respond_with(ResponseTemplate::new(200).set_body_string("{\"status\":\"Pulling\"}\r\n"))
        .mount(&fake.server)
        .await;
    fake.engine
        .pull_image("registry:5000/app", Some("b3BhcXVl"))
        .await
        .unwrap();
}

#[tokio::test]
async fn a_pull_that_fails_half_way_says_why() {
    let fake = Fake::speaking("1.41").await;
    let told = "{\"status\":\"Pulling\"}\r\n{\"errorDetail\":{\"message\":\"manifest unknown\"},\"error\":\"manifest unknown\"}\r\n";
    let response = ResponseTemplate::new(200).set_body_string(told);
    Mock::given(path("/v1.41/images/create"))
        .respond_with(response)
        .mount(&fake.server)
        .await;
    let error = fake.engine.pull_image("app:1", None).await.unwrap_err();
    assert!(matches!(error, Error::Failed { .. }));
    assert_eq!(error.message(), "manifest unknown");
}

#[tokio::test]
async fn without_an_engine_the_error_names_the_socket() {
    let socket = PathBuf::from("/nonexistent/engine.sock");
    let error = Engine::connect(&socket).ping().await.unwrap_err();
    assert!(matches!(error, Error::Absent { .. }) && error.is_lost());
    assert!(
        error.to_string().starts_with(
            "cannot reach the engine at unix:///nonexistent/engine.sock: No such file"
        ),
        "{error}"
    );
}

/// Compiles only if every kind of call can be made from a spawned task.
#[tokio::test]
async fn calls_can_be_made_from_any_task() {
    fn sendable<T: Send>(_: T) {}
    let fake = Fake::speaking("1.41").await;
    let engine = &fake.engine;
    sendable(engine.create_container("web.1", &Value::Null));
    sendable(engine.stop_container("c1", None));
    sendable(engine.wait_container("c1", WaitCondition::NotRunning));
    sendable(engine.pull_image("app", None));
    sendable(engine.logs("c1", &LogOptions::default()));
    sendable(engine.events(EventFilter::default(), None));
    sendable(engine.disconnect_network("n1", "c1", false));

    fake.answer("POST", "/v1.41/containers/c1/start", 204, json!(null))
        .await;
    let engine = fake.engine.clone();
    tokio::spawn(async move { engine.start_container("c1").await })
        .await
        .unwrap()
        .unwrap();
}
