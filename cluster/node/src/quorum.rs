//! Carries out which managers are members of the log: looks at what is due, does the first of it, looks
//! again. Only the leader does.

use crate::desk::Desk;
use crate::presence::Presence;
use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::Duration;
use swarmrs_core::Event;
use swarmrs_core::feature::Rise;
use swarmrs_core::roles::{self, Step};
use swarmrs_store::{Member, MemberView, MembershipError, ProposeError, Store};
use swarmrs_types::Timestamp;
use swarmrs_types::feature::LEVEL;
use tracing::{info, warn};

/// After a step that failed for now: a member may be back soon.
const PAUSE: Duration = Duration::from_secs(1);

/// Between two looks without an event.
const LOOK: Duration = Duration::from_secs(5);

/// A step was not done.
#[derive(Debug, thiserror::Error)]
enum Undone {
    #[error(transparent)]
    Membership(#[from] MembershipError),
    #[error(transparent)]
    Propose(#[from] ProposeError),
}

/// Runs until the store closes.
pub async fn run(desk: Arc<Desk>, presence: Arc<Presence>, me: u64) {
    let mut leadership = desk.store.leadership();
    let mut nodes = desk.store.bell(|event| matches!(event, Event::Node(_)));
    let mut rise = Rise::default();
    loop {
        if !leadership.borrow().is_leader {
            rise = Rise::default();
        }
        if leadership.wait_for(|now| now.is_leader).await.is_err() {
            return;
        }
        let wait = match advance(&desk, &presence, me, &mut rise).await {
            Advance::Done => continue,
            Advance::Failed => Some(PAUSE),
            // What was held back by a member that did not answer is due once it does, and no event says so.
            // Neither does one say that a while is over.
            Advance::Nothing => {
                let waits = desk.store.members().len() > 1 || desk.store.view().level() < LEVEL;
                waits.then_some(LOOK)
            }
        };
        tokio::select! {
            open = nodes.rung() => if !open { return },
            changed = leadership.changed() => if changed.is_err() { return },
            () = pause(wait) => {}
        }
    }
}

/// What has come of a look.
enum Advance {
    /// Something was done: look again.
    Done,
    /// Something is due and cannot be done now.
    Failed,
    Nothing,
}

async fn pause(wait: Option<Duration>) {
    match wait {
        Some(wait) => tokio::time::sleep(wait).await,
        None => std::future::pending().await,
    }
}

/// Does the first of what is due that can be done.
async fn advance(desk: &Desk, presence: &Presence, me: u64, rise: &mut Rise) -> Advance {
    // The newest state first, the members after it: a claim is in the log before its member is.
    let Ok(state) = desk.store.read_index().await else {
        return Advance::Failed;
    };
    let members = members(&desk.store, &presence.silent(&desk.store));
    let now = desk.clock.now();
    let mut steps = roles::due(&state, &members, me, now);
    let risen = rise.due(&state, &members, &presence.told_levels(), now);
    if !risen.is_empty() {
        info!(
            from = state.level(),
            "all managers know a higher feature level: it is raised"
        );
        steps.push(Step::Note(risen));
    }
    let mut advance = Advance::Nothing;
    for step in steps {
        let what = told(&step);
        match take(desk, step).await {
            Ok(()) => return Advance::Done,
            Err(error) => {
                warn!(step = what, %error, "not done yet");
                advance = Advance::Failed;
            }
        }
    }
    advance
}

/// The members as the deciders see them, but for these all taken to answer: the leader decides in the end.
pub fn members(store: &Store, silent: &BTreeSet<u64>) -> Vec<roles::Member> {
    let views = store.members().into_iter();
    let member = |view: MemberView| roles::Member {
        reachable: !silent.contains(&view.raft_id),
        raft_id: view.raft_id,
        address: view.address,
        voter: view.is_voter,
    };
    views.map(member).collect()
}

async fn take(desk: &Desk, step: Step) -> Result<(), Undone> {
    match step {
        Step::Note(plan) => {
            let now = desk.clock.now();
            let command = plan.into_command(now, Timestamp::now());
            match desk.store.propose(command).await {
                // Somebody was faster; the next look sees it.
                Ok(_) | Err(ProposeError::Rejected(_)) => {}
                Err(error) => return Err(error.into()),
            }
        }
        Step::Dismiss { raft_id } => {
            info!(raft_id, "dismissing a member");
            desk.store.dismiss(raft_id).await?;
        }
        Step::HandOver => {
            info!("handing the lead over: this manager is to be none any more");
            desk.store.hand_over().await?;
        }
        Step::Readdress { raft_id, address } => {
            info!(raft_id, addr = address, "a member listens elsewhere");
            desk.store.readdress(&Member { raft_id, address }).await?;
        }
        Step::Admit {
            node,
            raft_id,
            address,
        } => {
            info!(%node, raft_id, addr = address, "admitting a member");
            desk.store.admit(&Member { raft_id, address }).await?;
        }
    }
    Ok(())
}

fn told(step: &Step) -> &'static str {
    match step {
        Step::Note(_) => "note",
        Step::Dismiss { .. } => "dismiss",
        Step::HandOver => "hand over",
        Step::Readdress { .. } => "readdress",
        Step::Admit { .. } => "admit",
    }
}
