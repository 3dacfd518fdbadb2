//! The files that a task's container mounts: worked on beside the engine, and missed by it.

use super::Controller;
use crate::container::config;
use crate::executor::Failure;
use crate::secret::Secrets;
use swarmrs_types::assignment::Order;

impl Controller {
    /// Makes the task's files, so that the engine can be asked to mount them.
    pub(super) async fn reserve_files(&self, order: &Order) -> Result<(), Failure> {
        if !has_files(order) {
            return Ok(());
        }
        let reserved = self.lay_out(order, |secrets, order| secrets.reserve(order));
        reserved.await.map_err(Failure::fatal)
    }

    /// Writes them, right before the start.
    pub(super) async fn fill_files(&self, order: &Order) -> Result<(), Failure> {
        if !has_files(order) {
            return Ok(());
        }
        let seen = config::surroundings(order, self.node().await?);
        let seen = seen.map_err(|unfit| Failure::fatal(unfit.0))?;
        let filled = self.lay_out(order, move |secrets, order| secrets.fill(order, &seen));
        let failed = |text| Failure::fatal(format!("starting container failed: {text}"));
        filled.await.map_err(failed)
    }

    /// Works off the threads that must not wait.
    async fn lay_out<F>(&self, order: &Order, work: F) -> Result<(), String>
    where
        F: FnOnce(&Secrets, &Order) -> Result<(), String> + Send + 'static,
    {
        let (secrets, order) = (self.secrets.clone(), order.clone());
        let done = tokio::task::spawn_blocking(move || work(&secrets, &order)).await;
        done.unwrap_or_else(|error| Err(error.to_string()))
    }
}

/// Most tasks have none.
fn has_files(order: &Order) -> bool {
    let container = order.spec.container_spec.as_ref();
    container.is_some_and(|spec| !spec.secrets.is_empty() || !spec.configs.is_empty())
}

/// The engine looks past our tmpfs: it lives in a mount namespace that ours does not reach.
pub(super) fn unseen(path: &str) -> String {
    format!(
        "cannot give secrets and configs to containers: the engine does not see {path}, \
         since it runs in another mount namespace than swarmrsd"
    )
}
