//! What can be known of anchor certificates without a network: their time, and whether the server at `url` can have
//! one of them.

use adelie_model::Timestamp;
use chrono::{DateTime, TimeDelta};
use der::Decode;
use url::{Host, Url};
use x509_cert::Certificate;
use x509_cert::ext::pkix::name::GeneralName;
use x509_cert::ext::pkix::{BasicConstraints, SubjectAltName};

use crate::{Finding, Rule, Severity};

/// Certificates that end within this time are pointed out.
const SOON: TimeDelta = TimeDelta::days(30);

/// An anchor certificate: where the file has it, and its DER.
pub(crate) struct Anchor {
    pub(crate) path: String,
    pub(crate) der: Vec<u8>,
}

/// Checks the anchors of a profile that enrolls at `url`.
pub(crate) fn check(anchors: &[Anchor], url: &str, now: Timestamp, findings: &mut Vec<Finding>) {
    let host = Url::parse(url).ok().and_then(|url| url.host().map(|host| host.to_owned()));
    let mut expired = Vec::new();
    for anchor in anchors {
        let Ok(certificate) = Certificate::from_der(&anchor.der) else {
            findings.push(Finding::warning(
                &anchor.path,
                Rule::Certificate,
                "this is no X.509 certificate that Adelie can read, so neither its time nor its names are checked",
                "see whether `openssl x509 -inform der -text` can read it",
            ));
            continue;
        };
        match time_of(&certificate, &anchor.path, now) {
            Some(finding) if finding.rule == Rule::CertificateExpired => expired.push(finding),
            finding => findings.extend(finding),
        }
        if let Some(host) = &host
            && !is_authority(&certificate)
            && !names(&certificate).iter().any(|name| fits(name, host))
        {
            findings.push(Finding::warning(
                &anchor.path,
                Rule::AnchorDoesNotFit,
                format!(
                    "it is no certificate of an authority, and none of its names is {host}, the host of `url`"
                ),
                "give the root certificate of the authority that made the server's certificate",
            ));
        }
    }
    // One good anchor is enough for devices to enroll.
    if expired.len() == anchors.len() {
        expired.iter_mut().for_each(|finding| finding.severity = Severity::Error);
    }
    findings.extend(expired);
}

fn time_of(certificate: &Certificate, path: &str, now: Timestamp) -> Option<Finding> {
    let moment = |time: &x509_cert::time::Time| {
        let seconds = i64::try_from(time.to_unix_duration().as_secs()).ok()?;
        DateTime::from_timestamp(seconds, 0)
    };
    let validity = &certificate.tbs_certificate.validity;
    let (begin, end) = (moment(&validity.not_before)?, moment(&validity.not_after)?);
    let day = |at: Timestamp| at.format("%Y-%m-%d");
    let (rule, message, fix) = if end < now {
        (
            Rule::CertificateExpired,
            format!("it expired on {}, and devices do not trust it any more", day(end)),
            "put the certificate that replaces it here",
        )
    } else if begin > now {
        (
            Rule::CertificateNotYetValid,
            format!("devices do not trust it before {}", day(begin)),
            "add the certificate that is valid until then",
        )
    } else if end < now + SOON {
        (
            Rule::CertificateExpiresSoon,
            format!("it expires on {}", day(end)),
            "add the certificate that replaces it, and keep this one until then",
        )
    } else {
        return None;
    };
    Some(Finding::warning(path, rule, message, fix))
}

/// Whether it may sign others. A certificate that does not say is taken for an authority when it is of the first
/// versions, which could not say, or signed by itself.
fn is_authority(certificate: &Certificate) -> bool {
    let tbs = &certificate.tbs_certificate;
    match tbs.get::<BasicConstraints>() {
        Ok(Some((_, constraints))) => constraints.ca,
        Ok(None) => tbs.extensions.is_none() && tbs.issuer == tbs.subject,
        // What cannot be read is nothing to warn of.
        Err(_) => true,
    }
}

/// The hosts that the certificate is for.
fn names(certificate: &Certificate) -> Vec<String> {
    let Ok(Some((_, names))) = certificate.tbs_certificate.get::<SubjectAltName>() else {
        return Vec::new();
    };
    let text = |name: &GeneralName| match name {
        GeneralName::DnsName(name) => Some(name.as_str().to_ascii_lowercase()),
        GeneralName::IpAddress(bytes) => match bytes.as_bytes().len() {
            4 => {
                <[u8; 4]>::try_from(bytes.as_bytes()).ok().map(|ip| std::net::Ipv4Addr::from(ip).to_string())
            }
            16 => {
                <[u8; 16]>::try_from(bytes.as_bytes()).ok().map(|ip| std::net::Ipv6Addr::from(ip).to_string())
            }
            _ => None,
        },
        _ => None,
    };
    names.0.iter().filter_map(text).collect()
}

fn fits(name: &str, host: &Host<String>) -> bool {
    match host {
        Host::Domain(host) => match name.strip_prefix("*.") {
            // The star stands for one label.
            Some(parent) => host.split_once('.').is_some_and(|(_, rest)| rest == parent),
            None => name == host,
        },
        Host::Ipv4(ip) => name == ip.to_string(),
        Host::Ipv6(ip) => name == ip.to_string(),
    }
}
