use std::fmt;
use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;

use async_trait::async_trait;
use reqwest::dns::{Addrs, Name, Resolve, Resolving};

use super::{Guard, Refusal, Way};

/// Who knows the addresses behind a name.
#[async_trait]
pub trait Names: Send + Sync {
    /// All addresses of a name, the best first.
    ///
    /// # Errors
    /// What the resolver says when it knows none.
    async fn addresses(&self, name: &str) -> std::io::Result<Vec<IpAddr>>;
}

/// The resolver of this machine.
#[derive(Clone, Copy, Debug)]
pub struct SystemNames;

#[async_trait]
impl Names for SystemNames {
    async fn addresses(&self, name: &str) -> std::io::Result<Vec<IpAddr>> {
        Ok(tokio::net::lookup_host((name, 0)).await?.map(|found| found.ip()).collect())
    }
}

/// Stands between the resolver and the connections of one kind: only addresses that the guard permits come through, and
/// reqwest connects to nothing else. So a name that leads elsewhere a moment later opens nothing.
pub(crate) struct Doorman {
    pub(crate) names: Arc<dyn Names>,
    pub(crate) guard: Guard,
    pub(crate) way: Way,
}

impl fmt::Debug for Doorman {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Doorman").field("way", &self.way).finish_non_exhaustive()
    }
}

impl Resolve for Doorman {
    fn resolve(&self, name: Name) -> Resolving {
        let (names, guard, way) = (Arc::clone(&self.names), self.guard.clone(), self.way);
        Box::pin(async move {
            let name = name.as_str();
            let found =
                names.addresses(name).await.map_err(|cause| Unresolved { name: name.to_owned(), cause })?;
            let mut refusal = Refusal::NoAddress(name.to_owned());
            let mut permitted = Vec::with_capacity(found.len());
            for address in found {
                match guard.permit(name, address, way) {
                    Ok(()) => permitted.push(SocketAddr::new(address, 0)),
                    Err(refused) => refusal = refused,
                }
            }
            // An internal address beside a public one is left out: there are such names in good faith, and what we
            // connect to is permitted either way.
            if permitted.is_empty() {
                Err(refusal.into())
            } else {
                Ok(Box::new(permitted.into_iter()) as Addrs)
            }
        })
    }
}

/// The resolver knows no addresses of a name.
#[derive(Debug, thiserror::Error)]
#[error("the name {name} could not be resolved")]
pub(crate) struct Unresolved {
    pub(crate) name: String,
    #[source]
    pub(crate) cause: std::io::Error,
}

#[cfg(test)]
mod tests {
    use super::*;

    struct Fixed(&'static [&'static str]);

    #[async_trait]
    impl Names for Fixed {
        async fn addresses(&self, _: &str) -> std::io::Result<Vec<IpAddr>> {
            Ok(self.0.iter().map(|text| text.parse().expect("an address")).collect())
        }
    }

    async fn permitted(addresses: &'static [&'static str], way: Way) -> Result<Vec<String>, String> {
        let guard = Guard::new("10.1.0.0/16".parse().expect("networks"));
        let doorman = Doorman { names: Arc::new(Fixed(addresses)), guard, way };
        let found = doorman.resolve("receiver.example".parse().expect("a name")).await;
        found
            .map(|found| found.map(|found| found.ip().to_string()).collect())
            .map_err(|error| error.to_string())
    }

    #[tokio::test]
    async fn only_permitted_addresses_come_through() {
        let mixed = &["127.0.0.1", "8.8.8.8", "10.1.0.9", "::1"];
        assert_eq!(permitted(mixed, Way::Tls).await, Ok(vec!["8.8.8.8".into(), "10.1.0.9".into()]));
        assert_eq!(permitted(mixed, Way::Plain).await, Ok(vec!["10.1.0.9".into()]));
        let refused = permitted(&["127.0.0.1"], Way::Tls).await.expect_err("refused");
        assert!(refused.starts_with("receiver.example (127.0.0.1) is a loopback address"), "{refused}");
        assert!(permitted(&["8.8.8.8"], Way::Plain).await.expect_err("refused").contains("use https"));
        assert!(permitted(&[], Way::Tls).await.expect_err("refused").contains("leads to no address"));
    }
}
