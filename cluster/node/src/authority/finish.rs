//! When every node has a certificate of the authority on its way, that one is the root. Only the leader says so.

use crate::desk::Desk;
use std::sync::Arc;
use std::time::Duration;
use swarmrs_core::control::swarm::authority;
use swarmrs_core::{Event, State};
use swarmrs_security::{Error, JoinToken, RootCert};
use swarmrs_types::object::JoinTokens;
use swarmrs_types::{Code, Fault};
use tracing::{info, warn};

/// After it failed.
const PAUSE: Duration = Duration::from_secs(1);

/// Runs until the store closes.
pub async fn run(desk: Arc<Desk>) {
    let mut leadership = desk.store.leadership();
    let concerns = |event: &Event| matches!(event, Event::Node(_) | Event::Cluster(_));
    let mut bell = desk.store.bell(concerns);
    loop {
        if leadership.wait_for(|now| now.is_leader).await.is_err() {
            return;
        }
        let failed = authority::is_due(&desk.store.view()) && !finish(&desk).await;
        tokio::select! {
            open = bell.rung() => if !open { return },
            changed = leadership.changed() => if changed.is_err() { return },
            () = tokio::time::sleep(PAUSE), if failed => {}
        }
    }
}

async fn finish(desk: &Desk) -> bool {
    let decide = |state: &State, now| {
        let plan = match tokens(state)
            .map_err(|error| Fault::daemon(Code::Internal, error.to_string()))?
        {
            Some(tokens) => authority::finish(state, tokens, now),
            None => swarmrs_core::Plan::default(),
        };
        Ok((!plan.is_empty(), plan))
    };
    match desk.decide(decide).await {
        Ok((true, _)) => info!("root rotation completed"),
        // It was before, or a node came meanwhile.
        Ok((false, _)) => {}
        Err(fault) => {
            warn!(%fault, "root rotation not completed yet");
            return false;
        }
    }
    true
}

/// Tokens with the digest of the root that is to be.
fn tokens(state: &State) -> Result<Option<JoinTokens>, Error> {
    let Some(next) = state
        .cluster()
        .and_then(|cluster| cluster.root_rotation.as_ref())
    else {
        return Ok(None);
    };
    let root = RootCert::from_pem(&next.certificate)?;
    let mint = || JoinToken::mint(&root).map(|token| token.as_str().to_owned());
    Ok(Some(JoinTokens {
        worker: mint()?,
        manager: mint()?,
    }))
}
