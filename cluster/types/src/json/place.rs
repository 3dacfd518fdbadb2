//! Where in the text a value stands, for errors and for the paths of unknown keys.
//!
//! Places live on the stack of the reading: each points to the one around it, and text is made of
//! them only when something is to be said.

use super::go_types;

/// Where a value stands, from the inside out.
pub(super) enum Place<'p> {
    Root,
    Field {
        parent: &'p Place<'p>,
        owner: &'static str,
        key: &'static str,
    },
    Index {
        parent: &'p Place<'p>,
        index: usize,
    },
    Key {
        parent: &'p Place<'p>,
        key: &'p str,
    },
}

impl Place<'_> {
    /// For people: `Mounts[0].Source`.
    pub(super) fn path(&self) -> String {
        match self {
            Place::Root => String::new(),
            Place::Field { parent, key, .. } => joined(parent.path(), key),
            Place::Key { parent, key } => joined(parent.path(), key),
            Place::Index { parent, index } => format!("{}[{index}]", parent.path()),
        }
    }

    /// For Go's errors: fields only.
    pub(super) fn fields(&self) -> String {
        match self {
            Place::Root => String::new(),
            Place::Field { parent, key, .. } => joined(parent.fields(), key),
            Place::Key { parent, .. } | Place::Index { parent, .. } => parent.fields(),
        }
    }

    /// The innermost struct around the value.
    pub(super) fn owner(&self) -> Option<&'static str> {
        match self {
            Place::Root => None,
            Place::Field { owner, .. } => Some(owner),
            Place::Key { parent, .. } | Place::Index { parent, .. } => parent.owner(),
        }
    }

    /// The Go type of this place where serde's hint tells another.
    pub(super) fn go_type(&self) -> Option<&'static str> {
        let Place::Field { owner, key, .. } = self else {
            return None;
        };
        go_types::of_field(owner, key)
    }
}

/// A dotted path, one key longer.
pub(super) fn joined(path: String, key: &str) -> String {
    if path.is_empty() {
        key.to_owned()
    } else {
        format!("{path}.{key}")
    }
}
