//! The resource that the tokens are for, as far as a client finds its way from it to this server (RFC 9728).

use serde_json::{Value, json};
use url::Url;

use super::{
    found::{Finding, Found, Stop, good},
    issuer::{Issuer, Resource},
    metadata::STRANGER,
    rows::{Area, Needs, Probe, Rows},
    server::{Server, get_json},
};
use crate::{
    run::shown,
    wire::{Answer, RawRequest},
};

const FIND: &str = "RFC 9728 §5.1; MCP authorization";
const SAME: &str = "RFC 9728 §3.3";

pub(super) fn rows() -> Vec<Probe> {
    let it = Needs::Resource;
    Rows::of(Area::Resource)
        .breach(("resource-open", "a request without a token is served", "MCP authorization: 401"), it, |s| {
            Box::pin(async {
                let (resource, answer) = knock(s, |request| request).await?;
                Ok(Found::let_in_if(good(answer.status), format!("{} at {}", answer.status, resource.url.path()))
                    .with(answer))
            })
        })
        .lax(("resource-no-challenge", "the 401 does not say where the metadata is", FIND), it, |s| {
            Box::pin(async {
                let (_, answer) = knock(s, |request| request).await?;
                let led = answer.status == 401 && answer.challenge("resource_metadata").is_some();
                let did = format!("{}, resource_metadata is {}there", answer.status, if led { "" } else { "not " });
                Ok(Found::let_in_if(!led, did).with(answer))
            })
        })
        .breach(
            ("resource-challenge-host", "a strange Host gets into the challenge", "RFC 9728 §7.3; CWE-348"),
            it,
            |s| {
                Box::pin(async {
                    let (_, answer) = knock(s, |request| request.without("Host").header("Host", STRANGER)).await?;
                    let named = answer.header("www-authenticate").is_some_and(|value| value.contains(STRANGER));
                    Ok(Found::let_in_if(named, format!("{}", answer.status)).with(answer))
                })
            },
        )
        .lax(("resource-no-metadata", "the metadata is nowhere", "RFC 9728 §3; MCP authorization"), it, |s| {
            Box::pin(async {
                let found = documents(s).await?;
                Ok(Found::let_in_if(found.is_empty(), format!("in {} places", found.len())))
            })
        })
        .breach(("resource-other", "the metadata is about another resource", SAME), it, |s| {
            Box::pin(every(s, |resource, answer| {
                let said = answer.json()["resource"].as_str().map(str::to_owned).unwrap_or_default();
                (said != resource.text).then(|| format!("resource is {:?}", shown(&said)))
            }))
        })
        .breach(("resource-host", "a strange Host gets into the metadata", "RFC 9728 §3.3, §7.3; CWE-348"), it, |s| {
            Box::pin(host(s))
        })
        .lax(
            ("resource-no-server", "the metadata names no authorization server", "MCP authorization: at least one"),
            it,
            |s| {
                Box::pin(every(s, |_, answer| {
                    let named = answer.json()["authorization_servers"].as_array().is_some_and(|list| !list.is_empty());
                    (!named).then(|| "no authorization_servers".to_owned())
                }))
            },
        )
        .breach(
            ("resource-server-issuer", "a server that it names calls itself otherwise", "RFC 8414 §3.3"),
            it,
            |s| Box::pin(issuers(s)),
        )
        .lax(("resource-offline", "it asks for offline_access", "MCP authorization: offline_access"), it, |s| {
            Box::pin(async {
                let (_, answer) = knock(s, |request| request).await?;
                if answer.challenge("scope").is_some_and(|scope| scope.split(' ').any(|s| s == "offline_access")) {
                    return Ok(Found::let_in("the challenge does").with(answer));
                }
                every(s, |_, answer| {
                    let scopes = answer.json()["scopes_supported"].as_array().cloned().unwrap_or_default();
                    scopes.contains(&json!("offline_access")).then(|| "scopes_supported has it".to_owned())
                })
                .await
            })
        })
        .lax(("resource-type", "the metadata is not sent as application/json", "RFC 9728 §3.2"), it, |s| {
            Box::pin(every(s, |_, answer| {
                let kind = answer.media_type();
                (kind != "application/json").then(|| format!("it is {:?}", shown(&kind)))
            }))
        })
        .lax(
            ("resource-cors", "a page of another origin cannot read the metadata", "RFC 9728 §3; RFC 9700 §2.6"),
            it,
            |s| {
                Box::pin(every(s, |_, answer| {
                    let allowed = answer.header("access-control-allow-origin").unwrap_or_default();
                    let readable = allowed == "*" || allowed.contains(STRANGER);
                    (!readable).then(|| "no Access-Control-Allow-Origin".to_owned())
                }))
            },
        )
        .done()
}

fn resource(server: &Server) -> Result<&Resource, Stop> {
    server.issuer.resource.as_ref().ok_or_else(|| Stop::not_run("no resource was named"))
}

/// A request without a token.
async fn knock(server: &Server, bend: fn(RawRequest) -> RawRequest) -> Result<(&Resource, Answer), Stop> {
    let resource = resource(server)?;
    let message = json!({ "jsonrpc": "2.0", "id": 1, "method": "tools/list" });
    let request = RawRequest::to("POST", &resource.url)
        .header("Accept", "application/json, text/event-stream")
        .header("Content-Type", "application/json")
        .body(message.to_string());
    Ok((resource, server.send(&resource.url, &bend(request)).await?))
}

/// Where clients look: what the challenge says, below the path, at the root.
async fn places(server: &Server) -> Result<Vec<Url>, Stop> {
    let (resource, answer) = knock(server, |request| request).await?;
    let said = answer.challenge("resource_metadata").and_then(|url| server.ours(url));
    let path = resource.url.path().trim_end_matches('/');
    let well_known =
        [format!("/.well-known/oauth-protected-resource{path}"), "/.well-known/oauth-protected-resource".into()];
    let mut places: Vec<Url> =
        said.into_iter().chain(well_known.iter().filter_map(|path| resource.url.join(path).ok())).collect();
    // By path: one server has several names, and each is asked by the one that it was given.
    let mut seen: Vec<String> = Vec::new();
    places.retain(|url| {
        let again = seen.iter().any(|path| path == url.path());
        seen.push(url.path().to_owned());
        !again
    });
    Ok(places)
}

/// The metadata, from each place that has it, as a page of another origin is answered.
async fn documents(server: &Server) -> Result<Vec<(Url, Answer)>, Stop> {
    let mut found = Vec::new();
    for url in places(server).await? {
        let answer = server.send(&url, &get_json(&url).header("Origin", format!("https://{STRANGER}"))).await?;
        if good(answer.status) && answer.json().is_object() {
            found.push((url, answer));
        }
    }
    Ok(found)
}

async fn every(server: &Server, complaint: fn(&Resource, &Answer) -> Option<String>) -> Finding {
    let resource = resource(server)?;
    let documents = documents(server).await?;
    if documents.is_empty() {
        return Err(Stop::not_run("the resource has no metadata"));
    }
    let about = |(url, answer): &(Url, Answer)| Some(format!("{}: {}", url.path(), complaint(resource, answer)?));
    Ok(Found::complaint(documents.iter().find_map(about), format!("in order in {} places", documents.len())))
}

async fn host(server: &Server) -> Finding {
    for url in places(server).await? {
        for bend in [
            |request: RawRequest| request.without("Host").header("Host", STRANGER),
            |request: RawRequest| request.header("X-Forwarded-Host", STRANGER),
        ] {
            let answer = server.send(&url, &bend(get_json(&url))).await?;
            if answer.body.contains(STRANGER) {
                return Ok(Found::let_in(format!("{} names {STRANGER}", url.path())).with(answer));
            }
        }
    }
    Ok(Found::refused("it is the same, or none"))
}

/// Each server that is named, as far as it is on this host, has to call itself by the name that it is given.
async fn issuers(server: &Server) -> Finding {
    let mut named: Vec<String> = Vec::new();
    for (_, answer) in documents(server).await? {
        let list = answer.json()["authorization_servers"].as_array().cloned().unwrap_or_default();
        named.extend(list.iter().filter_map(Value::as_str).map(str::to_owned));
    }
    named.dedup();
    named.retain(|issuer| server.ours(issuer).is_some());
    if named.is_empty() {
        return Err(Stop::not_run("it names no server of this host"));
    }
    for name in &named {
        let Ok(issuer) = Issuer::new(name) else { continue };
        let mut said = None;
        for url in issuer.metadata_urls() {
            let answer = server.get(&url).await?;
            if good(answer.status) && answer.json().is_object() {
                said = answer.json()["issuer"].as_str().map(str::to_owned);
                break;
            }
        }
        let said = said.unwrap_or_default();
        if said != *name {
            return Ok(Found::let_in(format!("{} calls itself {:?}", shown(name), shown(&said))));
        }
    }
    Ok(Found::refused(format!("{} servers are who they are said to be", named.len())))
}
