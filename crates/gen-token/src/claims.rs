//! What a test token says (RFC 9068 §2.2, with the claims that identity providers add).

use std::{fmt, str::FromStr};

use anyhow::bail;
use jiff::{SignedDuration, Timestamp};
use serde_json::{Map, Value, json};
use uuid::Uuid;

/// The server a token is for, as its origin.
#[derive(Clone, Debug)]
pub struct Server(String);

impl Server {
    pub fn issuer(&self) -> String {
        self.0.clone()
    }

    pub fn audience(&self) -> String {
        format!("{}/mcp", self.0)
    }
}

impl FromStr for Server {
    type Err = &'static str;

    fn from_str(url: &str) -> Result<Self, Self::Err> {
        let origin = url.trim_end_matches('/');
        match origin.split_once("://") {
            Some(("http" | "https", rest)) if !rest.is_empty() && !rest.contains(['/', '?', '#', '@', ' ']) => {
                Ok(Self(origin.to_owned()))
            }
            _ => Err("write the server as http://HOST:PORT, without a path"),
        }
    }
}

/// How long a token is good; negative is over already.
#[derive(Clone, Copy, Debug)]
pub struct Lifetime(SignedDuration);

impl FromStr for Lifetime {
    type Err = &'static str;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let told = "write the time like 30m, 2h or 1d";
        let (sign, text) = text.strip_prefix('-').map_or((1, text), |rest| (-1, rest));
        let time = humantime::parse_duration(text).map_err(|_| told)?;
        // A hundred years: beyond any token, and far from where time stamps end.
        if time.is_zero() || time.as_secs() > 100 * 366 * 86_400 {
            return Err(told);
        }
        SignedDuration::try_from(time).map(|time| Self(time * sign)).map_err(|_| told)
    }
}

impl fmt::Display for Lifetime {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let time = humantime::format_duration(self.0.unsigned_abs());
        if self.0.is_negative() { write!(f, "{time} ago") } else { write!(f, "in {time}") }
    }
}

/// What is asked for.
#[derive(Debug)]
pub struct Request {
    pub username: String,
    pub scopes: Vec<String>,
    pub roles: Vec<String>,
    pub tools: Option<Vec<String>>,
    pub issuer: String,
    pub audience: Vec<String>,
    pub lifetime: Lifetime,
    pub extra: Vec<(String, Value)>,
}

impl Request {
    pub fn expires_at(&self, now: Timestamp) -> Timestamp {
        let seconds = now.as_second().saturating_add(self.lifetime.0.as_secs());
        Timestamp::from_second(seconds).unwrap_or(Timestamp::MAX)
    }

    pub fn scopes_shown(&self) -> String {
        if self.scopes.is_empty() { "(none)".to_owned() } else { self.scopes.join(" ") }
    }

    pub fn claims(&self, now: Timestamp) -> Map<String, Value> {
        let audience = match self.audience.as_slice() {
            [one] => json!(one),
            several => json!(several),
        };
        let claims = json!({
            "iss": self.issuer,
            "aud": audience,
            "sub": self.username,
            "iat": now.as_second(),
            "exp": self.expires_at(now).as_second(),
            "jti": Uuid::new_v4().to_string(),
            "preferred_username": self.username,
            // As RFC 9068 §2.2.3 has it, and as some providers do.
            "scope": self.scopes.join(" "),
            "scopes": self.scopes,
            "roles": self.roles,
            "client_id": "gen-token",
        });
        let Value::Object(mut claims) = claims else { unreachable!("a JSON object was written above") };
        if let Some(tools) = &self.tools {
            claims.insert("tools".to_owned(), json!(tools));
        }
        claims.extend(self.extra.iter().cloned());
        claims
    }
}

/// # Errors
/// When one has a character that RFC 6749 §3.3 does not give a scope.
pub fn parse_scopes(text: &str) -> anyhow::Result<Vec<String>> {
    let mut scopes: Vec<String> = Vec::new();
    for scope in text.split([',', ' ']).filter(|scope| !scope.is_empty()) {
        if !scope.bytes().all(|b| matches!(b, 0x21 | 0x23..=0x5b | 0x5d..=0x7e)) {
            bail!("{scope:?} is no scope: visible ASCII without quotes and backslashes (RFC 6749 §3.3)");
        }
        if !scopes.iter().any(|other| other == scope) {
            scopes.push(scope.to_owned());
        }
    }
    Ok(scopes)
}

pub fn default_roles(username: &str) -> Vec<String> {
    let roles: &[&str] = match username {
        "admin" => &["admin", "user"],
        "guest" => &["guest"],
        _ => &["user"],
    };
    roles.iter().map(|role| (*role).to_owned()).collect()
}

/// # Errors
/// When there is no `=`, or no name before it.
pub fn parse_claim(text: &str) -> Result<(String, Value), String> {
    match text.split_once('=') {
        Some((name, value)) if !name.is_empty() => {
            let value = serde_json::from_str(value).unwrap_or_else(|_| Value::String(value.to_owned()));
            Ok((name.to_owned(), value))
        }
        _ => Err("write a claim as NAME=VALUE".to_owned()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn servers() {
        assert_eq!("http://localhost:9000/".parse::<Server>().unwrap().audience(), "http://localhost:9000/mcp");
        for bad in ["localhost:9000", "ftp://x", "http://", "http://x/mcp", "http://a@b", ""] {
            assert!(bad.parse::<Server>().is_err(), "{bad}");
        }
    }

    #[test]
    fn lifetimes() {
        for (text, seconds) in [("30m", 1800), ("2h", 7200), ("1d", 86_400), ("-5m", -300), ("1h 30m", 5400)] {
            assert_eq!(text.parse::<Lifetime>().unwrap().0.as_secs(), seconds, "{text}");
        }
        for bad in ["", "0s", "1", "soon", "--5m", "1000000d"] {
            assert!(bad.parse::<Lifetime>().is_err(), "{bad}");
        }
    }

    #[test]
    fn scopes_and_claims() {
        assert_eq!(parse_scopes("mcp:read, mcp:tools mcp:read,").unwrap(), ["mcp:read", "mcp:tools"]);
        assert!(parse_scopes("").unwrap().is_empty());
        assert!(parse_scopes("a\"b").is_err() && parse_scopes("é").is_err());
        assert_eq!(parse_claim("n=1").unwrap(), ("n".to_owned(), json!(1)));
        assert_eq!(parse_claim("s=a=b").unwrap(), ("s".to_owned(), json!("a=b")));
        assert!(parse_claim("=1").is_err() && parse_claim("x").is_err());
    }
}
