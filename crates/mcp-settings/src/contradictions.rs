//! Keys of one source that say different things of one setting.

use url::Url;

use crate::{
    Key, SettingsError,
    check::shown,
    given::{AllGiven, Given, Rank},
};

/// Names of the same thing, and what it is.
const SAME: [(&str, &[Key]); 5] = [
    ("the audience", &[Key::JwtAudience, Key::AuthAudience]),
    ("the issuer", &[Key::JwtIssuer, Key::AuthIssuer]),
    ("the realm", &[Key::KeycloakRealm, Key::AuthRealm]),
    ("the client", &[Key::OauthClientId, Key::AuthClientId]),
    ("the client's secret", &[Key::OauthClientSecret, Key::AuthClientSecret]),
];

/// The first contradiction, if there is one. Of different sources the stronger wins, so none is between those.
pub(crate) fn find(given: &AllGiven) -> Result<(), SettingsError> {
    for rank in Rank::GIVEN {
        for (what, keys) in SAME {
            same(given, rank, what, keys)?;
        }
        for (key, name) in Key::ALL {
            same(given, rank, name, &[key])?;
        }
        keycloak(given, rank)?;
        issuer(given, rank)?;
    }
    Ok(())
}

fn same(given: &AllGiven, rank: Rank, what: &str, keys: &[Key]) -> Result<(), SettingsError> {
    let mut at = given.at(rank, keys);
    let Some(first) = at.next() else { return Ok(()) };
    at.find(|other| other.value != first.value).map_or(Ok(()), |other| Err(differ(first, other, what)))
}

fn differ(first: &Given, second: &Given, what: &str) -> SettingsError {
    let (one, other) = (first.named(), second.named());
    if first.key.is_secret() {
        return SettingsError::Contradiction(format!("{one} and {other} both set {what}, and differ; keep one"));
    }
    let (first, second) = (shown(&first.shown()), shown(&second.shown()));
    SettingsError::Contradiction(format!("{one} is {first} and {other} is {second}, but both set {what}; keep one"))
}

/// `KEYCLOAK_URL` is whole what `AUTH_HOST` and `AUTH_PORT` are in parts.
fn keycloak(given: &AllGiven, rank: Rank) -> Result<(), SettingsError> {
    let Some(whole) = given.at(rank, &[Key::KeycloakUrl]).next() else { return Ok(()) };
    let mut parts = given.at(rank, &[Key::AuthHost, Key::AuthPort]);
    let said = parts.find(|part| !is_part_of(part, &whole.value));
    said.map_or(Ok(()), |part| Err(differ(whole, part, "where Keycloak is")))
}

/// An issuer is whole what URL and realm are in parts.
fn issuer(given: &AllGiven, rank: Rank) -> Result<(), SettingsError> {
    let Some(whole) = given.at(rank, &[Key::JwtIssuer, Key::AuthIssuer]).next() else { return Ok(()) };
    let (base, realm) = whole.value.rsplit_once("/realms/").unwrap_or((&whole.value, ""));
    let parts = [Key::KeycloakUrl, Key::AuthHost, Key::AuthPort, Key::KeycloakRealm, Key::AuthRealm];
    let said = given.at(rank, &parts).find(|part| match part.key {
        Key::KeycloakRealm | Key::AuthRealm => part.value != realm,
        _ => !is_part_of(part, base),
    });
    said.map_or(Ok(()), |part| Err(differ(whole, part, "the issuer, which is {url}/realms/{realm}")))
}

fn is_part_of(part: &Given, base: &str) -> bool {
    let base = base.trim_end_matches('/');
    match part.key {
        Key::KeycloakUrl => part.value.trim_end_matches('/') == base,
        _ => Url::parse(base).is_ok_and(|url| {
            let bare = |host: &str| host.trim_matches(['[', ']']).to_ascii_lowercase();
            url.scheme() == "http"
                && url.path() == "/"
                && match part.key {
                    Key::AuthPort => url.port_or_known_default() == part.value.parse().ok(),
                    _ => url.host_str().map(bare) == Some(bare(&part.value)),
                }
        }),
    }
}
