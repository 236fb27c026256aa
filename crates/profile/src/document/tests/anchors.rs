//! Anchor certificates: their time, and whether they can be those of the server.
//!
//! `vectors/root.pem` and `vectors/server.pem` were made with `openssl req -x509 -days 365`: an authority, and a
//! certificate that signs no others, with the names `mdm.example.org`, `*.example.net` and 192.0.2.1.

use chrono::TimeDelta;

use super::*;

const ROOT: &str = include_str!("../../../vectors/root.pem");
const SERVER: &str = include_str!("../../../vectors/server.pem");

/// The first moment of both certificates.
fn begin() -> Timestamp {
    DateTime::from_timestamp(1_795_299_902, 0).expect("a moment")
}

fn found_at(now: Timestamp, url: &str, certificates: &[&str]) -> Vec<(Severity, String, Rule)> {
    let document = table(json!({"name": "Macs", "url": url, "anchor_certs": certificates}));
    let checked = ProfileDocument::check(document, &Outside::without_files(now));
    let findings = checked.map_or_else(|findings| findings, |checked| checked.warnings);
    findings.into_iter().map(|finding| (finding.severity, finding.path, finding.rule)).collect()
}

const URL: &str = "https://mdm.example.org/enroll";

#[test]
fn the_time_of_a_certificate_is_judged_by_the_clock_that_is_passed_in() {
    let after = |days: i64| found_at(begin() + TimeDelta::days(days), URL, &[ROOT]);
    assert_eq!(after(-1), warning("anchor_certs[0]", Rule::CertificateNotYetValid));
    assert_eq!(after(1), []);
    assert_eq!(after(334), []);
    assert_eq!(after(336), warning("anchor_certs[0]", Rule::CertificateExpiresSoon));
    assert_eq!(after(366), error("anchor_certs[0]", Rule::CertificateExpired), "no other one is left");
}

/// With another anchor beside it, devices may still enroll.
#[test]
fn an_expired_one_beside_others_is_a_warning() {
    let told = found_at(begin() + TimeDelta::days(366), URL, &[ROOT, "MAMCAQU="]);
    let certificate = |path: &str, rule| warning(path, rule).remove(0);
    assert_eq!(
        told,
        [
            certificate("anchor_certs[1]", Rule::Certificate),
            certificate("anchor_certs[0]", Rule::CertificateExpired),
        ]
    );
}

#[test]
fn a_certificate_of_no_authority_must_be_the_servers_own() {
    let now = begin() + TimeDelta::days(1);
    let fits = |url: &str| found_at(now, url, &[SERVER]).is_empty();
    for url in [URL, "https://MDM.example.org:8443/enroll", "https://a.example.net/", "https://192.0.2.1/"] {
        assert!(fits(url), "{url}");
    }
    for url in
        ["https://example.org/", "https://example.net/", "https://a.b.example.net/", "https://192.0.2.2/"]
    {
        let told = found_at(now, url, &[SERVER]);
        assert_eq!(told, warning("anchor_certs[0]", Rule::AnchorDoesNotFit), "{url}");
        assert_eq!(found_at(now, url, &[ROOT]), [], "an authority may have signed anything");
    }
}

#[test]
fn apples_form_is_checked_as_well() {
    let der: String = ROOT.lines().filter(|line| !line.starts_with('-')).collect();
    let raw = table(json!({"profile_name": "P", "url": URL, "anchor_certs": [der]}));
    let later = Outside::without_files(begin() + TimeDelta::days(366));
    let findings = ProfileDocument::check(raw, &later).expect_err("expired");
    assert_eq!((findings[0].path.as_str(), findings[0].rule), ("anchor_certs[0]", Rule::CertificateExpired));
}
