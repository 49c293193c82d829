//! The second list: what is tried against an authorization server from outside, with no account, no login and no secret
//! of its own.
//!
//! ```no_run
//! # async fn example() -> Result<(), Box<dyn std::error::Error>> {
//! use mcp_attack::{Limits, authorization_server::{Issuer, run}};
//!
//! let issuer = Issuer::new("http://localhost:9000")?.resource("http://localhost:9000/mcp")?;
//! print!("{}", run(&issuer, Limits::default()).await?.table());
//! # Ok(()) }
//! ```
//!
//! Layout: [`Issuer`] is what is asked for, `server` what was found there and how it is spoken to, `client` who asks,
//! `visit` what a browser would see, `found` what a row comes to, `trap` who must not be called. The rows stand in one
//! file for each [`Area`].

mod authorization;
mod client;
mod client_documents;
mod found;
mod introspection;
mod issuer;
mod markup;
mod metadata;
mod pages;
mod redirect_uri;
mod registration;
mod resource;
mod rows;
mod run;
mod server;
mod throttling;
mod token;
mod trap;
mod visit;

pub use self::{
    issuer::{Issuer, IssuerError},
    rows::{Area, Needs, Probe, rows},
    run::run,
};
