//! The client against a real dockerd, which the test starts for itself.
//!
//! One engine serves all the scenes, one after the other: starting it costs more than they do.

#![allow(clippy::unwrap_used, reason = "a test ends where it cannot go on")]

mod dockerd;

use std::time::{Duration, Instant};

use dockerd::{Dockerd, IMAGE};
use futures_util::StreamExt;
use serde_json::{Value, json};
use swarmrs_engine::{
    ContainerStatus, Engine, EventFilter, Filters, Health, LogFrame, LogOptions, LogStream,
    MINIMUM_API, Source, Tail, WaitCondition,
};
use tokio::task::JoinSet;

const GRACE: Option<Duration> = Some(Duration::ZERO);

#[tokio::test]
async fn the_client_drives_a_live_engine() {
    let mut dockerd = Dockerd::start();
    let engine = Engine::connect(&dockerd.socket());
    the_engine_describes_itself(&engine).await;
    a_container_lives_and_dies_as_told(&engine).await;
    what_happens_is_told_as_it_happens(&engine).await;
    a_health_check_arrives_and_is_reported(&engine).await;
    output_comes_line_by_line(&engine).await;
    a_quiet_container_is_followed_without_a_limit(&engine).await;
    the_terminal_of_a_container_is_one_stream(&engine).await;
    refusals_are_told_apart(&engine).await;
    images_are_found_or_not(&engine).await;
    networks_and_volumes_come_and_go(&engine).await;
    twenty_containers_start_at_once(&engine).await;
    the_handle_survives_a_restart_of_the_engine(&engine, &mut dockerd).await;
}

/// A container without network (this engine has no bridge) that runs a shell line.
fn shell(line: &str) -> Value {
    json!({
        "Image": IMAGE, "Cmd": ["sh", "-c", line], "Labels": {"swarmrs.test": "live"},
        "HostConfig": {"NetworkMode": "none"},
    })
}

async fn run(engine: &Engine, name: &str, config: &Value) -> String {
    let id = engine.create_container(name, config).await.unwrap().id;
    engine.start_container(&id).await.unwrap();
    id
}

async fn remove(engine: &Engine, id: &str) {
    engine.remove_container(id, true, true).await.unwrap();
}

async fn next<T>(stream: &mut (impl futures_util::Stream<Item = T> + Unpin)) -> Option<T> {
    tokio::time::timeout(Duration::from_secs(30), stream.next())
        .await
        .expect("nothing came for 30 s")
}

async fn all(stream: LogStream) -> Vec<LogFrame> {
    let lines = tokio::time::timeout(Duration::from_secs(30), stream.collect::<Vec<_>>()).await;
    lines
        .expect("the log does not end")
        .into_iter()
        .map(Result::unwrap)
        .collect()
}

async fn the_engine_describes_itself(engine: &Engine) {
    engine.ping().await.unwrap();
    let version = engine.version().await.unwrap();
    assert!(version.api_version >= MINIMUM_API && version.min_api_version <= MINIMUM_API);
    assert_eq!(engine.api_version().await.unwrap(), version.api_version);
    let info = engine.info().await.unwrap();
    assert_eq!(
        (info.os.as_str(), &info.version),
        ("linux", &version.version)
    );
    assert!(info.ncpu > 0 && info.memory > 0 && !info.name.is_empty() && !info.swarm_active);
    assert!(
        info.plugins.volume.contains(&"local".to_owned())
            && info.plugins.log.contains(&"json-file".to_owned())
    );
}

async fn a_container_lives_and_dies_as_told(engine: &Engine) {
    let created = engine
        .create_container("web.1.live", &shell("exec sleep 1000"))
        .await
        .unwrap();
    let fresh = engine.inspect_container(&created.id).await.unwrap();
    assert_eq!(
        (fresh.name.as_str(), fresh.status, fresh.started_at),
        ("web.1.live", ContainerStatus::Created, None)
    );
    assert!(fresh.created.is_some());

    engine.start_container(&created.id).await.unwrap();
    engine.start_container(&created.id).await.unwrap();
    let running = engine.inspect_container("web.1.live").await.unwrap();
    assert!(running.running && running.pid > 0 && running.started_at.is_some());
    assert_eq!(
        (
            running.status,
            running.health,
            running.labels["swarmrs.test"].as_str()
        ),
        (ContainerStatus::Running, None, "live")
    );

    let filters = Filters::new().label("swarmrs.test=live");
    let listed = engine.list_containers(&filters, false).await.unwrap();
    assert_eq!(
        listed
            .iter()
            .map(|one| one.names.clone())
            .collect::<Vec<_>>(),
        [["web.1.live"]]
    );
    assert!(
        engine
            .list_containers(&Filters::new().label("swarmrs.test=other"), true)
            .await
            .unwrap()
            .is_empty()
    );

    let (exit, killed) = tokio::join!(
        engine.wait_container(&created.id, WaitCondition::NotRunning),
        engine.kill_container(&created.id, "SIGKILL")
    );
    killed.unwrap();
    assert_eq!(
        (
            exit.unwrap().code,
            engine
                .inspect_container(&created.id)
                .await
                .unwrap()
                .exit_code
        ),
        (137, 137)
    );
    engine.stop_container(&created.id, GRACE).await.unwrap();
    remove(engine, &created.id).await;
    assert!(
        engine
            .inspect_container(&created.id)
            .await
            .unwrap_err()
            .is_not_found()
    );
}

async fn what_happens_is_told_as_it_happens(engine: &Engine) {
    let mut events = engine
        .events(EventFilter::containers("swarmrs.test=live"), None)
        .await
        .unwrap();
    // The subscription is only taken up by the first poll, after all of this: the engine's memory fills the gap.
    let id = run(engine, "told", &shell("exit 3")).await;
    let exit = engine
        .wait_container(&id, WaitCondition::NotRunning)
        .await
        .unwrap();
    remove(engine, &id).await;
    let mut actions = Vec::new();
    let mut code = None;
    while actions.last().map(String::as_str) != Some("destroy") {
        let event = next(&mut events).await.unwrap().unwrap();
        assert_eq!(
            (&event.id, event.attributes["name"].as_str()),
            (&id, "told")
        );
        assert!(event.time_nano > 1_600_000_000_000_000_000);
        code = code.or(event.attributes.get("exitCode").cloned());
        actions.push(event.action);
    }
    assert_eq!(actions, ["create", "start", "die", "destroy"]);
    assert_eq!((code.as_deref(), exit.code), (Some("3"), 3));
}

async fn a_health_check_arrives_and_is_reported(engine: &Engine) {
    let mut config = shell("exec sleep 1000");
    config["Healthcheck"] = json!({"Test": ["CMD", "true"], "Interval": 100_000_000, "Retries": 1});
    let mut events = engine
        .events(EventFilter::containers("swarmrs.test=live"), None)
        .await
        .unwrap();
    let id = run(engine, "checked", &config).await;
    while next(&mut events).await.unwrap().unwrap().action != "health_status: healthy" {}
    assert_eq!(
        engine.inspect_container(&id).await.unwrap().health,
        Some(Health::Healthy)
    );
    remove(engine, &id).await;
}

async fn output_comes_line_by_line(engine: &Engine) {
    let long =
        "i=0; while [ $i -lt 2000 ]; do echo -n 0123456789abcdef; i=$((i+1)); done; echo end";
    let id = run(
        engine,
        "talks",
        &shell(&format!("echo out; echo err >&2; {long}; echo -n rest")),
    )
    .await;
    engine
        .wait_container(&id, WaitCondition::NotRunning)
        .await
        .unwrap();
    let both = LogOptions {
        stdout: true,
        stderr: true,
        timestamps: true,
        ..LogOptions::default()
    };
    let told = all(engine.logs(&id, &both).await.unwrap()).await;
    assert!(
        told.iter()
            .all(|frame| frame.time_nano > Some(1_600_000_000_000_000_000))
    );
    let of = |source| {
        told.iter()
            .filter(move |frame| frame.source == source)
            .map(|frame| frame.bytes.clone())
    };
    assert_eq!(of(Source::Stderr).collect::<Vec<_>>(), ["err\n"]);
    let out: Vec<_> = of(Source::Stdout).collect();
    let long = format!("{}end\n", "0123456789abcdef".repeat(2000));
    assert_eq!(out.len(), 3, "{} lines", out.len());
    assert_eq!(
        (&out[0][..], out[1] == long, out[2].starts_with(b"rest")),
        (&b"out\n"[..], true, true)
    );

    let last = LogOptions {
        stdout: true,
        tail: Tail::Last(1),
        ..LogOptions::default()
    };
    let told = all(engine.logs(&id, &last).await.unwrap()).await;
    assert_eq!(
        (
            told.len(),
            told[0].time_nano,
            told[0].bytes.starts_with(b"rest")
        ),
        (1, None, true)
    );
    remove(engine, &id).await;
}

async fn a_quiet_container_is_followed_without_a_limit(engine: &Engine) {
    let mut config = shell("exec cat");
    config["OpenStdin"] = json!(true);
    let id = run(engine, "quiet", &config).await;
    let follow = LogOptions {
        stdout: true,
        follow: true,
        ..LogOptions::default()
    };
    // The engine answers before there is anything to tell: the stream is open, and silent.
    let opening = tokio::time::timeout(Duration::from_secs(10), engine.logs(&id, &follow)).await;
    let mut lines = opening
        .expect("the engine answers only with the first line")
        .unwrap();
    let (ended, killed) = tokio::join!(next(&mut lines), engine.kill_container(&id, "SIGKILL"));
    killed.unwrap();
    assert!(ended.is_none());
    remove(engine, &id).await;
}

async fn the_terminal_of_a_container_is_one_stream(engine: &Engine) {
    let mut config = shell("echo one; echo two >&2");
    config["Tty"] = json!(true);
    let id = run(engine, "terminal", &config).await;
    engine
        .wait_container(&id, WaitCondition::NotRunning)
        .await
        .unwrap();
    let both = LogOptions {
        stdout: true,
        stderr: true,
        timestamps: true,
        ..LogOptions::default()
    };
    let told = all(engine.logs(&id, &both).await.unwrap()).await;
    let lines: Vec<_> = told
        .iter()
        .map(|frame| (frame.source, frame.time_nano.is_some(), &frame.bytes[..]))
        .collect();
    assert_eq!(
        lines,
        [
            (Source::Stdout, true, &b"one\r\n"[..]),
            (Source::Stdout, true, &b"two\r\n"[..])
        ]
    );
    remove(engine, &id).await;
}

async fn refusals_are_told_apart(engine: &Engine) {
    let id = run(engine, "taken", &shell("exec sleep 1000")).await;
    let taken = engine
        .create_container("taken", &shell("true"))
        .await
        .unwrap_err();
    assert!(
        taken.is_conflict()
            && taken
                .message()
                .starts_with("Conflict. The container name \"/taken\""),
        "{taken}"
    );
    assert!(
        engine
            .remove_container(&id, false, false)
            .await
            .unwrap_err()
            .is_conflict()
    );
    remove(engine, &id).await;

    let no_image = json!({"Image": "absent:1"});
    let missing = engine
        .create_container("pictureless", &no_image)
        .await
        .unwrap_err();
    assert!(
        missing.is_not_found() && missing.message().contains("No such image: absent:1"),
        "{missing}"
    );

    let mut no_command = shell("");
    no_command["Cmd"] = json!(["/no/such/program"]);
    let id = engine
        .create_container("commandless", &no_command)
        .await
        .unwrap()
        .id;
    let failed = engine.start_container(&id).await.unwrap_err();
    assert!(
        failed.message().contains("no such file or directory"),
        "{failed}"
    );
    let state = engine.inspect_container(&id).await.unwrap();
    assert_eq!((state.started_at, state.exit_code), (None, 127));
    assert!(state.error.contains("no such file or directory"));
    remove(engine, &id).await;
}

async fn images_are_found_or_not(engine: &Engine) {
    let image = engine.inspect_image(IMAGE).await.unwrap();
    assert!(
        image.id.starts_with("sha256:") && image.os == "linux" && !image.architecture.is_empty()
    );
    assert_eq!(engine.inspect_image(&image.id).await.unwrap().id, image.id);
    assert!(
        engine
            .inspect_image("absent:1")
            .await
            .unwrap_err()
            .is_not_found()
    );
    // Port 1 of the loopback: nobody serves a registry there.
    let pull = engine
        .pull_image("127.0.0.1:1/app:1", None)
        .await
        .unwrap_err();
    assert!(pull.message().contains("connection refused"), "{pull}");
}

async fn networks_and_volumes_come_and_go(engine: &Engine) {
    let by_label = Filters::new().label("a=b");
    // A network that is only settings: the engine makes no interface for it.
    let body = json!({"Name": "live", "ConfigOnly": true, "Labels": {"a": "b"}});
    let created = engine.create_network(&body).await.unwrap();
    let listed = engine.list_networks(&by_label).await.unwrap();
    assert_eq!(
        listed.iter().map(|one| &one["Id"]).collect::<Vec<_>>(),
        [created.id.as_str()]
    );
    engine.remove_network(&created.id).await.unwrap();
    assert!(engine.list_networks(&by_label).await.unwrap().is_empty());
    let host = engine.inspect_network("host").await.unwrap();
    assert_eq!(host["Driver"], "host");
    assert!(
        engine
            .inspect_network("absent")
            .await
            .unwrap_err()
            .is_not_found()
    );
    assert_eq!(
        engine.remove_network("host").await.unwrap_err().status(),
        Some(403)
    );

    let volume = engine
        .create_volume(&json!({"Name": "live", "Labels": {"a": "b"}}))
        .await
        .unwrap();
    assert_eq!(volume["Name"], "live");
    assert_eq!(
        engine.inspect_volume("live").await.unwrap()["Labels"]["a"],
        "b"
    );
    assert_eq!(engine.list_volumes(&by_label).await.unwrap().len(), 1);
    engine.remove_volume("live", false).await.unwrap();
    assert!(
        engine
            .inspect_volume("live")
            .await
            .unwrap_err()
            .is_not_found()
    );
}

async fn twenty_containers_start_at_once(engine: &Engine) {
    let mut starting = JoinSet::new();
    for slot in 1..=20 {
        let engine = engine.clone();
        starting.spawn(async move {
            run(&engine, &format!("burst.{slot}"), &shell("exec sleep 1000")).await
        });
    }
    let started = starting.join_all().await;
    let running = engine
        .list_containers(&Filters::new().label("swarmrs.test=live"), false)
        .await
        .unwrap();
    assert_eq!((started.len(), running.len()), (20, 20));
    for id in &started {
        remove(engine, id).await;
    }
}

async fn the_handle_survives_a_restart_of_the_engine(engine: &Engine, dockerd: &mut Dockerd) {
    let mut config = shell("exec sleep 1000");
    // The first process ignores other signals, and the engine would wait for it as it ends.
    config["StopSignal"] = json!("SIGKILL");
    let id = engine.create_container("kept", &config).await.unwrap().id;
    let mut events = engine.events(EventFilter::default(), None).await.unwrap();
    engine.start_container(&id).await.unwrap();
    next(&mut events).await.unwrap().unwrap();
    dockerd.stop();
    while let Some(Ok(_)) = next(&mut events).await {}
    assert!(next(&mut events).await.is_none());
    assert!(engine.ping().await.unwrap_err().is_lost());

    dockerd.start_again();
    let begun = Instant::now();
    assert_eq!(
        engine.inspect_container(&id).await.unwrap().status,
        ContainerStatus::Exited
    );
    assert!(begun.elapsed() < Duration::from_secs(10));
    remove(engine, &id).await;
}
