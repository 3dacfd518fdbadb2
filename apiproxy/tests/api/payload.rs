//! Secrets and configs by the API alone.

use serde_json::{Value, json};

use crate::events::seconds;
use crate::support::Rig;

async fn id(rig: &Rig, target: &str, body: &Value) -> String {
    let made = rig.post(target, body).await;
    assert_eq!(made.status, 201, "{made:?}");
    let id = made.json()["ID"].as_str().expect("an id").to_owned();
    assert_eq!(made.body, format!("{{\"ID\":\"{id}\"}}\n"));
    id
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_content_of_a_config_is_answered_and_that_of_a_secret_is_not() {
    let rig = Rig::in_a_swarm().await;
    let spec = json!({"Name": "x", "Labels": {"a": "b"}, "Data": "aHVzaA==", "Templating": {"Name": "golang"}});
    let secret = id(&rig, "/secrets/create", &spec).await;
    let config = id(&rig, "/configs/create", &spec).await;
    let shown = rig.get(&format!("/secrets/{secret}")).await;
    let head = r#""Spec":{"Name":"x","Labels":{"a":"b"},"#;
    let tail = r#""Templating":{"Name":"golang"}}}"#;
    assert!(
        shown.body.contains(&format!("{head}{tail}")),
        "{}",
        shown.body
    );
    let listed = rig.get("/secrets").await;
    assert!(!listed.body.contains("aHVzaA") && listed.json()[0]["ID"] == secret.as_str());
    let shown = rig.get("/configs/X").await;
    let whole = format!(r#"{head}"Data":"aHVzaA==",{tail}"#);
    assert!(shown.body.contains(&whole), "{}", shown.body);
    assert_eq!(rig.get("/configs").await.json()[0]["ID"], config.as_str());
    rig.end().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_is_wrong_is_said_in_dockers_words() {
    let rig = Rig::in_a_swarm().await;
    id(
        &rig,
        "/secrets/create",
        &json!({"Name": "s", "Data": "eA=="}),
    )
    .await;
    let golang = json!({"Name": "t", "Data": "eA==", "Templating": {"Name": "golang"}});
    for (target, body, status, text) in [
        (
            "/secrets/create",
            json!({"Name": "S", "Data": "eA=="}),
            409,
            "rpc error: code = AlreadyExists desc = secret S already exists",
        ),
        (
            "/secrets/create",
            json!({"Name": "t", "Data": "e"}),
            400,
            "invalid JSON: illegal base64 data at input byte 0",
        ),
        (
            "/v1.36/secrets/create",
            golang.clone(),
            400,
            "secret templating is not supported on the specified API version: 1.36",
        ),
        (
            "/v1.36/configs/create",
            golang,
            400,
            "config templating is not supported on the specified API version: 1.36",
        ),
        (
            "/secrets/s/update?version=x",
            json!({"Name": "s"}),
            400,
            "invalid secret version",
        ),
        (
            "/secrets/s/update?version=1",
            json!({"Name": "s"}),
            500,
            "rpc error: code = Unknown desc = update out of sequence",
        ),
        (
            "/configs/s/update?version=1",
            json!({}),
            404,
            "config s not found",
        ),
    ] {
        let answer = rig.post(target, &body).await;
        assert_eq!(
            (answer.status, answer.message()),
            (status, text.to_owned()),
            "{target}"
        );
    }
    let gone = rig.send("DELETE", "/secrets/s", "", "").await;
    assert_eq!((gone.status, gone.body.as_str()), (204, ""));
    let gone = rig.send("DELETE", "/secrets/s", "", "").await;
    assert_eq!(
        (gone.status, gone.message()),
        (404, "secret s not found".to_owned())
    );
    rig.end().await;
}

/// The largest there can be fits an entry of the log.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_largest_payloads_are_kept_whole() {
    let rig = Rig::in_a_swarm().await;
    let filler = |bytes: usize| format!("{}eHg=", "eHh4".repeat(bytes / 3));
    let config = filler(1_023_998);
    id(
        &rig,
        "/configs/create",
        &json!({"Name": "c", "Data": config}),
    )
    .await;
    id(
        &rig,
        "/secrets/create",
        &json!({"Name": "s", "Data": filler(511_996)}),
    )
    .await;
    assert_eq!(
        rig.get("/configs/c").await.json()["Spec"]["Data"],
        config.as_str()
    );
    rig.end().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn making_changing_and_removing_are_events() {
    let rig = Rig::in_a_swarm().await;
    id(
        &rig,
        "/configs/create",
        &json!({"Name": "c", "Data": "eA=="}),
    )
    .await;
    let version = rig.get("/configs/c").await.json()["Version"]["Index"].clone();
    let spec = json!({"Name": "c", "Labels": {"a": "b"}});
    let target = format!("/configs/c/update?version={version}");
    assert_eq!(rig.post(&target, &spec).await.status, 200);
    assert_eq!(rig.send("DELETE", "/configs/c", "", "").await.status, 204);
    let deadline = tokio::time::Instant::now() + std::time::Duration::from_secs(10);
    // The swarm's events follow the log a moment later than the call's answer.
    let told = loop {
        let told = told(&rig).await;
        if told.len() == 3 || tokio::time::Instant::now() > deadline {
            break told;
        }
        tokio::task::yield_now().await;
    };
    let named = r#"{"name":"c"}"#;
    let expected = ["create", "update", "remove"].map(|action| format!("\"{action}\" {named}"));
    assert_eq!(told, expected);
    rig.end().await;
}

/// The events of configs up to now, each as its action and attributes.
async fn told(rig: &Rig) -> Vec<String> {
    let told = rig
        .get(&format!("/events?since=0.000000001&until={}", seconds()))
        .await;
    let lines = told.body.lines();
    let events = lines.filter_map(|line| serde_json::from_str::<Value>(line).ok());
    let configs = events.filter(|event| event["Type"] == "config");
    let said = configs.map(|event| format!("{} {}", event["Action"], event["Actor"]["Attributes"]));
    said.collect()
}
