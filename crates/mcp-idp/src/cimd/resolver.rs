//! Names are resolved within the connection: what was checked is what is connected to, and a second answer for the same
//! name (DNS rebinding) is asked of nobody.

use std::{net::IpAddr, sync::Arc};

use reqwest::dns::{Addrs, Name, Resolve, Resolving};

use super::address;

/// The system's resolver.
pub(super) struct System;

impl Resolve for System {
    fn resolve(&self, name: Name) -> Resolving {
        Box::pin(async move {
            let addresses: Vec<_> = tokio::net::lookup_host((name.as_str(), 0)).await?.collect();
            Ok(Box::new(addresses.into_iter()) as Addrs)
        })
    }
}

/// Answers with addresses that a document may be fetched from, or not at all.
pub(super) struct Checked {
    pub(super) names: Arc<dyn Resolve>,
    pub(super) loopback: bool,
}

/// For the log alone: it tells what is inside.
#[derive(Debug, thiserror::Error)]
#[error("the name resolves to {0}, which is not a public address")]
struct NotPublic(IpAddr);

impl Resolve for Checked {
    fn resolve(&self, name: Name) -> Resolving {
        let (answer, loopback) = (self.names.resolve(name), self.loopback);
        Box::pin(async move {
            let addresses: Vec<_> = answer.await?.collect();
            // One is enough: a name with a public and a private address is made to get past those who look at one.
            match addresses.iter().find(|address| !address::is_allowed(address.ip(), loopback)) {
                Some(address) => Err(NotPublic(address.ip()).into()),
                None => Ok(Box::new(addresses.into_iter()) as Addrs),
            }
        })
    }
}

#[cfg(test)]
mod tests {
    use std::net::SocketAddr;

    use super::*;

    /// Answers every name with these.
    struct Fixed(Vec<IpAddr>);

    impl Resolve for Fixed {
        fn resolve(&self, _: Name) -> Resolving {
            let addresses: Vec<_> = self.0.iter().map(|ip| SocketAddr::new(*ip, 0)).collect();
            Box::pin(async { Ok(Box::new(addresses.into_iter()) as Addrs) })
        }
    }

    async fn answer(addresses: &[&str], loopback: bool) -> Result<Vec<String>, String> {
        let names = Arc::new(Fixed(addresses.iter().map(|ip| ip.parse().unwrap()).collect()));
        let answer = Checked { names, loopback }.resolve("client.example".parse().unwrap()).await;
        answer.map(|found| found.map(|at| at.ip().to_string()).collect()).map_err(|error| error.to_string())
    }

    #[tokio::test]
    async fn one_address_that_is_not_public_is_enough_to_refuse() {
        for addresses in [
            &["10.0.0.1"][..],
            &["8.8.8.8", "10.0.0.1"],
            &["10.0.0.1", "8.8.8.8"],
            &["2606:4700::1111", "8.8.8.8", "::1"],
            &["8.8.8.8", "::ffff:8.8.8.8"],
        ] {
            let refusal = answer(addresses, false).await.unwrap_err();
            assert!(refusal.contains("not a public address"), "{addresses:?}: {refusal}");
        }
        assert!(answer(&["127.0.0.1", "10.0.0.1"], true).await.is_err());
    }

    #[tokio::test]
    async fn public_addresses_are_handed_on() {
        let public = ["8.8.8.8", "2606:4700::1111"];
        assert_eq!(answer(&public, false).await.unwrap(), public);
        assert_eq!(answer(&["127.0.0.1", "::1"], true).await.unwrap(), ["127.0.0.1", "::1"]);
    }

    #[tokio::test]
    async fn the_system_resolves_names() {
        let found = System.resolve("localhost".parse().unwrap()).await.unwrap();
        assert!(found.into_iter().any(|address| address.ip().is_loopback()));
    }
}
