//! A swarm of one, from its making to its end.

use serde_json::{Value, json};

use crate::support::{Rig, service};

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_engines_answers_show_our_swarm_and_keep_the_rest() {
    let rig = Rig::start().await;
    let before = rig.get("/info").await;
    let expected = concat!(
        r#"{"ID":"AAAA","Name":"h1","OSType":"linux","Architecture":"x86_64","NCPU":2,"MemTotal":1024,"#,
        r#""Swarm":{"NodeID":"","NodeAddr":"","LocalNodeState":"inactive","ControlAvailable":false,"Error":"","#,
        r#""RemoteManagers":null},"ServerVersion":"20.10.24","Last":[ 1 ]}"#,
        "\n"
    );
    assert_eq!(before.body, expected);
    let ping = rig.send("HEAD", "/_ping", "", "").await;
    assert!(ping.head.contains("Swarm: inactive"), "{}", ping.head);
    let request = json!({"ListenAddr": "127.0.0.1:0", "AdvertiseAddr": "127.0.0.1"});
    let made = rig.post("/v1.41/swarm/init", &request).await;
    assert_eq!(made.status, 200, "{made:?}");
    let id = made.json();
    let after = rig.get("/info").await.json();
    assert_eq!(after["Swarm"]["NodeID"], id);
    assert_eq!(after["Swarm"]["LocalNodeState"], "active");
    assert_eq!(after["Swarm"]["ControlAvailable"], true);
    assert_eq!(after["Swarm"]["Managers"], 1);
    assert_eq!(after["Swarm"]["Nodes"], 1);
    assert_eq!(after["Swarm"]["RemoteManagers"][0]["NodeID"], id);
    assert!(after["Swarm"]["Cluster"]["ID"].is_string());
    assert!(after["Swarm"]["Cluster"].get("JoinTokens").is_none());
    let ping = rig.get("/_ping").await;
    assert!(ping.head.contains("Swarm: active/manager"), "{}", ping.head);
    let left = rig.send("POST", "/swarm/leave?force=1", "", "").await;
    assert_eq!((left.status, left.body.as_str()), (200, ""), "{left:?}");
    assert_eq!(rig.get("/info").await.body, expected);
    rig.end().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn every_answer_carries_the_engines_headers() {
    let rig = Rig::in_a_swarm().await;
    for target in [
        "/nodes",
        "/v1.24/services",
        "/services/nothing",
        "/v1.99/tasks",
    ] {
        let answer = rig.get(target).await;
        for header in [
            "Api-Version: 1.41",
            "Docker-Experimental: false",
            "Ostype: linux",
            "Server: Docker/20.10.24 (linux)",
            "Content-Type: application/json",
        ] {
            assert!(answer.head.contains(header), "{target}: {}", answer.head);
        }
        assert!(answer.body.ends_with('\n'));
    }
    rig.end().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_service_is_made_changed_and_removed() {
    let rig = Rig::in_a_swarm().await;
    assert_eq!(rig.get("/services").await.body, "[]\n");
    let created = rig.post("/v1.41/services/create", &service("web")).await;
    assert_eq!(created.status, 201);
    let id = created.json()["ID"].as_str().unwrap().to_owned();
    assert_eq!(
        created.body,
        format!("{{\"ID\":\"{id}\",\"Warnings\":null}}\n")
    );
    let listed = rig.get("/services?status=true").await.json();
    assert_eq!(listed[0]["ServiceStatus"]["DesiredTasks"], 2);
    let found = rig.get("/services/web").await.json();
    assert!(found.get("ServiceStatus").is_none());
    let version = &found["Version"]["Index"];
    let mut changed = service("web");
    changed["Mode"]["Replicated"]["Replicas"] = json!(3);
    let updated = rig
        .post(&format!("/services/web/update?version={version}"), &changed)
        .await;
    assert_eq!(
        (updated.status, updated.body.as_str()),
        (200, "{\"Warnings\":null}\n")
    );
    let found = rig.get(&format!("/services/{}", &id[..10])).await.json();
    assert_eq!(found["Spec"]["Mode"]["Replicated"]["Replicas"], 3);
    assert_eq!(found["PreviousSpec"]["Mode"]["Replicated"]["Replicas"], 2);
    let removed = rig.send("DELETE", "/services/web", "", "").await;
    assert_eq!((removed.status, removed.body.as_str()), (200, ""));
    assert_eq!(rig.get("/services/web").await.status, 404);
    rig.end().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn unknown_fields_are_named_in_the_warnings() {
    let rig = Rig::in_a_swarm().await;
    let mut odd = service("odd");
    odd["TaskTemplate"]["ContainerSpec"]["Colour"] = json!("red");
    let created = rig.post("/services/create", &odd).await;
    let warnings = json!(["unknown field TaskTemplate.ContainerSpec.Colour was ignored"]);
    assert_eq!(created.json()["Warnings"], warnings);
    rig.end().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_node_is_shown_and_drained() {
    let rig = Rig::in_a_swarm().await;
    let nodes = rig
        .get("/nodes?filters={\"role\":[\"manager\"]}")
        .await
        .json();
    let node = &nodes[0];
    assert_eq!(node["ManagerStatus"]["Leader"], true);
    assert_eq!(node["Description"]["Hostname"], "h1");
    let id = node["ID"].as_str().unwrap();
    let spec = json!({"Role": "manager", "Availability": "drain", "Labels": {"a": "b"}});
    let target = format!("/nodes/h1/update?version={}", node["Version"]["Index"]);
    let updated = rig.post(&target, &spec).await;
    assert_eq!(
        (updated.status, updated.body.as_str()),
        (200, ""),
        "{updated:?}"
    );
    let node = rig.get(&format!("/nodes/{id}")).await.json();
    assert_eq!(
        node["Spec"],
        json!({"Role": "manager", "Availability": "drain", "Labels": {"a": "b"}})
    );
    rig.end().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_rotated_token_is_another_one() {
    let rig = Rig::in_a_swarm().await;
    let swarm = rig.get("/swarm").await.json();
    let target = format!(
        "/swarm/update?version={}&rotateWorkerToken=true&rotateManagerToken=false&rotateManagerUnlockKey=false",
        swarm["Version"]["Index"]
    );
    assert_eq!(rig.post(&target, &swarm["Spec"]).await.status, 200);
    let rotated = rig.get("/swarm").await.json();
    assert_ne!(
        rotated["JoinTokens"]["Worker"],
        swarm["JoinTokens"]["Worker"]
    );
    assert_eq!(
        rotated["JoinTokens"]["Manager"],
        swarm["JoinTokens"]["Manager"]
    );
    assert_eq!(
        rig.get("/swarm/unlockkey").await.body,
        "{\"UnlockKey\":\"\"}\n"
    );
    rig.end().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn our_own_version_is_told_beside_the_engines() {
    let rig = Rig::start().await;
    let report = rig.get("/swarmrs/v1/read/version").await.json();
    let expected = json!({
        "Version": env!("CARGO_PKG_VERSION"), "EngineVersion": "20.10.24", "ApiVersion": "1.41", "Swarm": "inactive"
    });
    assert_eq!(report, expected);
    assert_eq!(rig.get("/swarmrs/v1/nothing").await.status, 404);
    let version = rig.get("/v1.41/version").await.json();
    let components: Vec<&Value> = version["Components"].as_array().unwrap().iter().collect();
    assert_eq!(components.last().unwrap()["Name"], "swarmrs");
    rig.end().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn task_containers_are_asked_for_by_their_label() {
    let rig = Rig::start().await;
    let tasks = rig
        .get("/v1.41/containers/json?all=1&filters={\"is-task\":{\"true\":true}}")
        .await;
    assert_eq!((tasks.status, tasks.body.as_str()), (200, "[]"));
    let seen = rig.engine_saw("GET /v1.41/containers/json?all=1&filters=");
    assert!(
        seen[0].contains("com%2Edocker%2Eswarm%2Etask%2Eid"),
        "{seen:?}"
    );
    assert!(!seen[0].contains("is%2Dtask"), "{seen:?}");
    rig.end().await;
}
