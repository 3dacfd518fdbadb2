//! Which dangerous powers this node gives to tasks: a file on the node says so, and no manager can say otherwise.
//!
//! Whoever may create services is root on every node that runs them, by a bind of `/` alone. A node with a policy is safer:
//! a task that asks for more than the policy allows is rejected here, with the reason. What the file does not mention is
//! allowed, as without a file. Keys that this release does not know are refused: a rule must not be lost to a misspelling.

use super::config::{Request, Unfit};
use serde::Deserialize;
use serde_json::Value;
use std::path::{Path, PathBuf};

/// What a task may be given.
#[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
pub struct Policy {
    /// Capabilities that may be added to the engine's own set; absent: any.
    capabilities: Option<Vec<String>>,
    /// Folders of the host that may be mounted, with all below them; absent: any.
    host_paths: Option<Vec<PathBuf>>,
    /// Whether a task may be in the host's own network.
    host_network: Option<bool>,
    /// Whether a task may replace or leave the engine's seccomp, AppArmor and SELinux confinement.
    own_confinement: Option<bool>,
}

impl Policy {
    /// Reads a policy's JSON.
    ///
    /// # Errors
    /// If it is not one.
    pub fn parse(text: &str) -> Result<Self, serde_json::Error> {
        serde_json::from_str(text)
    }

    /// Whether the engine may be asked for this. `payloads` is the folder of the task's own secrets and configs, which it may
    /// always have. Looks at the file system for links.
    pub(super) fn check(&self, request: &Request, payloads: &Path) -> Result<(), Unfit> {
        let host = &request.container["HostConfig"];
        self.check_capabilities(host)?;
        self.check_paths(host, &request.volumes, payloads)?;
        if self.host_network == Some(false) && host["NetworkMode"] == "host" {
            return refuse("the host's network");
        }
        if self.own_confinement == Some(false) {
            let options = texts(&host["SecurityOpt"]);
            let own = |option: &&str| !option.starts_with("no-new-privileges");
            if let Some(option) = options.into_iter().find(own) {
                let kind = option.split(['=', ':']).next().unwrap_or_default();
                return refuse(&format!("a {kind} confinement of its own"));
            }
        }
        Ok(())
    }

    fn check_capabilities(&self, host: &Value) -> Result<(), Unfit> {
        let Some(allowed) = &self.capabilities else {
            return Ok(());
        };
        let allowed: Vec<String> = allowed.iter().map(|name| capability(name)).collect();
        for name in texts(&host["CapAdd"]) {
            if !allowed.contains(&capability(name)) {
                return refuse(&format!("the capability {name}"));
            }
        }
        Ok(())
    }

    /// Binds, and volumes that are binds by their driver's options.
    fn check_paths(&self, host: &Value, volumes: &[Value], payloads: &Path) -> Result<(), Unfit> {
        let Some(allowed) = &self.host_paths else {
            return Ok(());
        };
        let allowed = [&allowed[..], &[payloads.to_owned()]].concat();
        let mounts = host["Mounts"].as_array().into_iter().flatten();
        let binds = mounts
            .clone()
            .filter(|mount| mount["Type"] == "bind")
            .map(|mount| &mount["Source"]);
        let options =
            mounts.map(|mount| &mount["VolumeOptions"]["DriverConfig"]["Options"]["device"]);
        let devices = volumes.iter().map(|volume| &volume["DriverOpts"]["device"]);
        for source in binds
            .chain(options)
            .chain(devices)
            .filter_map(Value::as_str)
        {
            if source.starts_with('/') && !is_below(Path::new(source), &allowed) {
                return refuse(&format!("the host path {source}"));
            }
        }
        Ok(())
    }
}

/// A path counts where its links lead; one that is not there yet, by its text, which must not go up.
fn is_below(path: &Path, allowed: &[PathBuf]) -> bool {
    let real = path.canonicalize().unwrap_or_else(|_| path.to_owned());
    let goes_up = real
        .components()
        .any(|part| part == std::path::Component::ParentDir);
    !goes_up
        && allowed.iter().any(|folder| {
            let folder = folder.canonicalize().unwrap_or_else(|_| folder.clone());
            real.starts_with(folder)
        })
}

/// As the kernel's list has it, without `CAP_`.
fn capability(name: &str) -> String {
    let name = name.to_uppercase();
    name.strip_prefix("CAP_").unwrap_or(&name).to_owned()
}

fn texts(list: &Value) -> Vec<&str> {
    let items = list.as_array().into_iter().flatten();
    items.filter_map(Value::as_str).collect()
}

fn refuse(what: &str) -> Result<(), Unfit> {
    Err(Unfit(format!(
        "the policy of this node does not allow {what}"
    )))
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn refusal(policy: Value, host: Value, volumes: Vec<Value>) -> Option<String> {
        let policy = Policy::parse(&policy.to_string()).unwrap();
        let container = json!({ "HostConfig": host });
        let request = Request { volumes, container };
        policy
            .check(&request, Path::new("/payloads/task"))
            .err()
            .map(|unfit| unfit.0)
    }

    fn told(policy: Value, host: Value) -> String {
        let text = refusal(policy, host, Vec::new()).unwrap_or_default();
        text.trim_start_matches("the policy of this node does not allow ")
            .to_owned()
    }

    #[test]
    fn what_is_not_mentioned_is_allowed() {
        let host = json!({
            "CapAdd": ["ALL"], "NetworkMode": "host", "SecurityOpt": ["seccomp=unconfined"],
            "Mounts": [{"Type": "bind", "Source": "/"}],
        });
        assert_eq!(told(json!({}), host), "");
    }

    #[test]
    fn each_power_is_refused_by_name() {
        let caps = json!({"capabilities": ["CAP_NET_ADMIN", "sys_time"]});
        assert_eq!(
            told(
                caps.clone(),
                json!({"CapAdd": ["NET_ADMIN", "CAP_SYS_TIME"]})
            ),
            ""
        );
        assert_eq!(
            told(caps.clone(), json!({"CapAdd": ["CAP_SYS_ADMIN"]})),
            "the capability CAP_SYS_ADMIN"
        );
        assert_eq!(told(caps, json!({"CapAdd": ["ALL"]})), "the capability ALL");
        let network = json!({"host-network": false});
        assert_eq!(
            told(network.clone(), json!({"NetworkMode": "host"})),
            "the host's network"
        );
        assert_eq!(told(network, json!({"NetworkMode": "bridge"})), "");
        let confined = json!({"own-confinement": false});
        for option in [
            "seccomp=unconfined",
            "seccomp={\"defaultAction\":\"SCMP_ACT_ALLOW\"}",
        ] {
            assert_eq!(
                told(confined.clone(), json!({"SecurityOpt": [option]})),
                "a seccomp confinement of its own"
            );
        }
        assert_eq!(
            told(confined.clone(), json!({"SecurityOpt": ["label=disable"]})),
            "a label confinement of its own"
        );
        assert_eq!(
            told(confined, json!({"SecurityOpt": ["no-new-privileges=true"]})),
            ""
        );
    }

    #[test]
    fn host_paths_count_where_their_links_lead() {
        let folder = tempfile::tempdir().unwrap();
        let path = |name: &str| folder.path().join(name).to_str().unwrap().to_owned();
        std::fs::create_dir(path("data")).unwrap();
        std::os::unix::fs::symlink("/etc", path("data/link")).unwrap();
        let policy = json!({"host-paths": [path("data")]});
        let bind =
            |source: &str| json!({"Mounts": [{"Type": "bind", "Source": source, "Target": "/x"}]});
        assert_eq!(told(policy.clone(), bind("/payloads/task/1")), "");
        assert!(told(policy.clone(), bind("/payloads/other/1")).contains("/payloads/other/1"));
        assert!(told(policy.clone(), bind("/payloads/task/../other/1")).contains("the host path"));
        for fine in [path("data"), path("data/below"), path("data/./x")] {
            assert_eq!(told(policy.clone(), bind(&fine)), "", "{fine}");
        }
        for wrong in [
            "/",
            "/etc",
            &path("data/link"),
            &path("data/none/../../../etc"),
            &path("database"),
        ] {
            assert_eq!(
                told(policy.clone(), bind(wrong)),
                format!("the host path {wrong}")
            );
        }
        let volume = json!({"Mounts": [{"Type": "volume", "Source": "v", "VolumeOptions": {"DriverConfig": {"Options": {"type": "none", "o": "bind", "device": "/etc"}}}}]});
        assert_eq!(told(policy.clone(), volume), "the host path /etc");
        let made = vec![json!({"Name": "v", "DriverOpts": {"device": "/etc", "o": "bind"}})];
        assert!(refusal(policy.clone(), json!({}), made).is_some());
        let remote =
            vec![json!({"Name": "v", "DriverOpts": {"device": ":/export", "type": "nfs"}})];
        assert_eq!(refusal(policy, json!({}), remote), None);
    }

    #[test]
    fn a_key_that_is_not_known_is_no_policy() {
        for text in [
            r#"{"host-network": false, "privilege": false}"#,
            "[]",
            "",
            r#"{"capabilities": "ALL"}"#,
        ] {
            assert!(Policy::parse(text).is_err(), "{text}");
        }
    }
}
