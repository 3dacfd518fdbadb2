//! Tasks as containers of the node's engine.
//!
//! [`config`] says what the engine is asked for (pure), [`controller`] asks, [`image`] gets images once for many tasks,
//! [`watch`] is the one event stream that tells all runners when to look, [`label`] is how our containers are known,
//! [`policy`] says what of this node they may have, [`socket`] gives them our socket instead of the engine's.

pub mod config;
pub mod controller;
pub mod image;
pub mod label;
pub mod policy;
pub mod socket;
pub mod watch;
