//! Whom it is for. All of these are signed by the real key: they are tokens that the issuer gives to other servers.

use serde_json::{Value, json};
use url::Url;

use crate::{
    attack::{Attack, Group, Needs, Rows},
    forge::{Forge, Forged},
};

const OURS: &str = "RFC 7519 §4.1.3; RFC 8707 §2; MCP 2026-07-28 authorization";
const TYPE: &str = "RFC 7519 §4.1.3";

pub(super) fn rows() -> Vec<Attack> {
    let key = Needs::SigningKey;
    Rows::of(Group::Audience)
        .breach(("aud-missing", "no audience", OURS), key, |f| audience(f, Value::Null))
        .breach(("aud-null", "audience null", OURS), key, |f| {
            let claims = f.claims().to_string();
            f.signed_text(&f.header().to_string(), claims.replacen(r#""aud":"#, r#""aud":null,"x":"#, 1))
        })
        .breach(("aud-empty-array", "audience an empty array", OURS), key, |f| audience(f, json!([])))
        .breach(("aud-empty-string", "audience the empty string", OURS), key, |f| audience(f, json!("")))
        .breach(("aud-other-server", "audience another server", OURS), key, |f| {
            audience(f, json!("https://other.example/mcp"))
        })
        .breach(("aud-evil-host", "our host and port as the beginning of another host", OURS), key, |f| {
            let (start, path) = after_authority(&f.target().audience);
            audience(f, json!(format!("{start}.evil.example{path}")))
        })
        .breach(("aud-userinfo", "our host and port as the user of another host", OURS), key, |f| {
            let (start, path) = after_authority(&f.target().audience);
            audience(f, json!(format!("{start}@evil.example{path}")))
        })
        .breach(("aud-prefix", "audience a prefix of ours", OURS), key, |f| {
            let (start, path) = after_authority(&f.target().audience);
            let shorter = start.char_indices().last().map_or("", |(last, _)| &start[..last]);
            audience(f, json!(if path.len() > 1 { start } else { shorter }))
        })
        .breach(("aud-longer-path", "audience a path below ours", OURS), key, |f| {
            audience(f, json!(format!("{}/x", f.target().audience.trim_end_matches('/'))))
        })
        .breach(("aud-sibling", "audience a path that ours begins", OURS), key, |f| {
            audience(f, json!(format!("{}-admin", f.target().audience.trim_end_matches('/'))))
        })
        .breach(("aud-dot-dot", "audience a path that leads away from ours", OURS), key, |f| {
            audience(f, json!(format!("{}/../other", f.target().audience.trim_end_matches('/'))))
        })
        .breach(("aud-path-case", "audience our path in another case", OURS), key, |f| {
            let (start, path) = after_authority(&f.target().audience);
            // A name that is no URL has no path; then all of it.
            let other = if path.len() > 1 { format!("{start}{}", swapped(path)) } else { swapped(start) };
            audience(f, json!(other))
        })
        .breach(("aud-query", "audience ours with a query", OURS), key, |f| {
            audience(f, json!(format!("{}?tenant=other", f.target().audience)))
        })
        .breach(("aud-fragment", "audience ours with a fragment", OURS), key, |f| {
            audience(f, json!(format!("{}#other", f.target().audience)))
        })
        .breach(("aud-other-port", "audience another port of our host", OURS), key, |f| {
            audience(f, json!(other_port(&f.target().audience)))
        })
        .breach(("aud-scheme", "audience https for http, or the reverse", OURS), key, |f| {
            let ours = &f.target().audience;
            let secure = ours.replacen("http://", "https://", 1);
            let plain = ours.replacen("https://", "http://", 1);
            // For a name that is no URL, one that looks like one.
            let other = if secure != *ours {
                secure
            } else if plain != *ours {
                plain
            } else {
                format!("https://{ours}")
            };
            audience(f, json!(other))
        })
        .breach(("aud-account", "audience account: what Keycloak gives everybody", OURS), key, |f| {
            audience(f, json!("account"))
        })
        .breach(("aud-client", "audience the client", OURS), key, |f| audience(f, json!("mcp-attack")))
        .breach(("aud-issuer", "audience the issuer", OURS), key, |f| {
            audience(f, json!(format!("{}/", f.target().issuer.trim_end_matches('/'))))
        })
        .breach(("aud-wildcard", "audience *", OURS), key, |f| audience(f, json!("*")))
        .breach(("aud-resource-claim", "no audience, but a claim `resource` that names us", OURS), key, |f| {
            f.with_claims(json!({ "aud": null, "resource": f.target().audience }))
        })
        .breach(("aud-substring", "audience a string of several with ours among them", TYPE), key, |f| {
            audience(f, json!(format!("https://other.example/mcp {}", f.target().audience)))
        })
        .breach(("aud-json-text", "audience the text of an array with ours in it", TYPE), key, |f| {
            audience(f, json!(json!([f.target().audience]).to_string()))
        })
        .breach(("aud-number", "audience a number", TYPE), key, |f| audience(f, json!(1)))
        .breach(("aud-true", "audience true", TYPE), key, |f| audience(f, json!(true)))
        .lax(("aud-object", "audience an object with ours for a member", TYPE), key, |f| {
            audience(f, json!({ f.target().audience.as_str(): true }))
        })
        .lax(("aud-nested-array", "audience an array in an array", TYPE), key, |f| {
            audience(f, json!([[f.target().audience]]))
        })
        .lax(("aud-mixed-array", "audience ours and a number", TYPE), key, |f| {
            audience(f, json!([f.target().audience, 1]))
        })
        .done()
}

fn audience(f: &Forge<'_>, audience: Value) -> Forged {
    f.with_claims(json!({ "aud": audience }))
}

/// `http://localhost:9000/mcp`, cut before its path; a name that is no URL has no path.
fn after_authority(audience: &str) -> (&str, &str) {
    let authority = audience.find("://").map_or(0, |at| at + 3);
    let path = if authority == 0 { None } else { audience[authority..].find('/') };
    audience.split_at(path.map_or(audience.len(), |at| authority + at))
}

fn swapped(text: &str) -> String {
    text.chars().map(|c| if c.is_lowercase() { c.to_ascii_uppercase() } else { c.to_ascii_lowercase() }).collect()
}

fn other_port(audience: &str) -> String {
    let Ok(mut url) = audience.parse::<Url>() else { return format!("{audience}:1") };
    let other = url.port_or_known_default().map_or(1, |port| port.checked_add(1).unwrap_or(1));
    match url.set_port(Some(other)) {
        Ok(()) => url.to_string(),
        Err(()) => format!("{audience}:1"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn where_a_path_begins() {
        assert_eq!(after_authority("http://localhost:9000/mcp"), ("http://localhost:9000", "/mcp"));
        assert_eq!(after_authority("https://mcp.example.com"), ("https://mcp.example.com", ""));
        assert_eq!(after_authority("mcp-server"), ("mcp-server", ""));
        assert_eq!(other_port("http://localhost:9000/mcp"), "http://localhost:9001/mcp");
        assert_eq!(other_port("https://mcp.example.com/mcp"), "https://mcp.example.com:444/mcp");
    }
}
