//! One stream: judged, read, answered.

use super::door::{self, House};
use super::{Caller, Line, Shared};
use crate::codec::{Frame, Malformed};
use crate::conversation::Outgoing;
use crate::tls::Current;
use crate::{
    CallError, Conversation, FrameReceiver, FrameSender, Method, Purpose, Reason, Refusal, Shape,
};
use arc_swap::ArcSwap;
use bytes::Bytes;
use h2::RecvStream;
use h2::server::SendResponse;
use http::{Method as Verb, Request, Response, StatusCode};
use rustls::pki_types::CertificateDer;
use std::future::pending;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::SystemTime;
use swarmrs_security::Identity;
use swarmrs_types::Code;
use tokio::time::{sleep, timeout};

/// Who is at the other end of a connection.
pub(super) struct Peer {
    pub(super) from: SocketAddr,
    pub(super) purpose: Purpose,
    pub(super) identity: Option<Identity>,
    /// What it showed, the certificate first.
    pub(super) chain: Vec<CertificateDer<'static>>,
    /// What we trusted when the chain was found good last.
    pub(super) believed_by: ArcSwap<Current>,
    pub(super) line: Line,
    pub(super) shared: Arc<Shared>,
}

/// Answers one stream. What goes wrong with the stream itself is the caller's to notice.
pub(super) async fn answer(
    peer: Arc<Peer>,
    request: Request<RecvStream>,
    mut respond: SendResponse<Bytes>,
) {
    let (head, body) = request.into_parts();
    let admitted = peer.admit(&head.method, head.uri.path());
    let mut response = Response::new(());
    if admitted.is_err() {
        *response.status_mut() = StatusCode::FORBIDDEN;
    }
    let Ok(stream) = respond.send_response(response, false) else {
        return;
    };
    let outgoing = Outgoing::new(stream);
    let outcome = match admitted {
        Ok((method, caller)) => peer.serve(method, caller, body, &outgoing).await,
        Err(refusal) => {
            let complaints = &peer.shared.complaints;
            complaints.complain(Some(peer.from), "request", &refusal);
            Err(refusal)
        }
    };
    let ending = async {
        match outcome {
            Ok(Some(answer)) => outgoing.send(Frame::Message(answer), true).await,
            Ok(None) => outgoing.finish().await,
            Err(refusal) => outgoing.refuse(&refusal).await,
        }
    };
    // A caller that does not take its answer has none.
    let _ = timeout(peer.shared.limits.body, ending).await;
}

impl Peer {
    /// Judges what can be judged before the body is read.
    fn admit(&self, verb: &Verb, path: &str) -> Result<(Method, Caller), Refusal> {
        let unknown = || {
            let path: String = path.chars().take(80).collect();
            let text = format!("unknown method {path:?}");
            Refusal::new(Reason::UnknownMethod, Code::Unimplemented, text)
        };
        let method = match Method::of_path(path) {
            Some(method) if verb == Verb::POST && method.purpose() == self.purpose => method,
            _ => return Err(unknown()),
        };
        let identity = self.judged(|house| door::judge(method, self.identity.as_ref(), house))?;
        let from = self.from;
        let line = self.line.clone();
        Ok((
            method,
            Caller {
                identity,
                from,
                line,
            },
        ))
    }

    /// Comes back when the caller's certificate is none of a member's any more: its streams end too, which were judged
    /// when they began. It is looked at with each ping.
    pub(super) async fn misfit(&self) -> Refusal {
        let Some(identity) = &self.identity else {
            return pending().await;
        };
        loop {
            sleep(self.shared.keepalive.every).await;
            let judged = self.judged(|house| door::known(Some(identity), house).map(drop));
            if let Err(refusal) = judged {
                return refusal;
            }
        }
    }

    fn judged<T>(&self, judge: impl FnOnce(&House<'_>) -> T) -> T {
        let (ours, now) = (self.shared.credentials.current(), SystemTime::now());
        judge(&House {
            cluster_id: ours.identity.as_ref().map_or("", |ours| &ours.cluster_id),
            now,
            is_believed: self.is_believed(&ours, now),
            role_of: &*self.shared.role_of,
        })
    }

    /// A root that is not trusted any more takes those with it who came by it. Looked at again only if what we trust, or
    /// show, is another than it was.
    fn is_believed(&self, ours: &Arc<Current>, now: SystemTime) -> bool {
        if self.chain.is_empty() || Arc::ptr_eq(ours, &self.believed_by.load()) {
            return true;
        }
        let believes = ours.believes(&self.chain, now);
        if believes {
            self.believed_by.store(ours.clone());
        }
        believes
    }

    /// What is to be sent at last: a call's answer, or nothing more.
    async fn serve(
        &self,
        method: Method,
        caller: Caller,
        body: RecvStream,
        outgoing: &Outgoing,
    ) -> Result<Option<Bytes>, Refusal> {
        let service = &self.shared.served(self.purpose).service;
        let receiver = FrameReceiver::answering(body, method);
        match method.shape() {
            Shape::Call => {
                let body = self.body(receiver).await?;
                tokio::select! {
                    answer = service.answer(caller, method, body) => self.fit(method, answer?),
                    () = outgoing.unwanted() => Ok(None),
                }
            }
            Shape::Conversation => {
                let sender = FrameSender::answering(outgoing.clone(), method);
                let conversation = Conversation { sender, receiver };
                let ended = service.converse(caller, method, conversation).await;
                ended.map(|()| None)
            }
        }
    }

    /// The one frame of a call.
    async fn body(&self, mut receiver: FrameReceiver) -> Result<Bytes, Refusal> {
        let first = timeout(self.shared.limits.body, receiver.next()).await;
        let first = first.map_err(|_| {
            let text = "the body did not arrive in time";
            Refusal::new(Reason::Slow, Code::DeadlineExceeded, text)
        })?;
        match first {
            Ok(Some(body)) => Ok(body),
            Ok(None) => Err(Malformed::Missing.into()),
            Err(CallError::Malformed(malformed)) => Err(malformed.into()),
            Err(other) => Err(Refusal::new(
                Reason::Malformed,
                Code::InvalidArgument,
                other.to_string(),
            )),
        }
    }

    /// An answer that its asker would not take is not sent.
    fn fit(&self, method: Method, answer: Bytes) -> Result<Option<Bytes>, Refusal> {
        if answer.len() <= method.answer_limit() {
            return Ok(Some(answer));
        }
        let text = format!(
            "the answer to {} is too long: {} bytes",
            method.name(),
            answer.len()
        );
        Err(Refusal::new(Reason::Service, Code::Internal, text))
    }
}
