//! An authority outside of the swarm: CFSSL's `sign`, behind the TLS of `openssl s_server`, whose pipes carry what the
//! client says and what is answered.

use serde_json::{Value, json};
use std::fs;
use std::io::{BufRead as _, BufReader, Read as _, Write as _};
use std::net::{TcpListener, TcpStream};
use std::path::Path;
use std::process::{Child, ChildStdin, ChildStdout, Command, Stdio};
use std::sync::{Arc, Mutex};
use std::time::{Duration, SystemTime};
use swarmrs_security::{CertificateRequest, PrivateKey, Role, RootCa, Subject};
use tempfile::TempDir;

const DAY: Duration = Duration::from_secs(24 * 3600);

/// Signs with a root, for clients that have a certificate of one it trusts.
pub struct Outside {
    server: Child,
    pub url: String,
    /// The organisational unit of each certificate that was asked for; `CA` for one of an authority.
    pub asked: Arc<Mutex<Vec<String>>>,
    _folder: TempDir,
}

impl Drop for Outside {
    fn drop(&mut self) {
        let _ = self.server.kill();
        let _ = self.server.wait();
    }
}

/// A port of loopback that is free.
pub fn free_port() -> u16 {
    let free = TcpListener::bind("127.0.0.1:0").unwrap();
    free.local_addr().unwrap().port()
}

/// Where an authority on this port is asked.
pub fn url(port: u16) -> String {
    format!("https://localhost:{port}/api/v1/cfssl/sign")
}

impl Outside {
    /// Issues with `ca`; `trusted` (PEM) are the roots of those who may ask.
    pub fn start(ca: &RootCa, trusted: &str, port: u16) -> Self {
        let folder = TempDir::new().unwrap();
        let at = |name: &str| folder.path().join(name);
        let key = PrivateKey::generate().unwrap();
        // A node's certificate is good for the host that is called as the node is.
        let subject = Subject {
            node_id: "localhost",
            role: Role::Manager,
            cluster_id: "outside",
        };
        let certificate = ca
            .issue(&key.request().unwrap(), &subject, DAY, SystemTime::now())
            .unwrap();
        fs::write(at("server.crt"), certificate.pem()).unwrap();
        fs::write(at("server.key"), key.pem()).unwrap();
        fs::write(at("trusted.crt"), trusted).unwrap();
        fs::write(at("ca.crt"), ca.cert().pem()).unwrap();
        fs::write(at("ca.key"), ca.key_pem()).unwrap();
        fs::write(at("extensions"), "basicConstraints=critical,CA:TRUE\n").unwrap();
        let mut server = Command::new("openssl")
            .args([
                "s_server",
                "-quiet",
                "-accept",
                &format!("127.0.0.1:{port}"),
            ])
            .args([
                "-cert",
                "server.crt",
                "-key",
                "server.key",
                "-CAfile",
                "trusted.crt",
            ])
            .args(["-Verify", "3", "-verify_return_error"])
            .current_dir(folder.path())
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::null())
            .spawn()
            .unwrap();
        let (said, answers) = (server.stdout.take().unwrap(), server.stdin.take().unwrap());
        let asked: Arc<Mutex<Vec<String>>> = Arc::default();
        let (noted, place) = (asked.clone(), folder.path().to_owned());
        let ca = ca.clone();
        std::thread::spawn(move || serve(said, answers, &ca, &place, &noted));
        while TcpStream::connect(("127.0.0.1", port)).is_err() {
            assert!(
                server.try_wait().unwrap().is_none(),
                "openssl does not listen"
            );
            std::thread::sleep(Duration::from_millis(20));
        }
        Outside {
            server,
            url: url(port),
            asked,
            _folder: folder,
        }
    }
}

/// One request after the other, until the server is gone.
fn serve(
    said: ChildStdout,
    mut answers: ChildStdin,
    ca: &RootCa,
    place: &Path,
    noted: &Mutex<Vec<String>>,
) {
    let mut said = BufReader::new(said);
    while let Some(body) = request(&mut said) {
        let asked: Value = serde_json::from_slice(&body).unwrap();
        let certificate = signed(ca, place, &asked, noted);
        let body = json!({"success": true, "result": {"certificate": certificate}, "errors": []})
            .to_string();
        let head = format!("HTTP/1.1 200 OK\r\nContent-Length: {}\r\n\r\n", body.len());
        answers.write_all((head + &body).as_bytes()).unwrap();
        answers.flush().unwrap();
    }
}

fn request(said: &mut BufReader<ChildStdout>) -> Option<Vec<u8>> {
    let mut length = 0;
    loop {
        let mut line = String::new();
        if said.read_line(&mut line).ok()? == 0 {
            return None;
        }
        if let Some(value) = line.to_lowercase().strip_prefix("content-length:") {
            length = value.trim().parse().unwrap();
        }
        if line.trim().is_empty() {
            break;
        }
    }
    let mut body = vec![0; length];
    said.read_exact(&mut body).ok()?;
    Some(body)
}

fn signed(ca: &RootCa, place: &Path, asked: &Value, noted: &Mutex<Vec<String>>) -> String {
    let text = |value: &Value| value.as_str().unwrap_or_default().to_owned();
    let request = text(&asked["certificate_request"]);
    if asked["profile"] == "CA" {
        noted.lock().unwrap().push("CA".to_owned());
        return cross_signed(place, &request);
    }
    let name = &asked["subject"]["names"][0];
    let (node, cluster, unit) = (
        text(&asked["subject"]["CN"]),
        text(&name["O"]),
        text(&name["OU"]),
    );
    noted.lock().unwrap().push(unit.clone());
    let subject = Subject {
        node_id: &node,
        role: if unit == "swarm-manager" {
            Role::Manager
        } else {
            Role::Worker
        },
        cluster_id: &cluster,
    };
    let request = CertificateRequest::from_pem(&request).unwrap();
    let certificate = ca
        .issue(&request, &subject, DAY, SystemTime::now())
        .unwrap();
    certificate.pem().to_owned()
}

/// Valid from the second in which it is signed, which is a later one than that in which it was asked for.
fn cross_signed(place: &Path, request: &str) -> String {
    let second = || SystemTime::UNIX_EPOCH.elapsed().unwrap().as_secs();
    let asked_in = second();
    while second() == asked_in {
        std::thread::sleep(Duration::from_millis(20));
    }
    fs::write(place.join("request"), request).unwrap();
    let signed = Command::new("openssl")
        .args([
            "x509", "-req", "-in", "request", "-CA", "ca.crt", "-CAkey", "ca.key",
        ])
        .args(["-CAcreateserial", "-days", "400", "-extfile", "extensions"])
        .current_dir(place)
        .output()
        .unwrap();
    assert!(signed.status.success(), "{signed:?}");
    String::from_utf8(signed.stdout).unwrap()
}
