//! Which engine stands on a host: the machine's own, or one of a newer Debian in a root folder of its own.
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
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum Release {
    /// The machine's own: 20.10 on Debian 12.
    #[default]
    Own,
    /// 26.1, of Debian 13.
    V26,
    /// 28.5, of the Debian after it.
    V28,
}

impl Release {
    /// The root folder that its programs are in, made if it is not there: in `SWARMRS_ENGINES_DIR`, else in the folder for
    /// temporary files. The machine's own needs none.
    pub fn root(self) -> Result<Option<PathBuf>, Error> {
        let Some(suite) = self.suite() else {
            return Ok(None);
        };
        let folder = std::env::var_os("SWARMRS_ENGINES_DIR").map_or_else(
            || std::env::temp_dir().join("swarmrs-engines"),
            PathBuf::from,
        );
        let root = folder.join(suite);
        let mut build = Command::new("/bin/sh");
        build.args(["-c", ROOT, "root"]).arg(&root).arg(suite);
        command::run(&mut build, b"", BUILD)?.success()?;
        Ok(Some(root))
    }

    fn suite(self) -> Option<&'static str> {
        match self {
            Release::Own => None,
            Release::V26 => Some("trixie"),
            Release::V28 => Some("forky"),
        }
    }
}
