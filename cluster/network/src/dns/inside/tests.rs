//! A namespace that stands for a container, with a resolver in the place of the engine's. Needs root.

use super::*;
use crate::dns::fixture::{names, network, query};
use nix::sched::unshare;
use std::net::IpAddr;
use std::process::Command;

fn asker() -> Asker {
    Asker {
        network: network(),
        address: IpAddr::from([10, 0, 1, 5]),
    }
}

/// The reply's code and how many answers it has.
fn ask(name: &str) -> (u8, u8) {
    let socket = StdSocket::bind("127.0.0.1:0").unwrap();
    let patience = Some(Duration::from_secs(3));
    socket.set_read_timeout(patience).unwrap();
    socket.send_to(&query(name), (ENGINE, PORT)).unwrap();
    let mut reply = [0; 512];
    let (_, from) = socket.recv_from(&mut reply).unwrap();
    assert_eq!(
        from,
        SocketAddr::from((ENGINE, PORT)),
        "as if the engine had answered"
    );
    (reply[3] & 0x0F, reply[7])
}

fn program(line: &str) -> String {
    let output = Command::new("sh").args(["-c", line]).output().unwrap();
    String::from_utf8_lossy(&output.stdout).into_owned()
}

/// The engine's resolver: it says REFUSED to everything, but late to what begins with "slow".
fn engine() {
    let socket = StdSocket::bind((ENGINE, PORT)).unwrap();
    std::thread::spawn(move || {
        let mut packet = [0; 512];
        while let Ok((length, client)) = socket.recv_from(&mut packet) {
            packet[2] |= 0x80;
            packet[3] = 5;
            if packet[13..].starts_with(b"slow") {
                std::thread::sleep(Duration::from_millis(2500));
            }
            let _ = socket.send_to(&packet[..length], client);
        }
    });
}

/// Runs in a thread of its own, in a namespace of its own.
fn in_a_container(test: impl FnOnce(&Path) + Send + 'static) {
    let thread = std::thread::spawn(move || {
        unshare(CloneFlags::CLONE_NEWNET).expect("this test needs root");
        program("ip link set lo up");
        let id = nix::unistd::gettid();
        test(Path::new(&format!("/proc/self/task/{id}/ns/net")));
    });
    if let Err(failed) = thread.join() {
        std::panic::resume_unwind(failed);
    }
}

#[test]
fn our_names_are_answered_and_all_others_asked_of_the_engine() {
    in_a_container(|sandbox| {
        engine();
        assert_eq!(ask("web"), (5, 0), "before");
        let inside = Inside::open(sandbox, names(Vec::new()), asker()).unwrap();
        assert_eq!(ask("web"), (0, 1));
        assert_eq!(ask("nope"), (5, 0), "a name that may be the engine's");
        drop(inside);
        assert_eq!(ask("web"), (5, 0), "after");
        assert_eq!(program("nft list tables"), "", "nothing is left");
    });
}

#[test]
fn an_engine_whose_first_server_is_dead_is_waited_for() {
    in_a_container(|sandbox| {
        engine();
        let _inside = Inside::open(sandbox, names(Vec::new()), asker()).unwrap();
        assert_eq!(ask("slow"), (5, 0));
    });
}

#[test]
fn a_second_server_for_one_container_is_refused_and_the_first_stays() {
    in_a_container(|sandbox| {
        engine();
        let _first = Inside::open(sandbox, names(Vec::new()), asker()).unwrap();
        assert!(Inside::open(sandbox, names(Vec::new()), asker()).is_err());
        assert_eq!(ask("web"), (0, 1));
    });
}
