//! Labels of ours in the engine. Clients do not see them.

/// On a network: whose twin it is.
pub const TWIN: &str = "swarmrs.network.id";
/// On a user's container: the token its leases know it by.
pub const LEASE: &str = "swarmrs.lease";
/// On a container that looks names up with us: what it was asked to use instead, `{"Dns": …, "DnsOptions": …}`.
pub const ASKED_DNS: &str = "swarmrs.dns";

/// Those of containers.
pub const OURS: [&str; 2] = [LEASE, ASKED_DNS];

/// Where names are looked up in every network of the swarm.
pub fn resolver() -> String {
    swarmrs_network::dns::ADDRESS.to_string()
}
