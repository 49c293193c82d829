//! An authorization server for one machine: what stands in for Keycloak where there is none.
//!
//! The crate `oauth-as` owns the state machines: codes, PKCE, refresh tokens and their reuse, revocation. What stands
//! around them is here. It is no OpenID provider: it issues access tokens, and nothing that says who a person is.
//!
//! ```no_run
//! # use std::sync::Arc;
//! use mcp_auth::keys::KeyDirectory;
//! use mcp_idp::{AuthorizationServer, Realm};
//!
//! # async fn main_() -> Result<(), Box<dyn std::error::Error>> {
//! let realm = Realm::from_json(&std::fs::read_to_string("keycloak/mcp-realm-realm.json")?)?;
//! let keys = Arc::new(KeyDirectory::open("keys"));
//! let server = AuthorizationServer::builder("http://localhost:9000", realm, keys)
//!     .resource("http://localhost:9000/mcp")
//!     .build()
//!     .await?;
//! let routes: axum::Router = server.into_router();
//! # Ok(())
//! # }
//! ```
//!
//! Layout, in the order a client meets it:
//! - [`Realm`]: people, clients, scopes and what their tokens say, from a Keycloak realm export;
//! - `endpoints`, `metadata`, `server`: where everything stands, in two shapes; [`AuthorizationServer`];
//! - `registration`, `cimd`, `redirect_uri`: clients that register themselves, or publish who they are;
//! - `authorize`, `login`, `consent`, `session`, `pages`: the person's part;
//! - `token`, `client_auth`, `scopes`, `resources`, `access_token`, `signer`: what a client gets, and for what;
//! - `introspection`: what a token is worth, and making it worth nothing;
//! - `throttle`: how often anybody may try; `form`, `peer`, `oauth_error`, `audit`: what they all use.

mod access_token;
mod audit;
mod authorize;
mod cimd;
mod client_auth;
mod consent;
mod endpoints;
mod form;
mod introspection;
mod login;
mod metadata;
mod oauth_error;
mod pages;
mod peer;
mod realm;
mod redirect_uri;
mod registration;
mod resources;
mod scopes;
mod server;
mod session;
mod signer;
mod throttle;
mod token;

pub use self::{
    endpoints::IssuerError,
    realm::{Realm, RealmClient, RealmError, Scope, User},
    server::{AuthorizationServer, BuildError, Builder},
};

/// Something that a stranger wrote, fit for a sentence: bounded, and without what a terminal or a header would act on.
fn shown(text: &str) -> String {
    text.chars().filter(|c| c.is_ascii_graphic() && !matches!(c, '"' | '\\')).take(80).collect()
}
