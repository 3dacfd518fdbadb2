//! Where `secret`, `config` and `env` in a payload take their values from.

/// The secrets, configs and environment of the task whose payload is expanded.
pub trait Sources {
    /// The payload of the secret whose *file target* is `target`, as stored (payloads are not expanded inside of each other).
    fn secret(&self, target: &str) -> Result<Vec<u8>, Missing>;

    /// The same for a config.
    fn config(&self, target: &str) -> Result<Vec<u8>, Missing>;

    /// The value of `NAME=value` in the spec's environment, expanded as the container gets it. Without one, templates see
    /// an empty text.
    fn env(&self, name: &str) -> Option<String>;
}

/// Why a source has no payload.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Missing {
    /// No reference of the service has this target: `secret target x not found`.
    Target,
    /// It is referred to, and its payload is not at hand; the text goes to the user as it is.
    Payload(String),
}
