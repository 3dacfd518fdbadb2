//! `--node-generic-resource`: what a node has beside CPUs and memory, as dockerd is told it.
//!
//! `GPU=2` is two of a kind; `GPU=UUID1` and `GPU=UUID2` are two by name. The texts are dockerd's
//! (swarmkit `api/genericresource/parse.go`), blanks amiss included.

use swarmrs_types::spec::{DiscreteResource, GenericResource, NamedResource};

/// A term that names no resource.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("could not parse GenericResource: {0}")]
pub struct ResourceError(String);

/// Reads the terms of all options; a kind stands where it was first named.
///
/// # Errors
/// If a term is not `KIND=VALUE`, or a kind has both numbers and names.
pub fn parse(terms: &[String]) -> Result<Vec<GenericResource>, ResourceError> {
    let mut kinds: Vec<(&str, Vec<&str>)> = Vec::new();
    for term in terms {
        let (kind, value) = split(term)?;
        match kinds.iter_mut().find(|(known, _)| *known == kind) {
            Some((_, values)) => values.push(value),
            None => kinds.push((kind, vec![value])),
        }
    }
    let resources = kinds.iter().map(|(kind, values)| resource(kind, values));
    Ok(resources.collect::<Result<Vec<_>, _>>()?.concat())
}

fn split(term: &str) -> Result<(&str, &str), ResourceError> {
    match term.split('=').collect::<Vec<_>>().as_slice() {
        [kind, value] => Ok((kind.trim(), value.trim())),
        _ => Err(ResourceError(format!(
            "incorrect term {term}, missing'=' or malformed expression"
        ))),
    }
}

fn resource(kind: &str, values: &[&str]) -> Result<Vec<GenericResource>, ResourceError> {
    let numbers = values.iter().map(|value| value.parse::<i64>());
    match numbers.collect::<Vec<_>>().as_slice() {
        [Ok(value)] if *value < 0 => Err(ResourceError(format!(
            "cannot ask fornegative resource {kind}"
        ))),
        [Ok(value)] => Ok(vec![counted(kind, *value)]),
        numbers if numbers.iter().all(Result::is_err) => {
            Ok(values.iter().map(|value| named(kind, value)).collect())
        }
        _ => Err(ResourceError(format!(
            "malformed expression '{kind}=[{}]'",
            values.join(" ")
        ))),
    }
}

fn counted(kind: &str, value: i64) -> GenericResource {
    GenericResource {
        discrete_resource_spec: Some(DiscreteResource {
            kind: kind.to_owned(),
            value,
        }),
        ..GenericResource::default()
    }
}

fn named(kind: &str, value: &str) -> GenericResource {
    GenericResource {
        named_resource_spec: Some(NamedResource {
            kind: kind.to_owned(),
            value: value.to_owned(),
        }),
        ..GenericResource::default()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(terms: &[&str]) -> Result<Vec<GenericResource>, String> {
        let terms: Vec<String> = terms.iter().map(|term| (*term).to_owned()).collect();
        parse(&terms).map_err(|error| error.to_string())
    }

    #[test]
    fn numbers_are_counted_and_anything_else_is_a_name() {
        let resources = read(&["SSD=3", "GPU=UUID1", " FPGA = 0 ", "GPU=UUID2"]);
        let expected = [
            counted("SSD", 3),
            named("GPU", "UUID1"),
            named("GPU", "UUID2"),
            counted("FPGA", 0),
        ];
        assert_eq!(resources.unwrap(), expected);
        assert_eq!(read(&[]).unwrap(), []);
    }

    #[test]
    fn what_is_no_resource_is_refused_in_dockerds_words() {
        let rows: [(&[&str], &str); 5] = [
            (
                &["GPU"],
                "incorrect term GPU, missing'=' or malformed expression",
            ),
            (
                &["GPU=1,SSD=2"],
                "incorrect term GPU=1,SSD=2, missing'=' or malformed expression",
            ),
            (&["GPU=-1"], "cannot ask fornegative resource GPU"),
            (&["GPU=1", "GPU=2"], "malformed expression 'GPU=[1 2]'"),
            (&["GPU=a", "GPU=2"], "malformed expression 'GPU=[a 2]'"),
        ];
        for (terms, text) in rows {
            let expected = format!("could not parse GenericResource: {text}");
            assert_eq!(read(terms), Err(expected), "{terms:?}");
        }
    }
}
