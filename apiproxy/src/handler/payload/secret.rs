//! `/secrets`. What is secret of them is in no answer.

use http::{Response, StatusCode};
use swarmrs_core::control::secret::{self, FILTERS};
use swarmrs_node::Node;
use swarmrs_types::Fault;
use swarmrs_types::spec::SecretSpec;

use super::{Created, may_be_template, object_version};
use crate::handler::answer::{done, json, nothing, ok};
use crate::handler::request::Call;
use crate::server::Body;
use crate::view;

pub(super) async fn list(node: &Node, call: Call) -> Result<Response<Body>, Fault> {
    let filters = call.query.filters(&FILTERS)?;
    let view = node.view().await?;
    let secrets = secret::list(&view.state, &filters)?;
    let shown = secrets.iter().map(|secret| view::secret(secret));
    Ok(ok(&shown.collect::<Vec<_>>()))
}

pub(super) async fn create(node: &Node, mut call: Call) -> Result<Response<Body>, Fault> {
    let spec: SecretSpec = call.json().await?.value;
    may_be_template(&call, "secret", spec.templating.as_ref())?;
    let id = node.create_secret(spec).await?;
    let created = Created { id: id.as_str() };
    Ok(json(StatusCode::CREATED, &created))
}

pub(super) async fn inspect(node: &Node, term: &str) -> Result<Response<Body>, Fault> {
    let view = node.view().await?;
    let found = secret::look_up(&view.state, term)?;
    Ok(ok(&view::secret(&found)))
}

pub(super) async fn update(
    node: &Node,
    term: &str,
    mut call: Call,
) -> Result<Response<Body>, Fault> {
    let spec: SecretSpec = call.json().await?.value;
    let version = object_version(&call, "secret")?;
    node.update_secret(term, version, spec).await?;
    Ok(done())
}

pub(super) async fn remove(node: &Node, term: &str) -> Result<Response<Body>, Fault> {
    node.remove_secret(term).await?;
    Ok(nothing())
}
