//! Flag, environment, file, default: the strongest has the say, whatever its key is called.

#![allow(clippy::unwrap_used, reason = "a test may panic")]

mod common;

use common::{PEM, explained, load};
use mcp_settings::{Key, KeySource, Settings, Verification};

type Read = fn(&Settings) -> String;

/// A key, what each source says, what is there without any, where to look, and what else has to be set.
struct Setting {
    key: Key,
    flag: &'static str,
    environment: &'static str,
    file: &'static str,
    default: &'static str,
    read: Read,
    with: &'static str,
}

fn setting(key: Key, [flag, environment, file, default]: [&'static str; 4], read: Read) -> Setting {
    Setting { key, flag, environment, file, default, read, with: "" }
}

fn audience(settings: &Settings) -> String {
    settings.audience.clone()
}

fn issuer(settings: &Settings) -> String {
    settings.issuer.clone()
}

fn authority(settings: &Settings) -> String {
    settings.issuer.strip_prefix("http://").unwrap().split("/realms/").next().unwrap().to_owned()
}

fn realm(settings: &Settings) -> String {
    settings.issuer.split("/realms/").nth(1).unwrap().to_owned()
}

fn keys(settings: &Settings) -> String {
    match &settings.verification {
        Verification::Keys(KeySource::Issuer) => "discovery".to_owned(),
        Verification::Keys(KeySource::Url(url)) => url.to_string(),
        Verification::Keys(KeySource::Pem(pem)) => pem.clone(),
        Verification::Introspection { client_id, client_secret } => format!("{client_id} {}", client_secret.expose()),
    }
}

fn secret(settings: &Settings) -> String {
    match &settings.verification {
        Verification::Introspection { client_secret, .. } => client_secret.expose().to_owned(),
        other => format!("{other:?}"),
    }
}

fn client(settings: &Settings) -> String {
    match &settings.verification {
        Verification::Introspection { client_id, .. } => client_id.clone(),
        _ => "none".to_owned(),
    }
}

fn settings() -> Vec<Setting> {
    let urls = ["https://flag.example/mcp", "https://environment.example/mcp", "https://file.example/mcp"];
    let resource = [urls[0], urls[1], urls[2], "http://localhost:9000/mcp"];
    let issuers = [urls[0], urls[1], urls[2], "http://localhost:8080/realms/mcp-realm"];
    let pem = |name: &str| format!("-----BEGIN PUBLIC KEY-----\n{name}\n-----END PUBLIC KEY-----\n").leak() as &str;
    let with = |setting: Setting, with| Setting { with, ..setting };
    vec![
        setting(Key::Host, ["127.0.0.1", "::1", "127.0.0.2", "localhost"], |settings| settings.host.clone()),
        setting(Key::Port, ["1", "2", "3", "9000"], |settings| settings.port.to_string()),
        setting(Key::McpPath, ["/flag", "/environment", "/file", "/mcp"], |settings| settings.path.clone()),
        setting(Key::McpServerUrl, resource, |settings| settings.resource.clone()),
        setting(Key::McpServerUrl, resource, audience),
        setting(Key::JwtAudience, ["flag", "environment", "file", resource[3]], audience),
        setting(Key::AuthAudience, ["flag", "environment", "file", resource[3]], audience),
        setting(Key::JwtIssuer, issuers, issuer),
        setting(Key::AuthIssuer, issuers, issuer),
        setting(
            Key::KeycloakUrl,
            ["http://localhost:1", "http://localhost:2/", "http://localhost:3/auth", "http://localhost:8080"],
            |settings| {
                let base = settings.issuer.split("/realms/").next().unwrap();
                // As written: only the issuer is made without the slash.
                if base == "http://localhost:2" { format!("{base}/") } else { base.to_owned() }
            },
        ),
        setting(Key::KeycloakRealm, ["flag", "environment", "file", "mcp-realm"], realm),
        setting(Key::AuthHost, ["127.0.0.1", "127.0.0.2", "127.0.0.3", "localhost"], |settings| {
            authority(settings).split(':').next().unwrap().to_owned()
        }),
        setting(Key::AuthPort, ["1", "2", "3", "8080"], |settings| {
            authority(settings).split(':').nth(1).unwrap().to_owned()
        }),
        with(setting(Key::AuthRealm, ["flag", "environment", "file", "master"], realm), "AUTH_PORT=8080"),
        setting(
            Key::JwksUrl,
            [
                "http://localhost:8080/realms/mcp-realm/flag",
                "http://localhost:8080/realms/mcp-realm/environment",
                "http://localhost:8080/realms/mcp-realm/file",
                "discovery",
            ],
            keys,
        ),
        setting(Key::JwtPublicKey, [pem("flag"), pem("environment"), pem("file"), "discovery"], keys),
        with(
            setting(Key::OauthClientId, ["flag", "environment", "file", "none"], client),
            "OAUTH_CLIENT_SECRET=secret",
        ),
        with(setting(Key::AuthClientId, ["flag", "environment", "file", "none"], client), "AUTH_CLIENT_SECRET=secret"),
        with(setting(Key::OauthClientSecret, ["flag", "environment", "file", "none"], secret), "AUTH_CLIENT_ID=me"),
        with(setting(Key::AuthClientSecret, ["flag", "environment", "file", "none"], secret), "OAUTH_CLIENT_ID=me"),
        setting(Key::McpScope, ["flag", "environment", "file", "-"], |settings| {
            settings.one_scope.clone().unwrap_or("-".to_owned())
        }),
        setting(Key::OauthStrict, ["false", "true", "no", "true"], |settings| {
            match settings.notices.iter().find(|notice| notice.contains("a token's audience is checked all the same")) {
                Some(notice) if notice.contains("x.env") => "no".to_owned(),
                Some(_) => "false".to_owned(),
                None => "true".to_owned(),
            }
        }),
    ]
}

#[test]
fn every_setting_from_every_source() {
    for Setting { key, flag, environment, file, default, read, with } in settings() {
        // One half of a client without the other is an error of its own.
        let needs_itself =
            matches!(key, Key::OauthClientId | Key::AuthClientId | Key::OauthClientSecret | Key::AuthClientSecret);
        for sources in 0..8 {
            let [has_flag, has_environment, has_file] = [sources & 4 != 0, sources & 2 != 0, sources & 1 != 0];
            if needs_itself && sources == 0 {
                continue;
            }
            let text = if has_file { format!("{with}\n{key}=\"{file}\"\n") } else { format!("{with}\n") };
            let env: &[_] = if has_environment { &[(key.name(), environment)] } else { &[] };
            let flags: &[_] = if has_flag { &[("--it", key, flag)] } else { &[] };
            let settings = load(&text, env, flags).unwrap_or_else(|error| panic!("{key} {sources:03b}: {error}"));
            let (expected, origin) = match (has_flag, has_environment, has_file) {
                (true, _, _) => (flag, "--it".to_owned()),
                (_, true, _) => (environment, format!("environment {key}")),
                (_, _, true) => (file, format!("x.env:2 {key}")),
                _ => (default, "default".to_owned()),
            };
            assert_eq!(read(&settings), expected, "{key} {sources:03b}");
            let table = explained(&settings);
            assert!(table.contains(&origin), "{key} {sources:03b}: {origin} in\n{table}");
        }
    }
}

/// Every way to name an issuer in one source, against every way in a weaker one.
#[test]
fn whatever_the_key_is_called() {
    fn ways(port: u16) -> Vec<Vec<(Key, String)>> {
        let url = format!("http://localhost:{port}");
        let realm = format!("realm-{port}");
        vec![
            vec![(Key::JwtIssuer, format!("{url}/realms/{realm}"))],
            vec![(Key::AuthIssuer, format!("{url}/realms/{realm}"))],
            vec![(Key::KeycloakUrl, url.clone()), (Key::KeycloakRealm, realm.clone())],
            vec![(Key::KeycloakUrl, url.clone()), (Key::AuthRealm, realm.clone())],
            vec![
                (Key::AuthHost, "localhost".to_owned()),
                (Key::AuthPort, port.to_string()),
                (Key::AuthRealm, realm.clone()),
            ],
            vec![
                (Key::KeycloakUrl, url.clone()),
                (Key::KeycloakRealm, realm.clone()),
                (Key::JwtIssuer, format!("{url}/realms/{realm}")),
            ],
        ]
    }
    let issuer = |port: u16| format!("http://localhost:{port}/realms/realm-{port}");
    for strong in ways(1) {
        for middle in ways(2) {
            let environment: Vec<_> = middle.iter().map(|(key, value)| (key.name(), value.as_str())).collect();
            let flags: Vec<_> = strong.iter().map(|(key, value)| ("--it", *key, value.as_str())).collect();
            for weak in ways(3) {
                let file: String = weak.iter().map(|(key, value)| format!("{key}={value}\n")).collect();
                assert_eq!(
                    load(&file, &environment, &flags).unwrap().issuer,
                    issuer(1),
                    "{strong:?} {middle:?} {weak:?}"
                );
                assert_eq!(load(&file, &environment, &[]).unwrap().issuer, issuer(2), "{middle:?} {weak:?}");
                assert_eq!(load(&file, &[], &flags).unwrap().issuer, issuer(1), "{strong:?} {weak:?}");
                assert_eq!(load(&file, &[], &[]).unwrap().issuer, issuer(3), "{weak:?}");
            }
        }
    }
}

#[test]
fn a_part_changes_a_whole_that_is_said_in_parts() {
    let file = "KEYCLOAK_URL=http://localhost:1\nKEYCLOAK_REALM=file\n";
    let settings = load(file, &[("KEYCLOAK_REALM", "environment")], &[]).unwrap();
    assert_eq!(settings.issuer, "http://localhost:1/realms/environment");
    assert!(explained(&settings).contains(
        "JWT_ISSUER http://localhost:1/realms/environment from x.env:1 KEYCLOAK_URL and environment KEYCLOAK_REALM\n"
    ));
    assert!(explained(&settings).contains("KEYCLOAK_REALM file x.env:2 KEYCLOAK_REALM, decides nothing\n"));

    // Also where the issuer stands beside its parts.
    let file = format!("{file}JWT_ISSUER=http://localhost:1/realms/file\n");
    assert_eq!(
        load(&file, &[], &[("--realm", Key::KeycloakRealm, "flag")]).unwrap().issuer,
        "http://localhost:1/realms/flag"
    );
    // The tutorial's provider on another port.
    let file = "AUTH_HOST=localhost\nAUTH_PORT=8080\nAUTH_REALM=master\n";
    let settings = load(file, &[], &[("--keycloak-url", Key::KeycloakUrl, "http://localhost:8123")]).unwrap();
    assert_eq!((settings.issuer.as_str(), settings.tutorial), ("http://localhost:8123/realms/master", true));
}

#[test]
fn the_keys_are_those_of_the_issuer_that_won() {
    let issuers = "KEYCLOAK_URL=https://old.example\nKEYCLOAK_REALM=r\n";
    let file = format!("{issuers}JWKS_URL=https://old.example/realms/r/protocol/openid-connect/certs\n");
    let url = "https://old.example/realms/r/protocol/openid-connect/certs";
    assert_eq!(keys(&load(&file, &[], &[]).unwrap()), url);

    let replaced = load(&file, &[("JWT_ISSUER", "https://new.example")], &[]).unwrap();
    assert_eq!(keys(&replaced), "discovery");
    assert_eq!(
        replaced.notices,
        [
            "JWKS_URL (x.env:3): not used, since the issuer is https://new.example (environment JWT_ISSUER); its keys are \
          found by discovery"
        ]
    );
    assert!(explained(&replaced).contains(&format!("JWKS_URL {url} x.env:3 JWKS_URL, decides nothing\n")));
    // Another realm of the same Keycloak has other keys.
    assert_eq!(keys(&load(&file, &[("KEYCLOAK_REALM", "s")], &[]).unwrap()), "discovery");
    // Not replaced, only said elsewhere.
    let file = format!("JWKS_URL={url}\n");
    assert_eq!(keys(&load(&file, &[("JWT_ISSUER", "https://old.example/realms/r")], &[]).unwrap()), url);
}

#[test]
fn the_stronger_way_to_check_a_token() {
    let key = format!("JWT_PUBLIC_KEY=\"{PEM}\"\n");
    let client = "OAUTH_CLIENT_ID=me\nOAUTH_CLIENT_SECRET=s\n";
    let jwks = "http://localhost:8080/realms/mcp-realm/certs";
    let in_environment = [("AUTH_CLIENT_ID", "you"), ("AUTH_CLIENT_SECRET", "t")];
    assert_eq!(keys(&load(&key, &in_environment, &[]).unwrap()), "you t");
    assert_eq!(keys(&load(client, &[("JWT_PUBLIC_KEY", PEM)], &[]).unwrap()), PEM.replace("\\n", "\n"));
    assert_eq!(keys(&load(client, &[("JWKS_URL", jwks)], &[]).unwrap()), jwks);
    assert_eq!(keys(&load(client, &[("OAUTH_CLIENT_SECRET", "t")], &[]).unwrap()), "me t");
    assert_eq!(
        keys(&load(&format!("JWKS_URL={jwks}"), &[("JWT_PUBLIC_KEY", PEM)], &[]).unwrap()),
        PEM.replace("\\n", "\n")
    );
}

#[test]
fn the_audience_stands_beside_the_resource() {
    let file = "JWT_AUDIENCE=echo-mcp-server\n";
    let settings = load(file, &[], &[("--mcp-server-url", Key::McpServerUrl, "https://mcp.example/mcp")]).unwrap();
    assert_eq!(
        (settings.resource.as_str(), settings.audience.as_str()),
        ("https://mcp.example/mcp", "echo-mcp-server")
    );
    assert!(settings.notices.is_empty(), "{:?}", settings.notices);
}

#[test]
fn what_nobody_has_set_follows_the_port() {
    let zero: common::Flags<'_> = &[("--port", Key::Port, "0")];
    let bound = |file: &str| load(file, &[], zero).unwrap().listening_on(1234);
    let settings = bound("");
    assert_eq!((settings.port, settings.resource.as_str()), (1234, "http://localhost:1234/mcp"));
    assert_eq!(settings.audience, "http://localhost:1234/mcp");
    assert!(explained(&settings).contains("PORT 1234 --port\n"));
    assert!(explained(&settings).contains("MCP_SERVER_URL http://localhost:1234/mcp default, of PORT and MCP_PATH\n"));
    assert_eq!(bound("AUTH_REALM=master").audience, "http://localhost:1234");

    let settings = bound("MCP_SERVER_URL=https://mcp.example/mcp");
    assert_eq!(
        (settings.resource.as_str(), settings.audience.as_str()),
        ("https://mcp.example/mcp", "https://mcp.example/mcp")
    );

    let settings = bound("JWT_AUDIENCE=http://localhost:9000/mcp");
    assert_eq!(
        (settings.resource.as_str(), settings.audience.as_str()),
        ("http://localhost:1234/mcp", "http://localhost:9000/mcp")
    );
    assert_eq!(
        settings.notices,
        ["JWT_AUDIENCE (x.env:1): tokens must be for http://localhost:9000/mcp, while clients ask for \
          http://localhost:1234/mcp; right only if the identity provider calls this server so"]
    );
}

/// The path of the endpoint is that of the URL that clients use.
#[test]
fn the_path_follows_the_url() {
    for (url, path) in [
        ("https://mcp.example", "/"),
        ("https://mcp.example/", "/"),
        ("https://mcp.example/team/mcp", "/team/mcp"),
        ("https://mcp.example/mcp/", "/mcp"),
    ] {
        let settings = load(&format!("MCP_SERVER_URL={url}"), &[], &[]).unwrap();
        assert_eq!((settings.path.as_str(), settings.resource.as_str()), (path, url));
        assert!(settings.notices.is_empty(), "{:?}", settings.notices);
    }
    let settings = load("MCP_PATH=/mcp\nMCP_SERVER_URL=https://mcp.example/team", &[], &[]).unwrap();
    assert_eq!(
        settings.notices,
        ["MCP_PATH (x.env:1): the endpoint is at /mcp, while clients are told https://mcp.example/team; right only \
          behind a proxy that changes the path"]
    );
}

/// Whatever is set in whatever sources: each key is in the table, in a notice, or in the error.
#[test]
fn no_key_is_lost() {
    let values = |key: Key, source: &str| match key {
        Key::Host | Key::AuthHost => "localhost".to_owned(),
        Key::Port | Key::AuthPort => source.len().to_string(),
        Key::McpPath => format!("/{source}"),
        Key::McpServerUrl | Key::JwtIssuer | Key::AuthIssuer => format!("https://{source}.example/realms/{source}"),
        Key::KeycloakUrl => format!("http://localhost:{}", source.len()),
        Key::JwksUrl => format!("http://localhost:{}/realms/{source}/certs", source.len()),
        Key::JwtPublicKey => PEM.to_owned(),
        Key::OauthStrict => "false".to_owned(),
        Key::Transport => "http".to_owned(),
        _ => source.to_owned(),
    };
    // A linear congruential generator: the same cases each time.
    let mut state = 1_u64;
    let mut chance = |of: u64| {
        state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (state >> 33).is_multiple_of(of)
    };
    let (mut loaded, mut refused) = (0, 0);
    for _ in 0..1000 {
        let mut file = String::new();
        let mut environment = Vec::new();
        let mut given = Vec::new();
        for (key, name) in Key::ALL.into_iter().filter(|(key, _)| *key != Key::JwtSecret) {
            if chance(5) {
                file += &format!("{name}=\"{}\"\n", values(key, "file"));
                given.push((format!("x.env:{}", given.len() + 1), name));
            }
        }
        for (key, name) in Key::ALL.into_iter().filter(|(key, _)| *key != Key::JwtSecret) {
            if chance(8) {
                environment.push((name, values(key, "environment")));
                given.push(("environment".to_owned(), name));
            }
        }
        let environment: Vec<_> = environment.iter().map(|(name, value)| (*name, value.as_str())).collect();
        match load(&file, &environment, &[]) {
            Ok(settings) => {
                loaded += 1;
                let table = explained(&settings);
                for (place, name) in given {
                    assert!(
                        table.contains(&format!("{place} {name}")),
                        "{place} {name} in\n{table}\n{file}{environment:?}"
                    );
                }
            }
            Err(error) => {
                refused += 1;
                assert!(given.iter().any(|(_, name)| error.contains(name)), "{error}");
            }
        }
    }
    assert!(loaded > 100 && refused > 100, "{loaded} {refused}");
}
