//! What an update of the swarm's spec makes of its authority: judged before anything is changed.
//!
//! The rules, their order and the texts are Docker's (swarmkit `manager/controlapi/ca_rotation.go`):
//!
//! ```text
//!   no certificate brought ─┬─ the counter changed ─▶ a new root of our own
//!                           └─ else it stays; authorities outside that are needed must answer
//!   one brought ─┬─ the root itself ─▶ a rotation is called off; its key is the one brought, or none
//!                ├─ the one on its way ─▶ only its key changes
//!                └─ another ─▶ it is on its way, instead of any other
//! ```

use super::externals;
use crate::lock::SharedKeys;
use crate::trust::{self, issuer_of};
use std::time::SystemTime;
use swarmrs_core::control::swarm::Authority;
use swarmrs_rpc::Credentials;
use swarmrs_rpc::external::{self, Extension, Name, SignRequest};
use swarmrs_security::ca::fit::{normal, try_out};
use swarmrs_security::{Candidate, Error, PrivateKey, RootCa, RootCert};
use swarmrs_types::object::{Cluster, RootRotation};
use swarmrs_types::spec::{CaSettings, SwarmSpec};
use swarmrs_types::{Code, Fault, SecretText};
use tracing::warn;

const NO_CROSS: &str = "unable to generate a cross-signed certificate for root rotation";
const OUTSIDE_TO_OUTSIDE: &str =
    "rotating from one external CA to a different external CA is not supported";
const NEEDS_OUTSIDE: &str = "must provide an external CA for the current external root CA to generate a \
     cross-signed certificate";
const SAME_KEY: &str = "Cannot update to a cert with an identical key";

/// The rules of the one that issues by which an authority is certified (swarmkit `ExternalCrossSignProfile`).
const CA_PROFILE: &str = "CA";

fn invalid(text: impl Into<String>) -> Fault {
    Fault::manager(Code::InvalidArgument, text)
}

fn internal(error: &Error) -> Fault {
    Fault::daemon(Code::Internal, error.to_string())
}

/// What an update to `spec` makes of the authority of `cluster`. `keys` are this node's: authorities outside are
/// shown its certificate.
pub async fn judge(
    cluster: &Cluster,
    spec: &SwarmSpec,
    keys: &SharedKeys,
) -> Result<Authority, Fault> {
    let asked = Asked {
        cluster,
        settings: &spec.ca_config,
        keys,
        now: SystemTime::now(),
    };
    asked.judge().await
}

struct Asked<'a> {
    cluster: &'a Cluster,
    settings: &'a CaSettings,
    keys: &'a SharedKeys,
    now: SystemTime,
}

impl Asked<'_> {
    async fn judge(&self) -> Result<Authority, Fault> {
        let brought = normal(&self.settings.signing_ca_cert);
        let key = Some(self.settings.signing_ca_key.as_str()).filter(|key| !key.is_empty());
        let root = normal(&self.cluster.root_ca.certificate);
        if self.cluster.root_ca.key.is_empty() {
            if let (true, Some(key)) = (brought == root, key) {
                let candidate = Candidate::judge(&brought, Some(key), self.now);
                let candidate = candidate.map_err(|unfit| invalid(unfit.to_string()))?;
                return Ok(Authority::Keyed(key_of(&candidate)));
            }
            self.require_outside(&root, "current").await?;
        }
        if brought.is_empty() {
            return self.without_root().await;
        }
        let candidate = Candidate::judge(&brought, key, self.now);
        let candidate = candidate.map_err(|unfit| invalid(unfit.to_string()))?;
        if key.is_none() {
            self.require_outside(&brought, "desired").await?;
        }
        if brought == root {
            return Ok(Authority::Keyed(key_of(&candidate)));
        }
        let present = RootCert::from_pem(&root).map_err(|error| internal(&error))?;
        if present.issuer().public_key == candidate.cert.issuer().public_key {
            return Err(invalid(SAME_KEY));
        }
        let next = self.cluster.root_rotation.as_ref();
        if next.is_some_and(|next| normal(&next.certificate) == brought) {
            return Ok(Authority::NextKeyed(key_of(&candidate)));
        }
        self.begin(candidate).await
    }

    /// No root is brought.
    async fn without_root(&self) -> Result<Authority, Fault> {
        if self.settings.force_rotate != self.cluster.spec.ca_config.force_rotate {
            let made = RootCa::create(self.now).and_then(|ca| {
                Ok(Candidate {
                    cert: ca.cert().clone(),
                    key: Some(PrivateKey::from_pem(ca.key_pem())?),
                })
            });
            return self.begin(made.map_err(|error| internal(&error))?).await;
        }
        if let Some(next) = &self.cluster.root_rotation
            && next.key.is_empty()
        {
            self.require_outside(&normal(&next.certificate), "next")
                .await?;
        }
        Ok(Authority::Stays)
    }

    /// The candidate is on its way.
    async fn begin(&self, candidate: Candidate) -> Result<Authority, Fault> {
        let cross_signed = self.cross_sign(&candidate).await?;
        let authority = candidate.authority().map_err(|error| internal(&error))?;
        let present = RootCert::from_pem(&self.cluster.root_ca.certificate);
        let present = present.map_err(|error| internal(&error))?;
        if let Some(authority) = authority {
            let authority = authority.below(&cross_signed);
            let authority = authority.map_err(|error| invalid(format!("{NO_CROSS}: {error}")))?;
            // What an authority outside certified begins when it did so, later than this was asked for.
            let tried = try_out(&authority, Some(&present), SystemTime::now());
            tried.map_err(|unfit| invalid(unfit.to_string()))?;
        }
        Ok(Authority::Replaced(RootRotation {
            certificate: candidate.cert.pem().to_owned(),
            key: key_of(&candidate),
            cross_signed,
            issuer: issuer_of(candidate.cert.issuer()),
        }))
    }

    /// The candidate, certified by the present root.
    async fn cross_sign(&self, candidate: &Candidate) -> Result<String, Fault> {
        let root = &self.cluster.root_ca;
        if !root.key.is_empty() {
            let present = RootCa::from_pem(&root.certificate, &root.key);
            let signed = present.and_then(|present| present.cross_sign(&candidate.cert));
            return signed.map_err(|error| invalid(format!("{NO_CROSS}: {error}")));
        }
        let Some(authority) = candidate.authority().map_err(|error| internal(&error))? else {
            return Err(invalid(OUTSIDE_TO_OUTSIDE));
        };
        let request = cross_request(&authority).map_err(|error| internal(&error))?;
        let credentials = self.credentials(&root.certificate)?;
        let mut last = NEEDS_OUTSIDE.to_owned();
        for url in externals(self.settings, self.cluster, &root.certificate) {
            match external::sign(url, &credentials, &request).await {
                Ok(pem) => return Ok(normal(&pem)),
                Err(error) => last = format!("{NO_CROSS}: {error}"),
            }
        }
        Err(invalid(last))
    }

    /// Authorities outside must issue for this root if nobody else can, and one must answer.
    async fn require_outside(&self, root: &str, which: &str) -> Result<(), Fault> {
        let credentials = self.credentials(root)?;
        for url in externals(self.settings, self.cluster, root) {
            match external::reach(url, &credentials).await {
                Ok(()) => return Ok(()),
                Err(error) => warn!(%error, "an external CA cannot be used"),
            }
        }
        Err(invalid(format!(
            "there must be at least one valid, reachable external CA corresponding to the {which} CA certificate"
        )))
    }

    /// What is shown to whoever has a certificate of this root.
    fn credentials(&self, root: &str) -> Result<Credentials, Fault> {
        let root = RootCert::from_pem(root).map_err(|error| internal(&error))?;
        let credentials = trust::credentials_for(&self.keys.get(), &root);
        credentials.map_err(|error| Fault::daemon(Code::Internal, error.to_string()))
    }
}

fn key_of(candidate: &Candidate) -> SecretText {
    candidate
        .key
        .as_ref()
        .map(|key| key.pem().into())
        .unwrap_or_default()
}

/// Asks that the authority be certified by another.
fn cross_request(authority: &RootCa) -> Result<SignRequest, Error> {
    let wish = authority.cross_request()?;
    Ok(SignRequest {
        certificate_request: wish.request,
        subject: external::Subject {
            common_name: wish.common_name,
            names: vec![Name {
                unit: wish.unit,
                organisation: wish.organisation,
            }],
        },
        profile: CA_PROFILE.to_owned(),
        extensions: vec![Extension {
            id: "2.5.29.19".to_owned(),
            critical: true,
            // `SEQUENCE { BOOLEAN TRUE }`: a certificate authority.
            value: "30030101ff".to_owned(),
        }],
        ..SignRequest::default()
    })
}
