//! A person, or the service account of a client.

use std::collections::HashMap;

use super::{
    RealmError,
    client::is_built_in,
    credential::{Password, Unusable},
    json::Object,
    role::Roles,
    settings::is_nothing,
};

/// What a user may have in a file and has nothing of here.
const NOT_HONOURED: [&str; 5] =
    ["groups", "federatedIdentities", "federationLink", "clientConsents", "applicationRoles"];

/// Who a token can be about.
#[derive(Debug)]
pub struct User {
    subject: String,
    username: String,
    roles: Vec<String>,
    email: Option<String>,
    email_verified: bool,
    first_name: Option<String>,
    last_name: Option<String>,
    display_name: String,
    attributes: HashMap<String, Vec<String>>,
    enabled: bool,
    service_account_of: Option<String>,
    /// What logs them in; `None`: nothing does.
    password: Option<Password>,
}

impl User {
    /// What tokens call them (`sub`): their `id` in the file, else their username.
    pub fn subject(&self) -> &str {
        &self.subject
    }

    /// Their username, in lower case, as Keycloak keeps it.
    pub fn username(&self) -> &str {
        &self.username
    }

    /// The realm roles that they have, those inside of composite roles too.
    pub fn roles(&self) -> &[String] {
        &self.roles
    }

    /// Their e-mail address.
    pub fn email(&self) -> Option<&str> {
        self.email.as_deref()
    }

    /// Their first and last name, else their username.
    pub fn display_name(&self) -> &str {
        &self.display_name
    }

    /// Whether they may have tokens at all.
    pub fn is_enabled(&self) -> bool {
        self.enabled
    }

    pub(super) fn email_verified(&self) -> bool {
        self.email_verified
    }

    pub(super) fn full_name(&self) -> Option<String> {
        full_name(self.first_name.as_deref(), self.last_name.as_deref())
    }

    pub(super) fn service_account_of(&self) -> Option<&str> {
        self.service_account_of.as_deref()
    }

    pub(super) fn password(&self) -> Option<&Password> {
        self.password.as_ref()
    }

    /// Whether this is a member of the user in the file, and not of their `attributes`.
    pub(super) fn has_property(name: &str) -> bool {
        ["username", "email", "firstName", "lastName"].contains(&name)
    }

    /// What a mapper calls an attribute: these members, and what is in `attributes`.
    pub(super) fn attribute(&self, name: &str) -> impl Iterator<Item = &str> {
        let property = match name {
            "username" => Some(self.username.as_str()),
            "email" => self.email.as_deref(),
            "firstName" => self.first_name.as_deref(),
            "lastName" => self.last_name.as_deref(),
            _ => None,
        };
        let others = if Self::has_property(name) { None } else { self.attributes.get(name) };
        property.into_iter().chain(others.into_iter().flatten().map(String::as_str))
    }

    /// The user of a client's service account that the file does not describe.
    pub(super) fn service_account(client: &str, roles: &Roles) -> Self {
        let username = service_account_name(client);
        let roles = if roles.contains("user") { roles.expand(["user"]) } else { Vec::new() };
        Self {
            subject: username.clone(),
            display_name: username.clone(),
            username,
            roles,
            email: None,
            email_verified: false,
            first_name: None,
            last_name: None,
            attributes: HashMap::new(),
            enabled: true,
            service_account_of: Some(client.to_owned()),
            password: None,
        }
    }

    pub(super) fn read(
        user: &Object,
        roles: &Roles,
        realm_verifies_email: bool,
        notices: &mut Vec<String>,
    ) -> Result<Self, RealmError> {
        let username = user.name("username")?.trim().to_lowercase();
        if username.is_empty() {
            return Err(user.error("username", "is empty"));
        }
        let subject = match user.text("id")? {
            Some("") => return Err(user.error("id", "is empty")),
            Some(id) => id.to_owned(),
            None => username.clone(),
        };
        let text =
            |name: &str| Ok::<_, RealmError>(user.text(name)?.filter(|text| !text.is_empty()).map(str::to_owned));
        let (email, first_name, last_name) = (text("email")?, text("firstName")?, text("lastName")?);
        let email_verified = user.flag("emailVerified")?.unwrap_or(false);
        let enabled = user.flag("enabled")?;
        if enabled.is_none() {
            notices
                .push(format!("user {username}: enabled is missing, and Keycloak takes that for false; so it is here"));
        }
        let attributes = user.text_members("attributes")?.into_iter();
        let direct = user.texts("realmRoles")?.unwrap_or_default();
        report_the_rest(user, &username, notices);

        let service_account_of = text("serviceAccountClientId")?;
        let obstacle = match &service_account_of {
            Some(_) => Some("it is a service account".to_owned()),
            None => obstacle(user, realm_verifies_email && !email_verified)?,
        };
        let password = match (password(user)?, obstacle) {
            (Ok(password), None) => password,
            (Ok(None), Some(_)) => None,
            (Ok(Some(_)), Some(why)) | (Err(why), _) => {
                notices.push(format!("user {username}: {why}; the password is no login"));
                None
            }
        };
        Ok(Self {
            display_name: full_name(first_name.as_deref(), last_name.as_deref()).unwrap_or_else(|| username.clone()),
            subject,
            username,
            roles: roles.expand(direct.iter().map(String::as_str)),
            email,
            email_verified,
            first_name,
            last_name,
            attributes: attributes.map(|(name, values)| (name.to_owned(), values)).collect(),
            enabled: enabled.unwrap_or(false),
            service_account_of,
            password,
        })
    }
}

/// What Keycloak calls the user of a client's service account.
pub(super) fn service_account_name(client: &str) -> String {
    format!("service-account-{client}").to_lowercase()
}

fn full_name(first: Option<&str>, last: Option<&str>) -> Option<String> {
    match (first, last) {
        (Some(first), Some(last)) => Some(format!("{first} {last}")),
        (first, last) => first.or(last).map(str::to_owned),
    }
}

/// The one password of a user; or, in the inner error, why it cannot be used.
fn password(user: &Object) -> Result<Result<Option<Password>, String>, RealmError> {
    let mut found = None;
    for credential in user.objects("credentials")? {
        if credential.name("type")? != "password" {
            continue;
        }
        if found.is_some() {
            return Ok(Err("it has several passwords".to_owned()));
        }
        found = match Password::read(&credential) {
            Ok(password) => Some(password),
            Err(Unusable::Unsupported(why)) => return Ok(Err(why)),
            Err(Unusable::Malformed(error)) => return Err(error),
        };
    }
    Ok(Ok(found))
}

/// What Keycloak would ask of the user besides the password.
fn obstacle(user: &Object, email_unverified: bool) -> Result<Option<String>, RealmError> {
    for credential in user.objects("credentials")? {
        match credential.name("type")? {
            "password" if credential.flag("temporary")? == Some(true) => {
                return Ok(Some("its password is to be changed (temporary)".to_owned()));
            }
            // Old passwords, kept so that they are not used again.
            "password" | "password-history" => {}
            other => return Ok(Some(format!("it has a credential of the type {other}"))),
        }
    }
    if user.flag("totp")? == Some(true) {
        return Ok(Some("it has a one-time password (totp)".to_owned()));
    }
    let actions = user.texts("requiredActions")?.unwrap_or_default();
    if !actions.is_empty() {
        return Ok(Some(format!("it has required actions ({})", actions.join(", "))));
    }
    Ok(email_unverified.then(|| "its address is not verified (verifyEmail)".to_owned()))
}

fn report_the_rest(user: &Object, username: &str, notices: &mut Vec<String>) {
    let mut found: Vec<&str> =
        NOT_HONOURED.into_iter().filter(|name| user.get(name).is_some_and(|value| !is_nothing(value))).collect();
    let client_roles = user.get("clientRoles").and_then(|roles| roles.as_object());
    if client_roles.is_some_and(|clients| clients.keys().any(|client| !is_built_in(client))) {
        found.push("clientRoles");
    }
    if !found.is_empty() {
        notices.push(format!("user {username}: without effect here: {}", found.join(", ")));
    }
}
