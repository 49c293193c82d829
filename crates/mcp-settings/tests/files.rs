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
    let shape = "it cannot be read; a line is KEY=value, KEY=\"a value\" or KEY='a value', and a comment begins with \
                 #; each quote is closed, also in a comment, and not by a ' after a \\; outside of single quotes a \\ \
                 stands before one of \\ ' \" $ n or a space, and a $ before NAME or {NAME}";
    for (file, line) in [
        ("HOST localhost", 1),
        ("\n\nHOST", 3),
        ("=x", 1),
        ("1HOST=x", 1),
        (".HOST=x", 1),
        ("export HOST", 1),
        ("export\nHOST=x", 1),
        ("HOST: localhost", 1),
        ("HOST=a b", 1),
        ("HOST=\"a\" b", 1),
        ("HOST='' b", 1),
        ("\nHOST=\"a\n\n", 2),
        ("HOST='a\n\nPORT=1\n", 1),
        ("\u{feff}# a\n\nHOST=a  # isn't\nPORT=1\n", 3),
        ("HOST=a\\b", 1),
        ("X='a\\'\nPORT=1", 1),
        ("X='\n'\nHOST=\"a\n\\b\"", 3),
        ("HOST=${", 1),
        ("HOST=${A", 1),
    ] {
        assert_eq!(load(file, &[], &[]).unwrap_err(), format!("x.env:{line}: {shape}"), "{file:?}");
    }
    for (file, line, reason) in [
        ("HOST=a\n# again\nHOST=a\n", 3, "HOST stands in line 1 already; keep one of the two"),
        ("HOST=\nHOST=a\n", 2, "HOST stands in line 1 already; keep one of the two"),
        ("X=\"a\nb\"\nX=1\n", 3, "X stands in line 1 already; keep one of the two"),
    ] {
        assert_eq!(load(file, &[], &[]).unwrap_err(), format!("x.env:{line}: {reason}"), "{file:?}");
    }
}

/// What `dotenvy` alone reads as something else than stands there, and without a word.
#[test]
fn lines_that_mislead_dotenvy() {
    let unset = "a $ begins a variable, and none of this name is in the environment or set in a line above; in single \
                 quotes, or as \\$, a $ is itself";
    let bare = "a variable stands in braces here: ${NAME}; in single quotes, or as \\$, a $ is itself";
    let backslash = "a \\ at its end is written \\\\, and a space at its end in quotes";
    let goes_on = "it does not end with its line: a quote stands in its comment; or a \\ before the ' at its end, and \
                   is written \\\\ in double quotes; or a carriage return in it";
    for (file, alone, line, reason) in [
        ("X=a$", "a", 1, unset),
        ("X=a$$", "a", 1, unset),
        ("X=a$-b", "a-b", 1, unset),
        ("X=a${}", "a", 1, unset),
        ("X=a$UNSET", "a", 1, unset),
        ("X=\"a${UNSET}\"", "a", 1, unset),
        ("\nX='$'${UNSET}", "$", 2, unset),
        ("X=\\$${UNSET}", "$", 1, unset),
        ("X='a'\"'${UNSET}'\"", "a''", 1, unset),
        ("X=a\nX=${X}", "a", 2, "X stands in line 1 already; keep one of the two"),
        ("X=${Y}\nY=a", "", 1, unset),
        ("A=1\nX=${A-B}", "", 2, unset),
        ("A=1\nA_B=2\nX=$A_B", "1_B", 3, bare),
        ("A=1\nX=$A  # one", "1 ", 2, bare),
        ("A=1\nX=$A two", "1 two", 2, bare),
        ("A=1\nX=$A\\n", "1\\n", 2, bare),
        ("A=1\nX=$A\"$A\"", "1\"1\"", 2, bare),
        ("A=1\nX=$A'$A'", "1'1'", 2, bare),
        ("X=a\\\nY=b", "a", 1, backslash),
        ("X=a\\ \nY=b", "a", 1, backslash),
        ("X=a\\  # b\nY=b", "a", 1, backslash),
        ("X=a  # isn't\nPORT=1\n# isn't", "a", 1, goes_on),
        ("X=  # isn't\nPORT=1\n# isn't", "", 1, goes_on),
        ("\nX=#\"\nPORT=1\nY=\"", "", 2, goes_on),
        ("X='a\\'\nPORT='b\\'", "a\\\nPORT=b\\", 1, goes_on),
        ("X=a\rPORT=1", "a\rPORT=1", 1, goes_on),
        ("X=\rPORT=1", "PORT=1", 1, goes_on),
    ] {
        let read: Vec<_> = dotenvy::from_read_iter(format!("{file}\n").as_bytes()).map_while(Result::ok).collect();
        let theirs = read.iter().rfind(|(key, _)| key == "X").map(|(_, value)| value.as_str());
        assert!(theirs == Some(alone) && read.iter().all(|(key, _)| key != "PORT"), "{file:?}: {read:?}");
        let reason = if reason.starts_with("X ") { reason.to_owned() } else { format!("X: {reason}") };
        assert_eq!(load(file, &[], &[]).unwrap_err(), format!("x.env:{line}: {reason}"), "{file:?}");
    }
    // What looks alike and is as it should be.
    for file in [
        "X='a$'",
        "X=a\\$",
        "X=\"it's \\${UNSET}\"",
        "A=1\nX=$A",
        "A=1\nX=\"${A}\"$A-$A",
        "A=\nX=${A}",
        "X=a\\\\",
        "X=a # isn't",
        "X=\"a\r\n#'\r\n\"  # b\r\n",
        "X= ",
        "X=a#b",
        "# isn't",
    ] {
        assert_eq!(load(&format!("{file}\nPORT=1"), &[], &[]).unwrap().port, 1, "{file:?}");
        assert_eq!(load(&format!("PORT=1\n{file}"), &[], &[]).unwrap().port, 1, "{file:?}");
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
        &format!("# {}\n\n", "é".repeat(10_000)),
    ] {
        let line = 1 + before.matches('\n').count();
        let settings = load(&format!("{before}PORT=1\n"), &[], &[]).unwrap();
        assert!(explained(&settings).contains(&format!("PORT 1 x.env:{line} PORT\n")), "{before:?}\n{settings}");
        assert!(
            load(&format!("{before}PORT=x\n"), &[], &[]).unwrap_err().starts_with(&format!("PORT (x.env:{line}): "))
        );
    }
}

/// Variables are the environment's, then those of lines above.
#[test]
fn variables() {
    let realm = |file: &str| {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("x.env");
        std::fs::write(&path, file).unwrap();
        // Only those that no key of ours is among.
        let environment = std::env::vars_os().filter(|(name, _)| name.to_string_lossy().starts_with("CARGO_PKG_"));
        Sources::new(path).environment(environment).load().unwrap().issuer
    };
    let file = "REALM=file\nKEYCLOAK_REALM=the-${REALM}.$REALM\n";
    assert_eq!(realm(file), "http://localhost:8080/realms/the-file.file");
    // Cargo sets it.
    let file = "CARGO_PKG_NAME=file\nKEYCLOAK_REALM=the-${CARGO_PKG_NAME}\n";
    assert_eq!(realm(file), "http://localhost:8080/realms/the-mcp-settings");
    let client = load("OAUTH_CLIENT_ID=me\nOAUTH_CLIENT_SECRET='a$b\\n'\n", &[("b", "x")], &[]).unwrap().verification;
    assert!(matches!(client, Verification::Introspection { client_secret, .. } if client_secret.expose() == "a$b\\n"));
    // Nothing has come into the process's environment.
    assert!(std::env::var_os("REALM").is_none() && std::env::var_os("OAUTH_CLIENT_SECRET").is_none());
}

/// `dotenvy` knows the process's environment alone: what was handed in decides, or nothing does.
#[test]
fn variables_that_differ() {
    for (file, environment) in [
        ("X=${CARGO_PKG_NAME}", &[][..]),
        ("CARGO_PKG_NAME=a\nX=${CARGO_PKG_NAME}", &[]),
        ("X=${CARGO_PKG_NAME}", &[("CARGO_PKG_NAME", "a")]),
        ("X=$NAME", &[("NAME", "a")]),
        ("NAME=a\nX=$NAME", &[("NAME", "b")]),
    ] {
        assert_eq!(
            load(file, environment, &[]).unwrap_err(),
            format!(
                "x.env:{}: X: the variable after $ is another in this process than in the environment that was handed \
                 in; write its value instead",
                file.lines().count()
            ),
            "{file:?}"
        );
    }
}
