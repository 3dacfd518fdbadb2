//! The root CA and what it issues, read back by another library than the one that wrote it.

#![expect(clippy::unwrap_used, reason = "a helper that fails fails its test")]

use rcgen::{BasicConstraints, CertificateParams, DnType, IsCa, Issuer, KeyPair, PublicKeyData};
use std::time::{Duration, SystemTime, UNIX_EPOCH};
use swarmrs_security::{
    CertificateRequest, Error, Identity, NodeCertificate, PrivateKey, Role, RootCa, RootCert,
    Subject,
};
use x509_parser::prelude::{FromDer, GeneralName, X509Certificate};

const HOUR: Duration = Duration::from_secs(3600);
use swarmrs_security::ca::BACKDATE;
const DAY: Duration = Duration::from_secs(24 * 3600);

const NODE: Subject<'static> = Subject {
    node_id: "a1b2c3d4e5f6g7h8i9j0k1l2m",
    role: Role::Manager,
    cluster_id: "m2l1k0j9i8h7g6f5e4d3c2b1a",
};

/// A moment in 2026, in whole seconds as certificates have them.
fn now() -> SystemTime {
    UNIX_EPOCH + Duration::from_secs(1_790_000_000)
}

fn issue(ca: &RootCa, subject: &Subject<'_>, validity: Duration) -> NodeCertificate {
    let request = PrivateKey::generate().unwrap().request().unwrap();
    ca.issue(&request, subject, validity, now()).unwrap()
}

fn names(certificate: &X509Certificate<'_>) -> Vec<String> {
    let names = certificate.subject_alternative_name().unwrap().unwrap();
    let names = names.value.general_names.iter().map(|name| match name {
        GeneralName::DNSName(name) => (*name).to_owned(),
        other => panic!("unexpected name {other}"),
    });
    names.collect()
}

#[test]
fn the_root_is_a_self_signed_p256_ca_of_20_years_named_swarm_ca() {
    let ca = RootCa::create(now()).unwrap();
    let der = ca.cert().certificates_der().next().unwrap();
    let (_, root) = X509Certificate::from_der(der).unwrap();
    assert_eq!(root.subject().to_string(), "CN=swarm-ca");
    assert_eq!(root.issuer(), root.subject());
    root.verify_signature(None).unwrap();
    assert!(root.is_ca());
    let usage = root.key_usage().unwrap().unwrap().value;
    assert!(usage.key_cert_sign() && usage.crl_sign());
    assert_eq!(root.public_key().subject_public_key.data.len(), 65);
    let validity = root.validity();
    assert_eq!(validity.not_before.timestamp(), 1_790_000_000 - 4200);
    assert_eq!(
        validity.not_after.timestamp() - validity.not_before.timestamp(),
        630_720_000
    );
}

#[test]
fn the_issuer_is_shown_as_dockers_bytes() {
    let ca = RootCa::create(now()).unwrap();
    let issuer = ca.cert().issuer();
    // What `docker node inspect` shows of every swarm that made its own root.
    assert_eq!(issuer.subject_base64(), "MBMxETAPBgNVBAMTCHN3YXJtLWNh");
    // The head of every public key on P-256.
    let head = "MFkwEwYHKoZIzj0CAQYIKoZIzj0DAQcDQgAE";
    assert!(issuer.public_key_base64().starts_with(head));
    assert_eq!(issuer.public_key.len(), 91);
}

#[test]
fn a_managers_certificate_says_who_it_is_and_is_for_both_ends() {
    let ca = RootCa::create(now()).unwrap();
    let certificate = issue(&ca, &NODE, 90 * DAY);
    let (_, read) = X509Certificate::from_der(&certificate.chain_der()[0]).unwrap();
    assert_eq!(
        read.subject().to_string(),
        "O=m2l1k0j9i8h7g6f5e4d3c2b1a, OU=swarm-manager, CN=a1b2c3d4e5f6g7h8i9j0k1l2m"
    );
    assert_eq!(names(&read), ["swarm-manager", NODE.node_id, "swarm-ca"]);
    let usage = read.key_usage().unwrap().unwrap().value;
    assert!(usage.digital_signature() && usage.key_encipherment() && !usage.key_cert_sign());
    let purposes = read.extended_key_usage().unwrap().unwrap().value;
    assert!(purposes.server_auth && purposes.client_auth && !purposes.any);
    assert!(!read.is_ca());
    assert_eq!(read.validity().not_before.timestamp(), 1_790_000_000 - 4200);
    let end = 1_790_000_000 + 90 * 24 * 3600;
    assert_eq!(read.validity().not_after.timestamp(), end);
}

#[test]
fn a_worker_may_not_be_dialled_as_the_ca() {
    let ca = RootCa::create(now()).unwrap();
    let role = Role::Worker;
    let certificate = issue(&ca, &Subject { role, ..NODE }, DAY);
    let (_, read) = X509Certificate::from_der(&certificate.chain_der()[0]).unwrap();
    assert_eq!(names(&read), ["swarm-worker", NODE.node_id]);
    assert_eq!(certificate.identity().role, Role::Worker);
}

#[test]
fn an_identity_reads_back_what_was_issued() {
    let ca = RootCa::create(now()).unwrap();
    let key = PrivateKey::generate().unwrap();
    let request = key.request().unwrap();
    let certificate = ca.issue(&request, &NODE, DAY, now()).unwrap();
    let expected = Identity {
        node_id: NODE.node_id.into(),
        role: Role::Manager,
        cluster_id: NODE.cluster_id.into(),
        not_before: now() - BACKDATE,
        not_after: now() + DAY,
        issuer_subject: ca.cert().issuer().subject.clone(),
        public_key: key.public_key_der().to_vec(),
    };
    assert_eq!(certificate.identity(), &expected);
    let leaf = &certificate.chain_der()[0];
    assert_eq!(Identity::from_der(leaf).unwrap(), expected);
    let read = NodeCertificate::from_pem(certificate.pem()).unwrap();
    assert_eq!(read, certificate);
    assert!(read.belongs_to(&key));
    assert!(!read.belongs_to(&PrivateKey::generate().unwrap()));
}

#[test]
fn a_request_cannot_ask_for_a_name_a_role_or_the_power_to_sign() {
    let key = KeyPair::generate().unwrap();
    let mut wish = CertificateParams::new(["swarm-ca".to_owned()]).unwrap();
    let name = &mut wish.distinguished_name;
    name.push(DnType::CommonName, "somebody-else");
    name.push(DnType::OrganizationalUnitName, "swarm-manager");
    wish.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    let request = wish.serialize_request(&key).unwrap().pem().unwrap();
    let request = CertificateRequest::from_pem(&request).unwrap();

    let ca = RootCa::create(now()).unwrap();
    let role = Role::Worker;
    let subject = Subject { role, ..NODE };
    let certificate = ca.issue(&request, &subject, DAY, now()).unwrap();
    let identity = certificate.identity();
    assert_eq!(identity.node_id, NODE.node_id);
    assert_eq!(identity.role, Role::Worker);
    assert_eq!(identity.public_key, key.subject_public_key_info());
    let (_, read) = X509Certificate::from_der(&certificate.chain_der()[0]).unwrap();
    assert!(!read.is_ca());
    assert_eq!(names(&read), ["swarm-worker", NODE.node_id]);
}

#[test]
fn our_own_requests_ask_for_nothing() {
    let request = PrivateKey::generate().unwrap().request().unwrap();
    let wish = rcgen::CertificateSigningRequestParams::from_pem(request.pem()).unwrap();
    assert_eq!(wish.params.distinguished_name.iter().count(), 0);
    assert_eq!(wish.params.subject_alt_names, []);
    assert_eq!(wish.params.is_ca, IsCa::NoCa);
}

#[test]
fn a_request_for_another_kind_of_key_is_refused() {
    for kind in [&rcgen::PKCS_ECDSA_P384_SHA384, &rcgen::PKCS_ED25519] {
        let key = KeyPair::generate_for(kind).unwrap();
        let request = CertificateParams::default()
            .serialize_request(&key)
            .unwrap();
        let refusal = CertificateRequest::from_pem(&request.pem().unwrap());
        assert!(matches!(refusal, Err(Error::Request(_))), "{refusal:?}");
    }
}

#[test]
fn a_request_without_proof_of_the_key_is_refused() {
    use base64::{Engine as _, engine::general_purpose::STANDARD};
    let request = PrivateKey::generate().unwrap().request().unwrap();
    let body: String = request
        .pem()
        .lines()
        .filter(|line| !line.starts_with('-'))
        .collect();
    let mut der = STANDARD.decode(body).unwrap();
    // The last byte is the signature's.
    *der.last_mut().unwrap() ^= 1;
    let body = STANDARD.encode(der);
    let kind = "CERTIFICATE REQUEST";
    let forged = format!("-----BEGIN {kind}-----\n{body}\n-----END {kind}-----\n");
    let refusal = CertificateRequest::from_pem(&forged);
    assert!(matches!(refusal, Err(Error::Request(_))), "{refusal:?}");
}

#[test]
fn an_id_that_is_no_id_is_not_certified() {
    let ca = RootCa::create(now()).unwrap();
    let request = PrivateKey::generate().unwrap().request().unwrap();
    for id in ["", "swarm-ca", "*", "a.b", "a\0b", "é"] {
        for subject in [
            Subject {
                node_id: id,
                ..NODE
            },
            Subject {
                cluster_id: id,
                ..NODE
            },
        ] {
            let refusal = ca.issue(&request, &subject, DAY, now());
            assert!(matches!(refusal, Err(Error::Subject { .. })), "{id:?}");
        }
    }
}

#[test]
fn a_validity_below_an_hour_means_the_default_of_90_days() {
    let ca = RootCa::create(now()).unwrap();
    let end = |validity| issue(&ca, &NODE, validity).identity().not_after;
    assert_eq!(end(Duration::ZERO), now() + 90 * DAY);
    assert_eq!(end(HOUR - Duration::from_secs(1)), now() + 90 * DAY);
    assert_eq!(end(HOUR), now() + HOUR);
}

#[test]
fn no_certificate_outlives_the_root() {
    let ca = RootCa::create(now()).unwrap();
    let certificate = issue(&ca, &NODE, 30 * 365 * DAY);
    assert_eq!(certificate.identity().not_after, ca.cert().not_after());
}

#[test]
fn renewing_gives_a_new_serial_number_even_for_the_same_key() {
    let ca = RootCa::create(now()).unwrap();
    let request = PrivateKey::generate().unwrap().request().unwrap();
    let serial = || {
        let certificate = ca.issue(&request, &NODE, DAY, now()).unwrap();
        let (_, read) = X509Certificate::from_der(&certificate.chain_der()[0]).unwrap();
        read.raw_serial().to_vec()
    };
    let first = serial();
    assert_eq!(first.len(), 20);
    assert_ne!(first, serial());
}

#[test]
fn a_certificate_is_trusted_under_its_own_root_only_and_names_its_issuer() {
    let ca = RootCa::create(now()).unwrap();
    let certificate = issue(&ca, &NODE, DAY);
    let issuer = certificate.verify(ca.cert(), now()).unwrap();
    assert_eq!(&issuer, ca.cert().issuer());

    // Same name, another key.
    let other = RootCa::create(now()).unwrap();
    let refusal = certificate.verify(other.cert(), now());
    assert!(matches!(refusal, Err(Error::Untrusted(_))), "{refusal:?}");
}

#[test]
fn a_bundle_trusts_each_of_its_roots() {
    let old = RootCa::create(now()).unwrap();
    let new = RootCa::create(now()).unwrap();
    let bundle = format!("{}{}", old.cert().pem(), new.cert().pem());
    let bundle = RootCert::from_pem(&bundle).unwrap();
    for ca in [&old, &new] {
        let issuer = issue(ca, &NODE, DAY).verify(&bundle, now()).unwrap();
        assert_eq!(&issuer, ca.cert().issuer());
    }
    assert_eq!(bundle.issuer(), old.cert().issuer());
}

#[test]
fn a_certificate_is_trusted_only_while_it_and_its_root_are_valid() {
    let ca = RootCa::create(now()).unwrap();
    let certificate = issue(&ca, &NODE, DAY);
    let trusted = |at| certificate.verify(ca.cert(), at).is_ok();
    assert!(trusted(now() - BACKDATE));
    assert!(trusted(now() + DAY));
    assert!(!trusted(now() - BACKDATE - Duration::from_secs(1)));
    assert!(!trusted(now() + DAY + Duration::from_secs(1)));

    // A certificate that outlives its root, which we never issue.
    let root = ca.cert().certificates_der().next().unwrap();
    let root_key = KeyPair::from_pem(ca.key_pem()).unwrap();
    let child = child_of(&Issuer::from_ca_cert_der(root, root_key).unwrap());
    let child = NodeCertificate::from_pem(&child).unwrap();
    let end = ca.cert().not_after();
    assert!(child.verify(ca.cert(), end).is_ok());
    assert!(
        child
            .verify(ca.cert(), end + Duration::from_secs(1))
            .is_err()
    );
}

#[test]
fn an_expired_root_issues_nothing() {
    let ca = RootCa::create(now()).unwrap();
    let request = PrivateKey::generate().unwrap().request().unwrap();
    let refusal = ca.issue(&request, &NODE, DAY, ca.cert().not_after());
    assert!(matches!(refusal, Err(Error::RootExpired)), "{refusal:?}");
}

#[test]
fn a_node_cannot_certify_another_node() {
    let ca = RootCa::create(now()).unwrap();
    let key = PrivateKey::generate().unwrap();
    let parent = ca
        .issue(&key.request().unwrap(), &NODE, DAY, now())
        .unwrap();
    let pair = KeyPair::from_pem(key.pem()).unwrap();
    let issuer = Issuer::from_ca_cert_der(&parent.chain_der()[0], pair).unwrap();
    let child = child_of(&issuer);
    let chain = format!("{child}{}", parent.pem());
    let chain = NodeCertificate::from_pem(&chain).unwrap();
    let refusal = chain.verify(ca.cert(), now());
    assert!(matches!(refusal, Err(Error::Untrusted(_))), "{refusal:?}");
}

#[test]
fn a_chain_through_an_intermediate_is_trusted_and_names_the_intermediate() {
    let ca = RootCa::create(now()).unwrap();
    let root = ca.cert().certificates_der().next().unwrap();
    let root_key = KeyPair::from_pem(ca.key_pem()).unwrap();
    let root = Issuer::from_ca_cert_der(root, root_key).unwrap();
    let key = KeyPair::generate().unwrap();
    let mut params = CertificateParams::default();
    params
        .distinguished_name
        .push(DnType::CommonName, "next root");
    params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    let intermediate = params.signed_by(&key, &root).unwrap();
    let public_key = key.subject_public_key_info();

    let child = child_of(&Issuer::new(params, key));
    let chain = NodeCertificate::from_pem(&format!("{child}{}", intermediate.pem())).unwrap();
    let issuer = chain.verify(ca.cert(), now()).unwrap();
    assert_eq!(issuer.public_key, public_key);
    assert_eq!(issuer.subject, chain.identity().issuer_subject);
    let alone = NodeCertificate::from_pem(&child).unwrap();
    assert!(alone.verify(ca.cert(), now()).is_err());
}

/// A certificate with a full subject from a hand-made issuer.
fn child_of(issuer: &Issuer<'_, KeyPair>) -> String {
    let mut params = CertificateParams::default();
    let name = &mut params.distinguished_name;
    name.push(DnType::CommonName, "child");
    name.push(DnType::OrganizationName, "cluster");
    name.push(DnType::OrganizationalUnitName, "swarm-manager");
    let key = KeyPair::generate().unwrap();
    params.signed_by(&key, issuer).unwrap().pem()
}

#[test]
fn a_certificate_without_a_role_is_no_nodes() {
    let mut params = CertificateParams::default();
    params
        .distinguished_name
        .push(DnType::OrganizationName, "cluster");
    for unit in [None, Some("swarm-god")] {
        if let Some(unit) = unit {
            params
                .distinguished_name
                .push(DnType::OrganizationalUnitName, unit);
        }
        let certificate = params.self_signed(&KeyPair::generate().unwrap()).unwrap();
        let refusal = NodeCertificate::from_pem(&certificate.pem());
        assert!(matches!(refusal, Err(Error::Certificate(_))), "{refusal:?}");
    }
}

#[test]
fn a_certificate_with_two_names_is_no_nodes() {
    // The library writes each kind of name once; an unnamed kind with the same number is a second.
    let (common_name, organisational_unit) = (3, 11);
    for number in [common_name, organisational_unit] {
        let mut params = CertificateParams::default();
        let name = &mut params.distinguished_name;
        name.push(DnType::CommonName, "node");
        name.push(DnType::OrganizationName, "cluster");
        name.push(DnType::OrganizationalUnitName, "swarm-worker");
        let once = params.self_signed(&KeyPair::generate().unwrap()).unwrap();
        assert!(NodeCertificate::from_pem(&once.pem()).is_ok());

        let second = DnType::CustomDnType(vec![2, 5, 4, number]);
        params.distinguished_name.push(second, "swarm-manager");
        let twice = params.self_signed(&KeyPair::generate().unwrap()).unwrap();
        let refusal = NodeCertificate::from_pem(&twice.pem());
        assert!(matches!(refusal, Err(Error::Certificate(_))), "{number}");
    }
}

#[test]
fn a_root_is_taken_up_again_only_with_its_own_key() {
    let ca = RootCa::create(now()).unwrap();
    let again = RootCa::from_pem(ca.cert().pem(), ca.key_pem()).unwrap();
    assert_eq!(again.cert().digest(), ca.cert().digest());
    assert!(issue(&again, &NODE, DAY).verify(ca.cert(), now()).is_ok());

    let other = PrivateKey::generate().unwrap();
    let refusal = RootCa::from_pem(ca.cert().pem(), other.pem());
    assert!(matches!(refusal, Err(Error::KeyMismatch)));
}

#[test]
fn a_nodes_certificate_is_no_root_and_neither_is_rubbish() {
    let ca = RootCa::create(now()).unwrap();
    for pem in [issue(&ca, &NODE, DAY).pem(), "", "rubbish", ca.key_pem()] {
        let refusal = RootCert::from_pem(pem);
        assert!(matches!(refusal, Err(Error::Certificate(_))), "{refusal:?}");
    }
}

#[test]
fn a_key_reads_back_and_never_shows_in_debug_output() {
    let key = PrivateKey::generate().unwrap();
    let again = PrivateKey::from_pem(key.pem()).unwrap();
    assert_eq!(again.public_key_der(), key.public_key_der());
    assert_eq!(*again.pkcs8_der().unwrap(), *key.pkcs8_der().unwrap());
    assert_eq!(format!("{key:?}"), "PrivateKey(secret)");
    let ca = RootCa::create(now()).unwrap();
    let line = ca.key_pem().lines().nth(1).unwrap();
    assert!(!format!("{ca:?}").contains(line));
}
