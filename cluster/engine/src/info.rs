//! The engine itself: which release it is, and what the node beneath it can do.
//!
//! This is what a node's description is made of, so the parts that Swarm schedules by have fields; the whole answer is
//! kept in `raw` for who needs more (the proxy lays its own `/info` over it).

use std::collections::BTreeMap;

use serde_json::Value;

use crate::call::Call;
use crate::client::Engine;
use crate::error::Error;
use crate::raw;
use crate::version::ApiVersion;

/// `GET /version`.
#[derive(Debug, Clone, PartialEq)]
pub struct EngineVersion {
    /// The release, `20.10.24+dfsg1`.
    pub version: String,
    /// The newest API the engine speaks.
    pub api_version: ApiVersion,
    /// The oldest one.
    pub min_api_version: ApiVersion,
    pub raw: Value,
}

/// `GET /info`.
#[derive(Debug, Clone, PartialEq)]
pub struct EngineInfo {
    /// The host's name.
    pub name: String,
    /// As Go names it: `linux`.
    pub os: String,
    /// As the kernel names it: `x86_64`.
    pub arch: String,
    pub ncpu: i64,
    /// Bytes of memory in total.
    pub memory: i64,
    /// The release, as in [`EngineVersion::version`].
    pub version: String,
    /// The daemon's own labels; of a repeated key the last one counts, as in Swarm.
    pub labels: BTreeMap<String, String>,
    pub plugins: Plugins,
    /// The engine is itself in swarm mode (or locked, or on its way): swarmrs must not drive it.
    pub swarm_active: bool,
    pub root_dir: String,
    /// `cgroupfs` or `systemd`.
    pub cgroup_driver: String,
    /// `1` or `2`.
    pub cgroup_version: String,
    pub raw: Value,
}

/// The engine's plugins, by what they do.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Plugins {
    pub volume: Vec<String>,
    pub network: Vec<String>,
    pub log: Vec<String>,
    pub authorization: Vec<String>,
}

impl Engine {
    pub async fn version(&self) -> Result<EngineVersion, Error> {
        let raw = self
            .json(&Call::get("/version"), self.limits().read)
            .await?;
        let api = |pointer| {
            let text = raw::text(&raw, pointer);
            ApiVersion::parse(&text).ok_or_else(|| {
                Error::protocol(
                    "GET /version",
                    format!("{pointer} is not a version: {text:?}"),
                )
            })
        };
        let (api_version, min_api_version) = (api("/ApiVersion")?, api("/MinAPIVersion")?);
        Ok(EngineVersion {
            version: raw::text(&raw, "/Version"),
            api_version,
            min_api_version,
            raw,
        })
    }

    pub async fn info(&self) -> Result<EngineInfo, Error> {
        let raw = self.json(&Call::get("/info"), self.limits().read).await?;
        Ok(EngineInfo::from_raw(raw))
    }
}

impl EngineInfo {
    fn from_raw(raw: Value) -> Self {
        Self {
            name: raw::text(&raw, "/Name"),
            os: raw::text(&raw, "/OSType"),
            arch: raw::text(&raw, "/Architecture"),
            ncpu: raw::number(&raw, "/NCPU"),
            memory: raw::number(&raw, "/MemTotal"),
            version: raw::text(&raw, "/ServerVersion"),
            labels: labels(raw::texts(&raw, "/Labels")),
            plugins: Plugins {
                volume: raw::texts(&raw, "/Plugins/Volume"),
                network: raw::texts(&raw, "/Plugins/Network"),
                log: raw::texts(&raw, "/Plugins/Log"),
                authorization: raw::texts(&raw, "/Plugins/Authorization"),
            },
            swarm_active: !matches!(
                raw::text(&raw, "/Swarm/LocalNodeState").as_str(),
                "" | "inactive"
            ),
            root_dir: raw::text(&raw, "/DockerRootDir"),
            cgroup_driver: raw::text(&raw, "/CgroupDriver"),
            cgroup_version: raw::text(&raw, "/CgroupVersion"),
            raw,
        }
    }
}

/// `key=value` lines to a map; a label without a value has an empty one.
fn labels(lines: Vec<String>) -> BTreeMap<String, String> {
    let split = |line: String| match line.split_once('=') {
        Some((key, value)) => (key.to_owned(), value.to_owned()),
        None => (line, String::new()),
    };
    lines.into_iter().map(split).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn of_a_repeated_label_the_last_one_counts() {
        let info = EngineInfo::from_raw(json!({"Labels": ["a=1", "bare", "a=2=3"]}));
        assert_eq!(
            info.labels,
            BTreeMap::from([("a".into(), "2=3".into()), ("bare".into(), String::new())])
        );
    }

    #[test]
    fn every_swarm_state_but_inactive_counts_as_swarm_mode() {
        let active = |state: &str| {
            EngineInfo::from_raw(json!({"Swarm": {"LocalNodeState": state}})).swarm_active
        };
        assert!(!active("inactive"));
        assert!(!EngineInfo::from_raw(json!({})).swarm_active);
        assert!(
            ["active", "pending", "locked", "error"]
                .into_iter()
                .all(active)
        );
    }
}
