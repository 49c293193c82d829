//! What a token costs: the bare signature check of the crypto library, the verifier with all its checks, a token that
//! is remembered, and the whole guard around a service that does nothing.
//!
//! ```sh
//! cargo bench -p mcp-auth --features signing
//! ```
#![allow(clippy::unwrap_used, missing_docs, reason = "a benchmark may panic")]

use std::{
    convert::Infallible,
    hint::black_box,
    time::{SystemTime, UNIX_EPOCH},
};

use axum::body::Body;
use base64::{Engine, prelude::BASE64_URL_SAFE_NO_PAD};
use criterion::{Criterion, criterion_group, criterion_main};
use futures_util::FutureExt;
use http::{Request, Response};
use mcp_auth::{
    Guard, JwtVerifier, TokenVerifier, VerifiedTokens,
    keys::{Algorithm, SigningKey, make_pair},
};
use serde_json::{Value, json};
use tower::{Layer, Service, service_fn};

const ISSUER: &str = "http://localhost:9000";
const AUDIENCE: &str = "http://localhost:9000/mcp";

/// What gen-token writes for alice.
fn claims() -> Value {
    let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap().as_secs();
    json!({
        "iss": ISSUER, "aud": AUDIENCE, "sub": "alice", "iat": now, "exp": now + 3600,
        "jti": "4f6d1a0e-7f0e-4f57-8f0a-9a7f2c1d3b5e", "preferred_username": "alice", "scope": "mcp:read mcp:tools",
        "scopes": ["mcp:read", "mcp:tools"], "roles": ["user"], "client_id": "gen-token",
    })
}

fn verification(c: &mut Criterion) {
    for algorithm in Algorithm::ALL {
        let key = SigningKey::from_pem(&make_pair(algorithm).unwrap().0, algorithm).unwrap();
        let token = key.sign(&claims()).unwrap();
        let public = key.public().clone();
        let (message, signature) = token.rsplit_once('.').unwrap();
        let signature = BASE64_URL_SAFE_NO_PAD.decode(signature).unwrap();
        let mut group = c.benchmark_group(algorithm.as_str());
        group.bench_function("bare signature", |b| {
            b.iter(|| assert!(public.verify(black_box(message.as_bytes()), black_box(&signature))));
        });
        let verifier = JwtVerifier::with_keys(vec![public.clone()], ISSUER, AUDIENCE);
        group.bench_function("verify", |b| {
            b.iter(|| verifier.verify(black_box(&token)).now_or_never().unwrap().unwrap());
        });
        group.finish();
    }
}

fn guarding(c: &mut Criterion) {
    let key = SigningKey::from_pem(&make_pair(Algorithm::RS256).unwrap().0, Algorithm::RS256).unwrap();
    let token = key.sign(&claims()).unwrap();
    let verifier = || JwtVerifier::with_keys(vec![key.public().clone()], ISSUER, AUDIENCE);
    let remembering = VerifiedTokens::new(verifier(), 10_000);
    remembering.verify(&token).now_or_never().unwrap().unwrap();
    c.bench_function("remembered token", |b| {
        b.iter(|| remembering.verify(black_box(&token)).now_or_never().unwrap().unwrap());
    });

    let nothing = service_fn(async |_: Request<Body>| Ok::<_, Infallible>(Response::new(Body::empty())));
    let request = |authorization: &str| {
        Request::builder().uri("/mcp").header("authorization", authorization).body(Body::empty()).unwrap()
    };
    let good = format!("Bearer {token}");
    let mut group = c.benchmark_group("guard");
    for (name, capacity) in [("remembered token", 10_000), ("remembering nothing", 0)] {
        let mut guarded = Guard::new(VerifiedTokens::new(verifier(), capacity)).layer(nothing);
        group.bench_function(name, |b| {
            b.iter_batched(
                || request(&good),
                |request| guarded.call(request).now_or_never().unwrap().unwrap(),
                criterion::BatchSize::SmallInput,
            );
        });
    }
    let mut guarded = Guard::new(verifier()).layer(nothing);
    group.bench_function("refused: alg none", |b| {
        b.iter_batched(
            || request("Bearer eyJhbGciOiJub25lIn0.e30.AAAA"),
            |request| guarded.call(request).now_or_never().unwrap().unwrap(),
            criterion::BatchSize::SmallInput,
        );
    });
    group.finish();
}

criterion_group!(benches, verification, guarding);
criterion_main!(benches);
