//! What nodes ask for their containers on networks of the swarm: how it is decided, and how a worker asks.

use crate::desk::Desk;
use crate::ids::RandomIds;
use crate::way::Way;
use std::time::Duration;
use swarmrs_core::control::network::attachment::{self, Sighting};
use swarmrs_core::{Plan, State};
use swarmrs_rpc::message::attachment::{AttachmentAnswer, AttachmentCall};
use swarmrs_rpc::{CallError, Method, Reason, Refusal};
use swarmrs_types::default::REQUEST_TIMEOUT;
use swarmrs_types::object::Attachment;
use swarmrs_types::{ClusterTime, Code, Fault, NodeId};
use tokio::time::{Instant, sleep};

/// One manager may take so long: others may do better while this one waits for a leader.
const EACH: Duration = Duration::from_secs(5);
/// Between two rounds in which no manager could say.
const PAUSE: Duration = Duration::from_millis(200);

/// Decides a call of this node: it is heard for its own containers only.
pub async fn decide(
    desk: &Desk,
    node: NodeId,
    call: AttachmentCall,
) -> Result<AttachmentAnswer, Fault> {
    let decide = |state: &State, now| planned(state, node, &call, now);
    let (lease, _) = desk.decide(decide).await?;
    Ok(AttachmentAnswer { lease })
}

fn planned(
    state: &State,
    node: NodeId,
    call: &AttachmentCall,
    now: ClusterTime,
) -> Result<(Option<Attachment>, Plan), Fault> {
    match call {
        AttachmentCall::Attach(request) => {
            let (lease, plan) = attachment::attach(state, node, request, now, &mut RandomIds)?;
            Ok((Some(lease), plan))
        }
        AttachmentCall::Follow(seen) => {
            attachment::must_be_of(state, seen.lease, node)?;
            let sighting = Sighting {
                name: &seen.name,
                active: seen.active,
                own_way_out: seen.own_way_out,
            };
            Ok((None, attachment::follow(state, seen.lease, sighting)))
        }
        AttachmentCall::Detach(lease) => {
            attachment::must_be_of(state, *lease, node)?;
            Ok((None, attachment::detach(state, *lease)))
        }
    }
}

/// Asks one manager after the other until one decides. The one that dies meanwhile may have done it: the next finds it done.
pub async fn ask(way: &Way, call: &AttachmentCall) -> Result<AttachmentAnswer, Fault> {
    let deadline = Instant::now() + REQUEST_TIMEOUT;
    loop {
        let last = match way.ask_on(Method::Attachment, call, EACH, is_final).await {
            Ok(answer) => return Ok(answer),
            Err(CallError::Refused(refusal)) if is_final(&refusal) => return Err(refusal.fault),
            Err(last) => last,
        };
        if Instant::now() + PAUSE >= deadline {
            return Err(Fault::daemon(Code::Unknown, given_up(&last)));
        }
        sleep(PAUSE).await;
    }
}

/// Whether every manager would say so. One without a leader, or of an older release, speaks of itself.
fn is_final(refusal: &Refusal) -> bool {
    let of_itself = [Code::Unavailable, Code::DeadlineExceeded, Code::Unknown];
    refusal.reason != Reason::UnknownMethod && !of_itself.contains(&refusal.fault.code)
}

/// Docker's words for a manager that does not answer. Source: moby `daemon/cluster/networks.go`.
fn given_up(last: &CallError) -> String {
    format!(
        "attaching to network failed, make sure your network options are correct and check \
         manager logs: context deadline exceeded: {last}"
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_a_manager_says_of_itself_is_not_the_last_word() {
        let by_the_service = |code| Refusal::from(Fault::manager(code, "no"));
        assert!(is_final(&by_the_service(Code::NotFound)));
        assert!(is_final(&by_the_service(Code::PermissionDenied)));
        assert!(is_final(&by_the_service(Code::FailedPrecondition)));
        // No leader; too late; about to end.
        assert!(!is_final(&by_the_service(Code::Unknown)));
        assert!(!is_final(&by_the_service(Code::DeadlineExceeded)));
        assert!(!is_final(&by_the_service(Code::Unavailable)));
        let older = Refusal {
            reason: Reason::UnknownMethod,
            fault: Fault::manager(Code::Unimplemented, "no such method"),
        };
        assert!(!is_final(&older));
    }
}
