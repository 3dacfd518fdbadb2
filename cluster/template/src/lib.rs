//! What a spec's `{{…}}` becomes.
//!
//! Service specs may hold Go `text/template` in environment values, the hostname, mounts, and in the payloads of secrets
//! and configs whose templating driver is `golang`. This crate is that language: same grammar, same functions, same
//! output and same error texts, with `missingkey=error`, swarm's function `join`, and in payloads `secret`, `config` and
//! `env`. It is pure: a text and a [`Context`] in, bytes or an [`Error`] out.
//!
//! ```text
//!   text ──lex──▶ tokens ──parse──▶ templates ──eval──▶ bytes
//!                                      ▲   │
//!                       Context, Sources   └─ builtin, print (Go's functions and fmt)
//! ```
//!
//! Managers run it on made-up values when a service is created, agents on the task's values before its container is made.
//!
//! Left out on purpose, beside Go's complex numbers: the method `.Expand` of Docker's context,
//! which Go's reflection exposes by accident and which would expand a secret as a template; and values in error texts once a
//! secret was read. Every expansion has ceilings ([`limit`]) that Go's has not.

mod builtin;
mod context;
mod error;
mod eval;
mod expand;
mod lex;
mod limit;
mod number;
mod parse;
mod print;
mod quote;
mod sources;
mod tree;
mod value;

pub use context::{Context, Node, Platform, Service, Task};
pub use error::Error;
pub use expand::{
    Expanded, expand, expand_env, expand_hostname, expand_mount_source, expand_mount_target,
    expand_payload, expand_volume_labels, expand_volume_options,
};
pub use sources::{Missing, Sources};
