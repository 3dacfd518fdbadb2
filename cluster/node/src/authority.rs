//! The swarm's authority at work: certificates, issued with its key or asked for outside of the swarm.
//!
//! While another authority is on its way it is that one that issues, with the word of the one before
//! added ([`InForce::cross_signed`]), so nodes that trust either believe what comes of it.

pub mod change;
pub mod finish;

use crate::trust;
use std::time::SystemTime;
use swarmrs_rpc::external::{self, ExternalError, Name, SignRequest};
use swarmrs_rpc::{Credentials, Reason, Refusal};
use swarmrs_security::ca::fit::normal;
use swarmrs_security::{CertificateRequest, Error, NodeCertificate, RootCa, RootCert, Subject};
use swarmrs_types::object::Cluster;
use swarmrs_types::spec::CaSettings;
use swarmrs_types::{Code, Fault, SecretText};
use tracing::debug;

/// Why there is no certificate.
#[derive(Debug, thiserror::Error)]
pub enum NotIssued {
    /// It may be had later.
    #[error("no certificate yet: {0}")]
    Later(String),
    /// It will not be had.
    #[error("no certificate: {0}")]
    Refused(String),
    #[error(transparent)]
    Own(#[from] Error),
}

impl From<NotIssued> for Refusal {
    fn from(error: NotIssued) -> Self {
        let text = error.to_string();
        match error {
            NotIssued::Later(_) => Refusal::new(Reason::Later, Code::Unavailable, text),
            NotIssued::Refused(_) => Refusal::new(Reason::Service, Code::Unavailable, text),
            NotIssued::Own(_) => Fault::daemon(Code::Internal, text).into(),
        }
    }
}

/// The authority that issues.
struct InForce<'a> {
    /// PEM, as the others.
    certificate: &'a str,
    /// Empty: it is not the swarm's own.
    key: &'a SecretText,
    /// What goes with each certificate; empty unless the authority is on its way.
    cross_signed: &'a str,
}

impl<'a> InForce<'a> {
    fn of(cluster: &'a Cluster) -> Self {
        match &cluster.root_rotation {
            Some(next) => InForce {
                certificate: &next.certificate,
                key: &next.key,
                cross_signed: &next.cross_signed,
            },
            None => InForce {
                certificate: &cluster.root_ca.certificate,
                key: &cluster.root_ca.key,
                cross_signed: "",
            },
        }
    }
}

/// Whether the authority that issues is one of these roots.
pub fn is_known(cluster: &Cluster, roots: &RootCert) -> bool {
    let issuing = RootCert::from_pem(InForce::of(cluster).certificate);
    issuing.is_ok_and(|issuing| {
        let mut known = roots.certificates_der();
        issuing
            .certificates_der()
            .next()
            .is_some_and(|first| known.any(|one| one == first))
    })
}

/// Where authorities outside of the swarm issue for the root `certificate`. One of which it is not said for which root it
/// issues does so for the present one, as Docker has it.
pub fn externals<'a>(
    settings: &'a CaSettings,
    cluster: &'a Cluster,
    certificate: &'a str,
) -> impl Iterator<Item = &'a str> {
    let wanted = normal(certificate);
    let present = &cluster.root_ca.certificate;
    let of_that = move |ca: &&swarmrs_types::spec::ExternalCa| {
        let issues_for = if ca.ca_cert.is_empty() {
            present
        } else {
            &ca.ca_cert
        };
        normal(issues_for) == wanted
    };
    let externals = settings.external_cas.iter().filter(of_that);
    externals.map(|ca| ca.url.as_str())
}

/// Issues a certificate, valid for as long as the swarm's spec says. An authority outside comes first; with one set, the
/// swarm's own key is not used, as Docker has it.
pub async fn certify(
    cluster: &Cluster,
    subject: Subject<'_>,
    request: &CertificateRequest,
    credentials: &Credentials,
) -> Result<NodeCertificate, NotIssued> {
    let authority = InForce::of(cluster);
    let settings = &cluster.spec.ca_config;
    let urls: Vec<_> = externals(settings, cluster, authority.certificate).collect();
    let now = SystemTime::now();
    if !urls.is_empty() {
        return ask_outside(&urls, cluster, &authority, subject, request, credentials).await;
    }
    if authority.key.is_empty() {
        return Err(NotIssued::Later(
            "the swarm does not have its root's key, and no external CA is set for that root"
                .to_owned(),
        ));
    }
    let mut ca = RootCa::from_pem(authority.certificate, authority.key)?;
    if !authority.cross_signed.is_empty() {
        ca = ca.below(authority.cross_signed)?;
    }
    let validity = settings.node_cert_expiry.duration();
    Ok(ca.issue(request, &subject, validity, now)?)
}

async fn ask_outside(
    urls: &[&str],
    cluster: &Cluster,
    authority: &InForce<'_>,
    subject: Subject<'_>,
    request: &CertificateRequest,
    credentials: &Credentials,
) -> Result<NodeCertificate, NotIssued> {
    let wanted = sign_request(subject, request);
    let mut last = None;
    for url in urls {
        match external::sign(url, credentials, &wanted).await {
            Ok(pem) => {
                let chain = format!("{}\n{}", pem.trim_end(), authority.cross_signed);
                let certificate = NodeCertificate::from_pem(&chain)?;
                check(&certificate, cluster, subject, request)
                    .map_err(|reason| NotIssued::Refused(format!("the one from {url} {reason}")))?;
                return Ok(certificate);
            }
            Err(error) => {
                debug!(%error, "an external CA gave no certificate");
                last = Some(error);
            }
        }
    }
    Err(match last {
        Some(error @ ExternalError::Refused { .. }) => NotIssued::Refused(error.to_string()),
        Some(error) => NotIssued::Later(error.to_string()),
        None => NotIssued::Later("no external CA is set".to_owned()),
    })
}

fn sign_request(subject: Subject<'_>, request: &CertificateRequest) -> SignRequest {
    let names = subject.server_names().into_iter();
    SignRequest {
        hosts: names.map(str::to_owned).collect(),
        certificate_request: request.pem().to_owned(),
        subject: external::Subject {
            common_name: subject.node_id.to_owned(),
            names: vec![Name {
                unit: subject.role.as_str().to_owned(),
                organisation: subject.cluster_id.to_owned(),
            }],
        },
        ..SignRequest::default()
    }
}

/// Whether it is what was asked for: an authority that has rules of its own may have changed it.
fn check(
    certificate: &NodeCertificate,
    cluster: &Cluster,
    subject: Subject<'_>,
    request: &CertificateRequest,
) -> Result<(), String> {
    let identity = certificate.identity();
    let (node, role, swarm) = (subject.node_id, subject.role, subject.cluster_id);
    if (
        identity.node_id.as_str(),
        identity.role,
        identity.cluster_id.as_str(),
    ) != (node, role, swarm)
    {
        return Err("is not for the node that was named".to_owned());
    }
    if !certificate.answers(request) {
        return Err("is not for the key of the request".to_owned());
    }
    let roots = trust::believed(&trust::roots_of(cluster)).map_err(|error| error.to_string())?;
    match certificate.verify(&roots, SystemTime::now()) {
        Ok(_) => Ok(()),
        Err(_) => Err("does not lead to the swarm's root".to_owned()),
    }
}
