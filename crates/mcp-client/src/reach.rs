//! Where this client goes: what a server names is a stranger's wish.
//!
//! A server on the Internet that says "my metadata is at `http://192.168.0.1/…`" makes the client ask the router in the
//! person's name (server-side request forgery, seen from the other side). So addresses of this machine and of private
//! networks are for those who are there themselves.

use std::{
    net::{IpAddr, Ipv6Addr, SocketAddr},
    sync::Arc,
};

use reqwest::dns::{Addrs, Name, Resolve, Resolving};
use url::{Host, Url};

use crate::error::Refused;

/// How far it goes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Reach {
    /// To this machine as well, and to it without TLS.
    loopback: bool,
    /// To addresses that only a private network has.
    private: bool,
}

impl Reach {
    /// From the server that the person named: one on this machine may send the client round its own network.
    pub(crate) fn of(server: &Url, private_network: bool) -> Self {
        let loopback = is_loopback(server);
        Self { loopback, private: loopback || private_network }
    }

    /// Whether it goes there, as far as the text of the URL tells; the rest is asked while connecting.
    pub(crate) fn check(self, url: &Url) -> Result<(), Refused> {
        match url.scheme() {
            "https" => {}
            "http" if is_loopback(url) => {}
            "http" => return Err(Refused::Http),
            _ => return Err(Refused::Scheme),
        }
        if !url.username().is_empty() || url.password().is_some() || url.fragment().is_some() {
            return Err(Refused::UserOrFragment);
        }
        let refused = match url.host() {
            Some(Host::Domain(name)) => is_loopback(url) && !self.loopback && !name.is_empty(),
            Some(Host::Ipv4(address)) => !self.allows(address.into()),
            Some(Host::Ipv6(address)) => !self.allows(address.into()),
            None => true,
        };
        if refused { Err(Refused::Address(url.host_str().unwrap_or_default().to_owned())) } else { Ok(()) }
    }

    fn allows(self, address: IpAddr) -> bool {
        let address = unmapped(address);
        // The unspecified address (0.0.0.0, [::]) connects to this machine, too.
        if address.is_loopback() || address.is_unspecified() {
            self.loopback
        } else {
            self.private || is_public(address)
        }
    }

    /// What a name resolves to. One is enough: a name with a public and a private address is made to get past those who
    /// look at one.
    fn resolved(self, name: &str, addresses: &[SocketAddr]) -> Result<(), NotAllowed> {
        // Such a name is trusted without TLS, so it has to be what it says (RFC 6761 §6.3).
        let local = is_local(name);
        match addresses.iter().map(SocketAddr::ip).find(|ip| !self.allows(*ip) || local && !unmapped(*ip).is_loopback())
        {
            None => Ok(()),
            Some(ip) if local && self.loopback => Err(NotAllowed(Refused::NotThisMachine(ip.to_string()))),
            Some(ip) => Err(NotAllowed(Refused::Address(ip.to_string()))),
        }
    }

    /// Wherever a person has named the address themselves.
    pub(crate) const ANYWHERE: Self = Self { loopback: true, private: true };

    /// Names are resolved within the connection: what was checked is what is connected to.
    pub(crate) fn resolver(self) -> Arc<dyn Resolve> {
        Arc::new(Checked(self))
    }
}

/// Whether a URL is of this machine, by its text: what a name resolves to is somebody else's word.
pub(crate) fn is_loopback(url: &Url) -> bool {
    match url.host() {
        Some(Host::Domain(name)) => is_local(name),
        Some(Host::Ipv4(address)) => address.is_loopback(),
        Some(Host::Ipv6(address)) => address.is_loopback(),
        None => false,
    }
}

fn is_local(name: &str) -> bool {
    name == "localhost" || name.ends_with(".localhost")
}

/// Of an IPv6 address that stands for an IPv4 one, the latter.
fn unmapped(address: IpAddr) -> IpAddr {
    let IpAddr::V6(v6) = address else { return address };
    let nat64 = Ipv6Addr::new(0x64, 0xff9b, 0, 0, 0, 0, 0, 0).to_bits() >> 32;
    match v6.to_ipv4_mapped() {
        Some(v4) => v4.into(),
        None if v6.to_bits() >> 32 == nat64 => std::net::Ipv4Addr::from_bits(v6.to_bits() as u32).into(),
        None => address,
    }
}

/// IANA's special-purpose registries, as far as a host of somebody's could be there.
fn is_public(address: IpAddr) -> bool {
    match address {
        IpAddr::V4(v4) => {
            let [a, b, c, _] = v4.octets();
            !(v4.is_private()
                || v4.is_loopback()
                || v4.is_link_local()
                || v4.is_multicast()
                || v4.is_documentation()
                || a == 0
                || a >= 240
                || (a == 100 && b & 0xc0 == 64)
                || (a == 192 && b == 0 && c == 0)
                || (a == 198 && b & 0xfe == 18))
        }
        // Global unicast, less documentation, protocol assignments (Teredo…) and 6to4, which hides an IPv4 address.
        IpAddr::V6(v6) => {
            let [a, b, ..] = v6.segments();
            a & 0xe000 == 0x2000 && !(a == 0x2001 && (b < 0x200 || b == 0xdb8)) && a != 0x2002 && a & 0xfff0 != 0x3ff0
        }
    }
}

struct Checked(Reach);

#[derive(Debug, thiserror::Error)]
#[error("{0}")]
pub(crate) struct NotAllowed(pub(crate) Refused);

impl Resolve for Checked {
    fn resolve(&self, name: Name) -> Resolving {
        let reach = self.0;
        Box::pin(async move {
            let addresses: Vec<_> = tokio::net::lookup_host((name.as_str(), 0)).await?.collect();
            reach.resolved(name.as_str(), &addresses)?;
            Ok(Box::new(addresses.into_iter()) as Addrs)
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const LOCAL: &str = "http://localhost:9000/mcp";
    const REMOTE: &str = "https://mcp.example.com/mcp";

    fn check(server: &str, private: bool, url: &str) -> Result<(), Refused> {
        Reach::of(&Url::parse(server).unwrap(), private).check(&Url::parse(url).unwrap())
    }

    #[test]
    fn a_server_elsewhere_sends_nobody_to_this_machine_or_into_a_private_network() {
        for url in [
            "https://localhost/x",
            "https://idp.localhost/x",
            "https://127.0.0.1/x",
            "https://127.1/x",
            "https://2130706433/x",
            "https://[::1]/x",
            "https://[::ffff:127.0.0.1]/x",
            "https://[64:ff9b::7f00:1]/x",
            "https://10.0.0.1/x",
            "https://172.16.0.1/x",
            "https://192.168.0.1/x",
            "https://169.254.169.254/latest/meta-data",
            "https://100.64.0.1/x",
            "https://0.0.0.0/x",
            "https://[fc00::1]/x",
            "https://[fe80::1]/x",
            "https://[2002:a00:1::]/x",
            "https://[::]/x",
        ] {
            assert!(matches!(check(REMOTE, false, url), Err(Refused::Address(_))), "{url}");
        }
        for url in ["https://idp.example.com/x", "https://8.8.8.8/x", "https://[2606:4700::1111]/x"] {
            assert_eq!(check(REMOTE, false, url), Ok(()), "{url}");
        }
        assert_eq!(check(REMOTE, true, "https://10.0.0.1/x"), Ok(()));
        for url in ["https://127.0.0.1/x", "https://0.0.0.0/x", "https://[::]/x"] {
            assert!(check(REMOTE, true, url).is_err(), "{url}");
        }
    }

    #[test]
    fn a_server_on_this_machine_may() {
        for url in ["http://localhost:8080/x", "http://127.0.0.1/x", "http://[::1]:1/x", "https://10.0.0.1/x"] {
            assert_eq!(check(LOCAL, false, url), Ok(()), "{url}");
        }
    }

    #[test]
    fn plain_http_is_for_this_machine() {
        for url in ["http://idp.example.com/x", "http://10.0.0.1/x", "http://localhost.evil.example/x"] {
            assert_eq!(check(LOCAL, false, url), Err(Refused::Http), "{url}");
        }
    }

    #[test]
    fn neither_other_schemes_nor_users_nor_fragments() {
        for url in ["file:///etc/passwd", "javascript:alert(1)", "ftp://localhost/", "gopher://localhost"] {
            assert_eq!(check(LOCAL, false, url), Err(Refused::Scheme), "{url}");
        }
        for url in ["https://a@idp.example.com/", "https://:b@idp.example.com/", "https://idp.example.com/#x"] {
            assert_eq!(check(LOCAL, false, url), Err(Refused::UserOrFragment), "{url}");
        }
    }

    #[test]
    fn a_name_of_this_machine_is_of_this_machine() {
        let resolved = |reach: Reach, name: &str, addresses: &[&str]| {
            let addresses: Vec<SocketAddr> =
                addresses.iter().map(|ip| (ip.parse::<IpAddr>().unwrap(), 0).into()).collect();
            reach.resolved(name, &addresses).map_err(|NotAllowed(refused)| refused)
        };
        // Also of the server that the person named, which gets their token without TLS.
        for name in ["localhost", "idp.localhost"] {
            for address in ["8.8.8.8", "10.0.0.1", "::"] {
                let refused = resolved(Reach::ANYWHERE, name, &["127.0.0.1", address]);
                assert_eq!(refused, Err(Refused::NotThisMachine(address.to_owned())), "{name}");
            }
            assert_eq!(resolved(Reach::ANYWHERE, name, &["127.0.0.1", "::1"]), Ok(()));
        }
        assert_eq!(resolved(Reach::ANYWHERE, "notlocalhost", &["10.0.0.1"]), Ok(()));
    }

    #[tokio::test]
    async fn a_name_is_what_it_resolves_to() {
        let resolve = async |server: &str| {
            let reach = Reach::of(&Url::parse(server).unwrap(), false);
            reach.resolver().resolve("localhost".parse().unwrap()).await.map(Iterator::count).map_err(|e| e.to_string())
        };
        assert!(resolve(LOCAL).await.unwrap() > 0);
        assert!(resolve(REMOTE).await.unwrap_err().contains("private network"));
    }
}
