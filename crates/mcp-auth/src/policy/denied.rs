use std::fmt;

use http::HeaderValue;
use serde_json::{Map, Value, json};

use super::{Operation, Policy, rules::Rule};
use crate::{Principal, shown::shown};

/// A decision against, with everything that was missing for it to be another. What it tells is written when it is asked
/// for: most denials only leave an entry out of a list.
///
/// It displays as a sentence for the person behind the client.
#[derive(Clone, Debug)]
pub struct Denied<'a> {
    policy: &'a Policy,
    principal: &'a Principal,
    operation: Operation<'a>,
    /// Of these scopes, one.
    any_of: &'a [String],
    /// Of these, each.
    scopes: Vec<&'a str>,
    roles: Vec<&'a str>,
    tools_claim: bool,
    without_rule: bool,
}

impl<'a> Denied<'a> {
    pub(super) const fn of_nothing(policy: &'a Policy, principal: &'a Principal, operation: Operation<'a>) -> Self {
        Self {
            policy,
            principal,
            operation,
            any_of: &[],
            scopes: Vec::new(),
            roles: Vec::new(),
            tools_claim: false,
            without_rule: false,
        }
    }

    /// What the client may do.
    pub(super) fn for_scopes(&mut self, rule: Option<&'a Rule>) {
        let held = |scope: &str| self.principal.scopes.iter().any(|held| held == scope);
        let any_of = self.policy.0.any_of(self.operation);
        if !any_of.is_empty() && !any_of.iter().any(|scope| held(scope)) {
            self.any_of = any_of;
        }
        match rule {
            Some(rule) => self.scopes = rule.scopes.iter().map(|scope| &**scope).filter(|scope| !held(scope)).collect(),
            None => self.without_rule = matches!(self.operation, Operation::Other { .. }),
        }
    }

    /// What the person may do.
    pub(super) fn for_roles(&mut self, rule: Option<&'a Rule>) {
        let Some(rule) = rule else { return };
        let held = |role: &str| self.principal.roles.iter().any(|held| held == role);
        self.roles = rule.roles.iter().map(|role| &**role).filter(|role| !held(role)).collect();
    }

    /// Which tools the token is for at all.
    pub(super) fn for_the_tools_claim(&mut self) {
        if let (Some(tool), Some(tools)) = (self.operation.tool(), &self.principal.tools) {
            self.tools_claim = !tools.iter().any(|name| name == tool);
        }
    }

    pub(super) const fn is_of_nothing(&self) -> bool {
        self.any_of.is_empty() && self.scopes.is_empty() && !self.is_final()
    }

    /// A token with more scopes would be denied all the same.
    pub const fn is_final(&self) -> bool {
        !self.roles.is_empty() || self.tools_claim || self.without_rule
    }

    /// Who was denied.
    pub const fn principal(&self) -> &'a Principal {
        self.principal
    }

    /// What was denied.
    pub const fn operation(&self) -> Operation<'a> {
        self.operation
    }

    /// The least that the token would have to have besides.
    pub fn missing_scopes(&self) -> impl Iterator<Item = &'a str> {
        self.any_of.first().map(String::as_str).into_iter().chain(self.scopes.iter().copied())
    }

    /// The roles that the person would have to have.
    pub fn missing_roles(&self) -> &[&'a str] {
        &self.roles
    }

    /// The scopes of a token that would be let through, with spaces between them; `None` if none would
    /// ([`Denied::is_final`]).
    ///
    /// Also those that the token has already, as far as they mean anything here, and the basic one: some clients (the
    /// TypeScript SDK 1.x) ask for what is named alone, and would lose the others (MCP 2025-11-25, *Authorization*,
    /// "Scope Challenge Handling").
    pub fn scope(&self) -> Option<String> {
        if self.is_final() {
            return None;
        }
        let named = |scope: &&str| {
            *scope == self.policy.0.basic()
                || self.missing_scopes().any(|missing| missing == *scope)
                || self.principal.scopes.iter().any(|held| held == scope)
        };
        Some(self.policy.0.scopes().iter().map(String::as_str).filter(named).collect::<Vec<_>>().join(" "))
    }

    /// What `WWW-Authenticate` says (RFC 6750 §3.1, RFC 9728 §5.1). `None`, and no such header, where no scope would
    /// help: its only error for a 403 is `insufficient_scope`, and a client that is told so asks for a token again and
    /// again (rmcp does not even read which error it is).
    pub fn challenge(&self) -> Option<HeaderValue> {
        let scope = self.scope()?;
        let description = format!("{} {}", self.operation.kind(), self.needs());
        // Rules hold nothing but scopes that fit, and no word of it is the client's.
        let challenge =
            self.principal.challenge().scope(&scope).ok()?.error("insufficient_scope", &description).ok()?;
        Some(challenge.to_header())
    }

    /// What is missing, for the member `data` of a JSON-RPC error.
    pub fn data(&self) -> Value {
        let mut data = Map::new();
        let scopes: Vec<&str> = self.missing_scopes().collect();
        if !scopes.is_empty() {
            data.insert("missingScopes".to_owned(), json!(scopes));
        }
        if !self.roles.is_empty() {
            data.insert("missingRoles".to_owned(), json!(self.roles));
        }
        if self.tools_claim {
            data.insert("outsideToolsClaim".to_owned(), json!(true));
        }
        if self.without_rule {
            data.insert("methodNotPermitted".to_owned(), json!(true));
        }
        Value::Object(data)
    }

    /// Why, in the words of the audit.
    pub(crate) fn reason(&self) -> String {
        let mut reasons = Vec::new();
        if !self.any_of.is_empty() {
            reasons.push(format!("scope {}", self.any_of.join(" or ")));
        }
        reasons.extend(self.scopes.iter().map(|scope| format!("scope {scope}")));
        reasons.extend(self.roles.iter().map(|role| format!("role {role}")));
        if self.tools_claim {
            reasons.push("tools claim".to_owned());
        }
        if self.without_rule {
            reasons.push("method".to_owned());
        }
        reasons.join(", ")
    }

    /// `needs the scope mcp:tools and the role admin`.
    fn needs(&self) -> String {
        let any_of = (!self.any_of.is_empty()).then(|| format!("the scope {}", self.any_of.join(" or ")));
        let scopes = self.scopes.iter().map(|scope| format!("the scope {scope}"));
        let roles = self.roles.iter().map(|role| format!("the role {role}"));
        let needs: Vec<String> = any_of.into_iter().chain(scopes).chain(roles).collect();
        format!("needs {}", needs.join(" and "))
    }

    /// `the token has mcp:read`. What else it has may be anything, and is nobody's business here.
    fn has(&self) -> String {
        let known = self.policy.0.scopes().iter().filter(|scope| self.principal.scopes.contains(scope));
        let known: Vec<&str> = known.map(String::as_str).collect();
        if known.is_empty() {
            "the token has no scope of this server".to_owned()
        } else {
            format!("the token has {}", known.join(" "))
        }
    }
}

impl fmt::Display for Denied<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let lacks_scope = self.missing_scopes().next().is_some();
        let mut clauses = Vec::new();
        if lacks_scope || !self.roles.is_empty() {
            clauses.push(format!("{} {}", self.operation, self.needs()));
        }
        if self.tools_claim {
            let name = shown(self.operation.name().unwrap_or_default());
            clauses.push(format!("the token's claim tools does not name {name}"));
        }
        if self.without_rule {
            clauses.push(format!("{} is not open to anybody", self.operation));
        }
        if lacks_scope {
            clauses.push(self.has());
        }
        write!(f, "Forbidden: {}", clauses.join("; "))
    }
}

impl std::error::Error for Denied<'_> {}
