//! What a refusal says (RFC 9110 §11.6.1, RFC 6750 §3, RFC 9728 §5.1).

use http::{HeaderMap, header::WWW_AUTHENTICATE};

use crate::Scopes;

/// The Bearer challenge of an answer; empty where there is none. All of it is what a stranger says.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Challenge {
    /// Where the protected resource metadata is.
    pub resource_metadata: Option<String>,
    /// What to ask for.
    pub scope: Option<Scopes>,
    /// What was wrong with the token, if there was one.
    pub error: Option<String>,
}

impl Challenge {
    /// Reads the challenges of an answer: in several headers or in one, among those of other schemes.
    ///
    /// A header that does not parse ends there; what stands before it counts. Of a parameter that stands twice, none
    /// counts: two readers would differ (RFC 9110 §11.2).
    pub fn of(headers: &HeaderMap) -> Self {
        let values = headers.get_all(WWW_AUTHENTICATE).iter().filter_map(|value| value.to_str().ok());
        let mut bearer = values
            .flat_map(|value| http_auth::parser::ChallengeParser::new(value).map_while(Result::ok).collect::<Vec<_>>())
            .filter(|challenge| challenge.scheme.eq_ignore_ascii_case("bearer"));
        let Some(challenge) = bearer.next() else { return Self::default() };
        let parameter = |name: &str| {
            let mut found = challenge.params.iter().filter(|(other, _)| other.eq_ignore_ascii_case(name));
            let (_, value) = found.next()?;
            found.next().is_none().then(|| value.to_unescaped())
        };
        Self {
            resource_metadata: parameter("resource_metadata"),
            scope: parameter("scope").map(|list| Scopes::parse(&list)),
            error: parameter("error"),
        }
    }

    /// Whether a token with more scopes would do (RFC 6750 §3.1).
    pub fn is_insufficient_scope(&self) -> bool {
        self.error.as_deref() == Some("insufficient_scope")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn of(values: &[&'static str]) -> Challenge {
        let mut headers = HeaderMap::new();
        for value in values {
            headers.append(WWW_AUTHENTICATE, http::HeaderValue::from_bytes(value.as_bytes()).unwrap());
        }
        Challenge::of(&headers)
    }

    fn scope(values: &[&'static str]) -> Option<String> {
        of(values).scope.map(|scope| scope.to_string())
    }

    #[test]
    fn as_servers_write_it() {
        let challenge = of(&["Bearer error=\"insufficient_scope\", scope=\"b a\", \
            resource_metadata=\"http://localhost:9000/.well-known/oauth-protected-resource/mcp\", error_description=\"more, \\\"please\\\"\""]);
        assert!(challenge.is_insufficient_scope());
        assert_eq!(challenge.scope, Some(Scopes::parse("a b")));
        let url = "http://localhost:9000/.well-known/oauth-protected-resource/mcp";
        assert_eq!(challenge.resource_metadata.as_deref(), Some(url));
        assert_eq!(of(&["Bearer"]), Challenge::default());
        assert_eq!(of(&[]), Challenge::default());
    }

    #[test]
    fn any_case_and_spacing_and_the_second_of_several_schemes() {
        assert_eq!(scope(&["bEaReR ScOpE = a"]).as_deref(), Some("a"));
        assert_eq!(scope(&["Basic realm=\"x, Bearer scope=y\", Bearer scope=\"a b\""]).as_deref(), Some("a b"));
        assert_eq!(scope(&["Basic realm=\"x\"", "DPoP algs=\"ES256\", , Bearer scope=a"]).as_deref(), Some("a"));
    }

    #[test]
    fn a_quoted_string_stays_one() {
        // A reader that splits at commas, or looks for `scope="`, takes the wrong one.
        assert_eq!(scope(&[r#"Bearer realm="a, scope=\"evil\"", scope="good""#]).as_deref(), Some("good"));
        assert_eq!(of(&[r#"Basic realm="Bearer resource_metadata=\"http://evil.example\"""#]), Challenge::default());
    }

    #[test]
    fn what_is_broken_or_said_twice_says_nothing() {
        assert_eq!(scope(&["Bearer scope=\"a"]), None);
        assert_eq!(scope(&["Bearer scope=\"a\", scope=\"b\""]), None);
        assert_eq!(scope(&["Bearer scope=\"a\u{e9}\""]), None);
        assert_eq!(scope(&["NTLM TlRMTVNTUAAB=, Bearer scope=a", "Bearer scope=b"]).as_deref(), Some("b"));
    }
}
