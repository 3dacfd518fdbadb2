//! Which engine stands on a host: the machine's own, or one in a root folder with a Debian of its own.
//!
//! A root folder is made once and kept; hosts see it under a layer of their own and never write to it.

use std::path::PathBuf;
use std::process::Command;
use std::time::Duration;

use crate::Error;
use crate::command;

const ROOT: &str = include_str!("root.sh");
const BUILD: Duration = Duration::from_secs(15 * 60);

/// A release of the engine, by its major version.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, clap::ValueEnum)]
pub enum Release {
    /// The machine's own: 20.10 on Debian 12.
    #[default]
    Own,
    /// 26.1, of Debian 13.
    #[value(name = "26")]
    V26,
    /// 28.5, of the Debian after it.
    #[value(name = "28")]
    V28,
    /// The machine's own release again, in a root folder with ufw and firewalld beside it.
    #[value(skip)]
    Walled,
}

/// Programs that every root folder has.
const PROGRAMS: &str = "docker.io,iptables,nftables,iproute2,busybox-static";

impl Release {
    /// The root folder that its programs are in, made if it is not there: in `SWARMRS_ENGINES_DIR`, else in the folder for
    /// temporary files. The machine's own needs none.
    pub fn root(self) -> Result<Option<PathBuf>, Error> {
        let (name, suite, packages) = match self {
            Release::Own => return Ok(None),
            Release::V26 => ("trixie", "trixie", "docker-cli"),
            Release::V28 => ("forky", "forky", "docker-cli"),
            // firewalld wants one that knows who is logged in, beside its bus.
            Release::Walled => ("walled", "own", "ufw,firewalld,dbus,libpam-systemd,procps"),
        };
        let packages = format!("{PROGRAMS},{packages}");
        made(name, [suite, &packages, ""]).map(Some)
    }
}

/// The root folder of a Debian of this machine's release as one gets it first: no engine, and nothing of ours. What
/// `contrib/install` fetches is at hand, as from a package archive next door.
pub(super) fn bare() -> Result<PathBuf, Error> {
    made("bare", ["own", "systemd", "docker.io curl"])
}

/// A root folder of that name: its suite, what is installed, and what its package manager has at hand.
fn made(name: &str, contents: [&str; 3]) -> Result<PathBuf, Error> {
    let folder = std::env::var_os("SWARMRS_ENGINES_DIR").map_or_else(
        || std::env::temp_dir().join("swarmrs-engines"),
        PathBuf::from,
    );
    let root = folder.join(name);
    let mut build = Command::new("/bin/sh");
    build.args(["-c", ROOT, "root"]).arg(&root).args(contents);
    command::run(&mut build, b"", BUILD)?.success()?;
    Ok(root)
}
