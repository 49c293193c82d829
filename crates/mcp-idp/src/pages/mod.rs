//! The pages that a person sees: login, consent, and a message when something is wrong.
//!
//! No JavaScript: the policy of [`response()`] allows none. Everything that a client or a request says about itself goes
//! through [`filters::line`] and the templates' escaping: it can be read, and never mistaken for our own words.

mod filters;
mod response;
mod style;
#[cfg(test)]
mod tests;

use askama::Template;

pub(crate) use self::{
    response::response,
    style::{style_hash, style_response},
};

/// What surrounds every page.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Chrome<'a> {
    /// Where the stylesheet is, on this origin.
    pub(crate) style: &'a str,
    /// How the server calls itself: the realm's display name.
    pub(crate) server_name: &'a str,
}

/// The client that asks. Its name is what it says of itself, whatever that is.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Client<'a> {
    pub(crate) name: &'a str,
    /// The host of `redirect_uri`, with the port, in full (MCP 2026-07-28, *Client ID Metadata Documents*: it is shown).
    pub(crate) redirect_host: &'a str,
    pub(crate) redirect_uri: &'a str,
    /// All its redirect URIs lead to this machine, where any program may pose as it.
    pub(crate) local_only: bool,
    /// The host of its client ID metadata document: the one thing about it that is proven.
    pub(crate) described_at: Option<&'a str>,
    /// An administrator has registered it, and so its name too.
    pub(crate) pre_registered: bool,
}

/// Asks for username and password; posts `request`, `csrf`, `username` and `password` to `action`.
#[derive(Clone, Copy, Debug, Template)]
#[template(path = "login.html")]
pub(crate) struct Login<'a> {
    pub(crate) chrome: Chrome<'a>,
    pub(crate) client: Client<'a>,
    pub(crate) action: &'a str,
    pub(crate) request: &'a str,
    pub(crate) csrf: &'a str,
    /// What was typed before, or hinted at.
    pub(crate) username: &'a str,
    pub(crate) problem: Option<LoginProblem>,
}

/// Why the login page is shown again.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum LoginProblem {
    /// Which of the two was wrong is nobody's business.
    Wrong,
    /// Too many attempts.
    Slow { seconds: u64 },
}

/// Asks whether the client may; posts `request`, `csrf` and `decision` = `allow` or `deny` to `action`, or
/// `decision` = `switch` to `switch_user`.
#[derive(Clone, Copy, Debug, Template)]
#[template(path = "consent.html")]
pub(crate) struct Consent<'a> {
    pub(crate) chrome: Chrome<'a>,
    pub(crate) client: Client<'a>,
    pub(crate) action: &'a str,
    pub(crate) request: &'a str,
    pub(crate) csrf: &'a str,
    /// Who is signed in.
    pub(crate) username: &'a str,
    /// The servers that the token would be for.
    pub(crate) resource: &'a [String],
    /// With none, nothing can be allowed.
    pub(crate) granted: &'a [Asked<'a>],
    /// Asked for, but the person's roles do not allow it.
    pub(crate) withheld: &'a [Asked<'a>],
    /// Where to sign in as somebody else.
    pub(crate) switch_user: &'a str,
}

/// A scope that the client asks for.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Asked<'a> {
    pub(crate) name: &'a str,
    /// What it means to a person; may be empty.
    pub(crate) text: &'a str,
}

/// Says one thing, and asks nothing.
#[derive(Clone, Copy, Debug, Template)]
#[template(path = "message.html")]
pub(crate) struct Message<'a> {
    pub(crate) chrome: Chrome<'a>,
    pub(crate) title: &'a str,
    pub(crate) text: &'a str,
    /// For whoever wrote the client.
    pub(crate) detail: Option<&'a str>,
}

impl Client<'_> {
    /// The name as it can be shown in our quotation marks, if anything of it can.
    fn called(&self) -> Option<String> {
        let name = filters::one_line(self.name, 64).replace(['"', '“', '”', '„', '‟', '«', '»', '″', '＂'], "'");
        (!name.is_empty()).then_some(name)
    }
}

impl Login<'_> {
    pub(crate) fn render(&self) -> String {
        rendered(self)
    }

    fn wrong(&self) -> bool {
        self.problem == Some(LoginProblem::Wrong)
    }
}

impl Consent<'_> {
    pub(crate) fn render(&self) -> String {
        rendered(self)
    }

    fn heading(&self) -> &'static str {
        if self.granted.is_empty() { "Nothing to allow" } else { "Allow access?" }
    }
}

impl Message<'_> {
    pub(crate) fn render(&self) -> String {
        rendered(self)
    }
}

fn rendered(page: &impl Template) -> String {
    page.render().expect("neither our filters nor writing to a string can fail")
}
