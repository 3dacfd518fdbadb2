//! A service that mounts the engine's socket gets ours: through it, it sees its swarm.
//!
//! Stack files of reverse proxies and dashboards name `/var/run/docker.sock`, because with Docker that socket answers for the
//! engine and the swarm. The engine's own socket knows no services. So the source of such a bind is replaced by our socket,
//! however the path is written. A folder that has the socket in it is mounted as it is.

use serde_json::{Value, json};
use std::path::{Component, Path, PathBuf};

/// Where users expect the engine's socket.
const WELL_KNOWN: [&str; 2] = ["/var/run/docker.sock", "/run/docker.sock"];

/// Which sockets are the engine's, and which is ours.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SocketMap {
    engine: Vec<PathBuf>,
    ours: PathBuf,
}

impl SocketMap {
    /// The engine listens at `engine` or where everybody expects it, we at `ours`.
    pub fn new(engine: &Path, ours: &Path) -> Self {
        let well_known = WELL_KNOWN.iter().map(Path::new);
        let engine = well_known.chain([engine]).map(Path::to_owned).collect();
        SocketMap {
            engine,
            ours: ours.to_owned(),
        }
    }

    /// Replaces the sources of a container's binds. Looks at the file system for links.
    pub fn apply(&self, container: &mut Value) {
        let mounts = container
            .pointer_mut("/HostConfig/Mounts")
            .and_then(Value::as_array_mut);
        for mount in mounts.into_iter().flatten() {
            let source = mount["Source"].as_str().unwrap_or_default();
            if mount["Type"] == "bind" && self.is_engine(Path::new(source)) {
                mount["Source"] = json!(self.ours);
            }
        }
    }

    fn is_engine(&self, source: &Path) -> bool {
        let written = spellings(source);
        let mut known = self.engine.iter().flat_map(|path| spellings(path));
        known.any(|path| written.contains(&path))
    }
}

/// A path as the engine cleans it; with the links of its folder resolved; and with its own.
fn spellings(path: &Path) -> Vec<PathBuf> {
    let clean = cleaned(path);
    let folder = clean.parent().and_then(|folder| folder.canonicalize().ok());
    let in_folder = folder
        .zip(clean.file_name())
        .map(|(folder, name)| folder.join(name));
    let file = clean.canonicalize().ok();
    [Some(clean), in_folder, file]
        .into_iter()
        .flatten()
        .collect()
}

/// Without `.`, doubled slashes and what `..` takes away, by the text alone.
fn cleaned(path: &Path) -> PathBuf {
    let mut clean = PathBuf::new();
    for part in path.components() {
        match part {
            Component::ParentDir => drop(clean.pop()),
            Component::CurDir => {}
            part => clean.push(part),
        }
    }
    clean
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::os::unix::fs::symlink;

    fn mapped(map: &SocketMap, kind: &str, source: &str) -> String {
        let mut container =
            json!({"HostConfig": {"Mounts": [{"Type": kind, "Source": source, "Target": "/x"}]}});
        map.apply(&mut container);
        let source = &container["HostConfig"]["Mounts"][0]["Source"];
        source.as_str().unwrap().to_owned()
    }

    #[test]
    fn every_spelling_of_the_engines_socket_becomes_ours() {
        let folder = tempfile::tempdir().unwrap();
        let path = |name: &str| folder.path().join(name).to_str().unwrap().to_owned();
        std::fs::create_dir(path("run")).unwrap();
        std::fs::write(path("run/engine.sock"), "").unwrap();
        symlink("run", folder.path().join("linked")).unwrap();
        symlink("run/engine.sock", folder.path().join("link.sock")).unwrap();
        let map = SocketMap::new(Path::new(&path("run/engine.sock")), Path::new("/ours"));
        for source in [
            "/var/run/docker.sock",
            "/run/docker.sock",
            "/run//./docker.sock",
            "/nowhere/../run/docker.sock",
            &path("run/engine.sock"),
            &path("linked/engine.sock"),
            &path("linked/../run/engine.sock"),
            &path("link.sock"),
        ] {
            assert_eq!(mapped(&map, "bind", source), "/ours", "{source}");
        }
    }

    #[test]
    fn a_socket_that_is_not_there_is_known_by_its_folder() {
        let folder = tempfile::tempdir().unwrap();
        std::fs::create_dir(folder.path().join("run")).unwrap();
        symlink("run", folder.path().join("linked")).unwrap();
        let map = SocketMap::new(&folder.path().join("run/engine.sock"), Path::new("/ours"));
        let linked = folder.path().join("linked/engine.sock");
        assert_eq!(mapped(&map, "bind", linked.to_str().unwrap()), "/ours");
    }

    #[test]
    fn nothing_else_is_touched() {
        let map = SocketMap::new(Path::new("/run/engine.sock"), Path::new("/ours"));
        for (kind, source) in [
            ("bind", "/var/run"),
            ("bind", "/var/run/docker.sock.d"),
            ("bind", "/"),
            ("volume", "/var/run/docker.sock"),
            ("tmpfs", ""),
        ] {
            assert_eq!(mapped(&map, kind, source), source);
        }
        let mut without = json!({"HostConfig": {}});
        map.apply(&mut without);
        assert_eq!(without, json!({"HostConfig": {}}));
    }
}
