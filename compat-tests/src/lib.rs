//! What holds swarmrs against the real thing: real hosts, real engines, the stock `docker` command.
//!
//! Nothing here is shipped. It is library code because three users share it: the integration tests in `tests/`, the
//! benchmarks (`swarmrs-bench`) and `contrib/test.sh`.
//!
//! ```text
//!   Testbed ──► Host ──► namespaces held open by a holder process
//!                 │        ├─ Engine   a stock dockerd of its own
//!                 │        └─ Daemon   swarmrsd in front of it        (absent on the reference)
//!                 ├─ docker(["service", "ls"])   the stock command, with a deadline
//!                 └─ api("GET", "/nodes", …)     raw HTTP, byte for byte what the test wrote
//!
//!   clients    ──► registers read and written while managers fail; history judges what was seen
//!   transcript ──► one scenario, run on the reference swarm and on swarmrs, compared after masking
//!   vm         ──► a machine of its own under qemu, for reboots and power cuts
//!   paper      ──► an engine whose containers are on paper, for thousands of tasks
//!   bench      ──► alternating pairs of ours and what it is set against, medians and spread
//! ```
//!
//! Every testbed is swept when its owner ends, however it ends: see [`testbed`].

pub mod bench;
pub mod census;
pub mod clients;
pub mod command;
pub mod counts;
pub mod error;
pub mod history;
pub mod http;
pub mod observe;
pub mod paper;
pub mod recorder;
pub mod swarm;
pub mod testbed;
pub mod traces;
pub mod transcript;
pub mod vm;
pub mod wait;
pub mod web;

pub use error::Error;
pub use testbed::{Host, Options, Testbed};
