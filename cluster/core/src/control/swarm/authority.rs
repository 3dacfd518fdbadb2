//! The swarm's certificate authority: what an update makes of it, and when one has taken another's place.
//!
//! ```text
//!   update ─▶ root_rotation ─▶ nodes are told to renew ─▶ each says who issued its certificate
//!                                      all of them, those that are down too ─▶ finish: it is the root
//! ```
//!
//! What certificates say is judged before ([`Authority`] is what came of it): here they are texts.

use crate::feature::SETTLED;
use crate::plan::{Draft, Plan};
use crate::state::State;
use swarmrs_types::feature::AUTHORITY;
use swarmrs_types::object::{CertIssuer, Cluster, JoinTokens, RootCa, RootRotation};
use swarmrs_types::spec::TlsInfo;
use swarmrs_types::{ClusterTime, Code, Fault, SecretText};

/// What becomes of the authority.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub enum Authority {
    #[default]
    Stays,
    /// It stays, with this key (empty: none), and none takes its place.
    Keyed(SecretText),
    /// The one on its way stays, with this key.
    NextKeyed(SecretText),
    /// Another is on its way from now on, whether or not one was before.
    Replaced(RootRotation),
}

impl Authority {
    /// A change waits until all managers can read it.
    pub(super) fn check(&self, state: &State) -> Result<(), Fault> {
        let level = state.level();
        if *self == Authority::Stays || level >= AUTHORITY {
            return Ok(());
        }
        let minutes = SETTLED.as_secs() / 60;
        let text = format!(
            "the root CA cannot be changed yet: that needs feature level {AUTHORITY}, and this swarm has {level} until \
             all its managers have run a release that knows it for {minutes} minutes"
        );
        Err(Fault::manager(Code::FailedPrecondition, text))
    }

    pub(super) fn apply(self, cluster: &mut Cluster) {
        match (self, &mut cluster.root_rotation) {
            (Authority::Stays, _) | (Authority::NextKeyed(_), None) => {}
            (Authority::NextKeyed(key), Some(next)) => next.key = key,
            (Authority::Keyed(key), next) => {
                *next = None;
                cluster.root_ca.key = key;
            }
            (Authority::Replaced(other), next) => *next = Some(other),
        }
    }
}

/// Whether a certificate is of another authority than the one that issues by now; `said` is what its node says of it. One
/// that has not said yet who issued it is not asked to change.
pub fn must_change(cluster: &Cluster, said: &TlsInfo) -> bool {
    let wanted = cluster.issuer();
    !wanted.is_empty() && !said.cert_issuer_public_key.is_empty() && !is_of(wanted, said)
}

fn is_of(issuer: &CertIssuer, said: &TlsInfo) -> bool {
    said.cert_issuer_subject == issuer.subject && said.cert_issuer_public_key == issuer.public_key
}

/// Whether an authority is on its way and every node has a certificate of it. Nodes that are down hold it up until they
/// are removed, as Docker has it: with the old root gone, they could not come back.
pub fn is_due(state: &State) -> bool {
    state.cluster().is_some_and(|cluster| {
        let wanted = cluster.issuer();
        let mut said = state.nodes().iter().map(|node| &node.description.tls_info);
        cluster.root_rotation.is_some() && said.all(|said| is_of(wanted, said))
    })
}

/// The authority on its way is the root; `tokens` carry its digest. Nothing if it is not due (any more).
pub fn finish(state: &State, tokens: JoinTokens, now: ClusterTime) -> Plan {
    let mut draft = Draft::new(state, now);
    if let Some(old) = state.cluster().filter(|_| is_due(state)) {
        let mut new = (**old).clone();
        if let Some(next) = new.root_rotation.take() {
            new.root_ca = RootCa {
                certificate: next.certificate,
                key: next.key,
                issuer: next.issuer,
            };
            new.join_tokens = tokens;
            draft.put_cluster(new);
        }
    }
    draft.finish()
}
