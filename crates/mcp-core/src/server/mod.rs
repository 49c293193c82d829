//! An MCP server, whatever carries its messages: what is registered, who may use it, how a method is answered.

mod answer;
mod counters;
mod dispatch;
mod registry;

use std::{fmt, sync::Arc};

use http::Extensions;
use serde_json::{Value, json, value::RawValue};

pub use self::registry::BuildError;
use self::{answer::CacheScope, registry::Registry};
pub(crate) use self::{
    answer::{Envelope, Failure},
    counters::Counters,
    dispatch::Call,
};
use crate::{
    authorize::{Authorize, Operation, Refusal},
    prompt::{self, AnyPrompt, Prompt},
    tool::{self, AnyTool, Tool},
    tools::ServerStats,
};

/// A server with its tools and prompts. A clone is the same server.
#[derive(Clone)]
pub struct McpServer(Arc<Inner>);

struct Inner {
    server_info: Box<RawValue>,
    counters: Arc<Counters>,
    instructions: Option<String>,
    capabilities: Value,
    tools: Registry<dyn AnyTool>,
    prompts: Registry<dyn AnyPrompt>,
    dispatch: bool,
    authorize: Option<Box<Authorize>>,
}

impl McpServer {
    /// Starts a server with a name and a version, as clients will see them.
    pub fn builder(name: &str, version: &str) -> Builder {
        let server_info = json!({ "name": name, "version": version }).to_string();
        Builder {
            version: version.to_owned(),
            outcome: Ok(Inner {
                server_info: RawValue::from_string(server_info).expect("a Value prints as JSON"),
                counters: Arc::new(Counters::new()),
                instructions: None,
                capabilities: json!({}),
                tools: Registry::new("tool"),
                prompts: Registry::new("prompt"),
                dispatch: true,
                authorize: None,
            }),
        }
    }

    pub(crate) fn server_info(&self) -> &RawValue {
        &self.0.server_info
    }
}

impl fmt::Debug for McpServer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("McpServer").field(&self.0.server_info.get()).finish()
    }
}

/// Builds an [`McpServer`]. The first mistake is kept and told by [`Builder::build`].
#[must_use = "a builder does nothing until `build`"]
pub struct Builder {
    version: String,
    outcome: Result<Inner, BuildError>,
}

impl fmt::Debug for Builder {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Builder").field("error", &self.outcome.as_ref().err()).finish_non_exhaustive()
    }
}

impl Builder {
    fn with(mut self, change: impl FnOnce(&mut Inner) -> Result<(), BuildError>) -> Self {
        if let Ok(inner) = &mut self.outcome
            && let Err(error) = change(inner)
        {
            self.outcome = Err(error);
        }
        self
    }

    /// Adds a tool. Lists keep the order of registration.
    pub fn tool<T: Tool>(self, tool: T) -> Self {
        self.with(|inner| {
            let schema = T::input_schema();
            let descriptor = tool::descriptor::<T>(&schema);
            inner.tools.add(T::NAME, Box::new(tool), &schema, Ok(descriptor))
        })
    }

    /// Adds the tool [`ServerStats`], which tells what this server has counted. Say in the authorize hook who may ask.
    pub fn server_stats(self) -> Self {
        let Ok(inner) = &self.outcome else { return self };
        let stats = ServerStats::new(self.version.clone(), Arc::clone(&inner.counters));
        self.tool(stats)
    }

    /// Adds a prompt.
    pub fn prompt<P: Prompt>(self, prompt: P) -> Self {
        self.with(|inner| {
            let schema = prompt::arguments_schema::<P>();
            let descriptor = prompt::descriptor::<P>(&schema);
            inner.prompts.add(P::NAME, Box::new(prompt), &schema, descriptor)
        })
    }

    /// Text for the model on how to use this server.
    pub fn instructions(self, text: impl Into<String>) -> Self {
        self.with(|inner| {
            inner.instructions = Some(text.into());
            Ok(())
        })
    }

    /// Lists tools and prompts without running them: `tools/call` and `prompts/get` are unknown methods.
    pub fn list_only(self) -> Self {
        self.with(|inner| {
            inner.dispatch = false;
            Ok(())
        })
    }

    /// Asks `hook` about every operation, and about every entry of a list. Lists then depend on the caller, so their
    /// `cacheScope` becomes `private`.
    pub fn authorize<F>(self, hook: F) -> Self
    where
        F: Fn(&Extensions, Operation<'_>) -> Result<(), Refusal> + Send + Sync + 'static,
    {
        self.with(|inner| {
            inner.authorize = Some(Box::new(hook));
            Ok(())
        })
    }

    /// The server.
    ///
    /// # Errors
    /// The first tool or prompt that could not be registered.
    pub fn build(self) -> Result<McpServer, BuildError> {
        let mut inner = self.outcome?;
        inner.capabilities = answer::capabilities(!inner.tools.is_empty(), !inner.prompts.is_empty());
        Ok(McpServer(Arc::new(inner)))
    }
}

impl Inner {
    fn may(&self, extensions: &Extensions, operation: Operation<'_>) -> Result<(), Refusal> {
        self.authorize.as_ref().map_or(Ok(()), |hook| hook(extensions, operation))
    }

    fn cache_scope(&self) -> CacheScope {
        if self.authorize.is_some() { CacheScope::Private } else { CacheScope::Public }
    }
}
