//! What becomes of a service's tasks on a node that lost its managers: the label `swarmrs.disconnect`.

use crate::spec::Labels;
use std::time::Duration;

/// The service's label.
pub const LABEL: &str = "swarmrs.disconnect";
/// A node that had no manager for so long stops the tasks that say so. Longer than an election and the way to another manager.
pub const ALONE: Duration = Duration::from_secs(8);
/// From the moment that a node is taken for down until it has begun to stop them, at the latest: it may find out later than
/// the managers that it is alone, by what a silent connection takes to be given up, and then waits.
pub const FENCE: Duration = Duration::from_secs(12);

/// What a service wants.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Disconnect {
    /// Others take their place at once; they run on until their node hears of that.
    #[default]
    Replace,
    /// They are not replaced, because two of it must never run; they go on when their node is back.
    Hold,
    /// Their node stops them by itself, and others take their place only after that.
    Stop,
}

impl Disconnect {
    /// What the labels say; what nobody knows says nothing.
    pub fn of(labels: &Labels) -> Self {
        match labels.get(LABEL).map(String::as_str) {
            Some("hold") => Disconnect::Hold,
            Some("stop") => Disconnect::Stop,
            _ => Disconnect::Replace,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_label_says_what_becomes_of_tasks_without_managers() {
        for (word, expected) in [
            ("replace", Disconnect::Replace),
            ("hold", Disconnect::Hold),
            ("stop", Disconnect::Stop),
            ("Stop", Disconnect::Replace),
            ("", Disconnect::Replace),
        ] {
            let labels = Labels::from([(LABEL.to_owned(), word.to_owned())]);
            assert_eq!(Disconnect::of(&labels), expected, "{word}");
        }
        assert_eq!(Disconnect::of(&Labels::new()), Disconnect::Replace);
    }
}
