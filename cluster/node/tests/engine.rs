//! A node and an engine that cannot carry a swarm.
#![expect(clippy::unwrap_used, reason = "a test that cannot go on has failed")]

mod support;

use support::FakeEngine;
use swarmrs_node::{Node, SwarmState};
use swarmrs_types::Code;
use swarmrs_types::spec::{InitRequest, ServiceSpec};

/// The node is in the state `error` for this reason, and gives it to whoever asks for a swarm.
async fn assert_refuses(node: &Node, reason: &str) {
    let standing = node.standing();
    assert_eq!(
        (standing.state, standing.error.as_str()),
        (SwarmState::Error, reason)
    );
    assert_eq!((standing.node, standing.manager), (None, false));
    let init = node.init(InitRequest::default()).await.unwrap_err();
    let create = node.create_service(ServiceSpec::default(), None).await;
    for fault in [init, create.unwrap_err(), node.view().await.unwrap_err()] {
        assert_eq!(
            (fault.code, fault.text.as_str()),
            (Code::Unavailable, reason)
        );
    }
}

#[tokio::test]
async fn an_engine_older_than_api_1_41_is_named_with_what_is_needed() {
    let engine = FakeEngine::start("1.40", "inactive");
    let node = engine.node().await;
    let reason = format!(
        "the engine at {} speaks API 1.40, but 1.41 or newer (Docker 20.10) is needed",
        engine.socket().display()
    );
    assert_refuses(&node, &reason).await;
    assert!(engine.was_only_read());
}

#[tokio::test]
async fn an_engine_in_swarm_mode_is_named_with_the_command_to_leave() {
    for swarm_state in ["active", "pending", "locked", "error"] {
        let engine = FakeEngine::start("1.41", swarm_state);
        let node = engine.node().await;
        let socket = engine.socket();
        let socket = socket.display();
        let reason = format!(
            "the engine at {socket} is itself in swarm mode: nothing is scheduled beside it. To leave its swarm (its \
             services end): docker -H unix://{socket} swarm leave --force"
        );
        assert_refuses(&node, &reason).await;
        assert!(engine.was_only_read());
    }
}

#[tokio::test]
async fn an_engine_of_api_1_41_outside_a_swarm_will_do() {
    let engine = FakeEngine::start("1.41", "inactive");
    let standing = engine.node().await.standing();
    assert_eq!(
        (standing.state, standing.error.as_str()),
        (SwarmState::Inactive, "")
    );
}
