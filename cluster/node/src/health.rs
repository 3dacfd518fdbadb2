//! Whether the engine behind us can carry a swarm of ours.

use swarmrs_engine::{Engine, Error};
use tracing::warn;

/// What a look at the engine told.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Health {
    /// It can be used.
    Fit,
    /// It does not answer, or not sensibly: it may be starting, and is waited for.
    Silent,
    /// It cannot be used; the text says why and what to do.
    Unfit(String),
}

/// Looks at the engine once.
pub async fn check_engine(engine: &Engine) -> Health {
    match engine.info().await {
        Ok(info) if info.swarm_active => Health::Unfit(in_swarm_mode(engine)),
        Ok(_) => Health::Fit,
        Err(error @ Error::TooOld { .. }) => Health::Unfit(error.to_string()),
        Err(error) => {
            warn!(socket = %engine.socket().display(), %error, "the engine does not answer");
            Health::Silent
        }
    }
}

fn in_swarm_mode(engine: &Engine) -> String {
    let socket = engine.socket().display();
    format!(
        "the engine at {socket} is itself in swarm mode: nothing is scheduled beside it. \
         To leave its swarm (its services end): docker -H unix://{socket} swarm leave --force"
    )
}
