//! Which of what was given decides: for each setting the strongest, whatever its key is called.

use url::Url;

use crate::{
    Key, KeySource, Secret, Settings, SettingsError, Verification,
    check::{self, shown},
    explain::Row,
    given::{AllGiven, Given, Rank},
    notices, public_key,
    secret::MASKED,
    settings::{Rows, local},
};

pub(crate) const AUDIENCE: [Key; 2] = [Key::JwtAudience, Key::AuthAudience];
const ISSUER: [Key; 2] = [Key::JwtIssuer, Key::AuthIssuer];
const REALM: [Key; 2] = [Key::KeycloakRealm, Key::AuthRealm];
const CLIENT_ID: [Key; 2] = [Key::OauthClientId, Key::AuthClientId];
const CLIENT_SECRET: [Key; 2] = [Key::OauthClientSecret, Key::AuthClientSecret];

/// Every setting of what was given, which is checked and without contradictions.
pub(crate) fn settings(given: &AllGiven, mut notices: Vec<String>) -> Result<Settings, SettingsError> {
    let tutorial = is_tutorial(given);
    let default = if tutorial { "default of the tutorial" } else { "default" };
    let resolver = Resolver { given, tutorial, default };

    let (host, host_from) = resolver.or(&[Key::Host], "localhost");
    let host = host.trim_matches(['[', ']']).to_owned();
    let (port, port_from) = resolver.port(Key::Port, if tutorial { 3000 } else { 9000 })?;
    let server_url = given.strongest(&[Key::McpServerUrl]);
    let (path, path_from) = match (given.strongest(&[Key::McpPath]), server_url) {
        (None, Some(url)) => (path_of(url)?, "default, that of MCP_SERVER_URL".to_owned()),
        _ => resolver.or(&[Key::McpPath], if tutorial { "/" } else { "/mcp" }),
    };
    let (resource, resource_from) = match server_url {
        Some(_) => resolver.or(&[Key::McpServerUrl], ""),
        None => (local(port, &path), "default, of PORT and MCP_PATH".to_owned()),
    };
    let (audience, audience_from) = match given.strongest(&AUDIENCE) {
        Some(_) => resolver.or(&AUDIENCE, ""),
        None => (resource.clone(), "default, that of MCP_SERVER_URL".to_owned()),
    };
    let issuer = resolver.issuer()?;
    let (verification, verification_rows) = resolver.verification(&issuer, &mut notices)?;
    let (one_scope, scope_from) = match given.strongest(&[Key::McpScope]) {
        None if !tutorial => (None, default.to_owned()),
        _ => {
            let (scope, from) = resolver.or(&[Key::McpScope], "mcp:tools");
            (Some(scope), from)
        }
    };

    let unused = given.all.iter().filter(|given| !given.used.get());
    let unused =
        unused.map(|given| Row::new(given.key.name(), given.shown(), format!("{}, decides nothing", given.origin())));
    let rows = Rows {
        host: host_from,
        port: port_from,
        path: path_from,
        resource: resource_from,
        audience: audience_from,
        issuer: issuer.from(),
        one_scope: scope_from,
        verification: verification_rows,
        unused: unused.collect(),
        resource_follows: server_url.is_none(),
        audience_follows: given.strongest(&AUDIENCE).is_none(),
    };
    let issuer = issuer.value;
    let mut settings =
        Settings { host, port, path, resource, audience, issuer, verification, one_scope, tutorial, notices, rows };
    let more = notices::of(given, &settings);
    settings.notices.extend(more);
    Ok(settings)
}

/// Whether the defaults are the tutorial's; the crate's documentation has the rule in words.
fn is_tutorial(given: &AllGiven) -> bool {
    let ours = [Key::KeycloakUrl, Key::KeycloakRealm, Key::JwtIssuer, Key::AuthIssuer];
    given.configured(&[Key::AuthHost, Key::AuthPort, Key::AuthRealm])
        || (given.configured(&[Key::McpScope, Key::OauthStrict, Key::Transport]) && !given.configured(&ours))
}

/// A value that may be made of several.
struct Found<'a> {
    value: String,
    of: Vec<&'a Given>,
    /// What of it is a default.
    defaults: Vec<&'static str>,
}

impl Found<'_> {
    fn strongest(&self) -> Rank {
        self.of.iter().map(|given| given.rank()).min().unwrap_or(Rank::Default)
    }

    fn use_it(&self) {
        for given in &self.of {
            given.used.set(true);
        }
    }

    fn from(&self) -> String {
        match self.of.as_slice() {
            [] => self.defaults.first().copied().unwrap_or("default").to_owned(),
            [one] if self.defaults.is_empty() => one.origin(),
            several => {
                let mut parts: Vec<String> = several.iter().map(|given| given.origin()).collect();
                parts.extend(self.defaults.iter().map(|default| (*default).to_owned()));
                format!("from {}", parts.join(" and "))
            }
        }
    }
}

struct Resolver<'a> {
    given: &'a AllGiven,
    tutorial: bool,
    default: &'static str,
}

impl<'a> Resolver<'a> {
    /// The strongest of these keys, or the default; and where it is from.
    fn or(&self, keys: &[Key], default: &str) -> (String, String) {
        match self.given.strongest(keys) {
            Some(given) => {
                given.used.set(true);
                (given.value.clone(), given.origin())
            }
            None => (default.to_owned(), self.default.to_owned()),
        }
    }

    fn port(&self, key: Key, default: u16) -> Result<(u16, String), SettingsError> {
        let Some(given) = self.given.strongest(&[key]) else { return Ok((default, self.default.to_owned())) };
        given.used.set(true);
        Ok((check::port(&given.value).map_err(|reason| given.error(reason))?, given.origin()))
    }

    fn one(&self, keys: &[Key]) -> Option<Found<'a>> {
        let given = self.given.strongest(keys)?;
        Some(Found { value: given.value.clone(), of: vec![given], defaults: Vec::new() })
    }

    fn issuer(&self) -> Result<Found<'a>, SettingsError> {
        let realm = self.one(&REALM).unwrap_or_else(|| Found {
            value: if self.tutorial { "master" } else { "mcp-realm" }.to_owned(),
            of: Vec::new(),
            defaults: vec![self.default],
        });
        let keycloak = self.keycloak()?;
        let parts = Found {
            value: format!("{}/realms/{}", keycloak.value.trim_end_matches('/'), realm.value),
            of: keycloak.of.iter().chain(&realm.of).copied().collect(),
            defaults: if keycloak.of.is_empty() || realm.of.is_empty() { vec![self.default] } else { Vec::new() },
        };
        let whole = self.one(&ISSUER);
        let needed = [("KEYCLOAK_URL", &keycloak), ("KEYCLOAK_REALM", &realm)];
        let found = stronger(whole, parts, &needed)?;
        found.use_it();
        Ok(found)
    }

    /// Where Keycloak is.
    fn keycloak(&self) -> Result<Found<'a>, SettingsError> {
        let or = |key, default: &str| {
            let default = Found { value: default.to_owned(), of: Vec::new(), defaults: vec![self.default] };
            self.one(&[key]).unwrap_or(default)
        };
        let (host, port) = (or(Key::AuthHost, "localhost"), or(Key::AuthPort, "8080"));
        let bare = host.value.trim_matches(['[', ']']);
        let bracketed = if bare.contains(':') { format!("[{bare}]") } else { bare.to_owned() };
        // As Keycloak writes itself: without the port that http has anyway, or leading zeros.
        let number = match check::port(&port.value).unwrap_or_default() {
            80 => String::new(),
            number => format!(":{number}"),
        };
        let parts = Found {
            value: format!("http://{bracketed}{number}"),
            of: host.of.iter().chain(&port.of).copied().collect(),
            defaults: if host.of.is_empty() || port.of.is_empty() { vec![self.default] } else { Vec::new() },
        };
        let whole = self.one(&[Key::KeycloakUrl]);
        stronger(whole, parts, &[("AUTH_HOST", &host), ("AUTH_PORT", &port)])
    }

    fn verification(
        &self,
        issuer: &Found<'a>,
        notices: &mut Vec<String>,
    ) -> Result<(Verification, Vec<Row>), SettingsError> {
        let id = self.given.strongest(&CLIENT_ID);
        let secret = self.given.strongest(&CLIENT_SECRET);
        if let (Some(secret), None, false) = (secret, id, self.tutorial) {
            let reason = "a secret needs the client that it is of: set OAUTH_CLIENT_ID, or leave the secret out";
            return Err(secret.error(reason));
        }
        if let (Some(id), None) = (id, secret) {
            // Somebody forgot it, or misspelt it: not a reason to accept tokens that were revoked.
            if !self.given.placeholder && self.given.strongest(&[Key::JwtPublicKey, Key::JwksUrl]).is_none() {
                let reason = "a client needs its secret, to ask about tokens: set OAUTH_CLIENT_SECRET; or leave the \
                              client out, and tokens are checked by their signature alone, also revoked ones";
                return Err(id.error(reason));
            }
            notices.push(format!(
                "{}: without OAUTH_CLIENT_SECRET it is not used: tokens are checked by their signature, not by \
                 introspection",
                id.named()
            ));
        }
        let introspection: &[Key] = if secret.is_some() { &[CLIENT_ID, CLIENT_SECRET].concat() } else { &[] };
        let ways = [introspection, &[Key::JwtPublicKey], &[Key::JwksUrl]];
        for rank in Rank::GIVEN {
            let mut at = ways.iter().filter_map(|keys| self.given.at(rank, keys).next());
            if let (Some(one), Some(other)) = (at.next(), at.next()) {
                return Err(SettingsError::Contradiction(format!(
                    "{} and {} are two ways to check a token; keep one",
                    one.named(),
                    other.named()
                )));
            }
        }

        let Some(decides) = self.given.strongest(&ways.concat()) else { return Ok(by_discovery()) };
        match decides.key {
            Key::JwtPublicKey => {
                decides.used.set(true);
                let row = Row::new("JWT_PUBLIC_KEY", decides.shown(), decides.origin());
                Ok((Verification::Keys(KeySource::Pem(public_key::read(decides)?)), vec![row]))
            }
            Key::JwksUrl => self.jwks(decides, issuer, notices),
            _ => {
                let (client_id, id_from) = self.or(&CLIENT_ID, "mcp-server");
                let (client_secret, secret_from) = self.or(&CLIENT_SECRET, "");
                let rows = vec![
                    Row::new("OAUTH_CLIENT_ID", &client_id, id_from),
                    Row::new("OAUTH_CLIENT_SECRET", MASKED, secret_from),
                ];
                Ok((Verification::Introspection { client_id, client_secret: Secret::new(client_secret) }, rows))
            }
        }
    }

    /// Keys at a URL, if they can be the issuer's.
    fn jwks(
        &self,
        given: &Given,
        issuer: &Found<'a>,
        notices: &mut Vec<String>,
    ) -> Result<(Verification, Vec<Row>), SettingsError> {
        let jwks = check::url(&given.value).map_err(|reason| given.error(reason))?;
        let url = check::url(&issuer.value).map_err(|reason| SettingsError::Value { key: issuer.from(), reason })?;
        if jwks.origin() == url.origin() && realm_of(&url).is_none_or(|realm| realm_of(&jwks) == Some(realm)) {
            given.used.set(true);
            let row = Row::new("JWKS_URL", given.shown(), given.origin());
            return Ok((Verification::Keys(KeySource::Url(jwks)), vec![row]));
        }
        // Written for the issuer that stands beside it, and has been replaced.
        let beside = [&ISSUER[..], &REALM, &[Key::KeycloakUrl, Key::AuthHost, Key::AuthPort]].concat();
        if issuer.strongest() < given.rank() && self.given.at(given.rank(), &beside).next().is_some() {
            notices.push(format!(
                "{}: not used, since the issuer is {} ({}); its keys are found by discovery",
                given.named(),
                issuer.value,
                issuer.from()
            ));
            return Ok(by_discovery());
        }
        Err(given.error(format!(
            "{} does not belong to the issuer {} ({}): whoever has those keys could make its tokens. Set an issuer and \
             JWKS_URL that belong together, or leave JWKS_URL out, and the issuer's keys are found",
            shown(&given.value),
            issuer.value,
            issuer.from()
        )))
    }
}

fn by_discovery() -> (Verification, Vec<Row>) {
    let row = Row::new("JWKS_URL", "found by discovery of the issuer", "default");
    (Verification::Keys(KeySource::Issuer), vec![row])
}

/// The whole or its parts. Parts that are stronger than the whole replace it, if no other part is weaker than it: else
/// a flag for the realm would move the server to the default provider, away from the one that the file names.
fn stronger<'a>(
    whole: Option<Found<'a>>,
    parts: Found<'a>,
    each: &[(&str, &Found<'a>); 2],
) -> Result<Found<'a>, SettingsError> {
    let Some(whole) = whole else { return Ok(parts) };
    if whole.strongest() <= parts.strongest() {
        return Ok(whole);
    }
    let missing = each.iter().find(|(_, part)| part.strongest() > whole.strongest());
    let (Some((missing, _)), Some(given), Some(part)) =
        (missing, whole.of.first(), parts.of.iter().min_by_key(|given| given.rank()))
    else {
        return Ok(parts);
    };
    Err(SettingsError::Contradiction(format!(
        "{} is a part of what {} sets as a whole, and the other part is missing; set {missing} with it, or {} in its place",
        part.named(),
        given.named(),
        given.key
    )))
}

/// The realm in a URL of Keycloak.
fn realm_of(url: &Url) -> Option<&str> {
    url.path().split_once("/realms/").map(|(_, rest)| rest.split('/').next().unwrap_or(rest))
}

/// The path of the endpoint that clients reach at this URL.
pub(crate) fn path_of(given: &Given) -> Result<String, SettingsError> {
    let url = check::url(&given.value).map_err(|reason| given.error(reason))?;
    // One trailing slash or none is the same resource.
    let path = url.path().strip_suffix('/').unwrap_or(url.path());
    let path = if path.is_empty() { "/" } else { path };
    check::path(path).map_err(|reason| given.error(format!("of its path: {reason}; or set MCP_PATH too")))?;
    Ok(path.to_owned())
}
