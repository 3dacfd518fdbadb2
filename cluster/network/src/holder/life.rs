//! A holder's life: lock, state, sockets, adoption, service, end.

use std::fs::{self, File};
use std::io;
use std::os::unix::fs::{MetadataExt, PermissionsExt};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::{Duration, Instant};

use nix::fcntl::{Flock, FlockArg};
use tokio::net::UnixListener;
use tokio::signal::unix::{Signal, SignalKind, signal};
use tokio::task::JoinSet;
use tracing::{error, info};

use super::carrier::Opener;
use super::control::{self, End, Successor};
use super::ground::Ground;
use crate::carrying::Planes;
use crate::dns::resolvers::{HOST_FILE, Resolvers};
use crate::dns::server::Names;
use crate::dns::upstream::Upstream;
use crate::driver::{self, Driver, driver_name};
use crate::inherited::{self, Address, Sort};
use crate::reserve::carry;
use crate::state_file::{StateError, StateFolder};

/// How long a holder that was told to end may take to do so.
const ENDING: Duration = Duration::from_secs(2);
const LOOK: Duration = Duration::from_millis(5);

/// Where a holder keeps its things and is found.
#[derive(Clone, Debug)]
pub struct Config {
    pub exec_root: PathBuf,
    pub data_root: PathBuf,
    /// The engine's socket to the driver.
    pub driver_socket: PathBuf,
    /// Whom the host asks for names.
    pub resolvers: PathBuf,
}

impl Config {
    pub fn new(exec_root: impl Into<PathBuf>, data_root: impl Into<PathBuf>) -> Self {
        let exec_root = exec_root.into();
        Config {
            driver_socket: driver::name::socket(&driver_name(&exec_root)),
            exec_root,
            data_root: data_root.into(),
            resolvers: HOST_FILE.into(),
        }
    }

    /// Where swarmrsd finds it.
    pub fn socket(&self) -> PathBuf {
        socket(&self.exec_root)
    }

    /// What it knows.
    pub fn state(&self) -> PathBuf {
        state(&self.data_root)
    }
}

/// What a holder with this data root knows.
pub fn state(data_root: &Path) -> PathBuf {
    data_root.join("swarm").join("network")
}

/// Where swarmrsd finds the holder of its exec-root.
pub fn socket(exec_root: &Path) -> PathBuf {
    exec_root.join("holder.sock")
}

/// Why the holder does not run.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    #[error("cannot use {path}: {source}")]
    Path { path: String, source: io::Error },
    #[error("a holder runs already ({path} is locked)")]
    Running { path: String },
    #[error(transparent)]
    State(#[from] StateError),
    #[error("cannot become {program}: {source}")]
    Become { program: String, source: io::Error },
    #[error("cannot heed signals: {0}")]
    Signals(#[source] io::Error),
}

/// Which build this process is of: a holder of another one is replaced. Of one release there may be several builds, told
/// apart by their file.
pub fn build() -> String {
    let release = env!("CARGO_PKG_VERSION");
    // The link leads to the very file that runs, even when another has taken its place.
    match fs::metadata("/proc/self/exe") {
        Ok(file) => format!(
            "{release}/{}/{}",
            file.len(),
            file.mtime_nsec() + file.mtime() * 1_000_000_000
        ),
        Err(_) => release.to_owned(),
    }
}

/// Runs a holder until it is told to end. What it made in the kernel stays, unless it was told to clear it.
///
/// # Errors
/// If it cannot begin; the text says what to look at.
pub async fn run(config: Config) -> Result<(), Error> {
    let opener = Box::new(Planes::of(&config.exec_root));
    run_with(config, opener).await
}

/// As [`run`], with a carrier of the caller's.
pub async fn run_with(config: Config, opener: Box<dyn Opener>) -> Result<(), Error> {
    let began = Instant::now();
    inherited::receive();
    carry::go_on(inherited::pairs());
    let mut signals = Signals::new().map_err(Error::Signals)?;
    let lock = lock(&config.exec_root.join("holder.lock")).await?;
    let folder = StateFolder::at(config.state())?;
    let saved = folder.load()?;
    let upstream = Upstream::new(Resolvers::of(&config.resolvers));
    let names = Names::new(upstream);
    let ground = Arc::new(Ground::new(folder, saved, opener, names));
    // Whoever comes from here on waits until the kernel's part is taken over.
    let control = listen(&config.socket())?;
    let driver = listen(&config.driver_socket)?;
    if let Err(error) = ground.adopt().await {
        error!(error, "networks not taken up whole");
    }
    info!(
        took = began.elapsed().as_millis(),
        build = build(),
        "holder is ready"
    );
    let mut parts = JoinSet::new();
    let answering = Arc::new(Driver::new(ground.clone()));
    parts.spawn(driver::server::serve(driver, answering));
    let (keeping, sweeping) = (ground.clone(), ground.clone());
    parts.spawn(async move { keeping.keep().await });
    parts.spawn(async move { sweeping.sweep().await });
    let end = tokio::select! {
        end = control::serve(&control, ground.clone()) => end,
        () = signals.end() => End::Retired,
    };
    match &end {
        End::Becomes(successor) => {
            return Err(become_another(successor, &lock, parts, &ground).await);
        }
        End::Retired => {
            parts.shutdown().await;
            ground.save().await;
        }
        End::Cleared => {
            parts.shutdown().await;
            for socket in [config.socket(), config.driver_socket] {
                // The next one replaces what is left.
                let _ = fs::remove_file(socket);
            }
        }
    }
    info!(?end, "holder has ended");
    Ok(())
}

/// Goes on as another program, in this process, with the sockets that wait. Whoever asks meanwhile is answered by that one.
async fn become_another(
    successor: &Successor,
    lock: &File,
    mut parts: JoinSet<()>,
    ground: &Ground,
) -> Error {
    let program = &successor.program;
    info!(program = %program.display(), "becoming a holder of another build");
    let failed = |source| Error::Become {
        program: program.display().to_string(),
        source,
    };
    let kept = match inherited::keep(lock) {
        Ok(kept) => kept,
        Err(error) => return failed(error),
    };
    parts.shutdown().await;
    ground.fall_silent().await;
    let carried = carry::leave().await;
    ground.save().await;
    let arguments = &successor.arguments;
    failed(inherited::execute(program, arguments, &kept, &carried))
}

/// One holder per exec-root. The one before may be about to end: it writes down what it knows, and lets go of the lock last.
async fn lock(path: &Path) -> Result<Flock<File>, Error> {
    let unusable = unusable(path);
    if let Some(folder) = path.parent() {
        fs::create_dir_all(folder).map_err(&unusable)?;
    }
    let mut options = File::options();
    options.create(true).truncate(false).write(true);
    let mut file = match inherited::file(path) {
        Some(file) => file,
        None => options.open(path).map_err(unusable)?,
    };
    let deadline = Instant::now() + ENDING;
    loop {
        match Flock::lock(file, FlockArg::LockExclusiveNonblock) {
            Ok(lock) => return Ok(lock),
            Err((kept, _)) if Instant::now() < deadline => file = kept,
            Err(_) => {
                let path = path.display().to_string();
                return Err(Error::Running { path });
            }
        }
        tokio::time::sleep(LOOK).await;
    }
}

/// A socket for root alone. Whoever held it before is gone: we have the lock.
fn listen(path: &Path) -> Result<UnixListener, Error> {
    if let Some(socket) = inherited::here(Sort::Connections, |at| *at == Address::Path(path.into()))
    {
        return UnixListener::from_std(socket.into()).map_err(unusable(path));
    }
    let bind = || {
        if let Some(folder) = path.parent() {
            fs::create_dir_all(folder)?;
        }
        match fs::remove_file(path) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
            _ => {}
        }
        let listener = UnixListener::bind(path)?;
        fs::set_permissions(path, fs::Permissions::from_mode(0o600))?;
        Ok(listener)
    };
    bind().map_err(unusable(path))
}

fn unusable(path: &Path) -> impl Fn(io::Error) -> Error {
    let path = path.display().to_string();
    move |source| Error::Path {
        path: path.clone(),
        source,
    }
}

struct Signals {
    terminate: Signal,
    interrupt: Signal,
}

impl Signals {
    fn new() -> io::Result<Self> {
        Ok(Signals {
            terminate: signal(SignalKind::terminate())?,
            interrupt: signal(SignalKind::interrupt())?,
        })
    }

    async fn end(&mut self) {
        tokio::select! {
            _ = self.terminate.recv() => info!("SIGTERM"),
            _ = self.interrupt.recv() => info!("SIGINT"),
        }
    }
}
