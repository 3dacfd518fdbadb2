//! `/nodes`.

use http::Response;
use swarmrs_core::control::list::{self, NODE_FILTERS};
use swarmrs_core::state::find;
use swarmrs_node::{ClusterView, Node};
use swarmrs_types::spec::NodeSpec;
use swarmrs_types::{Fault, NodeId, object};

use super::answer::{done, ok};
use super::request::Call;
use crate::server::Body;
use crate::view::{self, Rank};

pub(super) async fn list(node: &Node, call: Call) -> Result<Response<Body>, Fault> {
    let filters = call.query.filters(&NODE_FILTERS)?;
    let view = node.view().await?;
    let nodes = list::nodes(&view.state, &filters)?;
    let shown = nodes.iter().map(|node| view::node(node, rank(&view, node)));
    Ok(ok(&shown.collect::<Vec<_>>()))
}

pub(super) async fn inspect(node: &Node, term: &str) -> Result<Response<Body>, Fault> {
    let view = node.view().await?;
    let id: NodeId = find(&view.state, term)?;
    let found = view.state.nodes().get(&id);
    let found = found.ok_or_else(|| Fault::no_such("node", term))?;
    Ok(ok(&view::node(found, rank(&view, found))))
}

fn rank(view: &ClusterView, node: &object::Node) -> Rank {
    Rank {
        leader: view.leader == Some(node.id),
        reachable: view.is_reachable(node),
    }
}

pub(super) async fn update(
    node: &Node,
    term: &str,
    mut call: Call,
) -> Result<Response<Body>, Fault> {
    let spec: NodeSpec = call.json().await?.value;
    let version = call.query.version("node")?;
    node.update_node(term, version, spec).await?;
    Ok(done())
}

pub(super) async fn remove(node: &Node, term: &str, call: Call) -> Result<Response<Body>, Fault> {
    node.remove_node(term, call.query.flag("force")).await?;
    Ok(done())
}
