//! Why a manager does not leave its swarm unless it is forced to, in Docker's words.
//!
//! It is never let go unasked, whatever the others could do without it; the text tells the user what
//! would come of it. Source: moby `daemon/cluster/swarm.go`.

use crate::roles::Member;
use swarmrs_types::Fault;

const LOCKED: &str = "Swarm is encrypted and locked. Please unlock it first or use `--force` to \
     ignore this message.";
const AS_MANAGER: &str =
    "You are attempting to leave the swarm on a node that is participating as a manager. ";
const LAST: &str = "Removing the last manager erases all current state of the swarm. Use `--force` \
     to ignore this message. ";
const STARTING: &str = "Doing so may lose the consensus of your cluster. ";
const RESTORE: &str = "The only way to restore a swarm that has lost consensus is to reinitialize it \
     with `--force-new-cluster`. Use `--force` to suppress this message.";

/// The manager that is to leave.
#[derive(Clone, Copy, Debug)]
pub enum Manager<'a> {
    /// It takes requests; the members of its log, itself among them.
    Active(&'a [Member]),
    /// It does not take requests yet.
    Starting,
    /// Nobody has told it the unlock key.
    Locked,
}

/// Why it stays. 503.
pub fn refusal(manager: Manager) -> Fault {
    Fault::unavailable(match manager {
        Manager::Active(members) => active(members),
        Manager::Starting => format!("{AS_MANAGER}{STARTING}{RESTORE}"),
        Manager::Locked => LOCKED.to_owned(),
    })
}

fn active(members: &[Member]) -> String {
    let voters = members.iter().filter(|member| member.voter);
    let (reachable, unreachable): (Vec<_>, Vec<_>) = voters.partition(|voter| voter.reachable);
    let (reachable, unreachable) = (reachable.len(), unreachable.len());
    let all = reachable + unreachable;
    if all <= 1 {
        return format!("{AS_MANAGER}{LAST}");
    }
    let left = reachable.saturating_sub(1);
    // Docker counts who has left among those that do not answer.
    if left <= unreachable + 1 {
        return format!(
            "{AS_MANAGER}Removing this node leaves {left} managers out of {all}. Without a Raft \
             quorum your swarm will be inaccessible. {RESTORE}"
        );
    }
    format!("{AS_MANAGER}{RESTORE}")
}
