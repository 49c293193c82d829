//! The settings of a protected MCP server: read from flags, environment, an env file and defaults, checked, and handed
//! out as one value that says where each came from.
//!
//! Layout:
//! - [`Flags`]: the command line of a server; [`Sources`]: where settings come from; [`Key`]: which there are;
//! - [`Settings`]: what came of it; [`Verification`], how a token is checked; [`Secret`], what is never shown;
//! - [`SettingsError`]: why there are none.
//!
//! # What the keys mean
//! | keys | set | default | the tutorial's default |
//! |---|---|---|---|
//! | `HOST`, `PORT` | name or address, and port, to listen on | `localhost`, 9000 | `localhost`, 3000 |
//! | `MCP_PATH` | path of the MCP endpoint | that of `MCP_SERVER_URL`, else `/mcp` | that of `MCP_SERVER_URL`, else `/` |
//! | `MCP_SERVER_URL` | URL that clients use: the resource | `http://localhost:{PORT}{MCP_PATH}` | the same, so the bare origin |
//! | `JWT_AUDIENCE`, `AUTH_AUDIENCE` | what a token must name as its audience | the resource | the resource |
//! | `JWT_ISSUER`, `AUTH_ISSUER` | the issuer, letter by letter | of the two below | of the two below |
//! | `KEYCLOAK_URL`, or `AUTH_HOST` and `AUTH_PORT` | where Keycloak is | `http://localhost:8080` | `http://localhost:8080` |
//! | `KEYCLOAK_REALM`, `AUTH_REALM` | its realm: the issuer is `{url}/realms/{realm}` | `mcp-realm` | `master` |
//! | `OAUTH_CLIENT_ID`, `AUTH_CLIENT_ID` | with a secret: tokens are checked by introspection, as this client | | `mcp-server` |
//! | `OAUTH_CLIENT_SECRET`, `AUTH_CLIENT_SECRET` | its secret | | |
//! | `JWKS_URL` | where the issuer's keys are | found by discovery | found by discovery |
//! | `JWT_PUBLIC_KEY` | the one key: a PEM with `\n` for its line breaks, or the path of a PEM file | | |
//! | `MCP_SCOPE` | the one scope that everything needs | | `mcp:tools` |
//! | `OAUTH_STRICT` | nothing: `false` does not turn off the audience check | | |
//! | `TRANSPORT` | nothing: `streamable-http` or `http` | | |
//! | `JWT_SECRET` | refused: who can check an HMAC can also make it | | |
//!
//! **The tutorial** is the one about authorization in MCP's own documentation; its `.env` works unchanged. Its defaults
//! apply if the environment or the file has `AUTH_HOST`, `AUTH_PORT` or `AUTH_REALM`; or if they have `MCP_SCOPE`,
//! `OAUTH_STRICT` or `TRANSPORT`, and none of `KEYCLOAK_URL`, `KEYCLOAK_REALM`, `JWT_ISSUER` and `AUTH_ISSUER`. Flags
//! do not decide it, nor do keys that everybody has (`HOST`, `PORT`, `OAUTH_CLIENT_ID`).
//!
//! # Which of several wins
//! A flag beats the environment, the environment the file, the file a default: per setting, whatever the key is called.
//! `JWT_ISSUER` in the environment beats `KEYCLOAK_URL` and `KEYCLOAK_REALM` of the file. A part beats a whole that is
//! weaker only if the other parts are no weaker than the whole: `--realm` changes the realm of `KEYCLOAK_URL` in the
//! file, and of a `JWT_ISSUER` there it is an error. Two keys of one source that set one thing differently are an error,
//! also where something stronger wins. So is every value that its key cannot have.
//!
//! - The audience is not the resource: an identity provider may call this server `echo-mcp-server`. So `JWT_AUDIENCE`
//!   stands beside `MCP_SERVER_URL`, wherever each is; if it is another URL, a notice says so.
//! - An empty value is none: it never means "any". An empty flag is an error.
//! - `OAUTH_CLIENT_ID` and its secret, `JWKS_URL` and `JWT_PUBLIC_KEY` are three ways to check a token. Two in one
//!   source are an error; of several sources the strongest has the say.
//! - A `JWKS_URL` must be of the issuer's origin (and realm). If the issuer it was written for has been replaced by a
//!   stronger source, the keys are found by discovery of the new one.
//! - The path in `JWT_PUBLIC_KEY` starts from the working directory, as every path on the command line does.

mod check;
mod contradictions;
mod env_file;
mod error;
mod explain;
mod flags;
mod given;
mod key;
mod notices;
mod public_key;
mod resolve;
mod secret;
mod settings;
mod sources;

pub use self::{
    error::SettingsError,
    flags::Flags,
    key::Key,
    secret::Secret,
    settings::{KeySource, Settings, Verification},
    sources::Sources,
};
