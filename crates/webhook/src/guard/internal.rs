use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use ipnet::{Ipv4Net, Ipv6Net};

/// What an address is when it does not belong to somebody on the public internet; nothing for a public one.
///
/// Of IPv4 all is public that the tables below do not name. Of IPv6 only 2000::/3 can be public, so that forms nobody has
/// thought of are refused.
pub(super) fn internal(address: IpAddr) -> Option<&'static str> {
    match address {
        IpAddr::V4(address) => v4(address),
        IpAddr::V6(address) => v6(address),
    }
}

/// The registry of special-purpose IPv4 addresses of IANA, and one address of Azure that it does not know.
const V4: &[([u8; 4], u8, &str)] = &[
    ([0, 0, 0, 0], 8, "an address of \"this network\""),
    ([10, 0, 0, 0], 8, "a private address"),
    ([100, 64, 0, 0], 10, "a shared address of a provider (CGNAT)"),
    ([127, 0, 0, 0], 8, "a loopback address"),
    ([169, 254, 169, 254], 32, "the metadata service of a cloud"),
    ([169, 254, 0, 0], 16, "a link-local address"),
    ([172, 16, 0, 0], 12, "a private address"),
    ([192, 0, 0, 0], 24, "an address reserved for protocols"),
    ([192, 0, 2, 0], 24, "an address for documentation"),
    ([192, 88, 99, 0], 24, "a relay of 6to4"),
    ([192, 168, 0, 0], 16, "a private address"),
    ([198, 18, 0, 0], 15, "an address for benchmarks"),
    ([198, 51, 100, 0], 24, "an address for documentation"),
    ([203, 0, 113, 0], 24, "an address for documentation"),
    ([168, 63, 129, 16], 32, "the platform service of Azure"),
    ([224, 0, 0, 0], 4, "a multicast address"),
    ([255, 255, 255, 255], 32, "the broadcast address"),
    ([240, 0, 0, 0], 4, "a reserved address"),
];

/// What outside 2000::/3 has a name of its own, and what inside it is not public.
const V6: &[([u16; 8], u8, &str)] = &[
    ([0; 8], 128, "the unspecified address"),
    ([0, 0, 0, 0, 0, 0, 0, 1], 128, "a loopback address"),
    ([0; 8], 96, "an IPv4 address in a form of IPv6 that is no longer used"),
    ([0x64, 0xff9b, 1, 0, 0, 0, 0, 0], 48, "an address of a local NAT64"),
    ([0x100, 0, 0, 0, 0, 0, 0, 0], 64, "an address that is discarded"),
    ([0x2001, 0, 0, 0, 0, 0, 0, 0], 32, "a Teredo address, which hides an IPv4 address"),
    ([0x2001, 0, 0, 0, 0, 0, 0, 0], 23, "an address reserved for protocols"),
    ([0x2001, 0xdb8, 0, 0, 0, 0, 0, 0], 32, "an address for documentation"),
    ([0x2002, 0, 0, 0, 0, 0, 0, 0], 16, "a 6to4 address, which hides an IPv4 address"),
    ([0x3fff, 0, 0, 0, 0, 0, 0, 0], 20, "an address for documentation"),
    ([0xfd00, 0xec2, 0, 0, 0, 0, 0, 0x254], 128, "the metadata service of a cloud"),
    ([0xfc00, 0, 0, 0, 0, 0, 0, 0], 7, "a private address (unique-local)"),
    ([0xfe80, 0, 0, 0, 0, 0, 0, 0], 10, "a link-local address"),
    ([0xfec0, 0, 0, 0, 0, 0, 0, 0], 10, "a private address (site-local)"),
    ([0xff00, 0, 0, 0, 0, 0, 0, 0], 8, "a multicast address"),
];

fn v4(address: Ipv4Addr) -> Option<&'static str> {
    let in_row = |(network, length, _): &&([u8; 4], u8, &str)| {
        Ipv4Net::new_assert((*network).into(), *length).contains(&address)
    };
    V4.iter().find(in_row).map(|(_, _, what)| *what)
}

fn v6(address: Ipv6Addr) -> Option<&'static str> {
    let [a, b, c, d, e, f, g, h] = address.segments();
    let embedded = || v4(Ipv4Addr::from(u32::from(g) << 16 | u32::from(h)));
    if address.to_ipv4_mapped().is_some() || [a, b, c, d, e, f] == [0x64, 0xff9b, 0, 0, 0, 0] {
        // What is connected to is the IPv4 address. A network without IPv4 sees all public ones like this (NAT64).
        return embedded();
    }
    let in_row = |(network, length, _): &&([u16; 8], u8, &str)| {
        Ipv6Net::new_assert((*network).into(), *length).contains(&address)
    };
    if let Some((_, _, what)) = V6.iter().find(in_row) {
        return Some(what);
    }
    if a >> 13 != 1 {
        return Some("an address that belongs to nobody on the public internet");
    }
    // ISATAP hides an IPv4 address in the second half of any prefix.
    if e & !0x200 == 0 && f == 0x5efe { embedded() } else { None }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn public_addresses_are_public() {
        for address in [
            "1.1.1.1",
            "8.8.8.8",
            "9.255.255.255",
            "11.0.0.0",
            "100.63.255.255",
            "100.128.0.0",
            "126.255.255.255",
            "128.0.0.0",
            "172.15.255.255",
            "172.32.0.0",
            "192.0.1.0",
            "192.167.255.255",
            "192.169.0.0",
            "198.17.255.255",
            "198.20.0.0",
            "223.255.255.255",
            "168.63.129.17",
            "2606:4700:4700::1111",
            "2a00:1450:4001:800::200e",
            "2001:4860:4860::8888",
            "2001:200::1",
            "64:ff9b::8.8.8.8",
            "::ffff:8.8.8.8",
            "2606:4700::5efe:808:808",
        ] {
            assert_eq!(internal(address.parse().expect("an address")), None, "{address}");
        }
    }

    #[test]
    fn internal_addresses_are_told_by_their_kind() {
        for (address, expected) in [
            ("0.0.0.0", "this network"),
            ("0.1.2.3", "this network"),
            ("10.255.255.255", "private"),
            ("100.64.0.0", "CGNAT"),
            ("100.127.255.255", "CGNAT"),
            ("100.100.100.200", "CGNAT"),
            ("127.0.0.1", "loopback"),
            ("127.255.255.254", "loopback"),
            ("169.254.0.1", "link-local"),
            ("169.254.169.254", "metadata"),
            ("172.16.0.0", "private"),
            ("172.31.255.255", "private"),
            ("192.0.0.192", "protocols"),
            ("192.0.2.1", "documentation"),
            ("192.88.99.1", "6to4"),
            ("192.168.0.1", "private"),
            ("198.18.0.1", "benchmarks"),
            ("198.19.255.255", "benchmarks"),
            ("198.51.100.1", "documentation"),
            ("203.0.113.1", "documentation"),
            ("168.63.129.16", "Azure"),
            ("224.0.0.1", "multicast"),
            ("239.255.255.255", "multicast"),
            ("240.0.0.1", "reserved"),
            ("255.255.255.255", "broadcast"),
            ("::", "unspecified"),
            ("::1", "loopback"),
            ("::2", "no longer used"),
            ("::127.0.0.1", "no longer used"),
            ("::8.8.8.8", "no longer used"),
            ("::ffff:127.0.0.1", "loopback"),
            ("::ffff:169.254.169.254", "metadata"),
            ("::ffff:0:127.0.0.1", "nobody"),
            ("64:ff9b::10.0.0.1", "private"),
            ("64:ff9b:1::8.8.8.8", "local NAT64"),
            ("64:ff9b:2::1", "nobody"),
            ("100::1", "discarded"),
            ("2001::1", "Teredo"),
            ("2001:0:4136:e378:8000:63bf:3fff:fdd2", "Teredo"),
            ("2001:2::1", "protocols"),
            ("2001:10::1", "protocols"),
            ("2001:1ff:ffff::", "protocols"),
            ("2001:db8::1", "documentation"),
            ("2002:7f00:1::", "6to4"),
            ("2002:808:808::1", "6to4"),
            ("3fff::1", "documentation"),
            ("4000::1", "nobody"),
            ("5f00::1", "nobody"),
            ("fc00::1", "unique-local"),
            ("fdff::1", "unique-local"),
            ("fd00:ec2::254", "metadata"),
            ("fe80::1", "link-local"),
            ("febf::1", "link-local"),
            ("fec0::1", "site-local"),
            ("ff02::1", "multicast"),
            ("2606:4700::5efe:a00:1", "private"),
            ("2606:4700::200:5efe:7f00:1", "loopback"),
        ] {
            let found = internal(address.parse().expect("an address"));
            assert!(found.is_some_and(|what| what.contains(expected)), "{address}: {found:?}");
        }
    }

    proptest! {
        #[test]
        fn a_form_of_ipv6_never_opens_what_ipv4_closes(bits in any::<u32>(), prefix in 0..3usize) {
            let address = Ipv4Addr::from(bits);
            let high = [0xffff_u128 << 32, 0x64_ff9b_u128 << 96, 0][prefix];
            let wrapped = Ipv6Addr::from(high | u128::from(bits));
            prop_assert!(v4(address).is_none() || v6(wrapped).is_some());
        }

        #[test]
        fn the_standard_library_agrees_about_what_is_internal(bits in any::<u32>()) {
            let a = Ipv4Addr::from(bits);
            let known = a.is_private() || a.is_loopback() || a.is_link_local() || a.is_multicast() || a.is_broadcast()
                || a.is_documentation() || a.is_unspecified();
            prop_assert!(!known || v4(a).is_some());
        }
    }
}
