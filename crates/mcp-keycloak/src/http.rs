//! Requests to one Keycloak, with their limits.

use std::{error::Error, time::Duration};

use reqwest::{Client, RequestBuilder, Response, redirect, retry};
use serde_json::Value;
use url::{Host, Url};

use crate::KeycloakError;

const CONNECT_TIMEOUT: Duration = Duration::from_secs(5);
/// For all of a request. Making a realm takes Keycloak seconds, on a busy machine many.
const TIMEOUT: Duration = Duration::from_secs(60);
/// No answer is larger, in bytes. A realm's list of client scopes is some 30 KB.
const MAX_BODY: usize = 8 * 1024 * 1024;

/// A base URL, without the slash at its end: https, or http on a loopback host, since a password is sent there.
pub(crate) fn base(url: &str) -> Result<Url, KeycloakError> {
    let url = Url::parse(url).map_err(|_| KeycloakError::Url("it is not an absolute URL"))?;
    match url.scheme() {
        "https" => {}
        "http" if is_loopback(&url) => {}
        "http" => return Err(KeycloakError::Url("http is for loopback hosts alone; use https")),
        _ => return Err(KeycloakError::Url("it is neither https nor http")),
    }
    if !url.username().is_empty() || url.password().is_some() {
        return Err(KeycloakError::Url("it has user information"));
    }
    if url.query().is_some() || url.fragment().is_some() {
        return Err(KeycloakError::Url("it has a query or a fragment"));
    }
    Ok(url)
}

pub(crate) fn is_loopback(url: &Url) -> bool {
    match url.host() {
        Some(Host::Domain(name)) => name == "localhost",
        Some(Host::Ipv4(address)) => address.is_loopback(),
        Some(Host::Ipv6(address)) => address.is_loopback(),
        None => false,
    }
}

pub(crate) fn client(base: &Url) -> Result<Client, KeycloakError> {
    let mut client = Client::builder()
        .user_agent(concat!(env!("CARGO_PKG_NAME"), "/", env!("CARGO_PKG_VERSION")))
        .connect_timeout(CONNECT_TIMEOUT)
        .timeout(TIMEOUT)
        // Passwords and tokens go to the URL that was configured, and to nowhere that an answer points to.
        .redirect(redirect::Policy::none())
        // What was made is not made again because an answer was lost.
        .retry(retry::never());
    if is_loopback(base) {
        // It would not be this machine's loopback.
        client = client.no_proxy();
    }
    client.build().map_err(|error| KeycloakError::Client(chain(&error)))
}

/// What Keycloak said.
#[derive(Debug)]
pub(crate) struct Answer {
    pub(crate) status: u16,
    /// `null` if it is not JSON.
    pub(crate) json: Value,
}

impl Answer {
    pub(crate) const fn is_success(&self) -> bool {
        self.status >= 200 && self.status < 300
    }

    pub(crate) fn text(&self, member: &str) -> Option<&str> {
        self.json[member].as_str()
    }

    /// Keycloak's reason, under the three names that it has for it. Cut: whoever answers chose its length.
    pub(crate) fn why(&self) -> String {
        let reason = ["error_description", "errorMessage", "error"].into_iter().find_map(|member| self.text(member));
        reason.unwrap_or("without a reason").chars().filter(|c| !c.is_control()).take(200).collect()
    }
}

/// Sends a request; an error is a sentence without the URL.
pub(crate) async fn send(request: RequestBuilder) -> Result<Answer, String> {
    let answer = request.send().await.map_err(|error| chain(&error.without_url()))?;
    let status = answer.status().as_u16();
    let body = body(answer).await?;
    Ok(Answer { status, json: serde_json::from_slice(&body).unwrap_or(Value::Null) })
}

async fn body(mut answer: Response) -> Result<Vec<u8>, String> {
    let mut body = Vec::new();
    while let Some(chunk) = answer.chunk().await.map_err(|error| chain(&error.without_url()))? {
        if body.len() + chunk.len() > MAX_BODY {
            return Err(format!("its answer is larger than {MAX_BODY} bytes"));
        }
        body.extend_from_slice(&chunk);
    }
    Ok(body)
}

/// An error with its causes: what a person needs (connection refused, unknown certificate) stands last.
fn chain(error: &reqwest::Error) -> String {
    let mut text = error.to_string();
    let mut cause = error.source();
    while let Some(error) = cause {
        text = format!("{text}: {error}");
        cause = error.source();
    }
    text
}
