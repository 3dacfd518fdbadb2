//! Bad input is refused in Docker's words and changes nothing: every row of `bad_input.txt`.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde_json::{Value, json};

use crate::support::{Answer, Rig};

const TABLE: &str = include_str!("bad_input.txt");
const JSON: &str = "Content-Type: application/json\r\n";

/// The codes of the manager that a message may begin with.
const CODES: [&str; 5] = [
    "InvalidArgument",
    "Unknown",
    "FailedPrecondition",
    "AlreadyExists",
    "Unimplemented",
];

/// The newest API version of an engine that has the fields of the rows that begin with `newer`.
const NEWER: &str = "1.52";

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn bad_input_is_refused_in_dockers_words_and_changes_nothing() {
    let rows = rows(TABLE);
    let (newer, usual): (Vec<Row>, Vec<Row>) = rows.iter().partition(|row| row.newer);
    asked(Rig::in_a_swarm().await, &usual).await;
    asked(Rig::in_a_swarm_on(NEWER).await, &newer).await;
    println!("{} ways to be refused", rows.len());
}

/// Asks all rows of a rig.
async fn asked(rig: Rig, rows: &[Row]) {
    let web = created(&rig, "web", json!({})).await;
    let meshed = json!({"EndpointSpec": {"Ports": [{"TargetPort": 80, "PublishedPort": 8091}]}});
    let meshed = created(&rig, "meshed", meshed).await;
    let (key, conf) = used(&rig).await;
    let nodes = rig.get("/nodes").await.json();
    let node = nodes[0]["ID"].as_str().unwrap_or_default().to_owned();
    let marks = [
        ("@web@", &web),
        ("@meshed@", &meshed),
        ("@key@", &key),
        ("@conf@", &conf),
        ("@node@", &node),
        ("@512000@", &STANDARD.encode(vec![b'x'; 512_000])),
        ("@1024000@", &STANDARD.encode(vec![b'x'; 1_024_000])),
    ];
    let filled_in = |text: &str| {
        let fill = |text: String, (mark, value): (&str, &String)| text.replace(mark, value);
        marks.into_iter().fold(text.to_owned(), fill)
    };
    let before = everything(&rig).await;
    let mut wrong = Vec::new();
    for row in rows {
        let (request, refusal) = (filled_in(row.request), whole(&filled_in(row.refusal)));
        let answer = ask(&rig, &request).await;
        let answered = format!("{} {}", answer.status, answer.message());
        if answered != refusal {
            let request = row.request;
            wrong.push(format!(
                "{request}\n  expected {refusal}\n  got      {answered}"
            ));
        }
        assert_eq!(
            everything(&rig).await,
            before,
            "{} changed something",
            row.request
        );
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
    assert!(
        rig.engine_saw("POST").is_empty(),
        "the engine was asked to change something"
    );
    rig.end().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn without_an_ingress_network_no_port_is_published_on_it() {
    let rig = Rig::in_a_swarm().await;
    let removed = rig.send("DELETE", "/networks/ingress", "", "").await;
    assert_eq!(removed.status, 204, "{removed:?}");
    let request = r#"create {"EndpointSpec": {"Ports": [{"TargetPort": 80}]}}"#;
    let answer = ask(&rig, request).await;
    let refusal =
        "400 FailedPrecondition: service needs ingress network, but no ingress network is present";
    assert_eq!(
        format!("{} {}", answer.status, answer.message()),
        whole(refusal)
    );
    rig.end().await;
}

/// The id of a new service.
async fn created(rig: &Rig, name: &str, patch: Value) -> String {
    let answer = rig.post("/services/create", &spec(name, patch)).await;
    assert_eq!(answer.status, 201, "{answer:?}");
    answer.json()["ID"].as_str().unwrap_or_default().to_owned()
}

/// The ids of a secret and of a config that a service uses.
async fn used(rig: &Rig) -> (String, String) {
    let mut ids = Vec::new();
    for (target, name) in [("/secrets/create", "key"), ("/configs/create", "conf")] {
        let answer = rig
            .post(target, &json!({"Name": name, "Data": "eA=="}))
            .await;
        ids.push(answer.json()["ID"].as_str().unwrap_or_default().to_owned());
    }
    let [key, conf] = [&ids[0], &ids[1]];
    let refers = json!({
        "Secrets": [{"SecretID": key, "SecretName": "key", "File": {"Name": "key"}}],
        "Configs": [{"ConfigID": conf, "ConfigName": "conf", "File": {"Name": "conf"}}]
    });
    let patch = json!({"TaskTemplate": {"ContainerSpec": refers}, "EndpointSpec": null});
    created(rig, "user", patch).await;
    (key.clone(), conf.clone())
}

/// A request, and the refusal below it.
#[derive(Clone, Copy)]
struct Row {
    request: &'static str,
    refusal: &'static str,
    /// Asked of an engine that is new enough.
    newer: bool,
}

fn rows(table: &'static str) -> Vec<Row> {
    let lines = table
        .lines()
        .filter(|line| !line.is_empty() && !line.starts_with('#'));
    let lines: Vec<&str> = lines.collect();
    let row = |lines: &[&'static str]| {
        let newer = lines[0].strip_prefix("newer ");
        Row {
            request: newer.unwrap_or(lines[0]),
            refusal: lines[1],
            newer: newer.is_some(),
        }
    };
    lines.chunks(2).map(row).collect()
}

/// What is stored, as its users see it.
async fn everything(rig: &Rig) -> Vec<String> {
    let mut bodies = Vec::new();
    for target in ["/services", "/swarm", "/nodes", "/secrets", "/configs"] {
        bodies.push(rig.get(target).await.body);
    }
    bodies
}

/// A refusal with the manager's prefix written out.
fn whole(refusal: &str) -> String {
    let (status, text) = refusal.split_once(' ').unwrap_or((refusal, ""));
    match text.split_once(": ") {
        Some((code, text)) if CODES.contains(&code) => {
            format!("{status} rpc error: code = {code} desc = {text}")
        }
        _ => refusal.to_owned(),
    }
}

/// Sends a row's request.
async fn ask(rig: &Rig, request: &str) -> Answer {
    let (verb, rest) = request.split_once(' ').unwrap_or((request, ""));
    match verb {
        "create" => {
            rig.post("/services/create", &spec("bad", patch(rest)))
                .await
        }
        "update" => {
            let (query, rest) = rest.split_once(' ').unwrap_or((rest, "{}"));
            let query = if query == "-" { "" } else { query };
            let target = format!("/services/web/update?{query}");
            rig.post(&target, &spec("web", patch(rest))).await
        }
        method => {
            let (target, body) = rest.split_once(' ').unwrap_or((rest, ""));
            let headers = if body.is_empty() { "" } else { JSON };
            rig.send(method, target, headers, body).await
        }
    }
}

fn patch(text: &str) -> Value {
    serde_json::from_str(text).unwrap_or_else(|error| panic!("{text}: {error}"))
}

/// The smallest service that nothing runs, with `patch` laid over it.
fn spec(name: &str, patch: Value) -> Value {
    let mut spec = json!({
        "Name": name,
        "TaskTemplate": {
            "ContainerSpec": {"Image": "box"},
            "Placement": {"Constraints": ["node.labels.nowhere==true"]}
        },
        "EndpointSpec": {"Ports": [{"TargetPort": 80, "PublishedPort": 8090, "PublishMode": "host"}]}
    });
    lay(&mut spec, patch);
    spec
}

fn lay(onto: &mut Value, patch: Value) {
    match (onto, patch) {
        (Value::Object(onto), Value::Object(patch)) => {
            for (key, value) in patch {
                lay(onto.entry(key).or_insert(Value::Null), value);
            }
        }
        (onto, patch) => *onto = patch,
    }
}
