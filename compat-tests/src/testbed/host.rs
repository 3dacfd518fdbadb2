//! One host: its namespaces, its engine, its swarmrsd, and the ways to talk to them.

use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use serde_json::Value;

use super::daemon::Daemon;
use super::engine::Engine;
use super::namespace::Namespaces;
use super::run_dir::Site;
use super::{IMAGE, Options, image};
use crate::command::{self, Output};
use crate::error::{Error, Tried};
use crate::http::{self, Connection, Request, Response};
use crate::paper;
use crate::recorder::Recorder;

const COMMAND: Duration = Duration::from_secs(90);
const CALL: Duration = Duration::from_secs(30);

/// The stock command. Debian's own path first: its CLI belongs to the engine that the testbed runs.
const DOCKER: &str = "/usr/bin/docker";

/// A host of a testbed. All commands on it have a deadline.
pub struct Host {
    // Fields drop in order: daemon before engine before the namespaces they live in.
    daemon: Option<Daemon>,
    engine: Engine,
    namespaces: Namespaces,
    recorder: Option<Recorder>,
    site: Site,
    files: PathBuf,
    name: &'static str,
    address: String,
}

/// Where a host is put.
pub(super) struct Place<'a> {
    pub hub: &'a Namespaces,
    /// Its address is 10.77.0.`number`.
    pub number: usize,
    /// The folder with the Debian that its engine is of, if it is not the machine's.
    pub root: Option<&'a Path>,
}

impl Host {
    pub(super) fn start(
        site: &Site,
        name: &'static str,
        place: &Place<'_>,
        options: &Options,
    ) -> Result<Self, Error> {
        let files = site.path().join(name);
        let namespaces = Namespaces::host(site, &files, name, place.root)?;
        place.hub.plug(&namespaces, place.number)?;
        let mut flags = options.engine_flags.clone();
        if options.stock {
            flags.extend_from_slice(&options.flags);
        }
        let engine = Engine::start(site, &namespaces, &files.join("engine"), name, &flags)?;
        let address = format!("10.77.0.{}", place.number);
        let mut host = Self {
            daemon: None,
            engine,
            namespaces,
            recorder: None,
            site: site.clone(),
            files,
            name,
            address,
        };
        host.load_image()?;
        if !options.stock {
            host.add_daemon(options)?;
        }
        Ok(host)
    }

    fn load_image(&self) -> Result<(), Error> {
        let tar = image::archive(self.site.path())?;
        let tar = std::fs::read(&tar).tried(|| format!("read {}", tar.display()))?;
        let change = ["--change", "ENV PATH=/bin", "--change", "CMD [\"sh\"]"];
        let mut import = self.command_at(&self.engine.socket());
        import.arg("import").args(change).args(["-", IMAGE]);
        command::run(&mut import, &tar, COMMAND)?
            .success()
            .map(drop)
    }

    fn add_daemon(&mut self, options: &Options) -> Result<(), Error> {
        let mut upstream = self.engine.socket();
        if options.recorded {
            let socket = self.files.join("recorder.sock");
            self.recorder = Some(Recorder::between(&socket, &upstream)?);
            upstream = socket;
        }
        if options.on_paper {
            let socket = self.files.join("paper.sock");
            paper::engine_before(&socket, &upstream)?;
            upstream = socket;
        }
        let files = self.files.join("swarmrs");
        self.daemon = Some(Daemon::start(
            &self.site,
            &self.namespaces,
            &files,
            &upstream,
            options,
        )?);
        Ok(())
    }

    /// The host name.
    pub fn name(&self) -> &'static str {
        self.name
    }

    /// The address on the hub.
    pub fn address(&self) -> &str {
        &self.address
    }

    /// A directory for a test's own files, seen by the host at the same path.
    pub fn files(&self) -> &Path {
        &self.files
    }

    /// The socket that users of this host talk to: swarmrsd's, or the engine's on the reference.
    pub fn socket(&self) -> PathBuf {
        self.daemon
            .as_ref()
            .map_or_else(|| self.engine.socket(), Daemon::socket)
    }

    /// The engine.
    pub fn engine(&self) -> &Engine {
        &self.engine
    }

    /// swarmrsd. Panics on a host that was made without it.
    #[track_caller]
    pub fn daemon(&self) -> &Daemon {
        self.daemon
            .as_ref()
            .expect("this host was made without swarmrsd")
    }

    /// What reached the engine. Panics on a host that was made without a recording socket.
    #[track_caller]
    pub fn recorder(&self) -> &Recorder {
        self.recorder
            .as_ref()
            .expect("this host was made without a recording socket")
    }

    /// The stock command against this host's API, ready to be given arguments.
    pub fn docker_command(&self) -> Command {
        self.command_at(&self.socket())
    }

    /// A program whose `DOCKER_HOST` is this host's API; `$DOCKER` is the stock command.
    pub fn docker_command_of(&self, program: &str) -> Command {
        let mut command = self.site.command(program);
        command
            .env("DOCKER_HOST", format!("unix://{}", self.socket().display()))
            .env("DOCKER", docker_program());
        command
    }

    /// Runs the stock command against this host's API.
    pub fn docker(&self, args: &[&str]) -> Result<Output, Error> {
        self.docker_fed(args, b"")
    }

    /// As [`Host::docker`], with standard input.
    pub fn docker_fed(&self, args: &[&str], stdin: &[u8]) -> Result<Output, Error> {
        command::run(self.docker_command().args(args), stdin, COMMAND)
    }

    /// Runs the stock command in a pseudo-terminal, as a user at a keyboard sees it.
    pub fn docker_in_terminal(&self, args: &[&str], stdin: &[u8]) -> Result<Output, Error> {
        let line: Vec<String> = std::iter::once(docker_program())
            .chain(args.iter().map(|arg| quote(arg)))
            .collect();
        let mut script = self.site.command("/usr/bin/script");
        script.args([
            "--quiet",
            "--return",
            "--command",
            &line.join(" "),
            "/dev/null",
        ]);
        script
            .env("DOCKER_HOST", format!("unix://{}", self.socket().display()))
            .env("TERM", "xterm");
        command::run(&mut script, stdin, COMMAND)
    }

    /// Runs the stock command and returns its output; a failure is a failure of the test.
    #[track_caller]
    pub fn docker_ok(&self, args: &[&str]) -> String {
        match self
            .docker(args)
            .and_then(|output| output.success().map(str::to_owned))
        {
            Ok(output) => output,
            Err(error) => panic!("docker {}: {error}", args.join(" ")),
        }
    }

    /// Runs the stock command against the engine, past swarmrsd.
    pub fn engine_docker(&self, args: &[&str]) -> Result<Output, Error> {
        command::run(
            self.command_at(&self.engine.socket()).args(args),
            b"",
            COMMAND,
        )
    }

    /// Calls this host's API; `body` is sent as JSON.
    pub fn api(&self, method: &str, target: &str, body: Option<&Value>) -> Result<Response, Error> {
        self.call_at(&self.socket(), method, target, body)
    }

    /// Calls the engine's API, past swarmrsd.
    pub fn engine_api(
        &self,
        method: &str,
        target: &str,
        body: Option<&Value>,
    ) -> Result<Response, Error> {
        self.call_at(&self.engine.socket(), method, target, body)
    }

    /// Sends any request to this host's API.
    pub fn send(&self, request: &Request<'_>) -> Result<Response, Error> {
        http::call(&self.socket(), request, CALL)
    }

    /// Runs a program inside the host's namespaces.
    pub fn inside(&self, program: &[&str]) -> Result<Output, Error> {
        command::run(self.inside_command().args(program), b"", COMMAND)
    }

    /// A command that enters the host's namespaces and becomes the program given as its first argument.
    pub fn inside_command(&self) -> Command {
        let mut command = self.site.command("/usr/bin/nsenter");
        self.namespaces.enter(&mut command);
        command
    }

    /// Runs a program from where the engine's own programs are, in the host's namespaces.
    pub fn beside_engine(&self, program: &[&str]) -> Result<Output, Error> {
        command::run(self.beside_engine_command().args(program), b"", COMMAND)
    }

    fn beside_engine_command(&self) -> Command {
        let mut command = self.site.command("/usr/bin/nsenter");
        self.namespaces.enter_engine(&mut command);
        command
    }

    /// Makes a stock swarm of one on the engine itself: the reference.
    pub fn reference_swarm(&self) -> Result<(), Error> {
        self.engine_docker(&["swarm", "init", "--advertise-addr", &self.address])?
            .success()
            .map(drop)
    }

    /// Joins the swarm that `manager` manages, in that role, by the stock command.
    pub fn join(&self, manager: &Host, role: &str) -> Result<(), Error> {
        let shown = manager.docker(&["swarm", "join-token", "--quiet", role])?;
        let to = format!("{}:2377", manager.address);
        let join = ["swarm", "join", "--advertise-addr", &self.address];
        let token = ["--token", shown.success()?];
        self.docker(&[&join[..], &token, &[&to]].concat())?
            .success()
            .map(drop)
    }

    /// Ends swarmrsd with SIGKILL.
    pub fn kill_daemon(&mut self) {
        if let Some(daemon) = self.daemon.as_mut() {
            daemon.kill();
        }
    }

    /// Ends swarmrsd and its holder with SIGKILL: to others this host is gone.
    pub fn kill_daemons(&mut self) {
        let holder = self.daemon.as_ref().and_then(Daemon::holder_pid);
        self.kill_daemon();
        if let Some(holder) = holder {
            // One that has ended meanwhile is what is wanted.
            let _ = kill(Pid::from_raw(holder), Signal::SIGKILL);
        }
    }

    /// Ends swarmrsd with SIGTERM.
    pub fn stop_daemon(&mut self) -> Result<(), Error> {
        self.daemon.as_mut().map_or(Ok(()), Daemon::stop)
    }

    /// Starts swarmrsd again and waits until it answers.
    pub fn start_daemon(&mut self) -> Result<(), Error> {
        let (site, namespaces) = (&self.site, &self.namespaces);
        self.daemon
            .as_mut()
            .map_or(Ok(()), |daemon| daemon.resume(site, namespaces))
    }

    /// Starts swarmrsd again without waiting for it.
    pub fn launch_daemon(&mut self) -> Result<(), Error> {
        let (site, namespaces) = (&self.site, &self.namespaces);
        self.daemon
            .as_mut()
            .map_or(Ok(()), |daemon| daemon.launch(site, namespaces))
    }

    /// From its next start on swarmrsd has these variables in its environment.
    pub fn set_environment(&mut self, variables: &[(&str, &str)]) {
        if let Some(daemon) = self.daemon.as_mut() {
            daemon.set_environment(variables);
        }
    }

    /// Ends swarmrsd with SIGTERM, if it runs, and starts the program `binary` in its place: an upgrade, or the way back.
    pub fn replace_daemon(&mut self, binary: &Path) -> Result<(), Error> {
        self.stop_daemon()?;
        if let Some(daemon) = self.daemon.as_mut() {
            daemon.become_program(binary);
        }
        self.start_daemon()
    }

    /// Ends the engine with SIGKILL; containers run on.
    pub fn kill_engine(&mut self) {
        self.engine.kill();
    }

    /// Ends the engine with SIGTERM; containers end too.
    pub fn stop_engine(&mut self) -> Result<(), Error> {
        self.engine.stop()
    }

    /// Starts the engine again.
    pub fn start_engine(&mut self) -> Result<(), Error> {
        self.engine.resume(&self.site, &self.namespaces)
    }

    fn command_at(&self, socket: &Path) -> Command {
        let mut command = match self.namespaces.has_another_engine() {
            // The command that came with it.
            true => {
                let mut inside = self.beside_engine_command();
                inside.arg(DOCKER);
                inside
            }
            false => self.site.command(docker_program()),
        };
        command.env("DOCKER_HOST", format!("unix://{}", socket.display()));
        command
    }

    fn call_at(
        &self,
        socket: &Path,
        method: &str,
        target: &str,
        body: Option<&Value>,
    ) -> Result<Response, Error> {
        Connection::open(socket, CALL)?.call_json(method, target, body)
    }

    /// Writes a file among the host's own and says where.
    pub fn write(&self, name: &str, content: &[u8]) -> Result<PathBuf, Error> {
        let path = self.files.join(name);
        if let Some(folder) = path.parent() {
            std::fs::create_dir_all(folder).tried(|| format!("make {}", folder.display()))?;
        }
        std::fs::write(&path, content).tried(|| format!("write {}", path.display()))?;
        Ok(path)
    }
}

/// A name that no other test of this process uses.
pub fn unique(prefix: &str) -> String {
    static COUNT: AtomicUsize = AtomicUsize::new(0);
    format!("{prefix}-{}", COUNT.fetch_add(1, Ordering::Relaxed))
}

fn docker_program() -> String {
    std::env::var("SWARMRS_TEST_DOCKER").unwrap_or_else(|_| DOCKER.to_owned())
}

/// One shell word.
fn quote(word: &str) -> String {
    format!("'{}'", word.replace('\'', "'\\''"))
}
