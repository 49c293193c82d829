use schemars::JsonSchema;
use serde::Deserialize;
use serde_json::Number;

use super::number::{Outcome, combine};
use crate::{CallContext, Structured, Tool, ToolAnnotations, ToolError};

/// Multiplies two numbers.
#[derive(Clone, Copy, Debug)]
pub struct Multiply;

/// Arguments of [`Multiply`].
#[derive(Debug, Deserialize, JsonSchema)]
pub struct Input {
    /// The first factor.
    x: Number,
    /// The second factor.
    y: Number,
}

impl Tool for Multiply {
    const NAME: &'static str = "multiply";
    const TITLE: &'static str = "Multiply";
    const DESCRIPTION: &'static str = "Multiplies two numbers. Integers are multiplied exactly.";
    const ANNOTATIONS: ToolAnnotations = ToolAnnotations::PURE;

    type Input = Input;
    type Output = Structured<Outcome>;

    async fn call(&self, _: &CallContext, Input { x, y }: Input) -> Result<Self::Output, ToolError> {
        combine(&x, &y, i128::checked_mul, |x, y| x * y).map(Structured)
    }
}
