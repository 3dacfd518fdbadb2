//! The swarm's settings: checks, defaults, and what is stored.

use super::NAME;
use crate::control::refused;
use crate::control::text::quoted;
use std::net::IpAddr;
use swarmrs_types::default;
use swarmrs_types::object::RootCa;
use swarmrs_types::spec::SwarmSpec;
use swarmrs_types::{Code, Fault, Nanos, Origin};

/// Longest prefix of a subnet: shorter ones hold fewer than six hosts.
const LONGEST_PREFIX: u32 = 29;

/// Ranges that subnets are taken from. An unset size means the default one.
pub(super) fn pool(ranges: &[String], subnet_size: u32) -> Result<(), Fault> {
    if ranges.is_empty() {
        return Ok(());
    }
    if subnet_size > LONGEST_PREFIX {
        return Err(failed(format!(
            "subnet size is out of range: {subnet_size}"
        )));
    }
    let size = match subnet_size {
        0 => default::SUBNET_SIZE,
        given => given,
    };
    for range in ranges {
        let Some(prefix) = prefix_of(range) else {
            return Err(failed(format!(
                "invalid base pool {range}: invalid CIDR address: {range}"
            )));
        };
        if size < prefix {
            return Err(failed(format!(
                "invalid CIDR: {}. Subnet size is too small for pool: {size}",
                quoted(range)
            )));
        }
    }
    Ok(())
}

fn prefix_of(range: &str) -> Option<u32> {
    let (base, prefix) = range.split_once('/')?;
    let base: IpAddr = base.parse().ok()?;
    let prefix: u32 = prefix.parse().ok()?;
    let bits = if base.is_ipv4() { 32 } else { 128 };
    (prefix <= bits).then_some(prefix)
}

/// The UDP port of VXLAN; unset means the default one.
pub(super) fn data_path_port(port: u32) -> Result<(), Fault> {
    if port == 0 || (1024..=49151).contains(&port) {
        return Ok(());
    }
    Err(failed(format!(
        "Datapath port number is not in valid range (1024-49151) : {port}"
    )))
}

/// External CAs must speak a protocol there is: one, in any case.
pub(super) fn protocols(spec: &SwarmSpec) -> Result<(), Fault> {
    let unknown = spec
        .ca_config
        .external_cas
        .iter()
        .find(|ca| !ca.protocol.eq_ignore_ascii_case("cfssl"));
    match unknown {
        Some(ca) => Err(Fault::invalid(format!(
            "invalid protocol: {}",
            quoted(&ca.protocol)
        ))),
        None => Ok(()),
    }
}

/// What the manager checks.
pub(super) fn check(spec: &SwarmSpec) -> Result<(), Fault> {
    let expiry = spec.ca_config.node_cert_expiry;
    if !expiry.is_zero() && expiry < default::MIN_NODE_CERT_EXPIRY {
        return Err(refused("minimum certificate expiry time is: 1h0m0s"));
    }
    if spec.dispatcher.heartbeat_period < Nanos(0) {
        return Err(refused(
            "heartbeat time period cannot be a negative duration",
        ));
    }
    Ok(())
}

/// At init the settings are an update of the swarm just made, whose failure is told as plain text.
pub(super) fn wrapped(fault: &Fault) -> Fault {
    let text = match fault.origin {
        Origin::Daemon => fault.text.clone(),
        Origin::Manager => format!("rpc error: code = {:?} desc = {}", fault.code, fault.text),
    };
    failed(format!("error updating cluster settings: {text}"))
}

/// What a new swarm has: the user's settings where they say something, else the defaults.
pub(super) fn over_defaults(spec: SwarmSpec) -> SwarmSpec {
    let mut base = SwarmSpec::default();
    base.orchestration.task_history_retention_limit = Some(default::TASK_HISTORY);
    base.raft.snapshot_interval = default::SNAPSHOT_INTERVAL;
    base.raft.log_entries_for_slow_followers = default::LOG_ENTRIES_FOR_SLOW_FOLLOWERS;
    base.raft.heartbeat_tick = default::HEARTBEAT_TICK;
    base.raft.election_tick = default::ELECTION_TICK;
    base.dispatcher.heartbeat_period = default::HEARTBEAT_PERIOD;
    base.ca_config.node_cert_expiry = default::NODE_CERT_EXPIRY;
    over(base, spec)
}

/// What is said in `spec` over what is in `base`: nothing said changes nothing, except that the lock is
/// as `spec` has it (moby `daemon/cluster/convert/swarm.go`).
pub(super) fn over(base: SwarmSpec, mut spec: SwarmSpec) -> SwarmSpec {
    or(&mut spec.labels, base.labels);
    let (raft, had) = (&mut spec.raft, base.raft);
    or(&mut raft.snapshot_interval, had.snapshot_interval);
    or(&mut raft.keep_old_snapshots, had.keep_old_snapshots);
    or(
        &mut raft.log_entries_for_slow_followers,
        had.log_entries_for_slow_followers,
    );
    or(&mut raft.heartbeat_tick, had.heartbeat_tick);
    or(&mut raft.election_tick, had.election_tick);
    or(
        &mut spec.dispatcher.heartbeat_period,
        base.dispatcher.heartbeat_period,
    );
    let (ca, had) = (&mut spec.ca_config, base.ca_config);
    or(&mut ca.node_cert_expiry, had.node_cert_expiry);
    or(&mut ca.external_cas, had.external_cas);
    or(&mut ca.force_rotate, had.force_rotate);
    or(
        &mut spec.orchestration.task_history_retention_limit,
        base.orchestration.task_history_retention_limit,
    );
    whole(spec)
}

/// What is stored: a name always, numbers where the API may leave them out, no signing key.
pub(super) fn whole(mut spec: SwarmSpec) -> SwarmSpec {
    spec.name = NAME.to_owned();
    let history = &mut spec.orchestration.task_history_retention_limit;
    history.get_or_insert(0);
    spec.raft.keep_old_snapshots.get_or_insert(0);
    spec.ca_config.signing_ca_cert.clear();
    spec.ca_config.signing_ca_key.clear();
    spec
}

/// An external CA of which it is not said for which root it issues does so for the one there is, and is no other root's
/// when that one is gone.
pub(super) fn of_root(mut spec: SwarmSpec, root: &RootCa) -> SwarmSpec {
    for external in &mut spec.ca_config.external_cas {
        or(&mut external.ca_cert, root.certificate.clone());
    }
    spec
}

fn or<T: Default + PartialEq>(value: &mut T, default: T) {
    if *value == T::default() {
        *value = default;
    }
}

/// 500 with the text alone: Docker gives these errors no class.
fn failed(text: String) -> Fault {
    Fault::daemon(Code::Unknown, text)
}
