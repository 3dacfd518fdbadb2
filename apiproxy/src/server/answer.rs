//! One request that the [`Api`] answers, through hyper, on a connection that is not hyper's.
//!
//! hyper is handed the bytes of exactly one request ([`OneRequest`]). When it asks for more, its answer is written and the
//! connection comes back. So requests for the engine and requests for us may follow each other on one connection, and what a
//! handler hands back can be forwarded with the very bytes that hyper was shown.

use std::future::poll_fn;
use std::io;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::task::{Context, Poll, ready};

use bytes::{Buf, Bytes, BytesMut};
use futures_util::TryFutureExt;
use http::{Request, Response, StatusCode};
use hyper::body::Incoming;
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper_util::rt::TokioIo;
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tracing::error;

use super::connection::Received;
use super::{Api, Body, Reply, Traffic};
use crate::refusal::{empty, refusal};
use crate::route::{Class, Endpoint, Route};
use crate::stream::{Framing, HangUp, Pipe, Socket};

/// How an answered request leaves its connection.
pub(super) enum Answered<S> {
    /// Ready for the next request; `inbox` is what came of it already.
    Next { client: S, inbox: BytesMut },
    /// Answered, and nothing may follow.
    Close { client: S },
    /// Not answered: the engine shall. `seen` is every byte of the request that was read, `inbox` what comes after it, and
    /// `rest` how much of the body is still to come.
    Forward {
        client: S,
        seen: Bytes,
        inbox: BytesMut,
        rest: Framing,
    },
    /// The client is gone, or the answer broke off.
    Gone,
}

/// What the two sides of hyper tell us past hyper.
#[derive(Default)]
struct Signals {
    /// The answer is written and the next request is asked for.
    answered: AtomicBool,
    /// The handler handed the request back.
    forward: AtomicBool,
}

type Answering =
    Pin<Box<dyn Future<Output = Result<Response<Body>, std::convert::Infallible>> + Send>>;

/// Answers one request whose head is `received` and whose body begins with `inbox`, unless `watch` sees the client go.
pub(super) async fn answer<S: Socket, A: Api>(
    client: S,
    watch: &HangUp,
    api: Arc<A>,
    traffic: Arc<Traffic>,
    received: &Received,
    route: &Route,
    inbox: BytesMut,
) -> Answered<S> {
    let signals = Arc::new(Signals::default());
    let keep = route.class != Class::Ours;
    let io = OneRequest::new(client, received, inbox, keep, signals.clone());
    let service = {
        let (route, signals) = (route.clone(), signals.clone());
        service_fn(move |request| -> Answering {
            let calling = call(api.clone(), route.clone(), request, signals.clone());
            let (traffic, class) = (traffic.clone(), route.class);
            Box::pin(calling.inspect_ok(move |answer| {
                traffic.answered(Some(class), answer.status().as_u16());
            }))
        })
    };
    let mut connection = http1::Builder::new()
        .half_close(true)
        .preserve_header_case(true)
        .title_case_headers(true)
        .serve_connection(TokioIo::new(io), service);
    let ended = poll_fn(|cx| {
        if let Poll::Ready(result) = connection.poll_without_shutdown(cx) {
            return Poll::Ready(if result.is_ok() {
                End::Closed
            } else {
                End::Gone
            });
        }
        if signals.forward.load(Ordering::Relaxed) {
            return Poll::Ready(End::Forward);
        }
        if signals.answered.load(Ordering::Relaxed) {
            return Poll::Ready(End::Answered);
        }
        watch.poll_gone(cx).map(|()| End::Gone)
    });
    let ended = ended.await;
    connection.into_parts().io.into_inner().end(ended)
}

#[derive(Clone, Copy)]
enum End {
    Answered,
    Forward,
    Closed,
    Gone,
}

async fn call<A: Api>(
    api: Arc<A>,
    route: Route,
    request: Request<Incoming>,
    signals: Arc<Signals>,
) -> Result<Response<Body>, std::convert::Infallible> {
    let ours = route.class == Class::Ours;
    let reply = match route.endpoint {
        Some(Endpoint::OursUnknown) => {
            Reply::Answer(refusal(StatusCode::NOT_FOUND, "page not found"))
        }
        Some(Endpoint::Options) => Reply::Answer(empty(StatusCode::OK)),
        _ => api.call(route, request).await,
    };
    match reply {
        Reply::Answer(response) => Ok(response),
        Reply::Forward if ours => {
            error!("a handler tried to forward a call that must not reach the engine");
            Ok(refusal(
                StatusCode::NOT_IMPLEMENTED,
                "this call is not implemented yet",
            ))
        }
        Reply::Forward => {
            signals.forward.store(true, Ordering::Relaxed);
            std::future::pending().await
        }
    }
}

/// A connection as hyper may see it: one request long.
struct OneRequest<S> {
    client: S,
    /// The head's bytes that hyper has not read yet.
    head: Bytes,
    inbox: BytesMut,
    /// How much of the inbox's front belongs to the body.
    cleared: usize,
    framing: Framing,
    /// The client's head and what hyper has read of the body, if they may have to be forwarded.
    seen: Option<BytesMut>,
    past_the_end: bool,
    signals: Arc<Signals>,
}

impl<S: Socket> OneRequest<S> {
    fn new(
        client: S,
        received: &Received,
        inbox: BytesMut,
        keep: bool,
        signals: Arc<Signals>,
    ) -> Self {
        Self {
            client,
            head: shown_head(received),
            inbox,
            cleared: 0,
            framing: received.head.framing,
            seen: keep.then(|| BytesMut::from(&received.bytes[..])),
            past_the_end: false,
            signals,
        }
    }

    fn end(self, end: End) -> Answered<S> {
        match end {
            End::Answered => Answered::Next {
                client: self.client,
                inbox: self.inbox,
            },
            End::Closed => Answered::Close {
                client: self.client,
            },
            End::Gone => Answered::Gone,
            End::Forward => {
                let mut seen = self.seen.unwrap_or_default();
                let mut inbox = self.inbox;
                seen.extend_from_slice(&inbox.split_to(self.cleared));
                Answered::Forward {
                    client: self.client,
                    seen: seen.freeze(),
                    inbox,
                    rest: self.framing,
                }
            }
        }
    }

    /// Gives hyper as much of `source` as it takes.
    fn give(
        source: &mut impl Buf,
        limit: usize,
        seen: &mut Option<BytesMut>,
        to: &mut ReadBuf<'_>,
    ) -> usize {
        let n = limit.min(to.remaining());
        let bytes = source.copy_to_bytes(n);
        if let Some(seen) = seen {
            seen.extend_from_slice(&bytes);
        }
        to.put_slice(&bytes);
        n
    }
}

/// The head as hyper is shown it.
///
/// Go takes targets that hyper refuses (a bare `"` in a query, as people write filters by hand). Handlers go by the route
/// and not by the target, so such a request is shown with a target of `/`.
fn shown_head(received: &Received) -> Bytes {
    let target = &received.head.target;
    if target.parse::<http::Uri>().is_ok() {
        return received.bytes.clone();
    }
    let method = received.head.method.as_str();
    // One space stands between the two: a head with more was refused.
    let after = received.bytes.get(method.len() + 1 + target.len()..);
    let after = after.unwrap_or_default();
    [method.as_bytes(), b" /", after].concat().into()
}

impl<S: Socket> AsyncRead for OneRequest<S> {
    fn poll_read(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        to: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let this = self.get_mut();
        if !this.head.is_empty() {
            let all = this.head.len();
            Self::give(&mut this.head, all, &mut None, to);
            return Poll::Ready(Ok(()));
        }
        if this.cleared == 0 && this.framing.is_done() {
            // hyper may ask right after a flush, or before one: one more round makes sure that a flush comes after.
            if !this.past_the_end {
                this.past_the_end = true;
                cx.waker().wake_by_ref();
            }
            return Poll::Pending;
        }
        if this.cleared == 0 {
            if this.inbox.is_empty() {
                let mut fill = Pipe::new(
                    Bytes::new(),
                    std::mem::take(&mut this.inbox),
                    Framing::UntilClose,
                );
                let read = fill.poll_fill(cx, &mut this.client);
                this.inbox = fill.inbox;
                if ready!(read)? == 0 {
                    return Poll::Ready(Ok(()));
                }
            }
            let taken = this.framing.take(&this.inbox);
            this.cleared =
                taken.map_err(|malformed| io::Error::new(io::ErrorKind::InvalidData, malformed))?;
        }
        this.cleared -= Self::give(&mut this.inbox, this.cleared, &mut this.seen, to);
        Poll::Ready(Ok(()))
    }
}

impl<S: Socket> AsyncWrite for OneRequest<S> {
    fn poll_write(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.get_mut().client).poll_write(cx, bytes)
    }

    fn poll_write_vectored(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        slices: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.get_mut().client).poll_write_vectored(cx, slices)
    }

    fn is_write_vectored(&self) -> bool {
        self.client.is_write_vectored()
    }

    /// hyper comes here once its own buffer is empty, in each round after it has tried to read.
    fn poll_flush(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        let this = self.get_mut();
        ready!(Pin::new(&mut this.client).poll_flush(cx))?;
        if this.past_the_end {
            this.signals.answered.store(true, Ordering::Relaxed);
        }
        Poll::Ready(Ok(()))
    }

    fn poll_shutdown(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.get_mut().client).poll_shutdown(cx)
    }
}
