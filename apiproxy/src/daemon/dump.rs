//! SIGUSR1: the flight recorder goes to a file that only root reads.

use std::fs::{File, OpenOptions};
use std::io::{self, Write};
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};

use swarmrs_node::Node;
use swarmrs_types::Timestamp;
use tokio::signal::unix::{Signal, SignalKind, signal};
use tracing::{info, warn};

/// Listens for the signal, which would end the process otherwise: made before anything else is.
pub(super) struct Dump(Signal);

impl Dump {
    pub fn listen() -> io::Result<Self> {
        signal(SignalKind::user_defined1()).map(Self)
    }

    /// Writes a file for each signal, for good.
    pub async fn serve(mut self, node: Node, folder: PathBuf) {
        while self.0.recv().await.is_some() {
            match write(&folder, &node.recorder().dump()) {
                Ok(path) => info!(path = %path.display(), "SIGUSR1: flight recorder written"),
                Err(error) => warn!(%error, "SIGUSR1: flight recorder not written"),
            }
        }
    }
}

/// A new file each time: a second signal does not take away what the first one showed.
fn write(folder: &Path, text: &str) -> io::Result<PathBuf> {
    let time = Timestamp::now().with_nine_digits().replace(':', "");
    let path = folder.join(format!("recorder-{time}.jsonl"));
    let mut file: File = OpenOptions::new()
        .write(true)
        .create_new(true)
        .mode(0o600)
        .open(&path)?;
    file.write_all(text.as_bytes())?;
    Ok(path)
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::os::unix::fs::PermissionsExt;

    #[test]
    fn each_dump_is_a_file_of_its_own_for_root_only() {
        let folder = tempfile::tempdir().unwrap();
        let (one, two) = (
            write(folder.path(), "{}\n"),
            write(folder.path(), "{}\n{}\n"),
        );
        let (one, two) = (one.unwrap(), two.unwrap());
        assert_ne!(one, two);
        assert_eq!(std::fs::read_to_string(&one).unwrap(), "{}\n");
        let mode = std::fs::metadata(&two).unwrap().permissions().mode();
        assert_eq!(mode & 0o777, 0o600);
    }
}
