//! Makes what is missing. What is there stays as it is: somebody may have changed it on purpose, and a password is
//! nobody's to set back. So are rights: a role that somebody has not got was perhaps taken away, and somebody who is
//! called like one of the file's people may be another.
//!
//! Each thing that is made gets what belongs to it before the next one is made. A run that was cut short leaves one
//! thing at most without it, and every later run takes that for a decision; `verify` says what it lacks.

use serde_json::{Value, json};

use crate::{
    Change, Keycloak, KeycloakError, RealmPlan,
    plan::{Assigned, ClientScope},
};

impl Keycloak {
    /// Makes what the plan has and the realm has not: the realm itself, from the whole file; or in a realm that exists,
    /// roles, client scopes and their mappers, clients, client registration policies, and users with passwords. Nothing
    /// that exists is changed, and nothing else of the file (such as token lifetimes) is looked at. Gives what was made:
    /// nothing, the second time.
    ///
    /// Rights go to what this run has made, and to nothing else: roles to new users and to the service accounts of new
    /// clients; client scopes to new clients; a new client scope to the roles that it is for, and to clients that come
    /// later. What an existing user, client or scope lacks, [`verify`](Self::verify) says.
    ///
    /// A Keycloak that [is not on this machine](Self::is_local) gets no credentials that others know: the plan is made
    /// there [without them](RealmPlan::without_known_credentials).
    ///
    /// # Errors
    /// When Keycloak cannot be reached, is none, or refuses the administrator or something that is made. What was made
    /// until then stays; the next run goes on from there, and leaves the last thing as it is.
    pub async fn set_up(&self, plan: &RealmPlan) -> Result<Vec<Change>, KeycloakError> {
        let elsewhere;
        let plan = if self.is_local() {
            plan
        } else {
            elsewhere = plan.without_known_credentials();
            &elsewhere
        };
        let mut run = SetUp { keycloak: self, plan, path: format!("/{}", plan.realm), changes: Vec::new() };
        run.realm().await?;
        run.roles().await?;
        run.client_scopes().await?;
        run.clients().await?;
        run.policies().await?;
        run.users().await?;
        Ok(run.changes)
    }
}

struct SetUp<'a> {
    keycloak: &'a Keycloak,
    plan: &'a RealmPlan,
    /// The realm's, below `/admin/realms`.
    path: String,
    changes: Vec<Change>,
}

impl SetUp<'_> {
    fn made(&mut self, change: Change) {
        tracing::info!(realm = self.plan.realm, %change, "made");
        self.changes.push(change);
    }

    fn has_made(&self, change: &Change) -> bool {
        self.changes.contains(change)
    }

    /// What the realm has under this path.
    async fn list(&self, path: &str, query: &[(&str, &str)]) -> Result<Vec<Value>, KeycloakError> {
        let action = format!("list {} of the realm {}", path.trim_start_matches('/'), self.plan.realm);
        self.keycloak.list(&action, &format!("{}{path}", self.path), query).await
    }

    async fn make(&mut self, change: Change, path: &str, body: &Value) -> Result<(), KeycloakError> {
        self.keycloak.make(&format!("make {change}"), &format!("{}{path}", self.path), body).await?;
        self.made(change);
        Ok(())
    }

    async fn assign(&mut self, change: Change, path: &str) -> Result<(), KeycloakError> {
        self.keycloak.assign(&format!("make {change}"), &format!("{}{path}", self.path)).await?;
        self.made(change);
        Ok(())
    }

    async fn realm(&mut self) -> Result<(), KeycloakError> {
        let realm = &self.plan.realm;
        if self.keycloak.find(&format!("show the realm {realm}"), &self.path).await?.is_none() {
            let change = Change::Realm(realm.clone());
            self.keycloak.make(&format!("make {change}"), "", &self.plan.file).await?;
            self.made(change);
        }
        Ok(())
    }

    async fn roles(&mut self) -> Result<(), KeycloakError> {
        let mut there = names(&self.list("/roles", &[]).await?, "name");
        let mut missing: Vec<_> = self.plan.roles.iter().filter(|role| !there.contains(&role.name)).collect();
        while !missing.is_empty() {
            // One that has others inside comes after them.
            let next = missing.iter().position(|role| role.composites.iter().all(|inside| there.contains(inside)));
            let role = missing.remove(next.unwrap_or(0));
            self.make(Change::Role(role.name.clone()), "/roles", &role.file).await?;
            there.push(role.name.clone());
        }
        Ok(())
    }

    async fn client_scopes(&mut self) -> Result<(), KeycloakError> {
        let mut there = self.list("/client-scopes", &[]).await?;
        for scope in &self.plan.scopes {
            if let Some(found) = by_name(&there, "name", &scope.name) {
                let id = id(found);
                let mappers = names(found["protocolMappers"].as_array().map_or(&[], Vec::as_slice), "name");
                for mapper in scope.mappers.iter().filter(|mapper| !mappers.contains(&mapper.name)) {
                    let change = Change::Mapper { mapper: mapper.name.clone(), scope: scope.name.clone() };
                    let path = format!("/client-scopes/{id}/protocol-mappers/models");
                    self.make(change, &path, &mapper.file).await?;
                }
            } else {
                self.make(Change::Scope(scope.name.clone()), "/client-scopes", &scope.file).await?;
                there = self.list("/client-scopes", &[]).await?;
                let Some(found) = by_name(&there, "name", &scope.name) else { continue };
                self.scope_mappings(scope, id(found)).await?;
            }
        }
        let new = |scope: &String| self.has_made(&Change::Scope(scope.clone()));
        let Assigned { default, optional } = &self.plan.assigned;
        let new = Assigned {
            default: default.iter().filter(|scope| new(scope)).cloned().collect(),
            optional: optional.iter().filter(|scope| new(scope)).cloned().collect(),
        };
        self.assigned(&there, None, "", &new).await
    }

    /// The roles that a new client scope may be given to: all at once, since with some of them it would be kept from the
    /// others for good. A scope that was there gets none, not even one that is new: the role may have been taken from it
    /// before somebody deleted the role, and whoever is given the role again would have the scope as well.
    async fn scope_mappings(&mut self, scope: &ClientScope, id: &str) -> Result<(), KeycloakError> {
        let roles = self.list("/roles", &[]).await?;
        let found: Vec<_> = scope.roles.iter().filter_map(|role| by_name(&roles, "name", role)).collect();
        if found.is_empty() {
            return Ok(());
        }
        let path = format!("{}/client-scopes/{id}/scope-mappings/realm", self.path);
        let body = found.iter().map(|role| reference(role)).collect();
        self.keycloak.make(&format!("map client scope {} to its roles", scope.name), &path, &body).await?;
        for role in found {
            let role = role["name"].as_str().unwrap_or_default().to_owned();
            self.made(Change::ScopeRole { role, scope: scope.name.clone() });
        }
        Ok(())
    }

    /// The client scopes of a client, which is at `path`, or of the realm. One that is optional where the file has it as
    /// a default, or the other way round, is there.
    async fn assigned(
        &mut self,
        scopes: &[Value],
        client: Option<&str>,
        path: &str,
        wanted: &Assigned,
    ) -> Result<(), KeycloakError> {
        let of_realm = if client.is_none() { "default-" } else { "" };
        let path_of = |optional: bool| {
            format!("{path}/{of_realm}{}-client-scopes", if optional { "optional" } else { "default" })
        };
        let mut there = names(&self.list(&path_of(false), &[]).await?, "name");
        there.extend(names(&self.list(&path_of(true), &[]).await?, "name"));
        for (wanted, optional) in [(&wanted.default, false), (&wanted.optional, true)] {
            for scope in wanted.iter().filter(|scope| !there.contains(scope)) {
                let Some(found) = by_name(scopes, "name", scope) else { continue };
                let scope = scope.clone();
                let change = match client {
                    None => Change::RealmScope { scope, optional },
                    Some(client) => Change::ClientScope { client: client.to_owned(), scope, optional },
                };
                self.assign(change, &format!("{}/{}", path_of(optional), id(found))).await?;
            }
        }
        Ok(())
    }

    async fn client(&self, client: &str) -> Result<Option<Value>, KeycloakError> {
        let found = self.list("/clients", &[("clientId", client)]).await?;
        Ok(by_name(&found, "clientId", client).cloned())
    }

    async fn clients(&mut self) -> Result<(), KeycloakError> {
        let scopes = self.list("/client-scopes", &[]).await?;
        for client in &self.plan.clients {
            if self.client(&client.id).await?.is_some() {
                continue;
            }
            self.make(Change::Client(client.id.clone()), "/clients", &client.file).await?;
            let Some(found) = self.client(&client.id).await? else { continue };
            let path = format!("/clients/{}", id(&found));
            self.assigned(&scopes, Some(&client.id), &path, &client.assigned).await?;
        }
        Ok(())
    }

    async fn policies(&mut self) -> Result<(), KeycloakError> {
        let Some(realm) = self.keycloak.find("show the realm", &self.path).await? else { return Ok(()) };
        let Some(kind) = self.plan.policies.first().map(|policy| policy.file["providerType"].clone()) else {
            return Ok(());
        };
        let there = self.list("/components", &[("type", kind.as_str().unwrap_or_default())]).await?;
        for policy in &self.plan.policies {
            // Not by its name: a second one of a kind only forbids more.
            let same = |other: &&Value| {
                other["providerId"] == policy.provider.as_str()
                    && other["subType"].as_str().unwrap_or_default() == policy.sub_type
            };
            if there.iter().any(|other| same(&other)) {
                continue;
            }
            let mut body = policy.file.clone();
            body["parentId"] = realm["id"].clone();
            self.make(Change::RegistrationPolicy(policy.name.clone()), "/components", &body).await?;
        }
        Ok(())
    }

    async fn user(&self, name: &str) -> Result<Option<Value>, KeycloakError> {
        let found = self.list("/users", &[("username", name), ("exact", "true")]).await?;
        // Keycloak keeps names in lower case.
        Ok(by_name(&found, "username", &name.to_lowercase()).cloned())
    }

    async fn users(&mut self) -> Result<(), KeycloakError> {
        for user in &self.plan.users {
            let found = match &user.service_account_of {
                // Made with its client.
                Some(client) if self.has_made(&Change::Client(client.clone())) => match self.client(client).await? {
                    Some(client) if client["serviceAccountsEnabled"] == true => {
                        let path = format!("{}/clients/{}/service-account-user", self.path, id(&client));
                        self.keycloak.find("show a service account", &path).await?
                    }
                    _ => None,
                },
                None if self.user(&user.name).await?.is_none() => {
                    self.make(Change::User(user.name.clone()), "/users", &user.file).await?;
                    self.user(&user.name).await?
                }
                // Whoever that is.
                _ => None,
            };
            let Some(found) = found else { continue };
            let path = format!("/users/{}/role-mappings/realm", id(&found));
            let has = names(&self.list(&path, &[]).await?, "name");
            let roles = self.list("/roles", &[]).await?;
            for role in user.roles.iter().filter(|role| !has.contains(role)) {
                let Some(found) = by_name(&roles, "name", role) else { continue };
                let change = Change::UserRole { role: role.clone(), user: user.name.clone() };
                self.make(change, &path, &json!([reference(found)])).await?;
            }
        }
        Ok(())
    }
}

fn names(things: &[Value], member: &str) -> Vec<String> {
    things.iter().filter_map(|thing| thing[member].as_str().map(str::to_owned)).collect()
}

fn by_name<'a>(things: &'a [Value], member: &str, name: &str) -> Option<&'a Value> {
    things.iter().find(|thing| thing[member] == name)
}

fn id(thing: &Value) -> &str {
    thing["id"].as_str().unwrap_or_default()
}

/// A role as lists of roles want it.
fn reference(role: &Value) -> Value {
    json!({ "id": role["id"], "name": role["name"] })
}
