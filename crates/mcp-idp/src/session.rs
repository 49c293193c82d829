//! Browsers: who is logged in, and whether a form was sent from our own page.

use std::{
    collections::{HashMap, VecDeque},
    sync::{Arc, Mutex, PoisonError},
    time::{Duration, SystemTime, UNIX_EPOCH},
};

use aws_lc_rs::{
    digest::{SHA256, digest},
    hmac,
    rand::{SecureRandom, SystemRandom},
};
use axum::http::{HeaderMap, HeaderValue, header::ORIGIN};
use base64::{Engine, prelude::BASE64_URL_SAFE_NO_PAD};
use headers::HeaderMapExt;
use moka::{policy::EvictionPolicy, sync::Cache};

use crate::endpoints::Endpoints;

/// How long a person stays logged in.
const SESSION: Duration = Duration::from_secs(8 * 60 * 60);
/// How long a form may stay open. In seconds.
const FORM: u64 = 30 * 60;
const MOST_SESSIONS: u64 = 10_000;
/// One person's, so that nobody can push all others out.
const MOST_OF_ONE: usize = 20;

/// A browser, known by a random cookie. Nothing is kept for one in which nobody has logged in, so that strangers fill
/// no memory.
#[derive(Clone, Debug)]
pub(crate) struct Browser {
    id: String,
    fresh: bool,
}

pub(crate) struct Sessions {
    cookie: String,
    attributes: &'static str,
    /// By the SHA-256 of the cookie: who reads this memory cannot log in with it.
    people: Cache<[u8; 32], Arc<str>>,
    of_each: Mutex<HashMap<Arc<str>, VecDeque<[u8; 32]>>>,
    key: hmac::Key,
    random: SystemRandom,
    origin: String,
}

impl Sessions {
    pub(crate) fn new(endpoints: &Endpoints) -> Self {
        let random = SystemRandom::new();
        let key = hmac::Key::new(hmac::HMAC_SHA256, &bytes(&random));
        // Two servers on two ports of one host share its cookies, so each has a name of its own. `__Host-` and `Secure`
        // (RFC 6265bis §4.1.3) wherever there is TLS; over http not every browser takes them, not even on localhost.
        let of_this_server = BASE64_URL_SAFE_NO_PAD.encode(&digest(&SHA256, endpoints.issuer.as_bytes()).as_ref()[..6]);
        let (prefix, attributes) = if endpoints.https() {
            ("__Host-", "; Path=/; Secure; HttpOnly; SameSite=Lax")
        } else {
            ("", "; Path=/; HttpOnly; SameSite=Lax")
        };
        Self {
            cookie: format!("{prefix}mcp-idp-{of_this_server}"),
            attributes,
            // Not by popularity: whoever has just logged in must not be the one to go.
            people: Cache::builder()
                .max_capacity(MOST_SESSIONS)
                .eviction_policy(EvictionPolicy::lru())
                .time_to_live(SESSION)
                .build(),
            of_each: Mutex::default(),
            key,
            random,
            origin: endpoints.origin().to_owned(),
        }
    }

    /// The browser that sent this request; a new one if it has no cookie of ours.
    pub(crate) fn browser(&self, headers: &HeaderMap) -> Browser {
        let cookies = headers.typed_get::<headers::Cookie>();
        let sent = cookies.as_ref().and_then(|cookies| cookies.get(&self.cookie));
        match sent.filter(|id| BASE64_URL_SAFE_NO_PAD.decode(id).is_ok_and(|id| id.len() == 32)) {
            Some(id) => Browser { id: id.to_owned(), fresh: false },
            None => self.new_browser(),
        }
    }

    fn new_browser(&self) -> Browser {
        Browser { id: BASE64_URL_SAFE_NO_PAD.encode(bytes(&self.random)), fresh: true }
    }

    /// The subject that is logged in.
    pub(crate) fn person(&self, browser: &Browser) -> Option<Arc<str>> {
        self.people.get(&hash(&browser.id))
    }

    /// Logs somebody in, under a new cookie: one that was planted before the login is worth nothing after it.
    pub(crate) fn log_in(&self, browser: &Browser, subject: &str) -> Browser {
        self.log_out(browser);
        let browser = self.new_browser();
        let (id, subject) = (hash(&browser.id), Arc::<str>::from(subject));
        self.people.insert(id, Arc::clone(&subject));
        let mut of_each = self.of_each.lock().unwrap_or_else(PoisonError::into_inner);
        let theirs = of_each.entry(subject).or_default();
        theirs.push_back(id);
        if theirs.len() > MOST_OF_ONE
            && let Some(oldest) = theirs.pop_front()
        {
            self.people.invalidate(&oldest);
        }
        browser
    }

    pub(crate) fn log_out(&self, browser: &Browser) {
        self.people.invalidate(&hash(&browser.id));
    }

    /// The cookie to set, if the browser does not have it yet.
    pub(crate) fn set_cookie(&self, browser: &Browser) -> Option<HeaderValue> {
        let cookie = format!("{}={}{}", self.cookie, browser.id, self.attributes);
        browser.fresh.then(|| HeaderValue::from_str(&cookie).ok()).flatten()
    }

    /// A token for a form about one request in one browser, good for half an hour.
    pub(crate) fn form_token(&self, form: Form, browser: &Browser, request: &str) -> String {
        self.form_token_of(seconds(), form, browser, request)
    }

    fn form_token_of(&self, made: u64, form: Form, browser: &Browser, request: &str) -> String {
        let mut token = made.to_be_bytes().to_vec();
        token.extend(hmac::sign(&self.key, &form_text(made, form, browser, request)).as_ref());
        BASE64_URL_SAFE_NO_PAD.encode(token)
    }

    /// Whether this form came from our page in this browser, about this request, and not too long ago.
    pub(crate) fn is_ours(
        &self,
        form: Form,
        browser: &Browser,
        request: &str,
        token: &str,
        headers: &HeaderMap,
    ) -> bool {
        // A browser says where a form was sent from; other clients say nothing.
        let here = |origin: &HeaderValue| origin.as_bytes() == self.origin.as_bytes();
        let site = headers.get("sec-fetch-site").is_none_or(|site| site == "same-origin" || site == "none");
        let Ok(token) = BASE64_URL_SAFE_NO_PAD.decode(token) else { return false };
        let Some((made, tag)) = token.split_first_chunk::<8>() else { return false };
        let made = u64::from_be_bytes(*made);
        let in_time = made <= seconds() && seconds() - made <= FORM;
        // In constant time.
        let signed = hmac::verify(&self.key, &form_text(made, form, browser, request), tag).is_ok();
        signed && in_time && site && headers.get(ORIGIN).is_none_or(here)
    }

    /// A key for what this browser has answered.
    pub(crate) fn answer_key(&self, browser: &Browser, request: &str) -> [u8; 32] {
        hash(&format!("{} {request}", browser.id))
    }
}

/// The forms there are; the token of one is no good for another.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Form {
    Login,
    Consent,
}

fn form_text(made: u64, form: Form, browser: &Browser, request: &str) -> Vec<u8> {
    format!("{made} {form:?} {} {request}", browser.id).into_bytes()
}

fn hash(text: &str) -> [u8; 32] {
    let mut out = [0; 32];
    out.copy_from_slice(digest(&SHA256, text.as_bytes()).as_ref());
    out
}

fn bytes(random: &SystemRandom) -> [u8; 32] {
    let mut bytes = [0; 32];
    random.fill(&mut bytes).expect("the system has randomness");
    bytes
}

fn seconds() -> u64 {
    SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |since| since.as_secs())
}

#[cfg(test)]
mod tests {
    use axum::http::header::COOKIE;

    use super::*;
    use crate::endpoints::Layout;

    fn sessions(issuer: &str) -> Sessions {
        Sessions::new(&Endpoints::new(issuer, Layout::Plain).unwrap())
    }

    #[test]
    fn a_login_changes_the_cookie_and_a_planted_one_is_nobody() {
        let sessions = sessions("http://localhost:9000");
        let planted = sessions.browser(&HeaderMap::new());
        let mine = sessions.log_in(&planted, "alice");
        assert_eq!(sessions.person(&planted), None);
        assert_eq!(sessions.person(&mine).as_deref(), Some("alice"));
        let cookie = sessions.set_cookie(&mine).unwrap();
        let (pair, attributes) = cookie.to_str().unwrap().split_once(';').unwrap();
        assert_eq!(attributes, " Path=/; HttpOnly; SameSite=Lax");
        let mut headers = HeaderMap::new();
        headers.insert(COOKIE, HeaderValue::from_str(pair).unwrap());
        let again = sessions.browser(&headers);
        assert_eq!(sessions.person(&again).as_deref(), Some("alice"));
        assert_eq!(sessions.set_cookie(&again), None);
        sessions.log_out(&again);
        assert_eq!(sessions.person(&again), None);
    }

    #[test]
    fn one_person_cannot_push_another_out() {
        let sessions = sessions("http://localhost:9000");
        let none = || sessions.browser(&HeaderMap::new());
        let alice = sessions.log_in(&none(), "alice");
        let first = sessions.log_in(&none(), "guest");
        let last = (0..MOST_OF_ONE).map(|_| sessions.log_in(&none(), "guest")).last().unwrap();
        assert_eq!(sessions.person(&first), None, "the oldest goes");
        assert_eq!(sessions.person(&last).as_deref(), Some("guest"));
        assert_eq!(sessions.person(&alice).as_deref(), Some("alice"));
    }

    #[test]
    fn behind_tls_the_cookie_stays_there() {
        let sessions = sessions("https://idp.example");
        let cookie = sessions.set_cookie(&sessions.browser(&HeaderMap::new())).unwrap();
        assert!(cookie.to_str().unwrap().starts_with("__Host-mcp-idp-"), "{cookie:?}");
        assert!(cookie.to_str().unwrap().ends_with("; Path=/; Secure; HttpOnly; SameSite=Lax"), "{cookie:?}");
    }

    #[test]
    fn a_form_is_bound_to_browser_request_kind_and_origin() {
        let sessions = sessions("http://localhost:9000");
        let (mine, theirs) = (sessions.browser(&HeaderMap::new()), sessions.browser(&HeaderMap::new()));
        let none = HeaderMap::new();
        let token = sessions.form_token(Form::Login, &mine, "client_id=a");
        assert!(sessions.is_ours(Form::Login, &mine, "client_id=a", &token, &none));
        assert!(!sessions.is_ours(Form::Login, &theirs, "client_id=a", &token, &none));
        assert!(!sessions.is_ours(Form::Login, &mine, "client_id=b", &token, &none));
        assert!(!sessions.is_ours(Form::Consent, &mine, "client_id=a", &token, &none));
        for bent in ["", "AAAA", &token[1..], &format!("B{}", &token[1..])] {
            assert!(!sessions.is_ours(Form::Login, &mine, "client_id=a", bent, &none), "{bent}");
        }
        let of = |made| sessions.form_token_of(made, Form::Login, &mine, "client_id=a");
        let good = |token: String| sessions.is_ours(Form::Login, &mine, "client_id=a", &token, &none);
        assert!(good(of(seconds() - FORM + 60)));
        assert!(!good(of(seconds() - FORM - 1)), "the page was open too long");
        assert!(!good(of(seconds() + 60)), "nor is one from the future");
        let sent = |name: &'static str, value: &'static str| {
            let headers = HeaderMap::from_iter([(name.parse().unwrap(), HeaderValue::from_static(value))]);
            sessions.is_ours(Form::Login, &mine, "client_id=a", &token, &headers)
        };
        assert!(sent("origin", "http://localhost:9000"));
        assert!(sent("sec-fetch-site", "same-origin"));
        assert!(!sent("origin", "http://evil.example"));
        assert!(!sent("origin", "null"));
        assert!(!sent("origin", "http://localhost:9001"));
        assert!(!sent("sec-fetch-site", "cross-site"));
    }
}
