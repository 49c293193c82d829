//! What a browser is shown, and whether a request went on to the person or was refused.

use url::{Url, form_urlencoded};

use super::{
    client::Client,
    found::{Finding, Found, Stop, good, judged, said},
    server::Server,
};
use crate::{
    run::shown,
    wire::{Answer, RawRequest},
};

/// Login pages stand behind a redirect or two.
const MOST_REDIRECTS: usize = 5;

/// A browser's way through the server, as far as it stays there.
#[derive(Clone, Debug)]
pub(super) struct Visit {
    /// One or more, in their order.
    answers: Vec<Answer>,
    /// Where the last of them came from.
    at: Url,
}

/// What a good request is answered with, and what it looks like.
#[derive(Clone, Debug)]
pub(super) struct Login {
    pub(super) visit: Visit,
    look: Look,
}

/// What tells a login page from another, best first.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Look {
    /// It asks for a password.
    Password,
    /// It asks for something.
    Form,
    /// It leads to another server.
    Elsewhere,
    /// Nothing does: a page that a script fills.
    Plain,
}

/// What became of a request.
enum Went {
    /// The client or the person is told no.
    No(String),
    /// It was put before the person, or answered.
    On(String),
    /// Nobody can tell.
    Unclear(&'static str),
}

impl Visit {
    pub(super) fn answers(&self) -> &[Answer] {
        &self.answers
    }

    pub(super) fn last(&self) -> &Answer {
        self.answers.last().expect("a visit has an answer")
    }

    /// Where the browser is sent in the end.
    pub(super) fn location(&self) -> Option<&str> {
        self.last().header("location").filter(|_| (300..400).contains(&self.last().status))
    }

    /// The parameters of an answer to the client, in the query or behind the `#`.
    pub(super) fn parameters(&self) -> Vec<(String, String)> {
        let location = self.location().and_then(|location| self.at.join(location).ok());
        let Some(location) = location else { return Vec::new() };
        let parts = [location.query(), location.fragment()];
        let pairs = parts.into_iter().flatten().flat_map(|part| form_urlencoded::parse(part.as_bytes()).into_owned());
        pairs.collect()
    }

    pub(super) fn parameter(&self, name: &str) -> Option<String> {
        self.parameters().into_iter().find(|(other, _)| other == name).map(|(_, value)| value)
    }

    fn look(&self) -> Look {
        let page = self.last().body.to_ascii_lowercase();
        let password =
            ["type=\"password\"", "type='password'", "type=password"].iter().any(|input| page.contains(input));
        match () {
            () if self.location().is_some() => Look::Elsewhere,
            () if password => Look::Password,
            () if page.contains("<form") => Look::Form,
            () => Look::Plain,
        }
    }

    /// Whether it is sent on without an answer, to log in somewhere else.
    fn leads_elsewhere(&self) -> bool {
        let answer = ["error", "code", "access_token", "id_token", "response"];
        self.location().is_some() && !self.parameters().iter().any(|(name, _)| answer.contains(&name.as_str()))
    }

    pub(super) fn said(&self) -> String {
        let last = self.last();
        match (self.location(), self.parameter("error")) {
            (Some(_), Some(error)) => format!("{} with error={}", last.status, shown(&error)),
            _ => said(last),
        }
    }
}

impl Server {
    /// Goes there as a browser does, with its cookies, and stays on the server.
    pub(super) async fn browse(&self, url: Url) -> Result<Visit, Stop> {
        let (mut at, mut answers) = (url, Vec::new());
        let mut cookies: Vec<(String, String)> = Vec::new();
        loop {
            let mut request = RawRequest::to("GET", &at).header("Accept", "text/html,application/xhtml+xml");
            if !cookies.is_empty() {
                let pairs: Vec<String> = cookies.iter().map(|(name, value)| format!("{name}={value}")).collect();
                request = request.header("Cookie", pairs.join("; "));
            }
            let answer = judged(self.send(&at, &request).await?)?;
            for cookie in answer.all("set-cookie") {
                if let Some((name, value)) = cookie.split(';').next().and_then(|pair| pair.split_once('=')) {
                    cookies.retain(|(other, _)| other != name);
                    cookies.push((name.to_owned(), value.to_owned()));
                }
            }
            answers.push(answer);
            let visit = Visit { answers, at };
            let next = visit.location().and_then(|location| visit.at.join(location).ok());
            match next {
                Some(next)
                    if visit.answers.len() <= MOST_REDIRECTS
                        && next.origin() == self.issuer.url.origin()
                        && visit.leads_elsewhere() =>
                {
                    (answers, at) = (visit.answers, next);
                }
                _ => return Ok(visit),
            }
        }
    }

    /// What a good request comes to: without it, nothing can be said of a bent one.
    pub(super) async fn look_at_login(&self) -> Result<Login, String> {
        let visit = async {
            let client = self.native().or_else(|_| self.exact())?;
            self.ask(&self.query(client)).await
        };
        let visit = visit.await.map_err(Stop::why)?;
        if good(visit.last().status) || visit.leads_elsewhere() {
            return Ok(Login { look: visit.look(), visit });
        }
        Err(format!("a good request shows no login page: {}", visit.said()))
    }

    pub(super) fn login(&self) -> Result<&Login, Stop> {
        self.login.as_ref().map_err(|why| Stop::NotRun(why.clone()))
    }

    fn went(&self, visit: &Visit) -> Result<Went, Stop> {
        let login = self.login()?;
        let last = visit.last();
        if let Some(location) = visit.location() {
            if visit.parameter("error").is_some() {
                return Ok(Went::No(visit.said()));
            }
            let to = format!("{} to {}", last.status, shown(location));
            return Ok(Went::On(to));
        }
        if !good(last.status) {
            return Ok(Went::No(visit.said()));
        }
        // An error page may have a form too, but no login.
        let look = visit.look();
        Ok(match (login.look, look) {
            (Look::Plain, Look::Plain) => Went::Unclear("a login page and an error page look the same"),
            (expected, look) if expected == look || look == Look::Password => {
                Went::On(format!("{} and the login page", last.status))
            }
            _ => Went::No(format!("{} and a page without a login", last.status)),
        })
    }

    /// A bent request that must not get to the person.
    pub(super) fn not_on(&self, visit: &Visit) -> Finding {
        let answer = visit.last().clone();
        Ok(match self.went(visit)? {
            Went::No(did) => Found::refused(did).with(answer),
            Went::On(did) => Found::let_in(did).with(answer),
            Went::Unclear(why) => return Err(Stop::not_run(why)),
        })
    }

    /// Whether the browser is sent to this client's own address, with an error.
    pub(super) fn is_told(&self, client: &Client, visit: &Visit) -> bool {
        let home = visit.location().is_some_and(|location| {
            location.strip_prefix(&client.redirect_uri).is_some_and(|rest| rest.starts_with(['?', '&', '#']))
        });
        home && visit.parameter("error").is_some()
    }
}
