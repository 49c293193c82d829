//! What a prompt is: one type in one file, see [`crate::prompts`].

use std::future::Future;

use schemars::JsonSchema;
use serde::{Serialize, de::DeserializeOwned};
use serde_json::{Map, Value, json};

use crate::{CallContext, Content, schema, tool::BoxFuture};

/// A message template that a person picks.
pub trait Prompt: Send + Sync + 'static {
    /// Like a tool's name.
    const NAME: &'static str;
    /// A name for people.
    const TITLE: &'static str;
    /// What it is for.
    const DESCRIPTION: &'static str;

    /// The arguments; every one is a string on the wire (MCP 2026-07-28, *Prompts*).
    type Arguments: DeserializeOwned + JsonSchema + Send;

    /// Fills the template in.
    fn get(&self, ctx: &CallContext, arguments: Self::Arguments) -> impl Future<Output = Vec<PromptMessage>> + Send;
}

/// Who speaks.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Role {
    /// The person.
    User,
    /// The model.
    Assistant,
}

/// One message of a prompt.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct PromptMessage {
    /// Who speaks.
    pub role: Role,
    /// What is said.
    pub content: Content,
}

impl PromptMessage {
    /// A message of the person.
    pub fn user(content: Content) -> Self {
        Self { role: Role::User, content }
    }
}

/// The entry in `prompts/list`, with the arguments read off their schema.
///
/// # Errors
/// When an argument is anything but a string.
pub(crate) fn descriptor<P: Prompt>(schema: &Value) -> Result<Value, String> {
    let required: Vec<&str> =
        schema.get("required").and_then(Value::as_array).into_iter().flatten().filter_map(Value::as_str).collect();
    let mut arguments = Vec::new();
    for (name, property) in schema.get("properties").and_then(Value::as_object).into_iter().flatten() {
        let types: Vec<&str> = match property.get("type") {
            Some(Value::String(kind)) => vec![kind],
            Some(Value::Array(kinds)) => kinds.iter().filter_map(Value::as_str).collect(),
            _ => Vec::new(),
        };
        if !types.contains(&"string") {
            return Err(format!("its argument {name:?} must be a string"));
        }
        let mut argument = Map::new();
        argument.insert("name".into(), json!(name));
        if let Some(description) = property.get("description") {
            argument.insert("description".into(), description.clone());
        }
        argument.insert("required".into(), json!(required.contains(&name.as_str())));
        arguments.push(Value::Object(argument));
    }
    let mut entry = json!({ "name": P::NAME, "title": P::TITLE, "description": P::DESCRIPTION });
    if !arguments.is_empty() {
        entry["arguments"] = Value::Array(arguments);
    }
    Ok(entry)
}

/// [`Prompt`] without its types, for the registry.
pub(crate) trait AnyPrompt: Send + Sync {
    fn get<'a>(&'a self, ctx: &'a CallContext, arguments: Value) -> BoxFuture<'a, Option<Vec<PromptMessage>>>;
    fn description(&self) -> &'static str;
}

impl<P: Prompt> AnyPrompt for P {
    fn get<'a>(&'a self, ctx: &'a CallContext, arguments: Value) -> BoxFuture<'a, Option<Vec<PromptMessage>>> {
        Box::pin(async move {
            match serde_json::from_value(arguments) {
                Ok(arguments) => Some(Prompt::get(self, ctx, arguments).await),
                Err(error) => {
                    tracing::warn!(prompt = P::NAME, %error, "argument schema and argument type disagree");
                    None
                }
            }
        })
    }

    fn description(&self) -> &'static str {
        P::DESCRIPTION
    }
}

/// The schema of a prompt's arguments.
pub(crate) fn arguments_schema<P: Prompt>() -> Value {
    schema::of_input::<P::Arguments>()
}
