//! The engine's events: what happened to containers, images, networks and volumes, told while it happens.

use std::collections::{BTreeMap, HashMap};
use std::time::{SystemTime, UNIX_EPOCH};

use bollard::models::EventMessage;
use bollard::query_parameters::EventsOptions;
use futures_util::StreamExt;
use futures_util::stream::{self, BoxStream};

use crate::client::Engine;
use crate::error::Error;
use crate::filter::Filters;

const CALL: &str = "GET /events";

/// Events until the engine is lost: the last item is always an error. Reconnecting is the caller's job, who knows the
/// time of the last event it has seen.
pub type EventStream = BoxStream<'static, Result<Event, Error>>;

/// One event.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Event {
    pub kind: EventKind,
    /// `start`, `die`, `health_status: healthy`, …
    pub action: String,
    /// The object's id (a volume's name).
    pub id: String,
    /// Name, image, labels, `exitCode`, …
    pub attributes: BTreeMap<String, String>,
    /// Nanoseconds since 1970, on the engine's clock.
    pub time_nano: i64,
}

/// What an event is about.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum EventKind {
    Container,
    Image,
    Network,
    Volume,
    Daemon,
}

impl EventKind {
    const ALL: [Self; 5] = [
        Self::Container,
        Self::Image,
        Self::Network,
        Self::Volume,
        Self::Daemon,
    ];

    fn name(self) -> &'static str {
        match self {
            Self::Container => "container",
            Self::Image => "image",
            Self::Network => "network",
            Self::Volume => "volume",
            Self::Daemon => "daemon",
        }
    }

    fn from_name(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|kind| kind.name() == name)
    }
}

/// Which events are told.
#[derive(Debug, Clone, Default)]
pub struct EventFilter {
    /// Empty: all kinds that we know. The engine is always asked by kind: bollard gives up at a kind it has no name for.
    pub kinds: Vec<EventKind>,
    /// Further conditions; a `label` is one of the container (events of networks and volumes carry none).
    pub filters: Filters,
}

impl EventFilter {
    /// Events of containers with this label.
    pub fn containers(label: &str) -> Self {
        Self {
            kinds: vec![EventKind::Container],
            filters: Filters::new().label(label),
        }
    }

    fn query(self) -> HashMap<String, Vec<String>> {
        let kinds = if self.kinds.is_empty() {
            EventKind::ALL.to_vec()
        } else {
            self.kinds
        };
        let names = kinds
            .into_iter()
            .map(|kind| kind.name().to_owned())
            .collect();
        self.filters
            .into_map()
            .chain([("type".to_owned(), names)])
            .collect()
    }
}

impl Engine {
    /// Events since `since` (nanoseconds since 1970), or since this call. Nothing in between is missed: what happened
    /// before the engine took the subscription comes out of its memory (the last 256 events). Some may be told twice.
    pub async fn events(
        &self,
        filter: EventFilter,
        since: Option<i64>,
    ) -> Result<EventStream, Error> {
        let since = since.unwrap_or_else(now);
        let options = EventsOptions {
            since: Some(seconds(since)),
            until: None,
            filters: Some(filter.query()),
        };
        let messages = self.bollard().await?.events(Some(options));
        let engine = self.clone();
        let events = stream::unfold(Some(messages), move |messages| {
            let engine = engine.clone();
            async move {
                let mut messages = messages?;
                match engine.next_event(&mut messages).await {
                    Ok(event) => Some((Ok(event), Some(messages))),
                    Err(error) => {
                        engine.notice(&error);
                        Some((Err(error), None))
                    }
                }
            }
        });
        Ok(events.boxed())
    }

    async fn next_event<S>(&self, messages: &mut S) -> Result<Event, Error>
    where
        S: stream::Stream<Item = Result<EventMessage, bollard::errors::Error>> + Unpin,
    {
        while let Some(message) = messages.next().await {
            let message =
                message.map_err(|error| Error::from_bollard(error, CALL, self.socket()))?;
            if let Some(event) = Event::from_message(message) {
                return Ok(event);
            }
        }
        Err(Error::broken(CALL, "the engine ended the stream"))
    }
}

impl Event {
    fn from_message(message: EventMessage) -> Option<Self> {
        let actor = message.actor.unwrap_or_default();
        Some(Self {
            kind: EventKind::from_name(message.typ?.as_ref())?,
            action: message.action.unwrap_or_default(),
            id: actor.id.unwrap_or_default(),
            attributes: actor.attributes.unwrap_or_default().into_iter().collect(),
            time_nano: message.time_nano.unwrap_or_default(),
        })
    }
}

fn now() -> i64 {
    let since_1970 = SystemTime::now()
        .duration_since(UNIX_EPOCH)
        .unwrap_or_default();
    i64::try_from(since_1970.as_nanos()).unwrap_or(i64::MAX)
}

/// The engine's notation of a time: seconds, a dot, nine digits.
pub(crate) fn seconds(nanos: i64) -> String {
    const SECOND: i64 = 1_000_000_000;
    format!(
        "{}.{:09}",
        nanos.div_euclid(SECOND),
        nanos.rem_euclid(SECOND)
    )
}
