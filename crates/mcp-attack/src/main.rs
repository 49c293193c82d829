//! `mcp-attack --url http://localhost:9000/mcp --key-dir keys` tells in a minute what a server lets through, and
//! `mcp-attack --authorization-server http://localhost:9000` what the one that issues its tokens does.

use std::{
    path::PathBuf,
    process::ExitCode,
    time::{Duration, Instant},
};

use anyhow::{Context, bail};
use clap::{Parser, ValueEnum};
use mcp_attack::{
    Key, Limits, Report, Row, Target,
    authorization_server::{self, Issuer},
    rows, run,
};
use mcp_auth::keys::{Algorithm, KeyDirectory};
use url::Url;

/// Tries forged tokens and bent requests against an MCP server, and tells which of them get through.
///
/// With --authorization-server it tries a second list, against whoever issues the tokens: what it says of itself, who
/// may register, where answers may go, and what its endpoints do for somebody without an account. It registers clients
/// of its own (and takes them back where that is possible), or uses --client-id and --redirect-uri.
///
/// Exit code 0: nothing got through. 1: something did, or the server failed on it. 2: it means nothing, because the
/// good token was refused, there is no metadata, or nothing could be tried.
#[derive(Parser)]
#[command(version)]
struct Args {
    /// The server's MCP endpoint.
    #[arg(long, required_unless_present_any = ["list", "authorization_server"])]
    url: Option<Url>,
    /// Attack an authorization server instead: its issuer, letter by letter.
    #[arg(
        long,
        value_name = "ISSUER",
        conflicts_with_all = ["url", "key_dir", "public_key", "alg", "issuer", "audience", "scopes", "leeway"]
    )]
    authorization_server: Option<String>,
    /// With --authorization-server: an MCP endpoint that its tokens are for.
    #[arg(long, value_name = "URL", requires = "authorization_server")]
    resource: Option<String>,
    /// With --authorization-server: a public client that is known there, where none can register.
    #[arg(long, value_name = "ID", requires_all = ["authorization_server", "redirect_uri"])]
    client_id: Option<String>,
    /// Where that client has its answers sent.
    #[arg(long, value_name = "URI", requires = "client_id")]
    redirect_uri: Option<String>,
    /// A directory of keys whose signatures the server trusts, as gen-token makes it: runs every row.
    #[arg(long)]
    key_dir: Option<PathBuf>,
    /// A token that the server accepts, for the rows that sign nothing.
    #[arg(long, env = "MCP_TOKEN", hide_env_values = true)]
    token: Option<String>,
    /// With --token: the public key that verifies it, as JWK, JWK Set or PEM.
    #[arg(long)]
    public_key: Option<PathBuf>,
    /// Use the newest key for this algorithm; without it the newest of all.
    #[arg(long)]
    alg: Option<Algorithm>,
    /// Who issues the server's tokens; the URL's origin unless given.
    #[arg(long)]
    issuer: Option<String>,
    /// What they are for; the URL itself unless given.
    #[arg(long)]
    audience: Option<String>,
    /// What they allow, separated by commas.
    #[arg(long, default_value = "mcp:read,mcp:tools")]
    scopes: String,
    /// How many seconds the server lets clocks differ.
    #[arg(long, default_value_t = 60)]
    leeway: u64,
    /// A row that may get through, for a reason you know; more than once for several.
    #[arg(long, value_name = "ID")]
    allow: Vec<String>,
    /// How to print.
    #[arg(long, value_enum, default_value_t = Format::Table)]
    format: Format,
    /// Seconds for one request.
    #[arg(long, default_value_t = 10)]
    each: u64,
    /// Seconds for all of them; 300, or 180 for an authorization server. Either may ask to be asked again later.
    #[arg(long)]
    total: Option<u64>,
    /// List the rows of both lists and what each needs; try nothing.
    #[arg(long)]
    list: bool,
    /// The server is not on this machine, and it is yours.
    #[arg(long)]
    i_own_this_server: bool,
}

#[derive(Clone, Copy, PartialEq, ValueEnum)]
enum Format {
    Table,
    Json,
}

#[tokio::main]
async fn main() -> ExitCode {
    match attack(Args::parse()).await {
        Ok(clean) => ExitCode::from(u8::from(!clean)),
        Err(error) => {
            eprintln!("error: {error:#}");
            ExitCode::from(2)
        }
    }
}

async fn attack(args: Args) -> anyhow::Result<bool> {
    if args.list {
        let tokens = rows();
        tokens.iter().for_each(listed);
        authorization_server::rows().iter().for_each(listed);
        return Ok(true);
    }
    match &args.authorization_server {
        Some(issuer) => {
            known(&args.allow, &authorization_server::rows())?;
            let issuer = with_clients(&args, issuer)?;
            let begun = Instant::now();
            let report = authorization_server::run(&issuer, limits(&args, 180)).await?;
            Ok(told(&args, &report, begun))
        }
        None => {
            known(&args.allow, &rows())?;
            let begun = Instant::now();
            let mut target = target(&args).await?;
            let report = run(&mut target, limits(&args, 300)).await?;
            Ok(told(&args, &report, begun))
        }
    }
}

fn listed(row: &impl Row) {
    println!("{:26} {:14} {} [{}]", row.id(), row.needs(), row.title(), row.source());
}

fn known(allowed: &[String], rows: &[impl Row]) -> anyhow::Result<()> {
    match allowed.iter().find(|id| !rows.iter().any(|row| row.id() == **id)) {
        Some(unknown) => bail!("--allow {unknown}: there is no such row; --list shows them"),
        None => Ok(()),
    }
}

fn limits(args: &Args, total: u64) -> Limits {
    Limits { each: Duration::from_secs(args.each), total: Duration::from_secs(args.total.unwrap_or(total)) }
}

/// Prints the report, and says whether it is clean.
fn told(args: &Args, report: &Report<impl Row>, begun: Instant) -> bool {
    match args.format {
        Format::Table => print!("{}", report.table()),
        Format::Json => println!("{:#}", report.json(begun.elapsed())),
    }
    report.is_clean(&args.allow)
}

fn with_clients(args: &Args, issuer: &str) -> anyhow::Result<Issuer> {
    let mut issuer = Issuer::new(issuer)?;
    if let Some(resource) = &args.resource {
        issuer = issuer.resource(resource)?;
    }
    if let (Some(id), Some(redirect_uri)) = (&args.client_id, &args.redirect_uri) {
        issuer = issuer.client(id, redirect_uri);
    }
    owned(args, issuer.is_loopback(), issuer.url())?;
    Ok(issuer)
}

fn owned(args: &Args, is_loopback: bool, url: &Url) -> anyhow::Result<()> {
    if !is_loopback && !args.i_own_this_server {
        bail!(
            "{url} is not on this machine. Attacking a server that is not yours is a crime in most places; if it is yours, \
             say --i-own-this-server"
        );
    }
    Ok(())
}

async fn target(args: &Args) -> anyhow::Result<Target> {
    let url = args.url.clone().context("--url is missing")?;
    let mut target = Target::new(url).await?.leeway(Duration::from_secs(args.leeway));
    owned(args, target.is_loopback(), target.url())?;
    if let Some(directory) = &args.key_dir {
        let mut keys = Key::in_directory(directory)?;
        if let Some(algorithm) = args.alg {
            // The others stay: some rows are about them.
            let wanted = |key: &Key| key.public().algorithm() == algorithm;
            let first = keys.iter().position(wanted).with_context(|| format!("no {algorithm} key in {directory:?}"))?;
            keys[..=first].rotate_right(1);
        }
        if keys.is_empty() {
            bail!("no private key with its public half in {}: gen-token makes them", directory.display());
        }
        target = target.keys(keys);
    }
    if let Some(token) = &args.token {
        target = target.token(token);
    }
    if let Some(path) = &args.public_key {
        let keys = KeyDirectory::open(path).public_keys();
        // Of several the one that the token names.
        let header = args.token.as_ref().and_then(|token| jsonwebtoken::decode_header(token).ok());
        let kid = header.and_then(|header| header.kid);
        let named = keys.keys().iter().find(|key| Some(key.kid()) == kid.as_deref());
        let key = named.or_else(|| keys.keys().first());
        let key = key.with_context(|| format!("no public key in {}", path.display()))?;
        target = target.public_key(key.clone());
    }
    if let Some(issuer) = &args.issuer {
        target = target.issuer(issuer);
    }
    if let Some(audience) = &args.audience {
        target = target.audience(audience);
    }
    Ok(target.scopes(args.scopes.split([',', ' ']).filter(|scope| !scope.is_empty())))
}
