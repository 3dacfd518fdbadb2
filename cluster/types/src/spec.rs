//! What users write: Docker's specs, field for field.
//!
//! Every struct serialises as Go does: fields in Go's order, `omitempty` where Go has it, lists and
//! maps that Go would print as `null` left out. Decode requests with [`crate::json::from_slice`],
//! which matches keys without case and reports unknown ones. Values whose set is closed are enums
//! with an `Other` variant, so that validation can name what it refuses.

pub mod container;
pub mod network;
pub mod node;
pub mod payload;
pub mod service;
pub mod swarm;

pub use container::*;
pub use network::*;
pub use node::*;
pub use payload::*;
pub use service::*;
pub use swarm::*;

/// Declares an enum whose JSON is a word, keeping words it does not know.
macro_rules! words {
    ($(#[$doc:meta])* $name:ident { $($(#[$vdoc:meta])* $variant:ident = $word:literal),+ $(,)? }) => {
        $(#[$doc])*
        #[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
        pub enum $name {
            $($(#[$vdoc])* $variant,)+
            /// A word that is not in the set, as the user wrote it.
            Other(String),
        }

        impl $name {
            /// The word.
            pub fn as_str(&self) -> &str {
                match self {
                    $($name::$variant => $word,)+
                    $name::Other(word) => word,
                }
            }
        }

        impl From<&str> for $name {
            fn from(word: &str) -> Self {
                match word {
                    $($word => $name::$variant,)+
                    other => $name::Other(other.to_owned()),
                }
            }
        }

        impl std::fmt::Display for $name {
            fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                f.write_str(self.as_str())
            }
        }

        impl serde::Serialize for $name {
            fn serialize<S: serde::Serializer>(&self, s: S) -> Result<S::Ok, S::Error> {
                s.serialize_str(self.as_str())
            }
        }

        impl<'de> serde::Deserialize<'de> for $name {
            fn deserialize<D: serde::Deserializer<'de>>(d: D) -> Result<Self, D::Error> {
                let word = <String as serde::Deserialize>::deserialize(d)?;
                Ok($name::from(word.as_str()))
            }
        }
    };
}
pub(crate) use words;

/// Go's `omitempty` for numbers and booleans.
pub(crate) fn is_default<T: Default + PartialEq>(value: &T) -> bool {
    *value == T::default()
}

#[cfg(test)]
mod tests;
