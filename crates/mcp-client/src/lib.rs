//! The client's side of MCP authorization: from a refusal to a token, each exchange visible and strict.
//!
//! What a server says is a stranger's word until it has been checked, and most of this crate is the checks: the metadata
//! is of the resource that was asked for, the issuer is the one that was looked up, the answer is to this request and
//! from that server, and nothing leads to where a stranger wants it. rmcp speaks MCP; what it sends goes through
//! [`Session`].
//!
//! Layout, in the order of the way:
//! - `challenge`: what a refusal says; [`Scopes`]: what to ask for;
//! - `protected_resource`, `discovery`: who gives tokens for the server, and how;
//! - `registration`: becoming a client there; [`client_metadata`]: what it says of itself;
//! - `authorization`, [`Approval`], `callback`: the person is asked, and the answer comes back;
//! - `token`: a code, an older token or a secret becomes a token; [`Cache`]: it is kept for the next time;
//! - [`Session`]: all of it, whenever a call is refused; `transport`: rmcp on top of it;
//! - `web`, `reach`: every request, and where none goes; [`Observer`], [`Explain`]: who is told, and a story of it.

mod approval;
mod authorization;
mod cache;
mod callback;
mod challenge;
mod discovery;
mod error;
mod explain;
mod observer;
mod protected_resource;
mod reach;
mod registration;
mod scope;
mod session;
mod token;
mod transport;
mod web;

pub use self::{
    approval::{Approval, Person},
    cache::Cache,
    challenge::Challenge,
    error::{Error, Fault, Refused},
    explain::Explain,
    observer::{Exchange, Observer, Step, Unobserved, shown, whole},
    registration::{ClientChoice, client_metadata},
    scope::Scopes,
    session::{Session, Settings},
    transport::error_of,
};
