//! Who may call what. The one place where it is decided.

use crate::{Method, Needs, Reason, Refusal};
use std::time::SystemTime;
use swarmrs_security::{Identity, Role};
use swarmrs_types::Code;

/// What a caller is judged by besides its certificate.
pub(super) struct House<'a> {
    /// The cluster that we belong to.
    pub(super) cluster_id: &'a str,
    pub(super) now: SystemTime,
    /// Whether the certificate leads to a root that we trust still.
    pub(super) is_believed: bool,
    pub(super) role_of: &'a (dyn Fn(&Identity) -> Option<Role> + 'a),
}

/// Whether the owner of the certificate may call the method; answers who it is to the method.
///
/// A bad certificate is as good as none where none is needed: a removed node may join anew.
pub(super) fn judge(
    method: Method,
    identity: Option<&Identity>,
    house: &House<'_>,
) -> Result<Option<Identity>, Refusal> {
    let known = known(identity, house);
    match method.needs() {
        Needs::Anyone => Ok(known.ok().map(|(identity, _)| identity.clone())),
        Needs::Node => known.map(|(identity, _)| Some(identity.clone())),
        Needs::Manager => {
            let (identity, now) = known?;
            match identity.role.min(now) {
                Role::Manager => Ok(Some(identity.clone())),
                Role::Worker => Err(refuse(
                    Reason::Role,
                    format!("node {} is not a manager", identity.node_id),
                )),
            }
        }
    }
}

/// Whether the certificate is one of a member, now, and in which role the cluster has that node.
pub(super) fn known<'a>(
    identity: Option<&'a Identity>,
    house: &House<'_>,
) -> Result<(&'a Identity, Role), Refusal> {
    let Some(identity) = identity else {
        return Err(refuse(
            Reason::NoCertificate,
            "no client certificate".into(),
        ));
    };
    // The handshake has looked at it, but a connection may outlive the certificate it began with.
    if identity.not_after < house.now {
        return Err(refuse(Reason::Expired, "client certificate expired".into()));
    }
    if !house.is_believed {
        let text = "client certificate is of a root that is not trusted any more".into();
        return Err(refuse(Reason::Untrusted, text));
    }
    if identity.cluster_id != house.cluster_id {
        let text = "client certificate is not of this cluster".into();
        return Err(refuse(Reason::Cluster, text));
    }
    match (house.role_of)(identity) {
        Some(role) => Ok((identity, role)),
        None => {
            let text = format!("node {} was removed from swarm", identity.node_id);
            Err(refuse(Reason::NotMember, text))
        }
    }
}

fn refuse(reason: Reason, why: String) -> Refusal {
    Refusal::new(
        reason,
        Code::PermissionDenied,
        format!("Permission denied: {why}"),
    )
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::time::{Duration, UNIX_EPOCH};

    const NOW: u64 = 1_000_000;

    fn identity(role: Role) -> Identity {
        Identity {
            node_id: "node".into(),
            role,
            cluster_id: "ours".into(),
            not_before: UNIX_EPOCH,
            not_after: UNIX_EPOCH + Duration::from_secs(NOW),
            issuer_subject: Vec::new(),
            public_key: Vec::new(),
        }
    }

    /// What becomes of each method, by the reason of its refusal.
    fn verdicts(
        identity: Option<&Identity>,
        seconds: u64,
        role: Option<Role>,
    ) -> Vec<Option<Reason>> {
        let house = House {
            cluster_id: "ours",
            now: UNIX_EPOCH + Duration::from_secs(seconds),
            is_believed: true,
            role_of: &|_| role,
        };
        let verdict = |method| judge(method, identity, &house).err().map(|no| no.reason);
        Method::all().map(verdict).collect()
    }

    fn expected(node: Option<Reason>, manager: Option<Reason>) -> Vec<Option<Reason>> {
        let verdict = |method: Method| match method.needs() {
            Needs::Anyone => None,
            Needs::Node => node,
            Needs::Manager => manager,
        };
        Method::all().map(verdict).collect()
    }

    #[test]
    fn each_caller_gets_what_its_certificate_is_worth() {
        let (worker, manager) = (identity(Role::Worker), identity(Role::Manager));
        assert_eq!(
            verdicts(Some(&manager), NOW, Some(Role::Manager)),
            expected(None, None)
        );
        let role = Some(Reason::Role);
        assert_eq!(
            verdicts(Some(&worker), NOW, Some(Role::Worker)),
            expected(None, role)
        );
        // A manager that was demoted may do no more than a worker, and no worker more than its certificate says.
        assert_eq!(
            verdicts(Some(&manager), NOW, Some(Role::Worker)),
            expected(None, role)
        );
        assert_eq!(
            verdicts(Some(&worker), NOW, Some(Role::Manager)),
            expected(None, role)
        );
        let none = Some(Reason::NoCertificate);
        assert_eq!(
            verdicts(None, NOW, Some(Role::Manager)),
            expected(none, none)
        );
    }

    #[test]
    fn a_certificate_that_is_no_longer_good_opens_nothing() {
        let manager = identity(Role::Manager);
        let removed = Some(Reason::NotMember);
        assert_eq!(
            verdicts(Some(&manager), NOW, None),
            expected(removed, removed)
        );
        let expired = Some(Reason::Expired);
        assert_eq!(
            verdicts(Some(&manager), NOW + 1, Some(Role::Manager)),
            expected(expired, expired)
        );
        let foreign = Identity {
            cluster_id: "theirs".into(),
            ..manager
        };
        let cluster = Some(Reason::Cluster);
        assert_eq!(
            verdicts(Some(&foreign), NOW, Some(Role::Manager)),
            expected(cluster, cluster)
        );
    }

    #[test]
    fn who_is_removed_is_nobody_to_what_is_open_to_anyone() {
        let house = House {
            cluster_id: "ours",
            now: UNIX_EPOCH,
            is_believed: true,
            role_of: &|_| None,
        };
        let node = identity(Role::Worker);
        assert_eq!(judge(Method::Issue, Some(&node), &house), Ok(None));
    }
}
