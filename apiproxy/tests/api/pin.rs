//! The digest of a service's image: by the daemon for clients below 1.30, by nobody else here.

use serde_json::{Value, json};

use crate::support::{DIGEST, Rig, service};

fn with_image(name: &str, image: &str) -> Value {
    let mut spec = service(name);
    spec["TaskTemplate"]["ContainerSpec"]["Image"] = json!(image);
    spec
}

fn warning(image: &str) -> String {
    format!(
        "image {image} could not be accessed on a registry to record\nits digest. Each node will access {image} \
         independently,\npossibly leading to different nodes running different\nversions of the image.\n"
    )
}

async fn image_and_version(rig: &Rig, name: &str) -> (String, u64) {
    let shown = rig.get(&format!("/services/{name}")).await.json();
    let image = shown["Spec"]["TaskTemplate"]["ContainerSpec"]["Image"].as_str();
    let version = shown["Version"]["Index"].as_u64();
    (
        image.expect("an image").to_owned(),
        version.expect("a version"),
    )
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_image_is_pinned_for_a_client_below_1_30() {
    let rig = Rig::in_a_swarm().await;
    let created = rig
        .post("/v1.29/services/create", &with_image("web", "box:1"))
        .await;
    assert_eq!(
        (created.status, &created.json()["Warnings"]),
        (201, &Value::Null)
    );
    let (image, version) = image_and_version(&rig, "web").await;
    assert_eq!(image, format!("box:1@{DIGEST}"));
    let target = format!("/v1.29/services/web/update?version={version}");
    let updated = rig
        .post(&target, &with_image("web", "docker.io/library/box:1"))
        .await;
    assert_eq!(
        (updated.status, &updated.json()["Warnings"]),
        (200, &Value::Null)
    );
    assert_eq!(
        image_and_version(&rig, "web").await.0,
        format!("box:1@{DIGEST}")
    );
    assert_eq!(
        rig.engine_saw("GET /distribution"),
        ["GET /distribution/box:1/json"; 2]
    );
    rig.end().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_image_that_no_registry_shows_is_taken_with_a_warning() {
    let rig = Rig::in_a_swarm().await;
    let created = rig
        .post(
            "/v1.29/services/create",
            &with_image("web", "r.test/a/gone"),
        )
        .await;
    assert_eq!(created.status, 201, "{created:?}");
    assert_eq!(
        created.json()["Warnings"],
        json!([warning("r.test/a/gone")])
    );
    let (image, version) = image_and_version(&rig, "web").await;
    assert_eq!(image, "r.test/a/gone", "kept as it was sent");
    let target = format!("/v1.29/services/web/update?version={version}");
    let updated = rig.post(&target, &with_image("web", "gone:2")).await;
    assert_eq!(
        updated.json()["Warnings"],
        json!([warning("gone:2")]),
        "{updated:?}"
    );
    assert_eq!(
        rig.engine_saw("GET /distribution"),
        [
            "GET /distribution/r.test/a/gone:latest/json",
            "GET /distribution/gone:2/json"
        ]
    );
    rig.end().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_newer_client_pins_by_itself_and_a_digest_stays_as_it_is() {
    let rig = Rig::in_a_swarm().await;
    let newer = rig
        .post("/v1.30/services/create", &with_image("newer", "box:1"))
        .await;
    assert_eq!(
        (newer.status, &newer.json()["Warnings"]),
        (201, &Value::Null)
    );
    assert_eq!(image_and_version(&rig, "newer").await.0, "box:1");
    let with_digest = format!("box@{DIGEST}");
    let older = rig
        .post("/v1.29/services/create", &with_image("older", &with_digest))
        .await;
    assert_eq!(
        (older.status, &older.json()["Warnings"]),
        (201, &Value::Null)
    );
    assert_eq!(image_and_version(&rig, "older").await.0, with_digest);
    assert!(rig.engine_saw("GET /distribution").is_empty());
    rig.end().await;
}
