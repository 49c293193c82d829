//! Which addresses a document may be fetched from.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

/// The whole of IANA's registry of special-purpose IPv4 addresses (as of 2025-10), multicast, and what is reserved.
///
/// Blocks that the registry calls globally reachable are among them (anycast sinks, relays): nobody's document is there,
/// and §8.6 forbids them all.
const V4: [(Ipv4Addr, u32); 18] = [
    (v4(0, 0, 0, 0), 8),       // this network
    (v4(10, 0, 0, 0), 8),      // private
    (v4(100, 64, 0, 0), 10),   // shared, behind a carrier's NAT
    (v4(127, 0, 0, 0), 8),     // loopback
    (v4(169, 254, 0, 0), 16),  // link-local, and the clouds' metadata services
    (v4(172, 16, 0, 0), 12),   // private
    (v4(192, 0, 0, 0), 24),    // protocol assignments
    (v4(192, 0, 2, 0), 24),    // documentation
    (v4(192, 31, 196, 0), 24), // AS112
    (v4(192, 52, 193, 0), 24), // AMT
    (v4(192, 88, 99, 0), 24),  // 6to4 relays
    (v4(192, 168, 0, 0), 16),  // private
    (v4(192, 175, 48, 0), 24), // AS112
    (v4(198, 18, 0, 0), 15),   // benchmarks
    (v4(198, 51, 100, 0), 24), // documentation
    (v4(203, 0, 113, 0), 24),  // documentation
    (v4(224, 0, 0, 0), 4),     // multicast
    (v4(240, 0, 0, 0), 4),     // reserved, and broadcast
];

/// All of IPv6 that is given out for use (IANA's registry of the IPv6 address space).
///
/// Outside of it are loopback, private, link-local, multicast, and the addresses that stand for an IPv4 one: mapped
/// (`::ffff:0:0/96`), and behind NAT64 (`64:ff9b::/96`, `64:ff9b:1::/48`), where a name's IPv4 address is not what
/// is connected to.
const GLOBAL_UNICAST: (Ipv6Addr, u32) = (v6(0x2000, 0, 0), 3);

/// Special-purpose blocks within [`GLOBAL_UNICAST`] (IANA's registry, as of 2025-10).
const V6: [(Ipv6Addr, u32); 5] = [
    (v6(0x2001, 0, 0), 23),           // protocol assignments: Teredo, benchmarks, ORCHID…
    (v6(0x2001, 0x0db8, 0), 32),      // documentation
    (v6(0x2002, 0, 0), 16),           // 6to4: an IPv4 address in disguise
    (v6(0x2620, 0x004f, 0x8000), 48), // AS112
    (v6(0x3fff, 0, 0), 20),           // documentation
];

const fn v4(a: u8, b: u8, c: u8, d: u8) -> Ipv4Addr {
    Ipv4Addr::new(a, b, c, d)
}

const fn v6(a: u16, b: u16, c: u16) -> Ipv6Addr {
    Ipv6Addr::new(a, b, c, 0, 0, 0, 0, 0)
}

/// Whether a document may be fetched from there: from anywhere on the public Internet, and with `loopback` from this
/// machine too.
pub(super) fn is_allowed(address: IpAddr, loopback: bool) -> bool {
    is_public(address) || loopback && address.is_loopback()
}

fn is_public(address: IpAddr) -> bool {
    match address {
        IpAddr::V4(address) => {
            !V4.iter().any(|(block, length)| address.to_bits() >> (32 - length) == block.to_bits() >> (32 - length))
        }
        IpAddr::V6(address) => {
            let is_in = |(block, length): &(Ipv6Addr, u32)| {
                address.to_bits() >> (128 - length) == block.to_bits() >> (128 - length)
            };
            is_in(&GLOBAL_UNICAST) && !V6.iter().any(is_in)
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn ip(text: &str) -> IpAddr {
        text.parse().unwrap()
    }

    #[test]
    fn special_purpose_addresses_are_refused() {
        // First and last of each block, and what stands for one in another spelling.
        for address in [
            "0.0.0.0",
            "0.255.255.255",
            "10.0.0.0",
            "10.255.255.255",
            "100.64.0.0",
            "100.127.255.255",
            "127.0.0.1",
            "127.255.255.255",
            "169.254.0.0",
            "169.254.169.254",
            "169.254.255.255",
            "172.16.0.0",
            "172.31.255.255",
            "192.0.0.0",
            "192.0.0.9",
            "192.0.0.170",
            "192.0.0.255",
            "192.0.2.0",
            "192.0.2.255",
            "192.31.196.1",
            "192.52.193.1",
            "192.88.99.0",
            "192.88.99.255",
            "192.168.0.0",
            "192.168.255.255",
            "192.175.48.1",
            "198.18.0.0",
            "198.19.255.255",
            "198.51.100.0",
            "198.51.100.255",
            "203.0.113.0",
            "203.0.113.255",
            "224.0.0.0",
            "239.255.255.255",
            "240.0.0.0",
            "255.255.255.254",
            "255.255.255.255",
            "::",
            "::1",
            "::7f00:1",
            "::808:808",
            "::ffff:127.0.0.1",
            "::ffff:10.0.0.1",
            "::ffff:169.254.169.254",
            "::ffff:8.8.8.8",
            "64:ff9b::7f00:1",
            "64:ff9b::808:808",
            "64:ff9b:1::a00:1",
            "100::",
            "100::1",
            "100:0:0:1::1",
            "1fff:ffff::",
            "2001::",
            "2001::1",
            "2001:0:7f00:1::",
            "2001:1::1",
            "2001:2::1",
            "2001:3::1",
            "2001:4:112::1",
            "2001:10::1",
            "2001:20::1",
            "2001:30::1",
            "2001:1ff:ffff::",
            "2001:db8::",
            "2001:db8:ffff:ffff::1",
            "2002::",
            "2002:7f00:1::",
            "2002:808:808::",
            "2002:ffff:ffff::",
            "2620:4f:8000::1",
            "3fff::",
            "3fff:fff::1",
            "4000::",
            "5f00::1",
            "fc00::",
            "fd00:ec2::254",
            "fdff:ffff::1",
            "fe80::1",
            "febf::1",
            "fec0::1",
            "ff02::1",
            "ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff",
        ] {
            assert!(!is_allowed(ip(address), false), "{address}");
        }
    }

    #[test]
    fn public_addresses_are_allowed() {
        for address in [
            "1.0.0.0",
            "8.8.8.8",
            "9.255.255.255",
            "11.0.0.0",
            "100.63.255.255",
            "100.128.0.0",
            "126.255.255.255",
            "128.0.0.0",
            "169.253.255.255",
            "169.255.0.0",
            "172.15.255.255",
            "172.32.0.0",
            "192.0.1.0",
            "192.0.3.0",
            "192.88.98.255",
            "192.88.100.0",
            "192.167.255.255",
            "192.169.0.0",
            "198.17.255.255",
            "198.20.0.0",
            "203.0.112.255",
            "203.0.114.0",
            "223.255.255.255",
            "2000::1",
            "2001:200::",
            "2001:4860:4860::8888",
            "2001:db7:ffff::",
            "2001:db9::",
            "2003::1",
            "2606:4700::1111",
            "2620:4f:7fff::1",
            "2620:4f:8001::1",
            "2a00:1450::1",
            "3ffe::1",
            "3fff:1000::",
        ] {
            assert!(is_allowed(ip(address), false), "{address}");
        }
    }

    #[test]
    fn loopback_is_loopback_and_nothing_else() {
        for address in ["127.0.0.1", "127.1.2.3", "::1"] {
            assert!(is_allowed(ip(address), true) && !is_allowed(ip(address), false), "{address}");
        }
        for address in
            ["10.0.0.1", "169.254.169.254", "0.0.0.0", "::", "fe80::1", "::ffff:127.0.0.1", "64:ff9b::7f00:1"]
        {
            assert!(!is_allowed(ip(address), true), "{address}");
        }
    }
}
