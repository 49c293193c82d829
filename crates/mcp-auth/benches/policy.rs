//! What a decision costs: what is allowed, a whole list, and what is denied with everything that the client is told.
//!
//! ```sh
//! cargo bench -p mcp-auth --bench policy
//! ```
#![allow(clippy::unwrap_used, missing_docs, reason = "a benchmark may panic")]

use std::{hint::black_box, sync::Arc};

use criterion::{Criterion, criterion_group, criterion_main};
use mcp_auth::{AccessToken, Operation, Policy, Principal};

fn principal(scopes: &[&str], tools: Option<Vec<String>>) -> Principal {
    Principal::new(Arc::new(AccessToken {
        issuer: "http://localhost:9000".into(),
        subject: "alice".into(),
        client_id: Some("gen-token".to_owned()),
        username: Some("alice".into()),
        scopes: scopes.iter().map(|scope| (*scope).to_owned()).collect(),
        roles: vec!["user".to_owned()],
        tools,
        expires_at: u64::MAX,
        kid: None,
        claims: serde_json::Map::new(),
    }))
}

fn decisions(c: &mut Criterion) {
    let policy = Policy::mcp().tool_scope("run_js", "mcp:run").unwrap().tool_role("server_stats", "admin");
    let alice = principal(&["mcp:read", "mcp:tools", "mcp:prompts"], None);
    let reader = principal(&["mcp:read"], None);
    let narrowed =
        principal(&["mcp:tools"], Some((0..7).map(|i| format!("tool_{i}")).chain(["echo".to_owned()]).collect()));
    let tools = ["echo", "get_time", "add", "multiply", "whoami", "server_stats", "run_js"];

    let mut group = c.benchmark_group("policy");
    for (name, who, operation) in [
        ("ping", &alice, Operation::Ping),
        ("call", &alice, Operation::CallTool { name: "echo" }),
        ("call, the last of 8 names in the claim", &narrowed, Operation::CallTool { name: "echo" }),
    ] {
        group.bench_function(name, |b| b.iter(|| policy.decide(black_box(who), black_box(operation)).unwrap()));
    }
    group.bench_function("list of 7 tools, 2 left out", |b| {
        b.iter(|| {
            policy.decide(&alice, Operation::ListTools).unwrap();
            tools.iter().filter(|name| policy.decide(black_box(&alice), Operation::ShowTool { name }).is_ok()).count()
        });
    });
    group.bench_function("denied, with challenge and error", |b| {
        b.iter(|| {
            let denied = policy.decide(black_box(&reader), Operation::CallTool { name: "echo" }).unwrap_err();
            (denied.challenge().unwrap(), denied.to_string(), denied.data())
        });
    });
    group.finish();
}

criterion_group!(benches, decisions);
criterion_main!(benches);
