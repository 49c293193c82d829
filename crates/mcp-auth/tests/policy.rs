//! Who may do what: every combination, the attack that the policy is there for, and what the denied are told.
#![cfg(feature = "signing")]
#![allow(clippy::unwrap_used, reason = "a test may panic")]

use std::{
    io,
    sync::{
        Arc, LazyLock, Mutex,
        atomic::{AtomicU64, Ordering},
    },
    time::{SystemTime, UNIX_EPOCH},
};

use axum::{Router, http::StatusCode, routing::any};
use mcp_auth::{
    AccessToken, Denied, Guard, InitialScopes, JwtVerifier, Operation, Policy, PolicyError, PolicyLayer, Principal,
    ProtectedResource, TokenError, TokenVerifier,
    keys::{Algorithm, SigningKey, make_pair},
    strict::StrictJsonRpcLayer,
};
use reqwest::{Client, Response};
use serde_json::{Map, Value, json};
use tracing_subscriber::fmt::MakeWriter;

const ISSUER: &str = "http://localhost:9000";
const AUDIENCE: &str = "http://localhost:9000/mcp";

fn policy() -> Policy {
    ruled(Policy::mcp())
}

fn ruled(policy: Policy) -> Policy {
    policy.tool_scope("run_js", "mcp:run").unwrap().tool_role("server_stats", "admin")
}

/// The three method tables, each with the same rules for tools.
fn policies() -> [Policy; 3] {
    [Policy::mcp(), Policy::strict(), Policy::one_scope("mcp:tools").unwrap()].map(ruled)
}

fn principal(scopes: &[&str], roles: &[&str], tools: Option<&[&str]>) -> Principal {
    let owned = |names: &[&str]| names.iter().map(|name| (*name).to_owned()).collect::<Vec<_>>();
    Principal::new(Arc::new(AccessToken {
        issuer: ISSUER.into(),
        subject: "alice".into(),
        client_id: Some("agent".to_owned()),
        username: None,
        scopes: owned(scopes),
        roles: owned(roles),
        tools: tools.map(owned),
        expires_at: u64::MAX,
        kid: Some("key-1".to_owned()),
        claims: Map::new(),
    }))
}

fn call(name: &str) -> Operation<'_> {
    Operation::CallTool { name }
}

/// The challenge without what it always begins with.
fn challenged(denied: &Denied<'_>) -> Option<String> {
    denied.challenge().map(|value| value.to_str().unwrap().to_owned())
}

#[test]
fn every_combination() {
    let tables = [
        include_str!("policy_table.txt"),
        include_str!("policy_strict_table.txt"),
        include_str!("policy_one_scope_table.txt"),
    ];
    for (policy, table) in policies().iter().zip(tables) {
        every_combination_in(table, policy);
    }
}

fn every_combination_in(table: &str, policy: &Policy) {
    let mut rows = 0;
    for line in table.lines().filter(|line| !line.starts_with('#')) {
        let parts: Vec<Vec<&str>> = line.split('|').map(|part| part.split_whitespace().collect()).collect();
        let [token, free, lists, show, calls, other] = parts.as_slice() else { panic!("{line}") };
        let scopes: Vec<&str> = token[0].chars().filter(|letter| *letter != '-').map(scope).collect();
        let roles: &[&str] = match token[1] {
            "-" => &[],
            "u" => &["user"],
            "a" => &["admin"],
            _ => panic!("{line}"),
        };
        let tools: Option<&[&str]> = match token[2] {
            "*" => None,
            "e" => Some(&["echo"]),
            "0" => Some(&[]),
            _ => panic!("{line}"),
        };
        let who = principal(&scopes, roles, tools);
        let expect = |operation, expected| {
            let told = match policy.decide(&who, operation) {
                Ok(()) => "+".to_owned(),
                Err(_) if matches!(operation, Operation::ShowTool { .. } | Operation::ShowPrompt { .. }) => {
                    ".".to_owned()
                }
                Err(denied) => match challenged(&denied) {
                    None => "x".to_owned(),
                    Some(challenge) => letters(&challenge),
                },
            };
            assert_eq!(told, expected, "{operation:?} in {line}");
        };
        for operation in [
            Operation::Initialize,
            Operation::Ping,
            Operation::Discover,
            Operation::Notify { method: "notifications/initialized" },
            Operation::Respond,
        ] {
            expect(operation, free[0]);
        }
        expect(Operation::ListTools, lists[0]);
        expect(Operation::ListPrompts, lists[1]);
        for (i, name) in ["echo", "run_js", "server_stats", "nope"].into_iter().enumerate() {
            expect(Operation::ShowTool { name }, show[i]);
            expect(Operation::CallTool { name }, calls[i]);
        }
        for name in ["greeting", "echo", "server_stats"] {
            expect(Operation::ShowPrompt { name }, show[4]);
            expect(Operation::GetPrompt { name }, calls[4]);
        }
        expect(Operation::Other { method: "resources/list" }, other[0]);
        rows += 1;
    }
    assert_eq!(rows, 16 * 3 * 3);
}

fn scope(letter: char) -> &'static str {
    match letter {
        'r' => "mcp:read",
        't' => "mcp:tools",
        'p' => "mcp:prompts",
        'u' => "mcp:run",
        _ => panic!("{letter}"),
    }
}

/// The scopes that a challenge asks for, in its order.
fn letters(challenge: &str) -> String {
    assert!(challenge.contains("error=\"insufficient_scope\""), "{challenge}");
    let (_, scope) = challenge.split_once("scope=\"").unwrap();
    let named = scope.split('"').next().unwrap().split(' ');
    named
        .map(|scope| ["mcp:read", "mcp:tools", "mcp:prompts", "mcp:run"].iter().position(|known| *known == scope))
        .map(|i| "rtpu".chars().nth(i.unwrap()).unwrap())
        .collect()
}

/// A person with the role `admin` uses a client that was only ever allowed to read: some summariser of web pages, and a
/// page tells it to call a tool.
#[test]
fn a_careless_client_of_an_admin_stays_within_its_scopes() {
    /// What stands in many a server.
    fn naive(who: &Principal, tool: &str) -> bool {
        if who.roles.iter().any(|role| role == "admin") {
            return true;
        }
        let needed = if tool == "run_js" { "mcp:run" } else { "mcp:tools" };
        who.scopes.iter().any(|scope| scope == needed)
    }
    let reading_for_an_admin = principal(&["mcp:read"], &["admin"], None);
    let policy = policy();
    for tool in ["echo", "run_js", "server_stats"] {
        assert!(naive(&reading_for_an_admin, tool), "the attack no longer works on {tool}");
        let denied = policy.decide(&reading_for_an_admin, call(tool)).unwrap_err();
        assert!(denied.missing_scopes().any(|scope| scope == "mcp:tools"), "{denied}");
        // The person may: their consent to more scopes would cure it, and that is what the client is told.
        assert!(!denied.is_final());
    }
    // With the scopes the role opens what it is there to open.
    let calling_for_an_admin = principal(&["mcp:tools"], &["admin"], None);
    assert!(policy.decide(&calling_for_an_admin, call("server_stats")).is_ok());
    // The other way round: a scope is no role.
    for scopes in [&["mcp:tools", "admin"][..], &["mcp:tools", "role:admin", "mcp:admin"]] {
        let ambitious = principal(scopes, &["user"], None);
        assert!(policy.decide(&ambitious, call("server_stats")).unwrap_err().is_final());
    }
}

#[test]
fn a_name_is_that_name_alone() {
    let policy = policy();
    for near in [
        "MCP:READ",
        "Mcp:read",
        "mcp:read:x",
        "mcp:rea",
        "mcp:read ",
        " mcp:read",
        "mcp:*",
        "*",
        "mcp",
        "mcp:",
        "read",
        "mcp:read,mcp:tools",
        "mcp:read mcp:tools",
        "mcp:toolsx",
        "MCP:TOOLS",
        "mcp:tools:*",
        "mcp:tools/echo",
        "mcp:tool",
        "mcp.tools",
        "mcp：tools",
        "mcp:tools\0",
        "mcp:prompts:x",
        "mcp:runx",
        "",
        "admin",
    ] {
        let who = principal(&[near], &["admin"], None);
        for operation in
            [Operation::ListTools, Operation::ListPrompts, call("echo"), Operation::new("prompts/get", Some("help"))]
        {
            let denied = policy.decide(&who, operation).unwrap_err();
            let challenge = challenged(&denied).unwrap();
            // And what it has of that kind is nothing to ask for again.
            assert!(["r", "rt"].contains(&&*letters(&challenge)), "{near}: {challenge}");
        }
    }
    let near_run = principal(&["mcp:tools", "mcp:run:x", "MCP:RUN", "mcp:ru"], &[], None);
    assert!(policy.decide(&near_run, call("run_js")).is_err());
    for near in
        ["Admin", "ADMIN", "admin ", " admin", "admins", "administrator", "admi", "*", "user,admin", "admin,user", ""]
    {
        let who = principal(&["mcp:tools"], &[near], None);
        let denied = policy.decide(&who, call("server_stats")).unwrap_err();
        assert!(denied.is_final(), "{near:?}");
    }
    for near in ["Echo", "ECHO", "echo ", "ech", "echox", "*", "ec*", ".*", ""] {
        let who = principal(&["mcp:tools"], &[], Some(&[near]));
        assert!(policy.decide(&who, call("echo")).unwrap_err().is_final(), "{near:?}");
        assert!(policy.decide(&who, Operation::ShowTool { name: "echo" }).is_err(), "{near:?}");
    }
    // A rule is for its tool: one with another name is another tool, which the server will not find.
    let caller = principal(&["mcp:tools"], &[], None);
    for near in ["Server_stats", "server_stats ", "server_stat", "run_js\0"] {
        assert!(policy.decide(&caller, call(near)).is_ok(), "{near:?}");
    }
}

#[test]
fn what_is_told() {
    let policy = policy().method_scope("resources/read", "mcp:files").unwrap();
    let read: &[&str] = &["mcp:read"];
    for (scopes, roles, tools, operation, message, data, challenge) in [
        (
            read,
            &[][..],
            None,
            call("echo"),
            r#"calling "echo" needs the scope mcp:tools; the token has mcp:read"#,
            json!({ "missingScopes": ["mcp:tools"] }),
            Some(("mcp:read mcp:tools", "calling this tool needs the scope mcp:tools")),
        ),
        (
            &["openid", "profile"],
            &[],
            None,
            Operation::ListTools,
            "listing tools needs the scope mcp:read or mcp:tools; the token has no scope of this server",
            json!({ "missingScopes": ["mcp:read"] }),
            Some(("mcp:read", "listing tools needs the scope mcp:read or mcp:tools")),
        ),
        (
            read,
            &[],
            None,
            call("run_js"),
            r#"calling "run_js" needs the scope mcp:tools and the scope mcp:run; the token has mcp:read"#,
            json!({ "missingScopes": ["mcp:tools", "mcp:run"] }),
            Some(("mcp:read mcp:tools mcp:run", "calling this tool needs the scope mcp:tools and the scope mcp:run")),
        ),
        (
            &["offline_access", "mcp:run", "email", "mcp:tools"],
            &[],
            None,
            Operation::GetPrompt { name: "help" },
            r#"getting the prompt "help" needs the scope mcp:read or mcp:prompts; the token has mcp:tools mcp:run"#,
            json!({ "missingScopes": ["mcp:read"] }),
            Some(("mcp:read mcp:tools mcp:run", "getting this prompt needs the scope mcp:read or mcp:prompts")),
        ),
        (
            &["mcp:tools"],
            &["user"],
            None,
            call("server_stats"),
            r#"calling "server_stats" needs the role admin"#,
            json!({ "missingRoles": ["admin"] }),
            None,
        ),
        (
            read,
            &[],
            Some(&["echo"][..]),
            call("server_stats"),
            r#"calling "server_stats" needs the scope mcp:tools and the role admin; the token's claim tools does not name "server_stats"; the token has mcp:read"#,
            json!({ "missingScopes": ["mcp:tools"], "missingRoles": ["admin"], "outsideToolsClaim": true }),
            None,
        ),
        (
            &["mcp:tools"],
            &[],
            Some(&[]),
            call("echo"),
            r#"the token's claim tools does not name "echo""#,
            json!({ "outsideToolsClaim": true }),
            None,
        ),
        (
            read,
            &[],
            None,
            Operation::Other { method: "completion/complete" },
            r#"the method "completion/complete" is not open to anybody"#,
            json!({ "methodNotPermitted": true }),
            None,
        ),
        (
            &["mcp:prompts"],
            &[],
            None,
            Operation::new("resources/read", Some("file:///etc/passwd")),
            r#"the method "resources/read" needs the scope mcp:files; the token has mcp:prompts"#,
            json!({ "missingScopes": ["mcp:files"] }),
            Some(("mcp:read mcp:prompts mcp:files", "this method needs the scope mcp:files")),
        ),
    ] {
        let who = principal(scopes, roles, tools);
        let denied = policy.decide(&who, operation).unwrap_err();
        assert_eq!(denied.to_string(), format!("Forbidden: {message}"));
        assert_eq!(denied.data(), data, "{message}");
        let expected = challenge.map(|(scope, why)| {
            format!("Bearer scope=\"{scope}\", error=\"insufficient_scope\", error_description=\"{why}\"")
        });
        assert_eq!(challenged(&denied), expected, "{message}");
        assert_eq!(denied.is_final(), challenge.is_none());
        assert_eq!(denied.scope().as_deref(), challenge.map(|(scope, _)| scope));
    }
}

#[test]
fn what_the_other_tables_tell() {
    let [_, strict, one] = policies();
    let one = one.method_scope("resources/read", "mcp:files").unwrap();
    let prompt = Operation::GetPrompt { name: "help" };
    for (policy, scopes, operation, message, scope) in [
        (
            &strict,
            &["mcp:read"][..],
            prompt,
            r#"getting the prompt "help" needs the scope mcp:prompts; the token has mcp:read"#,
            "mcp:read mcp:prompts",
        ),
        (
            &one,
            &["mcp:read", "mcp:prompts", "openid"],
            prompt,
            r#"getting the prompt "help" needs the scope mcp:tools; the token has no scope of this server"#,
            "mcp:tools",
        ),
        (
            &one,
            &["mcp:read"],
            Operation::ListTools,
            "listing tools needs the scope mcp:tools; the token has no scope of this server",
            "mcp:tools",
        ),
        (
            &one,
            &["mcp:run"],
            call("run_js"),
            r#"calling "run_js" needs the scope mcp:tools; the token has mcp:run"#,
            "mcp:tools mcp:run",
        ),
        // The scope of basic use is asked for too, or the client would get a token that opens nothing else.
        (
            &one,
            &["mcp:read"],
            Operation::Other { method: "resources/read" },
            r#"the method "resources/read" needs the scope mcp:files; the token has no scope of this server"#,
            "mcp:tools mcp:files",
        ),
    ] {
        let who = principal(scopes, &[], None);
        let denied = policy.decide(&who, operation).unwrap_err();
        assert_eq!(denied.to_string(), format!("Forbidden: {message}"));
        let needed = denied.missing_scopes().collect::<Vec<_>>().join(" ");
        assert_eq!(denied.data(), json!({ "missingScopes": [needed] }));
        assert_eq!(
            challenged(&denied).unwrap(),
            format!(
                "Bearer scope=\"{scope}\", error=\"insufficient_scope\", error_description=\"{} needs the scope {needed}\"",
                match operation {
                    Operation::ListTools => "listing tools",
                    Operation::CallTool { .. } => "calling this tool",
                    Operation::Other { .. } => "this method",
                    _ => "getting this prompt",
                }
            )
        );
    }
}

/// A client that asks for the challenged scopes alone (TypeScript 1.x) arrives, whatever it starts with and in whatever
/// order it works: what it needed before is not lost, or two tools would take each other's scope away for ever.
#[test]
fn stepping_up_ends() {
    for policy in policies() {
        stepping_up_ends_with(&policy.tool_scope("draw", "mcp:draw").unwrap());
    }
}

fn stepping_up_ends_with(policy: &Policy) {
    let prompt = Operation::GetPrompt { name: "help" };
    let work = [call("run_js"), call("draw"), Operation::ListPrompts, call("echo"), prompt, Operation::ListTools];
    for first in ["", "mcp:read", "mcp:tools", "mcp:prompts", "mcp:run", "mcp:draw", "openid"] {
        let mut scopes = vec![first.to_owned()];
        let mut logins = 0;
        for _ in 0..3 {
            for operation in work {
                let held: Vec<&str> = scopes.iter().map(String::as_str).collect();
                let who = principal(&held, &[], None);
                let Err(denied) = policy.decide(&who, operation) else { continue };
                let granted = denied.scope().unwrap();
                scopes = granted.split(' ').map(str::to_owned).collect();
                logins += 1;
            }
        }
        assert!(logins <= 4, "{first}: {logins} logins");
    }
}

#[test]
fn scopes_to_begin_with() {
    let policy = policy().tool_scope("draw", "mcp:draw").unwrap().tool_scope("paint", "mcp:draw").unwrap();
    assert_eq!(policy.initial_scopes(InitialScopes::Least), "mcp:read");
    assert_eq!(policy.initial_scopes(InitialScopes::All), "mcp:read mcp:tools mcp:prompts mcp:run mcp:draw");
    let [_, strict, one] = policies();
    assert_eq!(strict.initial_scopes(InitialScopes::Least), "mcp:read");
    assert_eq!(strict.initial_scopes(InitialScopes::All), "mcp:read mcp:tools mcp:prompts mcp:run");
    assert_eq!(one.initial_scopes(InitialScopes::Least), "mcp:tools");
    assert_eq!(one.initial_scopes(InitialScopes::All), "mcp:tools mcp:run");
    for which in [InitialScopes::Least, InitialScopes::All] {
        assert_eq!(which.to_string().parse(), Ok(which));
    }
    assert!("ALL".parse::<InitialScopes>().is_err());
}

#[test]
fn rules_that_cannot_be() {
    for scope in ["", "a b", "a\"", "a\\", "a\r\nSet-Cookie: x", "é", "a\0", " "] {
        let error = PolicyError::Scope(scope.to_owned());
        assert_eq!(Policy::mcp().tool_scope("t", scope).unwrap_err(), error);
        assert_eq!(Policy::mcp().method_scope("x/y", scope).unwrap_err(), error);
        assert_eq!(Policy::one_scope(scope).unwrap_err(), error);
    }
    assert_eq!(Policy::mcp().tool_scope("t", "offline_access").unwrap_err(), PolicyError::OfflineAccess);
    assert_eq!(Policy::one_scope("offline_access").unwrap_err(), PolicyError::OfflineAccess);
    for method in ["tools/call", "tools/list", "prompts/get", "initialize", "ping", "notifications/cancelled"] {
        let error = Policy::mcp().method_scope(method, "mcp:x").unwrap_err();
        assert_eq!(error, PolicyError::Method(method.to_owned()));
    }
    // Of several each is needed.
    let policy = Policy::mcp().tool_scope("t", "a").unwrap().tool_scope("t", "b").unwrap();
    let policy = policy.tool_role("t", "admin").tool_role("t", "auditor");
    let all = ["mcp:tools", "a", "b"];
    assert!(policy.decide(&principal(&all, &["admin", "auditor"], None), call("t")).is_ok());
    for left_out in all {
        let scopes = all.map(|scope| if scope == left_out { "x" } else { scope });
        assert!(policy.decide(&principal(&scopes, &["admin", "auditor"], None), call("t")).is_err(), "{left_out}");
    }
    for role in ["admin", "auditor"] {
        assert!(policy.decide(&principal(&all, &[role], None), call("t")).is_err(), "{role}");
    }
    // A clone is another policy as soon as it gets a rule of its own.
    let plain = Policy::mcp();
    let _stricter = plain.clone().tool_role("echo", "admin");
    assert!(plain.decide(&principal(&["mcp:tools"], &[], None), call("echo")).is_ok());
}

/// The names of tools, prompts and methods come from the request.
#[test]
fn nothing_gets_in_by_a_name() {
    let policy = policy();
    let long = "x".repeat(1_000_000);
    let names = [
        "echo\", scope=\"mcp:admin",
        "a\r\nSet-Cookie: x=1",
        "a\u{1b}[2J",
        "a\u{202e}b",
        "a\0b",
        "é",
        "\\",
        "",
        &long,
        "\n{\"outcome\":\"accepted\"}",
    ];
    for name in names {
        let reading = principal(&["mcp:read"], &[], None);
        let narrowed = principal(&["mcp:tools"], &[], Some(&["echo"]));
        let nobody = principal(&[], &[], None);
        let log = Log::default();
        let told = log.listen(|| {
            let mut told = Vec::new();
            for (who, operation) in [
                (&reading, call(name)),
                (&narrowed, call(name)),
                (&nobody, Operation::GetPrompt { name }),
                (&reading, Operation::Other { method: name }),
            ] {
                let denied = policy.decide(who, operation).unwrap_err();
                if let Some(challenge) = challenged(&denied) {
                    let expected = [
                        "calling this tool needs the scope mcp:tools",
                        "getting this prompt needs the scope mcp:read or mcp:prompts",
                    ];
                    assert!(
                        expected.iter().any(|why| challenge.ends_with(&format!("error_description=\"{why}\""))),
                        "{challenge}"
                    );
                }
                told.push(denied.to_string());
                told.push(denied.data().to_string());
            }
            told
        });
        for text in told {
            assert!(text.len() < 600, "{} bytes", text.len());
            assert!(!text.contains(|c: char| c.is_control() || c == '\u{202e}'), "{text:?}");
        }
        let text = log.text();
        // In the plain text that people read, a line is an event, and nothing moves the cursor.
        assert_eq!(text.lines().count(), 4, "{text}");
        assert!(text.lines().all(|line| line.len() < 800 && !line.contains(|c: char| c.is_control())), "{text:?}");
    }
}

#[test]
fn a_denial_is_an_event_of_the_audit() {
    let policy = policy();
    let who = principal(&["mcp:read"], &["user"], Some(&["echo"]));
    let log = Log::json();
    log.listen(|| {
        for operation in [
            Operation::Initialize,
            Operation::ListTools,
            Operation::ShowTool { name: "run_js" },
            Operation::ShowTool { name: "echo" },
        ] {
            let _ = policy.decide(&who, operation);
        }
    });
    assert_eq!(log.text(), "", "neither what is allowed nor what a list leaves out");
    for (operation, method, name, reason) in [
        (call("echo"), "tools/call", json!("echo"), "scope mcp:tools"),
        (call("run_js"), "tools/call", json!("run_js"), "scope mcp:tools, scope mcp:run, tools claim"),
        (call("server_stats"), "tools/call", json!("server_stats"), "scope mcp:tools, role admin, tools claim"),
        (Operation::Other { method: "x/y" }, "x/y", Value::Null, "method"),
    ] {
        log.listen(|| policy.decide(&who, operation).unwrap_err().to_string());
        let event: Value = serde_json::from_str(&log.text()).unwrap();
        for (field, expected) in [
            ("target", json!("mcp_auth::audit")),
            ("level", json!("INFO")),
            ("outcome", json!("refused")),
            ("reason", json!(reason)),
            ("subject", json!("alice")),
            ("issuer", json!(ISSUER)),
            ("client", json!("agent")),
            ("kid", json!("key-1")),
            ("operation", json!(method)),
            ("name", name),
        ] {
            assert_eq!(event[field], expected, "{field}");
        }
    }
    let nobody = principal(&[], &[], None);
    log.listen(|| policy.decide(&nobody, Operation::ListPrompts).unwrap_err().to_string());
    let event: Value = serde_json::from_str(&log.text()).unwrap();
    assert_eq!(event["reason"], "scope mcp:read or mcp:prompts");
}

/// Everything that is logged on one thread.
#[derive(Clone, Default)]
struct Log {
    written: Arc<Mutex<Vec<u8>>>,
    json: bool,
}

/// Someone who is interested in everything, always (see `guard.rs`).
static INTERESTED: LazyLock<()> = LazyLock::new(|| {
    tracing::subscriber::set_global_default(tracing_subscriber::fmt().with_writer(io::sink).finish()).unwrap();
});

impl Log {
    fn json() -> Self {
        Self { json: true, ..Self::default() }
    }

    fn listen<T>(&self, run: impl FnOnce() -> T) -> T {
        LazyLock::force(&INTERESTED);
        self.written.lock().unwrap().clear();
        let plain = tracing_subscriber::fmt().with_ansi(false).with_writer(self.clone());
        if self.json {
            tracing::subscriber::with_default(plain.json().flatten_event(true).finish(), run)
        } else {
            tracing::subscriber::with_default(plain.finish(), run)
        }
    }

    fn text(&self) -> String {
        String::from_utf8(self.written.lock().unwrap().clone()).unwrap()
    }
}

impl io::Write for Log {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.written.lock().unwrap().write(bytes)
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

impl MakeWriter<'_> for Log {
    type Writer = Self;

    fn make_writer(&self) -> Self {
        self.clone()
    }
}

static KEY: LazyLock<SigningKey> =
    LazyLock::new(|| SigningKey::from_pem(&make_pair(Algorithm::EdDSA).unwrap().0, Algorithm::EdDSA).unwrap());

fn verifier() -> JwtVerifier {
    JwtVerifier::with_keys(vec![KEY.public().clone()], ISSUER, AUDIENCE)
}

/// A token with these claims besides the necessary ones.
fn token(claims: Value) -> String {
    let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap().as_secs();
    let mut all = json!({ "iss": ISSUER, "aud": AUDIENCE, "sub": "alice", "exp": now + 600 });
    all.as_object_mut().unwrap().extend(claims.as_object().unwrap().clone());
    KEY.sign(&all).unwrap()
}

/// It takes away, so one that cannot be read must not count as absent.
#[tokio::test]
async fn the_claim_tools_is_a_list_of_names_or_the_token_is_none() {
    for (claims, expected) in [
        (json!({}), None),
        (json!({ "tools": [] }), Some(vec![])),
        (json!({ "tools": ["echo", "add"] }), Some(vec!["echo".to_owned(), "add".to_owned()])),
    ] {
        assert_eq!(verifier().verify(&token(claims)).await.unwrap().tools, expected);
    }
    for bent in [
        json!(null),
        json!("echo"),
        json!("*"),
        json!(["echo", 1]),
        json!([["echo"]]),
        json!({ "echo": true }),
        json!(0),
        json!(false),
    ] {
        let error = verifier().verify(&token(json!({ "tools": bent }))).await.unwrap_err();
        assert_eq!(error, TokenError::Claim("tools"), "{bent}");
    }
}

/// The whole way: guard, strict layer, policy, and a service that counts.
struct Server {
    url: String,
    ran: Arc<AtomicU64>,
}

impl Server {
    async fn start() -> Self {
        Self::serve(|routes| {
            let resource = ProtectedResource::new(&AUDIENCE.parse().unwrap(), [ISSUER], ["mcp:read"]).unwrap();
            routes
                .layer(PolicyLayer::new(policy()))
                .layer(StrictJsonRpcLayer::new())
                .layer(Guard::new(verifier()).protects(resource))
        })
        .await
    }

    async fn serve(layers: impl FnOnce(Router) -> Router) -> Self {
        let ran = Arc::new(AtomicU64::new(0));
        let counter = Arc::clone(&ran);
        let service = async move || {
            counter.fetch_add(1, Ordering::Relaxed);
            "ran"
        };
        let app = layers(Router::new().route("/mcp", any(service)));
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        let url = format!("http://{}/mcp", listener.local_addr().unwrap());
        tokio::spawn(axum::serve(listener, app).into_future());
        Self { url, ran }
    }

    async fn post(&self, token: &str, host: &str, body: &Value) -> Response {
        let request = Client::new().post(&self.url).bearer_auth(token).header("host", host);
        request.header("content-type", "application/json").body(body.to_string()).send().await.unwrap()
    }

    fn ran(&self) -> u64 {
        self.ran.swap(0, Ordering::Relaxed)
    }
}

fn header<'a>(response: &'a Response, name: &str) -> Option<&'a str> {
    response.headers().get(name).map(|value| value.to_str().unwrap())
}

#[tokio::test]
async fn in_front_of_a_service_that_is_not_ours() {
    let server = Server::start().await;
    let call = |name: &str| json!({ "jsonrpc": "2.0", "id": 7, "method": "tools/call", "params": { "name": name } });
    let reading = token(json!({ "scope": "mcp:read", "roles": ["user"] }));

    // What a token with more scopes would cure, in the spelling that the client used.
    for (host, origin) in [
        ("localhost:9000", "http://localhost:9000"),
        ("127.0.0.1:9000", "http://127.0.0.1:9000"),
        ("evil.example", "http://localhost:9000"),
    ] {
        let response = server.post(&reading, host, &call("echo")).await;
        assert_eq!(response.status(), StatusCode::FORBIDDEN);
        assert_eq!(header(&response, "content-type"), Some("application/json"));
        assert_eq!(
            header(&response, "www-authenticate").unwrap(),
            format!(
                "Bearer resource_metadata=\"{origin}/.well-known/oauth-protected-resource/mcp\", \
                 scope=\"mcp:read mcp:tools\", error=\"insufficient_scope\", \
                 error_description=\"calling this tool needs the scope mcp:tools\""
            )
        );
        assert_eq!(
            response.json::<Value>().await.unwrap(),
            json!({
                "jsonrpc": "2.0", "id": 7,
                "error": {
                    "code": 403,
                    "message": "Forbidden: calling \"echo\" needs the scope mcp:tools; the token has mcp:read",
                    "data": { "missingScopes": ["mcp:tools"] },
                },
            })
        );
    }
    // What none would: no header at all, or clients ask for a token again and again.
    for (claims, body) in [
        (json!({ "scope": "mcp:tools", "roles": ["user"] }), call("server_stats")),
        (json!({ "scope": "mcp:tools", "tools": ["add"] }), call("echo")),
        (json!({ "scope": "mcp:read", "tools": ["add"] }), call("echo")),
        (
            json!({ "scope": "mcp:tools" }),
            json!({ "jsonrpc": "2.0", "id": 7, "method": "tools/call", "params": { "name": 1 } }),
        ),
        (json!({ "scope": "mcp:tools" }), json!({ "jsonrpc": "2.0", "id": 7, "method": "tools/call" })),
        (
            json!({ "scope": "mcp:read" }),
            json!({ "jsonrpc": "2.0", "id": 7, "method": "resources/read", "params": { "uri": "x" } }),
        ),
        (json!({ "scope": "mcp:read" }), json!({ "jsonrpc": "2.0", "id": 7, "method": "notifications/initialized" })),
    ] {
        let response = server.post(&token(claims), "localhost:9000", &body).await;
        assert_eq!((response.status(), header(&response, "www-authenticate")), (StatusCode::FORBIDDEN, None), "{body}");
        let answer: Value = response.json().await.unwrap();
        assert_eq!((&answer["id"], &answer["error"]["code"]), (&json!(7), &json!(403)), "{body}");
    }
    assert_eq!(server.ran(), 0);

    for (claims, body) in [
        (json!({}), json!({ "jsonrpc": "2.0", "id": 7, "method": "initialize", "params": {} })),
        (json!({}), json!({ "jsonrpc": "2.0", "id": 7, "method": "server/discover" })),
        (json!({}), json!({ "jsonrpc": "2.0", "id": "7", "method": "ping" })),
        (json!({}), json!({ "jsonrpc": "2.0", "method": "notifications/initialized" })),
        (json!({}), json!({ "jsonrpc": "2.0", "id": 7, "result": {} })),
        (
            json!({ "scope": "mcp:read" }),
            json!({ "jsonrpc": "2.0", "id": 7, "method": "tools/list", "params": { "name": "x" } }),
        ),
        (json!({ "scope": "mcp:tools" }), call("echo")),
        (json!({ "scopes": ["mcp:tools"], "realm_access": { "roles": ["admin"] } }), call("server_stats")),
    ] {
        let response = server.post(&token(claims), "localhost:9000", &body).await;
        assert_eq!((response.status(), server.ran()), (StatusCode::OK, 1), "{body}");
    }
    // No message, so nothing to decide: the stream and the end of a session.
    for method in [reqwest::Method::GET, reqwest::Method::DELETE] {
        let response = Client::new().request(method, &server.url).bearer_auth(&reading).send().await.unwrap();
        assert_eq!((response.status(), server.ran()), (StatusCode::OK, 1));
    }
    // Nobody, who is the guard's business.
    let response = Client::new().post(&server.url).send().await.unwrap();
    assert_eq!((response.status(), server.ran()), (StatusCode::UNAUTHORIZED, 0));
}

#[tokio::test]
async fn without_guard_or_strict_layer_nobody_gets_through() {
    let body = json!({ "jsonrpc": "2.0", "id": 7, "method": "ping" });
    let without_guard =
        Server::serve(|routes| routes.layer(PolicyLayer::new(policy())).layer(StrictJsonRpcLayer::new())).await;
    let without_strict =
        Server::serve(|routes| routes.layer(PolicyLayer::new(policy())).layer(Guard::new(verifier()))).await;
    for server in [without_guard, without_strict] {
        let response = server.post(&token(json!({ "scope": "mcp:tools" })), "localhost:9000", &body).await;
        assert_eq!(response.status(), StatusCode::INTERNAL_SERVER_ERROR);
        assert_eq!(server.ran(), 0);
    }
}
