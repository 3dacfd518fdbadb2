//! Generic resources: what an operator says a node has beside CPUs and memory.
//!
//! A node has so many of a kind, or has them by name. A task asks for a number; of a kind with names
//! it is given as many names, in the node's order. Asking for none of such a kind gives all that are
//! left, as Docker has it. Source: swarmkit `api/genericresource`.

use std::collections::BTreeMap;
use swarmrs_types::spec::{DiscreteResource, GenericResource, NamedResource};

/// What is left of each kind.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Free(BTreeMap<String, Left>);

#[derive(Clone, Debug, PartialEq)]
enum Left {
    Count(i64),
    Names(Vec<String>),
}

impl Free {
    /// All that a node has. A kind is what its first entry makes it.
    pub fn of(has: &[GenericResource]) -> Self {
        let mut kinds: BTreeMap<String, Left> = BTreeMap::new();
        for resource in has {
            if let Some(DiscreteResource { kind, value }) = &resource.discrete_resource_spec {
                kinds.entry(kind.clone()).or_insert(Left::Count(*value));
            } else if let Some(NamedResource { kind, value }) = &resource.named_resource_spec {
                let left = kinds.entry(kind.clone());
                if let Left::Names(names) = left.or_insert_with(|| Left::Names(Vec::new())) {
                    names.push(value.clone());
                }
            }
        }
        Free(kinds)
    }

    /// Takes what a task was given. False if it is not there: the node is not what it was.
    pub fn take(&mut self, given: &GenericResource) -> bool {
        if let Some(DiscreteResource { kind, value }) = &given.discrete_resource_spec {
            let Some(Left::Count(left)) = self.0.get_mut(kind) else {
                return false;
            };
            *left = left.saturating_sub(*value);
            return *left >= 0;
        }
        let Some(NamedResource { kind, value }) = &given.named_resource_spec else {
            return true;
        };
        let Some(Left::Names(names)) = self.0.get_mut(kind) else {
            return false;
        };
        let before = names.len();
        names.retain(|name| name != value);
        names.len() < before
    }

    /// Takes what is asked for and says what that is; none if there is not enough.
    pub fn claim(&mut self, wanted: &[GenericResource]) -> Option<Vec<GenericResource>> {
        let mut given = Vec::new();
        for resource in wanted {
            // A task asks for numbers only: one that names what it wants waits for ever.
            let wanted = resource.discrete_resource_spec.as_ref()?;
            match self.0.get_mut(&wanted.kind)? {
                Left::Count(left) => given.extend(count(left, wanted)?),
                Left::Names(names) => given.extend(names_of(names, wanted)?),
            }
        }
        Some(given)
    }
}

fn count(left: &mut i64, wanted: &DiscreteResource) -> Option<Option<GenericResource>> {
    let value = wanted.value.max(0);
    if value > *left {
        return None;
    }
    *left -= value;
    let given = GenericResource {
        discrete_resource_spec: Some(wanted.clone()),
        ..GenericResource::default()
    };
    Some((value > 0).then_some(given))
}

fn names_of(names: &mut Vec<String>, wanted: &DiscreteResource) -> Option<Vec<GenericResource>> {
    let number = match usize::try_from(wanted.value).unwrap_or(0) {
        0 => names.len().max(1),
        number => number,
    };
    if number > names.len() {
        return None;
    }
    let named = |value| GenericResource {
        named_resource_spec: Some(NamedResource {
            kind: wanted.kind.clone(),
            value,
        }),
        ..GenericResource::default()
    };
    Some(names.drain(..number).map(named).collect())
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::{Value, json};

    fn resources(list: Value) -> Vec<GenericResource> {
        serde_json::from_value(list).unwrap()
    }

    fn some(kind: &str, value: i64) -> Value {
        json!({"DiscreteResourceSpec": {"Kind": kind, "Value": value}})
    }

    fn named(kind: &str, value: &str) -> Value {
        json!({"NamedResourceSpec": {"Kind": kind, "Value": value}})
    }

    fn node() -> Free {
        Free::of(&resources(json!([
            some("ssd", 3),
            named("gpu", "b"),
            named("gpu", "a"),
            named("gpu", "c")
        ])))
    }

    fn claimed(free: &mut Free, wanted: Value) -> Option<Value> {
        let given = free.claim(&resources(wanted))?;
        Some(serde_json::to_value(given).unwrap())
    }

    #[test]
    fn numbers_are_counted_and_names_are_given_in_their_order() {
        let mut free = node();
        let given = claimed(&mut free, json!([some("ssd", 2), some("gpu", 2)]));
        let expected = json!([some("ssd", 2), named("gpu", "b"), named("gpu", "a")]);
        assert_eq!(given, Some(expected));
        assert_eq!(claimed(&mut free, json!([some("ssd", 2)])), None);
        assert_eq!(
            claimed(&mut free, json!([some("gpu", 1)])),
            Some(json!([named("gpu", "c")]))
        );
        assert_eq!(claimed(&mut free, json!([some("gpu", 1)])), None);
    }

    #[test]
    fn what_is_unknown_or_named_by_the_task_is_never_there() {
        assert_eq!(claimed(&mut node(), json!([some("fpga", 0)])), None);
        assert_eq!(claimed(&mut node(), json!([named("gpu", "a")])), None);
    }

    #[test]
    fn none_of_a_named_kind_is_all_of_it() {
        let mut free = node();
        let given = claimed(&mut free, json!([some("gpu", 0), some("ssd", 0)]));
        let all = json!([named("gpu", "b"), named("gpu", "a"), named("gpu", "c")]);
        assert_eq!(given, Some(all));
        assert_eq!(claimed(&mut free, json!([some("gpu", 0)])), None);
    }

    #[test]
    fn what_was_given_is_taken_and_missed_if_it_is_gone() {
        let mut free = node();
        let given = resources(json!([
            some("ssd", 3),
            named("gpu", "a"),
            some("ssd", 1),
            named("gpu", "a"),
            some("gpu", 1),
            named("ssd", "x")
        ]));
        let there: Vec<bool> = given.iter().map(|one| free.take(one)).collect();
        assert_eq!(there, [true, true, false, false, false, false]);
        assert_eq!(claimed(&mut free, json!([some("gpu", 3)])), None);
    }
}
