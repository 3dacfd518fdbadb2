//! swarmrsd as it was when something landed last: what a cluster runs that is about to be upgraded to this tree.
//!
//! Its sources come out of the clone's own history, and it is built once, beside what this tree builds: the crates that both
//! depend on are shared, so it costs what our own crates cost.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

use super::daemon::{SWARMRSD, build, build_in, workspace};
use crate::command;
use crate::error::{Error, Tried};

const COMMAND: Duration = Duration::from_secs(60);

/// Which tree that is.
const RECORDED: &str = "contrib/previous-landing";

/// That swarmrsd: `SWARMRSD_PREVIOUS` if set, else built from the git tree that is recorded in `contrib/previous-landing`.
///
/// Errors: the clone's history does not reach so far (a shallow clone), or the build fails.
pub fn previous_swarmrsd() -> Result<PathBuf, Error> {
    if let Some(path) = std::env::var_os("SWARMRSD_PREVIOUS") {
        return Ok(path.into());
    }
    let tree = recorded()?;
    let target = target_folder()?;
    let folder = target.join("previous").join(&tree);
    let kept = folder.join("swarmrsd");
    if kept.exists() {
        return Ok(kept);
    }
    let sources = folder.join("sources");
    extract(&tree, &sources)?;
    let built = build_in(
        &sources,
        SWARMRSD,
        &["--locked", "--target-dir"],
        Some(&target),
    )?;
    let unfinished = kept.with_extension("copy");
    fs::copy(&built, &unfinished)
        .and_then(|_| fs::rename(&unfinished, &kept))
        .tried(|| format!("copy {} to {}", built.display(), kept.display()))?;
    fs::remove_dir_all(&sources).tried(|| format!("remove {}", sources.display()))?;
    // It stands where this tree's belongs: cargo puts that back without building anything.
    build(SWARMRSD, &[])?;
    Ok(kept)
}

fn recorded() -> Result<String, Error> {
    let file = workspace().join(RECORDED);
    let text = fs::read_to_string(&file).tried(|| format!("read {}", file.display()))?;
    let mut lines = text.lines().filter(|line| !line.starts_with('#'));
    let tree = lines.next().unwrap_or_default().trim();
    match !tree.is_empty() && tree.bytes().all(|byte| byte.is_ascii_hexdigit()) {
        true => Ok(tree.to_owned()),
        false => Err(Error::Setup(format!("{RECORDED} names no git tree"))),
    }
}

/// Where cargo builds this tree.
fn target_folder() -> Result<PathBuf, Error> {
    let cargo = std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into());
    let mut ask = Command::new(cargo);
    ask.current_dir(workspace());
    ask.args(["metadata", "--format-version", "1", "--no-deps"]);
    let output = command::run(&mut ask, b"", COMMAND)?;
    let metadata: serde_json::Value = serde_json::from_str(output.success()?)
        .map_err(|error| Error::Setup(format!("cargo metadata: {error}")))?;
    let folder = metadata["target_directory"].as_str();
    folder
        .map(PathBuf::from)
        .ok_or_else(|| Error::Setup("cargo metadata names no target directory".to_owned()))
}

fn extract(tree: &str, to: &Path) -> Result<(), Error> {
    let git = |args: &[&str]| {
        let mut git = Command::new("git");
        git.arg("-C").arg(workspace()).args(args);
        git
    };
    let there = command::run(&mut git(&["cat-file", "-e", tree]), b"", COMMAND);
    if !there.is_ok_and(|output| output.status == 0) {
        return Err(Error::Setup(format!(
            "this clone's history does not have {tree}, the tree that landed before ({RECORDED}); a shallow clone gets it by \
             'git fetch --unshallow'. SWARMRSD_PREVIOUS=<its swarmrsd> does without"
        )));
    }
    drop(fs::remove_dir_all(to));
    fs::create_dir_all(to).tried(|| format!("make {}", to.display()))?;
    let archive = to.with_extension("tar");
    let output = format!("--output={}", archive.display());
    command::run(&mut git(&["archive", &output, tree]), b"", COMMAND)?.success()?;
    let mut tar = Command::new("tar");
    tar.arg("--directory").arg(to);
    tar.arg("--extract").arg("--file").arg(&archive);
    command::run(&mut tar, b"", COMMAND)?.success()?;
    fs::remove_file(&archive).tried(|| format!("remove {}", archive.display()))
}
