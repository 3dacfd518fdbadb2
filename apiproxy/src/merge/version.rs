//! `/version`: the engine's answer, with us as one more component.

use http::Response;
use http::request::Parts;
use serde_json::json;
use serde_json::value::RawValue;

use super::object::RawObject;
use super::{ask, edited};
use crate::forward;
use crate::handler::Handlers;
use crate::route::Route;
use crate::server::Body;
use crate::version::NEWEST;
use crate::version::parse;

pub(super) async fn answer(
    handlers: &Handlers,
    route: &Route,
    request: &Parts,
) -> Result<Response<Body>, forward::Error> {
    let answer = ask(handlers, route, route.query(), request).await?;
    edited(answer, add_us).await
}

/// Adds our component, and lowers the API version to the newest that we know, should the engine have a newer one.
fn add_us(version: &mut RawObject) {
    let components = version.get("Components").map(RawValue::get);
    let components = components.and_then(|text| serde_json::from_str(text).ok());
    let mut components: Vec<Box<RawValue>> = components.unwrap_or_default();
    let us = json!({"Name": "swarmrs", "Version": env!("CARGO_PKG_VERSION"), "Details": {}});
    components.extend(RawValue::from_string(us.to_string()));
    version.set("Components", &components);
    let api = version.get("ApiVersion").map(RawValue::get);
    let api = api.and_then(|text| parse(text.trim_matches('"')));
    if api.is_some_and(|api| api > NEWEST) {
        version.set("ApiVersion", &NEWEST.to_string());
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn we_are_the_last_component() {
        let text = br#"{"Components":[{"Name":"Engine","Version":"20.10"}],"ApiVersion":"1.41"}"#;
        let mut version = RawObject::parse(text).unwrap();
        add_us(&mut version);
        let shown = String::from_utf8(version.to_bytes().to_vec()).unwrap();
        let expected = format!(
            "{{\"Components\":[{{\"Name\":\"Engine\",\"Version\":\"20.10\"}},{{\"Details\":{{}},\"Name\":\"swarmrs\",\
             \"Version\":\"{}\"}}],\"ApiVersion\":\"1.41\"}}\n",
            env!("CARGO_PKG_VERSION")
        );
        assert_eq!(shown, expected);
    }

    #[test]
    fn a_newer_api_than_ours_is_not_offered() {
        let mut version = RawObject::parse(br#"{"ApiVersion":"1.99"}"#).unwrap();
        add_us(&mut version);
        assert_eq!(
            version.get("ApiVersion").map(RawValue::get),
            Some("\"1.56\"")
        );
    }
}
