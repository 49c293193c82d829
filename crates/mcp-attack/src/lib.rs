//! Forged tokens and bent requests against an MCP server, each a row of one table: what is tried, which rule or which
//! known hole it comes from, and how to build it.
//!
//! ```no_run
//! # async fn example() -> Result<(), Box<dyn std::error::Error>> {
//! use mcp_attack::{Key, Target, rows, send};
//!
//! let keys = Key::in_directory("keys".as_ref())?;
//! let target = Target::new("http://localhost:9000/mcp".parse()?).await?.keys(keys);
//! for attack in rows() {
//!     // Not every row can be built from what is at hand.
//!     let Ok(request) = attack.request(&target) else { continue };
//!     println!("{}: {}", attack.id, send(target.url(), &request).await?.status);
//! }
//! # Ok(()) }
//! ```
//!
//! Layout:
//! - [`rows`], [`Attack`]: the table; its rows stand in `tokens/` and `requests.rs`, by what they bend;
//! - [`Target`], [`Key`]: the server, and what is known of it and its issuer;
//! - [`Forge`]: makes the tokens; `der` and `vectors` are its materials;
//! - [`Attacker`]: the live server that forged headers point to, and that nobody may ask;
//! - [`RawRequest`], [`send`], [`Answer`]: HTTP byte by byte, because clients refuse to send what attackers send;
//! - [`run`], [`Report`]: all rows against one server, and what came of it;
//! - [`authorization_server`]: the second list, against whoever issues the tokens;
//! - [`key_server`]: a JWKS endpoint that misbehaves on demand, for tests of whoever fetches keys.

mod attack;
mod attacker;
pub mod authorization_server;
mod der;
mod forge;
pub mod key_server;
mod report;
mod requests;
mod run;
mod target;
mod tokens;
mod vectors;
mod wire;

pub use self::{
    attack::{Attack, Group, Needs, NotBuilt, Row, Severity, rows},
    attacker::Attacker,
    forge::Forge,
    report::{Counts, Report},
    run::{ControlError, Limits, Outcome, Verdict, run},
    target::{AttackError, Key, Target},
    wire::{Answer, RawRequest, SendError, send, send_within},
};
