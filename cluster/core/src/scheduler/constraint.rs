//! Placement constraints: `key == value`, `key != value`.
//!
//! A value is compared whole and without case; there are no patterns. A key that nothing is known
//! of is accepted and never matches, not even with `!=`: the tasks wait and say so. Source of the
//! grammar: swarmkit `manager/constraint`.

use std::net::IpAddr;
use swarmrs_types::object::Node;

/// One constraint, understood.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Constraint {
    subject: Subject,
    negated: bool,
    value: String,
}

/// What of a node is compared.
#[derive(Clone, Debug, PartialEq, Eq)]
enum Subject {
    Id,
    Hostname,
    Ip,
    Role,
    Os,
    Architecture,
    /// A label of the node's spec; its name counts with case.
    NodeLabel(String),
    /// A label of the node's engine; likewise.
    EngineLabel(String),
    Nothing,
}

/// A text that is no constraint.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ConstraintError {
    #[error("key '{0}' is invalid")]
    Key(String),
    #[error("value '{0}' is invalid")]
    Value(String),
    #[error("constraint expected one operator from ==, !=")]
    Operator,
}

/// Reads constraints as users write them; the first that is none is the error.
pub fn parse(constraints: &[String]) -> Result<Vec<Constraint>, ConstraintError> {
    constraints.iter().map(|text| parse_one(text)).collect()
}

/// Whether the node satisfies all of them.
pub fn matches(constraints: &[Constraint], node: &Node) -> bool {
    constraints.iter().all(|one| one.matches(node))
}

fn parse_one(text: &str) -> Result<Constraint, ConstraintError> {
    // `==` is searched in the whole text first, as Docker does: `a!=b==c` has the key `a!=b`.
    let equal = text.split_once("==").map(|halves| (halves, false));
    let found = equal.or_else(|| text.split_once("!=").map(|halves| (halves, true)));
    let ((key, value), negated) = found.ok_or(ConstraintError::Operator)?;
    let (key, value) = (key.trim(), value.trim());
    if !is_key(key) {
        return Err(ConstraintError::Key(key.to_owned()));
    }
    if !is_value(value) {
        return Err(ConstraintError::Value(value.to_owned()));
    }
    Ok(Constraint {
        subject: subject(key),
        negated,
        value: value.to_owned(),
    })
}

/// A letter or underscore, then at least one of letters, digits, `-`, `_`, `.`.
fn is_key(key: &str) -> bool {
    let mut chars = key.chars();
    let first = chars.next();
    let rest = chars.as_str();
    first.is_some_and(|c| c.is_ascii_alphabetic() || c == '_')
        && !rest.is_empty()
        && rest
            .chars()
            .all(|c| c.is_ascii_alphanumeric() || "-_.".contains(c))
}

/// Letters, digits, white space and the signs of regular expressions, which mean nothing here.
fn is_value(value: &str) -> bool {
    let allowed = |c: char| {
        c.is_ascii_alphanumeric() || c.is_ascii_whitespace() || r":-_.*()?+[]\^$|/".contains(c)
    };
    !value.is_empty() && value.chars().all(allowed)
}

fn subject(key: &str) -> Subject {
    match key.to_ascii_lowercase().as_str() {
        "node.id" => Subject::Id,
        "node.hostname" => Subject::Hostname,
        "node.ip" => Subject::Ip,
        "node.role" => Subject::Role,
        "node.platform.os" => Subject::Os,
        "node.platform.arch" => Subject::Architecture,
        _ => label(key, "node.labels.")
            .map(Subject::NodeLabel)
            .or_else(|| label(key, "engine.labels.").map(Subject::EngineLabel))
            .unwrap_or(Subject::Nothing),
    }
}

/// The label a key with this prefix names, in the case it was written.
pub(super) fn label(key: &str, prefix: &str) -> Option<String> {
    let (head, name) = key.split_at_checked(prefix.len())?;
    let found = head.eq_ignore_ascii_case(prefix) && !name.is_empty();
    found.then(|| name.to_owned())
}

impl Constraint {
    fn matches(&self, node: &Node) -> bool {
        let description = &node.description;
        let actual = match &self.subject {
            Subject::Id => node.id.as_str(),
            Subject::Hostname => &description.hostname,
            Subject::Ip => return self.matches_ip(&node.status.addr),
            Subject::Role => node.role.as_str(),
            Subject::Os => &description.platform.os,
            Subject::Architecture => &description.platform.architecture,
            Subject::NodeLabel(name) => text(node.spec.labels.get(name)),
            Subject::EngineLabel(name) => text(description.engine.labels.get(name)),
            Subject::Nothing => return false,
        };
        (actual.to_lowercase() == self.value.to_lowercase()) != self.negated
    }

    /// The value is an address or a range; anything else never matches.
    fn matches_ip(&self, addr: &str) -> bool {
        let actual = addr.parse::<IpAddr>().ok().map(|ip| ip.to_canonical());
        let same = if let Ok(wanted) = self.value.parse::<IpAddr>() {
            actual == Some(wanted.to_canonical())
        } else if let Some((base, prefix)) = parse_range(&self.value) {
            actual.is_some_and(|actual| contains(base, prefix, actual))
        } else {
            return false;
        };
        same != self.negated
    }
}

fn text(label: Option<&String>) -> &str {
    label.map_or("", String::as_str)
}

fn parse_range(text: &str) -> Option<(IpAddr, u32)> {
    let (base, prefix) = text.split_once('/')?;
    let base: IpAddr = base.parse().ok()?;
    let prefix: u32 = prefix.parse().ok()?;
    let bits = if base.is_ipv4() { 32 } else { 128 };
    (prefix <= bits).then_some((base, prefix))
}

fn contains(base: IpAddr, prefix: u32, addr: IpAddr) -> bool {
    match (base, addr) {
        (IpAddr::V4(base), IpAddr::V4(addr)) => {
            let differing = u32::from(base) ^ u32::from(addr);
            differing.leading_zeros() >= prefix
        }
        (IpAddr::V6(base), IpAddr::V6(addr)) => {
            let differing = u128::from(base) ^ u128::from(addr);
            differing.leading_zeros() >= prefix
        }
        _ => false,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use swarmrs_types::RawId;
    use swarmrs_types::spec::{NodeDescription, NodeSpec, Role};

    fn node() -> Node {
        let mut description = NodeDescription {
            hostname: "Alpha".to_owned(),
            ..NodeDescription::default()
        };
        description.platform.os = "linux".to_owned();
        description.platform.architecture = "x86_64".to_owned();
        let ssd = ("disk".to_owned(), "SSD".to_owned());
        description.engine.labels.extend([ssd]);
        let mut spec = NodeSpec {
            role: Role::Manager,
            ..NodeSpec::default()
        };
        let zone = ("Zone".to_owned(), "east 1".to_owned());
        spec.labels.extend([zone]);
        let mut node = Node::new(RawId::MIN.into(), spec);
        node.description = description;
        node.status.addr = "10.0.3.7".to_owned();
        node
    }

    fn holds(text: &str) -> bool {
        matches(&parse(&[text.to_owned()]).unwrap(), &node())
    }

    #[test]
    fn each_key_compares_what_it_names_without_case() {
        for text in [
            "node.id == 0000000000000000000000000",
            "NODE.HOSTNAME==alpha",
            "node.hostname != beta",
            "node.role == Manager",
            "node.role!=worker",
            "node.platform.os==LINUX",
            "node.platform.arch==x86_64",
            "node.labels.Zone == EAST 1",
            "Node.Labels.Zone != west",
            "engine.labels.disk==ssd",
            "node.labels.absent != x",
        ] {
            assert!(holds(text), "{text}");
        }
    }

    #[test]
    fn what_differs_does_not_match() {
        for text in [
            "node.hostname == alph",
            "node.hostname == al*",
            "node.hostname != ALPHA",
            "node.labels.zone == east 1",
            "node.platform.arch == amd64",
            "engine.labels.disk != ssd",
        ] {
            assert!(!holds(text), "{text}");
        }
    }

    #[test]
    fn an_address_is_compared_whole_or_with_a_range() {
        for text in [
            "node.ip == 10.0.3.7",
            "node.ip == 10.0.0.0/16",
            "node.ip != 10.0.4.0/24",
            "node.ip != fd00::/8",
            "node.ip == 0.0.0.0/0",
        ] {
            assert!(holds(text), "{text}");
        }
        for text in [
            "node.ip == 10.0.3.8",
            "node.ip == 10.0.4.0/24",
            "node.ip != 10.0.3.7",
        ] {
            assert!(!holds(text), "{text}");
        }
    }

    #[test]
    fn a_malformed_address_and_an_unknown_key_never_match() {
        for text in [
            "node.ip == 10.0.3",
            "node.ip != 10.0.0.0/33",
            "node.colour == red",
            "node.colour != red",
            "node.labels. != red",
        ] {
            assert!(!holds(text), "{text}");
        }
    }

    #[test]
    fn what_is_no_constraint_says_why() {
        let error = |text: &str| parse(&[text.to_owned()]).unwrap_err().to_string();
        for (text, said) in [
            ("node.role", "constraint expected one operator from ==, !="),
            (
                "node.role = manager",
                "constraint expected one operator from ==, !=",
            ),
            ("", "constraint expected one operator from ==, !="),
            ("n == a", "key 'n' is invalid"),
            ("1node == a", "key '1node' is invalid"),
            ("node role == a", "key 'node role' is invalid"),
            ("a!=b==c", "key 'a!=b' is invalid"),
            ("node.role ==", "value '' is invalid"),
            ("node.role == a,b", "value 'a,b' is invalid"),
            ("node.role == é", "value 'é' is invalid"),
        ] {
            assert_eq!(error(text), said, "{text}");
        }
    }

    #[test]
    fn all_constraints_must_hold() {
        let both = [
            "node.role==manager".to_owned(),
            "node.hostname==beta".to_owned(),
        ];
        assert!(!matches(&parse(&both).unwrap(), &node()));
        assert!(matches(&[], &node()));
    }
}
