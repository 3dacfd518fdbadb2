//! Ten thousand connections to a live manager's port that are none of a node's.

use std::time::{Duration, Instant};

use crate::day::Day;
use crate::hosts::{leader, shared, until};

/// Comes from the hub, eight at a time: nothing, garbage, another protocol, a hello that goes no further.
const COME: &str = r#"
    knock() {
        for number in $(seq 1250); do
            exec 3<>"/dev/tcp/$1/2377" || continue
            case $((number % 4)) in
                0) ;;
                1) printf 'GET / HTTP/1.1\r\n\r\n' >&3 ;;
                2) head -c 5000 /dev/zero >&3 ;;
                3) printf '\x16\x03\x01\x02\x00\x01\x00\x01' >&3 ;;
            esac
            exec 3>&-
        done
    }
    for one in 1 2 3 4 5 6 7 8; do knock "$1" & done 2>/dev/null
    wait
"#;

#[test]
fn ten_thousand_bad_connections_leave_nothing() {
    let testbed = shared();
    let day = Day::begin(&testbed);
    let led = leader(&testbed, 0).unwrap();
    let host = testbed.host(led);
    let pid = host.daemon().pid().unwrap();
    // What is allocated once is allocated now.
    day.writes(100);
    let (descriptors_before, memory_before) = (descriptors(pid), memory(pid));
    let logged = std::fs::read_to_string(host.daemon().log()).unwrap().len();

    let begun = Instant::now();
    let mut come = testbed.outside_command();
    let came = come
        .args(["bash", "-c", COME, "bash", host.address()])
        .stderr(std::process::Stdio::null())
        .status();
    assert!(came.unwrap().success());
    let took = begun.elapsed();
    let slack = 20;
    let left = until("the descriptors as before", || match descriptors(pid) {
        now if now <= descriptors_before + slack => Ok(now),
        now => Err(format!("{descriptors_before}, then {now}")),
    });
    let memory_after = memory(pid);
    let log = std::fs::read_to_string(host.daemon().log()).unwrap();
    let lines: Vec<&str> = log[logged..]
        .lines()
        .filter(|line| !line.contains(" DEBUG ") && line.contains("10.77.0.254"))
        .collect();
    println!(
        "10000 bad connections in {took:?}: {descriptors_before} descriptors, then {left}; \
         {memory_before} KiB, then {memory_after}; {} lines",
        lines.len()
    );
    let most = 10 + 5 * usize::try_from(took.as_secs() / 60).unwrap();
    assert!(lines.len() <= most, "{lines:#?}");
    assert!(memory_after < memory_before + 16 * 1024, "{memory_after}");
    assert!(took < Duration::from_secs(120), "{took:?}");
    day.end("10000 bad connections", &testbed);
}

/// How many files and connections a process has open.
pub fn descriptors(pid: i32) -> usize {
    std::fs::read_dir(format!("/proc/{pid}/fd"))
        .unwrap()
        .count()
}

/// Resident memory in KiB.
fn memory(pid: i32) -> usize {
    let status = std::fs::read_to_string(format!("/proc/{pid}/status")).unwrap();
    let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:"));
    line.unwrap()
        .trim()
        .trim_end_matches(" kB")
        .parse()
        .unwrap()
}
