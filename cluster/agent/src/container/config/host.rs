//! `HostConfig`: what of the host a container gets.

use super::{Body, Unfit, port_key};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde_json::{Map, Value, json};
use swarmrs_types::assignment::Order;
use swarmrs_types::spec::{
    AppArmorMode, ContainerSpec, CredentialSpec, Driver, NetworkAttachmentConfig, PortConfig,
    Privileges, ResourceRequirements, SeLinuxContext, SeccompMode, SeccompOpts,
};

/// The whole of it.
pub fn config(order: &Order, spec: &ContainerSpec, mounts: Vec<Value>) -> Result<Value, Unfit> {
    let security = match &spec.privileges {
        Some(privileges) => security_options(privileges)?,
        None => Vec::new(),
    };
    let body = Body::default()
        .list("GroupAdd", &spec.groups)
        .list("CapAdd", &spec.capability_add)
        .list("CapDrop", &spec.capability_drop)
        .list("SecurityOpt", &security)
        .list("ExtraHosts", &extra_hosts(&spec.hosts))
        .number("OomScoreAdj", spec.oom_score_adj)
        .flag("ReadonlyRootfs", spec.read_only)
        .maybe("Init", spec.init)
        .text("Isolation", &spec.isolation)
        .map("Sysctls", texts(&spec.sysctls))
        // These two are there in every container of the stock swarm and of the stock command, empty if need be: clients
        // of the engine walk over them unasked.
        .put("Ulimits", json!(spec.ulimits))
        .put("PortBindings", Value::Object(bindings(&order.ports)))
        .maybe("Mounts", (!mounts.is_empty()).then_some(mounts))
        .maybe("LogConfig", order.spec.log_driver.as_ref().map(log_config))
        .maybe("NetworkMode", network_mode(order)?);
    let body = dns(body, spec);
    Ok(match &order.spec.resources {
        Some(resources) => limits(body, resources),
        None => body,
    }
    .done())
}

/// What the driver of the engine's network is told. Aliases mean nothing there: engines know containers of their own
/// networks by no other name, and stock drops them.
pub fn networks(order: &Order) -> Option<Value> {
    let network = engines(order).next()?;
    if network.driver_opts.is_empty() {
        return None;
    }
    let endpoint = json!({ "DriverOpts": network.driver_opts });
    let endpoints = Map::from_iter([(network.target.clone(), endpoint)]);
    Some(json!({ "EndpointsConfig": endpoints }))
}

/// The networks that every engine has; those that this node makes for its tasks are joined one by one.
fn engines(order: &Order) -> impl Iterator<Item = &NetworkAttachmentConfig> {
    let is_made = |name: &str| order.node_local.iter().any(|made| made.spec.name == name);
    let networks = order.spec.networks.iter();
    networks.filter(move |network| !is_made(&network.target))
}

/// The engine's own network of that name; without one, its default bridge. All that there are exclude each other; the
/// words are the engine's own, who would say them only after the container was made.
fn network_mode(order: &Order) -> Result<Option<String>, Unfit> {
    let mut names: Vec<&str> = engines(order).map(|n| n.target.as_str()).collect();
    names.dedup();
    match names.as_slice() {
        [] => Ok(None),
        [name] => Ok(Some((*name).to_owned())),
        several if several.contains(&"host") => Err(Unfit(
            "container sharing network namespace with another container or host cannot be connected to any other network"
                .to_owned(),
        )),
        _ => Err(Unfit(
            "container cannot be connected to multiple networks with one of the networks in private (none) mode"
                .to_owned(),
        )),
    }
}

/// Swap counts beside the memory limit in a spec and together with it in the engine.
fn limits(body: Body, resources: &ResourceRequirements) -> Body {
    let limits = resources.limits.clone().unwrap_or_default();
    let swap = resources.swap_bytes.map(|swap| match swap {
        -1 => -1,
        swap => limits.memory_bytes.saturating_add(swap),
    });
    body.number("Memory", limits.memory_bytes.max(0))
        .number("NanoCpus", limits.nano_cpus.max(0))
        .number("PidsLimit", limits.pids.max(0))
        .maybe("MemorySwap", swap)
        .maybe("MemorySwappiness", resources.memory_swappiness)
}

fn dns(body: Body, spec: &ContainerSpec) -> Body {
    let Some(dns) = &spec.dns_config else {
        return body;
    };
    let servers: Vec<String> = dns.nameservers.iter().map(ToString::to_string).collect();
    body.list("Dns", &servers)
        .list("DnsSearch", &dns.search)
        .list("DnsOptions", &dns.options)
}

/// `IP name [alias…]` to `name:IP`. Aliases are dropped, as stock does; a line without a name, too.
fn extra_hosts(lines: &[String]) -> Vec<String> {
    let entry = |line: &String| {
        let mut words = line.split_whitespace();
        let (ip, name) = (words.next()?, words.next()?);
        Some(format!("{name}:{ip}"))
    };
    lines.iter().filter_map(entry).collect()
}

/// A published port of 0 is left to the engine.
fn bindings(ports: &[PortConfig]) -> Map<String, Value> {
    let mut bindings: Map<String, Value> = Map::new();
    for port in ports {
        let binding = match port.published_port {
            0 => json!({"HostPort": ""}),
            published => json!({"HostPort": published.to_string()}),
        };
        let hosts = bindings.entry(port_key(port)).or_insert_with(|| json!([]));
        if let Value::Array(hosts) = hosts {
            hosts.push(binding);
        }
    }
    bindings
}

fn log_config(driver: &Driver) -> Value {
    json!({"Type": driver.name, "Config": driver.options})
}

fn security_options(privileges: &Privileges) -> Result<Vec<String>, Unfit> {
    let mut options = Vec::new();
    options.extend(privileges.credential_spec.as_ref().and_then(credentials));
    options.extend(privileges.selinux_context.iter().flat_map(selinux));
    if let Some(seccomp) = &privileges.seccomp {
        options.extend(seccomp_option(seccomp)?);
    }
    let apparmor = privileges
        .app_armor
        .as_ref()
        .and_then(|opts| opts.mode.as_ref());
    if apparmor == Some(&AppArmorMode::Disabled) {
        options.push("apparmor=unconfined".to_owned());
    }
    if privileges.no_new_privileges {
        options.push("no-new-privileges=true".to_owned());
    }
    Ok(options)
}

fn credentials(spec: &CredentialSpec) -> Option<String> {
    let sources = [
        ("config", &spec.config),
        ("file", &spec.file),
        ("registry", &spec.registry),
    ];
    let (scheme, source) = sources.into_iter().find(|(_, source)| !source.is_empty())?;
    Some(format!("credentialspec={scheme}://{source}"))
}

fn selinux(context: &SeLinuxContext) -> Vec<String> {
    let disable = context.disable.then(|| "label=disable".to_owned());
    let parts = [
        ("user", &context.user),
        ("role", &context.role),
        ("level", &context.level),
        ("type", &context.kind),
    ];
    let set = parts.into_iter().filter(|(_, value)| !value.is_empty());
    let labels = set.map(|(part, value)| format!("label={part}:{value}"));
    disable.into_iter().chain(labels).collect()
}

/// Modes that are not known count as the default, as stock does.
fn seccomp_option(seccomp: &SeccompOpts) -> Result<Option<String>, Unfit> {
    match &seccomp.mode {
        Some(SeccompMode::Unconfined) => Ok(Some("seccomp=unconfined".to_owned())),
        Some(SeccompMode::Custom) => {
            let profile = STANDARD.decode(&seccomp.profile).ok();
            let profile = profile.and_then(|bytes| String::from_utf8(bytes).ok());
            match profile {
                Some(profile) => Ok(Some(format!("seccomp={profile}"))),
                None => Err(Unfit(
                    "the custom seccomp profile is not base64 of a text".to_owned(),
                )),
            }
        }
        Some(SeccompMode::Default | SeccompMode::Other(_)) | None => Ok(None),
    }
}

fn texts(map: &std::collections::BTreeMap<String, String>) -> Map<String, Value> {
    map.iter()
        .map(|(key, value)| (key.clone(), json!(value)))
        .collect()
}
