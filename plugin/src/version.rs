//! `docker swarmrs version`: ours, the daemon's, the engine's.

use clap::Args;
use serde::Serialize;
use swarmrs_types::report::VersionReport;

use crate::DockerFlags;
use crate::daemon;
use crate::format::Format;

#[derive(Debug, Args)]
pub struct Arguments {
    /// Format the output: json
    #[arg(short, long)]
    format: Option<Format>,
}

#[derive(Debug, Serialize)]
#[serde(rename_all = "PascalCase")]
struct Versions {
    client: Client,
    server: Option<VersionReport>,
}

#[derive(Debug, Serialize)]
#[serde(rename_all = "PascalCase")]
struct Client {
    version: &'static str,
}

/// Prints the versions. Without a daemon ours is printed all the same, and the command fails.
pub fn run(arguments: &Arguments, docker: &DockerFlags) -> anyhow::Result<()> {
    let asked = docker
        .address()
        .map_err(anyhow::Error::from)
        .and_then(|host| Ok(daemon::get(&host, "/swarmrs/v1/read/version")?));
    let (server, failure) = match asked {
        Ok(server) => (Some(server), None),
        Err(error) => (None, Some(error)),
    };
    let versions = Versions {
        client: Client {
            version: env!("CARGO_PKG_VERSION"),
        },
        server,
    };
    match arguments.format {
        Some(Format::Json) => println!("{}", serde_json::to_string(&versions)?),
        None => print!("{}", text(&versions)),
    }
    failure.map_or(Ok(()), Err)
}

fn text(versions: &Versions) -> String {
    let mut text = format!("Client:\n Version:      {}\n", versions.client.version);
    if let Some(server) = &versions.server {
        let engine = match server.engine_version.as_str() {
            "" => "does not answer",
            version => version,
        };
        text.push_str(&format!(
            "\nServer:\n Version:      {}\n Engine:       {engine}\n API version:  {}\n Swarm:        {}\n",
            server.version, server.api_version, server.swarm
        ));
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    fn versions(server: Option<VersionReport>) -> Versions {
        Versions {
            client: Client { version: "1.0.0" },
            server,
        }
    }

    #[test]
    fn both_sides_are_shown() {
        let server = VersionReport {
            version: "1.0.1".to_owned(),
            engine_version: "20.10.24".to_owned(),
            api_version: "1.41".to_owned(),
            swarm: "active".to_owned(),
        };
        let expected = "Client:\n Version:      1.0.0\n\nServer:\n Version:      1.0.1\n Engine:       20.10.24\n API \
                        version:  1.41\n Swarm:        active\n";
        assert_eq!(text(&versions(Some(server))), expected);
    }

    #[test]
    fn without_a_daemon_ours_is_shown_alone() {
        assert_eq!(text(&versions(None)), "Client:\n Version:      1.0.0\n");
        let json = serde_json::to_string(&versions(None)).unwrap();
        assert_eq!(json, "{\"Client\":{\"Version\":\"1.0.0\"},\"Server\":null}");
    }
}
