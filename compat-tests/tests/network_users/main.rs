//! What users do to networks beyond the ordinary, by the stock command: updates under load, bad input, other people's readers.
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
