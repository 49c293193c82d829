//! A person logs in.

use std::{net::IpAddr, sync::Arc, time::Duration};

use axum::{
    extract::State,
    http::{HeaderMap, HeaderValue, StatusCode, header::RETRY_AFTER},
    response::Response,
};

use crate::{
    authorize::{Asked, redirect},
    form::Parameters,
    pages::{self, LoginProblem},
    peer::Peer,
    realm::User,
    redirect_uri,
    server::Idp,
    session::{Browser, Form},
};

/// So many passwords are checked at once; each takes 19 MiB and tens of milliseconds.
pub(crate) const CHECKS: usize = 4;

pub(crate) enum NotLoggedIn {
    Wrong,
    /// Not looked at: too soon after too many wrong ones.
    Slow(Duration),
}

/// `POST` of the login form.
pub(crate) async fn login(
    State(idp): State<Arc<Idp>>,
    Peer(from): Peer,
    headers: HeaderMap,
    form: Parameters,
) -> Response {
    let (asked, browser) = match idp.our_form(Form::Login, &form, &headers, from).await {
        Ok(ours) => ours,
        Err(refusal) => return refusal,
    };
    let (username, password) = (form.get("username").unwrap_or_default(), form.get("password").unwrap_or_default());
    match idp.check_password(username.to_owned(), password.to_owned(), from).await {
        Ok(user) => {
            tracing::info!(target: "mcp_idp::audit", subject = user.subject(), client = %asked.client.client_id, %from, "logged in");
            let browser = idp.sessions.log_in(&browser, user.subject());
            idp.with_cookie(redirect(&idp.back_to(&asked)), &browser)
        }
        Err(NotLoggedIn::Wrong) => {
            tracing::info!(target: "mcp_idp::audit", client = %asked.client.client_id, %from, "login refused");
            idp.with_cookie(idp.login_page(&asked, &browser, username, Some(LoginProblem::Wrong)), &browser)
        }
        Err(NotLoggedIn::Slow(after)) => {
            let problem = LoginProblem::Slow { seconds: after.as_secs() };
            let mut response = idp.login_page(&asked, &browser, username, Some(problem));
            response.headers_mut().insert(RETRY_AFTER, HeaderValue::from(after.as_secs()));
            idp.with_cookie(response, &browser)
        }
    }
}

impl Idp {
    /// Checks a password, as often and as fast as this account and this address may.
    pub(crate) async fn check_password(
        self: &Arc<Self>,
        username: String,
        password: String,
        from: IpAddr,
    ) -> Result<Arc<User>, NotLoggedIn> {
        let attempt = self.delays.begin(&username, from).map_err(NotLoggedIn::Slow)?;
        let one_of_few = Arc::clone(&self.checks).acquire_owned().await;
        let idp = Arc::clone(self);
        let checked = tokio::task::spawn_blocking(move || {
            // Held by the work: a browser that goes away does not stop it.
            let _one_of_few = one_of_few;
            idp.realm.check_password(&username, &password)
        });
        let checked = checked.await;
        match checked.ok().flatten() {
            Some(user) => {
                attempt.succeeded();
                Ok(user)
            }
            None => {
                attempt.failed();
                Err(NotLoggedIn::Wrong)
            }
        }
    }

    pub(crate) fn login_page(
        &self,
        asked: &Asked,
        browser: &Browser,
        username: &str,
        problem: Option<LoginProblem>,
    ) -> Response {
        let status = match &problem {
            None => StatusCode::OK,
            Some(LoginProblem::Wrong) => StatusCode::UNAUTHORIZED,
            Some(LoginProblem::Slow { .. }) => StatusCode::TOO_MANY_REQUESTS,
        };
        let host = redirect_uri::host(&asked.validated.redirect_uri);
        let page = pages::Login {
            chrome: self.chrome(),
            client: self.shown(asked, &host),
            action: &self.endpoints.login,
            request: &asked.query,
            csrf: &self.sessions.form_token(Form::Login, browser, &asked.query),
            username,
            problem,
        };
        pages::response(status, page.render(), None)
    }

    /// The client as a person is shown it.
    pub(crate) fn shown<'a>(&'a self, asked: &'a Asked, redirect_host: &'a str) -> pages::Client<'a> {
        let id = asked.client.client_id.as_str();
        pages::Client {
            name: asked.client.name.as_deref().unwrap_or(id),
            redirect_host,
            redirect_uri: &asked.validated.redirect_uri,
            local_only: asked.client.redirect_uris.iter().all(|uri| redirect_uri::is_local(uri)),
            described_at: asked.described_at.as_deref(),
            pre_registered: self.realm.client(id).is_some(),
        }
    }

    /// The URL of this request, without anything that the browser does not know already.
    pub(crate) fn back_to(&self, asked: &Asked) -> String {
        format!("{}?{}", self.endpoints.authorize, asked.query)
    }
}
