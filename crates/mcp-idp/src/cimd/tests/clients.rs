//! Clients of the world, by the facts of their documents (September 2026).

use super::*;
use crate::redirect_uri;

/// What the client at `url` becomes.
async fn client(url: &str, mut facts: Value) -> Result<Document, DocumentError> {
    facts["client_id"] = json!(url);
    let setup = Setup::new().await;
    setup.site.serve(Url::parse(url).unwrap().path(), Reply::json(facts.to_string()));
    setup.documents.resolve(url, ALICE).await.map(Arc::unwrap_or_clone).inspect(|document| {
        assert_eq!(document.client.client_id.as_str(), url);
        assert_eq!(Some(&*document.host), Url::parse(url).unwrap().host_str());
    })
}

fn grants(document: &Document) -> Vec<&str> {
    document.client.grant_types.iter().map(|grant| grant.as_str()).collect()
}

/// Whether a code may go to `uri`.
fn permits(document: &Document, uri: &str) -> bool {
    document.client.redirect_uris.iter().any(|registered| redirect_uri::matches(registered, uri, true))
}

#[tokio::test]
async fn claude_code() {
    let url = "https://claude.ai/oauth/claude-code-client-metadata";
    let facts = json!({
        "client_name": "Claude Code",
        "redirect_uris": ["http://localhost/callback", "http://127.0.0.1/callback"],
        "grant_types": ["authorization_code", "refresh_token"],
        "response_types": ["code"],
        "token_endpoint_auth_method": "none",
    });
    let document = client(url, facts).await.unwrap();
    assert_eq!(document.client.name.as_deref(), Some("Claude Code"));
    assert_eq!(grants(&document), ["authorization_code", "refresh_token"]);
    assert_eq!(document.client.redirect_uris, ["http://localhost/callback", "http://127.0.0.1/callback"]);
    // As it comes.
    for uri in ["http://localhost:8080/callback", "http://127.0.0.1:52163/callback"] {
        assert!(permits(&document, uri), "{uri}");
    }
}

#[tokio::test]
async fn visual_studio_code() {
    let url = "https://vscode.dev/oauth/client-metadata.json";
    let facts = json!({
        "client_name": "Visual Studio Code",
        "logo_uri": "https://code.visualstudio.com/assets/branding/code-stable.png",
        "application_type": "native",
        "redirect_uris": ["http://127.0.0.1:33418/", "https://vscode.dev/redirect"],
        "grant_types": ["authorization_code", "refresh_token", "urn:ietf:params:oauth:grant-type:device_code"],
        "response_types": ["code"],
        "token_endpoint_auth_method": "none",
    });
    let document = client(url, facts).await.unwrap();
    assert_eq!(document.client.name.as_deref(), Some("Visual Studio Code"));
    assert_eq!(grants(&document), ["authorization_code", "refresh_token"]);
    for uri in ["http://127.0.0.1:33418/", "http://127.0.0.1:50000/", "https://vscode.dev/redirect"] {
        assert!(permits(&document, uri), "{uri}");
    }
    assert!(!permits(&document, "https://vscode.dev:444/redirect"));
}

#[tokio::test]
async fn github_copilot_cli() {
    let url = "https://github.com/copilot/cli/client-metadata.json";
    let facts = json!({
        "client_name": "GitHub Copilot CLI",
        "application_type": "native",
        "redirect_uris": ["http://127.0.0.1:33418/"],
        "token_endpoint_auth_method": "none",
    });
    let document = client(url, facts).await.unwrap();
    assert_eq!(document.client.name.as_deref(), Some("GitHub Copilot CLI"));
    assert_eq!(grants(&document), ["authorization_code"], "what RFC 7591 §2 says for who says nothing");
    assert!(permits(&document, "http://127.0.0.1:61876/"), "it comes with a port of its own");
}

#[tokio::test]
async fn a_client_that_lists_every_port_it_might_get() {
    let url = "https://apify.github.io/mcpc/client-metadata.json";
    let callbacks = (13316..=13325)
        .flat_map(|port| ["127.0.0.1", "localhost"].map(|host| format!("http://{host}:{port}/callback")));
    let facts = json!({
        "client_name": "mcpc",
        "redirect_uris": callbacks.clone().collect::<Vec<_>>(),
        "token_endpoint_auth_method": "none",
    });
    let document = client(url, facts).await.unwrap();
    assert_eq!(document.client.redirect_uris.len(), 2);
    for uri in callbacks {
        assert!(permits(&document, &uri), "{uri}");
    }
}

#[tokio::test]
async fn a_client_with_uris_of_many_kinds() {
    let facts = json!({
        "client_name": "Example",
        "redirect_uris": ["cursor://example/callback", "http://client.example/", "https://client.example/callback"],
    });
    let document = client(URL, facts).await.unwrap();
    assert_eq!(document.client.redirect_uris, ["https://client.example/callback"]);
}

/// It would have to log in with its key (§8.2), which this server cannot ask of it.
#[tokio::test]
async fn chatgpt_is_told_why_not() {
    let facts = json!({
        "client_name": "ChatGPT",
        "redirect_uris": ["https://client.example/callback"],
        "token_endpoint_auth_method": "private_key_jwt",
        "token_endpoint_auth_methods_supported": ["none", "private_key_jwt"],
        "jwks_uri": "https://client.example/oauth/jwks.json",
    });
    let refusal = client(URL, facts).await.unwrap_err();
    assert_eq!(refusal, DocumentError::Refused(oauth_as::CimdError::KeyMaterialPresent));
}
