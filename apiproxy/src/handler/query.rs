//! A query string as Go's `net/url` and Docker's helpers read it.

use percent_encoding::percent_decode_str;
use swarmrs_types::Fault;
use swarmrs_types::filter::Filters;

/// The parameters of a call. Of a repeated one the first counts.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Query(Vec<(String, String)>);

impl Query {
    /// Reads a query without its question mark. What Go would drop is dropped: pairs with a semicolon, or not UTF-8.
    pub fn parse(text: &str) -> Self {
        let pairs = text.split('&').filter(|pair| !pair.is_empty());
        let pairs = pairs.filter(|pair| !pair.contains(';'));
        let decoded = pairs.filter_map(|pair| {
            let (key, value) = pair.split_once('=').unwrap_or((pair, ""));
            Some((decode(key)?, decode(value)?))
        });
        Self(decoded.collect())
    }

    /// The value of a parameter; empty if it was not given.
    pub fn get(&self, key: &str) -> &str {
        let found = self.0.iter().find(|(name, _)| name == key);
        found.map_or("", |(_, value)| value)
    }

    /// The older kind of boolean: everything is true but these words.
    pub fn flag(&self, key: &str) -> bool {
        let value = self.get(key).trim().to_lowercase();
        !matches!(value.as_str(), "" | "0" | "no" | "false" | "none")
    }

    /// The newer kind of boolean, false if not given.
    ///
    /// # Errors
    /// 400 `invalid value for KEY: …`.
    pub fn boolean(&self, key: &str) -> Result<bool, Fault> {
        let value = self.get(key);
        if value.is_empty() {
            return Ok(false);
        }
        parse_bool(value).ok_or_else(|| {
            Fault::invalid(format!(
                "invalid value for {key}: {value}: strconv.ParseBool: parsing {value:?}: invalid syntax"
            ))
        })
    }

    /// As [`Query::boolean`], with the shorter text of the swarm's own update.
    pub fn rotation(&self, key: &str) -> Result<bool, Fault> {
        let value = self.get(key);
        let read = (!value.is_empty()).then(|| {
            parse_bool(value)
                .ok_or_else(|| Fault::invalid(format!("invalid value for {key}: {value}")))
        });
        read.unwrap_or(Ok(false))
    }

    /// The version of an object that an update is meant for.
    ///
    /// # Errors
    /// 400 `invalid KIND version 'X': …`.
    pub fn version(&self, kind: &str) -> Result<u64, Fault> {
        let value = self.get("version");
        parse_uint(value)
            .map_err(|why| Fault::invalid(format!("invalid {kind} version '{value}': {why}")))
    }

    /// The `filters` of a list; 400 for keys that it does not have.
    pub fn filters(&self, known: &[&str]) -> Result<Filters, Fault> {
        let filters = Filters::parse(self.get("filters"))?;
        filters.accept(known)?;
        Ok(filters)
    }
}

/// `+` is a space here, and only here.
fn decode(text: &str) -> Option<String> {
    let spaced = text.replace('+', " ");
    let decoded = percent_decode_str(&spaced).decode_utf8().ok()?;
    Some(decoded.into_owned())
}

/// Go's `strconv.ParseBool`.
pub fn parse_bool(text: &str) -> Option<bool> {
    match text {
        "1" | "t" | "T" | "TRUE" | "true" | "True" => Some(true),
        "0" | "f" | "F" | "FALSE" | "false" | "False" => Some(false),
        _ => None,
    }
}

/// Go's `strconv.ParseUint`, with its words.
fn parse_uint(text: &str) -> Result<u64, String> {
    let digits = !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit());
    let why = match text.parse() {
        Ok(number) if digits => return Ok(number),
        _ if digits => "value out of range",
        _ => "invalid syntax",
    };
    Err(format!("strconv.ParseUint: parsing {text:?}: {why}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_first_of_a_repeated_parameter_counts() {
        let query = Query::parse("a=1&a=2&b=x%2By+z&c&d;e=1&%zz=2");
        assert_eq!(query.get("a"), "1");
        assert_eq!(query.get("b"), "x+y z");
        assert_eq!(query.get("c"), "");
        assert_eq!(query.get("nothing"), "");
    }

    #[test]
    fn the_older_booleans_are_true_unless_they_say_no() {
        for no in ["", "0", "no", "False", "%20none%20"] {
            assert!(!Query::parse(&format!("force={no}")).flag("force"), "{no}");
        }
        for yes in ["1", "true", "x", "True"] {
            assert!(Query::parse(&format!("force={yes}")).flag("force"), "{yes}");
        }
    }

    #[test]
    fn the_newer_booleans_are_go_words_or_refused() {
        assert_eq!(Query::parse("status=True").boolean("status"), Ok(true));
        assert_eq!(Query::parse("status=f").boolean("status"), Ok(false));
        assert_eq!(Query::parse("").boolean("status"), Ok(false));
        let refused = Query::parse("status=maybe").boolean("status").unwrap_err();
        assert_eq!(
            refused.text,
            "invalid value for status: maybe: strconv.ParseBool: parsing \"maybe\": invalid syntax"
        );
        let refused = Query::parse("rotateWorkerToken=x").rotation("rotateWorkerToken");
        assert_eq!(
            refused.unwrap_err().text,
            "invalid value for rotateWorkerToken: x"
        );
    }

    #[test]
    fn a_version_is_a_number_or_refused_in_gos_words() {
        assert_eq!(Query::parse("version=12").version("swarm"), Ok(12));
        let text = |query: &str| Query::parse(query).version("service").unwrap_err().text;
        assert_eq!(
            text(""),
            "invalid service version '': strconv.ParseUint: parsing \"\": invalid syntax"
        );
        assert_eq!(
            text("version=-1"),
            "invalid service version '-1': strconv.ParseUint: parsing \"-1\": invalid syntax"
        );
        assert_eq!(
            text("version=99999999999999999999"),
            "invalid service version '99999999999999999999': strconv.ParseUint: parsing \"99999999999999999999\": value out \
             of range"
        );
    }
}
