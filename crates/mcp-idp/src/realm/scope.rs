//! A scope that a client may be granted.

use std::collections::{HashMap, HashSet};

use super::{
    RealmError, User,
    json::Object,
    mapper::{Mapped, Mapper},
    role::Roles,
};

/// Keycloak's own client scopes, which are about people and sessions and never about an API.
const BUILT_IN: [&str; 13] = [
    "openid",
    "profile",
    "email",
    "address",
    "phone",
    "basic",
    "roles",
    "web-origins",
    "acr",
    "microprofile-jwt",
    "organization",
    "service_account",
    OFFLINE_ACCESS,
];

/// The one of Keycloak's that a client is granted: refresh tokens that outlive the session (OpenID Connect Core §11).
const OFFLINE_ACCESS: &str = "offline_access";

/// Whether a client scope is one of Keycloak's own.
pub(super) fn is_built_in(name: &str) -> bool {
    BUILT_IN.contains(&name)
}

/// A scope of the catalogue.
#[derive(Clone, Debug)]
pub struct Scope {
    name: String,
    text: String,
    audiences: Vec<String>,
    introspectors: Vec<String>,
    /// The roles that it is mapped to; `None`: it is open to everybody.
    roles: Option<HashSet<String>>,
}

impl Scope {
    /// As it stands in a token's `scope`.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// What it permits, in words for the consent page.
    pub fn text(&self) -> &str {
        &self.text
    }

    /// The APIs that a token with this scope is for (`included.custom.audience`).
    pub fn audiences(&self) -> &[String] {
        &self.audiences
    }

    /// The clients that may introspect a token with this scope (`included.client.audience`).
    pub fn introspectors(&self) -> &[String] {
        &self.introspectors
    }

    /// Whether this user may be given the scope: one of its roles is among theirs, or it is mapped to none.
    pub fn permitted_to(&self, user: &User) -> bool {
        self.roles.as_ref().is_none_or(|roles| user.roles().iter().any(|role| roles.contains(role)))
    }
}

/// What the file says about client scopes.
pub(super) struct ClientScopes {
    /// In the file's order.
    pub(super) catalogue: Vec<Scope>,
    /// Of each client scope, in the catalogue or not.
    pub(super) mappers: HashMap<String, Vec<Mapper>>,
    /// What each client has, in the catalogue or not.
    pub(super) defaults: Vec<String>,
    /// What each client may ask for, in the catalogue or not.
    pub(super) optional: Vec<String>,
}

impl ClientScopes {
    pub(super) fn read(realm: &Object, roles: &Roles, notices: &mut Vec<String>) -> Result<Self, RealmError> {
        let mappings = mappings(realm, roles, notices)?;
        let mut catalogue = Vec::new();
        let mut mappers = HashMap::new();
        for scope in realm.objects("clientScopes")? {
            let name = scope.name("name")?;
            if mappers.contains_key(name) {
                return Err(scope.error("name", format!("there is another client scope {name}")));
            }
            let (entry, claims) = match scope.text("protocol")? {
                Some("openid-connect") => read(&scope, name, &mappings, notices)?,
                Some(_) => (None, Vec::new()),
                None => {
                    notices.push(format!("client scope {name}: it has no protocol; left out"));
                    (None, Vec::new())
                }
            };
            catalogue.extend(entry);
            mappers.insert(name.to_owned(), claims);
        }
        if realm.get("clientScopes").is_none() {
            notices.push("clientScopes is missing: Keycloak adds its own, this server adds none".to_owned());
        }
        let mut listed = |list: &str| {
            let names = realm.texts(list)?.unwrap_or_default();
            for name in names.iter().filter(|name| !mappers.contains_key(*name) && !is_keycloaks(name)) {
                notices.push(format!("{list}: there is no client scope {name}"));
            }
            Ok::<_, RealmError>(names)
        };
        let (defaults, optional) = (listed("defaultDefaultClientScopes")?, listed("defaultOptionalClientScopes")?);
        Ok(Self { catalogue, mappers, defaults, optional })
    }

    /// These scopes, as far as they are in the catalogue.
    pub(super) fn in_catalogue<'a>(&self, names: impl IntoIterator<Item = &'a String>) -> Vec<String> {
        let mut found: Vec<String> = Vec::new();
        for name in names {
            if self.catalogue.iter().any(|scope| scope.name == *name) && !found.contains(name) {
                found.push(name.clone());
            }
        }
        found
    }
}

/// Whether Keycloak knows the client scope although the file does not describe it: SAML's are there too.
pub(super) fn is_keycloaks(name: &str) -> bool {
    is_built_in(name) || ["role_list", "saml_organization", "AuthnContextClassRef"].contains(&name)
}

/// The roles of each client scope, those inside of composite ones too.
fn mappings(
    realm: &Object,
    roles: &Roles,
    notices: &mut Vec<String>,
) -> Result<HashMap<String, HashSet<String>>, RealmError> {
    let mut mappings: HashMap<String, HashSet<String>> = HashMap::new();
    for mapping in realm.objects("scopeMappings")? {
        if let Some(scope) = mapping.text("clientScope")? {
            let direct = mapping.texts("roles")?.unwrap_or_default();
            mappings.entry(scope.to_owned()).or_default().extend(roles.expand(direct.iter().map(String::as_str)));
        }
    }
    // Nobody has a client role here. A scope that is for holders of one must not become everybody's.
    if let Some(clients) = realm.object("clientScopeMappings")? {
        for client in clients.members().keys() {
            for mapping in clients.objects(client)? {
                if let Some(scope) = mapping.text("clientScope")? {
                    notices.push(format!("client scope {scope}: roles of the client {client} permit nothing here"));
                    mappings.entry(scope.to_owned()).or_default();
                }
            }
        }
    }
    Ok(mappings)
}

/// Reads one client scope: its place in the catalogue, if it has one, and its claims.
fn read(
    scope: &Object,
    name: &str,
    mappings: &HashMap<String, HashSet<String>>,
    notices: &mut Vec<String>,
) -> Result<(Option<Scope>, Vec<Mapper>), RealmError> {
    let (mut claims, mut audiences, mut introspectors) = (Vec::new(), Vec::new(), Vec::new());
    for mapper in scope.objects("protocolMappers")? {
        match Mapped::read(&mapper, name, notices)? {
            Mapped::Claim(claim) => claims.push(claim),
            Mapped::Audience(audience) => audiences.push(audience),
            Mapped::Introspector(client) => introspectors.push(client),
            Mapped::Nothing => {}
        }
    }
    let attributes = scope.object("attributes")?;
    let attribute = |key: &str| attributes.as_ref().map_or(Ok(None), |attributes| attributes.text(key));
    let has_audience = !audiences.is_empty() || !introspectors.is_empty();
    let left_out = if attribute("is.dynamic.scope")? == Some("true") {
        Some("it stands for many (is.dynamic.scope)")
    } else if is_built_in(name) {
        has_audience.then_some("it is Keycloak's own, and has an audience")
    } else if attribute("include.in.token.scope")? == Some("false") {
        has_audience.then_some("it is kept out of tokens, and has an audience")
    } else {
        (!has_audience).then_some("it leads to no API, without an audience mapper")
    };
    if let Some(why) = left_out {
        notices.push(format!("client scope {name}: {why}; it is not offered"));
    }
    let offered = name == OFFLINE_ACCESS || left_out.is_none() && has_audience;
    if !offered {
        return Ok((None, claims));
    }
    if !is_scope_token(name) {
        return Err(scope.error("name", "is no scope token (RFC 6749 §3.3)"));
    }
    let text = text(attribute("consent.screen.text")?, scope.text("description")?, name);
    let mut roles = mappings.get(name).cloned();
    if name == OFFLINE_ACCESS {
        // Keycloak asks for the role even where the file maps none. And the scope is for no API, whatever it maps.
        roles.get_or_insert_with(|| HashSet::from([OFFLINE_ACCESS.to_owned()]));
        audiences.clear();
        introspectors.clear();
    }
    Ok((Some(Scope { name: name.to_owned(), text, audiences, introspectors, roles }), claims))
}

/// What stands on the consent page. `${…}` is a key into Keycloak's own translations.
fn text(consent: Option<&str>, description: Option<&str>, name: &str) -> String {
    if name == OFFLINE_ACCESS && consent.is_none_or(|text| text.starts_with("${")) {
        return "Stay connected while you are away".to_owned();
    }
    let said = |text: &&str| !text.trim().is_empty() && !text.starts_with("${");
    consent.filter(said).or(description.filter(said)).unwrap_or(name).to_owned()
}

/// RFC 6749 §3.3: visible ASCII but for `"` and `\`.
fn is_scope_token(name: &str) -> bool {
    name.bytes().all(|byte| byte.is_ascii_graphic() && byte != b'"' && byte != b'\\')
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use crate::{Realm, RealmError};

    const CUSTOM: &str = "included.custom.audience";
    const CLIENT: &str = "included.client.audience";

    fn audience(config: Value) -> Value {
        let mut mapper = json!({"name": "a", "protocolMapper": "oidc-audience-mapper", "config": config});
        mapper["config"]["access.token.claim"] = json!("true");
        mapper
    }

    fn read(members: Value) -> Result<Realm, RealmError> {
        let mut scope = json!({
            "name": "api:read", "protocol": "openid-connect",
            "protocolMappers": [audience(json!({CUSTOM: "https://api.example"}))],
        });
        scope.as_object_mut().unwrap().extend(members.as_object().unwrap().clone());
        Realm::from_json(&json!({"realm": "lab", "enabled": true, "clientScopes": [scope]}).to_string())
    }

    #[test]
    fn what_is_offered() {
        let realm = read(json!({})).unwrap();
        assert_eq!((realm.scopes().len(), realm.notices().len()), (1, 0));
        assert_eq!(realm.scope("api:read").unwrap().audiences(), ["https://api.example"]);
        for (members, why) in [
            (json!({"name": "email"}), "it is Keycloak's own, and has an audience"),
            (json!({"protocolMappers": []}), "it leads to no API, without an audience mapper"),
            (
                json!({"attributes": {"include.in.token.scope": "false"}}),
                "it is kept out of tokens, and has an audience",
            ),
            (json!({"attributes": {"is.dynamic.scope": "true"}}), "it stands for many (is.dynamic.scope)"),
        ] {
            let name = members["name"].as_str().unwrap_or("api:read").to_owned();
            let realm = read(members).unwrap();
            assert!(realm.scopes().is_empty(), "{why}");
            assert_eq!(realm.notices(), [format!("client scope {name}: {why}; it is not offered")]);
        }
        for members in [
            json!({"name": "email", "protocolMappers": []}),
            json!({"protocol": "saml"}),
            json!({"attributes": {"include.in.token.scope": "false"}, "protocolMappers": []}),
        ] {
            let realm = read(members).unwrap();
            assert_eq!((realm.scopes().len(), realm.notices().len()), (0, 0));
        }
        let without_protocol = read(json!({"protocol": null})).unwrap();
        assert_eq!(without_protocol.notices(), ["client scope api:read: it has no protocol; left out"]);
        assert!(without_protocol.scopes().is_empty());
    }

    #[test]
    fn audiences_and_introspectors() {
        let realm = read(json!({"protocolMappers": [
            audience(json!({CUSTOM: "https://a.example"})),
            audience(json!({CLIENT: "b"})),
            // With both, Keycloak takes the client.
            audience(json!({CLIENT: "c", CUSTOM: "https://c.example"})),
            {"protocolMapper": "oidc-audience-mapper", "config": {CUSTOM: "https://d.example"}},
        ]}));
        let realm = realm.unwrap();
        let scope = realm.scope("api:read").unwrap();
        assert_eq!(scope.audiences(), ["https://a.example"]);
        assert_eq!(scope.introspectors(), ["b", "c"]);
    }

    #[test]
    fn the_words_for_the_consent_page() {
        let text = |members: Value| {
            let realm = read(members).unwrap();
            realm.scopes()[0].text().to_owned()
        };
        assert_eq!(text(json!({})), "api:read");
        assert_eq!(text(json!({"description": "Read it"})), "Read it");
        let consent = |text: &str| json!({"description": "Read it", "attributes": {"consent.screen.text": text}});
        assert_eq!(text(consent("See it")), "See it");
        assert_eq!(text(consent("")), "Read it");
        assert_eq!(text(consent("${apiScopeConsentText}")), "Read it");
        let mut offline = consent("${offlineAccessScopeConsentText}");
        offline["name"] = json!("offline_access");
        assert_eq!(text(offline.clone()), "Stay connected while you are away");
        assert!(read(offline).unwrap().scopes()[0].audiences().is_empty());
    }

    #[test]
    fn a_name_that_would_break_a_list_of_scopes() {
        for name in ["api read", "api\"read", "api\\read", "läsen", "api\nread"] {
            let error = read(json!({"name": name})).unwrap_err().to_string();
            assert_eq!(error, "the realm file, clientScopes[0].name: is no scope token (RFC 6749 §3.3)", "{name}");
        }
    }

    #[test]
    fn a_list_that_names_what_is_not_there() {
        let file = json!({
            "realm": "lab", "enabled": true, "clientScopes": [],
            "defaultDefaultClientScopes": ["role_list", "acr", "profil"], "defaultOptionalClientScopes": ["mcp:red"],
        });
        let realm = Realm::from_json(&file.to_string()).unwrap();
        assert_eq!(
            realm.notices(),
            [
                "defaultDefaultClientScopes: there is no client scope profil",
                "defaultOptionalClientScopes: there is no client scope mcp:red",
            ]
        );
        let bare = Realm::from_json(r#"{"realm": "lab", "enabled": true}"#).unwrap();
        assert_eq!(bare.notices(), ["clientScopes is missing: Keycloak adds its own, this server adds none"]);
    }
}
