//! The file's things. A name that is mentioned and not there would be an import that fails half-way, or a login that
//! fails much later; here it is an error that says where.

use serde_json::Value;

use super::{Assigned, Client, ClientScope, Mapper, PlanError, Policy, RealmPlan, Role, User, place::Place};

const POLICY: &str = "org.keycloak.services.clientregistration.policy.ClientRegistrationPolicy";
/// Keycloak makes them in every realm.
const OWN_ROLES: [&str; 2] = ["offline_access", "uma_authorization"];
const OWN_CLIENTS: [&str; 6] =
    ["account", "account-console", "admin-cli", "broker", "realm-management", "security-admin-console"];

/// The role that every user of a realm has.
pub(super) fn default_role(realm: &str) -> String {
    format!("default-roles-{}", realm.to_lowercase())
}

pub(super) fn plan(file: Value) -> Result<RealmPlan, PlanError> {
    let root = Place::root(&file);
    let realm = root.name("realm")?.to_owned();
    super::retarget::check_name(&realm)?;
    let roles = roles(&root, &realm)?;
    let scopes = client_scopes(&root, &roles)?;
    let audience = audience(&root, &scopes)?;
    let of_realm = Assigned {
        default: known(root.names("defaultDefaultClientScopes")?, "client scope", |name| has_scope(&scopes, name))?
            .unwrap_or_default(),
        optional: known(root.names("defaultOptionalClientScopes")?, "client scope", |name| has_scope(&scopes, name))?
            .unwrap_or_default(),
    };
    let clients = clients(&root, &scopes, &of_realm)?;
    for (place, scope, mapper) in mappers_of(&root, &scopes)? {
        let Some(client) = &mapper.client_audience else { continue };
        if !clients.iter().any(|other| other.id == *client) && !OWN_CLIENTS.contains(&client.as_str()) {
            return Err(place.error(format!("there is no client {client:?} for the audience of the scope {scope}")));
        }
    }
    let policies = policies(&root)?;
    let users = users(&root, &roles, &clients)?;
    Ok(RealmPlan { realm, audience, roles, scopes, assigned: of_realm, clients, policies, users, file })
}

fn has_scope(scopes: &[ClientScope], name: &str) -> bool {
    scopes.iter().any(|scope| scope.name == name)
}

/// The names, if each is one of something.
fn known(
    names: Option<Vec<(Place<'_>, String)>>,
    kind: &str,
    is_known: impl Fn(&str) -> bool,
) -> Result<Option<Vec<String>>, PlanError> {
    let Some(names) = names else { return Ok(None) };
    let check = |(place, name): (Place<'_>, String)| {
        if is_known(&name) { Ok(name) } else { Err(place.error(format!("there is no {kind} {name:?}"))) }
    };
    names.into_iter().map(check).collect::<Result<_, _>>().map(Some)
}

/// Two of one name would be one of them, and nobody could say which.
fn twice<T>(things: &[T], place: &Place<'_>, name: &str, name_of: impl Fn(&T) -> &str) -> Result<(), PlanError> {
    match things.iter().any(|other| name_of(other) == name) {
        true => Err(place.error(format!("{name:?} is there twice"))),
        false => Ok(()),
    }
}

fn roles(root: &Place<'_>, realm: &str) -> Result<Vec<Role>, PlanError> {
    let Some(group) = root.get("roles")? else { return Ok(Vec::new()) };
    let places = group.list("realm")?;
    let mut roles: Vec<Role> = Vec::new();
    for place in &places {
        let name = place.name("name")?.to_owned();
        twice(&roles, place, &name, |role| &role.name)?;
        roles.push(Role { name, composites: Vec::new(), file: place.value().clone() });
    }
    for (index, place) in places.iter().enumerate() {
        let Some(composites) = place.get("composites")? else { continue };
        let is_known = |name: &str| is_role(&roles, name) || name == default_role(realm);
        let composites = known(composites.names("realm")?, "realm role", is_known)?.unwrap_or_default();
        roles[index].composites = composites;
    }
    Ok(roles)
}

fn is_role(roles: &[Role], name: &str) -> bool {
    OWN_ROLES.contains(&name) || roles.iter().any(|role| role.name == name)
}

fn client_scopes(root: &Place<'_>, roles: &[Role]) -> Result<Vec<ClientScope>, PlanError> {
    let mut scopes: Vec<ClientScope> = Vec::new();
    for place in root.list("clientScopes")? {
        let name = place.name("name")?.to_owned();
        twice(&scopes, &place, &name, |scope| &scope.name)?;
        let mut mappers: Vec<Mapper> = Vec::new();
        for place in place.list("protocolMappers")? {
            let mapper = mapper(&place)?;
            twice(&mappers, &place, &mapper.name, |other| &other.name)?;
            mappers.push(mapper);
        }
        scopes.push(ClientScope { name, mappers, roles: Vec::new(), file: place.value().clone() });
    }
    for place in root.list("scopeMappings")? {
        // One for a client narrows that client, and is made with the realm alone.
        let Some(name) = place.text("clientScope")? else { continue };
        let mapped = known(place.names("roles")?, "realm role", |name| is_role(roles, name))?.unwrap_or_default();
        let scope = scopes.iter_mut().find(|scope| scope.name == name);
        let scope = scope.ok_or_else(|| place.error(format!("there is no client scope {name:?}")))?;
        scope.roles.extend(mapped);
    }
    Ok(scopes)
}

fn mapper(place: &Place<'_>) -> Result<Mapper, PlanError> {
    let name = place.name("name")?.to_owned();
    let config = place.get("config")?.filter(|_| place.value()["protocolMapper"] == "oidc-audience-mapper");
    let audience = |member: &str| -> Result<Option<String>, PlanError> {
        let Some(config) = &config else { return Ok(None) };
        Ok(config.text(member)?.filter(|audience| !audience.is_empty()).map(str::to_owned))
    };
    // Keycloak looks at the client first, and then at nothing else.
    let client_audience = audience("included.client.audience")?;
    let custom_audience = audience("included.custom.audience")?.filter(|_| client_audience.is_none());
    Ok(Mapper { name, custom_audience, client_audience, file: place.value().clone() })
}

/// Every mapper of a client scope, with its place.
fn mappers_of<'a, 's>(
    root: &Place<'a>,
    scopes: &'s [ClientScope],
) -> Result<Vec<(Place<'a>, &'s str, &'s Mapper)>, PlanError> {
    let mut all = Vec::new();
    for (place, scope) in root.list("clientScopes")?.into_iter().zip(scopes) {
        let mappers = place.list("protocolMappers")?.into_iter().zip(&scope.mappers);
        all.extend(mappers.map(|(place, mapper)| (place, scope.name.as_str(), mapper)));
    }
    Ok(all)
}

/// The one MCP server that the realm is for.
fn audience(root: &Place<'_>, scopes: &[ClientScope]) -> Result<String, PlanError> {
    let mut found: Option<&str> = None;
    for (place, scope, mapper) in mappers_of(root, scopes)? {
        let Some(audience) = mapper.custom_audience.as_deref() else { continue };
        match found {
            Some(other) if other != audience => {
                return Err(place.error(format!("the scope {scope} is for {audience:?}, another one for {other:?}")));
            }
            _ => found = Some(audience),
        }
    }
    found.map(str::to_owned).ok_or_else(|| {
        root.error(
            "no client scope has an oidc-audience-mapper with included.custom.audience, \
             so no token would be for the MCP server",
        )
    })
}

fn clients(root: &Place<'_>, scopes: &[ClientScope], of_realm: &Assigned) -> Result<Vec<Client>, PlanError> {
    let mut clients: Vec<Client> = Vec::new();
    for place in root.list("clients")? {
        let id = place.name("clientId")?.to_owned();
        twice(&clients, &place, &id, |client| &client.id)?;
        let assigned = |member: &str, of_realm: &[String]| -> Result<Vec<String>, PlanError> {
            let names = known(place.names(member)?, "client scope", |name| has_scope(scopes, name))?;
            Ok(names.unwrap_or_else(|| of_realm.to_vec()))
        };
        let assigned = Assigned {
            default: assigned("defaultClientScopes", &of_realm.default)?,
            optional: assigned("optionalClientScopes", &of_realm.optional)?,
        };
        let consent = place.flag("consentRequired")?.unwrap_or(false);
        clients.push(Client {
            id,
            public: place.flag("publicClient")?.unwrap_or(false),
            // Masked in a partial export.
            secret: place.text("secret")?.filter(|secret| !secret.starts_with("**")).map(str::to_owned),
            direct_access_grants: place.flag("directAccessGrantsEnabled")?.unwrap_or(false),
            full_scope: place.flag("fullScopeAllowed")?.unwrap_or(!consent),
            assigned,
            file: place.value().clone(),
        });
    }
    Ok(clients)
}

fn policies(root: &Place<'_>) -> Result<Vec<Policy>, PlanError> {
    let Some(components) = root.get("components")? else { return Ok(Vec::new()) };
    let read = |place: Place<'_>| {
        // The API does not know the export's `subComponents`, and no policy has any.
        let mut file = place.value().clone();
        if let Some(members) = file.as_object_mut() {
            members.remove("subComponents");
            members.insert("providerType".to_owned(), POLICY.into());
        }
        Ok(Policy {
            name: place.name("name")?.to_owned(),
            provider: place.name("providerId")?.to_owned(),
            sub_type: place.text("subType")?.unwrap_or_default().to_owned(),
            file,
        })
    };
    components.list(POLICY)?.into_iter().map(read).collect()
}

fn users(root: &Place<'_>, roles: &[Role], clients: &[Client]) -> Result<Vec<User>, PlanError> {
    let default_role = default_role(root.name("realm")?);
    let mut users: Vec<User> = Vec::new();
    for place in root.list("users")? {
        let name = place.name("username")?.to_owned();
        twice(&users, &place, &name, |user| &user.name)?;
        let mut password = None;
        for credential in place.list("credentials")? {
            if credential.text("type")? == Some("password") {
                password = credential.text("value")?.map(str::to_owned);
            }
        }
        let is_known = |name: &str| is_role(roles, name) || name == default_role;
        let roles = known(place.names("realmRoles")?, "realm role", is_known)?.unwrap_or_default();
        let service_account_of = place.text("serviceAccountClientId")?.map(str::to_owned);
        if let Some(id) = service_account_of.as_ref().filter(|id| !clients.iter().any(|client| client.id == **id)) {
            return Err(place.error(format!("there is no client {id:?} for this service account")));
        }
        let enabled = place.flag("enabled")?.unwrap_or(false);
        users.push(User { name, enabled, password, service_account_of, roles, file: place.value().clone() });
    }
    Ok(users)
}
