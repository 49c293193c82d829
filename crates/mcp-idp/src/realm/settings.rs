//! What a file says beyond roles, scopes, clients and users, and where it is not as Keycloak makes it.
//!
//! An export spells out some two hundred settings. Who has changed one expects something of it, so only those are
//! reported that differ from an untouched realm. `keycloak_defaults.json` says how that one is, written off an export of
//! Keycloak 26.7.4, and which settings are read elsewhere or make no difference to this server.

use std::{collections::HashMap, sync::LazyLock};

use serde::Deserialize;
use serde_json::{Map, Value};

use super::{RealmError, client::is_built_in, json::Object, mapper::is_without_effect};

static KEYCLOAK: LazyLock<Keycloak> = LazyLock::new(|| {
    serde_json::from_str(include_str!("keycloak_defaults.json")).expect("it is a part of this program")
});

#[derive(Deserialize)]
struct Keycloak {
    realm: Defaults,
    realm_attributes: Defaults,
    client: Defaults,
    client_attributes: Defaults,
    /// The steps of the flows that a login with a password goes through: what each is, and how much it is required.
    flows: HashMap<String, Vec<(String, String)>>,
}

#[derive(Deserialize)]
struct Defaults {
    as_made: Map<String, Value>,
    /// A name, or the beginning of one and `*`.
    indifferent: Vec<String>,
}

const COMPONENTS_WITHOUT_EFFECT: [&str; 2] = [
    // This server has a policy of its own for registration.
    "org.keycloak.services.clientregistration.policy.ClientRegistrationPolicy",
    "org.keycloak.userprofile.UserProfileProvider",
];
const KEYS: &str = "org.keycloak.keys.KeyProvider";

/// Reports what the realm asks for besides what is read elsewhere. This part of a file can be anything.
pub(super) fn report(realm: &Object, notices: &mut Vec<String>) {
    let members = realm.members();
    let mut found = KEYCLOAK.realm.differing(members, "");
    found.extend(KEYCLOAK.realm_attributes.differing(object(members.get("attributes")), "attributes."));
    if !found.is_empty() {
        notices.push(format!("realm: without effect here: {}", found.join(", ")));
    }
    for (kind, list) in object(members.get("components")) {
        if !COMPONENTS_WITHOUT_EFFECT.contains(&kind.as_str()) {
            let named: Vec<&str> = names(list).into_iter().filter(|name| !is_generated_key(kind, list, name)).collect();
            if !named.is_empty() {
                let kind = kind.rsplit('.').next().unwrap_or(kind);
                notices.push(format!("components: without effect here: {kind} ({})", named.join(", ")));
            }
        }
    }
    let roles = object(object(members.get("roles")).get("client"));
    let with_roles = roles.iter().filter(|(client, roles)| !is_built_in(client) && !is_nothing(roles));
    let clients: Vec<&str> = with_roles.map(|(client, _)| client.as_str()).collect();
    if !clients.is_empty() {
        notices.push(format!("roles: without effect here: client roles ({})", clients.join(", ")));
    }
    let changed: Vec<&str> =
        array(members.get("authenticationFlows")).iter().filter(is_changed).filter_map(name).collect();
    if !changed.is_empty() {
        let changed = changed.join(", ");
        notices
            .push(format!("authenticationFlows: a login is a username and a password here, whatever is in: {changed}"));
    }
}

/// What a client asks for besides what is read elsewhere.
pub(super) fn without_effect_in_client(client: &Object) -> Result<Vec<String>, RealmError> {
    let members = client.members();
    let mut found = KEYCLOAK.client.differing(members, "");
    found.extend(KEYCLOAK.client_attributes.differing(object(members.get("attributes")), "attributes."));
    for mapper in client.objects("protocolMappers")? {
        if !mapper.text("protocolMapper")?.is_some_and(is_without_effect) {
            found.push(format!("mapper {}", mapper.text("name")?.unwrap_or_default()));
        }
    }
    Ok(found)
}

impl Defaults {
    fn differing(&self, members: &Map<String, Value>, prefix: &str) -> Vec<String> {
        let differs = |name: &str, value: &Value| match self.as_made.get(name) {
            Some(made) => value != made && !value.is_null(),
            None => !is_nothing(value) && !self.is_indifferent(name),
        };
        let differing = members.iter().filter(|(name, value)| differs(name, value));
        differing
            .map(|(name, value)| match names(value).as_slice() {
                [] => format!("{prefix}{name}"),
                within => format!("{prefix}{name} ({})", within.join(", ")),
            })
            .collect()
    }

    fn is_indifferent(&self, name: &str) -> bool {
        self.indifferent.iter().any(|pattern| match pattern.strip_suffix('*') {
            Some(beginning) => name.starts_with(beginning),
            None => name == pattern,
        })
    }
}

/// Whether a value asks for nothing.
pub(super) fn is_nothing(value: &Value) -> bool {
    match value {
        Value::Null => true,
        Value::Bool(on) => !on,
        Value::Number(number) => number.as_i64() == Some(0),
        Value::String(text) => ["", "false", "0"].contains(&text.as_str()),
        Value::Array(list) => list.is_empty(),
        Value::Object(members) => members.is_empty(),
    }
}

/// Keys that Keycloak has made for itself.
fn is_generated_key(kind: &str, list: &Value, component: &str) -> bool {
    let named = |entry: &&Value| name(entry) == Some(component);
    let provider = array(Some(list)).iter().find(named).and_then(|entry| entry.get("providerId")?.as_str());
    kind == KEYS && provider.is_some_and(|provider| provider.contains("-generated"))
}

/// Whether a flow is one that a login goes through, and not as Keycloak makes it.
fn is_changed(flow: &&Value) -> bool {
    let Some(made) = name(flow).and_then(|alias| KEYCLOAK.flows.get(alias)) else { return false };
    let text = |execution: &Value, key: &str| execution.get(key).and_then(Value::as_str).map(str::to_owned);
    let step = |execution: &Value| {
        let what = text(execution, "authenticator").or_else(|| text(execution, "flowAlias"));
        (what.unwrap_or_default(), text(execution, "requirement").unwrap_or_default())
    };
    let steps = array(flow.get("authenticationExecutions")).iter().map(step);
    !steps.eq(made.iter().cloned())
}

/// What the members of a list are called, also of one that is alone in an object.
fn names(value: &Value) -> Vec<&str> {
    match value {
        Value::Array(list) => list.iter().filter_map(name).collect(),
        Value::Object(members) if members.len() == 1 => members.values().next().map(names_in_list).unwrap_or_default(),
        _ => Vec::new(),
    }
}

fn names_in_list(value: &Value) -> Vec<&str> {
    array(Some(value)).iter().filter_map(name).collect()
}

fn name(entry: &Value) -> Option<&str> {
    ["alias", "name", "username"].into_iter().find_map(|key| entry.get(key)?.as_str())
}

fn object(value: Option<&Value>) -> &Map<String, Value> {
    static EMPTY: LazyLock<Map<String, Value>> = LazyLock::new(Map::new);
    value.and_then(Value::as_object).unwrap_or(&EMPTY)
}

fn array(value: Option<&Value>) -> &[Value] {
    value.and_then(Value::as_array).map_or(&[], Vec::as_slice)
}
