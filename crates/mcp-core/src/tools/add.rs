use schemars::JsonSchema;
use serde::Deserialize;
use serde_json::Number;

use super::number::{Outcome, combine};
use crate::{CallContext, Structured, Tool, ToolAnnotations, ToolError};

/// Adds two numbers.
#[derive(Clone, Copy, Debug)]
pub struct Add;

/// Arguments of [`Add`].
#[derive(Debug, Deserialize, JsonSchema)]
pub struct Input {
    /// The first number.
    a: Number,
    /// The second number.
    b: Number,
}

impl Tool for Add {
    const NAME: &'static str = "add";
    const TITLE: &'static str = "Add";
    const DESCRIPTION: &'static str = "Adds two numbers. Integers are added exactly.";
    const ANNOTATIONS: ToolAnnotations = ToolAnnotations::PURE;

    type Input = Input;
    type Output = Structured<Outcome>;

    async fn call(&self, _: &CallContext, Input { a, b }: Input) -> Result<Self::Output, ToolError> {
        combine(&a, &b, i128::checked_add, |a, b| a + b).map(Structured)
    }
}
