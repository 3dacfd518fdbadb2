//! One line of the journal.
//!
//! Ids, states and a digest, and never anything of a spec, an environment or a credential: the file is not sealed.

use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};
use swarmrs_types::assignment::Order;
use swarmrs_types::sum::{is_whole, with_sum};
use swarmrs_types::{TaskId, TaskState};

/// How the first line begins: what the file is.
pub const NAME: &str = "swarmrs-agent-journal";

/// The first line: what the file is, and the release of its format.
pub const HEADER: &str = "swarmrs-agent-journal 1";

/// How far a task has come.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Record {
    pub task: TaskId,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub container: Option<String>,
    pub desired: TaskState,
    pub state: TaskState,
    #[serde(default, skip_serializing_if = "is_zero")]
    pub exit: i64,
    /// Of the spec it was made from.
    pub spec: String,
}

/// A record, or the end of one.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(untagged)]
pub enum Line {
    Forget { forget: TaskId },
    Record(Record),
}

impl Line {
    /// The bytes with their sum, line end included.
    pub fn encode(&self) -> Vec<u8> {
        let mut bytes = with_sum(&serde_json::to_vec(self).unwrap_or_default());
        bytes.push(b'\n');
        bytes
    }

    /// Reads a line without its end.
    pub fn decode(line: &[u8]) -> Result<Self, String> {
        match is_whole(line) {
            true => serde_json::from_slice(line).map_err(|error| error.to_string()),
            false => Err("it does not have the sum that was written with it".to_owned()),
        }
    }
}

/// Tells two specs apart and gives none away: SHA-256, of which 8 bytes are enough.
pub fn digest(order: &Order) -> String {
    let spec = serde_json::to_vec(&order.spec).unwrap_or_default();
    let hash = Sha256::digest(&spec);
    hash[..8].iter().map(|byte| format!("{byte:02x}")).collect()
}

fn is_zero(number: &i64) -> bool {
    *number == 0
}
