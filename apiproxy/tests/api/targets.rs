//! Queries as people write them by hand, with characters that no URI may have.

use crate::support::{Rig, service};

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_filter_of_ours_needs_no_escapes() {
    let rig = Rig::in_a_swarm().await;
    for name in ["web", "other"] {
        let created = rig.post("/services/create", &service(name)).await;
        assert_eq!(created.status, 201, "{created:?}");
    }
    for filters in [
        r#"{"name":["web"]}"#,
        r#"{"name":{"web":true}}"#,
        "%7B%22name%22:[\"web\"]}",
    ] {
        let listed = rig.get(&format!("/services?filters={filters}")).await;
        let names: Vec<_> = listed
            .json()
            .as_array()
            .into_iter()
            .flatten()
            .cloned()
            .collect();
        assert_eq!(names.len(), 1, "{filters}: {listed:?}");
        assert_eq!(names[0]["Spec"]["Name"], "web");
    }
    let none = rig.get("/services?filters={\"label\":[\"a#b<|é\"]}").await;
    assert_eq!((none.status, none.json()), (200, serde_json::json!([])));
    rig.end().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_query_that_is_passed_on_changed_arrives_whole() {
    let rig = Rig::start().await;
    let filters = r#"{"is-task":["true"],"name":["a#b<|é"]}"#;
    let target = format!("/containers/json?filters={filters}&x=\"#|<é&all=1");
    assert_eq!(rig.get(&target).await.status, 200);
    let filters = r#"{"label":["a#b|é"]}"#;
    let told = rig
        .get(&format!("/events?until=1&filters={filters}&since=0"))
        .await;
    assert_eq!(told.status, 200, "{told:?}");
    let saw = [
        rig.engine_saw("GET /containers"),
        rig.engine_saw("GET /events"),
    ]
    .concat();
    let [list, events] = saw.as_slice() else {
        panic!("{saw:?}");
    };
    assert!(list.contains("x=%22%23%7C%3C%C3%A9&all=1"), "{list}");
    assert!(list.contains("a%23b%3C%7C%C3%A9"), "{list}");
    assert_eq!(
        events,
        "GET /events?until=1&filters=%7B%22label%22:[%22a%23b%7C%C3%A9%22]%7D&since=0"
    );
    rig.end().await;
}
