//! What a stranger wrote must never come back as markup (RFC 9700 §4.16; CWE-79).

use serde_json::json;

use super::{
    client::{Query, native_metadata},
    found::{Finding, Found, Stop},
    pages::is_html,
    rows::{Area, Needs, Probe, Rows},
    server::Server,
    visit::Visit,
};

const SOURCE: &str = "RFC 6819 §5.2.3.5; CWE-79";

/// Two quotes that end any attribute, and a script.
const MARKUP: &str = "mcpattack\"'><script>mcpattack(1)</script>";
/// What of it has to be changed.
const RAW: [&str; 2] = ["mcpattack\"'", "<script>mcpattack"];
const SCRIPT_URL: &str = "javascript:mcpattack(1)";

pub(super) fn rows() -> Vec<Probe> {
    let client = Needs::Client;
    Rows::of(Area::Markup)
        .breach(("markup-client-name", "markup in client_name", SOURCE), Needs::Registration, |s| {
            Box::pin(client_name(s))
        })
        .breach(("markup-client-uri", "javascript: as the client's page", SOURCE), Needs::Registration, |s| {
            Box::pin(client_uri(s))
        })
        .breach(("markup-client-id", "markup in client_id", SOURCE), client, |s| {
            Box::pin(asked(s, |q| vec![q.with("client_id", MARKUP)]))
        })
        .breach(("markup-redirect-uri", "markup in redirect_uri", SOURCE), client, |s| {
            Box::pin(asked(s, |q| {
                let on_the_web = format!("https://stranger.example/{MARKUP}");
                vec![q.clone().with("redirect_uri", MARKUP), q.with("redirect_uri", &on_the_web)]
            }))
        })
        .breach(("markup-scope", "markup in scope", SOURCE), client, |s| {
            Box::pin(asked(s, |q| with_errors(q, "scope")))
        })
        .breach(("markup-state", "markup in state", SOURCE), client, |s| {
            Box::pin(asked(s, |q| with_errors(q, "state")))
        })
        .breach(("markup-resource", "markup in resource", SOURCE), client, |s| {
            Box::pin(asked(s, |q| with_errors(q, "resource")))
        })
        .breach(("markup-response-type", "markup in response_type", SOURCE), client, |s| {
            Box::pin(asked(s, |q| vec![q.with("response_type", MARKUP)]))
        })
        .breach(("markup-unknown", "markup in a parameter that there is not", SOURCE), client, |s| {
            Box::pin(asked(s, |q| vec![q.clone().and(MARKUP, MARKUP), q.and(MARKUP, "1").and(MARKUP, "2")]))
        })
        .done()
}

/// In a request that is good but for it, and in one that is answered with a page in any case.
fn with_errors(query: Query, name: &str) -> Vec<Query> {
    let bent = query.with(name, MARKUP);
    vec![bent.clone(), bent.with("client_id", "mcp-attack-nobody")]
}

/// Both clients, since where errors of the one are sent on, those of the other may be shown.
async fn asked(server: &Server, bend: fn(Query) -> Vec<Query>) -> Finding {
    let mut said = Vec::new();
    for client in [server.native.as_ref(), server.web.as_ref()].into_iter().flatten() {
        for query in bend(server.query(client)) {
            let visit = server.ask(&query).await?;
            if let Some(found) = raw(&visit, &RAW) {
                return Ok(found);
            }
            said.push(visit.said());
        }
    }
    said.dedup();
    Ok(Found::refused(said.join(", then ")))
}

/// Let in, if a page has some of that as it was written.
fn raw(visit: &Visit, marks: &[&str]) -> Option<Found> {
    let page = visit.answers().iter().find(|answer| {
        let body = answer.body.to_ascii_lowercase();
        is_html(answer) && marks.iter().any(|mark| body.contains(mark))
    })?;
    Some(Found::let_in(format!("{} and a page with the markup", page.status)).with(page.clone()))
}

async fn registered(server: &Server, change: &[(&str, &str)], marks: &[&str]) -> Finding {
    let mut metadata = native_metadata();
    for (name, value) in change {
        metadata[*name] = json!(value);
    }
    let client = match server.new_client(&metadata).await {
        Ok(client) => client,
        Err(Stop::NotRun(why)) => return Ok(Found::refused(why)),
        Err(stop) => return Err(stop),
    };
    // A page for the person, and a page for whoever wrote the client.
    let good = server.query(&client);
    for query in [good.clone(), good.with("redirect_uri", "https://stranger.example/")] {
        let visit = server.ask(&query).await?;
        if let Some(found) = raw(&visit, marks) {
            return Ok(found);
        }
    }
    Ok(Found::refused("registered, and shown as text or not at all"))
}

async fn client_name(server: &Server) -> Finding {
    registered(server, &[("client_name", MARKUP)], &RAW).await
}

async fn client_uri(server: &Server) -> Finding {
    let names = ["client_uri", "logo_uri", "tos_uri", "policy_uri"].map(|name| (name, SCRIPT_URL));
    let marks = ["=\"javascript:mcpattack", "='javascript:mcpattack", "=javascript:mcpattack"];
    registered(server, &names, &marks).await
}
