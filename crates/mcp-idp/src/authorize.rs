//! The authorization endpoint: what is asked, by whom, and whether it may be asked at all (RFC 6749 §4.1.1).
//!
//! Nothing is kept of a request until somebody has answered it: the forms carry the query along, and it is checked anew
//! each time. So strangers fill no memory, and any server of several can go on where another began.

use std::{borrow::Cow, net::IpAddr, sync::Arc, time::Duration};

use axum::{
    extract::{RawQuery, State},
    http::{
        HeaderMap, HeaderValue, StatusCode,
        header::{CACHE_CONTROL, LOCATION, REFERRER_POLICY, RETRY_AFTER, SET_COOKIE},
    },
    response::{IntoResponse, Response},
};
use oauth_as::{
    AuthorizationError, AuthorizationErrorRedirect, AuthorizationRequest, Client, ClientId, ErrorCode, ErrorResponse,
    Storage, ValidatedAuthorizationRequest,
};

use crate::{
    cimd::{DocumentError, Documents},
    form::Parameters,
    oauth_error::{OAuthError, refused},
    pages,
    peer::Peer,
    redirect_uri, scopes,
    server::Idp,
    session::{Browser, Form},
};

/// No query is longer, in bytes: it has to fit into a form.
const MAX_QUERY: usize = 8 * 1024;

/// A request that may be put before a person.
pub(crate) struct Asked {
    /// Its `scope` is what was asked for, its `resource` what was asked for by name.
    pub(crate) validated: ValidatedAuthorizationRequest,
    pub(crate) client: Arc<Client>,
    /// The host that the client's metadata document came from.
    pub(crate) described_at: Option<String>,
    /// As it came.
    pub(crate) query: String,
}

/// Why nobody is asked.
pub(crate) enum Refusal {
    /// There is nowhere to send an answer, or nowhere that can be trusted: a page says it (RFC 6749 §4.1.2.1).
    Page(StatusCode, String),
    /// Too many questions from one address.
    TooMany(Duration),
    /// The client is told.
    Redirect(Box<AuthorizationErrorRedirect>),
    /// The client would be told, but would send a person who has seen nothing of ours to an address of its choice, which
    /// makes this server an open redirector for whoever registers (RFC 9700 §4.11.2, AS23).
    Untrusted(Box<AuthorizationErrorRedirect>),
}

/// `GET` of the authorization endpoint: the login page, or the consent page for whoever is logged in.
pub(crate) async fn authorize(
    State(idp): State<Arc<Idp>>,
    Peer(from): Peer,
    headers: HeaderMap,
    RawQuery(query): RawQuery,
) -> Response {
    // A picture or a frame on somebody's page is no person who wants to log in, and must not make this server fetch.
    if headers.get("sec-fetch-dest").is_some_and(|destination| destination != "document") {
        let why = "this is a page for a window of its own".to_owned();
        return idp.refuse(Refusal::Page(StatusCode::BAD_REQUEST, why));
    }
    let asked = match idp.understand(query.as_deref().unwrap_or_default(), from).await {
        Ok(asked) => asked,
        Err(refusal) => return idp.refuse(refusal),
    };
    let browser = idp.sessions.browser(&headers);
    if idp.answered(&browser, &asked.query).is_some() {
        return idp.already_answered();
    }
    let person = idp.sessions.person(&browser).and_then(|subject| idp.realm.user_by_subject(&subject).cloned());
    let page = match person {
        Some(user) => idp.consent_page(&asked, &browser, &user),
        None => idp.login_page(&asked, &browser, "", None),
    };
    idp.with_cookie(page, &browser)
}

impl Idp {
    /// Reads a request, from a query or from a form of ours.
    pub(crate) async fn understand(&self, query: &str, from: IpAddr) -> Result<Asked, Refusal> {
        let page = |error: ErrorResponse| Refusal::Page(StatusCode::BAD_REQUEST, described(&error));
        if query.len() > MAX_QUERY {
            return Err(Refusal::Page(StatusCode::URI_TOO_LONG, "the request is too long".to_owned()));
        }
        let parameters = Parameters::parse(query.as_bytes()).map_err(page)?;
        let client_id = ClientId::new(parameters.required("client_id").map_err(page)?);
        let described_at = match self.know_document(client_id.as_str(), from).await {
            Ok(host) => host,
            Err(DocumentProblem::TooMany(after)) => return Err(Refusal::TooMany(after)),
            Err(DocumentProblem::Passing(why)) => return Err(Refusal::Page(StatusCode::SERVICE_UNAVAILABLE, why)),
            Err(DocumentProblem::Bad(why)) => return Err(Refusal::Page(StatusCode::BAD_REQUEST, why)),
        };
        let store = self.engine.store();
        let client = store.get_client(&client_id).await.map_err(|error| {
            tracing::error!(%error, "the store");
            page(ErrorResponse::new(ErrorCode::ServerError))
        })?;
        let client = client.ok_or_else(|| {
            let why = "this application is not known here; it has to register first, or has to register again";
            Refusal::Page(StatusCode::BAD_REQUEST, why.to_owned())
        })?;

        // Which registered URI is meant. The state machine compares letters, so it is given the registered one.
        let requested = parameters.get("redirect_uri");
        let public = !client.auth.is_confidential();
        let registered = requested.map(|requested| {
            let mut uris = client.redirect_uris.iter();
            let found = uris.find(|registered| redirect_uri::matches(registered, requested, public));
            found.ok_or_else(|| {
                let why = "the address that the answer is to be sent to (redirect_uri) is none of the application's";
                Refusal::Page(StatusCode::BAD_REQUEST, why.to_owned())
            })
        });
        let registered = registered.transpose()?;

        let mut request = AuthorizationRequest::from_pairs(parameters.pairs());
        request.redirect_uri = registered.map(|uri| Cow::Borrowed(uri.as_str()));
        // Ours are checked below, where the spellings of this machine are one.
        request.resource.clear();
        let scope = scopes::asked(parameters.get("scope"));
        let scope = scope.map(|scope| scope.map(|scope| Cow::Owned(scope.to_string())));
        request.scope = scope.as_ref().map_or(Some(Cow::Borrowed("\"")), Clone::clone);

        let validated = self.engine.validate_authorization_request(&request).await;
        let resources = self.resources.permit(&parameters.all("resource"));
        let error = match (validated, resources) {
            (Ok(mut validated), Ok(resources)) => {
                if let Some(requested) = requested {
                    validated.redirect_uri = requested.to_owned();
                }
                validated.resource = resources;
                return Ok(Asked { validated, client, described_at, query: query.to_owned() });
            }
            (Ok(validated), Err(error)) => AuthorizationErrorRedirect { error, ..validated.denied() },
            (Err(AuthorizationError::Redirect(error)), _) => error,
            (Err(AuthorizationError::Direct(error)), _) => return Err(page(error)),
        };
        let redirect_uri = requested.map_or(error.redirect_uri, str::to_owned);
        let error = Box::new(AuthorizationErrorRedirect { redirect_uri, ..error });
        let trusted = self.realm.client(client_id.as_str()).is_some() || redirect_uri::is_local(&error.redirect_uri);
        Err(if trusted { Refusal::Redirect(error) } else { Refusal::Untrusted(error) })
    }

    /// Reads the request that a form of ours is about, and makes sure that it is ours and of this browser.
    pub(crate) async fn our_form(
        &self,
        kind: Form,
        form: &Parameters,
        headers: &HeaderMap,
        from: IpAddr,
    ) -> Result<(Asked, Browser), Response> {
        let asked = self.understand(form.get("request").unwrap_or_default(), from).await;
        let asked = asked.map_err(|refusal| self.refuse(refusal))?;
        let browser = self.sessions.browser(headers);
        if self.sessions.is_ours(kind, &browser, &asked.query, form.get("csrf").unwrap_or_default(), headers) {
            return Ok((asked, browser));
        }
        tracing::info!(target: "mcp_idp::audit", client = %asked.client.client_id, "a form that is not of this browser, or too old");
        let text = "The page was open too long, or your browser takes no cookies. Begin again in the application.";
        Err(self.message(StatusCode::FORBIDDEN, "This page is no longer good", text, None))
    }

    /// Makes the client of a metadata document known to the state machine, as it stands in the document at this time.
    /// For any other client there is nothing to do.
    pub(crate) async fn know_document(&self, client_id: &str, from: IpAddr) -> Result<Option<String>, DocumentProblem> {
        // Whoever wrote the realm file has said who this is, also if it is a URL.
        if !Documents::is_document_url(client_id) || self.realm.client(client_id).is_some() {
            return Ok(None);
        }
        let document = self.documents.resolve(client_id, from).await.map_err(|error| match error {
            DocumentError::TooMany { retry_after } => DocumentProblem::TooMany(retry_after),
            other if other.is_passing() => DocumentProblem::Passing(other.to_string()),
            other => DocumentProblem::Bad(format!("the application's description cannot be used: {other}")),
        })?;
        let client = Client {
            allowed_scopes: self.catalogue.clone(),
            default_scopes: self.default_scopes.clone(),
            ..document.client.clone()
        };
        let store = self.engine.store();
        let known = store.get_client(&client.client_id).await.ok().flatten();
        if known.as_deref() != Some(&client) {
            if known.is_none() {
                // Forgotten like one that registers itself, until a person lets it in; it is made anew when it is needed.
                self.registrations.added(store, client.client_id.clone(), from).await;
            }
            self.engine.register_client(client).await.map_err(|error| {
                tracing::error!(%error, "the client of a metadata document");
                DocumentProblem::Passing("the server failed".to_owned())
            })?;
        }
        Ok(Some(document.host.clone()))
    }

    pub(crate) fn refuse(&self, refusal: Refusal) -> Response {
        match refusal {
            Refusal::Page(status, why) => self.message(status, "This request cannot be answered", &why, None),
            Refusal::TooMany(after) => {
                let why = format!("There were too many requests. Try again in {} s.", after.as_secs());
                let mut response = self.message(StatusCode::TOO_MANY_REQUESTS, "Too many requests", &why, None);
                response.headers_mut().insert(RETRY_AFTER, HeaderValue::from(after.as_secs()));
                response
            }
            Refusal::Redirect(error) => redirect(&error.location()),
            Refusal::Untrusted(error) => {
                let why = format!(
                    "The application asks for something that it cannot have here. Go back to it; it is at {}.",
                    redirect_uri::host(&error.redirect_uri)
                );
                let detail = described(&error.error);
                self.message(StatusCode::BAD_REQUEST, "This request cannot be answered", &why, Some(&detail))
            }
        }
    }

    pub(crate) fn already_answered(&self) -> Response {
        let why = "Go back to the application. To connect it another time, begin there.";
        self.message(StatusCode::CONFLICT, "This request has been answered", why, None)
    }

    pub(crate) fn message(&self, status: StatusCode, title: &str, text: &str, detail: Option<&str>) -> Response {
        let page = pages::Message { chrome: self.chrome(), title, text, detail };
        pages::response(status, page.render(), None)
    }

    pub(crate) fn chrome(&self) -> pages::Chrome<'_> {
        pages::Chrome { style: &self.style_url, server_name: self.realm.name() }
    }

    pub(crate) fn with_cookie(&self, mut response: Response, browser: &Browser) -> Response {
        if let Some(cookie) = self.sessions.set_cookie(browser) {
            response.headers_mut().insert(SET_COOKIE, cookie);
        }
        response
    }
}

/// Why a client of a metadata document is not known.
pub(crate) enum DocumentProblem {
    TooMany(Duration),
    /// Another time it may be there: no reason for a client to forget what it has.
    Passing(String),
    Bad(String),
}

impl From<DocumentProblem> for OAuthError {
    fn from(problem: DocumentProblem) -> Self {
        match problem {
            DocumentProblem::TooMany(after) => Self::TooMany(after),
            DocumentProblem::Passing(why) => refused(ErrorCode::TemporarilyUnavailable, why).into(),
            DocumentProblem::Bad(why) => refused(ErrorCode::InvalidClient, why).into(),
        }
    }
}

/// Where the browser goes next. 303, so that it goes there with GET (RFC 9700 §4.12).
pub(crate) fn redirect(to: &str) -> Response {
    match HeaderValue::from_str(to) {
        Ok(to) => {
            // The page that it comes from has the request in its URL, which is nobody else's business.
            let headers = [
                (LOCATION, to),
                (CACHE_CONTROL, HeaderValue::from_static("no-store")),
                (REFERRER_POLICY, HeaderValue::from_static("no-referrer")),
            ];
            (StatusCode::SEE_OTHER, headers).into_response()
        }
        // Every redirect URI was checked to be visible ASCII, and what is added to it is percent-encoded.
        Err(_) => StatusCode::INTERNAL_SERVER_ERROR.into_response(),
    }
}

fn described(error: &ErrorResponse) -> String {
    error.error_description.as_deref().unwrap_or(error.error.as_str()).to_owned()
}
