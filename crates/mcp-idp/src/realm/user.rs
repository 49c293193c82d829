//! A person, or the service account of a client.

/// Who a token can be about.
#[derive(Debug)]
pub struct User {
    subject: String,
    username: String,
    roles: Vec<String>,
    email: Option<String>,
    display_name: String,
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
}
