//! What our own API (`/swarmrs/v1`) answers.

mod flight;
mod health;
mod status;

pub use flight::{Done, Flight, Outcome, PlannedTask, Subject};
pub use health::{Aspect, HealthReport};
pub use status::{
    EngineReport, ManagerReport, QuorumReport, ServiceReport, ServicesReport, StatusReport,
};

use serde::{Deserialize, Serialize};

/// `GET /swarmrs/v1/read/version`.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "PascalCase", default)]
pub struct VersionReport {
    /// Of swarmrsd.
    pub version: String,
    /// Of the engine behind it; empty if it does not answer.
    pub engine_version: String,
    /// The highest Engine API version offered.
    pub api_version: String,
    /// `inactive`, `active`, …: as in the engine's info.
    pub swarm: String,
}
