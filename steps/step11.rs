//! # Step 11: the client
//!
//! The other side of the door: a program that is given a URL and nothing else, and finds its way to a token. It follows
//! the refusal to the documents, checks each against the one before, introduces itself, sends its person to a login
//! page, and calls. With `--explain` it says at each exchange what it is for. The chapter is `step11.md`.
//!
//! Run it:
//! ```sh
//! cargo run --bin step11 -- --demo
//! ```
//! Try it, with step 8 in another terminal:
//! ```sh
//! cargo run --bin step11 -- http://localhost:9000/mcp --explain
//! ```

use std::{net::SocketAddr, process::ExitCode, sync::Arc, time::Duration};

use anyhow::{Context, bail};
use axum::{
    Router,
    extract::Request,
    http::{Extensions, StatusCode, header::WWW_AUTHENTICATE},
};
use clap::Parser;
use mcp_auth::{
    self as auth, Challenge, Guard, InitialScopes, JwtVerifier, Policy, Principal, ProtectedResource, VerifiedTokens,
    keys::{Algorithm, KeyDirectory},
};
use mcp_client::{Approval, Cache, ClientChoice, Explain, Observer, Person, Session, Settings, error_of, shown, whole};
use mcp_core::{
    Caller, McpServer,
    authorize::{Operation, Refusal},
    http::{DnsRebindingLayer, Endpoint},
    jsonrpc::ErrorObject,
    tools::{Add, Echo, WhoAmI},
};
use mcp_idp::{AuthorizationServer, Realm};
use rmcp::{
    RoleClient,
    model::{CallToolRequestParams, CallToolResult, Tool},
    service::RunningService,
};
use serde_json::{Map, Value, json};
use tokio::{net::TcpListener, time::sleep};
use tower::{Layer, util::MapRequestLayer};
use url::Url;

/// Somebody said no. 1 is any other failure, 2 a mistake on the command line.
const DENIED: u8 = 3;
/// How long a person has to log in, and a server for its answer.
const DEADLINE: Duration = Duration::from_secs(300);
/// Short, so that the story gets to its end: the refresh.
const DEMO_LIFETIME: Duration = Duration::from_secs(4);
const REALM: &str = include_str!("../keycloak/mcp-realm-realm.json");

/// Step 11: an MCP client that finds its way to a token alone.
#[derive(Parser)]
struct Args {
    /// The MCP server, such as http://localhost:9000/mcp.
    #[arg(required_unless_present = "demo")]
    url: Option<Url>,
    /// Starts a server and its authorization server here, plays the whole story with a person named alice, and explains.
    #[arg(long, conflicts_with = "url")]
    demo: bool,
    /// Tells each exchange: what was asked, what came back, what it is for.
    #[arg(long)]
    explain: bool,
    /// Lists the tools, and does nothing else.
    #[arg(long, conflicts_with = "call")]
    list: bool,
    /// Calls this tool.
    #[arg(long, value_name = "TOOL")]
    call: Option<String>,
    /// An argument of the call; several times for several.
    #[arg(long = "arg", value_name = "NAME=VALUE", requires = "call")]
    args: Vec<String>,
    /// A client that is known to the authorization server.
    #[arg(long, value_name = "ID")]
    client_id: Option<String>,
    /// Its secret; better in the environment, as MCP_CLIENT_SECRET, where other people of this machine do not see it.
    #[arg(long, value_name = "SECRET", requires_all = ["client_id", "issuer"])]
    client_secret: Option<String>,
    /// The authorization server that knows it, which a secret has to have: it is shown to no other.
    #[arg(long, value_name = "URL", requires = "client_id")]
    issuer: Option<String>,
    /// Where a document stands that says who this client is, for authorization servers that read one.
    #[arg(long, value_name = "URL", conflicts_with = "client_id")]
    client_metadata_url: Option<String>,
    /// Asks in the client's own name, with its secret; nobody logs in.
    #[arg(long, requires = "client_id")]
    client_credentials: bool,
    /// Prints the URL to log in at, and takes the answer on its port, or typed in.
    #[arg(long)]
    no_browser: bool,
    /// Follows the redirects itself, for authorization servers that ask nobody.
    #[arg(long, conflicts_with = "no_browser")]
    headless: bool,
    /// Port for the answer, where the authorization server wants to know it before; 0 takes a free one.
    #[arg(long, default_value_t = 0)]
    callback_port: u16,
    /// Keeps no token, and uses none that was kept.
    #[arg(long)]
    no_cache: bool,
    /// Where tokens are kept.
    #[arg(long, value_name = "DIRECTORY", conflicts_with = "no_cache")]
    cache_dir: Option<std::path::PathBuf>,
    /// Goes to addresses of a private network where a server elsewhere names them.
    #[arg(long)]
    private_network: bool,
}

#[tokio::main]
async fn main() -> ExitCode {
    let args = Args::parse();
    let done = if args.demo { demo().await } else { run(args).await };
    let Err(error) = done else { return ExitCode::SUCCESS };
    // rmcp carries what our own part says within what it says itself.
    let Some(ours) = error.chain().find_map(|cause| cause.downcast_ref().or_else(|| error_of(cause))) else {
        eprintln!("error: {}", shown(&format!("{error:#}")));
        return ExitCode::FAILURE;
    };
    eprintln!("error: {ours}");
    if let Some(advice) = ours.advice() {
        eprintln!("       {advice}");
    }
    if ours.is_denied() { ExitCode::from(DENIED) } else { ExitCode::FAILURE }
}

async fn run(args: Args) -> anyhow::Result<()> {
    let secret = args.client_secret.or_else(|| std::env::var("MCP_CLIENT_SECRET").ok());
    let session = Session::new(Settings {
        server: args.url.context("no URL")?,
        client: ClientChoice {
            given: args.client_id.map(|id| (id, secret)),
            issuer: args.issuer,
            metadata_url: args.client_metadata_url,
            name: "step11, an MCP client in Rust".to_owned(),
        },
        approval: match (args.headless, args.no_browser) {
            (true, _) => Approval::Headless,
            (_, true) => Approval::Shown(Arc::new(|url| {
                eprintln!(
                    "Log in at\n\n  {url}\n\nIf your browser is on another machine, paste the address it ends at:"
                );
            })),
            _ => Approval::Browser,
        },
        client_credentials: args.client_credentials,
        callback_port: args.callback_port,
        cache: if args.no_cache { None } else { args.cache_dir.map(Cache::at).or_else(Cache::of_user) },
        private_network: args.private_network,
        deadline: DEADLINE,
        call_deadline: DEADLINE,
        observer: if args.explain {
            Arc::new(Explain::new(|text| anstream::eprint!("{text}")))
        } else {
            Arc::new(Quiet)
        },
    })?;
    // Before anything of MCP: a login takes longer than a handshake waits.
    session.open().await?;
    let client = session.connect().await?;
    let tools = session.tools(&client).await?;
    match &args.call {
        Some(name) => {
            let tool = tools.iter().find(|tool| tool.name == *name);
            let names: Vec<_> = tools.iter().map(|tool| shown(&tool.name)).collect();
            let tool = tool.with_context(|| format!("there is no tool {name}; there are {}", names.join(", ")))?;
            println!("{}", call(&client, tool, &args.args).await?);
        }
        None => {
            for tool in &tools {
                let first = tool.description.as_deref().unwrap_or_default().lines().next().unwrap_or_default();
                println!("{:<14} {}", shown(&tool.name), shown(first));
            }
            let known = [("echo", &["message=hello"][..]), ("whoami", &[])];
            for (name, arguments) in known.into_iter().filter(|_| !args.list) {
                let Some(tool) = tools.iter().find(|tool| tool.name == name) else { continue };
                let arguments: Vec<_> = arguments.iter().map(ToString::to_string).collect();
                println!("\n{name}: {}", call(&client, tool, &arguments).await?);
            }
        }
    }
    client.cancel().await?;
    Ok(())
}

/// Says what has to be said, and nothing of exchanges.
struct Quiet;

impl Observer for Quiet {
    fn exchange(&self, _: &mcp_client::Exchange) {}
    fn notice(&self, sentence: &str) {
        eprintln!("{sentence}");
    }
}

/// Calls a tool; what is no string by the tool's schema is read as JSON.
async fn call(client: &RunningService<RoleClient, ()>, tool: &Tool, pairs: &[String]) -> anyhow::Result<String> {
    let mut arguments = Map::new();
    for pair in pairs {
        let (name, value) = pair.split_once('=').with_context(|| format!("--arg {pair:?} is not NAME=VALUE"))?;
        let kind = tool.input_schema.get("properties").and_then(|properties| properties[name]["type"].as_str());
        let value = match kind {
            Some("string") => Value::from(value),
            _ => serde_json::from_str(value).unwrap_or_else(|_| Value::from(value)),
        };
        arguments.insert(name.to_owned(), value);
    }
    let name = tool.name.clone();
    let result = client.call_tool(CallToolRequestParams::new(name).with_arguments(arguments)).await?;
    let text = text(&result);
    if result.is_error == Some(true) { bail!("{} says: {text}", shown(&tool.name)) } else { Ok(text) }
}

fn text(result: &CallToolResult) -> String {
    let texts = result.content.iter().filter_map(|content| content.as_text().map(|text| whole(&text.text)));
    let structured = result.structured_content.as_ref().map(|value| whole(&value.to_string()));
    structured.unwrap_or_else(|| texts.collect::<Vec<_>>().join("\n"))
}

/// The whole story, in one process: step 8 in small, its authorization server, alice, and this client.
async fn demo() -> anyhow::Result<()> {
    let keys = tempfile::tempdir()?;
    let listener = TcpListener::bind(("127.0.0.1", 0)).await?;
    let issuer = format!("http://localhost:{}", listener.local_addr()?.port());
    let app = server(&issuer, Arc::new(KeyDirectory::open(keys.path()))).await?;
    tokio::spawn(axum::serve(listener, app.into_make_service_with_connect_info::<SocketAddr>()).into_future());
    anstream::println!(
        "A server and its authorization server listen on {issuer}. A client knows this URL, and nothing else.\n"
    );

    let session = Session::new(Settings {
        server: format!("{issuer}/mcp").parse()?,
        client: ClientChoice { name: "step11 --demo".to_owned(), ..ClientChoice::default() },
        // Through the real pages, with a password and two clicks.
        approval: Approval::Person(Person { username: "alice".into(), password: "alice123".into(), allows: true }),
        client_credentials: false,
        callback_port: 0,
        cache: None,
        private_network: false,
        deadline: DEADLINE,
        call_deadline: DEADLINE,
        observer: Arc::new(Explain::new(|text| anstream::print!("{text}"))),
    })?;
    session.open().await?;
    let client = session.connect().await?;
    let tools = session.tools(&client).await?;
    let tool = |name: &str| tools.iter().find(|tool| tool.name == name).with_context(|| format!("no tool {name}"));
    anstream::println!("    She agreed to mcp:read: the client may list the tools. Now it calls one.\n");
    let sum = call(&client, tool("add")?, &["a=2".to_owned(), "b=40".to_owned()]).await?;
    anstream::println!("    add(2, 40) is {sum}. A while later, the token is old.\n");
    sleep(DEMO_LIFETIME).await;
    let known = call(&client, tool("whoami")?, &[]).await?;
    anstream::println!("    whoami is {known}. That was all of it.\n\nNext:");
    for (command, what) in [
        ("cargo run --bin step8", "a server with a login page for you: alice, alice123"),
        ("cargo run --bin step11 -- http://localhost:9000/mcp --explain", "this client, in another terminal"),
        ("steps/step1.md", "how the server is built, a layer at a time"),
    ] {
        anstream::println!("  {command:<63} {what}");
    }
    client.cancel().await?;
    Ok(())
}

/// Step 8, less its logs and options.
async fn server(issuer: &str, keys: Arc<KeyDirectory>) -> anyhow::Result<Router> {
    keys.watch();
    let audience = format!("{issuer}/mcp");
    let policy = Policy::mcp();
    let scopes = policy.initial_scopes(InitialScopes::All);
    let resource = ProtectedResource::new(&audience.parse()?, [issuer], scopes.split(' '))?;
    let idp = AuthorizationServer::builder(issuer, Realm::from_json(REALM)?, Arc::clone(&keys))
        .resource(&audience)
        // Made in no time, unlike an RSA key.
        .algorithm(Algorithm::ES256)
        .access_token_lifetime(DEMO_LIFETIME)
        .build()
        .await?;
    let guard = Guard::new(VerifiedTokens::new(JwtVerifier::with_directory(keys, issuer, &audience), 100))
        .protects(resource.clone())
        .challenge(Challenge::new().scope(&policy.initial_scopes(InitialScopes::Least))?);
    let mcp = McpServer::builder("step11-demo", env!("CARGO_PKG_VERSION"))
        .tool(Echo)
        .tool(Add)
        .tool(WhoAmI)
        .authorize(move |extensions, operation| permit(&policy, extensions, operation))
        .build()?;
    Ok(Router::new()
        .route_service("/mcp", (guard, MapRequestLayer::new(introduce)).layer(Endpoint::new(mcp).into_service()))
        .layer(DnsRebindingLayer::for_listener("localhost"))
        .merge(resource.into_router())
        .merge(idp.into_router()))
}

fn introduce(mut request: Request) -> Request {
    if let Some(principal) = request.extensions().get::<Principal>() {
        let (issuer, subject) = (principal.issuer.clone(), principal.subject.clone());
        let caller = Caller { issuer, subject, name: principal.username.clone() };
        request.extensions_mut().insert(caller);
    }
    request
}

fn permit(policy: &Policy, extensions: &Extensions, operation: Operation<'_>) -> Result<(), Refusal> {
    let refused = |message: String, data: Value| {
        Refusal::new(StatusCode::FORBIDDEN, ErrorObject::new(403, message).with_data(data))
    };
    let Some(principal) = extensions.get::<Principal>() else { return Err(refused("who?".to_owned(), json!(null))) };
    policy.decide(principal, auth::Operation::new(operation.method(), operation.name())).map_err(|denied| {
        let refusal = refused(denied.to_string(), denied.data());
        match denied.challenge() {
            Some(challenge) => refusal.with_header(WWW_AUTHENTICATE, challenge),
            None => refusal,
        }
    })
}
