//! The real way to Apple: HTTPS by reqwest.

use async_trait::async_trait;
use bytes::Bytes;
use http::Request;
use reqwest::Response;
use url::{Host, Url};

use crate::transport::{Delivery, Head, Transport, TransportError};
use crate::{Error, Options};

/// Sends requests over the network. Connections are kept and used again.
#[derive(Clone, Debug)]
pub struct HttpTransport {
    http: reqwest::Client,
}

impl HttpTransport {
    /// A transport with the time limits of the options, which has connected to nobody yet.
    ///
    /// # Errors
    /// [`Error::Setting`] when TLS cannot be set up on this machine.
    pub fn new(options: &Options) -> Result<Self, Error> {
        let mut builder = reqwest::Client::builder()
            .connect_timeout(options.connect_timeout)
            .timeout(options.request_timeout)
            .gzip(true)
            // Apple never redirects; following one would carry the session to somebody else.
            .redirect(reqwest::redirect::Policy::none())
            .referer(false)
            // Whether a repetition is harmless is the caller's to judge.
            .retry(reqwest::retry::never());
        if is_loopback(&options.base_url) {
            // A simulator on this machine is never behind the proxy.
            builder = builder.no_proxy();
        }
        let http = builder
            .build()
            .map_err(|source| Error::Setting { setting: "TLS", source: Some(source.into()) })?;
        Ok(Self { http })
    }
}

#[async_trait]
impl Transport for HttpTransport {
    async fn round_trip(
        &self,
        request: Request<Bytes>,
        largest_answer: usize,
    ) -> Result<Delivery, TransportError> {
        let request = reqwest::Request::try_from(request).map_err(not_sent_or_not_answered)?;
        let mut response = self.http.execute(request).await.map_err(not_sent_or_not_answered)?;
        let head = head(&mut response);
        let mut body = Vec::new();
        loop {
            match response.chunk().await {
                Ok(Some(chunk)) if body.len() + chunk.len() > largest_answer => {
                    return Err(TransportError::TooLarge { head: Box::new(head) });
                }
                Ok(Some(chunk)) => body.extend_from_slice(&chunk),
                Ok(None) => return Ok(Delivery { head, body: body.into() }),
                Err(error) => {
                    let cause = error.without_url().into();
                    return Err(TransportError::NoAnswer { head: Some(Box::new(head)), cause });
                }
            }
        }
    }
}

fn not_sent_or_not_answered(error: reqwest::Error) -> TransportError {
    let error = error.without_url();
    if error.is_connect() || error.is_builder() {
        TransportError::unreachable(error)
    } else {
        TransportError::no_answer(error)
    }
}

fn head(response: &mut Response) -> Head {
    let reason = response
        .extensions()
        .get::<hyper::ext::ReasonPhrase>()
        .map(|reason| String::from_utf8_lossy(reason.as_bytes()).into_owned());
    Head { status: response.status().as_u16(), headers: std::mem::take(response.headers_mut()), reason }
}

fn is_loopback(url: &Url) -> bool {
    match url.host() {
        Some(Host::Domain(name)) => name.eq_ignore_ascii_case("localhost"),
        Some(Host::Ipv4(address)) => address.is_loopback(),
        Some(Host::Ipv6(address)) => address.is_loopback(),
        None => false,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn loopback_addresses_are_recognized() {
        for (url, expected) in [
            ("http://127.0.0.1:8080", true),
            ("http://[::1]:1/", true),
            ("http://LOCALHOST/", true),
            ("https://mdmenrollment.apple.com", false),
            ("http://10.0.0.1", false),
        ] {
            assert_eq!(is_loopback(&url.parse().expect("a URL")), expected, "{url}");
        }
    }
}
