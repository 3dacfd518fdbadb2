//! The differences that we mean, each with its reason.

use std::collections::BTreeSet;

use serde::Deserialize;

use super::compare::Delta;
use super::scenario::Scenario;
use crate::Error;

/// The list in `differences.toml`.
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Differences {
    #[serde(default)]
    difference: Vec<Difference>,
}

#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
struct Difference {
    /// The scenario it shows in.
    scenario: String,
    /// The step's title, or `*` for any step.
    step: String,
    /// The place, or the beginning of it.
    at: String,
    /// Why we mean it.
    reason: String,
}

impl Differences {
    /// Reads the list; an entry without a reason is an error.
    pub fn parse(name: &str, text: &str) -> Result<Self, Error> {
        let error = |what: String| Error::Parse {
            file: name.to_owned(),
            line: 0,
            what,
        };
        let list: Self = toml::from_str(text).map_err(|e| error(e.to_string()))?;
        match list
            .difference
            .iter()
            .find(|entry| entry.reason.trim().is_empty())
        {
            Some(entry) => Err(error(format!(
                "no reason for {:?} {:?}",
                entry.step, entry.at
            ))),
            None => Ok(list),
        }
    }

    /// A readable report of the deltas that are not listed and of the entries that no delta matched.
    pub(super) fn report(&self, scenario: &Scenario, deltas: Vec<Delta>) -> Option<String> {
        let mut used = BTreeSet::new();
        let mut report = String::new();
        for delta in deltas {
            match self
                .difference
                .iter()
                .position(|entry| entry.lists(scenario, &delta))
            {
                Some(at) => drop(used.insert(at)),
                None => report.push_str(&show(&delta)),
            }
        }
        for (at, entry) in self.difference.iter().enumerate() {
            if entry.scenario == scenario.name && !used.contains(&at) {
                report.push_str(&format!(
                    "\nlisted, but no longer seen: {:?} {:?}\n",
                    entry.step, entry.at
                ));
            }
        }
        (!report.is_empty()).then_some(report)
    }
}

impl Difference {
    fn lists(&self, scenario: &Scenario, delta: &Delta) -> bool {
        self.scenario == scenario.name
            && (self.step == "*" || self.step == delta.step)
            && delta.at.starts_with(&self.at)
    }
}

fn show(delta: &Delta) -> String {
    let indent = |text: &str| text.replace('\n', "\n               ");
    let (reference, ours) = (indent(&delta.reference), indent(&delta.ours));
    format!(
        "\n{}\n  {}\n    reference: {reference}\n    swarmrs:   {ours}\n",
        delta.step, delta.at
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    fn delta() -> Delta {
        Delta {
            step: "s".into(),
            at: "output.A.B".into(),
            reference: "1".into(),
            ours: "2".into(),
        }
    }

    fn scenario() -> Scenario {
        Scenario {
            name: "one".into(),
            steps: Vec::new(),
        }
    }

    fn listing(at: &str) -> Differences {
        let text = format!(
            "[[difference]]\nscenario = 'one'\nstep = 's'\nat = '{at}'\nreason = 'because'\n"
        );
        Differences::parse("d", &text).unwrap()
    }

    #[test]
    fn a_listed_difference_is_not_reported() {
        assert_eq!(listing("output.A").report(&scenario(), vec![delta()]), None);
    }

    #[test]
    fn an_unlisted_difference_is_shown_with_both_sides() {
        let report = Differences::default()
            .report(&scenario(), vec![delta()])
            .unwrap();
        assert_eq!(
            report,
            "\ns\n  output.A.B\n    reference: 1\n    swarmrs:   2\n"
        );
    }

    #[test]
    fn a_listed_difference_that_is_gone_is_reported() {
        let report = listing("status").report(&scenario(), vec![]).unwrap();
        assert_eq!(report, "\nlisted, but no longer seen: \"s\" \"status\"\n");
    }

    #[test]
    fn a_difference_without_a_reason_is_refused() {
        let text = "[[difference]]\nscenario = 'one'\nstep = '*'\nat = ''\nreason = ' '\n";
        assert!(Differences::parse("d", text).is_err());
    }
}
