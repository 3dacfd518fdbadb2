//! What this node says it is, made from what its engine says. Pure.

use std::collections::BTreeSet;
use swarmrs_engine::EngineInfo;
use swarmrs_types::spec::{
    EngineDescription, GenericResource, NodeDescription, Platform, PluginDescription, Resources,
    TlsInfo,
};

/// 10⁹ is one CPU.
const NANO: i64 = 1_000_000_000;

/// The description the managers schedule by. `own` is what swarmrsd was told the node has beside
/// CPUs and memory.
pub fn describe(
    engine: &EngineInfo,
    own: &[GenericResource],
    tls_info: &TlsInfo,
) -> NodeDescription {
    NodeDescription {
        hostname: engine.name.clone(),
        platform: Platform {
            architecture: engine.arch.clone(),
            os: engine.os.clone(),
        },
        resources: Resources {
            nano_cpus: engine.ncpu.saturating_mul(NANO),
            memory_bytes: engine.memory,
            generic_resources: match own {
                [] => generic_resources(engine),
                own => own.to_vec(),
            },
        },
        engine: EngineDescription {
            engine_version: engine.version.clone(),
            labels: engine.labels.clone(),
            plugins: plugins(engine),
        },
        tls_info: tls_info.clone(),
    }
}

/// What the engine was configured with (`node-generic-resources`); in the same shape as a spec's.
fn generic_resources(engine: &EngineInfo) -> Vec<GenericResource> {
    let raw = &engine.raw["GenericResources"];
    serde_json::from_value(raw.clone()).unwrap_or_default()
}

/// Sorted, each once. `overlay` is there whatever the engine says: it is ours.
fn plugins(engine: &EngineInfo) -> Vec<PluginDescription> {
    let kinds = [
        ("Authorization", &engine.plugins.authorization),
        ("Log", &engine.plugins.log),
        ("Network", &engine.plugins.network),
        ("Volume", &engine.plugins.volume),
    ];
    let plugin = |kind: &str, name: &str| PluginDescription {
        kind: kind.to_owned(),
        name: name.to_owned(),
    };
    let mut all: BTreeSet<_> = kinds
        .iter()
        .flat_map(|(kind, names)| names.iter().map(|name| plugin(kind, name)))
        .collect();
    all.insert(plugin("Network", "overlay"));
    all.into_iter().collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;
    use swarmrs_engine::Plugins;

    fn engine() -> EngineInfo {
        EngineInfo {
            name: "host".into(),
            os: "linux".into(),
            arch: "x86_64".into(),
            ncpu: 2,
            memory: 4096,
            version: "20.10.24".into(),
            labels: [("rack".to_owned(), "7".to_owned())].into(),
            plugins: Plugins {
                volume: vec!["nfs".into(), "local".into()],
                network: vec!["overlay".into(), "host".into()],
                log: vec!["json-file".into()],
                authorization: Vec::new(),
            },
            swarm_active: false,
            root_dir: String::new(),
            cgroup_driver: String::new(),
            cgroup_version: String::new(),
            raw: json!({"GenericResources": [
                {"DiscreteResourceSpec": {"Kind": "gpu", "Value": 2}},
            ]}),
        }
    }

    #[test]
    fn a_node_is_what_its_engine_says() {
        let description = describe(&engine(), &[], &TlsInfo::default());
        let expected = json!({
            "Hostname": "host",
            "Platform": {"Architecture": "x86_64", "OS": "linux"},
            "Resources": {
                "NanoCPUs": 2_000_000_000, "MemoryBytes": 4096,
                "GenericResources": [{"DiscreteResourceSpec": {"Kind": "gpu", "Value": 2}}],
            },
            "Engine": {
                "EngineVersion": "20.10.24",
                "Labels": {"rack": "7"},
                "Plugins": [
                    {"Type": "Log", "Name": "json-file"},
                    {"Type": "Network", "Name": "host"},
                    {"Type": "Network", "Name": "overlay"},
                    {"Type": "Volume", "Name": "local"},
                    {"Type": "Volume", "Name": "nfs"},
                ],
            },
            "TLSInfo": {},
        });
        assert_eq!(serde_json::to_value(description).unwrap(), expected);
    }

    #[test]
    fn what_swarmrsd_was_told_of_resources_takes_the_place_of_what_the_engine_was() {
        let own = [GenericResource::default()];
        let description = describe(&engine(), &own, &TlsInfo::default());
        assert_eq!(description.resources.generic_resources, own);
    }

    #[test]
    fn overlay_is_always_there() {
        let mut engine = engine();
        engine.plugins = Plugins::default();
        let plugins = describe(&engine, &[], &TlsInfo::default()).engine.plugins;
        assert_eq!(plugins.len(), 1);
        assert_eq!(
            (plugins[0].kind.as_str(), plugins[0].name.as_str()),
            ("Network", "overlay")
        );
    }
}
