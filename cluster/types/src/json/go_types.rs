//! Names of Go types that serde's hints do not tell, as errors print them.
//!
//! A struct that is not in the table is called `swarm.` and its Rust name; a field that is not is
//! of the type its hint tells (`string` for a `String`).

/// Structs whose Go name or package is not `swarm.<our name>`. Source: moby `api/types`.
const STRUCTS: &[(&str, &str)] = &[
    ("BindOptions", "mount.BindOptions"),
    ("CaSettings", "swarm.CAConfig"),
    ("DiscreteResource", "swarm.DiscreteGenericResource"),
    ("DispatcherSettings", "swarm.DispatcherConfig"),
    ("DnsConfig", "swarm.DNSConfig"),
    ("EncryptionSettings", "swarm.EncryptionConfig"),
    ("ExternalCa", "swarm.ExternalCA"),
    ("FileTarget", "swarm.SecretReferenceFileTarget"),
    ("Global", "swarm.GlobalService"),
    ("HealthConfig", "v1.HealthcheckConfig"),
    ("Limits", "swarm.Limit"),
    ("Mode", "swarm.ServiceMode"),
    ("Mount", "mount.Mount"),
    ("NamedResource", "swarm.NamedGenericResource"),
    ("Orchestration", "swarm.OrchestrationConfig"),
    ("RaftSettings", "swarm.RaftConfig"),
    ("Replicated", "swarm.ReplicatedService"),
    ("SeLinuxContext", "swarm.SELinuxContext"),
    ("SwarmSpec", "swarm.Spec"),
    ("TmpfsOptions", "mount.TmpfsOptions"),
    ("Ulimit", "units.Ulimit"),
    ("VolumeOptions", "mount.VolumeOptions"),
];

/// Fields whose Go type serde's hint does not tell: (struct, any if empty; key; type).
const FIELDS: &[(&str, &str, &str)] = &[
    ("", "Availability", "swarm.NodeAvailability"),
    ("BindOptions", "Propagation", "mount.Propagation"),
    ("CaSettings", "NodeCertExpiry", "time.Duration"),
    ("ConfigSpec", "Data", "[]uint8"),
    ("ContainerSpec", "Isolation", "container.Isolation"),
    ("", "StopGracePeriod", "time.Duration"),
    ("", "Delay", "time.Duration"),
    ("EndpointSpec", "Mode", "swarm.ResolutionMode"),
    ("ExternalCa", "Protocol", "swarm.ExternalCAProtocol"),
    ("FileTarget", "Mode", "fs.FileMode"),
    ("", "HeartbeatPeriod", "time.Duration"),
    ("HealthConfig", "Interval", "time.Duration"),
    ("HealthConfig", "Retries", "int"),
    ("HealthConfig", "StartInterval", "time.Duration"),
    ("HealthConfig", "StartPeriod", "time.Duration"),
    ("HealthConfig", "Timeout", "time.Duration"),
    ("Mount", "Consistency", "mount.Consistency"),
    ("Mount", "Type", "mount.Type"),
    ("NodeSpec", "Role", "swarm.NodeRole"),
    ("PortConfig", "Protocol", "swarm.PortConfigProtocol"),
    ("PortConfig", "PublishMode", "swarm.PortConfigPublishMode"),
    ("RaftSettings", "ElectionTick", "int"),
    ("RaftSettings", "HeartbeatTick", "int"),
    ("RestartPolicy", "Condition", "swarm.RestartPolicyCondition"),
    ("RestartPolicy", "Window", "time.Duration"),
    ("SeccompOpts", "Mode", "swarm.SeccompMode"),
    ("SeccompOpts", "Profile", "[]uint8"),
    ("AppArmorOpts", "Mode", "swarm.AppArmorMode"),
    ("SecretSpec", "Data", "[]uint8"),
    ("TaskSpec", "Runtime", "swarm.RuntimeType"),
    ("TmpfsOptions", "Mode", "fs.FileMode"),
    ("UpdateConfig", "Monitor", "time.Duration"),
];

/// A struct's Go name with its package: `swarm.TaskSpec`.
pub(super) fn of_struct(name: &str) -> String {
    match STRUCTS.iter().find(|row| row.0 == name) {
        Some(row) => row.1.to_owned(),
        None => format!("swarm.{name}"),
    }
}

/// The Go type of a struct's field, where serde's hint tells another.
pub(super) fn of_field(owner: &str, key: &str) -> Option<&'static str> {
    let named = |row: &&(&str, &str, &str)| row.1 == key && (row.0 == owner || row.0.is_empty());
    FIELDS.iter().find(named).map(|row| row.2)
}
