use mcp_auth::keys::PublicKey;

use super::{Trial, said};
use crate::{
    Failure,
    http::{self, Answer},
};

impl Trial<'_> {
    /// False if there is nothing more to try.
    pub(super) async fn metadata(&mut self) -> bool {
        // The three forms that MCP clients look for (RFC 8414 §3.1, OpenID Connect Discovery §4).
        let forms = [
            ("openid-configuration", self.endpoint("/.well-known/openid-configuration")),
            ("oauth-authorization-server", self.endpoint("/.well-known/oauth-authorization-server")),
            (
                "oauth-authorization-server (RFC 8414)",
                self.keycloak.inserted("oauth-authorization-server", &self.plan.realm),
            ),
        ];
        for (index, (name, url)) in forms.into_iter().enumerate() {
            let name = format!("metadata: {name}");
            let answer = http::send(self.keycloak.client.get(&url)).await;
            let gone = match &answer {
                Err(why) => Some(self.unreachable(why)),
                Ok(answer) if answer.status == 404 && answer.text("error") == Some("Realm does not exist") => {
                    let found = format!("Keycloak has no realm {}", self.plan.realm);
                    Some(Failure::new(found, "set it up first, or correct the realm's name"))
                }
                Ok(_) => None,
            };
            if let (0, Some(failure)) = (index, &gone) {
                self.report.add(name, Err(failure.clone()));
                return false;
            }
            let outcome = match (answer, gone) {
                (Ok(answer), None) => self.document(&url, &answer),
                (_, gone) => Err(gone.unwrap_or_else(|| self.unreachable("it went away"))),
            };
            self.report.add(name, outcome);
        }
        let keys = self.keys().await;
        self.report.add("signing keys", keys);
        true
    }

    fn document(&self, url: &str, answer: &Answer) -> Result<String, Failure> {
        let proxy = "a proxy in front of Keycloak has to pass this path on, and the URL is what stands before /realms";
        if answer.status != 200 || !answer.json.is_object() {
            return Err(Failure::new(format!("{url} answers {}", said(answer)), proxy));
        }
        let issuer = answer.text("issuer").unwrap_or_default();
        if issuer != self.issuer {
            let base = self.keycloak.url();
            let found = format!("its issuer is {issuer:?}, not {:?}", self.issuer);
            let advice = match issuer.strip_suffix(&format!("/realms/{}", self.plan.realm)) {
                Some(theirs) => format!(
                    "one URL for both: start Keycloak with --hostname={base}, or call it by its own name, {theirs}; \
                     tokens of another issuer are refused"
                ),
                None => proxy.to_owned(),
            };
            return Err(Failure::new(found, advice));
        }
        let methods = answer.json["code_challenge_methods_supported"].as_array();
        if !methods.is_some_and(|methods| methods.iter().any(|method| method == "S256")) {
            // MCP authorization: clients must refuse to go on.
            return Err(Failure::new("it does not offer PKCE with S256", "use a Keycloak of version 26 or later"));
        }
        match answer.text("registration_endpoint") {
            Some(_) => Ok(url.to_owned()),
            None => Err(Failure::new(
                "it names no registration_endpoint",
                "start Keycloak without --features-disabled=client-registration",
            )),
        }
    }

    async fn keys(&self) -> Result<String, Failure> {
        let url = self.endpoint("/protocol/openid-connect/certs");
        let answer = http::send(self.keycloak.client.get(&url)).await.map_err(|why| self.unreachable(&why))?;
        let advice = "add one: Realm settings > Keys > Add providers > rsa-generated, algorithm RS256, use sig, active";
        let keys = PublicKey::from_jwks(&answer.json.to_string());
        let keys = keys.map_err(|error| Failure::new(format!("{url} answers {}: {error}", said(&answer)), advice))?;
        if keys.is_empty() {
            return Err(Failure::new("no published key signs with RS256, PS256, ES256 or EdDSA", advice));
        }
        let keys: Vec<_> = keys.iter().map(|key| format!("{} {}", key.algorithm().as_str(), key.kid())).collect();
        Ok(keys.join(", "))
    }
}
