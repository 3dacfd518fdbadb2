//! Which name servers the host itself asks.

use std::net::{IpAddr, SocketAddr};
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant, SystemTime};

use super::ADDRESS;

/// Where the host keeps them.
pub const HOST_FILE: &str = "/etc/resolv.conf";
/// Between two looks at whether the file has changed.
const RECHECK: Duration = Duration::from_secs(1);
/// As many as glibc asks. Source: `MAXNS` in `resolv.h`.
const MOST: usize = 3;
const PORT: u16 = 53;

/// The name servers of the file, read again when it changes.
#[derive(Debug)]
pub struct Resolvers {
    file: PathBuf,
    read: Mutex<Read>,
}

#[derive(Debug, Default)]
struct Read {
    looked: Option<Instant>,
    /// Of the file as it was read.
    changed: Option<SystemTime>,
    found: Arc<[SocketAddr]>,
}

impl Resolvers {
    pub fn of(file: impl Into<PathBuf>) -> Self {
        Resolvers {
            file: file.into(),
            read: Mutex::default(),
        }
    }

    /// These and no others, whatever a file says.
    pub fn fixed(servers: Vec<SocketAddr>) -> Self {
        let found = Read {
            found: servers.into(),
            ..Read::default()
        };
        Resolvers {
            // No such file can be: what is known stays.
            file: PathBuf::new(),
            read: Mutex::new(found),
        }
    }

    /// In the order in which they are asked.
    pub fn now(&self) -> Arc<[SocketAddr]> {
        let mut read = self.read.lock().unwrap_or_else(PoisonError::into_inner);
        if read.looked.is_none_or(|looked| looked.elapsed() >= RECHECK) {
            read.looked = Some(Instant::now());
            read.refresh(&self.file);
        }
        read.found.clone()
    }
}

impl Read {
    /// A file that cannot be read is being replaced: what was known stays.
    fn refresh(&mut self, file: &Path) {
        let changed = std::fs::metadata(file).and_then(|found| found.modified());
        let Ok(changed) = changed else { return };
        if self.changed == Some(changed) {
            return;
        }
        if let Ok(text) = std::fs::read_to_string(file) {
            self.found = parse(&text).into();
            self.changed = Some(changed);
        }
    }
}

/// The servers that a `resolv.conf` names, but for our own address: asking ourselves would go on for ever.
pub fn parse(text: &str) -> Vec<SocketAddr> {
    let server = |line: &str| {
        let mut words = line.split_whitespace();
        (words.next() == Some("nameserver")).then_some(())?;
        words.next()?.parse::<IpAddr>().ok()
    };
    text.lines()
        .filter_map(server)
        .filter(|server| *server != IpAddr::V4(ADDRESS))
        .take(MOST)
        .map(|server| SocketAddr::new(server, PORT))
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_first_three_servers_count_and_never_ourselves() {
        let text = "# written by hand\nsearch example.com\nnameserver 127.0.0.53\nnameserver 169.254.77.53\n\
                    nameserver\nnameserver nonsense\n nameserver 2001:db8::1 # a comment\nnameserver 192.0.2.1\nnameserver 192.0.2.2\n";
        let found = parse(text);
        let wanted = ["127.0.0.53:53", "[2001:db8::1]:53", "192.0.2.1:53"];
        assert_eq!(found, wanted.map(|one| one.parse().unwrap()));
    }

    #[test]
    fn the_file_is_read_again_when_it_changes_and_kept_when_it_is_away() {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("resolv.conf");
        std::fs::write(&file, "nameserver 192.0.2.1").unwrap();
        let mut read = Read::default();
        read.refresh(&file);
        assert_eq!(read.found.len(), 1);
        std::fs::write(&file, "nameserver 192.0.2.1\nnameserver 192.0.2.2").unwrap();
        let later = SystemTime::now() + Duration::from_secs(5);
        std::fs::File::options()
            .write(true)
            .open(&file)
            .and_then(|file| file.set_modified(later))
            .unwrap();
        read.refresh(&file);
        assert_eq!(read.found.len(), 2);
        std::fs::remove_file(&file).unwrap();
        read.refresh(&file);
        assert_eq!(read.found.len(), 2);
    }
}
