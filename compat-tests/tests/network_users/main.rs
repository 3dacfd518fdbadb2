//! What users do to networks beyond the ordinary, by the stock command: updates under load, bad input, other people's readers.
//!
//! Of a newcomer's tour it shows what the words promise: that an update fails no request (`load`) and breaks no connection
//! (`drained`), that a port answers whoever asks (`published`), behind a balancer too (`haproxy`), that names are found in every
//! way one asks (`resolvers`), and that networks have the subnets and the way out they were given (`subnets`, `ways_out`).
#![allow(clippy::unwrap_used, reason = "a test that cannot go on has failed")]

mod drained;
mod forgers;
mod haproxy;
mod ipv6;
mod load;
mod published;
mod readers;
mod refusals;
mod resolvers;
mod subnets;
mod ways_out;

use std::time::Duration;

const SOON: Duration = Duration::from_secs(30);
