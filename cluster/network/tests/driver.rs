//! The network driver as the engine speaks to it, on its socket, with nothing behind it but a note-taker.
#![allow(clippy::unwrap_used, reason = "a test that cannot go on has failed")]

mod support;

use serde_json::{Value, json};
use support::{Rig, create_endpoint, create_network, endpoint, of};
use swarmrs_types::endpoint::Fact;

fn refused(answer: &Value) -> &str {
    let text = answer["Err"].as_str();
    text.unwrap_or_else(|| panic!("not refused: {answer}"))
}

fn join(id: &str, sandbox: &str) -> Value {
    json!({"NetworkID": "net1", "EndpointID": id, "SandboxKey": sandbox, "Options": {}})
}

fn program(id: &str, ports: Value) -> Value {
    json!({
        "NetworkID": "net1", "EndpointID": id,
        "Options": {
            "com.docker.network.endpoint.exposedports": [{"Proto": 6, "Port": 80}],
            "com.docker.network.portmap": ports
        }
    })
}

#[tokio::test]
async fn the_engine_is_told_what_this_is() {
    let rig = Rig::told().await;
    let activated = rig.call("Plugin.Activate", &Value::Null).await;
    assert_eq!(activated, json!({"Implements": ["NetworkDriver"]}));
    let can = rig.call("NetworkDriver.GetCapabilities", &json!({})).await;
    assert_eq!(
        can,
        json!({"Scope": "local", "ConnectivityScope": "global"})
    );
    let (head, _) = rig.raw("NetworkDriver.Nonsense", "{}").await;
    assert!(head.starts_with("HTTP/1.1 404"), "{head}");
    for call in ["NetworkDriver.DiscoverNew", "NetworkDriver.DiscoverDelete"] {
        assert_eq!(rig.call(call, &json!({})).await, json!({}));
    }
}

#[tokio::test]
async fn a_container_joins_has_a_port_published_and_leaves() {
    let rig = Rig::told().await;
    rig.endpoint().await;
    let joined = rig
        .call("NetworkDriver.Join", &join("ep1", "/nowhere"))
        .await;
    assert_eq!(
        joined,
        json!({
            "InterfaceName": {"SrcName": "veth5", "DstPrefix": "eth"},
            "Gateway": "10.0.1.1",
            "StaticRoutes": [
                {"Destination": "169.254.77.53/32", "RouteType": 1},
                {"Destination": "10.0.2.0/24", "RouteType": 0, "NextHop": "10.0.1.1"}
            ],
            "DisableGatewayService": false
        })
    );
    let ports =
        json!([{"Proto": 6, "IP": "", "Port": 80, "HostIP": "", "HostPort": 0, "HostPortEnd": 0}]);
    let program = program("ep1", ports);
    let programmed = rig
        .call("NetworkDriver.ProgramExternalConnectivity", &program)
        .await;
    assert_eq!(programmed, json!({}));
    let info = rig.call("NetworkDriver.EndpointOperInfo", &of("ep1")).await;
    assert_eq!(info, json!({"Value": {}}));
    let record = &rig.book()["endpoints"]["ep1"];
    assert_eq!(record["sandbox"], "/nowhere");
    assert_eq!(record["bound"][0]["host_port"], 32_768);
    for call in ["RevokeExternalConnectivity", "Leave", "DeleteEndpoint"] {
        let done = rig.call(&format!("NetworkDriver.{call}"), &of("ep1")).await;
        assert_eq!(done, json!({}), "{call}");
    }
    assert_eq!(rig.book()["endpoints"], json!({}));
    assert_eq!(
        rig.fake.taken(),
        [
            "join 10.0.1.5",
            "publish 10.0.1.5 [32768]",
            "revoke 10.0.1.5",
            "leave 10.0.1.5",
            "leave 10.0.1.5"
        ]
    );
    let gone = rig
        .call("NetworkDriver.DeleteNetwork", &json!({"NetworkID": "net1"}))
        .await;
    assert_eq!(gone, json!({}));
    assert_eq!(rig.book()["networks"], json!({}));
}

#[tokio::test]
async fn a_network_that_is_not_the_swarms_is_refused() {
    let rig = Rig::told().await;
    let mut plain = create_network();
    plain["Options"]["com.docker.network.generic"] = json!({});
    let answer = rig.call("NetworkDriver.CreateNetwork", &plain).await;
    assert!(
        refused(&answer).contains("made by swarmrs alone"),
        "{answer}"
    );
    for (id, said) in [
        ("nonsense", "names no swarm network"),
        ("n000000000000000000000009", "told of no swarm network"),
    ] {
        let mut unknown = create_network();
        unknown["Options"]["com.docker.network.generic"]["swarmrs.network"] = json!(id);
        let answer = rig.call("NetworkDriver.CreateNetwork", &unknown).await;
        assert!(refused(&answer).contains(said), "{answer}");
    }
    let mut other = create_network();
    other["IPv4Data"][0]["Pool"] = json!("172.30.0.0/16");
    let answer = rig.call("NetworkDriver.CreateNetwork", &other).await;
    assert_eq!(
        refused(&answer),
        "swarm network front has the subnet 10.0.1.0/24, and the engine was given 172.30.0.0/16"
    );
    assert!(!rig.config.state().join("driver.json").exists());
    let answer = rig
        .call("NetworkDriver.CreateEndpoint", &create_endpoint("ep1"))
        .await;
    assert_eq!(
        refused(&answer),
        "the engine's network net1 is no network of the swarm"
    );
}

#[tokio::test]
async fn an_endpoint_that_nobody_was_told_of_is_refused() {
    let rig = Rig::told().await;
    rig.endpoint().await;
    for (interface, said) in [
        (
            json!({"Address": "10.0.1.77/24"}),
            "has the address 10.0.1.77",
        ),
        (
            json!({"Address": ""}),
            "needs the address that the swarm gave it",
        ),
        (json!({"Address": "10.0.1.5"}), "no address with a prefix"),
        (
            json!({"Address": "10.0.1.5/24", "MacAddress": "02:42:0a:00:01:06"}),
            "02:42:0a:00:01:05 for 10.0.1.5, not 02:42:0a:00:01:06",
        ),
    ] {
        let mut asked = create_endpoint("ep2");
        asked["Interface"] = interface;
        let answer = rig.call("NetworkDriver.CreateEndpoint", &asked).await;
        assert!(refused(&answer).contains(said), "{answer}");
    }
    for call in ["Join", "ProgramExternalConnectivity"] {
        let answer = rig.call(&format!("NetworkDriver.{call}"), &of("ep2")).await;
        assert!(
            refused(&answer).contains("ep2 is not on a network of the swarm"),
            "{answer}"
        );
    }
    assert_eq!(rig.fake.taken(), [""; 0], "nothing was done");
}

#[tokio::test]
async fn an_endpoint_of_another_node_is_not_ours() {
    let rig = Rig::told().await;
    let mut remote = endpoint(6);
    remote.node = "z123456789abcdefghijklmno".parse().unwrap();
    rig.tell(vec![Fact::Endpoint(remote)], false).await;
    rig.endpoint().await;
    let mut asked = create_endpoint("ep2");
    asked["Interface"]["Address"] = json!("10.0.1.6/24");
    let answer = rig.call("NetworkDriver.CreateEndpoint", &asked).await;
    assert!(
        refused(&answer).contains("of this node has the address 10.0.1.6"),
        "{answer}"
    );
}

#[tokio::test]
async fn a_fact_that_comes_an_instant_late_is_waited_for() {
    let rig = Rig::told().await;
    rig.endpoint().await;
    let mut asked = create_endpoint("ep2");
    asked["Interface"]["Address"] = json!("10.0.1.6/24");
    let late = async {
        tokio::time::sleep(std::time::Duration::from_millis(200)).await;
        rig.tell(vec![Fact::Endpoint(endpoint(6))], false).await;
    };
    let (answer, ()) = tokio::join!(rig.call("NetworkDriver.CreateEndpoint", &asked), late);
    assert_eq!(
        answer,
        json!({"Interface": {"MacAddress": "02:42:0a:00:01:06"}})
    );
}

#[tokio::test]
async fn malformed_calls_are_told_so() {
    let rig = Rig::told().await;
    let calls = [
        "CreateNetwork",
        "DeleteNetwork",
        "CreateEndpoint",
        "DeleteEndpoint",
        "Join",
        "Leave",
    ];
    for call in calls
        .into_iter()
        .chain(["ProgramExternalConnectivity", "RevokeExternalConnectivity"])
    {
        for body in ["", "{", "[]", "null", "{\"NetworkID\": 5}", "{}"] {
            let (head, answer) = rig.raw(&format!("NetworkDriver.{call}"), body).await;
            assert!(head.starts_with("HTTP/1.1 200"), "{head}");
            let answer: Value = serde_json::from_str(&answer).unwrap();
            let said = refused(&answer);
            assert!(
                said.starts_with("malformed network driver call: "),
                "{call} {body}: {said}"
            );
        }
    }
}

#[tokio::test]
async fn a_port_that_is_taken_is_the_engines_error_and_leaves_nothing() {
    let rig = Rig::told().await;
    rig.endpoint().await;
    rig.fake.kernel().refuse = Some("port 8080/tcp is taken on this host".to_owned());
    let ports =
        json!([{"Proto": 6, "Port": 80, "HostIP": "", "HostPort": 8080, "HostPortEnd": 8080}]);
    let call = "NetworkDriver.ProgramExternalConnectivity";
    let answer = rig.call(call, &program("ep1", ports)).await;
    assert_eq!(refused(&answer), "port 8080/tcp is taken on this host");
    assert_eq!(rig.book()["endpoints"]["ep1"].get("wanted"), None);
    for (port, said) in [
        (
            json!([{"Proto": 1, "Port": 80}]),
            "1 is no transport protocol",
        ),
        (
            json!([{"Proto": 6, "Port": 80, "HostIP": "nonsense"}]),
            "no address to publish a port on",
        ),
    ] {
        let answer = rig.call(call, &program("ep1", port)).await;
        assert!(refused(&answer).contains(said), "{answer}");
    }
}

#[tokio::test]
async fn an_endpoint_that_the_engine_never_ended_gives_its_address_up() {
    let rig = Rig::told().await;
    rig.endpoint().await;
    rig.call("NetworkDriver.Join", &join("ep1", "/nowhere"))
        .await;
    rig.fake.taken();
    let made = rig
        .call("NetworkDriver.CreateEndpoint", &create_endpoint("ep9"))
        .await;
    assert_eq!(made["Interface"]["MacAddress"], "02:42:0a:00:01:05");
    assert_eq!(rig.fake.taken(), ["leave 10.0.1.5"]);
    let book = rig.book();
    let left: Vec<&String> = book["endpoints"].as_object().unwrap().keys().collect();
    assert_eq!(left, ["ep9"]);
    let late = rig.call("NetworkDriver.DeleteEndpoint", &of("ep1")).await;
    assert_eq!(late, json!({}), "its late end is fine, and touches nobody");
    assert_eq!(rig.fake.taken(), [""; 0]);
}

#[tokio::test]
async fn a_network_and_its_endpoints_are_known_after_a_restart() {
    let mut rig = Rig::told().await;
    rig.endpoint().await;
    rig.call("NetworkDriver.Join", &join("ep1", "/nowhere"))
        .await;
    let ports = json!([{"Proto": 17, "Port": 53, "HostPort": 0, "HostPortEnd": 0}]);
    let call = "NetworkDriver.ProgramExternalConnectivity";
    rig.call(call, &program("ep1", ports)).await;
    tokio::time::sleep(std::time::Duration::from_millis(500)).await;
    rig.kill().await;
    rig.fake.taken();
    rig.start().await;
    let taken = rig.fake.taken();
    assert_eq!(
        taken,
        [
            "open",
            "publish 10.0.1.5 [32768]",
            "tell +2 -0 complete=true"
        ]
    );
    let left = rig.call("NetworkDriver.Leave", &of("ep1")).await;
    assert_eq!(left, json!({}));
    let again = rig
        .call("NetworkDriver.CreateEndpoint", &create_endpoint("ep2"))
        .await;
    assert_eq!(again["Interface"]["MacAddress"], "02:42:0a:00:01:05");
}
