//! The env file itself: those of this repository, and those that cannot be read.

mod common;

use std::path::Path;

use common::{explained, load};
use mcp_settings::{KeySource, Sources, Verification};

const ENVS: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/../../envs");

#[test]
fn ours_load_without_a_notice() {
    let mut seen = Vec::new();
    for entry in std::fs::read_dir(ENVS).unwrap() {
        let path = entry.unwrap().path();
        let settings = Sources::new("no/such.env").file(Some(&path)).load().unwrap();
        assert_eq!(settings.notices, [""; 0], "{}", path.display());
        seen.push(path.file_name().unwrap().to_str().unwrap().to_owned());
    }
    seen.sort();
    assert_eq!(seen, ["embedded.env", "keycloak_direct.env", "keycloak_proxy.env", "tutorial.env"]);
}

#[test]
fn ours_say_what_they_promise() {
    let of = |name: &str| Sources::new(Path::new(ENVS).join(name)).load().unwrap();
    for (name, issuer) in [
        ("keycloak_direct.env", "http://localhost:8080/realms/mcp-realm"),
        ("keycloak_proxy.env", "http://localhost:9090/realms/mcp-realm"),
        ("embedded.env", "http://localhost:8080/realms/mcp-realm"),
    ] {
        let settings = of(name);
        assert_eq!((settings.host.as_str(), settings.port, settings.path.as_str()), ("localhost", 9000, "/mcp"));
        assert_eq!(settings.issuer, issuer);
        assert_eq!(
            (settings.resource.as_str(), settings.audience.as_str()),
            ("http://localhost:9000/mcp", "http://localhost:9000/mcp")
        );
        assert_eq!(settings.verification, Verification::Keys(KeySource::Issuer));
        assert_eq!((settings.one_scope, settings.tutorial), (None, false));
    }
    // What is commented out works as it stands.
    let file = std::fs::read_to_string(Path::new(ENVS).join("keycloak_direct.env")).unwrap();
    let file = file.replace("# MCP_SERVER_URL", "MCP_SERVER_URL").replace("# OAUTH", "OAUTH");
    let settings = load(&file, &[], &[]).unwrap();
    assert_eq!(settings.resource, "https://mcp.example.com/mcp");
    assert!(
        matches!(settings.verification, Verification::Introspection { client_id, .. } if client_id == "echo-mcp-server")
    );
}

/// Without a file it is as with the default one.
#[test]
fn no_default_file() {
    let none = Sources::new("envs/none.env").load().unwrap();
    assert_eq!(none.notices, ["envs/none.env: there is no such file, so the defaults apply; --env names another"]);
    let ours = Sources::new(Path::new(ENVS).join("keycloak_direct.env")).load().unwrap();
    assert_eq!(
        (&none.host, none.port, &none.path, &none.resource, &none.audience, &none.issuer, &none.verification),
        (&ours.host, ours.port, &ours.path, &ours.resource, &ours.audience, &ours.issuer, &ours.verification)
    );
    assert_eq!(
        none.explain(),
        "\
HOST            localhost                               default
PORT            9000                                    default
MCP_PATH        /mcp                                    default
MCP_SERVER_URL  http://localhost:9000/mcp               default, of PORT and MCP_PATH
JWT_AUDIENCE    http://localhost:9000/mcp               default, that of MCP_SERVER_URL
JWT_ISSUER      http://localhost:8080/realms/mcp-realm  default
MCP_SCOPE       -                                       default
JWKS_URL        found by discovery of the issuer        default
"
    );
}

#[test]
fn files_that_are_none() {
    let directory = tempfile::tempdir().unwrap();
    let said = |name: &str, named: bool| {
        let path = directory.path().join(name);
        let sources = if named { Sources::new("x").file(Some(path)) } else { Sources::new(path) };
        let said = sources.load().unwrap_err().to_string();
        said.replace(&format!("{}/", directory.path().display()), "")
    };
    std::fs::create_dir(directory.path().join("directory")).unwrap();
    std::fs::write(directory.path().join("latin1.env"), b"HOST=localhost\n# caf\xe9\n").unwrap();
    std::fs::write(directory.path().join("long.env"), "#".repeat(70_000)).unwrap();
    assert_eq!(said("none.env", true), "none.env: there is no such file");
    for named in [true, false] {
        assert_eq!(said("directory", named), "directory: it is a directory; name the env file in it");
        assert_eq!(said("latin1.env", named), "latin1.env: it is not UTF-8 (line 2); save it as UTF-8");
        assert_eq!(said("long.env", named), "long.env: it is longer than 64 KiB, which no env file is");
    }
    std::fs::write(directory.path().join("longest.env"), "#".repeat(65_536)).unwrap();
    assert!(Sources::new("x").file(Some(directory.path().join("longest.env"))).load().is_ok());
}

#[test]
fn lines_that_are_none() {
    let shape = "it is not KEY=value; a comment begins with #";
    let variable = "a $ begins a variable, $NAME or ${NAME}; in single quotes, or as \\$, it is itself";
    let unset = "the variable after $ is neither in the environment nor set in a line above; in single quotes, or as \
                 \\$, a $ is itself";
    let escape = "\\ stands before one of \\ ' \" $ n or a space; in single quotes it is itself";
    let spaces = "a value with spaces in it stands in quotes: KEY=\"a value\"";
    for (file, line, reason) in [
        ("HOST localhost", 1, shape.to_owned()),
        ("\n\nHOST", 3, shape.to_owned()),
        ("=x", 1, shape.to_owned()),
        ("1HOST=x", 1, shape.to_owned()),
        (".HOST=x", 1, shape.to_owned()),
        ("export HOST", 1, shape.to_owned()),
        ("export\nHOST=x", 1, shape.to_owned()),
        ("HOST: localhost", 1, shape.to_owned()),
        ("HOST=a b", 1, format!("HOST: {spaces}")),
        ("HOST=\"a\" b", 1, format!("HOST: {spaces}")),
        ("HOST='' b", 1, format!("HOST: {spaces}")),
        ("\nHOST=\"a\n\n", 2, "HOST: the quote \" is not closed".to_owned()),
        ("HOST='a\n\nPORT=1\n", 1, "HOST: the quote ' is not closed".to_owned()),
        ("HOST=a\\b", 1, format!("HOST: {escape}")),
        ("HOST=a\\", 1, format!("HOST: {escape}")),
        ("HOST=\"a\n\\b\"", 2, format!("HOST: {escape}")),
        ("HOST=$", 1, format!("HOST: {variable}")),
        ("HOST=a$-b", 1, format!("HOST: {variable}")),
        ("HOST=${", 1, format!("HOST: {variable}")),
        ("HOST=${A", 1, format!("HOST: {variable}")),
        ("A=1\nHOST=${A-B}", 2, format!("HOST: {variable}")),
        ("HOST=$UNSET", 1, format!("HOST: {unset}")),
        // In the process's environment, which is not looked at.
        ("HOST=${PATH}", 1, format!("HOST: {unset}")),
        ("HOST=a\rPORT=1", 1, "HOST: a carriage return stands in the value".to_owned()),
        ("HOST=a\n# again\nHOST=a\n", 3, "HOST stands in line 1 already; keep one of the two".to_owned()),
        ("HOST=\nHOST=a\n", 2, "HOST stands in line 1 already; keep one of the two".to_owned()),
        ("X=\"a\nb\"\nX=1\n", 3, "X stands in line 1 already; keep one of the two".to_owned()),
    ] {
        assert_eq!(load(file, &[], &[]).unwrap_err(), format!("x.env:{line}: {reason}"), "{file:?}");
    }
}

/// The line of each key, whatever stands before it.
#[test]
fn line_numbers() {
    for before in [
        "",
        "\n",
        "# a\n",
        "\r\n\r\n",
        "A=\"1\n2\n3\"\n",
        "A='\n' # b\n",
        "\u{feff}",
        "\u{feff}# a\n",
        "A=1 #'\n",
        "  \n\t",
    ] {
        let line = 1 + before.matches('\n').count();
        let settings = load(&format!("{before}PORT=1\n"), &[], &[]).unwrap();
        assert!(explained(&settings).contains(&format!("PORT 1 x.env:{line} PORT\n")), "{before:?}\n{settings}");
        assert!(
            load(&format!("{before}PORT=x\n"), &[], &[]).unwrap_err().starts_with(&format!("PORT (x.env:{line}): "))
        );
    }
}

/// Variables are the environment's that was handed in, then those of lines above.
#[test]
fn variables() {
    let realm = |file: &str, environment: common::Environment<'_>| load(file, environment, &[]).unwrap().issuer;
    let file = "REALM_NAME=file\nKEYCLOAK_REALM=the-${REALM_NAME}_$REALM_NAME\n";
    assert_eq!(realm(file, &[]), "http://localhost:8080/realms/the-file_file");
    assert_eq!(realm(file, &[("REALM_NAME", "env")]), "http://localhost:8080/realms/the-env_env");
    let client = load("OAUTH_CLIENT_ID=me\nOAUTH_CLIENT_SECRET='a$b\\n'\n", &[("b", "x")], &[]).unwrap().verification;
    assert!(matches!(client, Verification::Introspection { client_secret, .. } if client_secret.expose() == "a$b\\n"));
    // Nothing has come into the process's environment.
    assert!(std::env::var_os("REALM_NAME").is_none() && std::env::var_os("OAUTH_CLIENT_SECRET").is_none());
}

/// What both accept, `dotenvy` reads in the same way. (It takes the process's variables, so none here has one.)
#[test]
fn as_dotenvy_reads_it() {
    let values = [
        "a",
        "a ",
        "  a",
        "a #b",
        "a#b",
        "#a",
        " # a",
        "'a b'",
        "\"a b\"",
        "\"a\\nb\"",
        "'a\\nb'",
        "a\\ b",
        "a'b'\"c\"d",
        "\"#a\"",
        "'#'#a",
        "\\\\",
        "\\'",
        "\\\"",
        "\\$x",
        "'$x'",
        "\"\\$x\"",
        "\"a\nb\"",
        "'a\nb'",
        "\"a\n#b\nc\"",
        "\"a\" #b",
        "''",
        "\"\"",
        "a=b",
        "=",
        "<A>",
        "${ABOVE}",
        "$ABOVE",
        "x${ABOVE}y",
        "\"${ABOVE} z\"",
        "$ABOVE.x",
        "a\tb",
        "a b",
        "\\x",
        "\"a",
        "'a",
        "https://id.example/?a=b&c=d",
    ];
    let mut same = 0;
    for ending in ["\n", "\r\n"] {
        for export in ["", "export ", "  "] {
            for value in values {
                let file = format!("ABOVE=above{ending}{export}KEYCLOAK_REALM = {value}{ending}PORT=1{ending}");
                let theirs: Result<Vec<_>, _> = dotenvy::from_read_iter(file.as_bytes()).collect();
                let ours = load(&format!("{file}JWT_ISSUER=https://x.example"), &[], &[]);
                // What a realm cannot be called is refused later, and quotes the value.
                match (theirs, ours) {
                    (Ok(theirs), Err(error)) => {
                        let value = &theirs[1].1;
                        assert!(error.contains(&format!("{value:?}")), "{file:?}: {value:?} {error}");
                        same += 1;
                    }
                    (Ok(theirs), Ok(_)) => assert_eq!(theirs[1].1.trim(), "", "{file:?}"),
                    (Err(_), ours) => assert!(ours.unwrap_err().starts_with("x.env:2: "), "{file:?}"),
                }
            }
        }
    }
    assert!(same > 150, "{same}");
    for entry in std::fs::read_dir(ENVS).unwrap() {
        let path = entry.unwrap().path();
        let theirs: Vec<_> = dotenvy::from_path_iter(&path).unwrap().map(Result::unwrap).collect();
        let table = Sources::new("x").file(Some(&path)).load().unwrap().explain();
        for (key, _) in theirs {
            assert!(
                table.lines().any(|line| line.contains(".env:") && line.contains(&key)),
                "{key} in {}\n{table}",
                path.display()
            );
        }
    }
}
