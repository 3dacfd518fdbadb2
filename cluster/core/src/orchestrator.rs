//! From services to tasks: how many, which are replaced, and when.

pub mod dirty;
pub mod global;
pub mod job;
pub mod lost;
pub mod orphan;
pub mod replicated;
pub mod restart;
pub mod slot;
pub mod task;
pub mod update;

#[cfg(test)]
pub(crate) mod tests;
