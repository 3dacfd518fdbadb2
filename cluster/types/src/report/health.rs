//! Whether a node lives, does its part, and has a quorum behind it.

use serde::{Deserialize, Serialize};

/// `GET /swarmrs/v1/read/health`.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "PascalCase", default)]
pub struct HealthReport {
    /// The daemon answers.
    pub live: bool,
    /// The node can do all that is asked of it: it is outside a swarm or in one, unlocked, its engine
    /// answers, and if it is a manager there is a quorum.
    pub ready: bool,
    /// Whether the managers can agree, as far as this one knows; `null` on a node that is none.
    pub quorum: Option<bool>,
    /// `inactive`, `active`, `locked`, …
    pub swarm: String,
    /// Why it is not ready.
    pub reasons: Vec<String>,
}

/// What a probe asks for: `?for=ready`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Aspect {
    Live,
    Ready,
    Quorum,
}

impl Aspect {
    /// Reads the word for it.
    pub fn parse(word: &str) -> Option<Self> {
        match word {
            "live" => Some(Aspect::Live),
            "ready" => Some(Aspect::Ready),
            "quorum" => Some(Aspect::Quorum),
            _ => None,
        }
    }
}

impl HealthReport {
    /// The answer to a probe. A node that is no manager has no quorum.
    pub fn is(&self, aspect: Aspect) -> bool {
        match aspect {
            Aspect::Live => self.live,
            Aspect::Ready => self.ready,
            Aspect::Quorum => self.quorum == Some(true),
        }
    }
}
