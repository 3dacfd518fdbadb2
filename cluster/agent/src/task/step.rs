//! What comes next for a task, from where it is and what is wanted of it. Pure.
//!
//! ```text
//!   assigned ─▶ accepted ─▶ preparing ═Prepare═▶ ready ─▶ starting ═Start═▶ running ═Wait═▶ complete
//!                                                  ▲
//!                               desired READY stops here, before anything runs
//!
//!   desired SHUTDOWN or more, from anywhere that is not an end:  ═Shutdown═▶ shutdown
//!   a deed that fails:  rejected before starting, failed from there on
//! ```
//!
//! Single lines are taken only towards the desired state (observed < desired); double lines are deeds, which are
//! done as long as observed ≤ desired. States and messages are swarmkit's (`agent/exec/controller.go`).

use swarmrs_types::TaskState;

/// The next thing for a task.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Step {
    /// Nothing, until something else is wanted.
    Rest,
    /// Say so, and go on.
    Advance(TaskState),
    /// Do this first.
    Do(Deed),
}

/// What takes time and may fail.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Deed {
    Prepare,
    Start,
    Wait,
    Shutdown,
}

impl Deed {
    /// Where a task is once it is done.
    pub fn leads_to(self) -> TaskState {
        match self {
            Deed::Prepare => TaskState::Ready,
            Deed::Start => TaskState::Running,
            Deed::Wait => TaskState::Complete,
            Deed::Shutdown => TaskState::Shutdown,
        }
    }
}

/// Decides.
pub fn next(observed: TaskState, desired: TaskState) -> Step {
    if observed.is_terminal() {
        return Step::Rest;
    }
    if desired >= TaskState::Shutdown {
        return Step::Do(Deed::Shutdown);
    }
    if observed > desired {
        return Step::Rest;
    }
    match observed {
        TaskState::Preparing => Step::Do(Deed::Prepare),
        TaskState::Starting => Step::Do(Deed::Start),
        TaskState::Running => Step::Do(Deed::Wait),
        _ if observed == desired => Step::Rest,
        TaskState::New | TaskState::Pending | TaskState::Assigned => {
            Step::Advance(TaskState::Accepted)
        }
        TaskState::Accepted => Step::Advance(TaskState::Preparing),
        TaskState::Ready => Step::Advance(TaskState::Starting),
        TaskState::Complete
        | TaskState::Shutdown
        | TaskState::Failed
        | TaskState::Rejected
        | TaskState::Remove
        | TaskState::Orphaned => Step::Rest,
    }
}

/// Where a task is when a deed has failed for good.
pub fn after_failure(observed: TaskState) -> TaskState {
    if observed < TaskState::Starting {
        TaskState::Rejected
    } else {
        TaskState::Failed
    }
}

/// What a node says with a state it has reached. States that no node reaches have none.
pub fn message(state: TaskState) -> &'static str {
    match state {
        TaskState::Accepted => "accepted",
        TaskState::Preparing => "preparing",
        TaskState::Ready => "prepared",
        TaskState::Starting => "starting",
        TaskState::Running => "started",
        TaskState::Complete => "finished",
        TaskState::Shutdown => "shutdown",
        // A failure keeps the message of the state it happened in.
        TaskState::Failed => "started",
        TaskState::Rejected => "preparing",
        TaskState::New
        | TaskState::Pending
        | TaskState::Assigned
        | TaskState::Remove
        | TaskState::Orphaned => "",
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use TaskState::*;

    /// Walks with deeds that succeed until the task rests.
    fn walk(mut observed: TaskState, desired: TaskState) -> Vec<TaskState> {
        let mut seen = Vec::new();
        loop {
            observed = match next(observed, desired) {
                Step::Rest => return seen,
                Step::Advance(state) => state,
                Step::Do(deed) => deed.leads_to(),
            };
            seen.push(observed);
        }
    }

    #[test]
    fn a_task_wanted_running_goes_all_the_way_to_its_end() {
        let all = [Accepted, Preparing, Ready, Starting, Running, Complete];
        assert_eq!(walk(Assigned, Running), all);
        assert_eq!(walk(Assigned, Complete), all);
    }

    #[test]
    fn a_task_wanted_ready_stops_right_before_its_start() {
        assert_eq!(walk(Assigned, Ready), [Accepted, Preparing, Ready]);
    }

    #[test]
    fn shutdown_and_remove_stop_whatever_has_not_ended() {
        for desired in [Shutdown, Remove] {
            for observed in [Assigned, Accepted, Preparing, Ready, Starting, Running] {
                assert_eq!(
                    next(observed, desired),
                    Step::Do(Deed::Shutdown),
                    "{observed}"
                );
            }
            for observed in [Complete, Shutdown, Failed, Rejected, Orphaned] {
                assert_eq!(next(observed, desired), Step::Rest, "{observed}");
            }
        }
    }

    #[test]
    fn a_task_beyond_what_is_wanted_rests() {
        assert_eq!(next(Running, Ready), Step::Rest);
        assert_eq!(next(Starting, Ready), Step::Rest);
    }

    #[test]
    fn a_deed_goes_on_even_where_its_state_is_the_desired_one() {
        assert_eq!(next(Running, Running), Step::Do(Deed::Wait));
        assert_eq!(next(Preparing, Ready), Step::Do(Deed::Prepare));
    }

    #[test]
    fn every_step_leads_forward() {
        for observed in TaskState::ALL {
            for desired in TaskState::ALL {
                let reached = match next(observed, desired) {
                    Step::Rest => continue,
                    Step::Advance(state) => state,
                    Step::Do(deed) => deed.leads_to(),
                };
                assert!(reached > observed, "{observed} wanted {desired}: {reached}");
                assert!(!message(reached).is_empty());
            }
        }
    }

    #[test]
    fn a_failure_is_a_rejection_until_the_start_began() {
        for observed in [Assigned, Accepted, Preparing, Ready] {
            assert_eq!(after_failure(observed), Rejected);
        }
        for observed in [Starting, Running] {
            assert_eq!(after_failure(observed), Failed);
        }
    }
}
