//! Nobody listens on the engine's socket: what is ours is answered, what is not names the socket.

use serde_json::json;

use crate::support::Rig;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_merged_call_without_an_engine_names_its_socket() {
    let rig = Rig::without_engine().await;
    let socket = format!("unix://{}", rig.engine_path().display());
    for target in [
        "/_ping",
        "/info",
        "/v1.41/info",
        "/version",
        "/events?until=1",
        "/containers/json",
        "/containers/json?filters={\"is-task\":[\"true\"]}",
        "/networks/x",
    ] {
        let answer = rig.get(target).await;
        assert_eq!(answer.status, 503, "{target}: {answer:?}");
        assert!(answer.message().contains(&socket), "{target}: {answer:?}");
    }
    rig.end().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_ping_without_an_engine_fails_and_still_tells_version_and_role() {
    let rig = Rig::without_engine().await;
    for (method, empty) in [("HEAD", true), ("GET", false)] {
        let ping = rig.send(method, "/_ping", "", "").await;
        assert_eq!(ping.status, 503, "{ping:?}");
        assert_eq!(ping.body.is_empty(), empty, "{ping:?}");
        for header in ["Api-Version: 1.56", "Swarm: inactive", "Ostype: linux"] {
            assert!(ping.head.contains(header), "{header}: {ping:?}");
        }
    }
    rig.end().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_swarm_is_made_and_read_before_its_engine_comes() {
    let rig = Rig::without_engine().await;
    assert_eq!(rig.get("/swarm").await.status, 503);
    let request = json!({"ListenAddr": "127.0.0.1:0", "AdvertiseAddr": "127.0.0.1"});
    let made = rig.post("/swarm/init", &request).await;
    assert_eq!(made.status, 200, "{made:?}");
    assert_eq!(rig.get("/services").await.json(), json!([]));
    let ping = rig.send("HEAD", "/_ping", "", "").await;
    assert!(ping.head.contains("Swarm: active/manager"), "{ping:?}");
    rig.start_engine();
    let ping = rig.send("HEAD", "/_ping", "", "").await;
    assert_eq!(ping.status, 200, "{ping:?}");
    let head = ping.head.to_lowercase();
    assert!(head.contains("api-version: 1.41"), "{ping:?}");
    let info = rig.get("/info").await.json();
    assert_eq!(info["Swarm"]["LocalNodeState"], "active");
    rig.end().await;
}
