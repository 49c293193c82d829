use mcp_auth::ResourceUri;
use serde_json::Value;

use super::Trial;
use crate::{
    Failure, KeycloakError,
    plan::{Assigned, ClientScope},
};

const CUSTOM: &str = "included.custom.audience";

impl Trial<'_> {
    /// What is put in tokens, scope by scope.
    pub(super) async fn client_scopes(&mut self) {
        let realm = format!("/{}", self.plan.realm);
        let action = format!("show the client scopes of {}", self.plan.realm);
        let there = match self.keycloak.list(&action, &format!("{realm}/client-scopes"), &[]).await {
            Ok(there) => there,
            Err(error) => return self.report.add("client scopes", Err(self.no_administrator(&error))),
        };
        let plan = self.plan;
        for scope in plan.protecting_scopes() {
            let outcome = match there.iter().find(|other| other["name"] == scope.name.as_str()) {
                None => {
                    Err(Failure::new("it is not there", "set the realm up, or Client scopes > Create client scope"))
                }
                Some(found) => self.client_scope(scope, found).await,
            };
            self.report.add(format!("client scope {}", scope.name), outcome);
        }
        let outcome = self.of_new_clients().await;
        self.report.add("client scopes of new clients", outcome);
    }

    /// What clients have without asking, and what they may ask for, who register themselves and do not say.
    async fn of_new_clients(&self) -> Result<String, Failure> {
        let (mut there, mut missing) = (Vec::new(), Vec::new());
        for kind in ["default", "optional"] {
            let action = format!("list the {kind} client scopes of {}", self.plan.realm);
            let path = format!("/{}/default-{kind}-client-scopes", self.plan.realm);
            there.extend(self.keycloak.list(&action, &path, &[]).await.map_err(|error| self.no_administrator(&error))?);
        }
        let Assigned { default, optional } = &self.plan.assigned;
        for (wanted, kind) in [(default, "Default"), (optional, "Optional")] {
            let wanted = wanted.iter().filter(|scope| !there.iter().any(|other| other["name"] == scope.as_str()));
            missing.extend(wanted.map(|scope| format!("{scope} as {kind}")));
        }
        if missing.is_empty() {
            return Ok(format!("{} without asking, {} to ask for", default.len(), optional.len()));
        }
        let found = format!("they have not got {}", missing.join(", "));
        Err(Failure::new(found, "Client scopes > each of them: Assigned type, where nobody took it away on purpose"))
    }

    pub(super) fn no_administrator(&self, error: &KeycloakError) -> Failure {
        Failure::new(error.to_string(), "what else there is to see from outside, the other checks say")
    }

    async fn client_scope(&self, scope: &ClientScope, found: &Value) -> Result<String, Failure> {
        let mappers = found["protocolMappers"].as_array().map_or(&[][..], Vec::as_slice);
        let console = format!("Client scopes > {} > Mappers", scope.name);
        self.audience(mappers, &console)?;
        for mapper in &scope.mappers {
            if !mappers.iter().any(|other| other["name"] == mapper.name.as_str()) {
                let kind = mapper.file["protocolMapper"].as_str().unwrap_or_default();
                let found = format!("its mapper {:?} ({kind}) is not there", mapper.name);
                return Err(Failure::new(found, format!("set the realm up, or {console} > Add mapper")));
            }
        }
        let action = format!("show the roles of client scope {}", scope.name);
        let id = found["id"].as_str().unwrap_or_default();
        let path = format!("/{}/client-scopes/{id}/scope-mappings/realm", self.plan.realm);
        let roles = self.keycloak.list(&action, &path, &[]).await.map_err(|error| self.no_administrator(&error))?;
        let has = |role: &str| roles.iter().any(|other| other["name"] == role);
        let missing: Vec<_> = scope.roles.iter().map(String::as_str).filter(|role| !has(role)).collect();
        if !missing.is_empty() {
            let whom = if roles.is_empty() { "everybody" } else { "others alone" };
            let found = format!("it is not mapped to {}; it may be given to {whom}", missing.join(", "));
            let advice = format!("Client scopes > {} > Scope > Assign role", scope.name);
            return Err(Failure::new(found, advice));
        }
        Ok(if roles.is_empty() { "for everybody".to_owned() } else { format!("for {}", scope.roles.join(", ")) })
    }

    /// One of its mappers puts this MCP server's URL in `aud`. Others may name other servers.
    fn audience(&self, mappers: &[Value], console: &str) -> Result<(), Failure> {
        let audience = &self.plan.audience;
        // As the MCP server compares it.
        let is_ours = |other: &str| {
            other == audience
                || matches!((other.parse::<ResourceUri>(), audience.parse()), (Ok(other), Ok(ours)) if other == ours)
        };
        let named: Vec<_> = mappers
            .iter()
            .filter(|mapper| mapper["protocolMapper"] == "oidc-audience-mapper")
            .filter_map(|mapper| {
                let url = mapper["config"][CUSTOM].as_str().filter(|url| !url.is_empty())?;
                Some((mapper["name"].as_str().unwrap_or_default(), url, &mapper["config"]["access.token.claim"]))
            })
            .collect();
        if let Some((name, _, in_token)) = named.iter().find(|(_, url, _)| is_ours(url)) {
            if *in_token == "true" {
                return Ok(());
            }
            let found = format!("its mapper {name:?} leaves access tokens alone");
            return Err(Failure::new(found, format!("{console} > {name} > Add to access token: On")));
        }
        Err(match named.first() {
            Some((name, url, _)) => Failure::new(
                format!("its mapper {name:?} names another MCP server, {url}; this one is {audience}"),
                format!("{console} > {name} > Included Custom Audience: {audience}; or add a second mapper, for both"),
            ),
            None => Failure::new(
                format!("no mapper puts {audience} in aud"),
                format!(
                    "set the realm up, or {console} > Add mapper > By configuration > Audience, \
                     Included Custom Audience: {audience}"
                ),
            ),
        })
    }
}
