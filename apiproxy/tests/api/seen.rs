//! What is seen from outside: health, status, metrics and the flight recorder.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use serde_json::{Value, json};

use crate::support::{Rig, service};

const HEALTH: &str = "/swarmrs/v1/read/health";

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_node_alone_lives_is_ready_and_has_no_quorum() {
    let rig = Rig::start().await;
    let health = rig.get(HEALTH).await;
    assert_eq!(health.status, 200, "{health:?}");
    let expected =
        json!({"Live": true, "Ready": true, "Quorum": null, "Swarm": "inactive", "Reasons": []});
    assert_eq!(health.json(), expected);
    for (aspect, status) in [("live", 200), ("ready", 200), ("quorum", 503)] {
        let answer = rig.get(&format!("{HEALTH}?for={aspect}")).await;
        assert_eq!(answer.status, status, "{aspect}: {answer:?}");
    }
    let answer = rig.get(&format!("{HEALTH}?for=luck")).await;
    assert_eq!(answer.status, 400);
    assert_eq!(
        answer.message(),
        "invalid value for for: luck: must be live, ready or quorum"
    );
    rig.end().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn without_its_engine_a_node_lives_and_says_why_it_is_not_ready() {
    let rig = Rig::without_engine().await;
    for (aspect, status) in [("live", 200), ("ready", 503)] {
        let answer = rig.get(&format!("{HEALTH}?for={aspect}")).await;
        assert_eq!(answer.status, status, "{aspect}: {answer:?}");
    }
    let status = rig.get("/swarmrs/v1/read/status").await.json();
    assert_eq!(status["Healthy"], false);
    assert_eq!(status["Engine"]["Answers"], false);
    let problem = status["Problems"][0].as_str().unwrap();
    assert!(problem.contains("the engine does not answer"), "{problem}");
    rig.start_engine();
    assert_eq!(rig.get(&format!("{HEALTH}?for=ready")).await.status, 200);
    rig.end().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_service_that_cannot_run_is_told_with_the_schedulers_reason() {
    let rig = Rig::in_a_swarm().await;
    let before = rig.get("/swarmrs/v1/read/status").await.json();
    assert_eq!(before["Healthy"], true, "{before}");
    assert_eq!(before["Quorum"]["Managers"], 1);
    assert_eq!(before["Quorum"]["Margin"], 0);
    assert_eq!(rig.get(&format!("{HEALTH}?for=quorum")).await.status, 200);
    let created = rig.post("/services/create", &service("web")).await;
    assert_eq!(created.status, 201, "{created:?}");
    let reason = "no suitable node (scheduling constraints not satisfied on 1 node)";
    let status = eventually("the scheduler's reason", async || {
        let status = rig.get("/swarmrs/v1/read/status").await.json();
        (status["Services"]["NotConverged"][0]["Reason"] == reason)
            .then_some(status.clone())
            .ok_or(status.to_string())
    })
    .await;
    assert_eq!(status["Healthy"], false);
    assert_eq!(status["Services"]["NotConverged"][0]["Name"], "web");
    assert_eq!(status["Services"]["NotConverged"][0]["Desired"], 2);
    assert_eq!(rig.get(&format!("{HEALTH}?for=ready")).await.status, 200);
    rig.end().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_metrics_page_is_well_formed_and_counts() {
    let rig = Rig::in_a_swarm().await;
    rig.post("/services/create", &service("web")).await;
    rig.get("/services/nothing").await;
    rig.get("/images/json").await;
    let answer = rig.get("/swarmrs/v1/read/metrics").await;
    assert_eq!(answer.status, 200);
    assert!(
        answer.head.contains("text/plain; version=0.0.4"),
        "{}",
        answer.head
    );
    let page = Page::read(&answer.body);
    assert_eq!(
        page.sample("swarmrs_api_requests_total{class=\"ours\",code=\"201\"}"),
        1.0
    );
    assert_eq!(
        page.sample("swarmrs_api_requests_total{class=\"ours\",code=\"404\"}"),
        1.0
    );
    assert_eq!(
        page.sample("swarmrs_api_requests_total{class=\"raw\",code=\"404\"}"),
        1.0
    );
    assert_eq!(
        page.sample("swarmrs_services{state=\"not_converged\"}"),
        1.0
    );
    assert_eq!(
        page.sample("swarmrs_service_desired_tasks{service=\"web\"}"),
        2.0
    );
    assert_eq!(page.sample("swarmrs_raft_leader"), 1.0);
    assert_eq!(page.sample("swarmrs_engine_up"), 1.0);
    assert!(page.sample("swarmrs_raft_applied_index") >= 2.0);
    assert!(page.sample("swarmrs_store_sync_seconds_count") >= 2.0);
    assert!(page.sample("swarmrs_raft_proposal_seconds_count") >= 2.0);
    assert!(page.sample("process_resident_memory_bytes") > 1e6);
    rig.end().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_recorder_tells_what_happened_and_nothing_of_what_was_said() {
    let rig = Rig::in_a_swarm().await;
    const CANARY: &str = "c4nary";
    let mut spec = service("web");
    spec["Labels"] = json!({CANARY: CANARY});
    spec["TaskTemplate"]["ContainerSpec"] = json!({
        "Image": format!("box:{CANARY}"), "Command": [CANARY], "Args": [CANARY], "Env": [format!("A={CANARY}")],
        "Hostname": CANARY, "Labels": {CANARY: CANARY}, "User": CANARY, "Dir": format!("/{CANARY}"),
        "Mounts": [{"Type": "bind", "Source": format!("/{CANARY}"), "Target": "/x"}],
    });
    spec["TaskTemplate"]["Placement"]["Constraints"] =
        json!([format!("node.labels.{CANARY}=={CANARY}")]);
    let headers = format!("Content-Type: application/json\r\nX-Registry-Auth: {CANARY}\r\n");
    let created = rig
        .send("POST", "/services/create", &headers, &spec.to_string())
        .await;
    assert_eq!(created.status, 201, "{created:?}");
    let secret = json!({"Name": "s", "Data": "YzRuYXJ5"});
    rig.post(&format!("/secrets/create?x={CANARY}"), &secret)
        .await;
    rig.post(
        "/swarm/join",
        &json!({"JoinToken": CANARY, "RemoteAddrs": [CANARY]}),
    )
    .await;
    let lines = eventually("the plan with its reason", async || {
        let answer = rig.get("/swarmrs/v1/read/recorder").await;
        let planned = answer.body.contains("no suitable node");
        planned.then_some(answer.body.clone()).ok_or(answer.body)
    })
    .await;
    assert!(
        !lines.contains(CANARY) && !lines.contains("YzRuYXJ5"),
        "{lines}"
    );
    let lines: Vec<Value> = lines
        .lines()
        .map(|line| serde_json::from_str(line).unwrap())
        .collect();
    let kinds: BTreeSet<_> = lines
        .iter()
        .map(|line| line["Kind"].as_str().unwrap())
        .collect();
    for kind in ["Event", "Plan", "Role", "Engine", "Session", "Write"] {
        assert!(kinds.contains(kind), "{kind} in {lines:?}");
    }
    let service = lines
        .iter()
        .find(|line| line["Object"] == "service")
        .unwrap();
    assert_eq!(
        (&service["Name"], &service["Done"]),
        (&json!("web"), &json!("created"))
    );
    let write = lines
        .iter()
        .find(|line| line["Call"] == "ServiceCreate")
        .unwrap();
    assert_eq!(write["Status"], 201);
    rig.end().await;
}

/// Asks again until the answer is there.
async fn eventually<T>(what: &str, mut look: impl AsyncFnMut() -> Result<T, String>) -> T {
    let mut last = String::new();
    for _ in 0..400 {
        match look().await {
            Ok(found) => return found,
            Err(seen) => last = seen,
        }
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    panic!("not in time: {what}; last: {last}");
}

/// A page of the text format, read as strictly as Prometheus' own checker does.
struct Page(BTreeMap<String, f64>);

impl Page {
    fn read(text: &str) -> Self {
        let mut samples = BTreeMap::new();
        let mut families = BTreeSet::new();
        let mut family = (String::new(), String::new());
        let mut help = String::new();
        for line in text.lines() {
            if let Some(rest) = line.strip_prefix("# HELP ") {
                let (name, said) = rest.split_once(' ').expect("a help text");
                assert!(said.ends_with('.'), "{line}");
                help = name.to_owned();
            } else if let Some(rest) = line.strip_prefix("# TYPE ") {
                let (name, kind) = rest.split_once(' ').expect("a type");
                assert_eq!(name, help, "help comes before type");
                assert!(families.insert(name.to_owned()), "{name} twice");
                assert_eq!(kind == "counter", name.ends_with("_total"), "{line}");
                family = (name.to_owned(), kind.to_owned());
            } else {
                let (name, value) = line.rsplit_once(' ').expect("a value");
                Self::check_belongs(name, &family);
                let value = value.parse().expect("a number");
                assert!(
                    samples.insert(name.to_owned(), value).is_none(),
                    "{name} twice"
                );
            }
        }
        assert!(text.ends_with('\n'));
        Self(samples)
    }

    fn check_belongs(sample: &str, (family, kind): &(String, String)) {
        let name = sample.split('{').next().unwrap_or_default();
        let suffix = name.strip_prefix(family.as_str());
        let expected: &[&str] = match kind.as_str() {
            "histogram" => &["_bucket", "_sum", "_count"],
            _ => &[""],
        };
        assert!(
            suffix.is_some_and(|suffix| expected.contains(&suffix)),
            "{sample} under {family}"
        );
    }

    fn sample(&self, name: &str) -> f64 {
        let known = || self.0.keys().cloned().collect::<Vec<_>>().join("\n");
        *self
            .0
            .get(name)
            .unwrap_or_else(|| panic!("no {name} in\n{}", known()))
    }
}
