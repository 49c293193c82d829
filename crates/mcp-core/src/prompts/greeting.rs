use schemars::JsonSchema;
use serde::Deserialize;

use crate::{CallContext, Content, Prompt, PromptMessage};

/// Asks the model to greet somebody.
#[derive(Clone, Copy, Debug)]
pub struct Greeting;

/// Arguments of [`Greeting`].
#[derive(Debug, Deserialize, JsonSchema)]
pub struct Arguments {
    /// Whom to greet.
    #[schemars(length(min = 1, max = 200))]
    name: String,
    /// friendly (the default) or formal.
    #[serde(default)]
    style: Style,
}

#[derive(Clone, Copy, Debug, Default, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
enum Style {
    #[default]
    Friendly,
    Formal,
}

impl Prompt for Greeting {
    const NAME: &'static str = "greeting";
    const TITLE: &'static str = "Greeting";
    const DESCRIPTION: &'static str = "Greets somebody by name.";

    type Arguments = Arguments;

    async fn get(&self, _: &CallContext, Arguments { name, style }: Arguments) -> Vec<PromptMessage> {
        let text = match style {
            Style::Friendly => format!("Write a warm, friendly greeting for {name}."),
            Style::Formal => format!("Write a formal greeting for {name}."),
        };
        vec![PromptMessage::user(Content::text(text))]
    }
}
