//! One node put together: what runs in which role, and the one door the API comes in by.
//!
//! ```text
//!            apiproxy
//!               │ Node
//!   ┌───────────┴───────────────────────────────┐
//!   │ role: alone │ manager │ locked │ error    │
//!   │                                           │
//!   │  control ──plan──▶ store ──events──▶ leader (the loop)
//!   │     ▲                │                    │
//!   │   local              └─events─▶ dispatcher ──session──▶ agent ──▶ engine
//!   └───────────────────────────────────────────┘
//! ```
//!
//! A manager whose keys are wrapped by the unlock key starts locked: it reads nothing and runs nothing,
//! and the containers of its tasks run on, until somebody brings the key.
//!
//! [`Node`] starts alone. Making a swarm starts a manager: the store, the leader's loop, the
//! dispatcher and the agent, in this order; leaving one ends them in reverse.

mod address;
mod attachments;
mod authority;
mod ca_server;
mod clock;
mod config;
mod control;
mod depart;
mod desk;
mod dispatcher;
mod fitness;
mod force;
mod glance;
mod health;
mod home;
mod ids;
mod join;
mod lane;
mod leader;
mod leases;
mod live;
mod local;
mod lock;
mod log_relay;
mod logs;
mod manager;
mod managers;
mod membership;
mod moved;
mod networks;
mod peers;
mod presence;
mod quorum;
mod record;
mod recorder;
mod renew;
mod role;
mod seat;
mod service;
mod status_relay;
mod trouble;
mod trust;
mod turn;
mod unbound;
mod way;
mod worker;

pub use config::Config;
pub use control::{Changed, Rotation};
pub use glance::{ManagerGlance, Measures, Space};
pub use health::{Health, check_engine};
pub use leases::Lease;
pub use local::{ClusterView, Standing, State as SwarmState};
pub use logs::{LogSelector, ServiceLogs};
pub use recorder::Recorder;
pub use role::{Node, NodeError};
pub use swarmrs_agent::network::facts::Facts;
pub use swarmrs_agent::network::label;
pub use swarmrs_agent::network::link::{Link, resolve_with_us};
pub use swarmrs_agent::network::twin::{
    Table as TwinTable, Twin, Twins, is_overlay as is_overlay_twin, read as read_twin,
};
pub use swarmrs_agent::network::way_out;
pub use swarmrs_agent::{Networks, Policy, SocketMap};
pub use swarmrs_network::{BoundPort, Launch, holder};
pub use swarmrs_rpc::message::join::ManagerAddress;
pub use swarmrs_store::{LogEngine, panic_is_contained};
