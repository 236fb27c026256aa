use std::fmt;
use std::net::IpAddr;
use std::str::FromStr;

use ipnet::IpNet;

/// The networks that receivers may be in although they are internal, such as `10.1.0.0/16,fd00:12::/32`.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct AllowNetworks(Vec<IpNet>);

/// Why a list of networks was refused.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum NetworkError {
    /// An entry is neither an address nor a network.
    #[error("{0:?} is no network: write an address with the length of its prefix, such as 10.1.0.0/16")]
    Format(String),
    /// An address inside a network, with a prefix: the network may be larger than meant.
    #[error(
        "{text} has bits set after its prefix: write {network} for the network, or one address without a prefix"
    )]
    Host {
        /// What was written.
        text: String,
        /// The network that it lies in.
        network: IpNet,
    },
}

impl AllowNetworks {
    /// Whether an address lies in one of the networks. `::ffff:10.0.0.1` is 10.0.0.1, because that is who is connected to.
    #[must_use]
    pub fn contains(&self, address: IpAddr) -> bool {
        let canonical = address.to_canonical();
        self.0.iter().any(|network| network.contains(&canonical) || network.contains(&address))
    }

    /// Whether nothing is allowed.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }
}

impl FromStr for AllowNetworks {
    type Err = NetworkError;

    /// Reads networks and single addresses, separated by commas; of nothing it makes an empty list.
    fn from_str(text: &str) -> Result<Self, NetworkError> {
        text.split(',')
            .map(str::trim)
            .filter(|entry| !entry.is_empty())
            .map(network)
            .collect::<Result<_, _>>()
            .map(Self)
    }
}

impl fmt::Display for AllowNetworks {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (place, network) in self.0.iter().enumerate() {
            let comma = if place == 0 { "" } else { "," };
            write!(f, "{comma}{network}")?;
        }
        Ok(())
    }
}

fn network(entry: &str) -> Result<IpNet, NetworkError> {
    if let Ok(address) = entry.parse::<IpAddr>() {
        return Ok(address.into());
    }
    let network: IpNet = entry.parse().map_err(|_| NetworkError::Format(entry.to_owned()))?;
    if network.trunc() != network {
        return Err(NetworkError::Host { text: entry.to_owned(), network: network.trunc() });
    }
    Ok(network)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn networks_and_addresses_are_read_and_written() {
        let networks: AllowNetworks = " 10.1.0.0/16, fd00:12::/32,192.0.2.7 ,".parse().expect("networks");
        assert_eq!(networks.to_string(), "10.1.0.0/16,fd00:12::/32,192.0.2.7/32");
        for (address, expected) in [
            ("10.1.255.1", true),
            ("10.2.0.1", false),
            ("::ffff:10.1.0.1", true),
            ("::10.1.0.1", false),
            ("fd00:12::9", true),
            ("fd00:13::9", false),
            ("192.0.2.7", true),
            ("192.0.2.8", false),
        ] {
            assert_eq!(networks.contains(address.parse().expect("an address")), expected, "{address}");
        }
        assert!("".parse::<AllowNetworks>().expect("nothing").is_empty());
    }

    #[test]
    fn what_is_no_network_is_refused_with_the_fix() {
        for (text, expected) in [
            ("10.0.0.0/33", "\"10.0.0.0/33\" is no network"),
            ("internal", "is no network"),
            ("10.1.2.3/16", "write 10.1.0.0/16"),
            ("fd00::1/8", "write fd00::/8"),
        ] {
            let error = text.parse::<AllowNetworks>().expect_err(text).to_string();
            assert!(error.contains(expected), "{error}");
        }
    }
}
