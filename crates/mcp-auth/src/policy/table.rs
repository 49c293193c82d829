use super::{Operation, PolicyError, rules::checked};

const READ: &str = "mcp:read";
const TOOLS: &str = "mcp:tools";
const PROMPTS: &str = "mcp:prompts";

/// The method table: of a method's scopes one is enough, broader ones among them (MCP 2026-07-28, *Authorization*,
/// "Scope Challenge Handling"). The first is the least.
#[derive(Clone, Debug)]
pub(super) struct Table {
    /// Each once; the one of basic use first.
    pub(super) scopes: Vec<String>,
    list_tools: Vec<String>,
    call_tool: Vec<String>,
    list_prompts: Vec<String>,
    get_prompt: Vec<String>,
}

fn owned(scopes: &[&str]) -> Vec<String> {
    scopes.iter().map(|scope| (*scope).to_owned()).collect()
}

impl Table {
    pub(super) fn mcp() -> Self {
        Self { get_prompt: owned(&[READ, PROMPTS]), ..Self::strict() }
    }

    pub(super) fn strict() -> Self {
        Self {
            scopes: owned(&[READ, TOOLS, PROMPTS]),
            list_tools: owned(&[READ, TOOLS]),
            call_tool: owned(&[TOOLS]),
            list_prompts: owned(&[READ, PROMPTS]),
            get_prompt: owned(&[PROMPTS]),
        }
    }

    pub(super) fn of_one(scope: &str) -> Result<Self, PolicyError> {
        let one = owned(&[checked(scope)?]);
        Ok(Self {
            scopes: one.clone(),
            list_tools: one.clone(),
            call_tool: one.clone(),
            list_prompts: one.clone(),
            get_prompt: one,
        })
    }

    pub(super) fn any_of(&self, operation: Operation<'_>) -> &[String] {
        match operation {
            Operation::Initialize
            | Operation::Ping
            | Operation::Discover
            | Operation::Notify { .. }
            | Operation::Respond => &[],
            Operation::ListTools | Operation::ShowTool { .. } => &self.list_tools,
            Operation::CallTool { .. } => &self.call_tool,
            Operation::ListPrompts | Operation::ShowPrompt { .. } => &self.list_prompts,
            Operation::GetPrompt { .. } => &self.get_prompt,
            // It has a rule of its own, or nobody may.
            Operation::Other { .. } => &[],
        }
    }
}
