//! What an authenticated caller may do: scopes, roles, the claim `tools`, and the rules of the server.

mod denied;
mod layer;
mod operation;
mod rules;
mod table;

use std::{fmt, str::FromStr, sync::Arc};

pub use self::{
    denied::Denied,
    layer::{Enforced, PolicyLayer},
    operation::Operation,
    rules::PolicyError,
};
use self::{rules::Rules, table::Table};
use crate::{Principal, audit};

/// Decides what a [`Principal`] may do. Cheap to clone.
///
/// Four things say so, and each can only take away: the scopes of the token (what the client may do), the roles of the
/// person (what the person may do), the claim `tools` of the token (which tools at all), and the rules of the server
/// (what a tool asks for besides). An `admin` whose client holds `mcp:read` may read.
///
/// | scope | allows by [`Policy::mcp`] | by [`Policy::strict`] |
/// |---|---|---|
/// | `mcp:read` | listing tools and prompts, getting prompts | listing tools and prompts |
/// | `mcp:tools` | listing and calling tools | the same |
/// | `mcp:prompts` | listing and getting prompts | the same |
///
/// By [`Policy::one_scope`] the one scope allows all of it, and nothing else allows any.
///
/// `initialize`, `ping`, `server/discover`, notifications and responses need a valid token and no scope. A method that
/// is not in the table is denied unless [`Policy::method_scope`] says what it needs.
///
/// A list leaves out what a missing role, the claim `tools` or a tool's own scope denies. It shows what only the
/// general scope for calling is missing for, so that a client sees what it can step up to. That is tidiness and no
/// secrecy: who guesses the name of a tool with a rule is told the rule by the 403, while a name without one is answered
/// as the server answers names that it does not know.
///
/// ```
/// # use std::sync::Arc;
/// # use mcp_auth::AccessToken;
/// use mcp_auth::{Operation, Policy, Principal};
///
/// # fn main() -> Result<(), mcp_auth::PolicyError> {
/// let policy = Policy::mcp().tool_scope("run_js", "mcp:run")?.tool_role("server_stats", "admin");
/// # let token = AccessToken {
/// #     issuer: "https://idp.example".into(), subject: "alice".into(), client_id: None, username: None,
/// #     scopes: vec!["mcp:read".to_owned(), "mcp:tools".to_owned()], roles: vec!["user".to_owned()], tools: None,
/// #     expires_at: 0, kid: None, claims: Default::default(),
/// # };
/// # let alice = Principal::new(Arc::new(token));
/// // Alice is a user; her client has a token for `mcp:read mcp:tools`.
/// assert!(policy.decide(&alice, Operation::new("tools/call", Some("echo"))).is_ok());
///
/// // What a new token would cure is asked for,
/// let denied = policy.decide(&alice, Operation::new("tools/call", Some("run_js"))).unwrap_err();
/// assert_eq!(
///     denied.to_string(),
///     r#"Forbidden: calling "run_js" needs the scope mcp:run; the token has mcp:read mcp:tools"#
/// );
/// assert_eq!(
///     denied.challenge().unwrap(),
///     "Bearer scope=\"mcp:read mcp:tools mcp:run\", error=\"insufficient_scope\", \
///      error_description=\"calling this tool needs the scope mcp:run\""
/// );
///
/// // and what none would cure is not.
/// let denied = policy.decide(&alice, Operation::new("tools/call", Some("server_stats"))).unwrap_err();
/// assert_eq!(denied.to_string(), r#"Forbidden: calling "server_stats" needs the role admin"#);
/// assert!(denied.challenge().is_none());
/// # Ok(())
/// # }
/// ```
#[derive(Clone, Debug)]
pub struct Policy(Arc<Rules>);

impl Policy {
    /// The method table of MCP, without a rule for any one tool.
    pub fn mcp() -> Self {
        Self(Arc::new(Rules::new(Table::mcp())))
    }

    /// The same, but who may only read gets no prompt: `prompts/get` needs `mcp:prompts`.
    pub fn strict() -> Self {
        Self(Arc::new(Rules::new(Table::strict())))
    }

    /// One scope, such as `mcp:tools`, for every list, call and prompt: what a server asks for whose authorization server
    /// knows but one.
    ///
    /// # Errors
    /// When it is no scope, or `offline_access`.
    pub fn one_scope(scope: &str) -> Result<Self, PolicyError> {
        Ok(Self(Arc::new(Rules::new(Table::of_one(scope)?))))
    }

    /// Calling and seeing this tool also needs `scope`. Of several each is needed.
    ///
    /// The policy does not know which tools there are: write `ServerStats::NAME` rather than a name that may be
    /// misspelt.
    ///
    /// # Errors
    /// When it is no scope, or `offline_access`.
    pub fn tool_scope(mut self, tool: &str, scope: &str) -> Result<Self, PolicyError> {
        Arc::make_mut(&mut self.0).tool_scope(tool, scope)?;
        Ok(self)
    }

    /// Calling and seeing this tool also needs `role`. Of several each is needed.
    #[must_use]
    pub fn tool_role(mut self, tool: &str, role: &str) -> Self {
        Arc::make_mut(&mut self.0).tool_role(tool, role);
        self
    }

    /// Permits a method that is not in the table, such as `resources/read`, with `scope`. Of several each is needed.
    ///
    /// # Errors
    /// When it is no scope, or `offline_access`, or the method is in the table.
    pub fn method_scope(mut self, method: &str, scope: &str) -> Result<Self, PolicyError> {
        Arc::make_mut(&mut self.0).method_scope(method, scope)?;
        Ok(self)
    }

    /// Decides. A denial is audited, unless all it does is leave an entry out of a list.
    ///
    /// # Errors
    /// What is missing.
    pub fn decide<'a>(&'a self, principal: &'a Principal, operation: Operation<'a>) -> Result<(), Denied<'a>> {
        let rule = self.0.of(operation);
        let mut denied = Denied::of_nothing(self, principal, operation);
        // Scopes bound the client, roles the person, the claim the token. None of them excuses another.
        denied.for_scopes(rule);
        denied.for_roles(rule);
        denied.for_the_tools_claim();
        if denied.is_of_nothing() {
            return Ok(());
        }
        if !operation.is_for_a_list() {
            audit::denied(&denied);
        }
        Err(denied)
    }

    /// The scopes, with spaces between them, that a client without a token is told to ask for: what the challenge of a
    /// 401 ([`Guard::challenge`](crate::Guard::challenge)) should name, and the metadata
    /// ([`ProtectedResource`](crate::ProtectedResource)).
    pub fn initial_scopes(&self, which: InitialScopes) -> String {
        match which {
            InitialScopes::Least => self.0.basic().to_owned(),
            InitialScopes::All => self.0.scopes().join(" "),
        }
    }
}

/// Which scopes a client is told to ask for at first.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum InitialScopes {
    /// Those of basic use. For more, a client steps up when it is told to.
    #[default]
    Least,
    /// All that the policy knows: behind an authorization server that freezes a client's scopes when it registers
    /// (Keycloak does) nobody can step up.
    All,
}

impl FromStr for InitialScopes {
    type Err = &'static str;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        match text {
            "least" => Ok(Self::Least),
            "all" => Ok(Self::All),
            _ => Err("write least or all"),
        }
    }
}

impl fmt::Display for InitialScopes {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Least => "least",
            Self::All => "all",
        })
    }
}
