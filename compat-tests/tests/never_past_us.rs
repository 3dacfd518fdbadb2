//! What is ours never reaches the engine, in any spelling, built or not.
//!
//! A recording socket between swarmrsd and the engine is the witness; the engine staying out of swarm mode is another.
#![allow(clippy::unwrap_used, reason = "a test that cannot go on has failed")]

use std::time::Duration;

use serde_json::json;
use swarmrs_compat_tests::http::{self, Request};
use swarmrs_compat_tests::testbed::shared;
use swarmrs_compat_tests::{Error, Host, Options};

const OURS: [&str; 7] = [
    "swarm", "nodes", "services", "tasks", "secrets", "configs", "swarmrs",
];

/// Every route of the contract that is ours, and some below ours that no version has.
const ROUTES: [(&str, &str); 44] = [
    ("GET", "/swarm"),
    ("POST", "/swarm/init"),
    ("POST", "/swarm/join"),
    ("POST", "/swarm/leave"),
    ("POST", "/swarm/update?version=1"),
    ("GET", "/swarm/unlockkey"),
    ("POST", "/swarm/unlock"),
    ("GET", "/nodes"),
    ("GET", "/nodes/x"),
    ("POST", "/nodes/x/update?version=1"),
    ("DELETE", "/nodes/x"),
    ("GET", "/services"),
    ("GET", "/services/x"),
    ("POST", "/services/create"),
    ("POST", "/services/x/update?version=1"),
    ("DELETE", "/services/x"),
    ("GET", "/services/x/logs?stdout=1"),
    ("GET", "/tasks"),
    ("GET", "/tasks/x"),
    ("GET", "/tasks/x/logs?stdout=1"),
    ("GET", "/secrets"),
    ("POST", "/secrets/create"),
    ("GET", "/secrets/x"),
    ("POST", "/secrets/x/update?version=1"),
    ("DELETE", "/secrets/x"),
    ("GET", "/configs"),
    ("POST", "/configs/create"),
    ("GET", "/configs/x"),
    ("POST", "/configs/x/update?version=1"),
    ("DELETE", "/configs/x"),
    ("GET", "/swarmrs"),
    ("GET", "/swarmrs/v1/status"),
    ("PUT", "/swarmrs/v1/anything"),
    ("HEAD", "/swarm"),
    ("DELETE", "/swarm"),
    ("PATCH", "/services/create"),
    ("OPTIONS", "/swarm/init"),
    ("PUT", "/swarm/init"),
    ("GET", "/swarm/init"),
    ("GET", "/swarm/nonsense/deeper"),
    ("POST", "/nodes"),
    ("GET", "/services/x/y/z"),
    ("POST", "/tasks/x"),
    ("BREW", "/swarm/init"),
];

/// Ways to write one and the same path that the engine's router takes for it.
fn spellings(target: &str) -> Vec<String> {
    let (path, query) = target
        .split_once('?')
        .map_or((target, String::new()), |(path, query)| {
            (path, format!("?{query}"))
        });
    let rest = &path[1..];
    let encoded = format!("%{:02x}{}", rest.as_bytes()[0], &rest[1..]);
    let shouted = format!("%{:02X}{}", rest.as_bytes()[0], &rest[1..]);
    let all: String = rest
        .bytes()
        .map(|byte| {
            if byte == b'/' {
                "/".to_owned()
            } else {
                format!("%{byte:02x}")
            }
        })
        .collect();
    let spelled = [
        format!("/{rest}"),
        format!("/v1.41/{rest}"),
        format!("/v1.24/{rest}"),
        format!("/v9.99/{rest}"),
        format!("/v1.41/{encoded}"),
        format!("/{encoded}"),
        format!("/{shouted}"),
        format!("/{all}"),
        format!("//{rest}"),
        format!("///v1.41//{}", rest.replace('/', "//")),
        format!("/v1.41//{rest}"),
        format!("/./{rest}"),
        format!("/v1.41/./{rest}"),
        format!("/x/../{rest}"),
        format!("/v1.41/x/../{rest}"),
        format!("/v1.41/containers/../{rest}"),
        format!("/containers/json/../../{rest}"),
        format!("/../{rest}"),
        format!("/%2e/{rest}"),
        format!("/x/%2e%2e/{rest}"),
        format!("/x%2f..%2f{rest}"),
        format!("/v1.41%2f{rest}"),
        format!("/%76%31.41/{rest}"),
        format!("/{}", rest.replace('/', "%2f")),
        format!("/{rest}/"),
        format!("/{rest}/."),
        format!("http://docker/{rest}"),
    ];
    spelled.into_iter().map(|path| path + &query).collect()
}

/// The segments that the engine's router would see: decoded once, cleaned, the version taken off.
fn as_the_engine_sees_it(target: &str) -> Vec<String> {
    let path = target.split('?').next().unwrap_or_default();
    let path = path
        .strip_prefix("http://")
        .map_or(path, |rest| rest.find('/').map_or("/", |at| &rest[at..]));
    let mut segments: Vec<String> = Vec::new();
    for segment in decode(path).split('/') {
        match segment {
            "" | "." => {}
            ".." => drop(segments.pop()),
            segment => segments.push(segment.to_owned()),
        }
    }
    let versioned = segments.first().is_some_and(|first| {
        first.strip_prefix('v').is_some_and(|rest| {
            !rest.is_empty() && rest.chars().all(|c| c.is_ascii_digit() || c == '.')
        })
    });
    segments.split_off(usize::from(versioned))
}

fn decode(path: &str) -> String {
    let (mut bytes, mut rest) = (Vec::new(), path.as_bytes());
    while let Some((&byte, after)) = rest.split_first() {
        let hex = after.get(..2).and_then(|hex| std::str::from_utf8(hex).ok());
        match hex.and_then(|hex| u8::from_str_radix(hex, 16).ok()) {
            Some(code) if byte == b'%' => {
                bytes.push(code);
                rest = &after[2..];
            }
            _ => {
                bytes.push(byte);
                rest = after;
            }
        }
    }
    String::from_utf8_lossy(&bytes).into_owned()
}

/// The requests at the engine that were ours.
fn leaked(host: &Host) -> Vec<String> {
    let lines = host.recorder().request_lines();
    let ours = |line: &String| {
        let target = line.split(' ').nth(1).unwrap_or_default();
        let segments = as_the_engine_sees_it(target);
        segments
            .first()
            .is_some_and(|first| OURS.contains(&first.as_str()))
    };
    lines.into_iter().filter(ours).collect()
}

fn send(
    host: &Host,
    method: &str,
    target: &str,
    body: Option<&str>,
) -> Result<http::Response, Error> {
    let headers = [
        ("Content-Type", "application/json"),
        ("Connection", "close"),
    ];
    let request = Request {
        method,
        target,
        headers: &headers,
        body: body.map(str::as_bytes),
    };
    http::call(&host.socket(), &request, Duration::from_secs(20))
}

fn engine_is_no_swarm(host: &Host) {
    let state = host
        .engine_docker(&["info", "--format", "{{.Swarm.LocalNodeState}}"])
        .unwrap();
    assert_eq!(state.success().unwrap(), "inactive");
}

#[test]
fn the_witness_sees_what_does_pass() {
    let testbed = shared(&Options::recorded());
    let host = testbed.host(0);
    host.recorder().clear();
    send(host, "GET", "/v1.41/containers/json", None).unwrap();
    let seen = host.recorder().request_lines();
    assert!(
        seen.contains(&"GET /v1.41/containers/json HTTP/1.1".to_owned()),
        "{seen:?}"
    );
    assert_eq!(
        as_the_engine_sees_it("/v1.41/x/..//%73warm/init?a=b"),
        ["swarm", "init"]
    );
}

#[test]
fn no_spelling_of_a_path_of_ours_reaches_the_engine() {
    let testbed = shared(&Options::recorded());
    let host = testbed.host(0);
    host.recorder().clear();
    for (method, target) in ROUTES {
        for spelling in spellings(target) {
            // An empty body: what is taken for an init must fail, so that the state stays that of a fresh node.
            let body = (method != "GET" && method != "HEAD").then_some("{}");
            let answer = send(host, method, &spelling, body);
            let answer =
                answer.unwrap_or_else(|error| panic!("{method} {spelling} has no answer: {error}"));
            assert!(
                answer.status >= 200,
                "{method} {spelling}: {}",
                answer.status
            );
            let leaked = leaked(host);
            assert!(
                leaked.is_empty(),
                "{method} {spelling} reached the engine as {leaked:?}"
            );
        }
    }
    engine_is_no_swarm(host);
}

#[test]
fn an_init_in_disguise_makes_no_swarm_of_the_engine() {
    let testbed = shared(&Options::recorded());
    let host = testbed.host(0);
    host.recorder().clear();
    let body = json!({"ListenAddr": "0.0.0.0:2377", "AdvertiseAddr": host.address()}).to_string();
    for spelling in spellings("/swarm/init") {
        send(host, "POST", &spelling, Some(&body)).unwrap();
        let leaked = leaked(host);
        assert!(
            leaked.is_empty(),
            "POST {spelling} reached the engine as {leaked:?}"
        );
        engine_is_no_swarm(host);
        // If it was understood, the swarm is one of ours: leave it for the next spelling.
        send(host, "POST", "/swarm/leave?force=1", None).unwrap();
    }
}

#[test]
fn two_lengths_or_a_length_with_a_coding_are_refused() {
    let testbed = shared(&Options::recorded());
    let host = testbed.host(0);
    host.recorder().clear();
    for headers in [
        [("Content-Length", "5"), ("Content-Length", "6")],
        [("Content-Length", "5"), ("Transfer-Encoding", "chunked")],
    ] {
        let request = Request {
            method: "POST",
            target: "/v1.41/containers/create",
            headers: &headers,
            body: None,
        };
        let answer = host.send(&request).unwrap();
        assert_eq!(answer.status, 400, "{headers:?}: {}", answer.text());
    }
    let passed = host.recorder().request_lines();
    assert!(
        !passed.iter().any(|line| line.contains("containers/create")),
        "{passed:?}"
    );
}

#[test]
fn what_is_ours_and_not_built_yet_says_so() {
    let testbed = shared(&Options::recorded());
    let host = testbed.host(0);
    host.docker_ok(&["swarm", "init", "--advertise-addr", host.address()]);
    let mount = json!({"Type": "cluster", "Source": "v", "Target": "/v"});
    let container = json!({"Image": "box", "Mounts": [mount]});
    let service = json!({"Name": "s", "TaskTemplate": {"ContainerSpec": container}});
    let answer = host
        .api("POST", "/v1.41/services/create", Some(&service))
        .unwrap();
    let refused = "mounting cluster volumes is not available in this release of swarmrs";
    assert_eq!((answer.status, answer.message().as_str()), (501, refused));
    assert!(leaked(host).is_empty());
    host.docker_ok(&["swarm", "leave", "--force"]);
}
