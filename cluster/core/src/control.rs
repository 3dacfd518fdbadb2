//! An API request becomes a plan, or a fault the user reads.
//!
//! ```text
//!   request ──networks──▶ ──convert──▶ spec as stored ──validate──▶ ──scope──▶ create · update · remove ──▶ Plan
//!                    (daemon's faults)            (manager's faults)  (501: not in this release)
//! ```
//!
//! Four layers say no, in Docker's order and in Docker's words. [`networks`] finds the networks that a
//! spec names. [`convert`] is what Docker's daemon
//! does between JSON and manager: it fills defaults, drops what the manager has no field for, and
//! refuses unknown words. [`validate`] is what the manager checks of a service by itself. [`scope`]
//! refuses what is well formed and not built yet. What depends on other objects (names, ports,
//! versions) is checked where the plan is made.
//!
//! Nothing here is final until the log has it: a plan carries the versions it was made on, and
//! [`fault_of`] says what a rejected one means to the user.

pub mod config;
mod convert;
pub mod list;
pub mod network;
pub mod networks;
pub mod node;
mod payload;
mod random_name;
mod scope;
pub mod secret;
pub mod service;
pub mod swarm;
#[cfg(test)]
mod tests;
mod text;
mod validate;

use crate::change::Rejected;
use swarmrs_types::{Code, Fault};

/// Most changes one request writes besides its own object; the leader's step does the rest. Keeps a
/// command well below what the log carries at once.
const MOST_TASKS: usize = 400;

/// What a command that was not applied means to the user who asked for it.
pub fn fault_of(rejected: &Rejected) -> Fault {
    match rejected {
        Rejected::OutOfSequence(_) | Rejected::Over => out_of_sequence(),
        Rejected::NameTaken { kind, name } if kind == "network" => network::name_taken(name),
        Rejected::NameTaken { kind, name } if matches!(kind.as_str(), "secret" | "config") => {
            Fault::manager(Code::AlreadyExists, format!("{kind} {name} already exists"))
        }
        Rejected::NameTaken { .. } | Rejected::Taken { .. } => {
            Fault::manager(Code::AlreadyExists, rejected.to_string())
        }
    }
}

/// The object is not at the version the user read. 500, as Docker has it.
fn out_of_sequence() -> Fault {
    Fault::manager(Code::Unknown, "update out of sequence")
}

/// The user must name the version an object stands at.
fn expect_version(given: u64, actual: u64) -> Result<(), Fault> {
    if given == actual {
        Ok(())
    } else {
        Err(out_of_sequence())
    }
}

/// 400 by the manager.
fn refused(text: impl Into<String>) -> Fault {
    Fault::manager(Code::InvalidArgument, text)
}
