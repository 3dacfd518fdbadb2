//! The parsed text: a tree that forgets nothing of what decides how Go reads it.

/// A parsed value. Unlike `serde_json::Value` it keeps the order and repetition of keys and the
/// spelling of numbers, which decide what Go's decoder does and says.
#[derive(Clone, Debug)]
pub(super) enum Node<'a> {
    Null,
    Bool(bool),
    Number(&'a str),
    Text(String),
    List(Vec<Node<'a>>),
    Object(Vec<(String, Node<'a>)>),
}

impl<'a> Node<'a> {
    /// What Go calls a value of this type.
    pub(super) fn kind(&self) -> &'static str {
        match self {
            Node::Null => "null",
            Node::Bool(_) => "bool",
            Node::Number(_) => "number",
            Node::Text(_) => "string",
            Node::List(_) => "array",
            Node::Object(_) => "object",
        }
    }

    /// Lays the value of a repeated key over the earlier one.
    pub(super) fn overlay(&mut self, later: Node<'a>) {
        match (self, later) {
            (Node::Object(members), Node::Object(more)) => members.extend(more),
            (earlier, later) => *earlier = later,
        }
    }
}
