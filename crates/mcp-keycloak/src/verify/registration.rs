use serde_json::json;

use super::{Trial, said};
use crate::{
    Failure,
    http::{self, Answer},
};

/// RFC 8252 §7.3: what a client on the person's machine listens on. No such client will be started.
const LOOPBACK: &str = "http://127.0.0.1:33418/callback";
/// RFC 2606 §2: nobody's.
const FOREIGN: &str = "https://attacker.example/callback";
const CONSOLE: &str = "Clients > Client registration > Anonymous access policies";

impl Trial<'_> {
    /// A client that Keycloak has never seen registers itself (RFC 7591), as MCP clients do, and goes again (RFC 7592).
    pub(super) async fn registration(&mut self) {
        let outcome = self.may_register().await;
        let refused = outcome.as_ref().err().map(|failure| failure.found.clone());
        self.report.add("registration", outcome);
        let outcome = self.may_not_register(refused.as_deref()).await;
        self.report.add("registration with a foreign redirect", outcome);
    }

    async fn register(&self, redirect_uri: &str) -> Result<Answer, Failure> {
        let metadata = json!({
            "client_name": "mcp-keycloak, trying registration",
            "redirect_uris": [redirect_uri],
            "grant_types": ["authorization_code", "refresh_token"],
            "response_types": ["code"],
            "token_endpoint_auth_method": "none",
            "scope": self.plan.scopes().collect::<Vec<_>>().join(" "),
        });
        let url = self.endpoint("/clients-registrations/openid-connect");
        http::send(self.keycloak.client.post(url).json(&metadata)).await.map_err(|why| self.unreachable(&why))
    }

    async fn may_register(&self) -> Result<String, Failure> {
        let answer = self.register(LOOPBACK).await?;
        if answer.status != 201 {
            return Err(Failure::new(format!("refused: {}", said(&answer)), advice(&answer.why())));
        }
        let granted: Vec<_> = answer.text("scope").unwrap_or_default().split(' ').map(str::to_owned).collect();
        self.unregister(&answer).await?;
        // Frozen now: the client could never ask for more.
        let missing: Vec<_> = self.plan.scopes().filter(|scope| !granted.iter().any(|other| other == scope)).collect();
        if !missing.is_empty() {
            let found = format!("the client may not ask for {}", missing.join(", "));
            return Err(Failure::new(found, "Client scopes: Assigned type Optional for each of them"));
        }
        Ok(format!("may ask for {}", self.plan.scopes().collect::<Vec<_>>().join(" ")))
    }

    async fn may_not_register(&self, loopback: Option<&str>) -> Result<String, Failure> {
        let answer = self.register(FOREIGN).await?;
        match answer.status {
            201 => {
                self.unregister(&answer).await?;
                let found = format!("a client with the redirect URI {FOREIGN} may register: a phisher's could");
                let advice = format!(
                    "{CONSOLE} > Trusted Hosts: Trusted Hosts without foreign names, Client URIs Must Match: On"
                );
                Err(Failure::new(found, advice))
            }
            400 | 401 | 403 => {
                let refused = format!("refused: {}", said(&answer));
                if loopback == Some(&refused) {
                    return Err(Failure::new(
                        "refused like the one before, so it is not the redirect",
                        "see registration",
                    ));
                }
                Ok(refused)
            }
            _ => Err(Failure::new(format!("no clear refusal: {}", said(&answer)), "see Keycloak's log")),
        }
    }

    async fn unregister(&self, registered: &Answer) -> Result<(), Failure> {
        let id = registered.text("client_id").unwrap_or_default();
        let by_hand = format!("Clients > {id} > Action > Delete");
        // Only where it came from: the token is not for any other place that the answer may name.
        let mut url = url::Url::parse(&self.endpoint("/clients-registrations/openid-connect"))
            .map_err(|error| Failure::new(error.to_string(), &*by_hand))?;
        if let Ok(mut path) = url.path_segments_mut() {
            path.push(id);
        }
        let token = registered.text("registration_access_token").unwrap_or_default();
        let answer = http::send(self.keycloak.client.delete(url).bearer_auth(token)).await;
        match answer {
            Ok(answer) if answer.is_success() => Ok(()),
            Ok(answer) => Err(Failure::new(format!("the client stays: {}", said(&answer)), by_hand)),
            Err(why) => Err(Failure::new(format!("the client stays: {why}"), by_hand)),
        }
    }
}

/// Which of the policies it was.
fn advice(why: &str) -> String {
    let policy = [
        ("Trusted Hosts", "Trusted Hosts: 127.0.0.1 and localhost, for clients on people's own machines"),
        ("clientScope", "Allowed Client Scopes: every scope of the MCP server and offline_access"),
        ("Max clients", "Max Clients Limit; or delete clients that nobody uses any more"),
        ("ebOrigin", "Allowed Registration Web Origins"),
    ];
    let mentions = |(word, _): &&(&str, &str)| match *word {
        "Trusted Hosts" => why.contains("trusted host") || why.contains("Host not trusted"),
        word => why.contains(word),
    };
    match policy.iter().find(mentions) {
        Some((_, setting)) => format!("{CONSOLE} > {setting}"),
        None => CONSOLE.to_owned(),
    }
}
