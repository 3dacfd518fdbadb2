//! Every call of the contract, every spelling that tries to hide one, and the property behind both.

use http::Method;
use proptest::prelude::*;

use super::*;

fn route(method: &str, target: &str) -> Result<Route, RouteError> {
    classify(&method.parse().unwrap(), target)
}

fn found(method: &str, target: &str) -> (Class, Option<Endpoint>) {
    let route = route(method, target).unwrap();
    (route.class, route.endpoint)
}

fn id() -> String {
    "web".to_owned()
}

#[test]
fn each_cluster_call_of_the_contract_is_ours_with_and_without_a_version() {
    use Endpoint as E;
    for (method, path, endpoint) in [
        ("GET", "/swarm", E::SwarmInspect),
        ("POST", "/swarm/init", E::SwarmInit),
        ("POST", "/swarm/join", E::SwarmJoin),
        ("POST", "/swarm/leave", E::SwarmLeave),
        ("POST", "/swarm/update", E::SwarmUpdate),
        ("GET", "/swarm/unlockkey", E::SwarmUnlockKey),
        ("POST", "/swarm/unlock", E::SwarmUnlock),
        ("GET", "/nodes", E::NodeList),
        ("GET", "/nodes/web", E::NodeInspect { id: id() }),
        ("POST", "/nodes/web/update", E::NodeUpdate { id: id() }),
        ("DELETE", "/nodes/web", E::NodeRemove { id: id() }),
        ("GET", "/services", E::ServiceList),
        ("POST", "/services/create", E::ServiceCreate),
        ("GET", "/services/web", E::ServiceInspect { id: id() }),
        (
            "POST",
            "/services/web/update",
            E::ServiceUpdate { id: id() },
        ),
        ("DELETE", "/services/web", E::ServiceRemove { id: id() }),
        ("GET", "/services/web/logs", E::ServiceLogs { id: id() }),
        ("GET", "/tasks", E::TaskList),
        ("GET", "/tasks/web", E::TaskInspect { id: id() }),
        ("GET", "/tasks/web/logs", E::TaskLogs { id: id() }),
        ("GET", "/secrets", E::SecretList),
        ("POST", "/secrets/create", E::SecretCreate),
        ("GET", "/secrets/web", E::SecretInspect { id: id() }),
        ("POST", "/secrets/web/update", E::SecretUpdate { id: id() }),
        ("DELETE", "/secrets/web", E::SecretRemove { id: id() }),
        ("GET", "/configs", E::ConfigList),
        ("POST", "/configs/create", E::ConfigCreate),
        ("GET", "/configs/web", E::ConfigInspect { id: id() }),
        ("POST", "/configs/web/update", E::ConfigUpdate { id: id() }),
        ("DELETE", "/configs/web", E::ConfigRemove { id: id() }),
        ("OPTIONS", "/services/web", E::Options),
        ("PATCH", "/services/web", E::OursUnknown),
        ("GET", "/swarm/init", E::OursUnknown),
        ("HEAD", "/services", E::OursUnknown),
        ("GET", "/services/web/logs/more", E::OursUnknown),
    ] {
        let expected = (Class::Ours, Some(endpoint));
        assert_eq!(found(method, path), expected, "{method} {path}");
        assert_eq!(
            found(method, &format!("/v1.41{path}?a=/x%20")),
            expected,
            "{method} {path}"
        );
        assert_eq!(
            found(method, &format!("{path}/")),
            expected,
            "{method} {path}/"
        );
    }
}

#[test]
fn merged_and_rewritten_calls_are_found_and_their_neighbours_are_raw() {
    use Endpoint as E;
    let merged = |endpoint| (Class::Merged, Some(endpoint));
    let rewritten = |endpoint| (Class::Rewritten, Some(endpoint));
    let raw = (Class::Raw, None);
    for (method, path, expected) in [
        ("GET", "/info", merged(E::Info)),
        ("GET", "/_ping", merged(E::Ping)),
        ("HEAD", "/_ping", merged(E::Ping)),
        ("GET", "/version", merged(E::Version)),
        ("GET", "/events", merged(E::Events)),
        ("GET", "/system/df", merged(E::SystemDf)),
        ("GET", "/networks", merged(E::NetworkList)),
        ("GET", "/networks/", merged(E::NetworkList)),
        (
            "GET",
            "/networks/web",
            merged(E::NetworkInspect { id: id() }),
        ),
        (
            "GET",
            "/networks/a%2Fb",
            merged(E::NetworkInspect {
                id: "a/b".to_owned(),
            }),
        ),
        ("POST", "/networks/create", merged(E::NetworkCreate)),
        (
            "DELETE",
            "/networks/web",
            merged(E::NetworkRemove { id: id() }),
        ),
        ("POST", "/networks/prune", rewritten(E::NetworkPrune)),
        (
            "POST",
            "/networks/web/connect",
            rewritten(E::NetworkConnect { id: id() }),
        ),
        (
            "POST",
            "/networks/web/disconnect",
            rewritten(E::NetworkDisconnect { id: id() }),
        ),
        ("GET", "/volumes", merged(E::VolumeList)),
        ("POST", "/volumes/create", merged(E::VolumeCreate)),
        ("POST", "/volumes/prune", merged(E::VolumePrune)),
        ("GET", "/volumes/web", merged(E::VolumeInspect { id: id() })),
        ("PUT", "/volumes/web", merged(E::VolumeUpdate { id: id() })),
        (
            "DELETE",
            "/volumes/web",
            merged(E::VolumeRemove { id: id() }),
        ),
        ("GET", "/containers/json", rewritten(E::ContainerList)),
        ("POST", "/containers/create", rewritten(E::ContainerCreate)),
        ("POST", "/containers/prune", rewritten(E::ContainerPrune)),
        (
            "GET",
            "/containers/web/json",
            rewritten(E::ContainerInspect { id: id() }),
        ),
        (
            "POST",
            "/containers/web/start",
            rewritten(E::ContainerStart { id: id() }),
        ),
        (
            "POST",
            "/containers/web/restart",
            rewritten(E::ContainerRestart { id: id() }),
        ),
        (
            "DELETE",
            "/containers/web",
            rewritten(E::ContainerRemove { id: id() }),
        ),
        ("POST", "/containers/web/stop", raw.clone()),
        ("GET", "/containers/web/logs", raw.clone()),
        ("POST", "/containers/web/attach", raw.clone()),
        ("GET", "/images/a%2Fb/json", raw.clone()),
        ("GET", "/plugins/a/b:1/json", raw.clone()),
        ("POST", "/exec/web/start", raw.clone()),
        ("POST", "/info", raw.clone()),
        ("GET", "/Swarm", raw.clone()),
        ("GET", "/v1.41", raw.clone()),
        ("GET", "/", raw.clone()),
        ("OPTIONS", "*", raw),
    ] {
        assert_eq!(found(method, path), expected, "{method} {path}");
    }
}

/// Spellings of calls of ours that some router between here and the cluster could read.
const DISGUISES: [&str; 24] = [
    "/v1.41/%73warm/init",
    "/%73%77%61%72%6d/init",
    "//swarm/init",
    "///swarm//init",
    "/./swarm/init",
    "/x/../swarm/init",
    "/x/%2e%2e/swarm/init",
    "/x/%2E./swarm/init",
    "/../../swarm/init",
    "/v1.41/../swarm/init",
    "/v1.41/x/../swarm/init",
    "/v1.41//swarm/init",
    "/swarm/init/",
    "/swarm/init/.",
    "/swarm/x/../init",
    "/v1%2e41/swarm/init",
    "/%761.41/swarm/init",
    "/v1/swarm/init",
    "/v../swarm/init",
    "/v1.2.3.99999999999/swarm/init",
    "http://docker/swarm/init",
    "http:///v1.41/swarm/init",
    "unix:/swarm/init",
    "/swarm/init?x=/../../images/json",
];

#[test]
fn a_disguised_call_is_still_ours() {
    for target in DISGUISES {
        assert_eq!(
            found("POST", target),
            (Class::Ours, Some(Endpoint::SwarmInit)),
            "{target}"
        );
    }
}

#[test]
fn an_encoded_slash_or_control_byte_cannot_hide_a_call() {
    for (target, error) in [
        ("/swarm%2Finit", RouteError::EncodedSlash),
        ("/%2fswarm/init", RouteError::EncodedSlash),
        ("/v1.41%2Fswarm/init", RouteError::EncodedSlash),
        ("/images/..%2fswarm/init", RouteError::EncodedSlash),
        ("/images%2F..%2Fswarm%2Finit", RouteError::EncodedSlash),
        ("/swarm/..%2Fimages/json", RouteError::EncodedSlash),
        ("/services/a%2Fb", RouteError::EncodedSlash),
        ("/swarm%00/init", RouteError::ControlByte),
        ("/swarm/init%0d%0a", RouteError::ControlByte),
        ("/images/%7f/json", RouteError::ControlByte),
        ("/swarm/init#x", RouteError::ControlByte),
        ("/images/json\u{1}", RouteError::ControlByte),
        ("/swarm/%zz", RouteError::InvalidEscape),
        ("/images/%4", RouteError::InvalidEscape),
        ("swarm/init", RouteError::NotAPath),
        ("http:swarm/init", RouteError::NotAPath),
        ("*", RouteError::NotAPath),
        ("", RouteError::NotAPath),
    ] {
        assert_eq!(route("POST", target), Err(error), "{target}");
    }
}

#[test]
fn the_version_is_read_and_the_target_kept_as_written() {
    let route = route("GET", "/v1.41/images/a%2Fb/json?x=%2f&y").unwrap();
    assert_eq!(
        route.version,
        Some(ApiVersion {
            major: 1,
            minor: 41
        })
    );
    assert_eq!(route.target, "/v1.41/images/a%2Fb/json?x=%2f&y");
    assert_eq!(route.query(), "x=%2f&y");
    assert_eq!(route.segments, ["images", "a", "b", "json"]);
}

#[test]
fn a_target_of_sixty_kib_passes_and_one_beyond_the_limit_does_not() {
    let target = |len: usize| format!("/containers/json?filters={}", "a".repeat(len - 25));
    assert!(route("GET", &target(60 * 1024)).is_ok());
    assert!(route("GET", &target(MAX_TARGET)).is_ok());
    assert_eq!(
        route("GET", &target(MAX_TARGET + 1)),
        Err(RouteError::TooLong)
    );
}

/// An independent reading of a path: decode once, split, clean, cut the version.
fn reference(target: &str) -> Option<String> {
    let path = target.split('?').next()?;
    let decoded = percent_encoding::percent_decode_str(path).decode_utf8_lossy();
    let mut stack: Vec<&str> = Vec::new();
    for part in decoded.split('/') {
        match part {
            "" | "." => {}
            ".." => drop(stack.pop()),
            part => stack.push(part),
        }
    }
    let version = |s: &&str| {
        s.len() > 1 && s.starts_with('v') && s[1..].chars().all(|c| c == '.' || c.is_ascii_digit())
    };
    let at = usize::from(stack.first().is_some_and(version));
    stack.get(at).map(|s| (*s).to_owned())
}

fn pieces() -> impl Strategy<Value = String> {
    let word = prop::sample::select(vec![
        "swarm",
        "nodes",
        "services",
        "tasks",
        "secrets",
        "configs",
        "swarmrs",
        "images",
        "v1.41",
        "v1",
        "v..",
        "x",
        "..",
        ".",
        "",
        "init",
        "a%2Fb",
        "%2F",
        "%2e%2e",
        "%2e",
        "%73warm",
        "%76%31.41",
        "%256eodes",
        "Swarm",
        "json",
        "%",
        "%00",
        "\u{e9}",
        "%C3%A9",
        "%ff",
    ]);
    let glue = prop::sample::select(vec![
        "/", "//", "%2F", "%2f", "/./", "/../", "?", "#", ":", "",
    ]);
    prop::collection::vec((glue, word), 0..7).prop_map(|parts| {
        parts
            .into_iter()
            .map(|(glue, word)| format!("{glue}{word}"))
            .collect()
    })
}

proptest! {
    #[test]
    fn nothing_whose_decoded_and_cleaned_path_is_ours_is_raw(
        target in pieces(),
        method in prop::sample::select(vec![Method::GET, Method::POST, Method::PUT, Method::DELETE, Method::HEAD, Method::OPTIONS]),
    ) {
        if let Ok(route) = classify(&method, &target) {
            let first = reference(&target);
            let ours = first.as_deref().is_some_and(|s| OURS.contains(&s));
            prop_assert_eq!(route.class == Class::Ours, ours, "{} is read as {:?}", target, first);
            prop_assert_eq!(route.endpoint.is_none(), route.class == Class::Raw);
            prop_assert_eq!(route.target, target);
        }
    }

    #[test]
    fn no_target_makes_it_panic(target in ".*") {
        let _ = classify(&Method::GET, &target);
    }
}
