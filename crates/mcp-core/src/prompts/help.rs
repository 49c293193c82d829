use schemars::JsonSchema;
use serde::Deserialize;

use crate::{CallContext, Content, Prompt, PromptMessage};

/// Asks the model to explain this server.
#[derive(Clone, Copy, Debug)]
pub struct Help;

/// [`Help`] takes no arguments.
#[derive(Debug, Deserialize, JsonSchema)]
pub struct Arguments {}

impl Prompt for Help {
    const NAME: &'static str = "help";
    const TITLE: &'static str = "Help";
    const DESCRIPTION: &'static str = "Explains what this server can do.";

    type Arguments = Arguments;

    async fn get(&self, _: &CallContext, _: Arguments) -> Vec<PromptMessage> {
        let text =
            "List the tools of this server, say in one sentence each what they are for, and show an example call.";
        vec![PromptMessage::user(Content::text(text))]
    }
}
