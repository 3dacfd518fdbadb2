//! One task: what comes next ([`step`], pure) and the one who does it ([`runner`]).

pub mod runner;
pub mod step;
