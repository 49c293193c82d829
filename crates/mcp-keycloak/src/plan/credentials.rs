//! What of the file is no secret any more: passwords and client secrets that everybody may read who has the file.

use serde_json::Value;

use super::{Client, RealmPlan, User, retarget::each_object};

impl Client {
    /// A secret of the file, or no more than a password: of people, who may have one of the file.
    pub(crate) fn has_known_credentials(&self) -> bool {
        self.direct_access_grants || !self.file["secret"].is_null()
    }
}

impl User {
    fn has_known_credentials(&self) -> bool {
        self.file["credentials"].as_array().is_some_and(|credentials| !credentials.is_empty())
    }
}

impl RealmPlan {
    /// The same without people who have a password in the file, without clients that have a secret there or take
    /// passwords, and without what the file says of these clients. What is left is fit for a Keycloak that others reach;
    /// the people and clients there are somebody's to make, with credentials of their own.
    #[must_use]
    pub fn without_known_credentials(&self) -> Self {
        let mut plan = self.clone();
        let known = self.clients.iter().filter(|client| client.has_known_credentials());
        let known: Vec<&str> = known.map(|client| client.id.as_str()).collect();
        let is_known = |id: &Value| id.as_str().is_some_and(|id| known.contains(&id));
        plan.clients.retain(|client| !known.contains(&client.id.as_str()));
        plan.users.retain(|user| {
            let of_known = user.service_account_of.as_deref().is_some_and(|client| known.contains(&client));
            !user.has_known_credentials() && !of_known
        });

        let list = |file: &mut Value, member: &str, keep: &dyn Fn(&Value) -> bool| {
            if let Some(entries) = file.get_mut(member).and_then(Value::as_array_mut) {
                entries.retain(keep);
            }
        };
        list(&mut plan.file, "clients", &|client| !is_known(&client["clientId"]));
        list(&mut plan.file, "users", &|user| plan.users.iter().any(|kept| user["username"] == kept.name.as_str()));
        list(&mut plan.file, "scopeMappings", &|mapping| !is_known(&mapping["client"]));
        // Keycloak refuses a file that mentions a client which it does not have: its roles, and who has or is mapped to
        // them.
        each_object(&mut plan.file, &|members| {
            for member in ["client", "clientRoles", "clientScopeMappings"] {
                if let Some(by_client) = members.get_mut(member).and_then(Value::as_object_mut) {
                    by_client.retain(|client, _| !known.contains(&client.as_str()));
                }
            }
        });
        plan
    }
}
