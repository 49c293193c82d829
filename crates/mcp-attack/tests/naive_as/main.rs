//! Authorization servers with one mistake each, and exactly the rows that find it. The same server without a mistake
//! lets nothing in.
#![allow(clippy::unwrap_used, reason = "a test may panic")]

mod server;

use std::{collections::BTreeSet, time::Duration};

use futures_util::{StreamExt, stream};
use mcp_attack::{
    Limits, Report, Verdict,
    authorization_server::{Issuer, Probe, rows, run},
};

/// A mistake, and what it lets in.
const MISTAKES: &[(&str, &str)] = &[
    // What it says of itself.
    ("the issuer ends with a slash", "meta-issuer resource-server-issuer"),
    ("the issuer is where the request went", "meta-host"),
    ("believes any proxy", "meta-forwarded-host"),
    ("one endpoint over http", "meta-endpoint-http"),
    ("two opinions", "meta-places-differ"),
    ("metadata as text", "meta-type"),
    ("no CORS", "meta-cors"),
    ("does not say S256", "meta-no-s256"),
    ("says plain", "meta-plain"),
    ("says token", "meta-token-response"),
    ("says nothing of grants", "meta-implicit"),
    ("says implicit", "meta-implicit"),
    ("says password", "meta-password"),
    ("does not say iss", "meta-no-iss"),
    ("forgets iss", "iss-missing-in-errors"),
    ("publishes the private key", "jwks-private"),
    ("publishes the secret", "jwks-symmetric"),
    ("keys for any algorithm", "jwks-no-alg"),
    // Registration.
    (
        "any address",
        "register-javascript register-data register-http register-localhost-suffix register-loopback-suffix \
         register-loopback-userinfo register-loopback-decimal register-backslash register-crlf register-fragment \
         register-private-scheme",
    ),
    ("begins with localhost", "register-localhost-suffix register-loopback-userinfo"),
    ("contains 127.0.0.1", "register-loopback-suffix"),
    ("loopback once parsed", "register-loopback-decimal"),
    ("apps have schemes", "register-private-scheme"),
    ("stars", "register-wildcard-path register-wildcard-host"),
    ("any grant", "register-client-credentials"),
    ("a form for passwords", "register-password"),
    ("tokens in URLs", "register-implicit response-token response-code-token"),
    ("looks at the logo", "register-fetches"),
    ("any body", "register-huge"),
    ("any JSON", "register-deep"),
    // Where an answer may go.
    (
        "any redirect",
        "redirect-unregistered redirect-javascript redirect-host-suffix redirect-userinfo redirect-user \
         redirect-backslash redirect-fragment-host redirect-scheme redirect-port redirect-longer redirect-shorter \
         redirect-deeper redirect-dot-segments redirect-encoded-dots redirect-query redirect-fragment redirect-crlf \
         redirect-encoded-crlf redirect-slash redirect-space redirect-host-case redirect-path-case \
         redirect-native-path redirect-native-host redirect-native-name register-wildcard-path register-wildcard-host",
    ),
    (
        "tells whoever asks",
        "redirect-unregistered redirect-javascript redirect-host-suffix redirect-userinfo redirect-user \
         redirect-backslash redirect-fragment-host redirect-scheme redirect-port redirect-longer redirect-shorter \
         redirect-deeper redirect-dot-segments redirect-encoded-dots redirect-query redirect-fragment redirect-crlf \
         redirect-encoded-crlf redirect-slash redirect-host-case redirect-path-case \
         redirect-native-path redirect-native-host redirect-native-name register-wildcard-path register-wildcard-host",
    ),
    (
        "begins with it",
        "redirect-longer redirect-deeper redirect-dot-segments redirect-encoded-dots redirect-query redirect-fragment \
         redirect-crlf redirect-encoded-crlf redirect-slash",
    ),
    (
        "same host",
        "redirect-user redirect-scheme redirect-port redirect-longer redirect-shorter redirect-deeper \
         redirect-dot-segments redirect-encoded-dots redirect-query redirect-fragment redirect-crlf \
         redirect-encoded-crlf redirect-slash redirect-space redirect-host-case redirect-path-case \
         redirect-native-path register-wildcard-path",
    ),
    (
        "contains the host",
        "redirect-host-suffix redirect-userinfo redirect-user redirect-backslash redirect-fragment-host \
         redirect-scheme redirect-port redirect-longer redirect-shorter redirect-deeper redirect-dot-segments \
         redirect-encoded-dots redirect-query redirect-fragment redirect-crlf redirect-encoded-crlf redirect-slash \
         redirect-space redirect-path-case redirect-native-path redirect-native-host register-wildcard-path",
    ),
    ("parsed and compared", "redirect-space redirect-host-case"),
    ("without case", "redirect-host-case redirect-path-case"),
    ("without the last slash", "redirect-slash"),
    ("without the fragment", "redirect-fragment"),
    ("without the query", "redirect-query"),
    ("half of it", "redirect-shorter"),
    ("any port", "redirect-port redirect-host-case"),
    ("any path here", "redirect-native-path redirect-native-host"),
    ("names of this machine", "redirect-native-name"),
    ("tells whoever registered", "redirect-unasked"),
    // What else a request may say.
    ("any client", "authorize-unknown-client"),
    ("PKCE for those who want it", "pkce-missing pkce-empty"),
    ("plain PKCE", "pkce-plain pkce-no-method"),
    ("whatever method", "pkce-plain pkce-no-method pkce-unknown-method"),
    ("a challenge of any length", "pkce-short"),
    ("implicit flow", "response-token response-code-token"),
    ("an OpenID provider", "response-id-token"),
    ("whatever response_type", "response-token response-code-token response-id-token response-missing"),
    ("the first counts", "twice-client-id twice-redirect-uri twice-scope twice-challenge"),
    ("the last counts", "twice-redirect-uri-last twice-scope twice-challenge"),
    ("whatever scope", "unknown-scope"),
    ("whatever resource", "unknown-resource"),
    ("writes line breaks", "state-crlf"),
    ("state as it is", "state-parameters"),
    ("state is where to go", "state-url"),
    ("fetches request_uri", "request-uri request-uri-link-local"),
    ("fetches jku", "request-jku"),
    ("reads unsigned requests", "request-unsigned"),
    // Pages.
    ("anybody frames it", "page-framed"),
    ("anybody frames errors", "page-framed-error"),
    ("scripts from anywhere", "page-scripts"),
    ("keeps pages", "page-cached"),
    ("guess the type", "page-sniffed"),
    ("tells the referrer", "page-referrer"),
    ("scripts read cookies", "cookie-script"),
    ("cookies from anywhere", "cookie-cross-site"),
    ("CORS everywhere", "page-readable"),
    ("CORS with cookies", "page-readable page-readable-cookies"),
    ("believes names", "markup-client-name"),
    ("links to the client", "markup-client-uri"),
    ("echoes client_id", "markup-client-id"),
    ("echoes redirect_uri", "markup-redirect-uri"),
    ("echoes scope", "markup-scope"),
    ("echoes state", "markup-state"),
    ("echoes resource", "markup-resource"),
    ("echoes response_type", "markup-response-type"),
    ("echoes parameters", "markup-unknown"),
    // Documents.
    (
        "fetches any document",
        "document-link-local document-loopback document-localhost document-loopback-v6 document-mapped \
         document-unspecified document-decimal document-hexadecimal document-octal document-http document-userinfo \
         document-fragment document-dot-segments document-no-path",
    ),
    (
        "knows two bad names",
        "document-link-local document-loopback-v6 document-unspecified document-decimal document-hexadecimal \
         document-octal",
    ),
    (
        "goes on without the document",
        "document-link-local document-loopback document-localhost document-loopback-v6 document-mapped \
         document-unspecified document-decimal document-hexadecimal document-octal document-http document-userinfo \
         document-fragment document-dot-segments document-no-path",
    ),
    ("fetches a document for a token", "document-token-endpoint"),
    // Tokens.
    ("any code", "token-code token-code-no-verifier token-error-form"),
    ("any refresh token", "token-refresh token-error-form"),
    ("a token for everybody", "token-client-credentials token-client-assertion"),
    ("believes assertions", "token-client-assertion"),
    ("implicit at the token endpoint", "token-implicit"),
    ("any device", "token-device"),
    ("unsigned is signed", "token-jwt-bearer"),
    ("assertions are not verified", "token-jwt-bearer token-jwt-bearer-stranger"),
    ("exchanges anything", "token-exchange"),
    ("a code needs no grant", "token-no-grant"),
    ("the code first", "token-unknown-client token-error-scheme"),
    ("secrets do not matter", "token-public-secret"),
    ("GET is fine", "token-get"),
    ("query or body", "token-query"),
    ("JSON is fine", "token-json"),
    ("the first counts for tokens", "token-twice-grant token-twice-code"),
    ("errors in words", "token-error-form token-error-scheme"),
    ("keeps errors", "token-error-kept"),
    ("401 and no more", "token-error-form token-error-scheme"),
    // Introspection and revocation.
    (
        "everybody asks",
        "introspect-anonymous introspect-unknown-client introspect-public introspect-guess introspect-bearer \
         introspect-no-401",
    ),
    ("whoever has a name asks", "introspect-unknown-client introspect-public introspect-guess"),
    ("whoever is known asks", "introspect-public introspect-guess"),
    ("the secret is not looked at", "introspect-guess"),
    ("any bearer asks", "introspect-bearer"),
    ("who asks is a bad request", "introspect-no-401"),
    ("GET asks too", "introspect-get"),
    ("everybody revokes", "revoke-anonymous revoke-unknown-client"),
    ("whoever has a name revokes", "revoke-unknown-client"),
    ("says there is none", "revoke-tells"),
    // The resource.
    ("anybody is served", "resource-open resource-no-challenge"),
    ("401 and no way", "resource-no-challenge"),
    ("the challenge is where the request went", "resource-challenge-host"),
    ("no metadata", "resource-no-metadata"),
    ("a resource with a slash", "resource-other"),
    ("the resource is where the request went", "resource-host"),
    ("no server", "resource-no-server"),
    ("a server by another name", "resource-server-issuer"),
    ("offline_access is a scope", "resource-offline"),
    ("the challenge wants offline_access", "resource-offline"),
    ("resource metadata as text", "resource-type"),
    ("resource without CORS", "resource-cors"),
    // How often.
    ("passwords for ever", "guess-passwords"),
    ("anybody, any number", "register-flood"),
    ("some time later", "register-flood"),
    // Mistakes that no row is about, or that a limit makes good.
    ("passwords for a while", ""),
];

/// Needs https: `authorization_server::pages` has the test of it.
const NEEDS_TLS: [&str; 1] = ["cookie-plain"];

async fn attacked(mistake: &'static str) -> Report<Probe> {
    let server = server::start(mistake).await;
    let issuer = Issuer::new(&server.issuer).unwrap().resource(&format!("{}/mcp", server.issuer)).unwrap();
    let limits = Limits { each: Duration::from_secs(20), total: Duration::from_secs(300) };
    run(&issuer, limits).await.unwrap()
}

fn let_in(report: &Report<Probe>) -> BTreeSet<&'static str> {
    report.with(Verdict::LetThrough).map(|outcome| outcome.attack.id).collect()
}

fn not_refused(report: &Report<Probe>) -> Vec<String> {
    let others = report.outcomes.iter().filter(|outcome| outcome.verdict != Verdict::Refused);
    others.map(|outcome| format!("{} {:?}: {}", outcome.attack.id, outcome.verdict, outcome.did)).collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn without_a_mistake_nothing_is_let_in() {
    let report = attacked("").await;
    let not_run: Vec<&str> = report.with(Verdict::NotRun).map(|outcome| outcome.attack.id).collect();
    assert_eq!(let_in(&report), BTreeSet::new(), "{:#?}", not_refused(&report));
    assert_eq!((not_run.as_slice(), report.still_serves), (&NEEDS_TLS[..], true), "{:#?}", not_refused(&report));
    assert!(report.is_clean(&[]), "{:#?}", not_refused(&report));
}

#[tokio::test(flavor = "multi_thread")]
async fn each_mistake_is_found_by_its_rows_and_by_no_other() {
    let wrong: Vec<String> = stream::iter(MISTAKES)
        .map(async |(mistake, rows)| {
            // Spawned, so that there is more than one at work.
            let report = tokio::spawn(attacked(mistake)).await.unwrap();
            let expected: BTreeSet<&str> = rows.split_whitespace().collect();
            let failed = report.with(Verdict::Error).count() > 0;
            (let_in(&report) != expected || failed).then(|| {
                let found = let_in(&report);
                let (missed, more): (Vec<_>, Vec<_>) =
                    (expected.difference(&found).collect(), found.difference(&expected).collect());
                format!("{mistake}: missed {missed:?}, also {more:?}; {:#?}", not_refused(&report))
            })
        })
        .buffer_unordered(70)
        .filter_map(async |wrong| wrong)
        .collect()
        .await;
    assert!(wrong.is_empty(), "{} of {}:\n{}", wrong.len(), MISTAKES.len(), wrong.join("\n"));
}

#[test]
fn every_row_has_a_mistake_to_find() {
    let found: BTreeSet<&str> =
        MISTAKES.iter().flat_map(|(_, rows)| rows.split_whitespace()).chain(NEEDS_TLS).collect();
    let all: BTreeSet<&str> = rows().iter().map(|row| row.id).collect();
    assert_eq!(all, found);
}
