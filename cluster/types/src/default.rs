//! Defaults, one constant each, with where the number comes from.

use crate::time::Nanos;
use std::time::Duration;

/// Tasks kept per slot, the live one included. Source: swarmkit `manager/manager.go`.
pub const TASK_HISTORY: i64 = 5;
/// Entries between snapshots as the API shows it. Source: swarmkit `DefaultRaftConfig`.
pub const SNAPSHOT_INTERVAL: u64 = 10_000;
/// Entries kept behind a snapshot as the API shows it. Source: as above.
pub const LOG_ENTRIES_FOR_SLOW_FOLLOWERS: u64 = 500;
/// Ticks as the API shows them. Source: as above.
pub const HEARTBEAT_TICK: i64 = 1;
pub const ELECTION_TICK: i64 = 10;
/// Time without a sign of life until a node is down.
pub const HEARTBEAT_PERIOD: Nanos = Nanos::from_secs(5);
/// A node that is down for this long is not expected to report on its tasks any more.
/// Source: swarmkit `manager/dispatcher/dispatcher.go`, `defaultNodeDownPeriod`.
pub const NODE_DOWN_PERIOD: Duration = Duration::from_secs(24 * 3600);
/// Validity of node certificates: 90 days. Source: swarmkit `ca/config.go`.
pub const NODE_CERT_EXPIRY: Nanos = Nanos::from_secs(90 * 24 * 3600);
/// The shortest validity a user may ask for. Source: as above.
pub const MIN_NODE_CERT_EXPIRY: Nanos = Nanos::from_secs(3600);
/// Where subnets are taken from. Source: swarmkit `manager/allocator`.
pub const ADDR_POOL: &str = "10.0.0.0/8";
/// Prefix length of a subnet from the pool. Source: as above.
pub const SUBNET_SIZE: u32 = 24;
/// Ports of the mesh that the swarm draws from. Source: moby `libnetwork/cnmallocator/portallocator.go`.
pub const FIRST_DRAWN_PORT: u32 = 30_000;
pub const LAST_DRAWN_PORT: u32 = 32_767;
/// UDP port of VXLAN. Source: moby `daemon/cluster`.
pub const DATA_PATH_PORT: u32 = 4789;
/// TCP port on which nodes speak to each other. Source: as above.
pub const SWARM_PORT: u16 = 2377;
/// Wait before a replacement starts. Source: swarmkit `api/defaults/service.go`.
pub const RESTART_DELAY: Duration = Duration::from_secs(5);
/// How long a replacement waits for the old task to stop. Source: swarmkit `restart.go`.
pub const OLD_TASK_PATIENCE: Duration = Duration::from_secs(60);
/// How long a new task is watched by an update. Source: swarmkit `api/defaults/service.go`.
pub const UPDATE_MONITOR: Duration = Duration::from_secs(5);
/// Slots updated at a time if there is no update config. Source: as above.
pub const UPDATE_PARALLELISM: u64 = 1;
/// Time between the stop signal and SIGKILL. Source: as above.
pub const STOP_GRACE: Duration = Duration::from_secs(10);
/// How long one request to the cluster may take. Source: moby `daemon/cluster/cluster.go`.
pub const REQUEST_TIMEOUT: Duration = Duration::from_secs(20);
/// A secret is smaller than this. Source: swarmkit `api/validation/secrets.go`.
pub const MOST_SECRET: usize = 500 * 1024;
/// A config is smaller than this. Source: swarmkit `manager/controlapi/config.go`.
pub const MOST_CONFIG: usize = 1000 * 1024;
