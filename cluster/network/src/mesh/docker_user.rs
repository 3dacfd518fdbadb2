//! Our accepts among the host's forwarding rules, behind the administrator's.
//!
//! The engine drops forwarded packets unless a rule says otherwise, and an accept in a table of ours cannot undo
//! a drop in another. `DOCKER-USER` is the chain that the engine leaves to users: our rules stand at
//! its end (before the `RETURN` that some releases put there), so that an administrator's drop applies to our
//! ports too. Where there is no such chain (no engine yet, or one with another backend) they stand
//! at the end of `FORWARD`, if its policy is to drop.

use crate::plane::Tag;
use std::io;
use std::process::Command;

const CHAIN: &str = "DOCKER-USER";
const WITHOUT_ENGINE: &str = "FORWARD";
const COMMENT: &str = "-m comment --comment swarmrs-";

/// Brings our rules to where they belong, if they are not there, and says whether an engine has set its own. Without
/// `iptables` on the host there is no engine that drops, and nothing to do.
pub(crate) fn assert(tag: &Tag) -> io::Result<bool> {
    let Some(listing) = list() else {
        return Ok(false);
    };
    let wanted = rules(tag);
    let home = home(&listing);
    for chain in [CHAIN, WITHOUT_ENGINE] {
        let wanted = if home == Some(chain) {
            &wanted[..]
        } else {
            &[]
        };
        settle(chain, &listing, tag, wanted)?;
    }
    Ok(home == Some(CHAIN))
}

/// Takes our rules away.
pub(crate) fn remove(tag: &Tag) -> io::Result<()> {
    let Some(listing) = list() else {
        return Ok(());
    };
    settle(CHAIN, &listing, tag, &[])?;
    settle(WITHOUT_ENGINE, &listing, tag, &[])
}

/// Whether an engine has set its rules.
pub(crate) fn has_engine() -> bool {
    list().is_some_and(|listing| home(&listing) == Some(CHAIN))
}

/// All filter rules, in the form they are given in. None: there is no `iptables`, or it has none.
fn list() -> Option<Vec<String>> {
    let output = Command::new("iptables")
        .args(["-w", "5", "-S"])
        .output()
        .ok()?;
    let text = String::from_utf8_lossy(&output.stdout).into_owned();
    let lines: Vec<String> = text.lines().map(str::to_owned).collect();
    (output.status.success() && !lines.is_empty()).then_some(lines)
}

/// The chain for our rules. None: nothing drops.
fn home(listing: &[String]) -> Option<&'static str> {
    let has = |line: String| listing.contains(&line);
    if has(format!("-N {CHAIN}")) {
        return Some(CHAIN);
    }
    has(format!("-P {WITHOUT_ENGINE} DROP")).then_some(WITHOUT_ENGINE)
}

/// Our rules, as `iptables -S` prints them behind the chain's name.
fn rules(tag: &Tag) -> Vec<String> {
    let comment = comment(tag);
    let links = format!("sw{tag}-+");
    vec![
        format!("-i {links} {comment} -j ACCEPT"),
        format!("-o {links} -m conntrack --ctstate DNAT {comment} -j ACCEPT"),
        format!("-o {links} -m conntrack --ctstate RELATED,ESTABLISHED {comment} -j ACCEPT"),
    ]
}

fn comment(tag: &Tag) -> String {
    format!("{COMMENT}{tag}")
}

/// What has to be done to one chain: the rules to delete, then those to put in, and before which.
#[derive(Debug, Default, PartialEq, Eq)]
struct Steps {
    delete: Vec<String>,
    /// From 1; None: at the end.
    at: Option<usize>,
    add: Vec<String>,
}

fn settle(chain: &str, listing: &[String], tag: &Tag, wanted: &[String]) -> io::Result<()> {
    let steps = steps(&of_chain(chain, listing), tag, wanted);
    for rule in &steps.delete {
        iptables(&format!("-D {chain} {rule}"))?;
    }
    for (number, rule) in steps.add.iter().enumerate() {
        match steps.at {
            None => iptables(&format!("-A {chain} {rule}"))?,
            Some(at) => iptables(&format!("-I {chain} {} {rule}", at + number))?,
        }
    }
    Ok(())
}

/// The rules of a chain, without its name.
fn of_chain<'a>(chain: &str, listing: &'a [String]) -> Vec<&'a str> {
    let beginning = format!("-A {chain} ");
    let rules = listing.iter();
    rules
        .filter_map(|line| line.strip_prefix(&beginning))
        .collect()
}

fn steps(present: &[&str], tag: &Tag, wanted: &[String]) -> Steps {
    let comment = comment(tag);
    let ours = |rule: &&str| rule.contains(&comment);
    let last_is_return = present.last() == Some(&"-j RETURN");
    let end = present.len() - usize::from(last_is_return);
    // Daemons that share a host do not contend for the last place.
    let other = |rule: &&&str| rule.contains(COMMENT) && !ours(rule);
    let seen: Vec<&str> = present[..end]
        .iter()
        .filter(|rule| !other(rule))
        .copied()
        .collect();
    let in_place = seen.ends_with(&wanted.iter().map(String::as_str).collect::<Vec<_>>())
        && present.iter().filter(|rule| ours(rule)).count() == wanted.len();
    if in_place {
        return Steps::default();
    }
    let delete: Vec<String> = present
        .iter()
        .filter(|rule| ours(rule))
        .map(|&rule| rule.to_owned())
        .collect();
    let others = end - present[..end].iter().filter(|rule| ours(rule)).count();
    Steps {
        delete,
        at: last_is_return.then_some(others + 1),
        add: wanted.to_vec(),
    }
}

fn iptables(arguments: &str) -> io::Result<()> {
    let output = Command::new("iptables")
        .args(["-w", "5"])
        .args(arguments.split(' '))
        .output()?;
    if output.status.success() {
        return Ok(());
    }
    let text = String::from_utf8_lossy(&output.stderr);
    let text = text.trim();
    Err(io::Error::other(format!("iptables {arguments}: {text}")))
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::path::Path;

    fn tag() -> Tag {
        Tag::of(Path::new("/run/swarmrs"))
    }

    fn with_ours<'a>(before: &[&'a str], ours: &'a [String], after: &[&'a str]) -> Vec<&'a str> {
        let ours = ours.iter().map(String::as_str);
        before
            .iter()
            .copied()
            .chain(ours)
            .chain(after.iter().copied())
            .collect()
    }

    #[test]
    fn our_rules_stand_behind_the_administrators_and_before_the_return() {
        let ours = rules(&tag());
        let steps = steps(&["-s 10.9.9.9/32 -j DROP", "-j RETURN"], &tag(), &ours);
        assert_eq!(
            steps,
            Steps {
                delete: vec![],
                at: Some(2),
                add: ours
            }
        );
    }

    #[test]
    fn without_a_return_our_rules_are_the_last() {
        let ours = rules(&tag());
        let steps = steps(&["-s 10.9.9.9/32 -j DROP"], &tag(), &ours);
        assert_eq!(
            steps,
            Steps {
                delete: vec![],
                at: None,
                add: ours
            }
        );
    }

    #[test]
    fn rules_in_place_are_left_alone() {
        let ours = rules(&tag());
        let drop = ["-s 10.9.9.9/32 -j DROP"];
        for after in [&["-j RETURN"][..], &[]] {
            let present = with_ours(&drop, &ours, after);
            assert_eq!(steps(&present, &tag(), &ours), Steps::default());
        }
    }

    #[test]
    fn rules_that_came_before_another_of_the_administrator_move_behind_it() {
        let ours = rules(&tag());
        let present = with_ours(&[], &ours, &["-i eth9 -j DROP"]);
        let moved = Steps {
            delete: ours.clone(),
            at: None,
            add: ours.clone(),
        };
        assert_eq!(steps(&present, &tag(), &ours), moved);
    }

    #[test]
    fn daemons_of_one_host_leave_each_others_rules_where_they_are() {
        let ours = rules(&tag());
        let others = rules(&Tag::of(Path::new("/run/other")));
        let present = with_ours(&["-j ACCEPT"], &ours, &[]);
        let present = with_ours(&present, &others, &["-j RETURN"]);
        assert_eq!(steps(&present, &tag(), &ours), Steps::default());
    }

    #[test]
    fn a_lost_rule_brings_all_of_them_again() {
        let ours = rules(&tag());
        let present = with_ours(&[], &ours[1..], &["-j RETURN"]);
        let again = Steps {
            delete: ours[1..].to_vec(),
            at: Some(1),
            add: ours.clone(),
        };
        assert_eq!(steps(&present, &tag(), &ours), again);
    }

    #[test]
    fn clearing_takes_ours_and_no_others() {
        let ours = rules(&tag());
        let present = with_ours(&["-j ACCEPT"], &ours, &["-j RETURN"]);
        let gone = steps(&present, &tag(), &[]);
        assert_eq!(gone.delete, ours);
        assert_eq!(gone.add, Vec::<String>::new());
        let other = Tag::of(Path::new("/run/other"));
        assert_eq!(steps(&present, &other, &[]), Steps::default());
    }

    #[test]
    fn the_engines_chain_is_home_if_there_is_one() {
        let lines = |text: &str| text.lines().map(str::to_owned).collect::<Vec<_>>();
        let with = lines("-P FORWARD DROP\n-N DOCKER-USER\n-A FORWARD -j DOCKER-USER");
        assert_eq!(home(&with), Some(CHAIN));
        assert_eq!(home(&lines("-P FORWARD DROP")), Some(WITHOUT_ENGINE));
        assert_eq!(home(&lines("-P FORWARD ACCEPT")), None);
    }
}
