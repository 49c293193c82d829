//! A person decides what a client may do.

use std::{
    sync::Arc,
    time::{Duration, Instant, SystemTime},
};

use axum::{
    extract::State,
    http::{HeaderMap, StatusCode},
    response::Response,
};
use oauth_as::{AuthorizationError, ScopeSet, UserApproval};

use crate::{
    authorize::{Asked, redirect},
    form::Parameters,
    pages,
    peer::Peer,
    realm::User,
    redirect_uri, scopes,
    server::Idp,
    session::{Browser, Form},
};

/// A second click on the button is the same decision, for as long as two clicks can be apart.
const SAME_DECISION: Duration = Duration::from_secs(10);

/// What a person has decided about one request.
#[derive(Clone)]
pub(crate) struct Answer {
    location: String,
    at: Instant,
}

/// `POST` of the consent form.
pub(crate) async fn consent(
    State(idp): State<Arc<Idp>>,
    Peer(from): Peer,
    headers: HeaderMap,
    form: Parameters,
) -> Response {
    let (asked, browser) = match idp.our_form(Form::Consent, &form, &headers, from).await {
        Ok(ours) => ours,
        Err(refusal) => return refusal,
    };
    let person = idp.sessions.person(&browser).and_then(|subject| idp.realm.user_by_subject(&subject).cloned());
    let Some(user) = person else { return redirect(&idp.back_to(&asked)) };
    let decision = form.get("decision").unwrap_or_default();
    if decision == "switch" {
        idp.sessions.log_out(&browser);
        return redirect(&idp.back_to(&asked));
    }

    // One decision for each request and browser, whatever comes at the same time.
    let key = idp.sessions.answer_key(&browser, &asked.query);
    let _decided_here = idp.deciding.lock().await;
    if let Some(answer) = idp.answers.get(&key) {
        let same = answer.at.elapsed() < SAME_DECISION;
        return if same { redirect(&answer.location) } else { idp.already_answered() };
    }
    let granted = scopes::entitled(&idp.realm, &user, &asked.validated.scope);
    let location = if decision == "allow" && !granted.is_empty() {
        match allow(&idp, &asked, &user, granted).await {
            Ok(location) => location,
            Err(response) => return response,
        }
    } else {
        tracing::info!(target: "mcp_idp::audit", subject = user.subject(), client = %asked.client.client_id, "denied");
        asked.validated.denied().location()
    };
    idp.answers.insert(key, Answer { location: location.clone(), at: Instant::now() });
    redirect(&location)
}

async fn allow(idp: &Arc<Idp>, asked: &Asked, user: &User, granted: ScopeSet) -> Result<String, Response> {
    let mut request = asked.validated.clone();
    if request.resource.is_empty() {
        let audience = idp.audience(&[], Some(&granted));
        request.resource = audience.unwrap_or_default();
    }
    request.scope = granted;
    idp.registrations.used(&request.client_id);
    tracing::info!(
        target: "mcp_idp::audit",
        subject = user.subject(), client = %request.client_id, scope = %request.scope, resource = ?request.resource, "allowed"
    );
    let (idp, subject) = (Arc::clone(idp), user.subject().to_owned());
    let server = Arc::clone(&idp);
    // Spawned: a browser that goes away must not stop the state machine between two of its writes.
    let issued = tokio::spawn(async move {
        let approval = UserApproval::granted_at(&request, subject, SystemTime::now());
        let issued = idp.engine.issue_authorization_code(approval).await;
        issued.map(|issued| issued.location(&request.redirect_uri))
    });
    match issued.await {
        Ok(Ok(location)) => Ok(location),
        Ok(Err(AuthorizationError::Redirect(error))) => Ok(error.location()),
        Ok(Err(AuthorizationError::Direct(_))) | Err(_) => {
            let text = "Try again in a moment.";
            Err(server.message(StatusCode::INTERNAL_SERVER_ERROR, "The server failed", text, None))
        }
    }
}

impl Idp {
    pub(crate) fn answered(&self, browser: &Browser, query: &str) -> Option<Answer> {
        self.answers.get(&self.sessions.answer_key(browser, query))
    }

    pub(crate) fn consent_page(&self, asked: &Asked, browser: &Browser, user: &User) -> Response {
        let granted = scopes::entitled(&self.realm, user, &asked.validated.scope);
        let listed = |shown: bool| {
            let all = asked.validated.scope.iter().map(|scope| scope.as_str());
            let some = all.filter(|scope| granted.contains(scope) == shown);
            let text = |name| self.realm.scope(name).map_or(name, |scope| scope.text());
            some.map(|name| pages::Asked { name, text: text(name) }).collect::<Vec<_>>()
        };
        let resource = match asked.validated.resource.as_slice() {
            [] => self.audience(&[], Some(&granted)).unwrap_or_default(),
            asked => asked.to_vec(),
        };
        let host = redirect_uri::host(&asked.validated.redirect_uri);
        let page = pages::Consent {
            chrome: self.chrome(),
            client: self.shown(asked, &host),
            action: &self.endpoints.consent,
            request: &asked.query,
            csrf: &self.sessions.form_token(Form::Consent, browser, &asked.query),
            username: user.username(),
            resource: &resource,
            granted: &listed(true),
            withheld: &listed(false),
            switch_user: &self.endpoints.consent,
        };
        pages::response(StatusCode::OK, page.render(), Some(&asked.validated.redirect_uri))
    }
}
