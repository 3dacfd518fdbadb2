//! How TCP ports are protected: dockerd's `--tls*` flags, with dockerd's meaning.
//!
//! One thing is stricter. dockerd warns of a port without TLS, waits a while and opens it; here it is opened only after an
//! explicit `--tls=false`, because whoever reaches it is root on the machine.

use std::path::PathBuf;

/// What the `--tls*` flags come to.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum TlsMode {
    /// Nothing was said: no TCP port is opened.
    Unset,
    /// TCP in clear, on purpose.
    Off,
    /// TLS.
    On(TlsFiles),
}

/// Where the certificates lie.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TlsFiles {
    /// The CA that clients' certificates must come from; `None`: clients need none.
    pub client_ca: Option<PathBuf>,
    pub certificate: PathBuf,
    pub key: PathBuf,
}

/// The flags as given.
#[derive(Debug, Default)]
pub(super) struct Flags {
    pub tls: Option<bool>,
    pub tlsverify: Option<bool>,
    pub ca: Option<PathBuf>,
    pub certificate: Option<PathBuf>,
    pub key: Option<PathBuf>,
}

impl Flags {
    /// `--tlsverify`, true or false, switches TLS on; `--tls` alone asks for clients' certificates too.
    pub(super) fn mode(self) -> TlsMode {
        let on = self.tlsverify.is_some() || self.tls == Some(true);
        match (on, self.tls) {
            (false, None) => TlsMode::Unset,
            (false, Some(_)) => TlsMode::Off,
            (true, _) => TlsMode::On(self.files()),
        }
    }

    fn files(self) -> TlsFiles {
        let in_folder = |name: &str| folder().join(name);
        let ca = self.ca.unwrap_or_else(|| in_folder("ca.pem"));
        TlsFiles {
            client_ca: self.tlsverify.unwrap_or(true).then_some(ca),
            certificate: self.certificate.unwrap_or_else(|| in_folder("cert.pem")),
            key: self.key.unwrap_or_else(|| in_folder("key.pem")),
        }
    }
}

/// Where dockerd looks for certificates that are not named.
fn folder() -> PathBuf {
    let named = |variable| std::env::var_os(variable).filter(|value| !value.is_empty());
    let folder = named("DOCKER_CERT_PATH").or_else(|| named("DOCKER_CONFIG"));
    folder.map_or_else(
        || PathBuf::from(named("HOME").unwrap_or_default()).join(".docker"),
        PathBuf::from,
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_flags_mean_what_dockerd_makes_of_them() {
        let mode = |tls, tlsverify| {
            let flags = Flags {
                tls,
                tlsverify,
                ..Flags::default()
            };
            match flags.mode() {
                TlsMode::Unset => "unset",
                TlsMode::Off => "off",
                TlsMode::On(files) if files.client_ca.is_some() => "verify",
                TlsMode::On(_) => "tls",
            }
        };
        assert_eq!(mode(None, None), "unset");
        assert_eq!(mode(Some(false), None), "off");
        assert_eq!(mode(Some(true), None), "verify");
        for tls in [None, Some(false), Some(true)] {
            assert_eq!(mode(tls, Some(true)), "verify", "{tls:?}");
            assert_eq!(mode(tls, Some(false)), "tls", "{tls:?}");
        }
    }
}
