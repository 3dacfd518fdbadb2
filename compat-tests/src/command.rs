//! Running a program with a deadline, its output kept apart by stream.

use std::io::{Read, Write};
use std::os::unix::process::{CommandExt, ExitStatusExt};
use std::process::{Child, Command, ExitStatus, Stdio};
use std::sync::mpsc::{self, Receiver};
use std::thread;
use std::time::{Duration, Instant};

use nix::sys::signal::{Signal, killpg};
use nix::unistd::Pid;

use crate::error::{Error, Tried};

/// What a finished program left behind.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Output {
    /// Exit code, or 128 + signal as a shell says it.
    pub status: i32,
    pub stdout: String,
    pub stderr: String,
}

impl Output {
    /// The standard output without surrounding white space, when the program succeeded; both streams otherwise.
    pub fn success(&self) -> Result<&str, Error> {
        if self.status == 0 {
            return Ok(self.stdout.trim());
        }
        Err(Error::Setup(format!(
            "exit code {}: {}{}",
            self.status, self.stdout, self.stderr
        )))
    }
}

/// Runs `command`, feeding it `stdin`, and kills its process group when `limit` passes.
pub fn run(command: &mut Command, stdin: &[u8], limit: Duration) -> Result<Output, Error> {
    let name = format!("{command:?}");
    command
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .process_group(0);
    let mut child = command.spawn().tried(|| format!("start {name}"))?;
    feed(&mut child, stdin.to_vec());
    let stdout = collect(child.stdout.take());
    let stderr = collect(child.stderr.take());
    let status = finish(&mut child, &name, limit)?;
    // A grandchild may hold a pipe open after the program has ended; what has been read by then is the output.
    let grace = Duration::from_secs(2);
    Ok(Output {
        status: code(status),
        stdout: stdout.recv_timeout(grace).unwrap_or_default(),
        stderr: stderr.recv_timeout(grace).unwrap_or_default(),
    })
}

fn feed(child: &mut Child, input: Vec<u8>) {
    if let Some(mut pipe) = child.stdin.take() {
        // A program that ends without reading its input is no failure of ours.
        thread::spawn(move || drop(pipe.write_all(&input)));
    }
}

fn collect(pipe: Option<impl Read + Send + 'static>) -> Receiver<String> {
    let (sender, receiver) = mpsc::channel();
    thread::spawn(move || {
        let mut bytes = Vec::new();
        if let Some(mut pipe) = pipe {
            drop(pipe.read_to_end(&mut bytes));
        }
        drop(sender.send(String::from_utf8_lossy(&bytes).into_owned()));
    });
    receiver
}

fn finish(child: &mut Child, name: &str, limit: Duration) -> Result<ExitStatus, Error> {
    let deadline = Instant::now() + limit;
    let mut pause = Duration::from_millis(1);
    loop {
        if let Some(status) = child.try_wait().tried(|| format!("wait for {name}"))? {
            return Ok(status);
        }
        if Instant::now() >= deadline {
            let group = Pid::from_raw(child.id().cast_signed());
            killpg(group, Signal::SIGKILL).ok();
            drop(child.wait());
            return Err(Error::Deadline {
                what: format!("the end of {name}"),
                limit,
                last: "still running".to_owned(),
            });
        }
        thread::sleep(pause);
        pause = (pause * 2).min(Duration::from_millis(20));
    }
}

fn code(status: ExitStatus) -> i32 {
    status
        .code()
        .unwrap_or_else(|| 128 + status.signal().unwrap_or(0))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn streams_stay_apart_and_the_exit_code_is_kept() {
        let output = run(
            Command::new("sh").args(["-c", "cat; echo two >&2; exit 3"]),
            b"one",
            Duration::from_secs(5),
        );
        let expected = Output {
            status: 3,
            stdout: "one".into(),
            stderr: "two\n".into(),
        };
        assert_eq!(output.unwrap(), expected);
    }

    #[test]
    fn a_program_that_hangs_is_ended_at_its_deadline() {
        let output = run(
            Command::new("sleep").arg("60"),
            b"",
            Duration::from_millis(50),
        );
        assert!(matches!(output, Err(Error::Deadline { .. })));
    }
}
