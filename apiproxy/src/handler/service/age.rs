//! A spec as a client of an older version may mean it: fields that are younger than its version do not count.
//!
//! The versions are those of moby's code (`daemon/server/router/swarm/helpers.go`), not of its changelog. Docker drops such
//! fields without a word; we name them, since a client may rely on what is not done (no new privileges, for one).

use swarmrs_types::spec::{ContainerSpec, ServiceSpec};

use crate::route::ApiVersion;
use crate::version::version;

/// What was dropped: a field and the minor version that first has it.
#[derive(Debug, Default)]
pub(super) struct Dropped(Vec<(&'static str, u32)>);

impl Dropped {
    /// A sentence for each field.
    pub(super) fn warnings(&self) -> impl Iterator<Item = String> {
        let told = |(field, minor): &(&str, u32)| {
            format!("field {field} was ignored: it needs API version 1.{minor}")
        };
        self.0.iter().map(told)
    }

    /// Empties a field, and notes it if it said anything.
    fn take<T: Default + PartialEq>(&mut self, field: &mut T, path: &'static str, minor: u32) {
        if std::mem::take(field) != T::default() {
            self.0.push((path, minor));
        }
    }
}

/// Drops what the version does not have, and says what that was.
pub(super) fn of_version(mut spec: ServiceSpec, asked: ApiVersion) -> (ServiceSpec, Dropped) {
    let mut dropped = Dropped::default();
    if asked < version(1, 40) {
        before_1_40(&mut spec, &mut dropped);
    }
    if asked < version(1, 41) {
        before_1_41(&mut spec, &mut dropped);
    }
    if asked < version(1, 44) {
        before_1_44(&mut spec, &mut dropped);
    } else {
        // Read from older clients only; newer ones send it empty or twice.
        spec.networks.clear();
    }
    if asked < version(1, 46) {
        before_1_46(&mut spec, &mut dropped);
    }
    if asked < version(1, 52) {
        before_1_52(&mut spec, &mut dropped);
    }
    (spec, dropped)
}

fn container(spec: &mut ServiceSpec) -> Option<&mut ContainerSpec> {
    spec.task_template.container_spec.as_mut()
}

fn before_1_40(spec: &mut ServiceSpec, dropped: &mut Dropped) {
    if let Some(container) = container(spec) {
        dropped.take(&mut container.sysctls, "ContainerSpec.Sysctls", 40);
        let credentials = container.privileges.as_mut();
        if let Some(credentials) = credentials.and_then(|p| p.credential_spec.as_mut()) {
            let path = "ContainerSpec.Privileges.CredentialSpec.Config";
            dropped.take(&mut credentials.config, path, 40);
        }
        for config in &mut container.configs {
            dropped.take(&mut config.runtime, "ContainerSpec.Configs.Runtime", 40);
        }
    }
    if let Some(placement) = &mut spec.task_template.placement {
        dropped.take(&mut placement.max_replicas, "Placement.MaxReplicas", 40);
    }
}

/// A job becomes a service of one replica, since nothing else is left of its mode.
fn before_1_41(spec: &mut ServiceSpec, dropped: &mut Dropped) {
    if let Some(container) = container(spec) {
        let capabilities = [
            (&mut container.capability_add, "ContainerSpec.CapabilityAdd"),
            (
                &mut container.capability_drop,
                "ContainerSpec.CapabilityDrop",
            ),
        ];
        for (field, path) in capabilities {
            dropped.take(field, path, 41);
        }
        dropped.take(&mut container.ulimits, "ContainerSpec.Ulimits", 41);
    }
    let resources = spec.task_template.resources.as_mut();
    if let Some(limits) = resources.and_then(|resources| resources.limits.as_mut()) {
        dropped.take(&mut limits.pids, "Resources.Limits.Pids", 41);
    }
    dropped.take(&mut spec.mode.replicated_job, "Mode.ReplicatedJob", 41);
    dropped.take(&mut spec.mode.global_job, "Mode.GlobalJob", 41);
}

fn before_1_44(spec: &mut ServiceSpec, dropped: &mut Dropped) {
    let Some(container) = container(spec) else {
        return;
    };
    if let Some(privileges) = &mut container.privileges {
        let path = "ContainerSpec.Privileges.Seccomp";
        dropped.take(&mut privileges.seccomp, path, 44);
        let path = "ContainerSpec.Privileges.AppArmor";
        dropped.take(&mut privileges.app_armor, path, 44);
        let path = "ContainerSpec.Privileges.NoNewPrivileges";
        dropped.take(&mut privileges.no_new_privileges, path, 44);
    }
    if let Some(healthcheck) = &mut container.healthcheck {
        let path = "ContainerSpec.Healthcheck.StartInterval";
        dropped.take(&mut healthcheck.start_interval, path, 44);
    }
}

fn before_1_46(spec: &mut ServiceSpec, dropped: &mut Dropped) {
    let Some(container) = container(spec) else {
        return;
    };
    dropped.take(
        &mut container.oom_score_adj,
        "ContainerSpec.OomScoreAdj",
        46,
    );
    for mount in &mut container.mounts {
        if let Some(tmpfs) = &mut mount.tmpfs_options {
            let path = "ContainerSpec.Mounts.TmpfsOptions.Options";
            dropped.take(&mut tmpfs.options, path, 46);
        }
    }
}

fn before_1_52(spec: &mut ServiceSpec, dropped: &mut Dropped) {
    if let Some(resources) = &mut spec.task_template.resources {
        dropped.take(&mut resources.swap_bytes, "Resources.SwapBytes", 52);
        let path = "Resources.MemorySwappiness";
        dropped.take(&mut resources.memory_swappiness, path, 52);
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
        let kept = serde_json::to_value(of_version(spec, version(1, minor)).0).unwrap();
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

    #[test]
    fn what_was_dropped_is_named_with_the_version_that_has_it() {
        let warnings = |spec: Value, minor| {
            let spec: ServiceSpec = serde_json::from_value(spec).unwrap();
            let (_, dropped) = of_version(spec, version(1, minor));
            dropped.warnings().collect::<Vec<_>>()
        };
        assert_eq!(warnings(full(), 40).len(), 13);
        assert_eq!(
            warnings(json!({"Networks": [{"Target": "n"}]}), 44),
            [""; 0]
        );
        let secured =
            json!({"TaskTemplate": {"ContainerSpec": {"Privileges": {"NoNewPrivileges": true}}}});
        assert_eq!(
            warnings(secured, 41),
            [
                "field ContainerSpec.Privileges.NoNewPrivileges was ignored: it needs API version 1.44"
            ]
        );
    }
}
