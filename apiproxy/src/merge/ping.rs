//! `/_ping`: the engine's answer, with the swarm's state in its header.
//!
//! It says that the whole API is there, so it is only as good as the engine's: 503 without one. The stock client reads the
//! newest version of the API from it, and with the swarm's state which commands to show in its help. It does so whatever the
//! status is, and would fall back to the oldest version otherwise; so the headers are there without an engine too.

use http::request::Parts;
use http::{HeaderName, HeaderValue, Response};
use swarmrs_node::{Standing, SwarmState};

use super::{ask, is_head, pass, unreachable};
use crate::handler::Handlers;
use crate::route::Route;
use crate::server::Body;
use crate::version::API_VERSION;

const SWARM: HeaderName = HeaderName::from_static("swarm");

pub(super) async fn answer(handlers: &Handlers, route: &Route, request: &Parts) -> Response<Body> {
    let answer = ask(handlers, route, route.query(), request).await;
    let is_lost = answer.is_err();
    let mut response = answer.map_or_else(|error| unreachable(&error), pass);
    let headers = response.headers_mut();
    let state = HeaderValue::from_static(state(&handlers.node.standing()));
    headers.insert(SWARM, state);
    if is_lost || headers.contains_key(API_VERSION) {
        handlers.offers.current().await.stamp(headers);
    }
    if is_head(request) && !is_lost {
        let nothing = HeaderValue::from_static("0");
        headers.insert(http::header::CONTENT_LENGTH, nothing);
    }
    response
}

/// The header's words. Source: moby `daemon/cluster/swarm.go` (`Status`).
fn state(standing: &Standing) -> &'static str {
    match standing.state {
        SwarmState::Active if standing.manager => "active/manager",
        SwarmState::Active => "active/worker",
        other => other.as_str(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_header_tells_the_role_of_an_active_node_only() {
        let standing = |state_is, manager| Standing {
            state: state_is,
            manager,
            ..Standing::alone()
        };
        let table = [
            (SwarmState::Inactive, false, "inactive"),
            (SwarmState::Pending, false, "pending"),
            (SwarmState::Error, false, "error"),
            (SwarmState::Locked, false, "locked"),
            (SwarmState::Active, false, "active/worker"),
            (SwarmState::Active, true, "active/manager"),
        ];
        for (state_is, manager, word) in table {
            assert_eq!(state(&standing(state_is, manager)), word);
        }
    }
}
