//! Feature levels: what managers of different releases may write, so that all of them can read it.
//!
//! Every manager reads every object of the log. What a release does not know it keeps at the top of an object
//! ([`Unknown`](crate::object::Unknown)) and loses below, as soon as it writes the object again or hands an old entry on; a
//! kind of object, change or state that it does not know it cannot read at all. So a new shape is written only once
//! every manager knows it, and that is said by one number, which stands in the cluster's object and never falls.
//!
//! | level | what it allows to be written |
//! |---|---|
//! | 0 | what the releases wrote that told no level |
//! | 1 | the level itself; another authority of the swarm (`root_rotation`, and a root's `issuer`) |
//!
//! Whoever adds a shape: take the next level if this one was released, add a row, and write the shape only where
//! `State::level` has reached it. A field at the top of an object with a default needs no level, if it does no harm that
//! older managers do not act on it. How a swarm gets to a level stands in `swarmrs-core`'s `feature`.

/// The highest level this release knows.
pub const LEVEL: u32 = 1;

/// From which on the swarm's authority may be changed: older managers would go on to issue by the root there was.
pub const AUTHORITY: u32 = 1;

#[cfg(test)]
mod tests {
    use crate::object::Node;
    use crate::spec::NodeSpec;
    use serde_json::json;

    #[test]
    fn what_a_release_does_not_know_it_keeps_at_the_top_of_an_object_and_loses_below() {
        let id = "0123456789abcdefghijklmno".parse().unwrap();
        let mut of_a_newer = serde_json::to_value(Node::new(id, NodeSpec::default())).unwrap();
        of_a_newer["later"] = json!(1);
        let read: Node = serde_json::from_value(of_a_newer.clone()).unwrap();
        assert_eq!(serde_json::to_value(read).unwrap(), of_a_newer);

        let mut below = of_a_newer.clone();
        below["status"]["later"] = json!(1);
        let read: Node = serde_json::from_value(below).unwrap();
        assert_eq!(serde_json::to_value(read).unwrap(), of_a_newer);
    }
}
