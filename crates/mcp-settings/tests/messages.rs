//! What a person is told: every bad value, every contradiction, the whole text of it.

#![allow(clippy::unwrap_used, reason = "a test may panic")]

mod common;

use common::{PEM, load};
use mcp_settings::{Key, Sources};

/// Why a file with this text is refused; it is called `x.env`.
fn refused(file: &str) -> String {
    load(file, &[], &[]).err().unwrap_or_else(|| panic!("{file:?} is accepted"))
}

#[track_caller]
fn check(file: &str, message: &str) {
    assert_eq!(refused(file), message, "{file:?}");
}

#[test]
fn urls() {
    for (key, value, reason) in [
        (
            "MCP_SERVER_URL",
            "localhost:9000/mcp",
            "\"localhost:9000/mcp\" is not an absolute URL such as https://id.example.com",
        ),
        ("MCP_SERVER_URL", "ftp://localhost/mcp", "\"ftp://localhost/mcp\" is neither http nor https"),
        (
            "MCP_SERVER_URL",
            "http://mcp.example.com/mcp",
            "\"http://mcp.example.com/mcp\" is http and not on this machine, so tokens and keys would travel open; use https",
        ),
        (
            "MCP_SERVER_URL",
            "https://me:pw@mcp.example/",
            "it has a user or password in it (before the @), which no URL here has",
        ),
        (
            "MCP_SERVER_URL",
            "https://@mcp.example/",
            "it has a user or password in it (before the @), which no URL here has",
        ),
        (
            "MCP_SERVER_URL",
            "https://mcp.example/#",
            "\"https://mcp.example/#\" has a fragment (from the # on), which no URL here has",
        ),
        (
            "MCP_SERVER_URL",
            "https://mcp.example/health",
            "of its path: \"/health\" is served with something else; take another, such as /mcp; or set MCP_PATH too",
        ),
        ("JWT_ISSUER", "https://", "\"https://\" is not a URL: empty host"),
        ("JWT_ISSUER", "https:///id", "\"https:///id\" has no host"),
        ("JWT_ISSUER", "https://id.example/?a", "\"https://id.example/?a\" has a query (from the ? on); leave it out"),
        (
            "AUTH_ISSUER",
            "'https://id.example\\@evil.example'",
            "\"https://id.example\\\\@evil.example\" has a space, a backslash or a control character in it",
        ),
        (
            "AUTH_ISSUER",
            "\"https://id.example/ a\"",
            "\"https://id.example/ a\" has a space, a backslash or a control character in it",
        ),
        (
            "KEYCLOAK_URL",
            "http://keycloak:8080",
            "\"http://keycloak:8080\" is http and not on this machine, so tokens and keys would travel open; use https",
        ),
        (
            "KEYCLOAK_URL",
            "http://localhost.evil.example",
            "\"http://localhost.evil.example\" is http and not on this machine, so tokens and keys would travel open; use https",
        ),
        (
            "KEYCLOAK_URL",
            "http://localhost:8080/realms/mcp-realm",
            "\"http://localhost:8080/realms/mcp-realm\" names a realm; set \"http://localhost:8080\" here, and \"mcp-realm\" in KEYCLOAK_REALM",
        ),
        (
            "KEYCLOAK_URL",
            "http://localhost:8080/realms/",
            "\"http://localhost:8080/realms/\" names a realm; set \"http://localhost:8080\" here, and the realm in KEYCLOAK_REALM",
        ),
        ("JWKS_URL", "/certs", "\"/certs\" is not an absolute URL such as https://id.example.com"),
        ("JWKS_URL", "me:pw@id.example", "it is not an absolute URL such as https://id.example.com"),
    ] {
        check(&format!("# a file\n{key}={value}\n"), &format!("{key} (x.env:2): {reason}"));
    }
}

#[test]
fn other_values() {
    let long = "x".repeat(200);
    for (key, value, reason) in [
        ("HOST", "http://localhost", "it is a URL; set the name or address alone, such as localhost"),
        (
            "HOST",
            "localhost:3000",
            "\"localhost:3000\" has a port; set the name or address alone, and the port in PORT",
        ),
        ("HOST", "'*'", "\"*\" is no host name or address"),
        ("PORT", "abc", "\"abc\" is no port, which is a number from 0 to 65535"),
        ("PORT", "65536", "\"65536\" is no port, which is a number from 0 to 65535"),
        ("PORT", "+1", "\"+1\" is no port, which is a number from 0 to 65535"),
        ("PORT", "-1", "\"-1\" is no port, which is a number from 0 to 65535"),
        ("PORT", &long, &format!("{:?}… is no port, which is a number from 0 to 65535", &long[..80])),
        ("AUTH_PORT", "0", "0 is no port that a server can be reached at"),
        (
            "AUTH_HOST",
            "localhost:8080",
            "\"localhost:8080\" has a port; set the name or address alone, and the port in AUTH_PORT",
        ),
        (
            "AUTH_HOST",
            "id.example.com",
            "\"id.example.com\" is not this machine, and AUTH_HOST makes an http URL, so tokens and keys would travel \
             open; set KEYCLOAK_URL to an https URL instead",
        ),
        ("AUTH_REALM", "realms/master", "\"realms/master\" is no realm's name, such as mcp-realm"),
        ("KEYCLOAK_REALM", "'a\u{85}b'", "\"a\\u{85}b\" is no realm's name, such as mcp-realm"),
        (
            "JWT_ISSUER",
            "'https://id.example/a\u{200a}b'",
            "\"https://id.example/a\\u{200a}b\" has a space, a backslash or a control character in it",
        ),
        ("KEYCLOAK_REALM", "\"my realm\"", "\"my realm\" is no realm's name, such as mcp-realm"),
        ("MCP_PATH", "mcp", "\"mcp\" is no path, which begins with /"),
        ("MCP_PATH", "/mcp/", "\"/mcp/\" ends with /; leave it out"),
        ("MCP_PATH", "/{x}", "\"/{x}\" is no plain path such as /mcp"),
        ("MCP_PATH", "/mcp?x", "\"/mcp?x\" is no plain path such as /mcp"),
        (
            "MCP_PATH",
            "/.well-known/mcp",
            "\"/.well-known/mcp\" is served with something else; take another, such as /mcp",
        ),
        ("JWT_AUDIENCE", "*", "* is not an audience: a token for any server would open this one"),
        ("JWT_AUDIENCE", "a,b", "\"a,b\" is not one audience; a token has to name this one server"),
        ("AUTH_AUDIENCE", "'a b'", "\"a b\" is not one audience; a token has to name this one server"),
        (
            "MCP_SCOPE",
            "\"mcp:tools mcp:read\"",
            "\"mcp:tools mcp:read\" is not one scope, which is what everything will need; name one",
        ),
        ("MCP_SCOPE", "'\"'", "\"\\\"\" is no scope, such as mcp:tools"),
        ("OAUTH_STRICT", "maybe", "\"maybe\" is neither true nor false"),
        (
            "TRANSPORT",
            "sse",
            "the transport HTTP+SSE is not spoken here: MCP has replaced it by Streamable HTTP in 2025-03-26. Leave \
             TRANSPORT out, or set streamable-http",
        ),
        ("TRANSPORT", "stdio", "over stdio there is no HTTP request, and so no token; set streamable-http"),
        ("TRANSPORT", "grpc", "\"grpc\" is no transport of this server; set streamable-http"),
        ("OAUTH_CLIENT_ID", "'\u{e9}'", "\"\u{e9}\" has characters that are not printable ASCII"),
        ("AUTH_CLIENT_SECRET", "hunter2\u{e9}", "it has characters that are not printable ASCII"),
        (
            "OAUTH_CLIENT_ID",
            "me",
            "a client needs its secret, to ask about tokens: set OAUTH_CLIENT_SECRET; or leave the client out, and tokens \
             are checked by their signature alone, also revoked ones",
        ),
        (
            "OAUTH_CLIENT_SECRET",
            "hunter2",
            "a secret needs the client that it is of: set OAUTH_CLIENT_ID, or leave the secret out",
        ),
        (
            "JWT_SECRET",
            "hunter2",
            "tokens are not checked with a shared secret (HMAC): who can check such a token can also make one. Set \
             JWKS_URL or JWT_PUBLIC_KEY, or neither, and the issuer's keys are found",
        ),
        (
            "JWKS_URL",
            "https://id.example/certs",
            "\"https://id.example/certs\" does not belong to the issuer http://localhost:8080/realms/mcp-realm \
             (default): whoever has those keys could make its tokens. Set an issuer and JWKS_URL that belong together, \
             or leave JWKS_URL out, and the issuer's keys are found",
        ),
    ] {
        check(&format!("{key}={value}\n"), &format!("{key} (x.env:1): {reason}"));
    }
}

/// A set of keys that was not written for another issuer, and is not this one's, is no oversight to pass over.
#[test]
fn keys_of_another_issuer() {
    let whoever = "whoever has those keys could make its tokens. Set an issuer and JWKS_URL that belong together, or \
                   leave JWKS_URL out, and the issuer's keys are found";
    check(
        "JWT_ISSUER=https://id.example\nJWKS_URL=https://keys.example/jwks",
        &format!(
            "JWKS_URL (x.env:2): \"https://keys.example/jwks\" does not belong to the issuer https://id.example (x.env:1 \
             JWT_ISSUER): {whoever}"
        ),
    );
    check(
        "KEYCLOAK_REALM=a\nJWKS_URL=http://localhost:8080/realms/b/certs",
        &format!(
            "JWKS_URL (x.env:2): \"http://localhost:8080/realms/b/certs\" does not belong to the issuer \
             http://localhost:8080/realms/a (from x.env:1 KEYCLOAK_REALM and default): {whoever}"
        ),
    );
    let file = "JWT_ISSUER=https://id.example";
    assert!(load(file, &[("JWKS_URL", "https://keys.example/jwks")], &[]).is_err());
    // Said in one source, and the issuer in a stronger one: written for no other.
    assert!(load("JWKS_URL=https://keys.example/jwks", &[("JWT_ISSUER", "https://id.example")], &[]).is_err());
    assert!(load(&format!("{file}\nJWKS_URL=https://id.example/jwks?p=1"), &[], &[]).is_ok());
}

#[test]
fn public_keys() {
    let directory = tempfile::tempdir().unwrap();
    let path = |name: &str| directory.path().join(name).display().to_string();
    let pem = PEM.replace("\\n", "\n");
    std::fs::write(path("good.pem"), &pem).unwrap();
    std::fs::write(path("private.pem"), pem.replace("PUBLIC", "RSA PRIVATE")).unwrap();
    std::fs::write(path("empty.pem"), "").unwrap();
    std::fs::write(path("long.pem"), "x".repeat(20_000)).unwrap();
    std::fs::write(path("binary.pem"), b"\xff").unwrap();
    assert!(load(&format!("JWT_PUBLIC_KEY={}", path("good.pem")), &[], &[]).is_ok());

    let no_path = "it has no -----BEGIN PUBLIC KEY-----, and as the path of a file,";
    let private = "it is a private key, which this server has no use for; set the public one, and replace a private \
                   key that has been copied around";
    for (value, reason) in [
        (format!("\"{}\"", PEM.replace("PUBLIC", "PRIVATE")), private.to_owned()),
        (path("private.pem"), format!("in the file it names, {private}")),
        (format!("\"{}\"", PEM.replace("PUBLIC KEY", "CERTIFICATE")), "it is a PEM of \"CERTIFICATE\", not of a PUBLIC KEY".to_owned()),
        (format!("\"{PEM}{PEM}\""), "it holds more than one PEM; set one key".to_owned()),
        (
            "\"-----BEGIN PUBLIC KEY-----\"".to_owned(),
            "it begins as a PEM and has no -----END PUBLIC KEY-----; on one line, write \\n for each line break, or name \
             a file instead"
                .to_owned(),
        ),
        (path("none.pem"), format!("{no_path} No such file or directory (os error 2)")),
        ("MIIEvQIBADAN".to_owned(), format!("{no_path} No such file or directory (os error 2)")),
        (path(""), format!("{no_path} is a directory")),
        (path("long.pem"), format!("{no_path} is too long for a key")),
        (path("binary.pem"), format!("{no_path} is not text")),
        (path("empty.pem"), "the file it names has no -----BEGIN PUBLIC KEY-----".to_owned()),
    ] {
        check(&format!("JWT_PUBLIC_KEY={value}\n"), &format!("JWT_PUBLIC_KEY (x.env:1): {reason}"));
    }
}

/// However a PEM is written on one line or many, it is the same.
#[test]
fn public_key_spellings() {
    let pem = PEM.replace("\\n", "\n");
    for file in [
        format!("JWT_PUBLIC_KEY=\"{PEM}\""),
        format!("JWT_PUBLIC_KEY='{PEM}'"),
        format!("JWT_PUBLIC_KEY=\"{pem}\""),
        format!("JWT_PUBLIC_KEY='{}'", pem.replace('\n', "\r\n")),
    ] {
        let settings = load(&file, &[], &[]).unwrap();
        let key = mcp_settings::KeySource::Pem(pem.clone());
        assert_eq!(settings.verification, mcp_settings::Verification::Keys(key), "{file}");
    }
    assert!(load("", &[("JWT_PUBLIC_KEY", PEM)], &[]).is_ok());
}

#[test]
fn contradictions() {
    for (file, message) in [
        (
            "JWT_ISSUER=https://a.example\n\nAUTH_ISSUER=https://b.example",
            "JWT_ISSUER (x.env:1) is \"https://a.example\" and AUTH_ISSUER (x.env:3) is \"https://b.example\", but both \
             set the issuer; keep one",
        ),
        (
            "JWT_ISSUER=http://localhost:8080/realms/r/\nKEYCLOAK_URL=http://localhost:8080\nKEYCLOAK_REALM=r",
            "JWT_ISSUER (x.env:1) is \"http://localhost:8080/realms/r/\" and KEYCLOAK_REALM (x.env:3) is \"r\", but both \
             set the issuer, which is {url}/realms/{realm}; keep one",
        ),
        (
            "KEYCLOAK_URL=http://127.0.0.1:8080\nAUTH_ISSUER=http://localhost:8080/realms/r",
            "AUTH_ISSUER (x.env:2) is \"http://localhost:8080/realms/r\" and KEYCLOAK_URL (x.env:1) is \
             \"http://127.0.0.1:8080\", but both set the issuer, which is {url}/realms/{realm}; keep one",
        ),
        (
            "JWT_ISSUER=http://localhost:8080/realms/r\nAUTH_PORT=8081",
            "JWT_ISSUER (x.env:1) is \"http://localhost:8080/realms/r\" and AUTH_PORT (x.env:2) is \"8081\", but both \
             set the issuer, which is {url}/realms/{realm}; keep one",
        ),
        (
            "JWT_ISSUER=https://id.example\nAUTH_REALM=r",
            "JWT_ISSUER (x.env:1) is \"https://id.example\" and AUTH_REALM (x.env:2) is \"r\", but both set the issuer, \
             which is {url}/realms/{realm}; keep one",
        ),
        (
            "KEYCLOAK_URL=http://localhost:8080\nAUTH_PORT=8081",
            "KEYCLOAK_URL (x.env:1) is \"http://localhost:8080\" and AUTH_PORT (x.env:2) is \"8081\", but both set where \
             Keycloak is; keep one",
        ),
        (
            "KEYCLOAK_URL=https://localhost\nAUTH_HOST=localhost",
            "KEYCLOAK_URL (x.env:1) is \"https://localhost\" and AUTH_HOST (x.env:2) is \"localhost\", but both set \
             where Keycloak is; keep one",
        ),
        (
            "KEYCLOAK_REALM=a\nAUTH_REALM=b",
            "KEYCLOAK_REALM (x.env:1) is \"a\" and AUTH_REALM (x.env:2) is \"b\", but both set the realm; keep one",
        ),
        (
            "AUTH_AUDIENCE=a\nJWT_AUDIENCE=b",
            "AUTH_AUDIENCE (x.env:1) is \"a\" and JWT_AUDIENCE (x.env:2) is \"b\", but both set the audience; keep one",
        ),
        (
            "OAUTH_CLIENT_ID=a\nAUTH_CLIENT_ID=b",
            "OAUTH_CLIENT_ID (x.env:1) is \"a\" and AUTH_CLIENT_ID (x.env:2) is \"b\", but both set the client; keep one",
        ),
        (
            "OAUTH_CLIENT_SECRET=hunter2\nAUTH_CLIENT_SECRET=hunter3",
            "OAUTH_CLIENT_SECRET (x.env:1) and AUTH_CLIENT_SECRET (x.env:2) both set the client's secret, and differ; \
             keep one",
        ),
        (
            "JWT_PUBLIC_KEY=key.pem\nJWKS_URL=http://localhost:8080/certs",
            "JWT_PUBLIC_KEY (x.env:1) and JWKS_URL (x.env:2) are two ways to check a token; keep one",
        ),
        (
            "OAUTH_CLIENT_ID=me\nOAUTH_CLIENT_SECRET=hunter2\nJWT_PUBLIC_KEY=key.pem",
            "OAUTH_CLIENT_ID (x.env:1) and JWT_PUBLIC_KEY (x.env:3) are two ways to check a token; keep one",
        ),
        (
            "JWKS_URL=http://localhost:8080/certs\nAUTH_CLIENT_ID=me\nAUTH_CLIENT_SECRET=hunter2",
            "AUTH_CLIENT_ID (x.env:2) and JWKS_URL (x.env:1) are two ways to check a token; keep one",
        ),
    ] {
        check(file, message);
    }
    // Also where a flag has the say: the file is as wrong as before.
    let flags: common::Flags<'_> = &[("--issuer", Key::JwtIssuer, "https://c.example")];
    assert!(load("JWT_ISSUER=https://a.example\nAUTH_ISSUER=https://b.example", &[], flags).is_err());
}

#[test]
fn keys_that_agree() {
    let file = "KEYCLOAK_URL=http://localhost:8080/\nKEYCLOAK_REALM=r\nAUTH_HOST=LOCALHOST\nAUTH_PORT=8080\nAUTH_REALM=r\n\
                JWT_ISSUER=http://localhost:8080/realms/r\nAUTH_ISSUER=http://localhost:8080/realms/r\n\
                JWT_AUDIENCE=a\nAUTH_AUDIENCE=a\n";
    assert_eq!(load(file, &[], &[]).unwrap().issuer, "http://localhost:8080/realms/r");
}

#[test]
fn in_the_environment_and_by_flag() {
    let environment = |pairs| load("", pairs, &[]).unwrap_err();
    assert_eq!(
        environment(&[("PORT", "x")]),
        "PORT (in the environment): \"x\" is no port, which is a number from 0 to 65535"
    );
    assert_eq!(
        environment(&[("JWT_AUDIENCE", "a"), ("AUTH_AUDIENCE", "b")]),
        "JWT_AUDIENCE (in the environment) is \"a\" and AUTH_AUDIENCE (in the environment) is \"b\", but both set the \
         audience; keep one"
    );
    let flag =
        |flag, key, value| load("JWT_ISSUER=https://id.example/realms/r", &[], &[(flag, key, value)]).unwrap_err();
    assert_eq!(flag("--port", Key::Port, "x"), "--port: \"x\" is no port, which is a number from 0 to 65535");
    assert_eq!(flag("--audience", Key::JwtAudience, ""), "--audience: it is empty; give it a value, or leave it out");
    assert_eq!(flag("--audience", Key::JwtAudience, " "), "--audience: it is empty; give it a value, or leave it out");
    // To the default provider, away from the one that the file names?
    assert_eq!(
        flag("--realm", Key::KeycloakRealm, "s"),
        "--realm is a part of what JWT_ISSUER (x.env:1) sets as a whole, and the other part is missing; set \
         KEYCLOAK_URL with it, or JWT_ISSUER in its place"
    );
}

#[cfg(unix)]
#[test]
fn not_unicode() {
    use std::{ffi::OsString, os::unix::ffi::OsStringExt};
    let not_unicode = || OsString::from_vec(vec![0xff]);
    let sources = |key: OsString| Sources::new("no/such.env").environment([(key, not_unicode())]).load();
    assert_eq!(sources("HOST".into()).unwrap_err().to_string(), "HOST (in the environment): it is not Unicode");
    assert!(sources("NOT_OURS".into()).is_ok());
    assert!(sources(not_unicode()).is_ok());
}

/// An empty value is no value: above all, an empty audience is not "any".
#[test]
fn empty_values() {
    for empty in ["", "\"\"", "''", "  ", "\"  \"", " # a comment"] {
        let settings = load(&format!("JWT_AUDIENCE={empty}\n"), &[], &[]).unwrap();
        assert_eq!(settings.audience, "http://localhost:9000/mcp", "{empty:?}");
    }
    // Docker Compose hands on what is not set.
    assert_eq!(load("JWT_AUDIENCE=file\n", &[("JWT_AUDIENCE", "")], &[]).unwrap().audience, "file");
    for (key, name) in Key::ALL {
        let settings = load(&format!("{name}=\n"), &[(name, "")], &[]).unwrap_or_else(|error| panic!("{key}: {error}"));
        assert_eq!(settings.explain(), load("", &[], &[]).unwrap().explain(), "{key}");
    }
}

#[test]
fn notices() {
    for (file, notice) in [
        ("KEYCLOAK_RELM=r\n", "x.env:1: KEYCLOAK_RELM is not a setting, and is ignored; is it KEYCLOAK_REALM?"),
        ("keycloak_url=r\n", "x.env:1: keycloak_url is not a setting, and is ignored; is it KEYCLOAK_URL?"),
        ("JWT_ISUER=r\n", "x.env:1: JWT_ISUER is not a setting, and is ignored; is it JWT_ISSUER?"),
        ("PROT=1\n", "x.env:1: PROT is not a setting, and is ignored; is it PORT?"),
        ("RUST_LOG=debug\n", "x.env:1: RUST_LOG is not a setting, and is ignored"),
        (
            "KEYCLOAK_REALM=r\nOAUTH_STRICT=false\n",
            "OAUTH_STRICT (x.env:2): a token's audience is checked all the same: else a token for any server would open \
             this one",
        ),
        (
            "TRANSPORT=http\n",
            "TRANSPORT (x.env:1): with it the defaults are those of MCP's tutorial: tokens of \
             http://localhost:8080/realms/master, the endpoint at http://localhost:3000; set KEYCLOAK_URL or JWT_ISSUER \
             for others",
        ),
        (
            "OAUTH_CLIENT_ID=me\nJWKS_URL=http://localhost:8080/realms/mcp-realm/certs\n",
            "OAUTH_CLIENT_ID (x.env:1): without OAUTH_CLIENT_SECRET it is not used: tokens are checked by their \
             signature, not by introspection",
        ),
        ("OAUTH_CLIENT_SECRET=<IT>\n", "OAUTH_CLIENT_SECRET (x.env:1): a placeholder, which is taken for not set"),
        (
            "JWT_AUDIENCE=http://localhost:9000\n",
            "JWT_AUDIENCE (x.env:1): tokens must be for http://localhost:9000, while clients ask for \
             http://localhost:9000/mcp; right only if the identity provider calls this server so",
        ),
        (
            "AUTH_AUDIENCE=account\n",
            "AUTH_AUDIENCE (x.env:1): Keycloak writes the audience account into nearly every token of a realm, so tokens \
             for other servers open this one; give this server an audience of its own",
        ),
        (
            "HOST=0.0.0.0\n",
            "x.env:1 HOST: others can reach the server there, and are told that its URL is http://localhost:9000/mcp; \
             set MCP_SERVER_URL to the https URL that they use",
        ),
    ] {
        let mut notices = load(file, &[], &[]).unwrap().notices;
        // The table names the file in full.
        if let Some(at) = notices.iter().position(|notice| notice.contains("x.env:1 HOST")) {
            notices[at] = notices[at][notices[at].find("x.env").unwrap()..].to_owned();
        }
        assert_eq!(notices, [notice], "{file:?}");
    }
    for file in [
        "JWT_AUDIENCE=http://127.0.0.1:9000/mcp/\n",
        "JWT_AUDIENCE=http://localhost:9000/mcp\n",
        "JWT_AUDIENCE=echo-mcp-server\n",
        "BASE=http://localhost:8080\nKEYCLOAK_URL=${BASE}\n",
        "HOST=[::1]\n",
        "HOST=0.0.0.0\nMCP_SERVER_URL=https://mcp.example/mcp\n",
    ] {
        assert_eq!(load(file, &[], &[]).unwrap().notices, [""; 0], "{file:?}");
    }
    // Others' keys in the environment are not looked at.
    assert_eq!(load("", &[("KEYCLOAK_RELM", "r"), ("PATH", "/bin")], &[]).unwrap().notices, [""; 0]);
}

/// No error, notice, table or debug output has the secret, wherever it is wrong.
#[test]
fn secrets_are_masked() {
    let check =
        |text: &str, file: &str| assert!(!text.contains("hunter2") && !text.contains("er2"), "{file:?}: {text}");
    for file in [
        "OAUTH_CLIENT_SECRET=hunter2",
        "OAUTH_CLIENT_SECRET=hunter2\nOAUTH_CLIENT_SECRET=hunter2",
        "OAUTH_CLIENT_SECRET=hunter2 x",
        "OAUTH_CLIENT_SECRET=\"hunter2",
        "OAUTH_CLIENT_SECRET='hunter2\n",
        "OAUTH_CLIENT_SECRET=hunter2$er2",
        "OAUTH_CLIENT_SECRET=hunter2\\x",
        "OAUTH_CLIENT_SECRET hunter2",
        "OAUTH_CLIENT_ID=me\nOAUTH_CLIENT_SECRET=hunter2\u{e9}",
        "OAUTH_CLIENT_ID=me\nAUTH_CLIENT_SECRET=hunter2\nOAUTH_CLIENT_SECRET=hunter22",
        "JWT_SECRET=hunter2",
        "JWT_PUBLIC_KEY=hunter2",
        "KEYCLOAK_URL=https://admin:hunter2@id.example",
        "KEYCLOAK_URL=admin:hunter2@id.example",
        "KEYCLOAK_URL=https:admin:hunter2@id.example",
        "OAUTH_CLIENT_ID=me\nOAUTH_CLIENT_SECRET=hunter2\nJWKS_URL=http://localhost:8080/",
    ] {
        check(&refused(file), file);
    }
    for file in ["OAUTH_CLIENT_ID=me\nOAUTH_CLIENT_SECRET=hunter2", "OAUTH_CLIENT_SECRET=hunter2\nAUTH_PORT=8080"] {
        for environment in [&[][..], &[("OAUTH_CLIENT_SECRET", "hunter2er2")], &[("JWT_PUBLIC_KEY", PEM)]] {
            let settings = load(file, environment, &[]).unwrap();
            check(&format!("{settings} {settings:?} {:#?}", settings.verification), file);
            assert!(settings.explain().contains("********"));
        }
    }
}
