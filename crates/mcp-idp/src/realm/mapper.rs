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
