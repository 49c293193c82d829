//! A Keycloak realm that is fit for an MCP server: made through the Admin REST API, and verified from outside. The
//! passwords and secrets of a realm file are known to everybody who has it: they are made on this machine and nowhere
//! else ([`Keycloak::is_local`]).
//!
//! ```no_run
//! use mcp_keycloak::{Keycloak, RealmPlan};
//!
//! # async fn example(file: &str, password: &str) -> Result<(), Box<dyn std::error::Error>> {
//! let keycloak = Keycloak::new("http://localhost:8080", "admin", password)?;
//! let plan = RealmPlan::from_json(file)?.named("mcp-realm")?.protecting("http://localhost:9000/mcp")?;
//! for change in keycloak.set_up(&plan).await? {
//!     println!("made {change}");
//! }
//! let report = keycloak.verify(&plan).await;
//! print!("{report}");
//! assert!(report.passed());
//! # Ok(())
//! # }
//! ```
//!
//! Layout, in the order of a run:
//! - [`RealmPlan`]: what a realm file asks for: the file that Keycloak imports;
//! - [`Keycloak`]: a server and its administrator; [`KeycloakError`], what can go wrong between us;
//! - `set_up`: makes what is missing, and gives rights to what it has made alone; [`Change`], one thing that was made;
//! - `verify`: tries the realm as clients and servers will use it; [`Report`] and its [`Check`]s, what came of it.

mod admin;
mod change;
#[cfg(test)]
mod elsewhere;
mod error;
mod http;
mod keycloak;
mod plan;
mod report;
mod set_up;
mod verify;

pub use self::{
    change::Change,
    error::KeycloakError,
    keycloak::Keycloak,
    plan::{PlanError, RealmPlan},
    report::{Check, Failure, Report},
};
