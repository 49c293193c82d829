//! The method table, and the way of a call: operation, authorize hook, arguments, tool.

use std::{
    any::Any,
    panic::{AssertUnwindSafe, catch_unwind},
};

use futures_util::FutureExt;
use http::Extensions;
use serde_json::{Map, Value, value::RawValue};

use super::{
    Inner, McpServer,
    answer::{Answer, Failure},
    registry::{Entry, Registry},
};
use crate::{
    CallContext, Caller,
    authorize::Operation,
    call::ProgressSink,
    jsonrpc::{ErrorObject, Params, code},
    prompt::AnyPrompt,
    protocol::{Era, Revision},
    schema,
    shown::shown,
    tool::{AnyTool, BoxFuture, CallResult},
};

/// One parsed request, ready to be answered.
#[derive(Debug)]
pub(crate) struct Call {
    pub(crate) era: Era,
    pub(crate) method: String,
    pub(crate) params: Box<Params>,
    pub(crate) extensions: Extensions,
    pub(crate) progress: Option<ProgressSink>,
    /// The request's number in the log.
    pub(crate) request: u64,
}

fn invalid_params(message: impl Into<String>) -> Failure {
    Failure::Method(ErrorObject::new(code::INVALID_PARAMS, message))
}

impl McpServer {
    /// Acknowledges a notification. None has an effect here; the hook may still object to its sender.
    pub(crate) fn notify(&self, extensions: &Extensions, method: &str, request: u64) -> Result<(), Failure> {
        catch_unwind(AssertUnwindSafe(|| self.0.may(extensions, Operation::Notify { method })))
            .map_err(|panic| panicked(request, &*panic))?
            .map_err(Failure::Refused)
            .inspect_err(|_| self.0.counters.refusal())
    }

    /// Answers one request. Dropping the future cancels the call.
    ///
    /// Everything is decided before the first `await`; what waits is the handler alone, so the future stays small.
    pub(crate) async fn answer(&self, call: Call) -> Result<Answer, Failure> {
        let request = call.request;
        self.0.counters.request();
        let begun = catch_unwind(AssertUnwindSafe(|| self.0.begin(call)));
        let begun = begun.map_err(|panic| panicked(request, &*panic))?;
        if let Err(Failure::Refused(_)) = begun {
            self.0.counters.refusal();
        }
        match begun? {
            Begun::Done(answer) => Ok(answer),
            Begun::Tool(tool, Input { ctx, arguments }) => {
                self.0.counters.tool_call();
                let result = guarded(request, tool.item.call(&ctx, arguments)).await?;
                Ok(Answer::Call(result))
            }
            Begun::Prompt(prompt, Input { ctx, arguments }) => {
                let messages = guarded(request, prompt.item.get(&ctx, arguments)).await?;
                let messages = messages
                    .ok_or_else(|| invalid_params(format!("the arguments are not what {} takes", prompt.name)))?;
                Ok(Answer::Prompt { description: prompt.item.description(), messages })
            }
        }
    }
}

/// A request after every decision about it.
enum Begun<'a> {
    Done(Answer),
    Tool(&'a Entry<dyn AnyTool>, Input),
    Prompt(&'a Entry<dyn AnyPrompt>, Input),
}

/// What a handler is given. The call ends when its context is dropped.
struct Input {
    ctx: CallContext,
    arguments: Value,
}

impl Input {
    fn new(call: Call, arguments: Value) -> Self {
        Self { ctx: CallContext::new(call.extensions.get::<Caller>().cloned(), call.progress), arguments }
    }
}

impl Inner {
    /// The method table.
    fn begin(&self, call: Call) -> Result<Begun<'_>, Failure> {
        let answer = match (call.method.as_str(), call.era) {
            ("initialize", Era::Legacy) => self.initialize(&call)?,
            ("ping", Era::Legacy) => {
                self.may(&call.extensions, Operation::Ping).map_err(Failure::Refused)?;
                Answer::Empty
            }
            ("server/discover", Era::Modern) => {
                self.may(&call.extensions, Operation::Discover).map_err(Failure::Refused)?;
                Answer::Discover {
                    capabilities: self.capabilities.clone(),
                    instructions: self.instructions.clone(),
                    scope: self.cache_scope(),
                }
            }
            ("tools/list", _) if !self.tools.is_empty() => {
                self.list("tools", &self.tools, &call, Operation::ListTools, |name| Operation::ShowTool { name })?
            }
            ("prompts/list", _) if !self.prompts.is_empty() => {
                self.list("prompts", &self.prompts, &call, Operation::ListPrompts, |name| Operation::ShowPrompt {
                    name,
                })?
            }
            ("tools/call", _) if self.dispatch && !self.tools.is_empty() => return self.call_tool(call),
            ("prompts/get", _) if self.dispatch && !self.prompts.is_empty() => return self.get_prompt(call),
            (method, era) => return Err(Self::unknown(method, era)),
        };
        Ok(Begun::Done(answer))
    }

    fn unknown(method: &str, era: Era) -> Failure {
        let message = match (method, era) {
            // A legacy client has no other way to learn what it could speak.
            ("initialize", Era::Modern) => format!(
                "initialize does not exist in {}; send it without modern _meta to speak {} or older",
                Revision::modern_names().join(", "),
                Revision::LATEST_LEGACY
            ),
            _ => "this server has no such method".to_owned(),
        };
        Failure::UnknownMethod(ErrorObject::new(code::METHOD_NOT_FOUND, message))
    }

    fn initialize(&self, call: &Call) -> Result<Answer, Failure> {
        let requested = call
            .params
            .protocol_version
            .as_ref()
            .and_then(Value::as_str)
            .ok_or_else(|| invalid_params("params.protocolVersion is required and must be a string"))?;
        self.may(&call.extensions, Operation::Initialize).map_err(Failure::Refused)?;
        // Never answer with a modern revision: it has no handshake, so a client that asks for one here is a legacy
        // client that names the newest version it has heard of (rmcp 3.9 does).
        let revision =
            Revision::parse(requested).filter(|revision| !revision.is_modern()).unwrap_or(Revision::LATEST_LEGACY);
        Ok(Answer::Initialize {
            revision,
            capabilities: self.capabilities.clone(),
            instructions: self.instructions.clone(),
        })
    }

    fn list<T: ?Sized>(
        &self,
        member: &'static str,
        registry: &Registry<T>,
        call: &Call,
        operation: Operation<'_>,
        show: impl Fn(&'static str) -> Operation<'static>,
    ) -> Result<Answer, Failure> {
        self.may(&call.extensions, operation).map_err(Failure::Refused)?;
        match &call.params.cursor {
            None | Some(Value::Null) => {}
            Some(_) => return Err(invalid_params("params.cursor was not given out by this server: it has one page")),
        }
        let items: Box<RawValue> = match self.authorize {
            None => registry.list(),
            Some(_) => registry.list_where(|name| self.may(&call.extensions, show(name)).is_ok()),
        };
        Ok(Answer::List { member, items, scope: self.cache_scope() })
    }

    fn call_tool(&self, mut call: Call) -> Result<Begun<'_>, Failure> {
        let name = name_of(&mut call)?;
        self.may(&call.extensions, Operation::CallTool { name: &name }).map_err(Failure::Refused)?;
        let tool = find(&self.tools, &name, "tool")?;
        let arguments = arguments_of(&mut call)?;
        Ok(match tool.arguments.check(&arguments) {
            Ok(()) => Begun::Tool(tool, Input::new(call, arguments)),
            // A model can mend its arguments, so this is a result it gets to see, not a protocol error (SEP-1303).
            Err(violations) => {
                Begun::Done(Answer::Call(CallResult::error(format!("invalid arguments for {name}: {violations}"))))
            }
        })
    }

    fn get_prompt(&self, mut call: Call) -> Result<Begun<'_>, Failure> {
        let name = name_of(&mut call)?;
        self.may(&call.extensions, Operation::GetPrompt { name: &name }).map_err(Failure::Refused)?;
        let prompt = find(&self.prompts, &name, "prompt")?;
        let arguments = arguments_of(&mut call)?;
        prompt
            .arguments
            .check(&arguments)
            .map_err(|violations| invalid_params(format!("invalid arguments for {name}: {violations}")))?;
        Ok(Begun::Prompt(prompt, Input::new(call, arguments)))
    }
}

fn name_of(call: &mut Call) -> Result<String, Failure> {
    match call.params.name.take() {
        Some(Value::String(name)) => Ok(name),
        _ => Err(invalid_params("params.name is required and must be a string")),
    }
}

fn arguments_of(call: &mut Call) -> Result<Value, Failure> {
    match call.params.arguments.take() {
        None => Ok(Value::Object(Map::new())),
        Some(mut arguments @ Value::Object(_)) => {
            schema::integers_as_integers(&mut arguments);
            Ok(arguments)
        }
        Some(_) => Err(invalid_params("params.arguments must be an object")),
    }
}

fn find<'a, T: ?Sized>(registry: &'a Registry<T>, name: &str, kind: &str) -> Result<&'a Entry<T>, Failure> {
    registry
        .get(name)
        .ok_or_else(|| invalid_params(format!("there is no {kind} named {:?}; {kind}s/list has them all", shown(name))))
}

/// A panic, of a handler or of the authorize hook, is an error of its own request and of nothing else.
async fn guarded<T>(request: u64, handler: BoxFuture<'_, T>) -> Result<T, Failure> {
    AssertUnwindSafe(handler).catch_unwind().await.map_err(|panic| panicked(request, &*panic))
}

fn panicked(request: u64, panic: &(dyn Any + Send)) -> Failure {
    tracing::error!(request, panic = panic_text(panic), "panicked");
    let message = format!("the server failed; its log has the reason under request {request}");
    Failure::Method(ErrorObject::new(code::INTERNAL_ERROR, message))
}

fn panic_text(panic: &(dyn Any + Send)) -> &str {
    panic
        .downcast_ref::<&str>()
        .copied()
        .or_else(|| panic.downcast_ref::<String>().map(String::as_str))
        .unwrap_or("no message")
}
