//! The tutorial about authorization in MCP's documentation: its `.env`, its defaults, and when they apply.

mod common;

use common::{explained, load};
use mcp_settings::{Key, KeySource, Secret, Settings, Verification};

/// The lines of its `.env`, of its TypeScript part.
const ENV: &str = "\
# Server host/port
HOST=localhost
PORT=3000

# Auth server location
AUTH_HOST=localhost
AUTH_PORT=8080
AUTH_REALM=master

# Keycloak OAuth client credentials
OAUTH_CLIENT_ID=<YOUR_SERVER_CLIENT_ID>
OAUTH_CLIENT_SECRET=<YOUR_SERVER_CLIENT_SECRET>
";

fn is_the_tutorials(settings: &Settings) {
    assert_eq!((settings.host.as_str(), settings.port, settings.path.as_str()), ("localhost", 3000, "/"));
    // The audience of its Keycloak mapper, and the issuer of the token that it shows.
    assert_eq!(
        (settings.resource.as_str(), settings.audience.as_str()),
        ("http://localhost:3000", "http://localhost:3000")
    );
    assert_eq!(settings.issuer, "http://localhost:8080/realms/master");
    assert_eq!(settings.one_scope.as_deref(), Some("mcp:tools"));
    assert!(settings.tutorial);
}

#[test]
fn its_env_file_with_a_client() {
    let file = ENV.replace("<YOUR_SERVER_CLIENT_ID>", "test-server").replace("<YOUR_SERVER_CLIENT_SECRET>", "s3cret");
    let settings = load(&file, &[], &[]).unwrap();
    is_the_tutorials(&settings);
    let expected =
        Verification::Introspection { client_id: "test-server".to_owned(), client_secret: Secret::new("s3cret") };
    assert_eq!(settings.verification, expected);
    assert_eq!(settings.notices, [""; 0]);
    assert_eq!(
        explained(&settings),
        "\
HOST localhost x.env:2 HOST
PORT 3000 x.env:3 PORT
MCP_PATH / default of the tutorial
MCP_SERVER_URL http://localhost:3000 default, of PORT and MCP_PATH
JWT_AUDIENCE http://localhost:3000 default, that of MCP_SERVER_URL
JWT_ISSUER http://localhost:8080/realms/master from x.env:6 AUTH_HOST and x.env:7 AUTH_PORT and x.env:8 AUTH_REALM
MCP_SCOPE mcp:tools default of the tutorial
OAUTH_CLIENT_ID test-server x.env:11 OAUTH_CLIENT_ID
OAUTH_CLIENT_SECRET ******** x.env:12 OAUTH_CLIENT_SECRET
"
    );
}

#[test]
fn its_env_file_as_it_stands() {
    let settings = load(ENV, &[], &[]).unwrap();
    is_the_tutorials(&settings);
    assert_eq!(settings.verification, Verification::Keys(KeySource::Issuer));
    assert_eq!(
        settings.notices,
        [
            "OAUTH_CLIENT_ID (x.env:11): a placeholder, which is taken for not set",
            "OAUTH_CLIENT_SECRET (x.env:12): a placeholder, which is taken for not set",
        ]
    );
    // Half filled in, it is not a client.
    let half = ENV.replace("<YOUR_SERVER_CLIENT_ID>", "test-server");
    assert_eq!(load(&half, &[], &[]).unwrap().verification, Verification::Keys(KeySource::Issuer));
}

#[test]
fn what_brings_its_defaults() {
    for (key, value) in [
        ("AUTH_HOST", "localhost"),
        ("AUTH_PORT", "8080"),
        ("AUTH_REALM", "master"),
        ("MCP_SCOPE", "mcp:tools"),
        ("OAUTH_STRICT", "true"),
        ("TRANSPORT", "streamable-http"),
    ] {
        is_the_tutorials(&load(&format!("{key}={value}"), &[], &[]).unwrap());
        is_the_tutorials(&load("", &[(key, value)], &[]).unwrap());
        // A flag is said on top of a configuration; it makes none.
        assert!(!load("", &[], &[("--it", Key::named(key).unwrap(), value)]).unwrap().tutorial, "{key}");
    }
    // Its keys in the environment, over our default file.
    let ours = "KEYCLOAK_URL=http://localhost:9090\nKEYCLOAK_REALM=mcp-realm\n";
    is_the_tutorials(
        &load(ours, &[("AUTH_HOST", "localhost"), ("AUTH_PORT", "8080"), ("AUTH_REALM", "master")], &[]).unwrap(),
    );
}

#[test]
fn what_does_not() {
    for file in [
        "HOST=localhost",
        "PORT=3000",
        "OAUTH_CLIENT_ID=me\nOAUTH_CLIENT_SECRET=s",
        "KEYCLOAK_URL=http://localhost:8080\nMCP_SCOPE=mcp:tools",
        "KEYCLOAK_REALM=mcp-realm\nTRANSPORT=http",
        "JWT_ISSUER=https://id.example\nOAUTH_STRICT=true",
        "AUTH_ISSUER=https://id.example\nMCP_SCOPE=mcp:tools",
    ] {
        let settings = load(file, &[], &[]).unwrap();
        assert_eq!((settings.tutorial, settings.path.as_str()), (false, "/mcp"), "{file:?}");
    }
    let settings = load("KEYCLOAK_URL=http://localhost:8080\nMCP_SCOPE=mcp:tools", &[], &[]).unwrap();
    assert_eq!((settings.one_scope.as_deref(), settings.port), (Some("mcp:tools"), 9000));
}

/// Its Python part knows a client by default, but no secret that is any good.
#[test]
fn its_default_client() {
    let settings = load("AUTH_REALM=master\nOAUTH_CLIENT_SECRET=s\n", &[], &[]).unwrap();
    assert!(
        matches!(settings.verification, Verification::Introspection { client_id, .. } if client_id == "mcp-server")
    );
}

/// A plain JWT setup has keys with similar names, and none of these defaults.
#[test]
fn a_plain_jwt_setup() {
    let file = "AUTH_ISSUER=https://id.example/\nAUTH_AUDIENCE=my-api\nJWKS_URL=https://id.example/jwks.json\n\
                AUTH_CLIENT_ID=me\n";
    let settings = load(file, &[], &[]).unwrap();
    assert_eq!((settings.issuer.as_str(), settings.audience.as_str()), ("https://id.example/", "my-api"));
    assert!(matches!(settings.verification, Verification::Keys(KeySource::Url(url)) if url.path() == "/jwks.json"));
    assert!(!settings.tutorial);
}

/// Keycloak writes itself without the port that http has anyway; a `.env` of somebody else may have zeros before it.
#[test]
fn the_issuer_is_as_keycloak_writes_it() {
    for (port, issuer) in [("80", "http://localhost/realms/master"), ("08080", "http://localhost:8080/realms/master")] {
        assert_eq!(load(&format!("AUTH_PORT={port}"), &[], &[]).unwrap().issuer, issuer);
    }
    assert_eq!(
        load("KEYCLOAK_URL=https://id.example/auth/", &[], &[]).unwrap().issuer,
        "https://id.example/auth/realms/mcp-realm"
    );
    assert_eq!(load("AUTH_HOST=::1", &[], &[]).unwrap().issuer, "http://[::1]:8080/realms/master");
}
