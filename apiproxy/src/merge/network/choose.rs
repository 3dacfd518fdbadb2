//! Which network a term names, among those of the engine and those of the swarm. Pure.
//!
//! Follows moby's router step by step (`daemon/server/router/network/network_routes.go`): clients rely on which of two
//! networks of one name they get, and on the words where neither is meant.

use swarmrs_types::Fault;

/// A network by its names.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(in crate::merge) struct Candidate {
    pub id: String,
    pub name: String,
    /// One that every node has: found by `scope=swarm` only, and in no list.
    pub predefined: bool,
}

/// The network that was meant.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(in crate::merge) enum Choice {
    /// The engine's, by its full id.
    Local(String),
    /// The swarm's, by its full id.
    Swarm(String),
}

/// All there are.
#[derive(Debug, Clone, Default)]
pub(in crate::merge) struct Candidates {
    pub local: Vec<Candidate>,
    pub swarm: Vec<Candidate>,
}

impl Candidates {
    /// The network to look at. `scope` narrows to `local` or `swarm`; empty, both are meant.
    pub fn to_inspect(&self, term: &str, scope: &str) -> Result<Choice, Fault> {
        let local = narrowed(&self.local, scope, "local");
        if let Some(found) = local.iter().find(|one| one.id == term) {
            return Ok(Choice::Local(found.id.clone()));
        }
        if let Some(id) = look_up(&self.swarm, term)
            && (id.starts_with(term) || scope == "swarm")
        {
            return Ok(Choice::Swarm(id));
        }
        let shown = self.swarm.iter().filter(|one| !one.predefined).cloned();
        let swarm: Vec<Candidate> = shown.collect();
        let found = unique(&local, narrowed(&swarm, scope, "swarm").as_slice(), term);
        found.map_err(|several| match several {
            None => Fault::no_such("network", term),
            Some((count, by)) => Fault::invalid(format!(
                "{count} matches found based on {by}: network {term} is ambiguous"
            )),
        })
    }

    /// The network to remove.
    pub fn to_remove(&self, term: &str) -> Result<Choice, Fault> {
        let shown = self.swarm.iter().filter(|one| !one.predefined);
        let swarm: Vec<Candidate> = shown.cloned().collect();
        for (own, choice) in self.both(&swarm) {
            if own.id == term {
                return Ok(choice);
            }
        }
        unique(&self.local, &swarm, term).map_err(|several| match several {
            None => Fault::no_such("network", term),
            Some((count, by)) => Fault::invalid(format!(
                "network {term} is ambiguous ({count} matches found based on {by})"
            )),
        })
    }

    /// The network that a container is to be on: the engine's own before the swarm's.
    pub fn to_join(&self, term: &str) -> Option<Choice> {
        let by = |wanted: &dyn Fn(&Candidate) -> bool| {
            let shown: Vec<Candidate> = self
                .swarm
                .iter()
                .filter(|one| !one.predefined)
                .cloned()
                .collect();
            let mut all = self.both(&shown).into_iter();
            all.find(|(own, _)| wanted(own)).map(|(_, choice)| choice)
        };
        by(&|one| one.id == term)
            .or_else(|| by(&|one| one.name == term))
            .or_else(|| by(&|one| !term.is_empty() && one.id.starts_with(term)))
    }

    fn both<'a>(&'a self, swarm: &'a [Candidate]) -> Vec<(&'a Candidate, Choice)> {
        let local = self.local.iter();
        let local = local.map(|one| (one, Choice::Local(one.id.clone())));
        let swarm = swarm.iter().map(|one| (one, Choice::Swarm(one.id.clone())));
        local.chain(swarm).collect()
    }
}

fn narrowed(all: &[Candidate], scope: &str, own: &str) -> Vec<Candidate> {
    match scope.is_empty() || scope == own {
        true => all.to_vec(),
        false => Vec::new(),
    }
}

/// The cluster's own look-up: full id, exact name, the beginning of one id.
fn look_up(swarm: &[Candidate], term: &str) -> Option<String> {
    let only = |wanted: &dyn Fn(&Candidate) -> bool| {
        let mut found = swarm.iter().filter(|one| wanted(one));
        let first = found.next()?;
        found.next().is_none().then(|| first.id.clone())
    };
    only(&|one| one.id == term)
        .or_else(|| only(&|one| one.name == term))
        .or_else(|| only(&|one| !term.is_empty() && one.id.starts_with(term)))
}

/// The only network of that name, else the only one whose id begins so. Else how many there are, and of what.
fn unique(
    local: &[Candidate],
    swarm: &[Candidate],
    term: &str,
) -> Result<Choice, Option<(usize, &'static str)>> {
    let local = local.iter().map(|one| (one, Choice::Local(one.id.clone())));
    let swarm = swarm.iter().map(|one| (one, Choice::Swarm(one.id.clone())));
    let all: Vec<_> = local.chain(swarm).collect();
    let named = all.iter().filter(|(one, _)| one.name == term);
    let prefixed = all
        .iter()
        .filter(|(one, _)| !term.is_empty() && one.id.starts_with(term));
    let named: Vec<_> = named.map(|(_, choice)| choice).collect();
    let prefixed: Vec<_> = prefixed.map(|(_, choice)| choice).collect();
    match (named.as_slice(), prefixed.as_slice()) {
        ([one], _) | ([], [one]) => Ok((*one).clone()),
        ([], []) => Err(None),
        ([], several) => Err(Some((several.len(), "ID prefix"))),
        (several, _) => Err(Some((several.len(), "name"))),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn candidate(id: &str, name: &str) -> Candidate {
        Candidate {
            id: id.to_owned(),
            name: name.to_owned(),
            predefined: name == "host",
        }
    }

    fn candidates() -> Candidates {
        Candidates {
            local: vec![
                candidate("aa11", "bridge"),
                candidate("bb22", "host"),
                candidate("ab33", "both"),
            ],
            swarm: vec![
                candidate("ac44", "web"),
                candidate("cc55", "host"),
                candidate("dd66", "both"),
                candidate("ee77", "ingress"),
            ],
        }
    }

    fn local(id: &str) -> Result<Choice, String> {
        Ok(Choice::Local(id.to_owned()))
    }

    fn swarm(id: &str) -> Result<Choice, String> {
        Ok(Choice::Swarm(id.to_owned()))
    }

    #[test]
    fn looked_at_by_id_name_or_the_beginning_of_an_id() {
        let table = [
            ("aa11", "", local("aa11")),
            ("ac44", "", swarm("ac44")),
            ("web", "", swarm("ac44")),
            ("bridge", "", local("aa11")),
            ("ac", "", swarm("ac44")),
            ("bb", "", local("bb22")),
            // Every engine has a host network; the swarm's is meant only if it is said.
            ("host", "", local("bb22")),
            ("host", "swarm", swarm("cc55")),
            (
                "bridge",
                "swarm",
                Err("network bridge not found".to_owned()),
            ),
            ("web", "local", Err("network web not found".to_owned())),
            ("both", "swarm", swarm("dd66")),
            ("both", "local", local("ab33")),
            (
                "both",
                "",
                Err("2 matches found based on name: network both is ambiguous".to_owned()),
            ),
            (
                "a",
                "",
                // The cluster's look-up comes first, and there is only one of its own.
                swarm("ac44"),
            ),
            ("zz", "", Err("network zz not found".to_owned())),
            ("", "", Err("network  not found".to_owned())),
        ];
        for (term, scope, expected) in table {
            let found = candidates().to_inspect(term, scope);
            assert_eq!(
                found.map_err(|fault| fault.text),
                expected,
                "{term} {scope}"
            );
        }
    }

    #[test]
    fn several_beginnings_of_ids_are_ambiguous() {
        let mut all = candidates();
        all.swarm.push(candidate("ad88", "other"));
        let text = all.to_inspect("a", "").unwrap_err().text;
        assert_eq!(
            text,
            "4 matches found based on ID prefix: network a is ambiguous"
        );
    }

    #[test]
    fn removed_by_id_name_or_the_beginning_of_an_id() {
        let table = [
            ("ac44", swarm("ac44")),
            ("web", swarm("ac44")),
            ("ingress", swarm("ee77")),
            ("ee77", swarm("ee77")),
            ("host", local("bb22")),
            (
                "both",
                Err("network both is ambiguous (2 matches found based on name)".to_owned()),
            ),
            (
                "a",
                Err("network a is ambiguous (3 matches found based on ID prefix)".to_owned()),
            ),
            ("zz", Err("network zz not found".to_owned())),
        ];
        for (term, expected) in table {
            let found = candidates().to_remove(term);
            assert_eq!(found.map_err(|fault| fault.text), expected, "{term}");
        }
    }

    #[test]
    fn a_container_joins_the_engines_own_network_before_the_swarms() {
        let all = candidates();
        let swarm = |id: &str| Some(Choice::Swarm(id.to_owned()));
        let local = |id: &str| Some(Choice::Local(id.to_owned()));
        assert_eq!(all.to_join("web"), swarm("ac44"));
        assert_eq!(all.to_join("both"), local("ab33"));
        assert_eq!(all.to_join("host"), local("bb22"));
        assert_eq!(all.to_join("dd6"), swarm("dd66"));
        assert_eq!(all.to_join("nothing"), None);
    }
}
