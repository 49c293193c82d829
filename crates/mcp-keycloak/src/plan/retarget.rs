//! The same file for another realm or another MCP server.

use mcp_auth::ResourceUri;
use serde_json::Value;

use super::{PlanError, RealmPlan, read};

/// RFC 3986 §2.3: the name stands in URLs, in the issuer among them, and must not be written in two ways there.
pub(super) fn check_name(name: &str) -> Result<(), PlanError> {
    let plain = |byte: u8| byte.is_ascii_alphanumeric() || b"-._~".contains(&byte);
    let problem = match name {
        "" => "it is empty",
        "." | ".." => "in a URL it is something else",
        // Its administrators are everybody's.
        "master" => "that is Keycloak's own realm, from which all others are administered",
        _ if !name.bytes().all(plain) => "it may have letters, digits and -._~ alone",
        _ => return Ok(()),
    };
    Err(PlanError::Name { name: name.to_owned(), problem })
}

pub(super) fn named(plan: RealmPlan, name: &str) -> Result<RealmPlan, PlanError> {
    check_name(name)?;
    let mut file = plan.file;
    let rename = |text: &mut String| {
        if *text == read::default_role(&plan.realm) {
            *text = read::default_role(name);
        }
        // Such as the base URL of the account pages in an export.
        for base in ["/realms/", "/admin/"] {
            let (old, new) = (format!("{base}{}", plan.realm), format!("{base}{name}"));
            let ends = |rest: &str| rest.is_empty() || rest.starts_with(['/', '?', '#']);
            if let Some((before, rest)) = text.split_once(&old)
                && ends(rest)
            {
                *text = format!("{before}{new}{rest}");
            }
        }
    };
    each_text(&mut file, &rename);
    file["realm"] = name.into();
    read::plan(file)
}

pub(super) fn protecting(plan: RealmPlan, resource: &str) -> Result<RealmPlan, PlanError> {
    let parsed = resource.parse::<ResourceUri>();
    parsed.map_err(|problem| PlanError::Resource { url: resource.to_owned(), problem })?;
    let mut file = plan.file;
    each_object(&mut file, &|object| {
        if object.get("protocolMapper").is_some_and(|kind| kind == "oidc-audience-mapper")
            && let Some(Value::String(audience)) = object.get_mut("config").and_then(|c| c.get_mut(CUSTOM_AUDIENCE))
            && *audience == plan.audience
        {
            resource.clone_into(audience);
        }
    });
    read::plan(file)
}

const CUSTOM_AUDIENCE: &str = "included.custom.audience";

fn each_text(value: &mut Value, change: &impl Fn(&mut String)) {
    match value {
        Value::String(text) => change(text),
        Value::Array(entries) => entries.iter_mut().for_each(|entry| each_text(entry, change)),
        Value::Object(members) => members.values_mut().for_each(|member| each_text(member, change)),
        _ => {}
    }
}

pub(super) fn each_object(value: &mut Value, change: &impl Fn(&mut serde_json::Map<String, Value>)) {
    match value {
        Value::Array(entries) => entries.iter_mut().for_each(|entry| each_object(entry, change)),
        Value::Object(members) => {
            change(members);
            members.values_mut().for_each(|member| each_object(member, change));
        }
        _ => {}
    }
}
