//! What every page has, and what no stranger's word can do to it.

use std::{fs, path::PathBuf};

use http::StatusCode;
use serde_json::{Map, Value};

use super::*;

/// Markup, quotes, controls, bidirectional overrides and isolates, invisible and blank characters, a line break, and
/// a flood: what a client may call itself.
const HOSTILE: &str = "</title><script>alert(1)</script>\" onfocus='x' autofocus=\u{202E}lave\u{202C}\u{2066}\u{200B}\
                       \u{0000}\u{0008}\u{061C}\u{E0041}\u{3164}\u{2028}\n”, approved by the administrator. “ &lt; {{7*7}}";

const CHROME: Chrome<'static> = Chrome { style: "/style.css?v=1", server_name: "MCP demo" };

const CLIENT: Client<'static> = Client {
    name: "Claude Code",
    redirect_host: "localhost:33418",
    redirect_uri: "http://localhost:33418/callback",
    local_only: true,
    described_at: None,
    pre_registered: false,
};

const PUBLISHED: Client<'static> = Client {
    name: "Claude",
    redirect_host: "claude.ai",
    redirect_uri: "https://claude.ai/api/mcp/auth_callback",
    local_only: false,
    described_at: Some("claude.ai"),
    pre_registered: false,
};

const READ: Asked<'static> = Asked { name: "mcp:read", text: "See which tools and prompts there are" };
const TOOLS: Asked<'static> = Asked { name: "mcp:tools", text: "Call tools" };
const BARE: Asked<'static> = Asked { name: "mcp:run", text: "" };

const LOGIN: Login<'static> = Login {
    chrome: CHROME,
    client: CLIENT,
    action: "/login",
    request: "r3quest",
    csrf: "t0ken",
    username: "",
    problem: None,
};

fn consent<'a>(client: Client<'a>, granted: &'a [Asked<'a>], withheld: &'a [Asked<'a>]) -> Consent<'a> {
    Consent {
        chrome: CHROME,
        client,
        action: "/consent",
        request: "r3quest",
        csrf: "t0ken",
        username: "alice",
        resource: &[],
        granted,
        withheld,
        switch_user: "/consent",
    }
}

/// Every page in every state, by name.
fn pages() -> Vec<(&'static str, String)> {
    let one = ["http://localhost:9000/mcp".to_owned()];
    let two = [one[0].clone(), "https://mcp.example.com/a/rather/long/path/of/a/server".to_owned()];
    let many = vec![HOSTILE.repeat(40)];
    let hostile = Client {
        name: HOSTILE,
        redirect_host: HOSTILE,
        redirect_uri: HOSTILE,
        local_only: true,
        described_at: Some(HOSTILE),
        pre_registered: false,
    };
    let long = "W".repeat(5000);
    let flood = Client { name: &long, redirect_host: &long, redirect_uri: &long, ..CLIENT };
    let asked = Asked { name: HOSTILE, text: HOSTILE };
    let chrome = Chrome { server_name: HOSTILE, ..CHROME };
    vec![
        ("login", LOGIN.render()),
        ("login-wrong", Login { username: "alice", problem: Some(LoginProblem::Wrong), ..LOGIN }.render()),
        (
            "login-slow",
            Login { username: "alice", problem: Some(LoginProblem::Slow { seconds: 30 }), ..LOGIN }.render(),
        ),
        ("login-registered", Login { client: Client { pre_registered: true, ..PUBLISHED }, ..LOGIN }.render()),
        ("login-hostile", Login { chrome, client: hostile, username: HOSTILE, ..LOGIN }.render()),
        ("consent", Consent { resource: &one, ..consent(CLIENT, &[READ, TOOLS], &[]) }.render()),
        ("consent-withheld", Consent { resource: &one, ..consent(CLIENT, &[READ], &[TOOLS]) }.render()),
        ("consent-nothing", Consent { resource: &one, ..consent(CLIENT, &[], &[READ, TOOLS]) }.render()),
        ("consent-published", Consent { resource: &two, ..consent(PUBLISHED, &[READ, BARE], &[]) }.render()),
        (
            "consent-published-local",
            Consent {
                resource: &one,
                ..consent(Client { described_at: Some("claude.ai"), ..CLIENT }, &[READ, TOOLS], &[])
            }
            .render(),
        ),
        (
            "consent-registered",
            Consent {
                resource: &one,
                ..consent(Client { pre_registered: true, described_at: None, ..PUBLISHED }, &[READ, TOOLS], &[])
            }
            .render(),
        ),
        (
            "consent-nameless",
            Consent { resource: &one, ..consent(Client { name: "\u{200B}", ..CLIENT }, &[READ], &[]) }.render(),
        ),
        (
            "consent-hostile",
            Consent { chrome, username: HOSTILE, resource: &many, ..consent(hostile, &[asked], &[asked]) }.render(),
        ),
        ("consent-flood", Consent { resource: &two, ..consent(flood, &[READ], &[]) }.render()),
        (
            "message",
            Message {
                chrome: CHROME,
                title: "This request is over",
                text: "It has been answered already. Start again from the program that you want to connect.",
                detail: None,
            }
            .render(),
        ),
        (
            "message-detail",
            Message {
                chrome: CHROME,
                title: "This program asked wrongly",
                text: "You were not sent back to it, since where it wants you to go is not where it is registered.",
                detail: Some("invalid_request: redirect_uri is not one of the client's"),
            }
            .render(),
        ),
        ("message-hostile", Message { chrome, title: HOSTILE, text: HOSTILE, detail: Some(HOSTILE) }.render()),
    ]
}

/// All that stands between `before` and the next `after`.
fn between<'a>(html: &'a str, before: &str, after: &str) -> Vec<&'a str> {
    html.split(before).skip(1).map(|rest| rest.split(after).next().unwrap()).collect()
}

#[test]
fn every_page_says_what_it_is() {
    for (name, html) in pages() {
        assert!(html.starts_with("<!doctype html>\n<html lang=\"en\">"), "{name}");
        let title = between(&html, "<title>", "</title>");
        assert!(title.len() == 1 && title[0].contains(" – "), "{name}: {title:?}");
        assert!(!title[0].split(" – ").next().unwrap().trim().is_empty(), "{name}: {title:?}");
        for once in ["<h1>", "<header>", "<main>", "</main>", "name=\"viewport\"", "href=\"/style.css?v=1\""] {
            assert_eq!(html.matches(once).count(), 1, "{name}: {once}");
        }
    }
}

#[test]
fn every_field_has_a_label_or_is_hidden() {
    for (name, html) in pages() {
        for input in between(&html, "<input", ">") {
            let labelled =
                between(input, " id=\"", "\"").iter().any(|id| html.contains(&format!("<label for=\"{id}\">")));
            assert!(labelled || input.contains("type=\"hidden\""), "{name}: {input}");
        }
        for button in between(&html, "<button", "</button>") {
            assert!(!button.split('>').nth(1).unwrap().trim().is_empty(), "{name}: {button}");
        }
        let forms = html.matches("<form ").count();
        for field in ["name=\"request\" value=\"r3quest\"", "name=\"csrf\" value=\"t0ken\"", "method=\"post\""] {
            assert_eq!(html.matches(field).count(), forms, "{name}: {field}");
        }
    }
}

#[test]
fn no_page_has_a_script_or_a_style_of_its_own() {
    for (name, html) in pages() {
        for tag in between(&html, "<", ">") {
            // Without the values of its attributes.
            let bare: Vec<&str> = tag.split('"').step_by(2).collect();
            let words: Vec<String> = bare.join("").split_ascii_whitespace().map(str::to_lowercase).collect();
            assert!(words[0] != "script" && words[0] != "style", "{name}: {tag}");
            let of_its_own = |attribute: &&String| attribute.starts_with("on") || attribute.starts_with("style");
            assert_eq!(words[1..].iter().find(of_its_own), None, "{name}: {tag}");
        }
    }
}

#[test]
fn what_strangers_write_stays_text() {
    for (name, html) in pages() {
        assert!(!html.contains("alert(1)</script>") && !html.contains("<script"), "{name}");
        assert!(!html.contains("onfocus='x'") && !html.contains("\" onfocus"), "{name}");
        let bad = |c: &char| {
            (c.is_control() && *c != '\n')
                || matches!(c, '\u{61C}' | '\u{200B}'..='\u{200F}' | '\u{2028}'..='\u{202E}' | '\u{2060}'..='\u{206F}')
                || matches!(c, '\u{3164}' | '\u{E0000}'..='\u{E0FFF}')
        };
        assert_eq!(html.chars().find(bad), None, "{name}");
        assert!(html.len() < 25_000, "{name}: {} bytes", html.len());
    }
}

#[test]
fn a_name_cannot_leave_its_quotation_marks() {
    for (name, html) in pages().into_iter().filter(|(name, _)| !name.starts_with("message") && !name.ends_with("less"))
    {
        let shown = between(&html, "<p class=\"name\">", "</p>");
        assert_eq!(shown.len(), 1, "{name}");
        let inner = shown[0].strip_prefix("“<bdi>").and_then(|rest| rest.strip_suffix("</bdi>”")).unwrap();
        assert!(!inner.contains(['“', '”', '<', '"']), "{name}: {inner}");
    }
    fn called(name: &str) -> Option<String> {
        Client { name, ..CLIENT }.called()
    }
    assert_eq!(called(" Claude\t\r\n Code\u{202E} "), Some("Claude Code".to_owned()));
    assert_eq!(called("A”, the “real «one»"), Some("A', the 'real 'one'".to_owned()));
    assert_eq!(called("مساعد"), Some("مساعد".to_owned()));
    assert_eq!(called("e\u{301}"), Some("e\u{301}".to_owned()));
    for nothing in ["", "  ", "\u{200B}\u{FEFF}", "\u{3164}", "\u{2800}", "\u{0}"] {
        assert_eq!(called(nothing), None, "{nothing:?}");
    }
    assert_eq!(called(&"W".repeat(64)), Some("W".repeat(64)));
    assert_eq!(called(&"W".repeat(65)), Some("W".repeat(64) + "…"));
    assert_eq!(called(&("A".to_owned() + &"\u{202E}".repeat(1_000_000))), Some("A…".to_owned()));
}

#[test]
fn a_claim_is_called_one() {
    for (name, html) in pages() {
        let claim = html.contains("calls itself");
        assert_eq!(
            claim,
            !["-registered", "-nameless"].iter().any(|end| name.ends_with(end)) && !name.starts_with("message"),
            "{name}"
        );
    }
}

#[test]
fn consent_shows_where_access_goes_and_for_which_servers() {
    let page = |name| pages().into_iter().find(|(other, _)| *other == name).unwrap().1;
    let html = page("consent-published");
    for shown in
        [">claude.ai<", "https://claude.ai/api/mcp/auth_callback", "http://localhost:9000/mcp", "mcp.example.com"]
    {
        assert!(html.contains(shown), "{shown}");
    }
    assert!(!html.contains("on this computer"));
    assert!(page("consent").contains("on this computer"));
    assert!(page("consent").contains(">localhost:33418<"));
}

#[test]
fn with_nothing_granted_nothing_can_be_allowed() {
    let decisions = |name| {
        let html = pages().into_iter().find(|(other, _)| *other == name).unwrap().1;
        between(&html, "name=\"decision\" value=\"", "\"").join(" ")
    };
    // The first button of a form is the one that Enter presses.
    assert_eq!(decisions("consent"), "deny allow switch");
    assert_eq!(decisions("consent-nothing"), "deny switch");
}

#[test]
fn a_wrong_password_is_said_to_both_fields() {
    let html = Login { username: "alice", problem: Some(LoginProblem::Wrong), ..LOGIN }.render();
    assert!(html.contains("id=\"problem\" role=\"alert\">The username or the password is wrong.<"));
    assert_eq!(html.matches("aria-describedby=\"problem\"").count(), 2);
    assert_eq!(html.matches("aria-invalid=\"true\"").count(), 2);
    assert!(html.contains("value=\"alice\""));
    assert!(!LOGIN.render().contains("problem"));
    for (seconds, said) in
        [(0, "1 second."), (1, "1 second."), (90, "90 seconds."), (91, "2 minutes."), (180, "3 minutes.")]
    {
        let html = Login { problem: Some(LoginProblem::Slow { seconds }), ..LOGIN }.render();
        assert!(html.contains(&format!("Try again in {said}")), "{html}");
        assert!(html.contains("aria-describedby") && !html.contains("aria-invalid"));
    }
}

#[test]
fn the_stylesheet_has_a_name_of_its_own() {
    assert_eq!(style_hash().len(), 12);
    let response = style_response();
    assert_eq!(response.headers()["content-type"], "text/css; charset=utf-8");
    assert!(response.headers()["cache-control"].to_str().unwrap().contains("immutable"));
    // The policy would let nothing else through.
    assert!(!super::style::STYLE.contains("url(") && !super::style::STYLE.contains("@import"));
}

/// Leaves the pages, the stylesheet and the headers in `target/pages`, where `scripts/test_browser.sh` finds them.
#[test]
fn for_the_browser() {
    let target: PathBuf = std::env::current_exe().unwrap().ancestors().nth(3).unwrap().into();
    let folder = target.join("pages");
    fs::create_dir_all(&folder).unwrap();
    for (name, html) in pages() {
        fs::write(folder.join(format!("{name}.html")), html).unwrap();
    }
    fs::write(folder.join("style.css"), super::style::STYLE).unwrap();
    let headers = |redirect: &str| {
        let page = response(StatusCode::OK, String::new(), Some(redirect));
        let values = page.headers().iter().map(|(name, value)| (name.as_str(), value.to_str().unwrap()));
        values.map(|(name, value)| (name.to_owned(), value.into())).collect::<Map<String, Value>>()
    };
    // The port is any: who serves these puts in its own.
    let all: Map<_, _> = ["127.0.0.1", "[::1]", "localhost"]
        .map(|host| (host.to_owned(), headers(&format!("http://{host}:33418/callback")).into()))
        .into_iter()
        .collect();
    fs::write(folder.join("headers.json"), Value::Object(all).to_string()).unwrap();
}
