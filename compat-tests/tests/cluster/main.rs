//! Several hosts as one swarm, by the stock command: who joins and leaves, who manages, whom they trust, and what is lost on ugly days.
#![allow(clippy::unwrap_used, reason = "a test that cannot go on has failed")]

mod agents;
mod busy;
mod clocks;
mod cuts;
mod day;
mod dialogue;
mod disks;
mod faults;
mod hosts;
mod locks;
mod loss;
mod means;
mod members;
mod networks;
mod strangers;
mod trust;
