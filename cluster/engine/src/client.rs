//! The handle: who is asked, in which version, how long we wait, and when a question is put again.

use std::fmt;
use std::path::Path;
use std::sync::{Arc, OnceLock};
use std::time::{Duration, Instant};

use arc_swap::ArcSwapOption;
use bollard::Docker;
use bytes::Bytes;
use http::Response;
use http_body_util::BodyExt;
use hyper::body::Incoming;
use serde_json::Value;
use tokio::sync::watch;
use tracing::debug;

use crate::call::Call;
use crate::error::Error;
use crate::measure::{Measures, Presence};
use crate::transport::{SendError, Transport};
use crate::version::{ApiVersion, MINIMUM_API};

/// How long the engine may take over a plain call, from dial to the last byte of the answer.
#[derive(Debug, Clone, Copy)]
pub struct Limits {
    /// Questions. An engine under load answers an inspect in a second or two; half a minute means that it hangs.
    pub read: Duration,
    /// Deeds: a start waits for volume and network plugins, a removal for the storage driver. As long as the docker
    /// command's users are used to wait.
    pub write: Duration,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            read: Duration::from_secs(30),
            write: Duration::from_secs(120),
        }
    }
}

/// The node's engine. Clones share connections and the negotiated version.
#[derive(Clone)]
pub struct Engine {
    inner: Arc<Inner>,
}

struct Inner {
    transport: Transport,
    limits: Limits,
    session: ArcSwapOption<Session>,
    measures: Measures,
}

/// What was agreed with the engine that is there now; forgotten when that engine is lost.
struct Session {
    docker: Docker,
    api: ApiVersion,
}

impl fmt::Debug for Engine {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Engine")
            .field("socket", &self.socket())
            .finish()
    }
}

impl Engine {
    /// The engine on this socket. Nothing is dialled yet, and nobody need be listening yet.
    pub fn connect(socket: &Path) -> Self {
        Self::with_limits(socket, Limits::default())
    }

    pub fn with_limits(socket: &Path, limits: Limits) -> Self {
        let inner = Inner {
            transport: Transport::new(socket),
            limits,
            session: ArcSwapOption::empty(),
            measures: Measures::default(),
        };
        Self {
            inner: Arc::new(inner),
        }
    }

    pub fn socket(&self) -> &Path {
        self.inner.transport.socket()
    }

    /// The version that is spoken with the engine, negotiated now if it was not yet.
    pub async fn api_version(&self) -> Result<ApiVersion, Error> {
        Ok(self.session().await?.api)
    }

    /// The engine is there and answers.
    pub async fn ping(&self) -> Result<(), Error> {
        let ping = |docker: Docker| async move { docker.ping().await };
        self.ask("GET /_ping", self.limits().read, ping).await?;
        Ok(())
    }

    /// How it does: latencies and failures of our calls.
    pub fn measures(&self) -> &Measures {
        &self.inner.measures
    }

    /// Whether it is there, as our calls find out.
    pub fn presence(&self) -> watch::Receiver<Presence> {
        self.inner.measures.presence.subscribe()
    }

    pub(crate) fn limits(&self) -> Limits {
        self.inner.limits
    }

    /// A call through bollard.
    pub(crate) async fn ask<T, F, Fut>(
        &self,
        call: &str,
        limit: Duration,
        question: F,
    ) -> Result<T, Error>
    where
        F: Fn(Docker) -> Fut,
        Fut: Future<Output = Result<T, bollard::errors::Error>>,
    {
        let asking = async {
            match self.asked(call, &question).await {
                Err(error) if self.once_more(&error, false) => self.asked(call, &question).await,
                answer => answer,
            }
        };
        self.measured(limit, call, asking).await
    }

    async fn asked<T, F, Fut>(&self, call: &str, question: &F) -> Result<T, Error>
    where
        F: Fn(Docker) -> Fut,
        Fut: Future<Output = Result<T, bollard::errors::Error>>,
    {
        let docker = self.bollard().await?;
        question(docker)
            .await
            .map_err(|error| Error::from_bollard(error, call, self.socket()))
    }

    /// A call as raw JSON, with the whole answer.
    pub(crate) async fn json(&self, call: &Call, limit: Duration) -> Result<Value, Error> {
        let name = call.to_string();
        let asking = async {
            match self.answer(call, &name).await {
                Err(error) if self.once_more(&error, call.only_reads()) => {
                    self.answer(call, &name).await
                }
                answer => answer,
            }
        };
        let bytes = self.measured(limit, &name, asking).await?;
        if bytes.is_empty() {
            return Ok(Value::Null);
        }
        serde_json::from_slice(&bytes).map_err(|error| Error::protocol(&name, error))
    }

    /// Within its limit, and counted.
    async fn measured<T>(
        &self,
        limit: Duration,
        call: &str,
        asking: impl Future<Output = Result<T, Error>>,
    ) -> Result<T, Error> {
        let asked = Instant::now();
        let answer = within(limit, call, asking).await;
        self.inner.measures.note(call, asked.elapsed(), &answer);
        answer
    }

    /// A call whose answer is a stream; returns once the engine has accepted it. No limit but the caller's.
    pub(crate) async fn open(&self, call: &Call) -> Result<Response<Incoming>, Error> {
        let name = call.to_string();
        match self.send(call, &name).await {
            Err(error) if self.once_more(&error, call.only_reads()) => self.send(call, &name).await,
            answer => answer,
        }
    }

    /// A bollard client that speaks the engine's version, for the calls that stream.
    pub(crate) async fn bollard(&self) -> Result<Docker, Error> {
        Ok(self.session().await?.docker.clone())
    }

    /// After an error that says that the engine was lost or replaced, the next call finds out anew whom it speaks with.
    pub(crate) fn notice(&self, error: &Error) {
        let lost = error.is_lost() || error.refuses_version();
        if error.is_lost() {
            self.inner.measures.set_presence(Presence::Away);
        }
        if lost && self.inner.session.swap(None).is_some() {
            debug!(socket = %self.socket().display(), "engine lost");
        }
    }

    /// Whether to try again, where that cannot do the same thing twice: the engine refused the version before it looked
    /// at the request, or a question's kept-alive connection died under it (an engine that was restarted).
    fn once_more(&self, error: &Error, only_reads: bool) -> bool {
        self.notice(error);
        error.refuses_version() || (only_reads && matches!(error, Error::Stream { .. }))
    }

    async fn answer(&self, call: &Call, name: &str) -> Result<Bytes, Error> {
        let body = self.send(call, name).await?.into_body();
        Ok(body
            .collect()
            .await
            .map_err(|error| Error::broken(name, error))?
            .to_bytes())
    }

    async fn send(&self, call: &Call, name: &str) -> Result<Response<Incoming>, Error> {
        let session = self.session().await?;
        let request = call
            .request()
            .map_err(|error| Error::protocol(name, error))?;
        let answer = self.inner.transport.send(Some(session.api), request).await;
        let response = answer.map_err(|error| match error {
            SendError::Address(error) => Error::protocol(name, error),
            SendError::Pool(error) => Error::from_pool(error, name, self.socket()),
        })?;
        if response.status().is_success() {
            return Ok(response);
        }
        Err(refusal(response, name).await)
    }

    async fn session(&self) -> Result<Arc<Session>, Error> {
        if let Some(session) = self.inner.session.load_full() {
            return Ok(session);
        }
        let session = Arc::new(self.negotiate().await?);
        self.inner.session.store(Some(session.clone()));
        self.inner.measures.set_presence(Presence::Here);
        Ok(session)
    }

    /// The newest version that both sides speak. A new bollard client each time: an old one would only ever go down.
    async fn negotiate(&self) -> Result<Session, Error> {
        let agreed = Arc::new(OnceLock::new());
        let fail = |error| Error::from_bollard(error, "GET /version", self.socket());
        let docker = self.inner.transport.bollard(agreed.clone()).map_err(fail)?;
        let asking = async { docker.negotiate_version().await.map_err(fail) };
        let docker = within(self.limits().read, "GET /version", asking).await?;
        let api = spoken(&docker);
        if api < MINIMUM_API {
            return Err(Error::TooOld {
                socket: self.socket().to_owned(),
                api,
            });
        }
        debug!(socket = %self.socket().display(), %api, "engine found");
        let api = *agreed.get_or_init(|| api);
        Ok(Session { docker, api })
    }
}

async fn within<T>(
    limit: Duration,
    call: &str,
    asking: impl Future<Output = Result<T, Error>>,
) -> Result<T, Error> {
    match tokio::time::timeout(limit, asking).await {
        Ok(answer) => answer,
        Err(_) => Err(Error::Timeout {
            call: call.to_owned(),
            limit,
        }),
    }
}

fn spoken(docker: &Docker) -> ApiVersion {
    let version = docker.client_version();
    let small = |number: usize| u16::try_from(number).unwrap_or(u16::MAX);
    ApiVersion {
        major: small(version.major_version),
        minor: small(version.minor_version),
    }
}

/// The engine's text out of `{"message": …}`, or the whole body where it is something else (a plain 404 of Go's router).
async fn refusal(response: Response<Incoming>, call: &str) -> Error {
    let status = response.status().as_u16();
    let body = match response.into_body().collect().await {
        Ok(body) => body.to_bytes(),
        Err(error) => return Error::broken(call, error),
    };
    let told = serde_json::from_slice::<Value>(&body).ok();
    let message = told
        .as_ref()
        .and_then(|told| told.get("message"))
        .and_then(Value::as_str);
    let message = message.map_or_else(
        || String::from_utf8_lossy(&body).trim().to_owned(),
        str::to_owned,
    );
    Error::Api { status, message }
}
