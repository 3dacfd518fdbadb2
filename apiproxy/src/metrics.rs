//! What Prometheus reads: everything counted in this process, and how the cluster stands as this node knows it.
//!
//! Components own their measures; nothing happens here until somebody asks. Labels are words of ours, names of services and
//! statuses: nothing of a spec.
//!
//! - [`page`]: the text format
//! - [`cluster`]: what the agreed state and the store say
//! - [`node`]: this node's agent, engine and API
//! - [`process`]: what the kernel says of this process
//! - [`listener`]: the port of `--metrics-addr`

mod cluster;
mod listener;
mod node;
mod page;
mod process;

use swarmrs_node::Node;

use crate::server::Traffic;
use page::{Kind, Page};

pub use listener::Metrics;

/// The page's type. Source: Prometheus, exposition formats.
pub(crate) const CONTENT_TYPE: &str = "text/plain; version=0.0.4; charset=utf-8";

/// All of it.
pub(crate) fn render(node: &Node, traffic: &Traffic) -> String {
    let mut page = Page::default();
    let version = [("version", env!("CARGO_PKG_VERSION"))];
    let help = "Which swarmrsd this is; always 1.";
    page.family("swarmrs_build_info", Kind::Gauge, help)
        .sample(&version, 1);
    let state = [("state", node.standing().state.as_str())];
    let help = "The node's part in the swarm; always 1.";
    page.family("swarmrs_node_info", Kind::Gauge, help)
        .sample(&state, 1);
    node::write(&mut page, node, traffic);
    if let Some(manager) = node.glance() {
        cluster::write(&mut page, &manager);
    }
    process::write(&mut page);
    page.finish()
}
