use std::collections::HashMap;

use super::{Operation, table::Table};

/// What is needed besides the method table.
#[derive(Clone, Debug, Default)]
pub(super) struct Rule {
    pub(super) scopes: Vec<String>,
    pub(super) roles: Vec<String>,
}

#[derive(Clone, Debug)]
pub(super) struct Rules {
    /// Every scope that counts here, each once, in the order that challenges name them.
    scopes: Vec<String>,
    table: Table,
    tools: HashMap<String, Rule>,
    methods: HashMap<String, Rule>,
}

/// Why a rule cannot be.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum PolicyError {
    /// RFC 6749 §3.3.
    #[error("{0:?} is no scope: one or more printable ASCII characters without space, quotes and backslash")]
    Scope(String),
    /// MCP 2026-07-28, *Authorization*: it is no scope of the resource.
    #[error("offline_access is between the client and its authorization server; no resource asks for it")]
    OfflineAccess,
    /// What it needs is fixed.
    #[error("{0:?} is in the method table; give its tools rules of their own")]
    Method(String),
}

impl Rules {
    pub(super) fn new(table: Table) -> Self {
        Self { scopes: table.scopes.clone(), table, tools: HashMap::new(), methods: HashMap::new() }
    }

    /// The scope of basic use.
    pub(super) fn basic(&self) -> &str {
        &self.scopes[0]
    }

    pub(super) fn any_of(&self, operation: Operation<'_>) -> &[String] {
        self.table.any_of(operation)
    }

    pub(super) fn scopes(&self) -> &[String] {
        &self.scopes
    }

    /// The rule of what an operation is about.
    pub(super) fn of(&self, operation: Operation<'_>) -> Option<&Rule> {
        match operation {
            Operation::Other { method } => self.methods.get(method),
            _ => self.tools.get(operation.tool()?),
        }
    }

    pub(super) fn tool_scope(&mut self, tool: &str, scope: &str) -> Result<(), PolicyError> {
        let scope = self.known(scope)?;
        add(&mut self.tools.entry(tool.to_owned()).or_default().scopes, scope);
        Ok(())
    }

    pub(super) fn tool_role(&mut self, tool: &str, role: &str) {
        add(&mut self.tools.entry(tool.to_owned()).or_default().roles, role.to_owned());
    }

    pub(super) fn method_scope(&mut self, method: &str, scope: &str) -> Result<(), PolicyError> {
        let named = Operation::new(method, Some(""));
        if !matches!(named, Operation::Other { .. }) {
            return Err(PolicyError::Method(method.to_owned()));
        }
        let scope = self.known(scope)?;
        add(&mut self.methods.entry(method.to_owned()).or_default().scopes, scope);
        Ok(())
    }

    /// Checked, and given its place in the order.
    fn known(&mut self, scope: &str) -> Result<String, PolicyError> {
        let scope = checked(scope)?;
        add(&mut self.scopes, scope.to_owned());
        Ok(scope.to_owned())
    }
}

/// Checked once, so that a challenge can name it.
pub(super) fn checked(scope: &str) -> Result<&str, PolicyError> {
    if scope == "offline_access" {
        return Err(PolicyError::OfflineAccess);
    }
    if scope.is_empty() || !scope.bytes().all(|b| matches!(b, 0x21 | 0x23..=0x5b | 0x5d..=0x7e)) {
        return Err(PolicyError::Scope(scope.to_owned()));
    }
    Ok(scope)
}

fn add(names: &mut Vec<String>, name: String) {
    if !names.contains(&name) {
        names.push(name);
    }
}
