//! A program that becomes another one, as seen by those who ask it.

use super::*;
use std::io::{BufRead, BufReader, Read, Write};
use std::net::{TcpListener, TcpStream, UdpSocket};
use std::process::Stdio;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use nix::fcntl::{Flock, FlockArg};

const BECOMES: &str = "SWARMRS_TEST_BECOMES";
const PATIENCE: Duration = Duration::from_secs(10);
const LOCK: &str = "SWARMRS_TEST_LOCK";
const NAME: &str = "inherited::tests::who_asks_while_the_program_becomes_another_is_answered";

#[test]
fn who_asks_while_the_program_becomes_another_is_answered() {
    match (std::env::var_os(BECOMES), std::env::var_os(VARIABLE)) {
        (None, _) => asked(),
        (Some(_), None) => before(),
        (Some(_), Some(_)) => after(),
    }
}

/// Asks when the old one listens no more and the new one does not yet.
fn asked() {
    let free = TcpListener::bind("127.0.0.1:0").unwrap();
    let at = free.local_addr().unwrap();
    drop(free);
    let folder = tempfile::tempdir().unwrap();
    let lock = folder.path().join("lock");
    let mut program = Command::new(std::env::current_exe().unwrap())
        .args(["--exact", NAME, "--nocapture"])
        .env(BECOMES, at.port().to_string())
        .env(LOCK, &lock)
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    let mut said = BufReader::new(program.stdout.take().unwrap()).lines();
    assert!(said.any(|line| line.unwrap() == "ready"));
    let mut connection = TcpStream::connect(at).unwrap();
    connection.write_all(b"c").unwrap();
    let datagrams = UdpSocket::bind("127.0.0.1:0").unwrap();
    datagrams.set_read_timeout(Some(PATIENCE)).unwrap();
    connection.set_read_timeout(Some(PATIENCE)).unwrap();
    datagrams.send_to(b"d", at).unwrap();
    let ended = AtomicBool::new(false);
    let was_free = std::thread::scope(|scope| {
        let watcher = scope.spawn(|| {
            let tries = std::iter::repeat_with(|| try_lock(&lock).is_some());
            tries
                .take_while(|_| !ended.load(Ordering::Relaxed))
                .any(|free| free)
        });
        let mut heard = [0; 2];
        let asked = program.stdin.as_mut().unwrap().write_all(b"go\n");
        let heard = asked
            .and_then(|()| connection.read_exact(&mut heard[..1]))
            .and_then(|()| datagrams.recv(&mut heard[1..]))
            .map(|_| heard);
        ended.store(true, Ordering::Relaxed);
        assert_eq!(&heard.unwrap(), b"CD");
        watcher.join().unwrap()
    });
    assert!(!was_free, "somebody else had the lock");
    // It waits for the end of its input.
    drop(program.stdin.take());
    assert!(program.wait().unwrap().success());
    assert!(try_lock(&lock).is_some(), "it is not let go of");
}

fn try_lock(path: &Path) -> Option<Flock<File>> {
    let file = File::options().append(true).open(path).unwrap();
    Flock::lock(file, FlockArg::LockExclusiveNonblock).ok()
}

/// Where it is to wait, and what it has locked.
fn settings() -> (SocketAddr, PathBuf) {
    let port: u16 = std::env::var(BECOMES).unwrap().parse().unwrap();
    let lock = std::env::var_os(LOCK).unwrap();
    (SocketAddr::from(([127, 0, 0, 1], port)), lock.into())
}

fn before() {
    let (at, lock) = settings();
    let lock = Flock::lock(File::create(lock).unwrap(), FlockArg::LockExclusive).unwrap();
    let listener = TcpListener::bind(at).unwrap();
    let socket = UdpSocket::bind(at).unwrap();
    println!("ready");
    std::io::stdin().read_line(&mut String::new()).unwrap();
    let kept = keep(&lock).unwrap();
    drop((listener, socket));
    let arguments = ["--exact", NAME, "--nocapture"].map(OsString::from);
    panic!(
        "{}",
        execute(&std::env::current_exe().unwrap(), &arguments, &kept, &[])
    );
}

fn after() {
    receive();
    let (at, lock) = settings();
    let lock = file(&lock).unwrap();
    let lock = Flock::lock(lock, FlockArg::LockExclusiveNonblock).unwrap();
    let taken = |sort| here(sort, |one| *one == Address::Ip(at));
    let listener = TcpListener::from(taken(Sort::Connections).unwrap());
    let socket = UdpSocket::from(taken(Sort::Datagrams).unwrap());
    assert!(taken(Sort::Connections).is_none(), "it was taken");
    let (mut connection, _) = listener.accept().unwrap();
    let mut got = [0; 1];
    connection.read_exact(&mut got).unwrap();
    connection.write_all(b"C").unwrap();
    let (_, from) = socket.recv_from(&mut got).unwrap();
    socket.send_to(b"D", from).unwrap();
    forget();
    std::io::stdin().read_to_end(&mut Vec::new()).unwrap();
    drop(lock);
}
