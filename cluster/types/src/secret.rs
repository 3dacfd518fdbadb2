//! A text that is wiped from memory when it is dropped, and never shown.

use serde::{Deserialize, Deserializer, Serialize, Serializer};
use std::fmt;
use std::ops::Deref;
use zeroize::Zeroizing;

/// A secret in the form in which users and certificates have it. In the log and in snapshots, which
/// are sealed, it stands as it is; the buffers that libraries make on the way there are not wiped.
#[derive(Clone, Default, PartialEq, Eq)]
pub struct SecretText(Zeroizing<String>);

impl From<String> for SecretText {
    fn from(text: String) -> Self {
        SecretText(Zeroizing::new(text))
    }
}

impl From<&str> for SecretText {
    fn from(text: &str) -> Self {
        text.to_owned().into()
    }
}

impl Deref for SecretText {
    type Target = str;

    fn deref(&self) -> &str {
        &self.0
    }
}

impl fmt::Debug for SecretText {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("SecretText(..)")
    }
}

impl Serialize for SecretText {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(self)
    }
}

impl<'de> Deserialize<'de> for SecretText {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        String::deserialize(deserializer).map(Self::from)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn it_is_a_text_in_json_and_nothing_in_debug_output() {
        let secret = SecretText::from("swordfish");
        assert_eq!(serde_json::to_string(&secret).unwrap(), "\"swordfish\"");
        assert_eq!(
            serde_json::from_str::<SecretText>("\"swordfish\"").unwrap(),
            secret
        );
        assert_eq!(format!("{secret:?}"), "SecretText(..)");
    }
}
