use schemars::JsonSchema;
use serde::Deserialize;

use crate::{CallContext, Tool, ToolAnnotations, ToolError};

/// Says a message back, once or several times, and reports progress as it goes.
#[derive(Clone, Copy, Debug)]
pub struct Echo;

/// Arguments of [`Echo`].
#[derive(Debug, Deserialize, JsonSchema)]
pub struct Input {
    /// What to say back.
    message: String,
    /// How many times, each on a line of its own.
    #[serde(default = "once")]
    #[schemars(range(min = 1, max = 10))]
    repeat_count: u8,
}

const fn once() -> u8 {
    1
}

impl Tool for Echo {
    const NAME: &'static str = "echo";
    const TITLE: &'static str = "Echo";
    const DESCRIPTION: &'static str = "Says a message back, once or up to ten times.";
    const ANNOTATIONS: ToolAnnotations = ToolAnnotations::PURE;

    type Input = Input;
    type Output = String;

    async fn call(&self, ctx: &CallContext, input: Input) -> Result<String, ToolError> {
        let mut said = String::new();
        for n in 1..=input.repeat_count {
            if n > 1 {
                said.push('\n');
            }
            said.push_str(&input.message);
            ctx.progress(n.into(), Some(input.repeat_count.into()), None).await;
        }
        Ok(said)
    }
}
