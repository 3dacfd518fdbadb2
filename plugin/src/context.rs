//! Which daemon is meant: the docker command's own order of flags, environment and contexts.
//!
//! `--host` beats all, then `--context`, `DOCKER_HOST`, `DOCKER_CONTEXT`, the config file's `currentContext`, and at last
//! the default socket. Source: docker/cli `cli/command/cli.go`.

use std::fs;
use std::io;
use std::path::{Path, PathBuf};

use serde::Deserialize;
use sha2::{Digest, Sha256};

/// Where the engine listens if nobody says otherwise.
const DEFAULT_HOST: &str = "unix:///var/run/docker.sock";
/// The context that is none.
const DEFAULT_CONTEXT: &str = "default";

/// What decides, gathered from flags and environment.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Choice {
    /// `--host`; at most one.
    pub host_flags: Vec<String>,
    /// `--context`.
    pub context_flag: Option<String>,
    /// `DOCKER_HOST`.
    pub host_variable: Option<String>,
    /// `DOCKER_CONTEXT`.
    pub context_variable: Option<String>,
    /// The folder of `config.json` and of the contexts.
    pub config: PathBuf,
}

/// No daemon can be chosen.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    #[error("specify only one -H")]
    SeveralHosts,
    #[error("conflicting options: cannot specify both --host and --context")]
    HostAndContext,
    #[error("context {0:?} does not exist")]
    NoContext(String),
    #[error("context {0:?} has no docker endpoint")]
    NoEndpoint(String),
    #[error("cannot read {path}: {source}")]
    Read { path: String, source: io::Error },
    #[error("{path} is damaged: {source}")]
    Damaged {
        path: String,
        source: serde_json::Error,
    },
}

#[derive(Debug, Default, Deserialize)]
struct ConfigFile {
    #[serde(rename = "currentContext", default)]
    current_context: String,
}

#[derive(Debug, Deserialize)]
struct Meta {
    #[serde(rename = "Endpoints", default)]
    endpoints: Endpoints,
}

#[derive(Debug, Default, Deserialize)]
struct Endpoints {
    docker: Option<Endpoint>,
}

#[derive(Debug, Deserialize)]
struct Endpoint {
    #[serde(rename = "Host", default)]
    host: String,
}

/// The address of the daemon that is meant.
pub fn host(choice: &Choice) -> Result<String, Error> {
    match choice.host_flags.as_slice() {
        [] => {}
        [_] if choice.context_flag.is_some() => return Err(Error::HostAndContext),
        [host] => return Ok(host.clone()),
        _ => return Err(Error::SeveralHosts),
    }
    if let Some(context) = &choice.context_flag {
        return of_context(choice, context);
    }
    if let Some(host) = choice
        .host_variable
        .as_ref()
        .filter(|host| !host.is_empty())
    {
        return Ok(host.clone());
    }
    let named = choice
        .context_variable
        .clone()
        .filter(|name| !name.is_empty());
    let context = match named {
        Some(context) => context,
        None => current_context(&choice.config)?,
    };
    of_context(choice, &context)
}

fn of_context(choice: &Choice, name: &str) -> Result<String, Error> {
    if name.is_empty() || name == DEFAULT_CONTEXT {
        let host = choice.host_variable.clone().filter(|host| !host.is_empty());
        return Ok(host.unwrap_or_else(|| DEFAULT_HOST.to_owned()));
    }
    let folder: String = Sha256::digest(name.as_bytes())
        .iter()
        .map(|byte| format!("{byte:02x}"))
        .collect();
    let path = choice
        .config
        .join("contexts/meta")
        .join(folder)
        .join("meta.json");
    let meta: Meta = read(&path)?.ok_or_else(|| Error::NoContext(name.to_owned()))?;
    let endpoint = meta
        .endpoints
        .docker
        .filter(|docker| !docker.host.is_empty());
    endpoint
        .map(|docker| docker.host)
        .ok_or_else(|| Error::NoEndpoint(name.to_owned()))
}

fn current_context(config: &Path) -> Result<String, Error> {
    let file: Option<ConfigFile> = read(&config.join("config.json"))?;
    Ok(file.unwrap_or_default().current_context)
}

/// A JSON file; `None` if it is not there.
fn read<T: for<'de> Deserialize<'de>>(path: &Path) -> Result<Option<T>, Error> {
    let shown = || path.display().to_string();
    let bytes = match fs::read(path) {
        Ok(bytes) => bytes,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
        Err(source) => {
            let path = shown();
            return Err(Error::Read { path, source });
        }
    };
    let value = serde_json::from_slice(&bytes);
    value.map(Some).map_err(|source| Error::Damaged {
        path: shown(),
        source,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A config folder with a context `far` at `tcp://far:2375`, made current if asked for.
    fn folder(current: Option<&str>) -> tempfile::TempDir {
        let folder = tempfile::tempdir().unwrap();
        // Folders of contexts are named by the SHA-256 of the context's name.
        let name = "512eea46ceb3921dff4363c7069d89d4964d1d9fccaa0f411851a7aa60a5c868";
        let meta = folder.path().join("contexts/meta").join(name);
        fs::create_dir_all(&meta).unwrap();
        let text = r#"{"Name":"far","Metadata":{},"Endpoints":{"docker":{"Host":"tcp://far:2375","SkipTLSVerify":false}}}"#;
        fs::write(meta.join("meta.json"), text).unwrap();
        if let Some(current) = current {
            let text = format!("{{\"auths\":{{}},\"currentContext\":\"{current}\"}}");
            fs::write(folder.path().join("config.json"), text).unwrap();
        }
        folder
    }

    fn choice(folder: &tempfile::TempDir) -> Choice {
        Choice {
            config: folder.path().to_owned(),
            ..Choice::default()
        }
    }

    #[test]
    fn without_any_word_the_default_socket_is_meant() {
        assert_eq!(host(&choice(&folder(None))).unwrap(), DEFAULT_HOST);
    }

    #[test]
    fn the_current_context_gives_way_to_variable_and_flag() {
        let folder = folder(Some("far"));
        let current = choice(&folder);
        assert_eq!(host(&current).unwrap(), "tcp://far:2375");
        let variable = Choice {
            host_variable: Some("unix:///v.sock".to_owned()),
            ..current
        };
        assert_eq!(host(&variable).unwrap(), "unix:///v.sock");
        let context = Choice {
            context_flag: Some("far".to_owned()),
            ..variable.clone()
        };
        assert_eq!(host(&context).unwrap(), "tcp://far:2375");
        let flag = Choice {
            host_flags: vec!["unix:///f.sock".to_owned()],
            ..variable
        };
        assert_eq!(host(&flag).unwrap(), "unix:///f.sock");
    }

    #[test]
    fn the_context_variable_counts_without_a_host() {
        let folder = folder(None);
        let named = Choice {
            context_variable: Some("far".to_owned()),
            ..choice(&folder)
        };
        assert_eq!(host(&named).unwrap(), "tcp://far:2375");
        let default = Choice {
            context_flag: Some("default".to_owned()),
            ..named
        };
        assert_eq!(host(&default).unwrap(), DEFAULT_HOST);
    }

    #[test]
    fn what_contradicts_itself_or_is_not_there_is_refused() {
        let folder = folder(None);
        let unknown = Choice {
            context_flag: Some("near".to_owned()),
            ..choice(&folder)
        };
        assert_eq!(
            host(&unknown).unwrap_err().to_string(),
            "context \"near\" does not exist"
        );
        let both = Choice {
            host_flags: vec!["unix:///f.sock".to_owned()],
            ..unknown
        };
        assert!(matches!(host(&both), Err(Error::HostAndContext)));
        let several = Choice {
            host_flags: vec!["a".to_owned(), "b".to_owned()],
            ..choice(&folder)
        };
        assert!(matches!(host(&several), Err(Error::SeveralHosts)));
    }

    #[test]
    fn a_damaged_config_file_is_named() {
        let folder = folder(None);
        fs::write(folder.path().join("config.json"), "{").unwrap();
        let error = host(&choice(&folder)).unwrap_err().to_string();
        assert!(error.contains("config.json is damaged"), "{error}");
    }
}
