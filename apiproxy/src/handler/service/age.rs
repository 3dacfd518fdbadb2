//! A spec as a client of an older version may mean it: fields that are younger than its version do not count.
//!
//! The versions are those of moby's code (`daemon/server/router/swarm/helpers.go`), not of its changelog.

use swarmrs_types::spec::{ContainerSpec, ServiceSpec};

use crate::route::ApiVersion;
use crate::version::version;

/// Drops what the version does not have.
pub(super) fn of_version(mut spec: ServiceSpec, asked: ApiVersion) -> ServiceSpec {
    if asked < version(1, 40) {
        before_1_40(&mut spec);
    }
    if asked < version(1, 41) {
        before_1_41(&mut spec);
    }
    if asked < version(1, 44) {
        before_1_44(&mut spec);
    } else {
        // Read from older clients only.
        spec.networks.clear();
    }
    if asked < version(1, 46) {
        before_1_46(&mut spec);
    }
    if asked < version(1, 52)
        && let Some(resources) = &mut spec.task_template.resources
    {
        resources.swap_bytes = None;
        resources.memory_swappiness = None;
    }
    spec
}

fn container(spec: &mut ServiceSpec) -> Option<&mut ContainerSpec> {
    spec.task_template.container_spec.as_mut()
}

fn before_1_40(spec: &mut ServiceSpec) {
    if let Some(container) = container(spec) {
        container.sysctls.clear();
        let credentials = container.privileges.as_mut();
        if let Some(credentials) = credentials.and_then(|p| p.credential_spec.as_mut()) {
            credentials.config.clear();
        }
        for config in &mut container.configs {
            config.runtime = None;
        }
    }
    if let Some(placement) = &mut spec.task_template.placement {
        placement.max_replicas = 0;
    }
}

/// A job becomes a service of one replica, since nothing else is left of its mode.
fn before_1_41(spec: &mut ServiceSpec) {
    if let Some(container) = container(spec) {
        container.capability_add.clear();
        container.capability_drop.clear();
        container.ulimits.clear();
    }
    let resources = spec.task_template.resources.as_mut();
    if let Some(limits) = resources.and_then(|resources| resources.limits.as_mut()) {
        limits.pids = 0;
    }
    spec.mode.replicated_job = None;
    spec.mode.global_job = None;
}

fn before_1_44(spec: &mut ServiceSpec) {
    let Some(container) = container(spec) else {
        return;
    };
    if let Some(privileges) = &mut container.privileges {
        privileges.seccomp = None;
        privileges.app_armor = None;
        privileges.no_new_privileges = false;
    }
    if let Some(healthcheck) = &mut container.healthcheck {
        healthcheck.start_interval = Default::default();
    }
}

fn before_1_46(spec: &mut ServiceSpec) {
    let Some(container) = container(spec) else {
        return;
    };
    container.oom_score_adj = 0;
    for mount in &mut container.mounts {
        if let Some(tmpfs) = &mut mount.tmpfs_options {
            tmpfs.options.clear();
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::{Value, json};

    fn full() -> Value {
        json!({
            "Labels": {},
            "TaskTemplate": {
                "ContainerSpec": {
                    "Privileges": {
                        "CredentialSpec": {"Config": "c", "File": "", "Registry": ""},
                        "SELinuxContext": null,
                        "Seccomp": {"Mode": "default"},
                        "AppArmor": {"Mode": "default"},
                        "NoNewPrivileges": true
                    },
                    "Mounts": [{"Type": "tmpfs", "TmpfsOptions": {"Options": [["noexec"]]}}],
                    "Healthcheck": {"StartInterval": 5},
                    "Configs": [{"Runtime": {}, "ConfigID": "i", "ConfigName": "n"}],
                    "Sysctls": {"a": "b"},
                    "CapabilityAdd": ["X"],
                    "CapabilityDrop": ["Y"],
                    "Ulimits": [{"Name": "n", "Hard": 1, "Soft": 1}],
                    "OomScoreAdj": 7
                },
                "Resources": {"Limits": {"Pids": 3}, "SwapBytes": 1, "MemorySwappiness": 1},
                "Placement": {"MaxReplicas": 2},
                "ForceUpdate": 0
            },
            "Mode": {"GlobalJob": {}},
            "Networks": [{"Target": "n"}]
        })
    }

    /// The paths that a version drops of a spec that has everything.
    fn dropped(minor: u32) -> Vec<String> {
        let spec: ServiceSpec = serde_json::from_value(full()).unwrap();
        let kept = serde_json::to_value(of_version(spec, version(1, minor))).unwrap();
        let mut gone = Vec::new();
        compare(&full(), &kept, "", &mut gone);
        gone
    }

    fn compare(before: &Value, after: &Value, path: &str, gone: &mut Vec<String>) {
        match (before, after) {
            (Value::Object(before), Value::Object(after)) => {
                for (key, value) in before {
                    match after.get(key) {
                        Some(kept) => compare(value, kept, &format!("{path}/{key}"), gone),
                        None => gone.push(format!("{path}/{key}").replace("/TaskTemplate/", "")),
                    }
                }
            }
            (Value::Array(before), Value::Array(after)) => {
                for (before, after) in before.iter().zip(after) {
                    compare(before, after, path, gone);
                }
            }
            (before, after) if before != after => {
                let is_zero = [json!(""), json!(false), json!(0)].contains(after);
                assert!(is_zero, "{path} became {after}");
                gone.push(path.replace("/TaskTemplate/", ""));
            }
            _ => {}
        }
    }

    #[test]
    fn each_version_drops_what_is_younger_and_nothing_else() {
        let since_52 = ["/Networks"];
        let since_46 = ["Resources/MemorySwappiness", "Resources/SwapBytes"];
        let since_44 = [
            "ContainerSpec/Mounts/TmpfsOptions/Options",
            "ContainerSpec/OomScoreAdj",
        ];
        let since_41 = [
            "ContainerSpec/Healthcheck/StartInterval",
            "ContainerSpec/Privileges/AppArmor",
            "ContainerSpec/Privileges/NoNewPrivileges",
            "ContainerSpec/Privileges/Seccomp",
        ];
        let since_40 = [
            "/Mode/GlobalJob",
            "ContainerSpec/CapabilityAdd",
            "ContainerSpec/CapabilityDrop",
            "ContainerSpec/Ulimits",
            "Resources/Limits/Pids",
        ];
        let before_40 = [
            "ContainerSpec/Configs/Runtime",
            "ContainerSpec/Privileges/CredentialSpec/Config",
            "ContainerSpec/Sysctls",
            "Placement/MaxReplicas",
        ];
        let sorted = |parts: &[&[&str]]| {
            let mut all: Vec<String> = parts.concat().iter().map(|p| (*p).to_owned()).collect();
            all.sort();
            all
        };
        let told = |minor| {
            let mut paths = dropped(minor);
            paths.sort();
            paths
        };
        assert_eq!(told(52), sorted(&[&since_52]));
        assert_eq!(told(46), sorted(&[&since_52, &since_46]));
        assert_eq!(told(44), sorted(&[&since_52, &since_46, &since_44]));
        assert_eq!(told(41), sorted(&[&since_46, &since_44, &since_41]));
        assert_eq!(
            told(40),
            sorted(&[&since_46, &since_44, &since_41, &since_40])
        );
        assert_eq!(
            told(39),
            sorted(&[&since_46, &since_44, &since_41, &since_40, &before_40])
        );
    }
}
