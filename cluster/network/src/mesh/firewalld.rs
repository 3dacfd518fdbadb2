//! Our links in a zone of firewalld, where there is one.
//!
//! What goes out of a container is forwarded from a link of ours, and firewalld rejects that unless the link is in a zone that
//! accepts. The engine's own bridges are in its zone `docker`; ours join them, by a name with a wildcard. That is said
//! for now and for good: a reload forgets what was said only for now. Published ports need none of it: firewalld lets
//! through whatever was led elsewhere.

use std::io;
use std::process::Command;
use std::thread::JoinHandle;

use crate::firewall;
use crate::netlink::Socket;
use crate::plane::Tag;

const PROGRAM: &str = "firewall-cmd";
/// The engine's, which it makes wherever it finds firewalld, and firewalld's own for links that are trusted.
const ZONES: [&str; 2] = ["docker", "trusted"];
/// Where firewalld keeps its rules, unless it was set to keep them beside the engine's: then its own accepts let us out.
const TABLE: &str = "firewalld";

/// What is known of our links' zone. The program takes about a second: it is waited for only where all is taken away.
#[derive(Debug, Default)]
pub(crate) enum Membership {
    #[default]
    None,
    Joining(JoinHandle<io::Result<()>>),
    Joined,
    /// Said once, and tried again only when firewalld starts anew.
    Refused,
}

impl Membership {
    /// Brings our links into a zone, if there is a firewalld that does not know them.
    pub(crate) fn settle(&mut self, tag: &Tag, rules: &mut Socket) -> io::Result<()> {
        if !firewall::has_common_table(rules, TABLE)? {
            *self = Membership::None;
            return Ok(());
        }
        *self = match std::mem::take(self) {
            Membership::None => {
                let links = links(tag);
                let thread = std::thread::Builder::new().name("firewalld".to_owned());
                Membership::Joining(thread.spawn(move || join(&links))?)
            }
            Membership::Joining(thread) if thread.is_finished() => match ended(thread) {
                Ok(()) => Membership::Joined,
                Err(error) => {
                    tracing::warn!(%error, "firewalld may reject what leaves containers on networks of the swarm");
                    Membership::Refused
                }
            },
            other => other,
        };
        Ok(())
    }

    /// Takes our links out again.
    pub(crate) fn end(&mut self, tag: &Tag, rules: &mut Socket) -> io::Result<()> {
        if let Membership::Joining(thread) = std::mem::take(self) {
            // Whether it had worked no longer matters.
            let _ = ended(thread);
        }
        if !firewall::has_common_table(rules, TABLE)? {
            return Ok(());
        }
        let links = links(tag);
        for zone in ZONES {
            for mode in MODES {
                if says_yes(&call(mode, zone, "query", &links))? {
                    done(&call(mode, zone, "remove", &links))?;
                }
            }
        }
        Ok(())
    }
}

/// For good, then for now: what is there for good already is not refused for now.
const MODES: [Option<&str>; 2] = [Some("--permanent"), None];

/// Our links as firewalld names several.
fn links(tag: &Tag) -> String {
    format!("sw{tag}-+")
}

fn join(links: &str) -> io::Result<()> {
    let known = run(&["--get-zones".to_owned()])?;
    let known = String::from_utf8_lossy(&known.stdout).into_owned();
    let mut zones = ZONES.into_iter();
    let zone = zones.find(|zone| known.split_whitespace().any(|one| one == *zone));
    let zone =
        zone.ok_or_else(|| io::Error::other(format!("firewalld has no zone of {ZONES:?}")))?;
    for mode in MODES {
        if !says_yes(&call(mode, zone, "query", links))? {
            done(&call(mode, zone, "add", links))?;
        }
    }
    tracing::info!(zone, links, "links put into a zone of firewalld");
    Ok(())
}

fn ended(thread: JoinHandle<io::Result<()>>) -> io::Result<()> {
    let lost = |_| Err(io::Error::other("the thread has ended"));
    thread.join().unwrap_or_else(lost)
}

fn call(mode: Option<&str>, zone: &str, verb: &str, links: &str) -> Vec<String> {
    let mode = mode.into_iter().map(str::to_owned);
    let rest = [
        format!("--zone={zone}"),
        format!("--{verb}-interface={links}"),
    ];
    mode.chain(rest).collect()
}

/// The exit code of a question: 1 is no. A zone that is not there holds nothing (112).
fn says_yes(arguments: &[String]) -> io::Result<bool> {
    let output = run(arguments)?;
    match output.status.code() {
        Some(0) => Ok(true),
        Some(1 | 112) => Ok(false),
        _ => Err(failed(arguments, &output)),
    }
}

fn done(arguments: &[String]) -> io::Result<()> {
    let output = run(arguments)?;
    match output.status.success() {
        true => Ok(()),
        false => Err(failed(arguments, &output)),
    }
}

fn run(arguments: &[String]) -> io::Result<std::process::Output> {
    Command::new(PROGRAM).args(arguments).output()
}

fn failed(arguments: &[String], output: &std::process::Output) -> io::Error {
    let said = String::from_utf8_lossy(&output.stderr);
    io::Error::other(format!(
        "{PROGRAM} {}: {}",
        arguments.join(" "),
        said.trim()
    ))
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::path::Path;

    #[test]
    fn all_links_of_one_daemon_are_named_at_once() {
        let links = links(&Tag::of(Path::new("/run/swarmrs")));
        let asked = call(MODES[0], "docker", "add", &links);
        let expected = format!("--permanent --zone=docker --add-interface={links}");
        assert_eq!(asked.join(" "), expected);
        assert!(links.starts_with("sw") && links.ends_with("-+"), "{links}");
    }
}
