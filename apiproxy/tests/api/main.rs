//! The whole API over one socket: our handlers on a real node, in front of an engine that this test plays.

mod bad_input;
mod engine_absent;
mod events;
mod payload;
mod pin;
mod refusals;
mod seen;
mod support;
mod swarm;
mod targets;
