//! What a container is given as files, and where. Pure.

use swarmrs_types::assignment::PayloadId;
use swarmrs_types::spec::{ContainerSpec, FileTarget};

/// One file.
#[derive(Clone, Debug, PartialEq)]
pub struct Entry<'a> {
    /// `secret` or `config`.
    pub kind: &'static str,
    /// The reference's id as it stands in the spec, and what it means; what is no id means nothing.
    pub id: &'a str,
    pub payload: Option<PayloadId>,
    /// Who may read it.
    pub target: &'a FileTarget,
    /// Its name in the task's folder.
    pub file_name: String,
    /// Its path in the container.
    pub path: String,
}

/// The files of a container: secrets, then configs. What is for the runtime is no file. Two at one path: the later one
/// lies over the other.
pub fn entries(container: &ContainerSpec) -> Vec<Entry<'_>> {
    let secrets = container.secrets.iter().enumerate();
    let secrets = secrets.filter_map(|(at, one)| {
        let payload = one.secret_id.parse().ok().map(PayloadId::Secret);
        let file = one.file.as_ref()?;
        Some(entry("secret", &one.secret_id, payload, file, at))
    });
    let configs = container.configs.iter().enumerate();
    let configs = configs.filter_map(|(at, one)| {
        let payload = one.config_id.parse().ok().map(PayloadId::Config);
        let file = one.file.as_ref()?;
        Some(entry("config", &one.config_id, payload, file, at))
    });
    let mut entries: Vec<Entry<'_>> = Vec::new();
    for entry in secrets.chain(configs) {
        entries.retain(|before| before.path != entry.path);
        entries.push(entry);
    }
    entries
}

fn entry<'a>(
    kind: &'static str,
    id: &'a str,
    payload: Option<PayloadId>,
    target: &'a FileTarget,
    at: usize,
) -> Entry<'a> {
    let folder = match kind {
        "secret" => "/run/secrets",
        _ => "",
    };
    let path = match target.name.starts_with('/') {
        true => clean(&target.name),
        false => clean(&format!("{folder}/{}", target.name)),
    };
    Entry {
        kind,
        id,
        payload,
        target,
        file_name: format!("{kind}-{at}"),
        path,
    }
}

/// An absolute path without `.`, `..` and doubled slashes, as Go's `filepath.Join` leaves it.
fn clean(path: &str) -> String {
    let mut parts: Vec<&str> = Vec::new();
    for part in path.split('/') {
        match part {
            "" | "." => {}
            ".." => {
                parts.pop();
            }
            part => parts.push(part),
        }
    }
    format!("/{}", parts.join("/"))
}

#[cfg(test)]
mod tests {
    use super::*;
    use swarmrs_types::spec::{ConfigReference, SecretReference};

    fn file(name: &str) -> Option<FileTarget> {
        Some(FileTarget {
            name: name.to_owned(),
            ..FileTarget::default()
        })
    }

    fn paths(secrets: &[&str], configs: &[&str]) -> Vec<(String, String)> {
        let secret = |name: &&str| SecretReference {
            file: file(name),
            ..SecretReference::default()
        };
        let config = |name: &&str| ConfigReference {
            file: file(name),
            ..ConfigReference::default()
        };
        let container = ContainerSpec {
            secrets: secrets.iter().map(secret).collect(),
            configs: configs.iter().map(config).collect(),
            ..ContainerSpec::default()
        };
        let entries = entries(&container).into_iter();
        entries.map(|one| (one.file_name, one.path)).collect()
    }

    fn owned(pairs: &[(&str, &str)]) -> Vec<(String, String)> {
        let pairs = pairs.iter();
        pairs.map(|(a, b)| (a.to_string(), b.to_string())).collect()
    }

    #[test]
    fn a_relative_secret_is_below_run_secrets_and_a_relative_config_below_the_root() {
        assert_eq!(
            paths(&["a", "b/c", "../d", "/e//f"], &["a", "/etc/g"]),
            owned(&[
                ("secret-0", "/run/secrets/a"),
                ("secret-1", "/run/secrets/b/c"),
                ("secret-2", "/run/d"),
                ("secret-3", "/e/f"),
                ("config-0", "/a"),
                ("config-1", "/etc/g"),
            ])
        );
    }

    #[test]
    fn of_two_at_one_path_the_later_is_seen() {
        assert_eq!(
            paths(&["/x", "y"], &["x"]),
            owned(&[("secret-1", "/run/secrets/y"), ("config-0", "/x")])
        );
    }
}
