//! Containers: made from a raw Engine API body, driven, watched, listed.
//!
//! A container is created from JSON, not from a model: the body that the agent lays out reaches the engine field by
//! field as it was written.

mod state;

pub use state::{ContainerState, ContainerStatus, ContainerSummary, Health, PortBinding};

use std::time::Duration;

use bollard::Docker;
use bollard::query_parameters::{
    KillContainerOptions, RemoveContainerOptions, StopContainerOptions, WaitContainerOptions,
};
use futures_util::StreamExt;
use serde_json::Value;

use crate::call::{Call, segment};
use crate::client::Engine;
use crate::error::Error;
use crate::filter::Filters;
use crate::raw;

/// What the engine may need beside the grace period itself: the kill after it, and the clean-up.
const STOP_SLACK: Duration = Duration::from_secs(60);

/// The wait for a stop whose grace period only the container's own settings know.
const STOP_UNKNOWN: Duration = Duration::from_secs(600);

/// A new container or network.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Created {
    pub id: String,
    pub warnings: Vec<String>,
}

/// How a container ended.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Exit {
    pub code: i64,
    /// Why waiting itself failed, in the engine's words; mostly absent.
    pub error: Option<String>,
}

/// What to wait for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum WaitCondition {
    /// Does not run (now, or from its next exit on). A container never started satisfies this at once.
    NotRunning,
    /// Its next exit; asked for before the start, no exit is missed.
    NextExit,
    /// Is gone.
    Removed,
}

impl WaitCondition {
    fn name(self) -> &'static str {
        match self {
            Self::NotRunning => "not-running",
            Self::NextExit => "next-exit",
            Self::Removed => "removed",
        }
    }
}

impl Engine {
    /// Creates a container from the Engine API's JSON body. A taken name is a conflict, a missing image is not found.
    pub async fn create_container(&self, name: &str, config: &Value) -> Result<Created, Error> {
        let call = Call::post("/containers/create")
            .query("name", name)
            .body(config);
        let answer = self.json(&call, self.limits().write).await?;
        Created::from_raw(&answer, &call)
    }

    /// Starts it; one that runs already is left alone.
    pub async fn start_container(&self, id: &str) -> Result<(), Error> {
        let path = &segment(id);
        let start = move |docker: Docker| async move { docker.start_container(path, None).await };
        self.ask("start container", self.limits().write, start)
            .await
    }

    /// Signals it to stop and kills it after `grace` (whole seconds; the container's own stop timeout if `None`).
    /// Returns when it has stopped; one that does not run is left alone.
    pub async fn stop_container(&self, id: &str, grace: Option<Duration>) -> Result<(), Error> {
        let path = &segment(id);
        let t = grace.map(|grace| i32::try_from(grace.as_secs()).unwrap_or(i32::MAX));
        let limit = grace.unwrap_or(STOP_UNKNOWN).saturating_add(STOP_SLACK);
        let stop = move |docker: Docker| async move {
            let options = StopContainerOptions { t, signal: None };
            docker.stop_container(path, Some(options)).await
        };
        self.ask("stop container", limit, stop).await
    }

    /// Sends a signal (`SIGKILL`). One that does not run is a conflict.
    pub async fn kill_container(&self, id: &str, signal: &str) -> Result<(), Error> {
        let path = &segment(id);
        let kill = move |docker: Docker| async move {
            let signal = signal.to_owned();
            docker
                .kill_container(path, Some(KillContainerOptions { signal }))
                .await
        };
        self.ask("kill container", self.limits().write, kill).await
    }

    /// Removes it: with `force` even while it runs, with `volumes` together with its anonymous volumes.
    pub async fn remove_container(
        &self,
        id: &str,
        force: bool,
        volumes: bool,
    ) -> Result<(), Error> {
        let path = &segment(id);
        let remove = move |docker: Docker| async move {
            let options = RemoveContainerOptions {
                force,
                v: volumes,
                link: false,
            };
            docker.remove_container(path, Some(options)).await
        };
        self.ask("remove container", self.limits().write, remove)
            .await
    }

    pub async fn inspect_container(&self, id: &str) -> Result<ContainerState, Error> {
        let call = Call::get(format!("/containers/{}/json", segment(id)));
        Ok(ContainerState::from_raw(
            self.json(&call, self.limits().read).await?,
        ))
    }

    /// The containers that match; with `all` also those that do not run.
    pub async fn list_containers(
        &self,
        filters: &Filters,
        all: bool,
    ) -> Result<Vec<ContainerSummary>, Error> {
        let call = Call::get("/containers/json")
            .query("all", if all { "1" } else { "0" })
            .query("filters", &filters.json());
        let answer = self.json(&call, self.limits().read).await?;
        Ok(raw::list(answer)
            .into_iter()
            .map(ContainerSummary::from_raw)
            .collect())
    }

    /// Waits, as long as it takes.
    pub async fn wait_container(&self, id: &str, until: WaitCondition) -> Result<Exit, Error> {
        let options = WaitContainerOptions {
            condition: until.name().to_owned(),
        };
        let mut waiting = self
            .bollard()
            .await?
            .wait_container(&segment(id), Some(options));
        let exit = match waiting.next().await {
            Some(answer) => exit(answer)
                .map_err(|error| Error::from_bollard(error, "wait container", self.socket())),
            None => Err(Error::broken("wait container", "no exit code came")),
        };
        exit.inspect_err(|error| self.notice(error))
    }
}

type Waited = Result<bollard::models::ContainerWaitResponse, bollard::errors::Error>;

/// bollard hands a non-zero exit over as an error; to us it is an answer.
fn exit(answer: Waited) -> Result<Exit, bollard::errors::Error> {
    let told = |error: String| (!error.is_empty()).then_some(error);
    match answer {
        Ok(answer) => {
            let error = answer.error.and_then(|error| error.message).and_then(told);
            Ok(Exit {
                code: answer.status_code,
                error,
            })
        }
        Err(bollard::errors::Error::DockerContainerWaitError { error, code }) => Ok(Exit {
            code,
            error: told(error),
        }),
        Err(error) => Err(error),
    }
}

impl Created {
    pub(crate) fn from_raw(answer: &Value, call: &Call) -> Result<Self, Error> {
        let id = raw::text(answer, "/Id");
        if id.is_empty() {
            return Err(Error::protocol(&call.to_string(), "no id in the answer"));
        }
        let mut warnings = raw::texts(answer, "/Warnings");
        warnings.extend(Some(raw::text(answer, "/Warning")).filter(|warning| !warning.is_empty()));
        Ok(Self { id, warnings })
    }
}
