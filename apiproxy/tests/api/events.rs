//! The engine's events and the swarm's in one stream.

use tokio::io::{AsyncBufReadExt, AsyncWriteExt, BufReader};

use crate::support::{Rig, service, within};

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_lies_in_the_past_is_told_in_order() {
    let rig = Rig::in_a_swarm().await;
    rig.post("/services/create", &service("web")).await;
    let deadline = tokio::time::Instant::now() + std::time::Duration::from_secs(10);
    // The swarm's events follow the log a moment later than the call's answer.
    let told = loop {
        let target = format!("/events?since=0.000000001&until={}", seconds());
        let now = rig.get(&target).await;
        if now.body.contains("\"service\"") || tokio::time::Instant::now() > deadline {
            break now;
        }
        tokio::task::yield_now().await;
    };
    let lines: Vec<&str> = told.body.lines().collect();
    let actions = [
        "\"Action\":\"start\"",
        "\"Type\":\"service\",\"Action\":\"create\"",
        "\"Action\":\"die\"",
    ];
    let at: Vec<Option<usize>> = actions
        .iter()
        .map(|action| lines.iter().position(|line| line.contains(action)))
        .collect();
    assert!(
        at.iter().all(Option::is_some) && at.is_sorted(),
        "{lines:#?}"
    );
    rig.end().await;
}

/// Now, as a query writes it.
pub fn seconds() -> String {
    let nanos = swarmrs_types::Timestamp::now().unix_nanos();
    format!("{}.{:09}", nanos / 1_000_000_000, nanos % 1_000_000_000)
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_listener_hears_both_as_they_happen() {
    let rig = Rig::in_a_swarm().await;
    let mut stream = rig.connect().await;
    let request = "GET /events?filters={\"service\":[\"web\"]} HTTP/1.1\r\nHost: docker\r\n\r\n";
    stream.write_all(request.as_bytes()).await.unwrap();
    let mut lines = BufReader::new(stream).lines();
    let mut heard = async |what: &str| loop {
        let line = within(lines.next_line())
            .await
            .unwrap()
            .expect("an open stream");
        if line.contains(what) {
            return line;
        }
    };
    heard("\"Type\":\"image\"").await;
    rig.post("/services/create", &service("other")).await;
    rig.post("/services/create", &service("web")).await;
    let created = heard("\"scope\":\"swarm\"").await;
    assert!(
        created.contains("\"Attributes\":{\"name\":\"web\"}"),
        "{created}"
    );
    rig.end().await;
}
