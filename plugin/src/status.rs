//! `docker swarmrs status`: how the swarm is, on one page, and in the exit code.

use std::fmt::Write;
use std::process::ExitCode;

use clap::Args;
use swarmrs_types::report::{QuorumReport, ServiceReport, StatusReport};

use crate::DockerFlags;
use crate::daemon;
use crate::format::Format;

#[derive(Debug, Args)]
pub struct Arguments {
    /// Format the output: json
    #[arg(short, long)]
    format: Option<Format>,
}

/// Prints the page. Fails if a service is not as it was asked for, or something keeps the swarm from working.
pub fn run(arguments: &Arguments, docker: &DockerFlags) -> anyhow::Result<ExitCode> {
    let report: StatusReport = daemon::get(&docker.address()?, "/swarmrs/v1/read/status")?;
    match arguments.format {
        Some(Format::Json) => println!("{}", serde_json::to_string(&report)?),
        None => print!("{}", text(&report)),
    }
    Ok(match report.healthy {
        true => ExitCode::SUCCESS,
        false => ExitCode::FAILURE,
    })
}

fn text(report: &StatusReport) -> String {
    let engine = match report.engine.answers {
        true => report.engine.version.as_str(),
        false => "does not answer",
    };
    let mut page = Page::default();
    page.row("Swarm", &report.swarm);
    page.row("Daemon", &report.version);
    page.row("Engine", engine);
    if let Some(quorum) = &report.quorum {
        page.row("Quorum", &shown_quorum(quorum));
        let managers = report.managers.iter().map(|manager| match manager.leader {
            true => format!("{} (leader)", manager.hostname),
            false if manager.reachable => manager.hostname.clone(),
            false => format!("{} (not reachable)", manager.hostname),
        });
        page.row("Managers", &managers.collect::<Vec<_>>().join(", "));
        let nodes = report
            .nodes
            .iter()
            .map(|(state, count)| format!("{count} {state}"));
        page.row("Nodes", &nodes.collect::<Vec<_>>().join(", "));
        let services = &report.services;
        let counts = format!("{} of {} converged", services.converged, services.total);
        page.row("Services", &counts);
    }
    page.services("Not converged", &report.services.not_converged);
    page.services("Rolled back", &report.services.rolled_back);
    page.list("Problems", &report.problems);
    page.list("Warnings", &report.warnings);
    page.0
}

fn shown_quorum(quorum: &QuorumReport) -> String {
    let holds = match quorum.holds {
        true => "yes",
        false => "NO",
    };
    let managers = match quorum.managers {
        1 => "1 manager".to_owned(),
        many => format!("{many} managers"),
    };
    format!(
        "{holds} ({} of {managers} reachable, {} needed, {} may be lost)",
        quorum.reachable, quorum.needed, quorum.margin
    )
}

/// The page so far. Writing to memory does not fail.
#[derive(Default)]
struct Page(String);

impl Page {
    fn row(&mut self, name: &str, value: &str) {
        let _ = writeln!(self.0, "{:<10} {value}", format!("{name}:"));
    }

    fn services(&mut self, title: &str, services: &[ServiceReport]) {
        if services.is_empty() {
            return;
        }
        let names = services.iter().map(|service| service.name.chars().count());
        let width = names.max().unwrap_or_default().max("NAME".len());
        let _ = writeln!(
            self.0,
            "\n{title}:\n  {:<width$}  {:<9}  {:<17}  REASON",
            "NAME", "REPLICAS", "UPDATE"
        );
        for service in services {
            let replicas = format!("{}/{}", service.running, service.desired);
            let line = format!(
                "  {:<width$}  {replicas:<9}  {:<17}  {}",
                service.name,
                service.update,
                one_line(&service.reason)
            );
            let _ = writeln!(self.0, "{}", line.trim_end());
        }
    }

    fn list(&mut self, title: &str, lines: &[String]) {
        if lines.is_empty() {
            return;
        }
        let _ = writeln!(self.0, "\n{title}:");
        for line in lines {
            let _ = writeln!(self.0, "  {}", one_line(line));
        }
    }
}

/// What others said, without what would break the page or drive the terminal.
fn one_line(text: &str) -> String {
    let harmless = |c: char| if c.is_control() { ' ' } else { c };
    text.chars().map(harmless).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use swarmrs_types::report::{EngineReport, ManagerReport, ServicesReport};

    fn report() -> StatusReport {
        StatusReport {
            version: "1.0.0".to_owned(),
            healthy: true,
            swarm: "active".to_owned(),
            engine: EngineReport {
                answers: true,
                version: "20.10.24".to_owned(),
            },
            quorum: Some(QuorumReport {
                holds: true,
                managers: 1,
                reachable: 1,
                needed: 1,
                margin: 0,
            }),
            managers: vec![ManagerReport {
                id: "0123456789abcdefghijklmno".parse().unwrap(),
                hostname: "alpha".to_owned(),
                addr: "10.0.0.1:2377".to_owned(),
                leader: true,
                reachable: true,
            }],
            nodes: [("ready".to_owned(), 1)].into(),
            services: ServicesReport {
                total: 2,
                converged: 2,
                ..ServicesReport::default()
            },
            ..StatusReport::default()
        }
    }

    #[test]
    fn a_swarm_that_is_well_is_seven_lines() {
        let expected = "Swarm:     active\nDaemon:    1.0.0\nEngine:    20.10.24\n\
                        Quorum:    yes (1 of 1 manager reachable, 1 needed, 0 may be lost)\n\
                        Managers:  alpha (leader)\nNodes:     1 ready\nServices:  2 of 2 converged\n";
        assert_eq!(text(&report()), expected);
    }

    #[test]
    fn what_is_not_well_is_told_with_its_reason_on_one_line() {
        let mut report = report();
        report.services.converged = 1;
        report.services.not_converged = vec![ServiceReport {
            id: "abcdefghijklmno0123456789".parse().unwrap(),
            name: "web".to_owned(),
            running: 0,
            desired: 3,
            update: "paused".to_owned(),
            reason: "task: non-zero exit (1)\u{1b}[2J\nx".to_owned(),
        }];
        report.problems = vec!["the engine does not answer".to_owned()];
        let shown = text(&report);
        let expected = "\nNot converged:\n  NAME  REPLICAS   UPDATE             REASON\n  \
                        web   0/3        paused             task: non-zero exit (1) [2J x\n\n\
                        Problems:\n  the engine does not answer\n";
        assert!(shown.ends_with(expected), "{shown}");
    }

    #[test]
    fn a_node_outside_a_swarm_shows_what_there_is() {
        let report = StatusReport {
            version: "1.0.0".to_owned(),
            swarm: "inactive".to_owned(),
            ..StatusReport::default()
        };
        let expected = "Swarm:     inactive\nDaemon:    1.0.0\nEngine:    does not answer\n";
        assert_eq!(text(&report), expected);
    }
}
