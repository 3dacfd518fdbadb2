//! `Secret` and `Config` of the API. The content of a secret has no field here.

use serde::Serialize;
use swarmrs_types::object;
use swarmrs_types::spec::{ConfigSpec, Driver, Labels};

use super::Head;

/// One secret.
#[derive(Debug, Serialize)]
#[serde(rename_all = "PascalCase")]
pub struct Secret<'a> {
    #[serde(flatten)]
    head: Head<'a>,
    spec: SecretSpec<'a>,
}

/// A secret's spec without its content.
#[derive(Debug, Serialize)]
#[serde(rename_all = "PascalCase")]
struct SecretSpec<'a> {
    name: &'a str,
    labels: &'a Labels,
    #[serde(skip_serializing_if = "Option::is_none")]
    driver: Option<&'a Driver>,
    #[serde(skip_serializing_if = "Option::is_none")]
    templating: Option<&'a Driver>,
}

/// One config.
#[derive(Debug, Serialize)]
#[serde(rename_all = "PascalCase")]
pub struct Config<'a> {
    #[serde(flatten)]
    head: Head<'a>,
    spec: &'a ConfigSpec,
}

/// Shows a secret.
pub fn secret(secret: &object::Secret) -> Secret<'_> {
    let spec = &secret.spec;
    Secret {
        head: Head::new(secret.id.as_str(), secret.meta),
        spec: SecretSpec {
            name: &spec.name,
            labels: &spec.labels,
            driver: spec.driver.as_ref(),
            templating: spec.templating.as_ref(),
        },
    }
}

/// Shows a config, content and all.
pub fn config(config: &object::Config) -> Config<'_> {
    Config {
        head: Head::new(config.id.as_str(), config.meta),
        spec: &config.spec,
    }
}
