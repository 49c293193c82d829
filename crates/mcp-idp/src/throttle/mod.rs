//! How often a stranger may ask: per address for what costs something, slower and slower for passwords.
//!
//! Everything is kept in this process's memory, and little of it: of two servers behind one name, each counts for itself.

mod login_delays;
mod per_address;

use std::{net::IpAddr, time::Duration};

pub(crate) use self::login_delays::LoginDelays;
pub(crate) use self::per_address::PerAddress;

/// The network that stands for one asker. Whoever has an IPv6 address has the 64 bits behind the prefix too
/// (RFC 6177 §2), and an IPv4 address is one asker in either spelling.
pub(crate) fn asker(address: IpAddr) -> IpAddr {
    match address.to_canonical() {
        IpAddr::V6(v6) => IpAddr::V6((v6.to_bits() >> 64 << 64).into()),
        v4 => v4,
    }
}

/// What `Retry-After` can say (RFC 9110 §10.2.3): whole seconds, and never none.
fn whole_seconds(wait: Duration) -> Duration {
    Duration::from_secs(wait.as_nanos().div_ceil(1_000_000_000).max(1).try_into().unwrap_or(u64::MAX))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_asker_has_one_network() {
        for (address, expected) in [
            ("203.0.113.7", "203.0.113.7"),
            ("::ffff:203.0.113.7", "203.0.113.7"),
            ("2001:db8:1:2:3:4:5:6", "2001:db8:1:2::"),
            ("2001:db8:1:2:ffff:ffff:ffff:ffff", "2001:db8:1:2::"),
            ("2001:db8:1:3::", "2001:db8:1:3::"),
            ("::1", "::"),
        ] {
            assert_eq!(asker(address.parse().unwrap()), expected.parse::<IpAddr>().unwrap(), "{address}");
        }
    }

    #[test]
    fn a_wait_is_rounded_up() {
        for (millis, seconds) in [(0, 1), (1, 1), (999, 1), (1000, 1), (1001, 2), (59_001, 60)] {
            assert_eq!(whole_seconds(Duration::from_millis(millis)), Duration::from_secs(seconds), "{millis}");
        }
        assert_eq!(whole_seconds(Duration::MAX), Duration::from_secs(u64::MAX));
    }
}
