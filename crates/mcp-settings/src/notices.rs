//! What is allowed, and may still not be what was meant.

use url::Url;

use crate::{
    Key, Settings, check,
    given::AllGiven,
    resolve::{AUDIENCE, path_of},
};

/// A line for each.
pub(crate) fn of(given: &AllGiven, settings: &Settings) -> Vec<String> {
    let mut notices = Vec::new();
    let Settings { host, path, resource, audience, .. } = settings;
    if let Some(strict) = given.strongest(&[Key::OauthStrict])
        && check::boolean(&strict.value) == Ok(false)
    {
        notices.push(format!(
            "{}: a token's audience is checked all the same: else a token for any server would open this one",
            strict.named()
        ));
    }
    if let Some(set) = given.strongest(&AUDIENCE) {
        if audience == "account" {
            notices.push(format!(
                "{}: Keycloak writes the audience account into nearly every token of a realm, so tokens for other \
                 servers open this one; give this server an audience of its own",
                set.named()
            ));
        }
        if is_another_resource(audience, resource) {
            notices.push(format!(
                "{}: tokens must be for {audience}, while clients ask for {resource}; right only if the identity \
                 provider calls this server so",
                set.named()
            ));
        }
    }
    // Other programs have such variables too.
    if settings.tutorial
        && !given.configured(&[Key::AuthHost, Key::AuthPort, Key::AuthRealm])
        && let Some(set) = given.strongest(&[Key::McpScope, Key::OauthStrict, Key::Transport])
    {
        notices.push(format!(
            "{}: with it the defaults are those of MCP's tutorial: tokens of {}, the endpoint at {resource}; set \
             KEYCLOAK_URL or JWT_ISSUER for others",
            set.named(),
            settings.issuer
        ));
    }
    let server_url = given.strongest(&[Key::McpServerUrl]);
    if let (Some(set), Some(url)) = (given.strongest(&[Key::McpPath]), server_url)
        && path_of(url).is_ok_and(|of_url| of_url != *path)
    {
        notices.push(format!(
            "{}: the endpoint is at {path}, while clients are told {resource}; right only behind a proxy that changes \
             the path",
            set.named()
        ));
    }
    if server_url.is_none() && !check::is_local(host) {
        notices.push(format!(
            "{}: others can reach the server there, and are told that its URL is {resource}; set MCP_SERVER_URL to the \
             https URL that they use",
            settings.rows.host
        ));
    }
    notices
}

/// Whether both are URLs and name two things. The loopback spellings and a trailing slash make no difference, as where
/// the audience is checked.
fn is_another_resource(audience: &str, resource: &str) -> bool {
    let plain = |url: Url| {
        let host = url.host_str().unwrap_or_default().trim_matches(['[', ']']);
        let host = if check::is_local(host) { "localhost" } else { host }.to_owned();
        let path = url.path().strip_suffix('/').unwrap_or(url.path()).to_owned();
        (url.scheme().to_owned(), host, url.port_or_known_default(), path)
    };
    match (Url::parse(audience), Url::parse(resource)) {
        (Ok(audience), Ok(resource)) => plain(audience) != plain(resource),
        _ => false,
    }
}
