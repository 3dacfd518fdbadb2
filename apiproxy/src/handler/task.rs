//! `/tasks`.

use http::Response;
use swarmrs_core::control::list::{self, TASK_FILTERS};
use swarmrs_core::state::find;
use swarmrs_node::Node;
use swarmrs_types::filter::Filters;
use swarmrs_types::{Fault, TaskId};

use super::answer::ok;
use super::request::Call;
use crate::server::Body;
use crate::view;

/// The one list whose filter keys are judged behind the gate, as in Docker; only their form is judged before it.
pub(super) async fn list(node: &Node, call: Call) -> Result<Response<Body>, Fault> {
    let filters = Filters::parse(call.query.get("filters"))?;
    let view = node.view().await?;
    filters.accept(&TASK_FILTERS)?;
    let tasks = list::tasks(&view.state, &filters)?;
    let statuses: Vec<_> = tasks.iter().map(|task| view.status(task)).collect();
    let each = tasks.iter().zip(&statuses);
    let shown: Vec<_> = each
        .map(|(task, now)| view::task(&view.state, task, now))
        .collect();
    Ok(ok(&shown))
}

pub(super) async fn inspect(node: &Node, term: &str) -> Result<Response<Body>, Fault> {
    let view = node.view().await?;
    let id: TaskId = find(&view.state, term)?;
    let found = view.state.tasks().get(&id);
    let found = found.ok_or_else(|| Fault::no_such("task", term))?;
    Ok(ok(&view::task(&view.state, found, &view.status(found))))
}
