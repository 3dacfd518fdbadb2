//! What a node asks for its own containers on networks of the swarm.

use serde::{Deserialize, Serialize};
use swarmrs_types::AttachmentId;
use swarmrs_types::object::{AttachRequest, Attachment};

/// The body of [`Attachment`](crate::Method::Attachment). Asked twice it is done once: the same container has the same
/// place on a network, and what has ended has ended.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum AttachmentCall {
    /// Gives a container addresses, or those that it has already.
    Attach(AttachRequest),
    /// Notes what is seen of the container.
    Follow(Seen),
    /// The container is gone, or not connected any more.
    Detach(AttachmentId),
}

/// A container that has a lease, as its node sees it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Seen {
    pub lease: AttachmentId,
    /// The name it goes by now.
    pub name: String,
    /// Whether it runs, or is about to.
    #[serde(default)]
    pub active: bool,
    /// Whether a network of its engine's own leads out.
    #[serde(default)]
    pub own_way_out: bool,
}

/// The answer.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct AttachmentAnswer {
    /// Of [`AttachmentCall::Attach`], what was given.
    pub lease: Option<Attachment>,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_words_of_a_call_are_fixed() {
        let lease = "0123456789abcdefghijklmno".parse().unwrap();
        let calls = [
            (
                AttachmentCall::Detach(lease),
                r#"{"detach":"0123456789abcdefghijklmno"}"#,
            ),
            (
                AttachmentCall::Follow(Seen {
                    lease,
                    name: "/shell".to_owned(),
                    active: true,
                    own_way_out: false,
                }),
                r#"{"follow":{"lease":"0123456789abcdefghijklmno","name":"/shell","active":true,"own_way_out":false}}"#,
            ),
        ];
        for (call, words) in calls {
            assert_eq!(serde_json::to_string(&call).unwrap(), words);
            assert_eq!(serde_json::from_str::<AttachmentCall>(words).unwrap(), call);
        }
        let short = r#"{"attach":{"container":"c","network":"app","of a newer release":1}}"#;
        let call: AttachmentCall = serde_json::from_str(short).unwrap();
        let request = AttachRequest {
            container: "c".to_owned(),
            network: "app".to_owned(),
            ..AttachRequest::default()
        };
        assert_eq!(call, AttachmentCall::Attach(request));
    }
}
