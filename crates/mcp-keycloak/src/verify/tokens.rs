use base64::{Engine, prelude::BASE64_URL_SAFE_NO_PAD};
use mcp_auth::{AccessToken, JwtVerifier, RemoteKeySet, TokenError, TokenVerifier};
use serde_json::Value;

use super::{Trial, said};
use crate::{
    Failure,
    http::{self, Answer},
    plan::{Client, Grant, User},
};

/// Where it is said how.
const BY_HAND: &str = "see keycloak/README.md, \"The same by hand\"";
/// What an introspection endpoint must not know.
const MADE_UP: &str = "no-token-of-any-realm";

impl Trial<'_> {
    /// A token for one user of each kind, by password, checked as the MCP server checks it.
    pub(super) async fn tokens(&mut self) {
        let plan = self.plan;
        let Some(client) = plan.password_client() else {
            let found = "the realm file has no client that gets tokens by password, so none could be tried";
            let advice = "give it one such as mcp-test-client, with directAccessGrantsEnabled";
            return self.report.add("tokens", Err(Failure::new(found, advice)));
        };
        if let Some(failure) = self.withheld(client).await {
            self.report.add("tokens", Err(failure));
            return self.introspection(None).await;
        }
        let jwks = self.endpoint("/protocol/openid-connect/certs");
        let verifier = match RemoteKeySet::builder(&jwks) {
            Ok(keys) => JwtVerifier::with_key_set(keys.start(), &*self.issuer, &plan.audience),
            Err(error) => {
                return self.report.add("tokens", Err(Failure::new(error.to_string(), "correct Keycloak's URL")));
            }
        };
        let mut for_introspection: Option<(bool, String)> = None;
        for user in plan.sample_users() {
            let expected = plan.grant(user, client);
            let outcome = match self.token(client, user).await {
                Err(failure) => Err(failure),
                Ok(token) => {
                    let outcome = self.judge(&verifier.verify(&token).await, &token, client, user, &expected);
                    // If none is as it should be, what introspection says of one is still another question.
                    let better = for_introspection.as_ref().is_none_or(|(good, _)| outcome.is_ok() && !good);
                    if better && !expected.scopes.is_empty() {
                        for_introspection = Some((outcome.is_ok(), token));
                    }
                    outcome
                }
            };
            self.report.add(format!("token of {}", user.name), outcome);
        }
        self.introspection(for_introspection.as_ref().map(|(_, token)| token.as_str())).await;
    }

    /// A token by password (RFC 6749 §4.3): the one way without a browser, and for test clients alone.
    async fn token(&self, client: &Client, user: &User) -> Result<String, Failure> {
        let scope = self.plan.scopes().collect::<Vec<_>>().join(" ");
        let mut form = vec![
            ("grant_type", "password"),
            ("client_id", &client.id),
            ("username", &user.name),
            ("password", user.password.as_deref().unwrap_or_default()),
            ("scope", &scope),
        ];
        if let Some(secret) = client.secret.as_deref().filter(|_| !client.public) {
            form.push(("client_secret", secret));
        }
        let request = self.keycloak.client.post(self.endpoint("/protocol/openid-connect/token")).form(&form);
        let answer = http::send(request).await.map_err(|why| self.unreachable(&why))?;
        match answer.text("access_token").filter(|_| answer.is_success()) {
            Some(token) => Ok(token.to_owned()),
            None => Err(self.no_token(&answer, client, user)),
        }
    }

    fn judge(
        &self,
        verified: &Result<impl AsRef<AccessToken>, TokenError>,
        token: &str,
        client: &Client,
        user: &User,
        expected: &Grant,
    ) -> Result<String, Failure> {
        let token = match verified {
            Ok(token) => token.as_ref(),
            Err(TokenError::Audience) => {
                // Without its scopes it has no audience either.
                let scope = claim(token, "scope");
                let scopes: Vec<_> = scope.as_str().unwrap_or_default().split(' ').map(str::to_owned).collect();
                self.scopes(&scopes, client, user, expected)?;
                if expected.scopes.is_empty() {
                    return Ok("none for the MCP server".to_owned());
                }
                let found = format!("its aud is {}, without {}", claim(token, "aud"), self.plan.audience);
                let advice = format!(
                    "Client scopes > {} > Mappers: an Audience mapper with Included Custom Audience {}",
                    expected.scopes.join(", "),
                    self.plan.audience
                );
                return Err(Failure::new(found, advice));
            }
            Err(TokenError::Issuer) => {
                let found = format!("its iss is {}, not {:?}", claim(token, "iss"), self.issuer);
                let advice = format!("start Keycloak with --hostname={}", self.keycloak.url());
                return Err(Failure::new(found, advice));
            }
            Err(TokenError::Claim("sub")) => {
                let advice = format!(
                    "set the realm up, or Client scopes > basic > Mappers: Subject (sub); and Clients > {} > Client \
                     scopes: basic, as Default",
                    client.id
                );
                return Err(Failure::new("it has no sub", advice));
            }
            Err(error) => {
                let found = format!("the MCP server would refuse it: {}", error.description());
                let advice = match error {
                    TokenError::NoKeys | TokenError::UnknownKey | TokenError::Algorithm => "Realm settings > Keys",
                    TokenError::Expired | TokenError::NotYetValid => "set the clocks of both machines",
                    _ => "Client scopes: no mapper may write this claim",
                };
                return Err(Failure::new(found, advice));
            }
        };
        self.scopes(&token.scopes, client, user, expected)?;
        if expected.scopes.is_empty() {
            let found = format!("it is for {} without any of its scopes", self.plan.audience);
            let advice =
                "Client scopes > those that every client has > Mappers: none of kind Audience for the MCP server";
            return Err(Failure::new(found, advice));
        }
        let names = self.plan.roles.iter().map(|role| &role.name);
        let roles: Vec<_> = names.filter(|name| token.roles.contains(name)).cloned().collect();
        if roles == expected.roles {
            return Ok(format!("{}; {}", expected.scopes.join(" "), expected.roles.join(", ")));
        }
        let found = format!("its roles are {:?}, expected {:?}", roles.join(" "), expected.roles.join(" "));
        let advice = format!(
            "Users > {} > Role mapping; and the mapper User Realm Role with Token Claim Name realm_access.roles \
             in every client scope of the MCP server",
            user.name
        );
        Err(Failure::new(found, advice))
    }

    fn scopes(&self, token: &[String], client: &Client, user: &User, expected: &Grant) -> Result<(), Failure> {
        let ours = self.plan.scopes().filter(|scope| token.iter().any(|other| other == scope));
        let has: Vec<_> = ours.map(str::to_owned).collect();
        let (missing, surplus) = (difference(&expected.scopes, &has), difference(&has, &expected.scopes));
        let advice = if !surplus.is_empty() {
            format!(
                "Client scopes > {} > Scope: only roles that may have it (none is for everybody)",
                surplus.join(", ")
            )
        } else if !missing.is_empty() {
            format!(
                "Client scopes > {} > Scope: a role of {}; Settings > Include in token scope: On; \
                 Clients > {} > Client scopes: as Optional",
                missing.join(", "),
                user.name,
                client.id
            )
        } else {
            return Ok(());
        };
        let found = format!("its scopes are {:?}, expected {:?}", has.join(" "), expected.scopes.join(" "));
        Err(Failure::new(found, advice))
    }

    /// What a server learns that asks Keycloak instead of looking at the signature (RFC 7662).
    async fn introspection(&mut self, token: Option<&str>) {
        let Some(client) = self.plan.introspection_client() else {
            let found = "the realm file has no client with a secret that is in the audience of the MCP server's scopes";
            let advice = "give it one such as echo-mcp-server, with an Audience mapper for it in each client scope";
            return self.report.add("introspection", Err(Failure::new(found, advice)));
        };
        if let Some(failure) = self.withheld(client).await {
            return self.report.add("introspection", Err(failure));
        }
        let outcome = match token {
            Some(token) => self.introspect(client, token).await.and_then(|active| match active {
                true => Ok(format!("active, for {}", client.id)),
                false => Err(Failure::new(
                    format!("a good token is not active for {}", client.id),
                    format!(
                        "Client scopes > each of the MCP server's > Mappers: an Audience mapper with Included Client \
                         Audience {0}; since version 26 Keycloak says so of a token that is not for {0}",
                        client.id
                    ),
                )),
            }),
            None => Err(Failure::new("there was no token to ask about", "see the tokens above")),
        };
        self.report.add("introspection", outcome);
        let outcome = self.introspect(client, MADE_UP).await.and_then(|active| match active {
            true => Err(Failure::new("a made-up token is active", "ask the administrator what answers there")),
            false => Ok("not active".to_owned()),
        });
        self.report.add("introspection of a made-up token", outcome);
    }

    /// On a Keycloak that others reach no client is made that others could be: why there is nothing to try with it.
    async fn withheld(&self, client: &Client) -> Option<Failure> {
        if self.keycloak.is_local() || !client.has_known_credentials() {
            return None;
        }
        let (action, path) = (format!("show the client {}", client.id), format!("/{}/clients", self.plan.realm));
        match self.keycloak.list(&action, &path, &[("clientId", &client.id)]).await {
            Ok(there) if there.iter().any(|other| other["clientId"] == client.id.as_str()) => None,
            Ok(_) => {
                let why = if client.secret.is_some() {
                    "its secret stands in a public file"
                } else {
                    "it is for people whose passwords stand in a public file"
                };
                let found = format!("no client {} here: {why}", client.id);
                Some(Failure::new(found, format!("make one of your own, {BY_HAND}")))
            }
            Err(error) => Some(self.no_administrator(&error)),
        }
    }

    async fn introspect(&self, client: &Client, token: &str) -> Result<bool, Failure> {
        let request = self
            .keycloak
            .client
            .post(self.endpoint("/protocol/openid-connect/token/introspect"))
            .basic_auth(form_encoded(&client.id), client.secret.as_deref().map(form_encoded))
            .form(&[("token", token)]);
        let answer = http::send(request).await.map_err(|why| self.unreachable(&why))?;
        match answer.json["active"].as_bool().filter(|_| answer.status == 200) {
            Some(active) => Ok(active),
            None => {
                let advice = format!(
                    "Clients > {0} > Credentials: the secret of the realm file, or give the MCP server the one that is \
                     there; Settings > Client authentication: On, and the client enabled",
                    client.id
                );
                Err(Failure::new(format!("Keycloak refuses the client {}: {}", client.id, said(&answer)), advice))
            }
        }
    }

    /// Why there is no token, and where that is decided.
    fn no_token(&self, answer: &Answer, client: &Client, user: &User) -> Failure {
        let why = answer.why();
        let (name, id) = (&user.name, &client.id);
        let advice = match (answer.text("error"), why.as_str()) {
            (_, "Account disabled") => format!("Users > {name} > Enabled: On"),
            (_, "Account is not fully set up") => format!("Users > {name} > Details > Required user actions: none"),
            (Some("invalid_grant"), _) if !self.keycloak.is_local() => {
                format!(
                    "no password of the file is for a Keycloak that others reach: try people of your own, {BY_HAND}"
                )
            }
            (Some("invalid_grant"), _) => {
                format!(
                    "Users > {name} > Credentials: the password of the realm file (a locked account looks the same)"
                )
            }
            (Some("invalid_scope"), _) => format!("Clients > {id} > Client scopes > Add client scope, as Optional"),
            (Some("unauthorized_client"), _) => format!("Clients > {id} > Settings > Direct access grants: On"),
            (Some("invalid_client"), _) => {
                format!("set the realm up, or Clients > {id}: enabled, authentication as in the file")
            }
            _ => "see Keycloak's log".to_owned(),
        };
        Failure::new(format!("no token: {}", said(answer)), advice)
    }
}

/// RFC 6749 §2.3.1: before it becomes Basic authentication.
fn form_encoded(text: &str) -> String {
    url::form_urlencoded::byte_serialize(text.as_bytes()).collect()
}

/// Those of `these` that are not among `those`.
fn difference(these: &[String], those: &[String]) -> Vec<String> {
    these.iter().filter(|name| !those.contains(name)).cloned().collect()
}

/// A claim of a token that was refused, for a person to read.
fn claim(token: &str, name: &str) -> Value {
    let payload = token.split('.').nth(1).and_then(|part| BASE64_URL_SAFE_NO_PAD.decode(part).ok());
    let claims: Option<Value> = payload.and_then(|payload| serde_json::from_slice(&payload).ok());
    claims.map_or(Value::Null, |claims| claims[name].clone())
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::{Keycloak, RealmPlan, Report};

    /// Nobody is told to set a password that everybody knows, where others could use it.
    #[test]
    fn whose_password_it_should_be() {
        let plan = RealmPlan::from_json(include_str!("../../../../keycloak/mcp-realm-realm.json")).unwrap();
        let json = json!({ "error": "invalid_grant", "error_description": "Invalid user credentials" });
        let answer = Answer { status: 401, json };
        for (url, advice) in [
            ("http://localhost:8080", "Users > mcp-admin > Credentials: the password of the realm file"),
            ("https://id.example.com", "no password of the file is for a Keycloak that others reach"),
        ] {
            let keycloak = Keycloak::new(url, "admin", "admin").unwrap();
            let issuer = keycloak.issuer(plan.realm());
            let trial = Trial { keycloak: &keycloak, plan: &plan, issuer, report: Report::default() };
            let failure = trial.no_token(&answer, plan.password_client().unwrap(), &plan.users[0]);
            assert!(failure.advice.starts_with(advice), "{failure:?}");
        }
    }
}
