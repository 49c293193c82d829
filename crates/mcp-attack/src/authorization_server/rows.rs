use std::fmt;

use futures_util::future::BoxFuture;
use serde::Serialize;

use super::{
    authorization, client_documents, found::Finding, introspection, markup, metadata, pages, redirect_uri,
    registration, resource, server::Server, throttling, token,
};
use crate::{
    attack::{Row, Severity, Words},
    report::named,
};

/// One thing that is tried against an authorization server, or looked at: several requests, and a judgement.
#[derive(Clone, Copy, Debug)]
pub struct Probe {
    /// Names the row for good.
    pub id: &'static str,
    /// What it is about.
    pub area: Area,
    /// What it means if it gets through.
    pub severity: Severity,
    /// What is tried, in plain English.
    pub title: &'static str,
    /// The rule that says no.
    pub source: &'static str,
    /// What the server must offer for it.
    pub needs: Needs,
    pub(super) run: Try,
}

/// How a row is tried.
pub(super) type Try = for<'a> fn(&'a Server) -> BoxFuture<'a, Finding>;

/// What a row is about.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Area {
    /// What the server says of itself, and its keys.
    Metadata,
    /// Who may register as a client.
    Registration,
    /// Where an answer may go.
    RedirectUri,
    /// What else an authorization request may say.
    Authorization,
    /// What a browser may do with the pages.
    Pages,
    /// What a stranger wrote, in the pages.
    Markup,
    /// Clients whose id is a URL.
    ClientDocuments,
    /// The token endpoint, without anything to get a token with.
    Token,
    /// Introspection and revocation, for nobody in particular.
    Introspection,
    /// The resource that the tokens are for, as far as a client has to find its way from it.
    Resource,
    /// How often anybody may try. Last, since it uses up what the others need.
    Throttling,
}

/// What the server must offer for a row.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Needs {
    /// Its metadata.
    Nothing,
    /// An endpoint where clients register themselves.
    Registration,
    /// A client, registered by itself or given.
    Client,
    /// A public client that registered itself for an address on this machine, or is given.
    NativeClient,
    /// A login page, shown for a good request.
    LoginPage,
    /// Clients whose id is a URL.
    ClientDocuments,
    /// An introspection endpoint.
    Introspection,
    /// A revocation endpoint.
    Revocation,
    /// The URL of a resource.
    Resource,
}

impl fmt::Display for Needs {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Nothing => "nothing",
            Self::Registration => "an endpoint where clients register themselves",
            Self::Client => "a client",
            Self::NativeClient => "a public client",
            Self::LoginPage => "a login page for a good request",
            Self::ClientDocuments => "client ID metadata documents",
            Self::Introspection => "an introspection endpoint",
            Self::Revocation => "a revocation endpoint",
            Self::Resource => "the URL of a resource",
        })
    }
}

impl Row for Probe {
    const CONTROL: &'static str = "found with";
    const FALLEN: &'static str = "the metadata is not served any more, or says something else";

    fn id(&self) -> &'static str {
        self.id
    }

    fn group(&self) -> String {
        named(&self.area)
    }

    fn severity(&self) -> Severity {
        self.severity
    }

    fn title(&self) -> &'static str {
        self.title
    }

    fn source(&self) -> &'static str {
        self.source
    }

    fn needs(&self) -> String {
        self.needs.to_string()
    }
}

/// Every row, area by area, in the order in which they are tried.
pub fn rows() -> Vec<Probe> {
    [
        metadata::rows(),
        registration::rows(),
        redirect_uri::rows(),
        authorization::rows(),
        pages::rows(),
        markup::rows(),
        client_documents::rows(),
        token::rows(),
        introspection::rows(),
        resource::rows(),
        throttling::rows(),
    ]
    .concat()
}

/// The rows of one area.
pub(super) struct Rows {
    area: Area,
    rows: Vec<Probe>,
}

impl Rows {
    pub(super) const fn of(area: Area) -> Self {
        Self { area, rows: Vec::new() }
    }

    /// What would be a [`Severity::Breach`]: id, title, source; what it needs; how it is tried.
    pub(super) fn breach(self, words: Words, needs: Needs, run: Try) -> Self {
        self.row(Severity::Breach, words, needs, run)
    }

    /// What would be a [`Severity::Laxity`].
    pub(super) fn lax(self, words: Words, needs: Needs, run: Try) -> Self {
        self.row(Severity::Laxity, words, needs, run)
    }

    fn row(mut self, severity: Severity, (id, title, source): Words, needs: Needs, run: Try) -> Self {
        self.rows.push(Probe { id, area: self.area, severity, title, source, needs, run });
        self
    }

    pub(super) fn done(self) -> Vec<Probe> {
        self.rows
    }
}
