//! References to secrets and configs: complete, and no two at one place.

use crate::control::refused;
use std::collections::BTreeMap;
use swarmrs_types::Fault;
use swarmrs_types::spec::{ContainerSpec, FileTarget};

/// The secrets of a container.
pub(super) fn secrets(container: &ContainerSpec) -> Result<(), Fault> {
    let mut targets = Targets::of("secret");
    for reference in &container.secrets {
        targets.named(&reference.secret_id, &reference.secret_name)?;
        let Some(file) = &reference.file else {
            return Err(refused("malformed secret reference, no target provided"));
        };
        targets.add(&reference.secret_name, file)?;
    }
    Ok(())
}

/// The configs of a container. One that a credential spec names must be there for the runtime.
pub(super) fn configs(container: &ContainerSpec) -> Result<(), Fault> {
    let credential = container
        .privileges
        .as_ref()
        .and_then(|privileges| privileges.credential_spec.as_ref())
        .map_or("", |credential| &credential.config);
    let mut targets = Targets::of("config");
    let mut found = credential.is_empty();
    for reference in &container.configs {
        targets.named(&reference.config_id, &reference.config_name)?;
        if let Some(file) = &reference.file {
            targets.add(&reference.config_name, file)?;
        }
        found |= reference.runtime.is_some() && reference.config_id == credential;
    }
    if found {
        return Ok(());
    }
    Err(refused(format!(
        "CredentialSpec references config '{credential}', but that config isn't in config references with RuntimeTarget"
    )))
}

/// Files taken so far, with what is put there.
struct Targets<'a> {
    kind: &'static str,
    files: BTreeMap<&'a str, &'a str>,
}

impl<'a> Targets<'a> {
    fn of(kind: &'static str) -> Self {
        Targets {
            kind,
            files: BTreeMap::new(),
        }
    }

    fn named(&self, id: &str, name: &str) -> Result<(), Fault> {
        if id.is_empty() || name.is_empty() {
            return Err(refused(format!("malformed {} reference", self.kind)));
        }
        Ok(())
    }

    fn add(&mut self, name: &'a str, file: &'a FileTarget) -> Result<(), Fault> {
        let kind = self.kind;
        if file.name.is_empty() {
            return Err(refused(format!(
                "malformed file {kind} reference, invalid target file name provided"
            )));
        }
        match self.files.insert(&file.name, name) {
            Some(before) => Err(refused(format!(
                "{kind} references '{before}' and '{name}' have a conflicting target: '{}'",
                file.name
            ))),
            None => Ok(()),
        }
    }
}
