//! Realm roles, and the roles inside of composite ones.

use std::collections::{HashMap, HashSet};

use super::{RealmError, client::is_built_in, json::Object};

/// What Keycloak puts into the default role of each realm.
const GIVEN_BY_DEFAULT: [&str; 2] = ["offline_access", "uma_authorization"];

/// The roles of a realm, by name, each with those directly inside of it.
pub(super) struct Roles(HashMap<String, Vec<String>>);

impl Roles {
    pub(super) fn read(realm: &Object, name: &str, notices: &mut Vec<String>) -> Result<Self, RealmError> {
        let mut roles = HashMap::new();
        if let Some(file) = realm.object("roles")? {
            for role in file.objects("realm")? {
                let name = role.name("name")?.trim();
                let composites = role.object("composites")?;
                let inside = composites.as_ref().map_or(Ok(None), |inside| inside.texts("realm"))?.unwrap_or_default();
                if let Some(clients) = composites.and_then(|inside| inside.get("client")?.as_object())
                    && clients.keys().any(|client| !is_built_in(client))
                {
                    notices.push(format!("role {name}: there are client roles inside of it, and no client roles here"));
                }
                if roles.insert(name.to_owned(), inside).is_some() {
                    return Err(role.error("name", format!("there is another role {name}")));
                }
            }
        }
        let named = realm.object("defaultRole")?.map(|role| role.name("name").map(str::to_owned)).transpose()?;
        let legacy = realm.texts("defaultRoles")?.unwrap_or_default();
        with_default_role(&mut roles, name, named, legacy);
        Ok(Self(roles))
    }

    pub(super) fn contains(&self, name: &str) -> bool {
        self.0.contains_key(name)
    }

    /// These roles and all inside of them, each once. A role that the file does not describe is one with nothing inside:
    /// Keycloak makes it when it meets the name.
    pub(super) fn expand<'a>(&'a self, direct: impl IntoIterator<Item = &'a str>) -> Vec<String> {
        let mut found = Vec::new();
        let mut seen = HashSet::new();
        let mut waiting: Vec<&str> = direct.into_iter().map(str::trim).collect();
        waiting.reverse();
        while let Some(role) = waiting.pop() {
            if seen.insert(role) {
                found.push(role.to_owned());
                waiting.extend(self.0.get(role).into_iter().flatten().rev().map(String::as_str));
            }
        }
        found
    }
}

/// Adds what Keycloak adds on import: a default role, and the roles that it gives everybody. A role of the file that is
/// only called like a default role stays as it is.
fn with_default_role(
    roles: &mut HashMap<String, Vec<String>>,
    realm: &str,
    named: Option<String>,
    legacy: Vec<String>,
) {
    let usual = format!("default-roles-{}", realm.to_lowercase());
    if named.is_none() && roles.contains_key(&usual) {
        return;
    }
    let missing = GIVEN_BY_DEFAULT.into_iter().filter(|role| !roles.contains_key(*role)).map(str::to_owned);
    let missing: Vec<String> = missing.collect();
    let name = named.unwrap_or(usual);
    let given = match roles.get(&name) {
        Some(_) => missing.clone(),
        None => GIVEN_BY_DEFAULT.map(str::to_owned).to_vec(),
    };
    let inside = roles.entry(name).or_default();
    inside.extend(given);
    inside.extend(legacy);
    roles.extend(missing.into_iter().map(|role| (role, Vec::new())));
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::*;

    fn roles(file: &Value) -> (Roles, Vec<String>) {
        let mut notices = Vec::new();
        let roles = Roles::read(&Object::root(file).unwrap(), "Lab", &mut notices).unwrap();
        (roles, notices)
    }

    #[test]
    fn composites_are_opened_each_role_once_and_circles_end() {
        let (roles, _) = roles(&json!({"roles": {"realm": [
            {"name": "user", "composites": {"realm": ["reader", "writer"]}},
            {"name": "reader"},
            {"name": "writer", "composite": true, "composites": {"realm": ["reader", "user"]}},
        ]}}));
        assert_eq!(roles.expand(["user"]), ["user", "reader", "writer"]);
        assert_eq!(roles.expand(["writer", "user"]), ["writer", "reader", "user"]);
        assert_eq!(roles.expand([" reader ", "never described"]), ["reader", "never described"]);
        assert!(roles.contains("user") && !roles.contains("never described"));
    }

    /// Each was imported into Keycloak 26.7.4, and exported.
    #[test]
    fn the_default_role_is_keycloaks() {
        let (implied, _) = roles(&json!({}));
        assert_eq!(implied.expand(["default-roles-lab"]), ["default-roles-lab", "offline_access", "uma_authorization"]);

        let (with_legacy, _) = roles(&json!({"roles": {"realm": [{"name": "user"}]}, "defaultRoles": ["user"]}));
        let expected = ["default-roles-lab", "offline_access", "uma_authorization", "user"];
        assert_eq!(with_legacy.expand(["default-roles-lab"]), expected);

        let user_inside = json!([{"name": "user"}, {"name": "default-roles-lab", "composites": {"realm": ["user"]}}]);
        let (only_called_so, _) = roles(&json!({"roles": {"realm": user_inside}}));
        assert_eq!(only_called_so.expand(["default-roles-lab"]), ["default-roles-lab", "user"]);

        let (named, _) = roles(&json!({
            "roles": {"realm": [{"name": "everybody", "composites": {"realm": ["user"]}}]},
            "defaultRole": {"name": "everybody"},
        }));
        assert_eq!(named.expand(["everybody"]), ["everybody", "user", "offline_access", "uma_authorization"]);
        assert_eq!(named.expand(["default-roles-lab"]), ["default-roles-lab"]);

        let (exported, _) = roles(&json!({
            "roles": {"realm": [
                {"name": "offline_access"}, {"name": "uma_authorization"},
                {"name": "default-roles-lab", "composites": {"realm": ["user"]}},
            ]},
            "defaultRole": {"name": "default-roles-lab"},
        }));
        assert_eq!(exported.expand(["default-roles-lab"]), ["default-roles-lab", "user"]);
    }

    #[test]
    fn client_roles_are_reported_but_for_keycloaks_own() {
        let inside = |client: &str| {
            json!({"roles": {"realm": [
                {"name": "user", "composites": {"client": {client: ["view-profile"]}}},
            ]}})
        };
        assert_eq!(roles(&inside("account")).1, [""; 0]);
        assert_eq!(
            roles(&inside("shop")).1,
            ["role user: there are client roles inside of it, and no client roles here"]
        );
    }

    #[test]
    fn a_role_is_described_once() {
        let file = json!({"roles": {"realm": [{"name": "user"}, {"name": "user"}]}});
        let error = Roles::read(&Object::root(&file).unwrap(), "lab", &mut Vec::new()).err().unwrap();
        assert_eq!(error.to_string(), "the realm file, roles.realm[1].name: there is another role user");
    }
}
