//! Secrets and configs as mounts: files of ours, read-only, where the task asked for them.

use crate::secret::{Entry, entries};
use serde_json::{Value, json};
use std::path::Path;
use swarmrs_types::TaskId;
use swarmrs_types::spec::ContainerSpec;

/// One mount for each file; `folder` is where the node keeps them.
pub fn mounts(task: TaskId, container: &ContainerSpec, folder: &Path) -> Vec<Value> {
    let folder = folder.join(task.as_str());
    let mount = |entry: Entry<'_>| {
        json!({
            "Type": "bind",
            "Source": folder.join(&entry.file_name),
            "Target": entry.path,
            "ReadOnly": true,
        })
    };
    entries(container).into_iter().map(mount).collect()
}
