//! What is refused, by which status and in which words.

use serde_json::json;

use crate::support::{Rig, service};

const NOT_A_MANAGER: &str = "This node is not a swarm manager. Use \"docker swarm init\" or \"docker swarm join\" to connect \
                             this node to swarm and try again.";

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn outside_a_swarm_every_cluster_call_says_how_to_get_one() {
    let rig = Rig::start().await;
    let calls = [
        ("GET", "/swarm"),
        ("GET", "/swarm/unlockkey"),
        ("POST", "/swarm/update?version=1"),
        ("POST", "/swarm/unlock"),
        ("GET", "/nodes"),
        ("GET", "/nodes/x"),
        ("DELETE", "/nodes/x"),
        ("POST", "/nodes/x/update?version=1"),
        ("GET", "/services"),
        ("GET", "/services/x"),
        ("POST", "/services/create"),
        ("POST", "/services/x/update?version=1"),
        ("POST", "/services/x/update?version=1&rollback=x"),
        ("DELETE", "/services/x"),
        ("GET", "/services/x/logs?stdout=1"),
        ("GET", "/tasks"),
        ("GET", "/tasks?filters=%7B%22colour%22%3A%5B%22red%22%5D%7D"),
        ("GET", "/tasks/x"),
        ("GET", "/tasks/x/logs?stdout=1"),
        ("GET", "/secrets"),
        ("GET", "/secrets/x"),
        ("POST", "/secrets/create"),
        ("GET", "/configs"),
        ("DELETE", "/configs/x"),
        ("POST", "/configs/x/update?version=1"),
    ];
    for (method, target) in calls {
        let answer = rig.send(method, target, "", "").await;
        assert_eq!(answer.status, 503, "{method} {target}: {answer:?}");
        assert_eq!(answer.message(), NOT_A_MANAGER, "{method} {target}");
    }
    let left = rig.send("POST", "/swarm/leave", "", "").await;
    assert_eq!(left.status, 503);
    assert_eq!(left.message(), "This node is not part of a swarm");
    rig.end().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_is_wrong_with_the_request_itself_is_said_before_the_state_is_looked_at() {
    let rig = Rig::start().await;
    let json_type = "Content-Type: application/json\r\n";
    let table = [
        (
            "POST",
            "/swarm/init",
            json_type,
            "{",
            "invalid JSON: unexpected EOF",
        ),
        (
            "POST",
            "/swarm/init",
            json_type,
            "{} {}",
            "unexpected content after JSON",
        ),
        (
            "POST",
            "/services/create",
            "Content-Type: text/plain\r\n",
            "{}",
            "unsupported Content-Type header (text/plain): must be 'application/json'",
        ),
        (
            "POST",
            "/swarm/init",
            "",
            "{}",
            "malformed Content-Type header (): mime: no media type",
        ),
        (
            "POST",
            "/swarm/init",
            "",
            "",
            "invalid ListenAddr \"\": invalid empty address",
        ),
        (
            "POST",
            "/swarm/update",
            "",
            "",
            "invalid swarm version '': strconv.ParseUint: parsing \"\": invalid syntax",
        ),
        (
            "POST",
            "/nodes/x/update?version=x",
            "",
            "",
            "invalid node version 'x': strconv.ParseUint: parsing \"x\": invalid syntax",
        ),
        ("GET", "/services?filters=x", "", "", "invalid filter"),
        (
            "GET",
            "/services?filters={\"colour\":{\"red\":true}}",
            "",
            "",
            "invalid filter 'colour'",
        ),
        (
            "GET",
            "/nodes?filters={\"colour\":[\"red\"]}",
            "",
            "",
            "invalid filter 'colour'",
        ),
        (
            "GET",
            "/secrets?filters={\"colour\":[\"red\"]}",
            "",
            "",
            "invalid filter 'colour'",
        ),
        (
            "GET",
            "/services?status=maybe",
            "",
            "",
            "invalid value for status: maybe: strconv.ParseBool: parsing \"maybe\": invalid syntax",
        ),
        (
            "GET",
            "/v1.99/services",
            "",
            "",
            "client version 1.99 is too new. Maximum supported API version is 1.41",
        ),
        (
            "GET",
            "/v1.29/configs",
            "",
            "",
            "GET /configs requires minimum API version 1.30",
        ),
        (
            "GET",
            "/services/x/logs",
            "",
            "",
            "must specify at least one of 'stdout' or 'stderr'",
        ),
    ];
    for (method, target, headers, body, message) in table {
        let answer = rig.send(method, target, headers, body).await;
        assert_eq!(answer.status, 400, "{method} {target} {body}: {answer:?}");
        assert_eq!(answer.message(), message, "{method} {target} {body}");
    }
    rig.end().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn inside_a_swarm_refusals_carry_dockers_status_and_text() {
    let rig = Rig::in_a_swarm().await;
    let created = rig.post("/services/create", &service("web")).await;
    assert_eq!(created.status, 201, "{created:?}");
    let taken = rig.post("/services/create", &service("WEB")).await;
    assert_eq!(taken.status, 409);
    let text = "rpc error: code = AlreadyExists desc = name conflicts with an existing object: service WEB already exists";
    assert_eq!(taken.message(), text);
    let stale = rig
        .post("/services/web/update?version=1", &service("web"))
        .await;
    assert_eq!(stale.status, 500);
    assert_eq!(
        stale.message(),
        "rpc error: code = Unknown desc = update out of sequence"
    );
    let odd = rig
        .post(
            "/services/web/update?version=1&rollback=sideways",
            &service("web"),
        )
        .await;
    assert_eq!(odd.status, 500);
    assert_eq!(odd.message(), "unrecognized rollback option sideways");
    let unlocked = rig.post("/swarm/unlock", &json!({"UnlockKey": "x"})).await;
    assert_eq!(
        (unlocked.status, unlocked.message()),
        (409, "swarm is not locked".to_owned())
    );
    let missing = rig.get("/secrets/s").await;
    assert_eq!(
        (missing.status, missing.message()),
        (404, "secret s not found".to_owned())
    );
    let overlay = rig
        .post(
            "/networks/create",
            &json!({"Name": "n", "Driver": "overlay", "EnableIPv4": false}),
        )
        .await;
    assert_eq!(
        (overlay.status, overlay.message()),
        (
            400,
            "IPv4 cannot be disabled in a Swarm scoped network".to_owned()
        )
    );
    let again = rig
        .post("/swarm/init", &json!({"ListenAddr": "127.0.0.1:0"}))
        .await;
    assert_eq!(again.status, 503);
    assert!(
        rig.engine_saw("POST").is_empty(),
        "the engine was asked to change something"
    );
    rig.end().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_overlay_network_outside_a_swarm_is_refused_and_another_is_the_engines() {
    let rig = Rig::start().await;
    let overlay = rig
        .post(
            "/networks/create",
            &json!({"Name": "n", "Driver": "overlay"}),
        )
        .await;
    assert_eq!(
        (overlay.status, overlay.message()),
        (403, NOT_A_MANAGER.to_owned())
    );
    let scoped = rig
        .post("/networks/create", &json!({"Name": "n", "Scope": "swarm"}))
        .await;
    assert_eq!(scoped.status, 403);
    let local = rig
        .post(
            "/networks/create",
            &json!({"Name": "n", "Driver": "bridge"}),
        )
        .await;
    assert_eq!(local.message(), "page not found");
    assert_eq!(rig.engine_saw("POST"), ["POST /networks/create"]);
    rig.end().await;
}
