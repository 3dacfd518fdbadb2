//! `--format`: `json`, or what a person reads.

use std::str::FromStr;

/// What is printed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Format {
    /// One line of JSON.
    Json,
}

/// Another format was asked for.
#[derive(Debug, PartialEq, Eq, thiserror::Error)]
#[error("only \"json\" is supported here, Go templates are not: pipe --format json to jq")]
pub struct Unsupported;

impl FromStr for Format {
    type Err = Unsupported;

    fn from_str(text: &str) -> Result<Self, Unsupported> {
        match text {
            "json" => Ok(Self::Json),
            _ => Err(Unsupported),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_template_is_refused_with_the_way_out() {
        assert_eq!("json".parse(), Ok(Format::Json));
        let refused = "{{.Version}}".parse::<Format>().unwrap_err();
        assert!(refused.to_string().contains("--format json"), "{refused}");
    }
}
