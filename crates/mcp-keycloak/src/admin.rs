//! The Admin REST API, as an administrator of the realm `master` who logs in again whenever a minute is over.

use std::time::{Duration, Instant};

use reqwest::Method;
use serde_json::Value;

use crate::{
    Keycloak, KeycloakError,
    http::{self, Answer},
};

/// A token is not used for the last of its time: the request that it is for takes some of it.
const MARGIN: Duration = Duration::from_secs(10);

#[derive(Clone)]
pub(crate) struct AdminToken {
    token: String,
    until: Instant,
}

impl Keycloak {
    pub(crate) async fn admin_token(&self) -> Result<String, KeycloakError> {
        let mut current = self.token.lock().await;
        if let Some(token) = current.as_ref().filter(|token| Instant::now() < token.until) {
            return Ok(token.token.clone());
        }
        let url = format!("{}/protocol/openid-connect/token", self.issuer("master"));
        let form = [
            ("grant_type", "password"),
            ("client_id", "admin-cli"),
            ("username", &self.user),
            ("password", &self.password),
        ];
        let asked = Instant::now();
        let answer = http::send(self.client.post(url).form(&form)).await.map_err(|why| self.unreachable(why))?;
        let Some(token) = answer.text("access_token").filter(|_| answer.is_success()) else {
            return Err(self.no_token(&answer));
        };
        let lifetime = Duration::from_secs(answer.json["expires_in"].as_u64().unwrap_or(0).min(3600));
        let token = AdminToken { token: token.to_owned(), until: asked + lifetime.saturating_sub(MARGIN) };
        Ok(current.insert(token).token.clone())
    }

    fn no_token(&self, answer: &Answer) -> KeycloakError {
        let url = self.url().to_owned();
        match (answer.status, answer.text("error")) {
            // A proxy whose Keycloak is away, or one that is starting.
            (502..=504, _) => self.unreachable(format!("its status is {}", answer.status)),
            (_, Some("invalid_grant" | "unauthorized_client" | "invalid_client" | "invalid_request")) => {
                KeycloakError::Credentials { user: self.user.clone(), why: answer.why() }
            }
            (status, _) => {
                let why = format!("its token endpoint for the realm master answers {status} {}", answer.why());
                KeycloakError::NotKeycloak { url, why }
            }
        }
    }

    /// A request below `/admin/realms`; `action` completes "Keycloak does not …". Any status but 401 and 403 is an answer.
    async fn ask(
        &self,
        action: &str,
        method: Method,
        path: &str,
        query: &[(&str, &str)],
        body: Option<&Value>,
    ) -> Result<Answer, KeycloakError> {
        let mut again = true;
        loop {
            let token = self.admin_token().await?;
            let url = format!("{}/admin/realms{path}", self.url());
            let mut request = self.client.request(method.clone(), url).query(query).bearer_auth(&token);
            if let Some(body) = body {
                request = request.json(body);
            }
            let answer = http::send(request).await.map_err(|why| self.unreachable(why))?;
            match answer.status {
                // Ended early: Keycloak was started again, or somebody logged the administrator out.
                401 if again => {
                    again = false;
                    *self.token.lock().await = None;
                }
                403 => {
                    return Err(KeycloakError::Forbidden { user: self.user.clone(), action: action.to_owned() });
                }
                401 | 500.. => return Err(refused(action, &answer)),
                _ => return Ok(answer),
            }
        }
    }

    /// One thing; `None` if it is not there.
    pub(crate) async fn find(&self, action: &str, path: &str) -> Result<Option<Value>, KeycloakError> {
        let answer = self.ask(action, Method::GET, path, &[], None).await?;
        match answer.status {
            404 => Ok(None),
            200 => Ok(Some(answer.json)),
            _ => Err(refused(action, &answer)),
        }
    }

    /// A list of things.
    pub(crate) async fn list(
        &self,
        action: &str,
        path: &str,
        query: &[(&str, &str)],
    ) -> Result<Vec<Value>, KeycloakError> {
        let answer = self.ask(action, Method::GET, path, query, None).await?;
        match (answer.status, answer.json) {
            (200, Value::Array(things)) => Ok(things),
            (status, json) => Err(refused(action, &Answer { status, json })),
        }
    }

    /// Makes a thing.
    pub(crate) async fn make(&self, action: &str, path: &str, body: &Value) -> Result<(), KeycloakError> {
        self.write(action, Method::POST, path, Some(body)).await
    }

    /// Puts one thing to another.
    pub(crate) async fn assign(&self, action: &str, path: &str) -> Result<(), KeycloakError> {
        self.write(action, Method::PUT, path, None).await
    }

    async fn write(&self, action: &str, method: Method, path: &str, body: Option<&Value>) -> Result<(), KeycloakError> {
        let answer = self.ask(action, method, path, &[], body).await?;
        if answer.is_success() { Ok(()) } else { Err(refused(action, &answer)) }
    }
}

fn refused(action: &str, answer: &Answer) -> KeycloakError {
    KeycloakError::Refused { action: action.to_owned(), status: answer.status, why: answer.why() }
}
