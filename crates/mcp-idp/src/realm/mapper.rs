//! Protocol mappers: what a scope makes a token say about a user.

use serde_json::{Map, Value};

use super::{RealmError, User, json::Object, scope::is_built_in};

/// What only this server says (RFC 9068 §2.2, RFC 7519 §4.1, RFC 7662 §2.2, RFC 8693 §4), and how Keycloak calls some
/// of it. Keycloak would let a mapper overwrite most of it.
const RESERVED: [&str; 22] = [
    "iss",
    "sub",
    "aud",
    "exp",
    "nbf",
    "iat",
    "jti",
    "client_id",
    "azp",
    "scope",
    "typ",
    "token_type",
    "active",
    "acr",
    "amr",
    "auth_time",
    "nonce",
    "sid",
    "session_state",
    "cnf",
    "act",
    "may_act",
];

/// About nothing that a resource server asks: browsers' origins, sessions, and what this server says by itself.
const WITHOUT_EFFECT: [&str; 5] = [
    "oidc-sub-mapper",
    "oidc-allowed-origins-mapper",
    "oidc-acr-mapper",
    "oidc-audience-resolve-mapper",
    "oidc-usersessionmodel-note-mapper",
];

/// Whether a mapper changes nothing in what this server issues.
pub(super) fn is_without_effect(kind: &str) -> bool {
    WITHOUT_EFFECT.contains(&kind)
}

/// How many objects a claim may be inside of: `realm_access.roles` is two names.
const MAX_DEPTH: usize = 8;

/// A claim, and what to say in it.
#[derive(Clone, Debug)]
pub(super) struct Mapper {
    claim: Vec<String>,
    content: Content,
}

#[derive(Clone, Debug)]
enum Content {
    /// An attribute of the user, or one of the members that Keycloak calls properties.
    Attribute {
        name: String,
        multivalued: bool,
        kind: Kind,
    },
    EmailVerified {
        kind: Kind,
    },
    FullName,
    RealmRoles {
        prefix: String,
    },
    Fixed(Value),
}

/// What an attribute's text is to become (`jsonType.label`).
#[derive(Clone, Copy, Debug)]
enum Kind {
    Text,
    Integer,
    Boolean,
    Json,
}

/// What a member of `protocolMappers` is about.
pub(super) enum Mapped {
    Claim(Mapper),
    /// An API (`included.custom.audience`).
    Audience(String),
    /// A client that may introspect the token (`included.client.audience`).
    Introspector(String),
    Nothing,
}

impl Mapped {
    /// Reads a mapper of the client scope `scope`.
    pub(super) fn read(mapper: &Object, scope: &str, notices: &mut Vec<String>) -> Result<Self, RealmError> {
        let name = mapper.text("name")?.unwrap_or_default();
        let kind = mapper.name("protocolMapper")?;
        let config = mapper.object("config")?;
        let mut refused = |why: &str| {
            notices.push(format!("client scope {scope}: mapper {name} ({kind}) {why}; left out"));
            Ok(Self::Nothing)
        };
        let known = matches!(
            kind,
            "oidc-audience-mapper"
                | "oidc-usermodel-attribute-mapper"
                | "oidc-usermodel-property-mapper"
                | "oidc-full-name-mapper"
                | "oidc-usermodel-realm-role-mapper"
                | "oidc-hardcoded-claim-mapper"
        );
        if !known {
            let expected = is_without_effect(kind) || is_built_in(scope);
            return if expected { Ok(Self::Nothing) } else { refused("is of a type that is not known here") };
        }
        let setting = |key: &str| config.as_ref().map_or(Ok(None), |config| config.text(key));
        if setting("access.token.claim")? != Some("true") {
            return Ok(Self::Nothing);
        }
        let filled = |key: &str| Ok::<_, RealmError>(setting(key)?.filter(|text| !text.is_empty()));

        if kind == "oidc-audience-mapper" {
            // With both, Keycloak takes the client.
            return Ok(match (filled("included.client.audience")?, filled("included.custom.audience")?) {
                (Some(client), _) => Self::Introspector(client.to_owned()),
                (None, Some(audience)) => Self::Audience(audience.to_owned()),
                (None, None) => return refused("names no audience"),
            });
        }

        let claim = match filled("claim.name")? {
            _ if kind == "oidc-full-name-mapper" => vec!["name".to_owned()],
            Some(claim) => claim_path(claim),
            None => return refused("names no claim"),
        };
        if RESERVED.contains(&claim[0].as_str()) {
            return refused(&format!("is for the claim {}, which is this server's own", claim[0]));
        }
        if claim.iter().any(String::is_empty) || claim.len() > MAX_DEPTH {
            return refused("is for a claim that is no path of names");
        }
        let Some(value_kind) = Kind::named(filled("jsonType.label")?) else {
            return refused("is for a type of value that is not known here");
        };
        let multivalued = setting("multivalued")? == Some("true");
        let content = match kind {
            "oidc-full-name-mapper" => Content::FullName,
            "oidc-usermodel-realm-role-mapper" if multivalued => {
                let prefix = setting("usermodel.realmRoleMapping.rolePrefix")?.unwrap_or_default();
                Content::RealmRoles { prefix: prefix.to_owned() }
            }
            "oidc-usermodel-realm-role-mapper" => {
                return refused("is not multivalued, and would tell one role of many");
            }
            "oidc-hardcoded-claim-mapper" => {
                let Some(value) = setting("claim.value")?.and_then(|text| value_kind.value(text)) else {
                    return refused("has no value of its type");
                };
                Content::Fixed(value)
            }
            _ => match filled("user.attribute")? {
                None => return refused("names no attribute"),
                Some("emailVerified") if kind == "oidc-usermodel-property-mapper" => {
                    Content::EmailVerified { kind: value_kind }
                }
                Some(attribute) if kind == "oidc-usermodel-attribute-mapper" || User::has_property(attribute) => {
                    Content::Attribute { name: attribute.to_owned(), multivalued, kind: value_kind }
                }
                Some(other) => return refused(&format!("is about the property {other}, which users do not have here")),
            },
        };
        Ok(Self::Claim(Mapper { claim, content }))
    }
}

impl Mapper {
    /// Adds the claim, if there is something to say.
    pub(super) fn apply(&self, user: &User, claims: &mut Map<String, Value>) {
        if let Some(value) = self.content.of(user) {
            put(claims, &self.claim, value);
        }
    }
}

impl Content {
    fn of(&self, user: &User) -> Option<Value> {
        match self {
            Self::Attribute { name, multivalued: true, kind } => {
                let values: Vec<Value> = user.attribute(name).filter_map(|text| kind.value(text)).collect();
                (!values.is_empty()).then(|| values.into())
            }
            Self::Attribute { name, multivalued: false, kind } => kind.value(user.attribute(name).next()?),
            Self::EmailVerified { kind } => kind.value(if user.email_verified() { "true" } else { "false" }),
            Self::FullName => user.full_name().map(Into::into),
            Self::RealmRoles { prefix } => Some(user.roles().iter().map(|role| format!("{prefix}{role}")).collect()),
            Self::Fixed(value) => Some(value.clone()),
        }
    }
}

impl Kind {
    fn named(label: Option<&str>) -> Option<Self> {
        match label {
            None | Some("String") => Some(Self::Text),
            Some("int" | "long") => Some(Self::Integer),
            Some("boolean") => Some(Self::Boolean),
            Some("JSON") => Some(Self::Json),
            Some(_) => None,
        }
    }

    /// `None` if the text says nothing of this kind: better no claim than a wrong one.
    fn value(self, text: &str) -> Option<Value> {
        match self {
            Self::Text => Some(text.into()),
            Self::Integer => text.parse::<i64>().ok().map(Into::into),
            Self::Boolean => text.parse::<bool>().ok().map(Into::into),
            Self::Json => serde_json::from_str(text).ok(),
        }
    }
}

/// A claim's name is a path through objects; a dot that belongs to a name is written `\.`.
fn claim_path(claim: &str) -> Vec<String> {
    let (mut path, mut name) = (Vec::new(), String::new());
    let mut characters = claim.chars().peekable();
    while let Some(character) = characters.next() {
        match character {
            '.' => path.push(std::mem::take(&mut name)),
            '\\' if characters.next_if_eq(&'.').is_some() => name.push('.'),
            other => name.push(other),
        }
    }
    path.push(name);
    path
}

/// Where another mapper has put something that is no object, it stays.
fn put(claims: &mut Map<String, Value>, path: &[String], value: Value) {
    match path {
        [] => {}
        [name] => {
            claims.insert(name.clone(), value);
        }
        [name, rest @ ..] => {
            let inner = claims.entry(name.clone()).or_insert_with(|| Value::Object(Map::new()));
            if let Value::Object(inner) = inner {
                put(inner, rest, value);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use crate::Realm;

    /// What a token says about Carol by these mappers of a granted scope, and what is said about the mappers.
    fn mapped(mappers: serde_json::Value) -> (serde_json::Value, Vec<String>) {
        let file = json!({
            "realm": "lab",
            "enabled": true,
            "roles": {"realm": [{"name": "staff", "composites": {"realm": ["user"]}}]},
            "clientScopes": [{"name": "api", "protocol": "openid-connect", "protocolMappers": mappers}],
            "users": [{
                "username": "carol", "enabled": true, "firstName": "Carol", "email": "carol@example.com",
                "emailVerified": true, "realmRoles": ["staff"],
                "attributes": {"n": "12", "many": ["a", "b"], "j": ["{\"x\":[1]}"], "yes": ["true"], "lastName": ["Eve"]},
            }],
        });
        let realm = Realm::from_json(&file.to_string()).unwrap();
        let claims = realm.claims(realm.user("carol").unwrap(), &["api", "never heard of"]);
        assert!(realm.claims(realm.user("carol").unwrap(), &[]).is_empty(), "not granted");
        let notices = realm.notices().iter().filter(|notice| !notice.contains("leads to no API")).cloned().collect();
        (claims.into(), notices)
    }

    fn attribute(name: &str, claim: &str, kind: &str) -> serde_json::Value {
        json!({
            "name": "m", "protocolMapper": "oidc-usermodel-attribute-mapper",
            "config": {
                "user.attribute": name, "claim.name": claim, "jsonType.label": kind, "access.token.claim": "true",
            },
        })
    }

    fn with(mut mapper: serde_json::Value, key: &str, value: &str) -> serde_json::Value {
        mapper["config"][key] = value.into();
        mapper
    }

    /// As Keycloak 26.7.4 does with the same mappers.
    #[test]
    fn attributes() {
        for (mapper, expected) in [
            (attribute("username", "preferred_username", "String"), json!({"preferred_username": "carol"})),
            (attribute("firstName", "a.b.c", "String"), json!({"a": {"b": {"c": "Carol"}}})),
            (attribute("firstName", "https://a\\.example/b", "String"), json!({"https://a.example/b": "Carol"})),
            (attribute("lastName", "family_name", "String"), json!({})),
            (attribute("n", "n", "long"), json!({"n": 12})),
            (attribute("n", "n", "String"), json!({"n": "12"})),
            (attribute("yes", "yes", "boolean"), json!({"yes": true})),
            (attribute("j", "j", "JSON"), json!({"j": {"x": [1]}})),
            (attribute("many", "first", "String"), json!({"first": "a"})),
            (with(attribute("many", "all", "String"), "multivalued", "true"), json!({"all": ["a", "b"]})),
            (with(attribute("none", "all", "String"), "multivalued", "true"), json!({})),
            // Better no claim than a wrong one.
            (attribute("many", "n", "int"), json!({})),
            (attribute("many", "j", "JSON"), json!({})),
            (with(attribute("n", "n", "String"), "access.token.claim", "false"), json!({})),
        ] {
            assert_eq!(mapped(json!([mapper])), (expected, vec![]));
        }
        let mut unsaid = attribute("n", "n", "String");
        unsaid["config"].as_object_mut().unwrap().remove("access.token.claim");
        assert_eq!(mapped(json!([unsaid])), (json!({}), vec![]));
    }

    #[test]
    fn what_is_no_attribute() {
        let mapper = |kind: &str, config: serde_json::Value| json!([{"protocolMapper": kind, "config": config}]);
        for (mappers, expected) in [
            (
                mapper(
                    "oidc-usermodel-realm-role-mapper",
                    json!({"claim.name": "realm_access.roles", "multivalued": "true", "access.token.claim": "true"}),
                ),
                json!({"realm_access": {"roles": ["staff", "user"]}}),
            ),
            (
                mapper(
                    "oidc-usermodel-realm-role-mapper",
                    json!({
                        "claim.name": "roles", "multivalued": "true", "access.token.claim": "true",
                        "usermodel.realmRoleMapping.rolePrefix": "lab-",
                    }),
                ),
                json!({"roles": ["lab-staff", "lab-user"]}),
            ),
            (
                mapper(
                    "oidc-usermodel-property-mapper",
                    json!({
                        "user.attribute": "emailVerified", "claim.name": "email_verified", "jsonType.label": "boolean",
                        "access.token.claim": "true",
                    }),
                ),
                json!({"email_verified": true}),
            ),
            (mapper("oidc-full-name-mapper", json!({"access.token.claim": "true"})), json!({"name": "Carol"})),
            (
                mapper(
                    "oidc-hardcoded-claim-mapper",
                    json!({
                        "claim.name": "level", "claim.value": "7", "jsonType.label": "int", "access.token.claim": "true",
                    }),
                ),
                json!({"level": 7}),
            ),
            (mapper("oidc-sub-mapper", json!({"access.token.claim": "true"})), json!({})),
        ] {
            assert_eq!(mapped(mappers), (expected, vec![]));
        }
    }

    #[test]
    fn no_mapper_writes_what_is_the_servers_own() {
        for claim in ["iss", "sub", "aud", "exp", "client_id", "azp", "scope", "cnf.jkt", "act.sub", "typ", "acr"] {
            let (claims, notices) = mapped(json!([attribute("firstName", claim, "String")]));
            assert_eq!(claims, json!({}), "{claim}");
            let own = claim.split('.').next().unwrap();
            let why = format!("is for the claim {own}, which is this server's own; left out");
            assert_eq!(notices, [format!("client scope api: mapper m (oidc-usermodel-attribute-mapper) {why}")]);
        }
    }

    #[test]
    fn a_mapper_that_says_nothing_is_reported() {
        for (mapper, why) in [
            (attribute("", "n", "String"), "names no attribute"),
            (attribute("n", "", "String"), "names no claim"),
            (attribute("n", "a..b", "String"), "is for a claim that is no path of names"),
            (attribute("n", ".", "String"), "is for a claim that is no path of names"),
            (attribute("n", &vec!["a"; 100_000].join("."), "String"), "is for a claim that is no path of names"),
            (attribute("n", "n", "date"), "is for a type of value that is not known here"),
        ] {
            let expected = format!("client scope api: mapper m (oidc-usermodel-attribute-mapper) {why}; left out");
            assert_eq!(mapped(json!([mapper])), (json!({}), vec![expected]));
        }
        for (kind, config, why) in [
            ("oidc-script-based-protocol-mapper", json!({}), "is of a type that is not known here"),
            ("oidc-group-membership-mapper", json!({}), "is of a type that is not known here"),
            ("oidc-hardcoded-role-mapper", json!({}), "is of a type that is not known here"),
            ("oidc-audience-mapper", json!({"included.custom.audience": ""}), "names no audience"),
            (
                "oidc-usermodel-realm-role-mapper",
                json!({"claim.name": "role"}),
                "is not multivalued, and would tell one role of many",
            ),
            (
                "oidc-usermodel-property-mapper",
                json!({"claim.name": "a", "user.attribute": "n"}),
                "is about the property n, which users do not have here",
            ),
            (
                "oidc-hardcoded-claim-mapper",
                json!({"claim.name": "a", "claim.value": "x", "jsonType.label": "int"}),
                "has no value of its type",
            ),
        ] {
            let mut mapper = json!({"name": "m", "protocolMapper": kind, "config": config});
            mapper["config"]["access.token.claim"] = json!("true");
            let expected = format!("client scope api: mapper m ({kind}) {why}; left out");
            assert_eq!(mapped(json!([mapper])), (json!({}), vec![expected]), "{kind}");
        }
    }

    #[test]
    fn what_stands_in_the_way_of_a_path_stays() {
        let mappers = [attribute("n", "a", "String"), attribute("firstName", "a.b", "String")];
        assert_eq!(mapped(json!(mappers)).0, json!({"a": "12"}));
        let both = [attribute("n", "a.b", "String"), attribute("firstName", "a.c", "String")];
        assert_eq!(mapped(json!(both)).0, json!({"a": {"b": "12", "c": "Carol"}}));
    }
}
