//! A client that the realm's file registers.

use std::fmt;

use url::Url;

use super::{
    RealmError,
    json::Object,
    scope::{ClientScopes, is_keycloaks},
    settings::without_effect_in_client,
};

/// The clients of Keycloak's own pages and programs, in each export.
const BUILT_IN: [&str; 6] =
    ["account", "account-console", "admin-cli", "broker", "realm-management", "security-admin-console"];

/// Whether a client is one of Keycloak's own.
pub(super) fn is_built_in(id: &str) -> bool {
    BUILT_IN.contains(&id)
}

/// A registered client.
#[derive(Clone)]
pub struct RealmClient {
    id: String,
    name: Option<String>,
    secret: Option<String>,
    redirect_uris: Vec<String>,
    standard_flow: bool,
    direct_access_grants: bool,
    service_account: bool,
    consent_required: bool,
    scopes: Vec<String>,
    default_scopes: Vec<String>,
}

impl RealmClient {
    /// Its `client_id`.
    pub fn id(&self) -> &str {
        &self.id
    }

    /// Its name for people, else its id.
    pub fn name(&self) -> &str {
        self.name.as_deref().unwrap_or(&self.id)
    }

    /// Its secret; a client without one is public.
    pub fn secret(&self) -> Option<&str> {
        self.secret.as_deref()
    }

    /// Where an answer may be sent. Each is one URI and no pattern (RFC 9700 §2.1).
    pub fn redirect_uris(&self) -> &[String] {
        &self.redirect_uris
    }

    /// Whether it may use authorization codes.
    pub fn standard_flow(&self) -> bool {
        self.standard_flow
    }

    /// Whether it may use a user's password (RFC 6749 §4.3).
    pub fn direct_access_grants(&self) -> bool {
        self.direct_access_grants
    }

    /// Whether it may act for itself (RFC 6749 §4.4).
    pub fn service_account(&self) -> bool {
        self.service_account
    }

    /// Whether its users are to be asked before it gets a token (`consentRequired`).
    pub fn consent_required(&self) -> bool {
        self.consent_required
    }

    /// The scopes of the catalogue that it may ask for, the default ones among them.
    pub fn scopes(&self) -> &[String] {
        &self.scopes
    }

    /// The scopes of the catalogue that it has without asking.
    pub fn default_scopes(&self) -> &[String] {
        &self.default_scopes
    }

    /// Reads one client. `None`: it is left out, with a notice unless it is Keycloak's own.
    pub(super) fn read(
        client: &Object,
        scopes: &ClientScopes,
        notices: &mut Vec<String>,
    ) -> Result<Option<Self>, RealmError> {
        let id = client.name("clientId")?;
        if is_built_in(id) {
            return Ok(None);
        }
        let secret = match admission(client)? {
            Ok(secret) => secret.map(str::to_owned),
            Err(why) => {
                notices.push(format!("client {id}: {why}; left out"));
                return Ok(None);
            }
        };
        let mut redirect_uris = Vec::new();
        for uri in client.texts("redirectUris")?.unwrap_or_default() {
            match why_not_exact(&uri) {
                None => redirect_uris.push(uri),
                Some(why) => notices.push(format!("client {id}: redirect URI {uri} {why}; left out")),
            }
        }
        let flow = |name: &str, unsaid: bool| client.flag(name).map(|flag| flag.unwrap_or(unsaid));
        // A client that only ever receives tokens gets none.
        let gets_tokens = !flow("bearerOnly", false)?;
        let (default_scopes, optional) = assigned(client, id, scopes, notices)?;
        let unheeded = without_effect_in_client(client)?;
        if !unheeded.is_empty() {
            notices.push(format!("client {id}: without effect here: {}", unheeded.join(", ")));
        }
        Ok(Some(Self {
            id: id.to_owned(),
            name: client.text("name")?.filter(|name| !name.is_empty()).map(str::to_owned),
            standard_flow: gets_tokens && flow("standardFlowEnabled", true)?,
            direct_access_grants: gets_tokens && flow("directAccessGrantsEnabled", false)?,
            service_account: gets_tokens && secret.is_some() && flow("serviceAccountsEnabled", false)?,
            consent_required: flow("consentRequired", false)?,
            secret,
            redirect_uris,
            scopes: scopes.in_catalogue(default_scopes.iter().chain(&optional)),
            default_scopes: scopes.in_catalogue(&default_scopes),
        }))
    }
}

impl fmt::Debug for RealmClient {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut debug = f.debug_struct("RealmClient");
        debug.field("id", &self.id).field("public", &self.secret.is_none()).field("redirect_uris", &self.redirect_uris);
        debug.field("scopes", &self.scopes).finish_non_exhaustive()
    }
}

/// The secret of a client that is to be admitted, `None` for a public one; or, in the inner error, why it is not.
///
/// A confidential client whose secret is not known must never become a public one.
fn admission<'a>(client: &Object<'a>) -> Result<Result<Option<&'a str>, String>, RealmError> {
    if client.flag("enabled")? == Some(false) {
        return Ok(Err("it is disabled".to_owned()));
    }
    match client.text("protocol")? {
        None | Some("openid-connect") => {}
        Some(other) => return Ok(Err(format!("it speaks {other}"))),
    }
    if client.flag("publicClient")? == Some(true) {
        return Ok(Ok(None));
    }
    match client.text("clientAuthenticatorType")? {
        None | Some("client-secret") => {}
        Some(other) => return Ok(Err(format!("it authenticates by {other}"))),
    }
    Ok(match client.text("secret")? {
        None | Some("") => Err("it is confidential and its secret is not in the file".to_owned()),
        Some(secret) if secret.bytes().all(|byte| byte == b'*') => {
            Err("its secret is masked in the file, as in a partial export".to_owned())
        }
        Some(secret) if secret.starts_with("${") => Err("its secret is in a vault".to_owned()),
        Some(secret) => Ok(Some(secret)),
    })
}

/// RFC 6749 §3.1.2: absolute, without a fragment; RFC 9700 §2.1: compared as a whole.
fn why_not_exact(uri: &str) -> Option<&'static str> {
    if uri.contains('*') {
        return Some("is a pattern");
    }
    match Url::parse(uri) {
        Err(_) => Some("is not absolute"),
        Ok(url) if url.fragment().is_some() => Some("has a fragment"),
        Ok(url) if ["javascript", "data", "vbscript", "file", "blob"].contains(&url.scheme()) => {
            Some("has a scheme that is no address")
        }
        Ok(_) => None,
    }
}

/// The client scopes of a client, default and optional. One that names neither list has the realm's; one that names
/// either has nothing of the realm's.
fn assigned(
    client: &Object,
    id: &str,
    scopes: &ClientScopes,
    notices: &mut Vec<String>,
) -> Result<(Vec<String>, Vec<String>), RealmError> {
    let (default, optional) = (client.texts("defaultClientScopes")?, client.texts("optionalClientScopes")?);
    if default.is_none() && optional.is_none() {
        return Ok((scopes.defaults.clone(), scopes.optional.clone()));
    }
    let (default, optional) = (default.unwrap_or_default(), optional.unwrap_or_default());
    for name in default.iter().chain(&optional) {
        if !scopes.mappers.contains_key(name) && !is_keycloaks(name) {
            notices.push(format!("client {id}: there is no client scope {name}"));
        }
    }
    Ok((default, optional))
}
