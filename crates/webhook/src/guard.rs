//! Nobody can use us to reach into the network that we stand in: which URLs and which addresses may be posted to.

mod internal;
mod names;
mod networks;

use std::net::IpAddr;

use url::{Host, Url};

pub(crate) use names::{Doorman, Unresolved};
pub use names::{Names, SystemNames};
pub use networks::{AllowNetworks, NetworkError};

/// Decides whom we may connect to: everybody on the public internet by HTTPS, and the allowed networks by HTTP too.
#[derive(Clone, Debug, Default)]
pub struct Guard {
    allowed: AllowNetworks,
}

/// A URL that the [`Guard`] has read. What its name leads to is looked at again for each connection.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Target {
    pub(crate) url: Url,
    pub(crate) way: Way,
}

/// With or without TLS.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Way {
    /// HTTPS: to public addresses and allowed networks.
    Tls,
    /// HTTP: to allowed networks only.
    Plain,
}

/// Why we do not post to a URL.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Refusal {
    /// It cannot be read.
    #[error("the endpoint's URL cannot be read ({0}): write it like https://receiver.example/hook")]
    Unreadable(url::ParseError),
    /// It is something else than HTTP.
    #[error("the endpoint's URL begins with `{0}:`, and webhooks are sent by https only")]
    Scheme(String),
    /// It contains a user's name or password, which would be shown wherever the URL is.
    #[error(
        "the endpoint's URL contains a user name or a password: take it out; receivers know us by the signature"
    )]
    UserInfo,
    /// It has a fragment, which is never sent.
    #[error("the endpoint's URL has a `#` and what follows is never sent: take it out")]
    Fragment,
    /// Plain HTTP to somebody outside the allowed networks.
    #[error(
        "{host} may not be posted to by plain http, which anybody on the way can read: use https, or add its network to the \
         allowed networks"
    )]
    Plain {
        /// The host as the URL names it, with the address that was found behind it.
        host: String,
    },
    /// An address that is not on the public internet.
    #[error(
        "{host} is {what}, not on the public internet: if that is meant, add its network to the allowed networks"
    )]
    Internal {
        /// The host as the URL names it, with the address that was found behind it.
        host: String,
        /// What kind of address it is.
        what: &'static str,
    },
    /// The name exists and has no address.
    #[error("the name {0} leads to no address: look at its entries in the DNS")]
    NoAddress(String),
}

impl Guard {
    /// A guard that lets these internal networks pass.
    #[must_use]
    pub fn new(allowed: AllowNetworks) -> Self {
        Self { allowed }
    }

    /// Reads an endpoint's URL: what can be said of it without asking the DNS. Addresses in whatever spelling (decimal,
    /// octal, short, full-width) are recognized, because the URL standard makes ordinary ones of them.
    ///
    /// # Errors
    /// The [`Refusal`].
    pub fn check(&self, url: &str) -> Result<Target, Refusal> {
        let url = Url::parse(url).map_err(Refusal::Unreadable)?;
        let way = match url.scheme() {
            "https" => Way::Tls,
            "http" => Way::Plain,
            other => return Err(Refusal::Scheme(other.to_owned())),
        };
        if !url.username().is_empty() || url.password().is_some() {
            return Err(Refusal::UserInfo);
        }
        if url.fragment().is_some() {
            return Err(Refusal::Fragment);
        }
        match url.host() {
            Some(Host::Ipv4(address)) => self.permit(&address.to_string(), address.into(), way)?,
            Some(Host::Ipv6(address)) => self.permit(&address.to_string(), address.into(), way)?,
            Some(Host::Domain(name)) if way == Way::Plain && self.allowed.is_empty() => {
                return Err(Refusal::Plain { host: name.to_owned() });
            }
            Some(Host::Domain(_)) => {}
            None => return Err(Refusal::Unreadable(url::ParseError::EmptyHost)),
        }
        Ok(Target { url, way })
    }

    /// Whether an address may be connected to, for a host that is named so in messages.
    pub(crate) fn permit(&self, host: &str, address: IpAddr, way: Way) -> Result<(), Refusal> {
        if self.allowed.contains(address) {
            return Ok(());
        }
        let shown = address.to_string();
        let host = if host == shown { shown } else { format!("{host} ({shown})") };
        match internal::internal(address) {
            Some(what) => Err(Refusal::Internal { host, what }),
            None if way == Way::Plain => Err(Refusal::Plain { host }),
            None => Ok(()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_may_be_posted_to_passes() {
        let guard = Guard::new("127.0.0.0/8,fd00::/8".parse().expect("networks"));
        for url in [
            "https://receiver.example/hook?key=1",
            "https://8.8.8.8:8443/hook",
            "https://[2606:4700:4700::1111]/",
            "http://127.0.0.1:9000/hook",
            "http://[fd00::1]/hook",
            "https://127.1/",
            "http://receiver.internal/",
            "http://[::ffff:127.0.0.1]/",
        ] {
            assert!(guard.check(url).is_ok(), "{url}");
        }
    }

    #[test]
    fn each_refusal_says_what_to_do() {
        let guard = Guard::default();
        for (url, expected) in [
            ("receiver.example/hook", "write it like https://"),
            ("ftp://receiver.example/", "by https only"),
            ("https://me:secret@receiver.example/", "take it out"),
            ("https://receiver.example/#top", "take it out"),
            ("http://receiver.example/", "use https"),
            ("http://8.8.8.8/", "use https"),
            ("https://10.1.2.3/", "10.1.2.3 is a private address, not on the public internet"),
        ] {
            let refusal = guard.check(url).expect_err(url).to_string();
            assert!(refusal.contains(expected), "{url}: {refusal}");
        }
    }
}
