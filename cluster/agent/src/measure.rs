//! What an agent counts of its work.

use swarmrs_types::TaskState;
use swarmrs_types::measure::Counter;

/// Counted since the agent began.
#[derive(Debug, Default)]
pub struct Measures {
    entered: [Counter; TaskState::ALL.len()],
    /// Tasks whose container was found running or made already, and taken over.
    pub adopted: Counter,
}

impl Measures {
    /// Each state, and how many times a task of this node entered it.
    pub fn entered(&self) -> impl Iterator<Item = (TaskState, u64)> {
        let counted = self.entered.iter().map(Counter::get);
        TaskState::ALL.into_iter().zip(counted)
    }

    pub(crate) fn enter(&self, state: TaskState) {
        let at = TaskState::ALL.iter().position(|known| *known == state);
        if let Some(counter) = at.and_then(|at| self.entered.get(at)) {
            counter.add(1);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_state_has_a_count_of_its_own() {
        let measures = Measures::default();
        measures.enter(TaskState::Running);
        measures.enter(TaskState::Running);
        measures.enter(TaskState::Orphaned);
        let counted: Vec<_> = measures.entered().filter(|(_, count)| *count > 0).collect();
        assert_eq!(counted, [(TaskState::Running, 2), (TaskState::Orphaned, 1)]);
    }
}
