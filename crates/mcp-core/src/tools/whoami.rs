use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::{CallContext, Structured, Tool, ToolAnnotations, ToolError};

/// Tells the caller who they are, as the server's guard has verified it.
#[derive(Clone, Copy, Debug)]
pub struct WhoAmI;

/// [`WhoAmI`] takes no arguments.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Input {}

/// Who is calling.
#[derive(Debug, Serialize, JsonSchema)]
pub struct Identity {
    /// The subject, unique within the issuer.
    subject: String,
    /// Who vouches for the subject.
    issuer: String,
    /// A name to show a person.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(with = "String")]
    #[schemars(default)]
    name: Option<String>,
}

impl Tool for WhoAmI {
    const NAME: &'static str = "whoami";
    const TITLE: &'static str = "Who am I";
    const DESCRIPTION: &'static str =
        "Tells you who you are to this server: the identity that your access token proves.";
    const ANNOTATIONS: ToolAnnotations = ToolAnnotations::PURE;

    type Input = Input;
    type Output = Structured<Identity>;

    async fn call(&self, ctx: &CallContext, _: Input) -> Result<Structured<Identity>, ToolError> {
        let caller = ctx.caller().ok_or_else(|| ToolError::new("this server asks nobody who they are"))?;
        Ok(Structured(Identity {
            subject: caller.subject.to_string(),
            issuer: caller.issuer.to_string(),
            name: caller.name.as_deref().map(str::to_owned),
        }))
    }
}
