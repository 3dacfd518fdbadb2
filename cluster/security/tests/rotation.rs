//! One root takes another's place: what is believed meanwhile, and which roots of users are refused.
#![expect(clippy::unwrap_used, reason = "a helper that fails fails its test")]

use std::time::{Duration, SystemTime, UNIX_EPOCH};
use swarmrs_security::ca::fit::{normal, try_out};
use swarmrs_security::{
    Candidate, Error, Keystore, Lock, NodeCertificate, NodeCredentials, PrivateKey, Role, RootCa,
    RootCert, Subject, Unfit,
};

const DAY: Duration = Duration::from_secs(24 * 3600);
const YEAR: Duration = Duration::from_secs(365 * 24 * 3600);

const NODE: Subject<'static> = Subject {
    node_id: "node",
    role: Role::Worker,
    cluster_id: "cluster",
};

/// 1 January 2027: the roots in the folder are valid from November 2026 to 2051, one to September 2027.
fn now() -> SystemTime {
    UNIX_EPOCH + Duration::from_secs(1_798_761_600)
}

fn issued(ca: &RootCa) -> NodeCertificate {
    let request = PrivateKey::generate().unwrap().request().unwrap();
    ca.issue(&request, &NODE, DAY, now()).unwrap()
}

/// `next` as it issues while it takes the place of `before`.
fn rotating(before: &RootCa, next: &RootCa) -> RootCa {
    let cross_signed = before.cross_sign(next.cert()).unwrap();
    next.clone().below(&cross_signed).unwrap()
}

macro_rules! root {
    ($name:literal) => {
        include_str!(concat!("roots/", $name))
    };
}

fn brought(cert: &str, key: &str) -> RootCa {
    let candidate = Candidate::judge(cert, Some(key), now()).unwrap();
    candidate.authority().unwrap().unwrap()
}

#[test]
fn while_a_root_takes_anothers_place_its_certificates_are_believed_by_those_who_trust_either() {
    let ours = RootCa::create(now()).unwrap();
    let p256 = brought(root!("p256.crt"), root!("p256.key"));
    let p384 = brought(root!("p384.crt"), root!("p384.key"));
    let rsa = brought(root!("rsa2048.crt"), root!("rsa2048.key"));
    let roots = [&ours, &p256, &p384, &rsa];
    for before in roots {
        for next in roots
            .into_iter()
            .filter(|next| !std::ptr::eq(*next, before))
        {
            let next = rotating(before, next);
            try_out(&next, Some(before.cert()), now()).unwrap();
            let certificate = issued(&next);
            assert_eq!(certificate.chain_der().len(), 2);
            for trusted in [before.cert(), next.cert()] {
                let issuer = certificate.verify(trusted, now()).unwrap();
                assert_eq!(&issuer, next.cert().issuer());
            }
            let both = before.cert().and(next.cert());
            certificate.verify(&both, now()).unwrap();
            issued(before).verify(&both, now()).unwrap();
            issued(before).verify(next.cert(), now()).unwrap_err();
        }
    }
}

#[test]
fn without_the_signature_of_the_one_before_the_next_is_a_stranger() {
    let (before, next) = (
        RootCa::create(now()).unwrap(),
        RootCa::create(now()).unwrap(),
    );
    issued(&next).verify(before.cert(), now()).unwrap_err();
    assert!(try_out(&next, None, now()).is_ok());
    assert!(matches!(
        try_out(&next, Some(before.cert()), now()),
        Err(Unfit::Useless(_))
    ));
    // A third one's word does not count, and what is not about this authority is not shown.
    let third = RootCa::create(now()).unwrap();
    let led_astray = rotating(&third, &next);
    assert!(try_out(&led_astray, Some(before.cert()), now()).is_err());
    let about_another = before.cross_sign(third.cert()).unwrap();
    assert!(matches!(
        next.below(&about_another),
        Err(Error::KeyMismatch)
    ));
}

#[test]
fn a_rotation_that_is_begun_anew_replaces_the_one_before() {
    let first = RootCa::create(now()).unwrap();
    let second = rotating(&first, &RootCa::create(now()).unwrap());
    let third = rotating(&first, &RootCa::create(now()).unwrap());
    let trusted = first.cert().and(third.cert());
    for ca in [&first, &second, &third] {
        issued(ca).verify(&trusted, now()).unwrap();
    }
    issued(&second).verify(third.cert(), now()).unwrap_err();
}

#[test]
fn roots_are_refused_in_dockers_words() {
    let other = root!("p384.key");
    let rows = [
        (
            "rubbish".to_owned(),
            None,
            r#"invalid root certificates: {"code":1003,"message":"Failed to parse certificate"}"#,
        ),
        (
            root!("sha1.crt").to_owned(),
            Some(root!("p256.key")),
            "unsupported signature algorithm: ECDSA-SHA1",
        ),
        (
            root!("ed25519.crt").to_owned(),
            None,
            "unsupported signature algorithm: Ed25519",
        ),
        (
            root!("rsa1024.crt").to_owned(),
            Some(root!("rsa1024.key")),
            "unsupported RSA key parameters",
        ),
        (
            root!("k256.crt").to_owned(),
            Some(root!("k256.key")),
            "unsupported ECDSA key parameters",
        ),
        (
            root!("p256.crt").to_owned(),
            Some(other),
            "certificate key mismatch",
        ),
        (
            root!("p256.crt").to_owned(),
            Some("rubbish"),
            r#"malformed private key: {"code":2003,"message":"Failed to parse private key"}"#,
        ),
        (
            concat!(root!("p256.crt"), root!("p384.crt")).to_owned(),
            Some(root!("p256.key")),
            "the desired CA certificate cannot contain multiple certificates",
        ),
        (
            root!("short.crt").to_owned(),
            Some(root!("p256.key")),
            "CA certificate expires too soon",
        ),
        (
            root!("leaf.crt").to_owned(),
            Some(root!("p256.key")),
            "unable to generate a cross-signed certificate for root rotation: certificate not a CA",
        ),
    ];
    for (cert, key, text) in rows {
        let refused = Candidate::judge(&cert, key, now()).unwrap_err().to_string();
        assert!(refused.starts_with(text), "{refused}");
    }
    let judged = |at| {
        Candidate::judge(root!("p256.crt"), None, at)
            .unwrap_err()
            .to_string()
    };
    let text = "error while validating Root CA Certificate: x509: certificate has expired or is not yet valid: ";
    let late = judged(now() + 30 * YEAR);
    assert!(
        late.starts_with(text) && late.contains(" is after 2051-11-25T"),
        "{late}"
    );
    assert!(judged(now() - YEAR).contains(" is before 2026-11-26T"));
}

#[test]
fn a_root_is_compared_and_kept_without_what_stands_around_it() {
    let cert = root!("p256.crt");
    let dressed = format!("# our root\n{}\n\n", cert.replace('\n', "\r\n"));
    assert_eq!(normal(&dressed), cert);
    let candidate = Candidate::judge(&dressed, None, now()).unwrap();
    assert_eq!(candidate.cert.pem(), cert);
    assert!(candidate.authority().unwrap().is_none());
    assert_eq!(normal("rubbish"), "rubbish");
}

#[test]
fn a_node_keeps_the_root_and_its_successor_until_the_one_has_the_others_place() {
    let folder = tempfile::tempdir().unwrap();
    let keystore = Keystore::open(folder.path()).unwrap();
    let (first, second) = (
        RootCa::create(now()).unwrap(),
        RootCa::create(now()).unwrap(),
    );
    let kept = |keystore: &Keystore| -> (Option<RootCert>, Option<RootCert>) {
        (keystore.root().unwrap(), keystore.next_root().unwrap())
    };
    assert_eq!(kept(&keystore), (None, None));
    let (one, two) = (first.cert().clone(), second.cert().clone());
    keystore.save_roots(&one, Some(&two)).unwrap();
    let again = Keystore::open(folder.path()).unwrap();
    assert_eq!(kept(&again), (Some(one), Some(two.clone())));
    again.save_root(&two).unwrap();
    assert_eq!(kept(&keystore), (Some(two), None));
}

#[test]
fn a_chain_is_kept_with_its_key() {
    let folder = tempfile::tempdir().unwrap();
    let keys = Keystore::open(folder.path()).unwrap();
    let keys = keys.create_keys(Lock::default()).unwrap();
    let (before, next) = (
        RootCa::create(now()).unwrap(),
        RootCa::create(now()).unwrap(),
    );
    let key = PrivateKey::generate().unwrap();
    let ca = rotating(&before, &next);
    let certificate = ca
        .issue(&key.request().unwrap(), &NODE, DAY, now())
        .unwrap();
    let credentials = NodeCredentials { certificate, key };
    keys.save_node(&credentials).unwrap();
    let kept = keys.node().unwrap().unwrap();
    assert_eq!(kept.certificate, credentials.certificate);
    kept.certificate.verify(before.cert(), now()).unwrap();
}

#[test]
fn who_issued_an_expired_certificate_is_still_to_be_learnt() {
    let ca = RootCa::create(now()).unwrap();
    let certificate = issued(&ca);
    for at in [now() - YEAR, now(), now() + YEAR] {
        let issuer = certificate
            .verify(ca.cert(), certificate.moment(at))
            .unwrap();
        assert_eq!(&issuer, ca.cert().issuer());
    }
    assert_eq!(certificate.moment(now()), now());
    certificate.verify(ca.cert(), now() + YEAR).unwrap_err();
}
