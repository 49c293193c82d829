//! Mints test tokens: `gen-token --username alice --scopes mcp:read,mcp:tools`.
//!
//! What an authorization server does after it has asked who somebody is and what they allow, this does without asking:
//! it is for tests, and for the steps that have no authorization server yet.

mod claims;

use std::{fs::OpenOptions, io::Write, path::PathBuf, process::ExitCode};

use anyhow::{Context, bail};
use clap::Parser;
use jiff::Timestamp;
use mcp_auth::keys::{Algorithm, SigningKey};
use serde_json::json;

use crate::claims::{Lifetime, Request, Server};

/// Mints a test token, making the keys on first use.
#[derive(Parser)]
#[command(version)]
struct Args {
    /// Who the token is for.
    #[arg(long, short, default_value = "alice")]
    username: String,
    /// What it may do, separated by commas; "" is nothing.
    #[arg(long, short, default_value = "mcp:read,mcp:tools")]
    scopes: String,
    /// The server it is for: sets issuer (URL) and audience (URL/mcp).
    #[arg(long, default_value = "http://localhost:9000")]
    server: Server,
    /// Another issuer.
    #[arg(long)]
    issuer: Option<String>,
    /// Another audience; more than once for several.
    #[arg(long)]
    audience: Vec<String>,
    /// How long it is good: 30m, 2h, 1d; a negative time makes an expired one.
    #[arg(long, default_value = "1h", allow_hyphen_values = true)]
    expires: Lifetime,
    /// RS256, PS256, ES256 or EdDSA.
    #[arg(long, default_value_t = Algorithm::RS256)]
    alg: Algorithm,
    /// Roles, separated by commas; without it user, for admin also admin, for guest guest.
    #[arg(long)]
    roles: Option<String>,
    /// The only tools it may call, separated by commas.
    #[arg(long)]
    tools: Option<String>,
    /// One more claim, or another value for one: NAME=VALUE, the value as JSON if it is JSON.
    #[arg(long = "claim", value_name = "NAME=VALUE", value_parser = claims::parse_claim)]
    claims: Vec<(String, serde_json::Value)>,
    /// Where the keys are.
    #[arg(long, default_value = "keys")]
    key_dir: PathBuf,
    /// Print the token alone.
    #[arg(long)]
    raw: bool,
    /// Also write token_USERNAME.json.
    #[arg(long)]
    save: bool,
    /// Make a new key for --alg and no token; it signs from now on, and the older ones stay published.
    #[arg(long)]
    generate_keys: bool,
    /// With --generate-keys: remove the older keys for --alg, and with them every token they signed.
    #[arg(long, requires = "generate_keys")]
    force: bool,
    /// Tokens for alice, bob, admin and guest, as a table.
    #[arg(long, conflicts_with_all = ["raw", "save", "generate_keys"])]
    demo: bool,
}

fn main() -> ExitCode {
    match run(&Args::parse()) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("error: {error:#}");
            ExitCode::FAILURE
        }
    }
}

fn run(args: &Args) -> anyhow::Result<()> {
    if args.generate_keys {
        if args.force {
            SigningKey::remove_all(&args.key_dir, args.alg)?;
        }
        let key = SigningKey::create(&args.key_dir, args.alg)?;
        println!("new {} key {} in {}", args.alg, key.public().kid(), args.key_dir.display());
        return Ok(());
    }
    let key = SigningKey::newest_or_new(&args.key_dir, args.alg)?;
    if args.demo {
        return demo(args, &key);
    }
    let request = request(args, &args.username, &args.scopes)?;
    let claims = request.claims(Timestamp::now());
    let token = key.sign(&claims)?;
    if args.save {
        save(&args.username, &json!({ "access_token": token, "token_type": "Bearer", "claims": claims }))?;
    }
    if args.raw {
        println!("{token}");
    } else {
        println!("user:     {}", args.username);
        println!("scopes:   {}", request.scopes_shown());
        println!("roles:    {}", request.roles.join(" "));
        println!("issuer:   {}", request.issuer);
        println!("audience: {}", request.audience.join(" "));
        println!("expires:  {} ({})", request.expires_at(Timestamp::now()), args.expires);
        println!("key:      {} {}", args.alg, key.public().kid());
        println!("\n{token}");
    }
    Ok(())
}

fn request(args: &Args, username: &str, scopes: &str) -> anyhow::Result<Request> {
    let list = |text: &String| text.split([',', ' ']).filter(|s| !s.is_empty()).map(str::to_owned).collect::<Vec<_>>();
    Ok(Request {
        username: username.to_owned(),
        scopes: claims::parse_scopes(scopes)?,
        roles: args.roles.as_ref().map_or_else(|| claims::default_roles(username), list),
        tools: args.tools.as_ref().map(list),
        issuer: args.issuer.clone().unwrap_or_else(|| args.server.issuer()),
        audience: if args.audience.is_empty() { vec![args.server.audience()] } else { args.audience.clone() },
        lifetime: args.expires,
        extra: args.claims.clone(),
    })
}

/// Who plays in the chapters, and what they may do.
const CAST: [(&str, &str); 4] = [
    ("alice", "mcp:read,mcp:tools"),
    ("bob", "mcp:read"),
    ("admin", "mcp:read,mcp:tools,mcp:prompts,mcp:run"),
    ("guest", ""),
];

fn demo(args: &Args, key: &SigningKey) -> anyhow::Result<()> {
    let mut tokens = Vec::new();
    println!("{:<8} {:<42} roles", "user", "scopes");
    for (username, scopes) in CAST {
        let request = request(args, username, scopes)?;
        println!("{username:<8} {:<42} {}", request.scopes_shown(), request.roles.join(" "));
        tokens.push((username, key.sign(&request.claims(Timestamp::now()))?));
    }
    println!();
    for (username, token) in tokens {
        println!("{}={token}", username.to_uppercase());
    }
    Ok(())
}

/// A token is a credential: readable by its owner alone.
fn save(username: &str, token: &serde_json::Value) -> anyhow::Result<()> {
    let plain = |c: char| c.is_ascii_alphanumeric() || matches!(c, '_' | '-' | '.' | '@');
    if username.is_empty() || !username.chars().all(plain) {
        bail!("--save takes its file name from --username: letters, digits, _ - . @");
    }
    let path = format!("token_{username}.json");
    let mut options = OpenOptions::new();
    options.write(true).create(true).truncate(true);
    #[cfg(unix)]
    std::os::unix::fs::OpenOptionsExt::mode(&mut options, 0o600);
    let mut file = options.open(&path).with_context(|| format!("cannot write {path}"))?;
    writeln!(file, "{token:#}").with_context(|| format!("cannot write {path}"))?;
    eprintln!("saved {path}");
    Ok(())
}
