//! One question to a daemon: a GET over its unix socket.

use std::io::{self, Read, Write};
use std::net::{TcpStream, ToSocketAddrs};
use std::os::unix::net::UnixStream;
use std::time::Duration;

use serde::Deserialize;
use serde::de::DeserializeOwned;

/// How long a daemon may be silent.
const PATIENCE: Duration = Duration::from_secs(20);
/// The longest answer read.
const MOST_ANSWER: u64 = 8 << 20;

/// The daemon gave no answer that helps.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    #[error("cannot reach a daemon at {0}: only unix:// and plain tcp:// addresses are supported")]
    Address(String),
    #[error("cannot connect to the daemon at {host}: {source}. Is swarmrsd running?")]
    Connect { host: String, source: io::Error },
    #[error("the daemon at {host} broke off: {source}")]
    Broken { host: String, source: io::Error },
    #[error("Error response from daemon: {0}")]
    Refused(String),
    #[error(
        "{0} is a stock engine, not swarmrsd: choose swarmrsd's socket with --host, DOCKER_HOST or a docker context"
    )]
    NotOurs(String),
    #[error("the daemon at {host} answered what this release does not understand")]
    Unreadable { host: String },
}

/// What can be asked over.
trait Stream: Read + Write {}
impl<S: Read + Write> Stream for S {}

/// Asks for a path, and reads the answer as JSON.
pub fn get<T: DeserializeOwned>(host: &str, path: &str) -> Result<T, Error> {
    let mut stream = connect(host)?;
    let answer = exchange(stream.as_mut(), path).map_err(|source| Error::Broken {
        host: host.to_owned(),
        source,
    })?;
    let unreadable = || Error::Unreadable {
        host: host.to_owned(),
    };
    let (status, body) = split(&answer).ok_or_else(unreadable)?;
    match status {
        200 => serde_json::from_slice(body).map_err(|_| unreadable()),
        404 => Err(Error::NotOurs(host.to_owned())),
        _ => Err(Error::Refused(message(body))),
    }
}

fn connect(host: &str) -> Result<Box<dyn Stream>, Error> {
    let connected = match host.split_once("://") {
        Some(("unix", path)) => UnixStream::connect(path).and_then(|stream| {
            stream.set_read_timeout(Some(PATIENCE))?;
            Ok(Box::new(stream) as Box<dyn Stream>)
        }),
        Some(("tcp", address)) => dial(address),
        _ => return Err(Error::Address(host.to_owned())),
    };
    connected.map_err(|source| Error::Connect {
        host: host.to_owned(),
        source,
    })
}

fn dial(address: &str) -> io::Result<Box<dyn Stream>> {
    let mut addresses = address.trim_end_matches('/').to_socket_addrs()?;
    let first = addresses.next().ok_or(io::ErrorKind::NotFound)?;
    let stream = TcpStream::connect_timeout(&first, PATIENCE)?;
    stream.set_read_timeout(Some(PATIENCE))?;
    Ok(Box::new(stream))
}

/// HTTP/1.0, so that the answer is one piece and ends with the connection.
fn exchange(stream: &mut dyn Stream, path: &str) -> io::Result<Vec<u8>> {
    let agent = concat!("docker-swarmrs/", env!("CARGO_PKG_VERSION"));
    let request = format!("GET {path} HTTP/1.0\r\nHost: docker\r\nUser-Agent: {agent}\r\n\r\n");
    stream.write_all(request.as_bytes())?;
    let mut answer = Vec::new();
    stream.take(MOST_ANSWER).read_to_end(&mut answer)?;
    Ok(answer)
}

/// Status and body.
fn split(answer: &[u8]) -> Option<(u16, &[u8])> {
    let end = answer.windows(4).position(|four| four == b"\r\n\r\n")?;
    let head = std::str::from_utf8(&answer[..end]).ok()?;
    let status = head.strip_prefix("HTTP/1.")?.split(' ').nth(1)?;
    Some((status.parse().ok()?, &answer[end + 4..]))
}

#[derive(Deserialize)]
struct Refusal {
    message: String,
}

fn message(body: &[u8]) -> String {
    match serde_json::from_slice::<Refusal>(body) {
        Ok(refusal) => refusal.message,
        Err(_) => String::from_utf8_lossy(body).trim().to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::os::unix::net::UnixListener;

    /// Asks a daemon that answers with these bytes.
    fn ask(answer: &'static str) -> Result<serde_json::Value, Error> {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("d.sock");
        let listener = UnixListener::bind(&path).unwrap();
        let daemon = std::thread::spawn(move || {
            let (mut client, _) = listener.accept().unwrap();
            let mut head = [0; 1024];
            let read = client.read(&mut head).unwrap();
            client.write_all(answer.as_bytes()).unwrap();
            String::from_utf8_lossy(&head[..read]).into_owned()
        });
        let got = get(
            &format!("unix://{}", path.display()),
            "/swarmrs/v1/read/version",
        );
        let asked = daemon.join().unwrap();
        assert!(
            asked.starts_with("GET /swarmrs/v1/read/version HTTP/1.0\r\n"),
            "{asked}"
        );
        got
    }

    #[test]
    fn an_answer_is_read_as_json() {
        let value = ask("HTTP/1.1 200 OK\r\nA: b\r\n\r\n{\"Version\":\"1\"}\n").unwrap();
        assert_eq!(value["Version"], "1");
    }

    #[test]
    fn a_refusal_is_told_in_the_daemons_words() {
        let error = ask("HTTP/1.1 503 X\r\n\r\n{\"message\":\"no\"}\n").unwrap_err();
        assert_eq!(error.to_string(), "Error response from daemon: no");
    }

    #[test]
    fn a_stock_engine_is_told_from_ours() {
        let error =
            ask("HTTP/1.1 404 Not Found\r\n\r\n{\"message\":\"page not found\"}\n").unwrap_err();
        assert!(matches!(error, Error::NotOurs(_)), "{error}");
    }

    #[test]
    fn what_is_no_answer_is_said_so() {
        let error = ask("garbage").unwrap_err();
        assert!(matches!(error, Error::Unreadable { .. }), "{error}");
        let error = get::<()>("ssh://far", "/").unwrap_err();
        assert!(matches!(error, Error::Address(_)), "{error}");
        let error = get::<()>("unix:///nonexistent/x.sock", "/").unwrap_err();
        assert!(
            error.to_string().contains("Is swarmrsd running?"),
            "{error}"
        );
    }
}
