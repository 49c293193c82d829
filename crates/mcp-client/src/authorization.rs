//! The request that the person carries to the authorization server, and the answer that they bring back.

use oauth2::{CsrfToken, PkceCodeChallenge, PkceCodeVerifier};
use url::{Url, form_urlencoded};

use crate::{
    Scopes,
    error::{Error, Fault},
    observer::{Step, shown},
};

const STEP: Step = Step::Callback;

/// A request that was sent and not answered yet: what its answer is judged by.
#[derive(Debug)]
pub(crate) struct Pending {
    pub(crate) url: Url,
    pub(crate) redirect_uri: Url,
    pub(crate) verifier: PkceCodeVerifier,
    state: CsrfToken,
    issuer: String,
    /// RFC 9207 §3.
    iss_is_promised: bool,
}

/// Where it is asked, for what, and by whom.
pub(crate) struct Asked<'a> {
    pub(crate) endpoint: &'a Url,
    pub(crate) issuer: &'a str,
    pub(crate) iss_is_promised: bool,
    pub(crate) client_id: &'a str,
    pub(crate) redirect_uri: Url,
    pub(crate) resource: &'a str,
    pub(crate) scopes: &'a Scopes,
}

impl Pending {
    pub(crate) fn new(asked: Asked<'_>) -> Self {
        let (challenge, verifier) = PkceCodeChallenge::new_random_sha256();
        let state = CsrfToken::new_random_len(32);
        // An endpoint may have a query of its own, which stays (RFC 6749 §3.1).
        let mut url = asked.endpoint.clone();
        url.query_pairs_mut()
            .append_pair("response_type", "code")
            .append_pair("client_id", asked.client_id)
            .append_pair("redirect_uri", asked.redirect_uri.as_str())
            .append_pair("state", state.secret())
            .append_pair("code_challenge", challenge.as_str())
            .append_pair("code_challenge_method", "S256")
            .append_pair("resource", asked.resource);
        if !asked.scopes.is_empty() {
            url.query_pairs_mut().append_pair("scope", &asked.scopes.to_string());
        }
        Self {
            url,
            redirect_uri: asked.redirect_uri,
            verifier,
            state,
            issuer: asked.issuer.to_owned(),
            iss_is_promised: asked.iss_is_promised,
        }
    }

    /// Whether an answer is to this request; how much of the state is right takes no part in how long that takes.
    pub(crate) fn is_ours(&self, query: &str) -> bool {
        let state = single(query, "state").ok().flatten();
        state.is_some_and(|state| {
            aws_lc_rs::constant_time::verify_slices_are_equal(state.as_bytes(), self.state.secret().as_bytes()).is_ok()
        })
    }

    /// The code of an answer to this request and of this server, before anything is done with it.
    pub(crate) fn code(&self, query: &str) -> Result<String, Error> {
        let mixed = |why: String| Error::new(STEP, Fault::Mixed(why));
        if !self.is_ours(query) {
            return Err(mixed(
                "it does not have this request's state: it answers somebody else's (RFC 6749 §10.12)".to_owned(),
            ));
        }
        // RFC 9207 §2.4, for errors too. To the letter: who normalises can be made to see two as one.
        match single(query, "iss")? {
            Some(iss) if iss != self.issuer => {
                return Err(mixed(format!(
                    "it is from {}, and {} was asked: two servers are being mixed up (RFC 9207 §2.4)",
                    shown(&iss),
                    self.issuer
                )));
            }
            None if self.iss_is_promised => {
                return Err(mixed(format!(
                    "it does not say that it is from {}, which promises to (RFC 9207 §2.4)",
                    self.issuer
                )));
            }
            _ => {}
        }
        if let Some(error) = single(query, "error")? {
            let (error, said) = (shown(&error), single(query, "error_description")?.map(|said| shown(&said)));
            return Err(Error::new(
                STEP,
                match error.as_str() {
                    "access_denied" | "consent_required" => Fault::Denied { error, said },
                    _ => Fault::OAuth { error, said },
                },
            ));
        }
        single(query, "code")?.ok_or_else(|| mixed("it has neither a code nor an error".to_owned()))
    }

    /// Whether a URL is the one that the answer comes to.
    pub(crate) fn is_answer(&self, url: &Url) -> bool {
        url.origin() == self.redirect_uri.origin() && url.path() == self.redirect_uri.path()
    }
}

/// A parameter; there is none that may stand twice (RFC 6749 §3.1).
fn single(query: &str, name: &str) -> Result<Option<String>, Error> {
    let mut found = form_urlencoded::parse(query.as_bytes()).filter(|(other, _)| other == name);
    let first = found.next().map(|(_, value)| value.into_owned());
    match found.next() {
        None => Ok(first),
        Some(_) => {
            Err(Error::new(STEP, Fault::Mixed(format!("it has {name} twice, and who reads which is anybody's guess"))))
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn pending(iss_is_promised: bool) -> Pending {
        Pending::new(Asked {
            endpoint: &Url::parse("https://idp.example/authorize?tenant=1").unwrap(),
            issuer: "https://idp.example",
            iss_is_promised,
            client_id: "https://client.example/metadata.json",
            redirect_uri: Url::parse("http://127.0.0.1:1234/callback").unwrap(),
            resource: "https://mcp.example/mcp",
            scopes: &Scopes::parse("mcp:read"),
        })
    }

    /// Of an answer with the right state.
    fn answer(pending: &Pending, rest: &str) -> Result<String, Error> {
        pending.code(&format!("state={}&{rest}", pending.state.secret()))
    }

    #[test]
    fn the_request_has_everything() {
        let pending = pending(true);
        let has = |name: &str| pending.url.query_pairs().find(|(other, _)| other == name).map(|(_, v)| v.into_owned());
        assert_eq!(has("tenant").as_deref(), Some("1"));
        assert_eq!(has("response_type").as_deref(), Some("code"));
        assert_eq!(has("resource").as_deref(), Some("https://mcp.example/mcp"));
        assert_eq!(has("code_challenge_method").as_deref(), Some("S256"));
        let challenge = PkceCodeChallenge::from_code_verifier_sha256(&pending.verifier);
        assert_eq!(has("code_challenge").as_deref(), Some(challenge.as_str()));
        assert!(has("state").unwrap().len() >= 43 && has("code_verifier").is_none());
        assert_ne!(
            has("state"),
            super::tests::pending(true).url.query_pairs().find(|(n, _)| n == "state").map(|(_, v)| v.into_owned())
        );
    }

    #[test]
    fn an_answer_to_another_request_is_none() {
        let pending = pending(false);
        for query in [
            "code=x",
            "code=x&state=",
            "code=x&state=y",
            &format!("code=x&state={0}&state={0}", pending.state.secret()),
        ] {
            assert!(matches!(pending.code(query).unwrap_err().fault, Fault::Mixed(_)), "{query}");
        }
        assert_eq!(answer(&pending, "code=x").unwrap(), "x");
    }

    #[test]
    fn the_issuer_of_an_answer() {
        // (promised, iss, let through)
        for (promised, iss, good) in [
            (true, Some("https://idp.example"), true),
            (true, None, false),
            (false, None, true),
            (false, Some("https://idp.example"), true),
            (true, Some("https://evil.example"), false),
            (false, Some("https://evil.example"), false),
            (true, Some("https://idp.example/"), false),
            (true, Some("HTTPS://IDP.EXAMPLE"), false),
            (true, Some("https://idp.example:443"), false),
            (true, Some(""), false),
        ] {
            let pending = pending(promised);
            for what in ["code=x", "error=access_denied"] {
                let iss = iss.map_or_else(String::new, |iss| format!("&iss={iss}"));
                let mixed =
                    matches!(answer(&pending, &format!("{what}{iss}")), Err(Error { fault: Fault::Mixed(_), .. }));
                assert_eq!(mixed, !good, "{promised} {iss} {what}");
            }
        }
        let twice = answer(&pending(true), "code=x&iss=https://idp.example&iss=https://evil.example");
        assert!(matches!(twice.unwrap_err().fault, Fault::Mixed(_)));
    }

    #[test]
    fn a_no_is_told_from_a_mistake_and_fit_for_a_terminal() {
        let pending = pending(false);
        let no = answer(&pending, "error=access_denied&error_description=not%20today%1b[2J").unwrap_err();
        assert!(no.is_denied() && no.to_string().contains("not today\u{fffd}[2J"), "{no}");
        assert!(!answer(&pending, "error=invalid_scope").unwrap_err().is_denied());
        assert!(answer(&pending, "code=x&code=y").is_err() && answer(&pending, "").is_err());
    }
}
