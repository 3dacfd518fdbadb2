//! The conversation with a manager.
//!
//! ```text
//!   open ─▶ Hello ─▶ ┌ Assignments ─▶ known ─▶ worker
//!    ▲               │ Acknowledged ─▶ reporter
//!    │               └ batch ─▶ Statuses
//!    └── a closed or useless session, after a back-off ──┘
//! ```
//!
//! Sessions come and go; what runs does not care. Between sessions desired states stand still, and statuses gather in
//! the reporter. Only tasks whose service says `swarmrs.disconnect=stop` are stopped when there has been no manager for
//! long: others will take their place.

use crate::assignment::{Known, Orders};
use crate::executor::Executor;
use crate::reporter::Reporter;
use crate::routes;
use async_trait::async_trait;
use ipnet::IpNet;
use std::sync::Arc;
use std::time::Duration;
use swarmrs_rpc::{FromNode, Hello, NodeEnd, Notice, ToNode};
use swarmrs_types::disconnect::ALONE;
use swarmrs_types::spec::{NodeDescription, TlsInfo};
use tokio::sync::{mpsc, watch};
use tokio::time::{Instant, Interval, MissedTickBehavior};
use tracing::{debug, info, warn};

/// How long a manager may let a message wait. Source: swarmkit `dispatcherRPCTimeout`.
const SEND_TIMEOUT: Duration = Duration::from_secs(5);
/// Between two looks at what the node is. Source: swarmkit `nodeUpdatePeriod`.
const DESCRIBE_PERIOD: Duration = Duration::from_secs(20);
/// The back-off between sessions grows as b ← 100 ms + 2·b, up to 8 s. Source: swarmkit `agent/agent.go`.
const BACKOFF_STEP: Duration = Duration::from_millis(100);
const LONGEST_BACKOFF: Duration = Duration::from_secs(8);
/// Between two looks for an engine that was never seen.
const ENGINE_PAUSE: Duration = Duration::from_millis(500);

/// How a session with a manager is had. Comes back when there is one.
#[async_trait]
pub trait Transport: Send + Sync + 'static {
    async fn open(&self) -> NodeEnd;
}

/// What a session needs, over all sessions.
pub struct Sessions {
    pub transport: Box<dyn Transport>,
    pub executor: Arc<dyn Executor>,
    pub reporter: Arc<Reporter>,
    pub orders: mpsc::UnboundedSender<Orders>,
    pub notices: Option<mpsc::UnboundedSender<Notice>>,
    /// Whom the node trusts and who issued its certificate: said at once when it changes.
    pub tls_info: Option<watch::Receiver<TlsInfo>>,
    known: Known,
    description: NodeDescription,
    routes: Vec<IpNet>,
    describe: Interval,
    /// When this node will have been without a manager for long; none: it has one, or was so told already.
    alone_at: Option<Instant>,
}

/// Why a session is over.
#[derive(Debug, thiserror::Error)]
enum Over {
    #[error("the manager closed it")]
    Closed,
    #[error("the manager does not take messages")]
    Stuck,
    #[error("refused: {0}")]
    Refused(#[from] crate::assignment::Refused),
    #[error("the worker is gone")]
    NoWorker,
}

impl Sessions {
    pub fn new(
        transport: Box<dyn Transport>,
        executor: Arc<dyn Executor>,
        reporter: Arc<Reporter>,
        orders: mpsc::UnboundedSender<Orders>,
        notices: Option<mpsc::UnboundedSender<Notice>>,
    ) -> Self {
        let mut describe =
            tokio::time::interval_at(Instant::now() + DESCRIBE_PERIOD, DESCRIBE_PERIOD);
        describe.set_missed_tick_behavior(MissedTickBehavior::Delay);
        Sessions {
            transport,
            executor,
            reporter,
            orders,
            notices,
            tls_info: None,
            known: Known::default(),
            description: NodeDescription::default(),
            routes: Vec::new(),
            describe,
            alone_at: None,
        }
    }

    /// One session after the other, until the worker is gone. A node whose engine was never there does not say hello:
    /// it could run nothing.
    pub async fn run(mut self) {
        self.description = self.first_description().await;
        self.routes = routes::read();
        let mut backoff = Duration::ZERO;
        loop {
            let Ok(end) = self.open().await else {
                return;
            };
            let mut served = false;
            let over = self.hold(end, &mut served).await;
            if matches!(over, Over::NoWorker) {
                return;
            }
            info!(reason = %over, "session over");
            if served {
                backoff = Duration::ZERO;
                self.alone_at.get_or_insert_with(alone_from_now);
            }
            tokio::time::sleep(backoff).await;
            backoff = (BACKOFF_STEP + 2 * backoff).min(LONGEST_BACKOFF);
        }
    }

    async fn open(&mut self) -> Result<NodeEnd, Over> {
        loop {
            tokio::select! {
                end = self.transport.open() => return Ok(end),
                () = until(self.alone_at) => self.be_alone()?,
            }
        }
    }

    /// Tells the worker that there has been no manager for long.
    fn be_alone(&mut self) -> Result<(), Over> {
        self.alone_at = None;
        let orders = Orders {
            alone: true,
            ..Orders::default()
        };
        self.orders.send(orders).map_err(|_| Over::NoWorker)
    }

    /// Holds one session. `served` tells whether the manager said anything of use.
    async fn hold(&mut self, mut end: NodeEnd, served: &mut bool) -> Over {
        self.known.begin_session();
        self.reporter.begin_session();
        if let Err(over) = send(&end, self.hello()).await {
            return over;
        }
        loop {
            let mut tls_info = self.tls_info.clone();
            let step = tokio::select! {
                message = end.receive() => match message {
                    Some(message) => self.hear(message).inspect(|()| *served = true),
                    None => Err(Over::Closed),
                },
                batch = self.reporter.batch() => send(&end, FromNode::Statuses(batch)).await,
                _ = self.describe.tick() => self.describe_again(&end).await,
                () = another(&mut tls_info, &self.description.tls_info) => self.trust_again(&end).await,
                () = until(self.alone_at) => self.be_alone(),
            };
            if let Err(over) = step {
                return over;
            }
        }
    }

    fn hear(&mut self, message: ToNode) -> Result<(), Over> {
        match message {
            ToNode::Assignments(message) => {
                let leaderless = message.leaderless;
                let orders = self.known.take(message)?;
                self.note_manager(leaderless);
                self.reporter.reconcile(&orders.accepted);
                self.orders.send(orders).map_err(|_| Over::NoWorker)
            }
            ToNode::Acknowledged(tasks) => {
                self.reporter.acknowledge(&tasks);
                Ok(())
            }
            ToNode::Notice(notice) => {
                // Whoever does not listen does not want to know.
                if let Some(notices) = &self.notices {
                    let _ = notices.send(notice);
                }
                Ok(())
            }
        }
    }

    /// A manager was heard: one without a leader is as good as none.
    fn note_manager(&mut self, leaderless: bool) {
        if leaderless {
            self.alone_at.get_or_insert_with(alone_from_now);
        } else {
            self.alone_at = None;
        }
    }

    fn hello(&self) -> FromNode {
        FromNode::Hello(Box::new(Hello {
            description: self.description.clone(),
            routes: self.routes.clone(),
            seen: self.known.position(),
        }))
    }

    async fn first_description(&self) -> NodeDescription {
        let mut told = false;
        loop {
            match self.executor.describe().await {
                Ok(description) => return description,
                Err(failure) if told => debug!(%failure, "engine away"),
                Err(failure) => {
                    warn!(%failure, "waiting for the engine before the first session");
                    told = true;
                }
            }
            tokio::time::sleep(ENGINE_PAUSE).await;
        }
    }

    /// Says hello again if the node has become another. An engine that is away changes nothing.
    async fn describe_again(&mut self, end: &NodeEnd) -> Result<(), Over> {
        let Ok(description) = self.executor.describe().await else {
            return Ok(());
        };
        let routes = routes::read();
        if (&description, &routes) == (&self.description, &self.routes) {
            return Ok(());
        }
        (self.description, self.routes) = (description, routes);
        send(end, self.hello()).await
    }

    /// Says whom the node trusts by now, whatever the engine says.
    async fn trust_again(&mut self, end: &NodeEnd) -> Result<(), Over> {
        if let Some(tls_info) = &self.tls_info {
            self.description.tls_info = tls_info.borrow().clone();
        }
        send(end, self.hello()).await
    }
}

/// Comes back when it is another than was said.
async fn another(tls_info: &mut Option<watch::Receiver<TlsInfo>>, said: &TlsInfo) {
    if let Some(tls_info) = tls_info
        && tls_info.wait_for(|now| now != said).await.is_ok()
    {
        return;
    }
    std::future::pending().await
}

fn alone_from_now() -> Instant {
    Instant::now() + ALONE
}

/// Never, if there is no such moment.
async fn until(moment: Option<Instant>) {
    match moment {
        Some(moment) => tokio::time::sleep_until(moment).await,
        None => std::future::pending().await,
    }
}

async fn send(end: &NodeEnd, message: FromNode) -> Result<(), Over> {
    match tokio::time::timeout(SEND_TIMEOUT, end.send(message)).await {
        Ok(Ok(())) => Ok(()),
        Ok(Err(_)) => Err(Over::Closed),
        Err(_) => Err(Over::Stuck),
    }
}

#[cfg(test)]
mod tests;
