//! The person, who is asked in a browser; and those who ask no person.

use std::{
    collections::BTreeMap,
    io::BufRead,
    sync::{Arc, OnceLock},
    thread,
};

use futures_util::future::BoxFuture;
use http::{
    HeaderValue, StatusCode,
    header::{COOKIE, LOCATION, SET_COOKIE},
};
use tokio::sync::{Mutex, mpsc, oneshot};
use url::Url;

use crate::{
    authorization::Pending,
    error::{Error, Fault, Refused},
    observer::{Observer, Step},
    web::{Answer, Body, Request, Web},
};

const STEP: Step = Step::Authorization;
/// More redirects or pages than that are a loop.
const PAGES: usize = 12;

/// How an authorization request gets to whoever decides.
#[derive(Clone)]
#[non_exhaustive]
pub enum Approval {
    /// The system's browser is opened.
    Browser,
    /// The URL is shown; the answer comes to the loopback port, or is typed in.
    Shown(Arc<dyn Fn(&Url) + Send + Sync>),
    /// Redirects are followed here, for servers that ask nobody.
    Headless,
    /// A person who logs in and agrees, for demonstrations and tests.
    Person(Person),
}

/// Somebody with an account.
#[derive(Clone)]
pub struct Person {
    /// Their name there.
    pub username: String,
    /// And their password.
    pub password: String,
    /// What they press when asked.
    pub allows: bool,
}

impl Approval {
    /// Brings the request to whoever decides. The answer is the URL that they were sent to, if it was caught on the way;
    /// otherwise the browser brings it to the loopback port, whenever.
    pub(crate) fn visit<'a>(&'a self, web: &'a Web, pending: &'a Pending) -> BoxFuture<'a, Result<Option<Url>, Error>> {
        Box::pin(async move {
            match self {
                Self::Browser => open(web.observer.as_ref(), &pending.url).await.map(|()| None),
                Self::Shown(show) => {
                    show(&pending.url);
                    Ok(Some(typed(web.observer.as_ref(), pending).await))
                }
                Self::Headless => Walk::new(web, pending).go(None).await.map(Some),
                Self::Person(person) => Walk::new(web, pending).go(Some(person)).await.map(Some),
            }
        })
    }
}

/// The crate opens http and https alone (its feature `hardened`), and our own check was before.
async fn open(observer: &dyn Observer, url: &Url) -> Result<(), Error> {
    let text = url.to_string();
    let (said, heard) = oneshot::channel();
    // A browser in a terminal blocks until it is left; a thread of its own holds up nobody's exit.
    thread::spawn(move || said.send(webbrowser::open(&text)));
    if !matches!(heard.await, Ok(Ok(()))) {
        observer.notice(&format!("No browser could be opened. Open this URL yourself:\n{url}"));
    }
    Ok(())
}

/// Reads lines until one is the answer to this request; for ever, if there is none.
async fn typed(observer: &dyn Observer, pending: &Pending) -> Url {
    // One thread for all logins, which nobody waits for: a read from a terminal cannot be given up, and the reader of an
    // earlier login would take the line that is meant for the next.
    static LINES: OnceLock<Mutex<mpsc::Receiver<String>>> = OnceLock::new();
    let lines = LINES.get_or_init(|| {
        let (said, heard) = mpsc::channel(16);
        thread::spawn(move || {
            for line in std::io::stdin().lock().lines().map_while(Result::ok) {
                if said.blocking_send(line).is_err() {
                    break;
                }
            }
        });
        Mutex::new(heard)
    });
    let mut lines = lines.lock().await;
    while let Some(line) = lines.recv().await {
        match Url::parse(line.trim()) {
            Ok(url) if pending.is_answer(&url) && pending.is_ours(url.query().unwrap_or_default()) => return url,
            // Perhaps that of the login before.
            Ok(_) => observer.notice("This is not the address that this login ends at; paste that one."),
            Err(_) => {}
        }
    }
    std::future::pending().await
}

/// A browser without a screen: redirects, cookies, and for a person the forms of a page.
struct Walk<'a> {
    web: &'a Web,
    pending: &'a Pending,
    /// By origin, and what they are called there. `Secure` is no matter on loopback, as in browsers.
    cookies: BTreeMap<(String, String), String>,
}

impl<'a> Walk<'a> {
    fn new(web: &'a Web, pending: &'a Pending) -> Self {
        Self { web, pending, cookies: BTreeMap::new() }
    }

    async fn go(mut self, person: Option<&Person>) -> Result<Url, Error> {
        let mut next = Request::get(&self.pending.url);
        for _ in 0..PAGES {
            let at = next.url.clone();
            let answer = self.fetch(next).await?;
            if answer.status.is_redirection() {
                let to = answer.headers.get(LOCATION).and_then(|to| to.to_str().ok()).and_then(|to| at.join(to).ok());
                let to = to.ok_or_else(|| Error::new(STEP, Fault::Unreadable("a redirect to nowhere".to_owned())))?;
                if self.pending.is_answer(&to) {
                    return Ok(to);
                }
                next = Request::get(&to);
            } else if answer.status == StatusCode::OK {
                let person = person.ok_or_else(|| Error::new(STEP, Fault::ShowsAPage))?;
                let page = String::from_utf8_lossy(&answer.body);
                // A password belongs on the page that the person was sent to, and goes back to where that came from.
                self.stays(&at)?;
                let (action, fields) = person.fills_in(&page).ok_or_else(|| {
                    Error::new(STEP, Fault::Unreadable("a page without a form that a person knows".to_owned()))
                })?;
                let to = at
                    .join(&action)
                    .map_err(|_| Error::new(STEP, Fault::Unreadable("a form without a place to go".to_owned())))?;
                self.stays(&to)?;
                next = Request::post(&to, Body::Form(fields));
            } else {
                return Err(Error::new(STEP, answer.fault()));
            }
        }
        Err(Error::new(STEP, Fault::Unreadable(format!("more than {PAGES} redirects or pages"))))
    }

    fn stays(&self, url: &Url) -> Result<(), Error> {
        if url.origin() == self.pending.url.origin() {
            return Ok(());
        }
        let other = Refused::OtherOrigin(url.origin().ascii_serialization());
        Err(Error::new(STEP, Fault::Forbidden(other)))
    }

    async fn fetch(&mut self, mut request: Request) -> Result<Answer, Error> {
        let origin = request.url.origin().ascii_serialization();
        let own = self.cookies.iter().filter(|((of, _), _)| *of == origin);
        let cookies: Vec<_> = own.map(|((_, name), value)| format!("{name}={value}")).collect();
        if let Ok(value) = HeaderValue::from_str(&cookies.join("; "))
            && !cookies.is_empty()
        {
            request.headers.insert(COOKIE, value);
        }
        // The answer's address is not gone to: it comes to this very program.
        let answer = self.web.quietly(STEP, request).await?;
        for cookie in answer.headers.get_all(SET_COOKIE).iter().filter_map(|value| value.to_str().ok()) {
            if let Some((name, value)) = cookie.split(';').next().and_then(|pair| pair.split_once('=')) {
                self.cookies.insert((origin.clone(), name.trim().to_owned()), value.trim().to_owned());
            }
        }
        Ok(answer)
    }
}

impl Person {
    /// The form of a page, filled in: a login page has a field for a password, a consent page buttons. Written for
    /// mcp-idp's pages and Keycloak's.
    fn fills_in(&self, page: &str) -> Option<(String, Vec<(String, String)>)> {
        let form = &page[page.find("<form")?..];
        let form = &form[..form.find("</form")?];
        let action = attribute(tags(form, "form").next()?, "action")?;
        let mut fields = Vec::new();
        let mut asks_password = false;
        for tag in tags(form, "input") {
            let Some(name) = attribute(tag, "name") else { continue };
            match attribute(tag, "type").as_deref() {
                Some("password") => {
                    asks_password = true;
                    fields.push((name, self.password.clone()));
                }
                Some("hidden") => fields.push((name, attribute(tag, "value").unwrap_or_default())),
                Some("submit" | "checkbox") => {}
                _ => fields.push((name, self.username.clone())),
            }
        }
        if !asks_password {
            let presses = if self.allows { ["allow", "accept"] } else { ["deny", "cancel"] };
            let buttons = tags(form, "button")
                .chain(tags(form, "input").filter(|tag| attribute(tag, "type").as_deref() == Some("submit")));
            let (name, value) = buttons
                .filter_map(|tag| Some((attribute(tag, "name")?, attribute(tag, "value")?)))
                .find(|(name, value)| presses.contains(&name.as_str()) || presses.contains(&value.as_str()))?;
            fields.push((name, value));
        }
        Some((action, fields))
    }
}

/// The opening tags of that name.
fn tags<'a>(html: &'a str, name: &'static str) -> impl Iterator<Item = &'a str> {
    html.split('<').skip(1).filter_map(move |rest| {
        let tag = &rest[..rest.find('>')?];
        (tag.split([' ', '\n', '\t', '/']).next() == Some(name)).then_some(tag)
    })
}

/// An attribute in double quotes.
fn attribute(tag: &str, name: &str) -> Option<String> {
    let (_, rest) = tag.split_once(&format!(" {name}=\"")).or_else(|| tag.split_once(&format!("\n{name}=\"")))?;
    let value = &rest[..rest.find('"')?];
    Some(
        value
            .replace("&#34;", "\"")
            .replace("&quot;", "\"")
            .replace("&#39;", "'")
            .replace("&#60;", "<")
            .replace("&lt;", "<")
            .replace("&#62;", ">")
            .replace("&gt;", ">")
            .replace("&#38;", "&")
            .replace("&amp;", "&"),
    )
}
