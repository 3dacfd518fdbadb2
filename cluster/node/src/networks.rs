//! The swarm's networks on this node: what carries them, and who takes part.

use crate::config::Config;
use std::sync::Arc;
use swarmrs_agent::Networks;
use swarmrs_engine::Engine;
use swarmrs_network::{Absent, driver_name};

/// Of a node with this configuration.
pub fn of(config: &Config, engine: &Engine) -> Arc<Networks> {
    let driver = driver_name(&config.exec_root);
    let plane = Arc::new(Absent::default());
    Arc::new(Networks::new(engine.clone(), driver, plane))
}
