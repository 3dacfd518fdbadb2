//! The container's part of a spec.

use super::mount;
use swarmrs_types::Fault;
use swarmrs_types::spec::{
    AppArmorMode, ConfigReference, ContainerSpec, CredentialSpec, Privileges, SeccompMode,
};

/// Fills in and refuses, in the daemon's order.
pub(super) fn convert(spec: &mut ContainerSpec) -> Result<(), Fault> {
    isolation(&mut spec.isolation);
    if let Some(privileges) = &mut spec.privileges {
        convert_privileges(privileges)?;
    }
    spec.configs.iter_mut().try_for_each(config)?;
    spec.mounts.iter_mut().try_for_each(mount::convert)
}

/// Windows knows two kinds, every other word is the default; answers always show one.
fn isolation(word: &mut String) {
    let lower = word.to_lowercase();
    *word = match lower.as_str() {
        "process" | "hyperv" => lower,
        _ => "default".to_owned(),
    };
}

fn convert_privileges(privileges: &mut Privileges) -> Result<(), Fault> {
    if let Some(credential) = &privileges.credential_spec {
        one_source(credential)?;
    }
    // Unknown modes count as the default here, unlike most words.
    if let Some(seccomp) = &mut privileges.seccomp
        && !matches!(
            seccomp.mode,
            Some(SeccompMode::Unconfined | SeccompMode::Custom)
        )
    {
        seccomp.mode = Some(SeccompMode::Default);
    }
    if let Some(app_armor) = &mut privileges.app_armor
        && app_armor.mode != Some(AppArmorMode::Disabled)
    {
        app_armor.mode = Some(AppArmorMode::Default);
    }
    Ok(())
}

fn one_source(credential: &CredentialSpec) -> Result<(), Fault> {
    let sources = [
        ("\"config\"", &credential.config),
        ("\"file\"", &credential.file),
        ("\"registry\"", &credential.registry),
    ];
    let given = sources.iter().filter(|(_, value)| !value.is_empty());
    let given: Vec<&str> = given.map(|(name, _)| *name).collect();
    let text = match given.as_slice() {
        [_] => return Ok(()),
        [] => "must either provide \"file\", \"registry\", or \"config\" for credential spec"
            .to_owned(),
        [one, other] => format!("cannot specify both {one} and {other} credential specs"),
        [first @ .., last] => format!(
            "cannot specify both {}, and {last} credential specs",
            first.join(", ")
        ),
    };
    Err(Fault::invalid(format!("invalid CredentialSpec: {text}")))
}

/// A config is a file or is for the runtime; what a runtime target says is not kept.
fn config(reference: &mut ConfigReference) -> Result<(), Fault> {
    let text = match (&reference.file, &mut reference.runtime) {
        (Some(_), None) => return Ok(()),
        (None, Some(runtime)) => {
            runtime.clear();
            return Ok(());
        }
        (None, None) => "either File or Runtime should be set",
        (Some(_), Some(_)) => "cannot specify both File and Runtime",
    };
    Err(Fault::invalid(format!("invalid Config: {text}")))
}
