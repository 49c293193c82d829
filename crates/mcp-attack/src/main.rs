//! `mcp-attack --url http://localhost:9000/mcp --key-dir keys` tells in a minute what a server lets through.

use std::{
    path::PathBuf,
    process::ExitCode,
    time::{Duration, Instant},
};

use anyhow::{Context, bail};
use clap::{Parser, ValueEnum};
use mcp_attack::{Key, Limits, Target, rows, run};
use mcp_auth::keys::{Algorithm, KeyDirectory};
use url::Url;

/// Tries forged tokens and bent requests against an MCP server, and tells which of them get through.
///
/// Exit code 0: nothing got through. 1: something did, or the server failed on it. 2: it means nothing, because the
/// good token was refused, or nothing could be tried.
#[derive(Parser)]
#[command(version)]
struct Args {
    /// The server's MCP endpoint.
    #[arg(long, required_unless_present = "list")]
    url: Option<Url>,
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
    /// Seconds for all of them.
    #[arg(long, default_value_t = 60)]
    total: u64,
    /// List the rows and what each needs; try nothing.
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
        for attack in rows() {
            println!("{:26} {:14} {} [{}]", attack.id, attack.needs.to_string(), attack.title, attack.source);
        }
        return Ok(true);
    }
    if let Some(unknown) = args.allow.iter().find(|id| !rows().iter().any(|attack| attack.id == **id)) {
        bail!("--allow {unknown}: there is no such row; --list shows them");
    }
    let begun = Instant::now();
    let mut target = target(&args).await?;
    let limits = Limits { each: Duration::from_secs(args.each), total: Duration::from_secs(args.total) };
    let report = run(&mut target, limits).await?;
    match args.format {
        Format::Table => print!("{}", report.table()),
        Format::Json => println!("{:#}", report.json(begun.elapsed())),
    }
    Ok(report.is_clean(&args.allow))
}

async fn target(args: &Args) -> anyhow::Result<Target> {
    let url = args.url.clone().context("--url is missing")?;
    let mut target = Target::new(url).await?.leeway(Duration::from_secs(args.leeway));
    if !target.is_loopback() && !args.i_own_this_server {
        bail!(
            "{} is not on this machine. Attacking a server that is not yours is a crime in most places; if it is yours, \
             say --i-own-this-server",
            target.url()
        );
    }
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
