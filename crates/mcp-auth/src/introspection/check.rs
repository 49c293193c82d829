//! What can be wrong with the setup, found out when the server starts.

use std::{sync::Arc, time::SystemTime};

use reqwest::StatusCode;
use serde_json::Value;

use super::{
    ClientAuthentication, Introspection, Shared,
    question::{Answer, Fault, object},
    search::Endpoint,
};
use crate::{
    DiscoveryError, ResourceUri, TokenError,
    provider::{JSON, body, within},
    strict_json,
};

/// What no issuer has issued.
const MADE_UP: &str = "made-up-by-a-resource-server-to-see-whether-it-is-answered";

/// Why introspection does not work, or cannot be shown to: a sentence for the operator.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum IntrospectionProblem {
    /// The issuer's metadata, which says where to ask, cannot be had.
    #[error(transparent)]
    Discovery(#[from] DiscoveryError),
    /// The issuer offers no introspection.
    #[error("{issuer} has no introspection endpoint in its metadata; verify signatures, or name the endpoint")]
    NotOffered {
        /// Which issuer.
        issuer: String,
    },
    /// No connection, no answer in time, or no answer of an introspection endpoint.
    #[error("{0}")]
    NoAnswer(String),
    /// The client's id and secret were not accepted.
    #[error("the client secret of {client:?} is wrong, or there is no such client at {issuer}")]
    ClientRefused {
        /// The client's id.
        client: String,
        /// Who refused it.
        issuer: String,
    },
    /// What answers believes everything.
    #[error("the introspection endpoint calls a made-up token active: nothing it says can be believed")]
    BelievesAnything,
    /// The client gets no token of its own to try with: nothing is known to be wrong.
    #[error("whether {client:?} may introspect tokens could not be checked: {why}")]
    NotChecked {
        /// The client's id.
        client: String,
        /// Why it has no token.
        why: String,
    },
    /// Keycloak from 26 on tells a client about a token that names it in its audience, and about no other.
    #[error(
        "{client:?} gets a good token and is told that it is inactive: it is not in the token's audience. In Keycloak the \
         scope{} needs a mapper of the type Audience with \"Included Client Audience\" = {client}", of_scope(.scope)
    )]
    NotInAudience {
        /// The client's id.
        client: String,
        /// The scope that was asked for.
        scope: Option<String>,
    },
    /// Tokens are for somebody else.
    #[error(
        "a token that the issuer gives out is not for {resource}. In Keycloak the scope{} needs a mapper of the type \
         Audience with \"Included Custom Audience\" = {resource}", of_scope(.scope)
    )]
    NotForResource {
        /// What it should be for.
        resource: String,
        /// The scope that was asked for.
        scope: Option<String>,
    },
    /// Tokens would be refused for another reason.
    #[error("a token that the issuer gives out is refused: {}", .0.description())]
    Refused(TokenError),
}

impl IntrospectionProblem {
    /// Whether no token can ever be accepted until the operator does something. What else there is mends itself, or was
    /// found with a token of the client's own, which others need not share.
    pub const fn is_final(&self) -> bool {
        matches!(self, Self::NotOffered { .. } | Self::ClientRefused { .. } | Self::BelievesAnything)
    }
}

fn of_scope(scope: &Option<String>) -> String {
    scope.as_ref().map_or_else(String::new, |scope| format!(" {scope}"))
}

impl Introspection {
    /// Asks about a made-up token: is the endpoint there, does it know the client, does it tell good from bad?
    ///
    /// # Errors
    /// If not.
    pub async fn check(&self) -> Result<(), IntrospectionProblem> {
        let endpoint = self.shared.endpoint_now().await?;
        match self.shared.ask_within(&endpoint, MADE_UP).await? {
            Answer::Inactive => {
                self.shared.answered();
                Ok(())
            }
            Answer::Active(_) => Err(IntrospectionProblem::BelievesAnything),
        }
    }

    /// [`Introspection::check`], then asks about a real token, which the client gets for itself (`client_credentials`) with
    /// this scope: would it be accepted?
    ///
    /// # Errors
    /// If not. [`IntrospectionProblem::NotChecked`] if the client may have no token of its own, which says nothing about
    /// those of others.
    pub async fn self_test(&self, scope: Option<&str>) -> Result<(), IntrospectionProblem> {
        self.check().await?;
        let shared = &self.shared;
        let token = shared.own_token(scope).await?;
        let scope = scope.map(str::to_owned);
        let endpoint = shared.endpoint_now().await?;
        let Answer::Active(claims) = shared.ask_within(&endpoint, &token).await? else {
            return Err(IntrospectionProblem::NotInAudience { client: shared.client.id.to_string(), scope });
        };
        match shared.expected.of_introspected(claims, SystemTime::now()) {
            Ok(_) => Ok(()),
            Err(TokenError::Audience) => {
                Err(IntrospectionProblem::NotForResource { resource: shared.resource.clone(), scope })
            }
            Err(error) => Err(IntrospectionProblem::Refused(error)),
        }
    }
}

impl Shared {
    /// The endpoint if it is known; if not it is sought now, to be able to say why.
    async fn endpoint_now(&self) -> Result<Arc<Endpoint>, IntrospectionProblem> {
        if let Some(endpoint) = self.endpoint.borrow().endpoint() {
            return Ok(endpoint);
        }
        self.discover().await.map(Arc::new).map_err(|fault| self.problem(fault))
    }

    async fn ask_within(&self, endpoint: &Endpoint, token: &str) -> Result<Answer, IntrospectionProblem> {
        let answer = within(self.timeout, self.question(endpoint, token)).await;
        answer.map_err(|fault| {
            self.tell(&fault);
            self.problem(fault)
        })
    }

    fn problem(&self, fault: Fault) -> IntrospectionProblem {
        let issuer = self.expected.issuer.to_string();
        match fault {
            Fault::Discovery(error) => error.into(),
            Fault::NotOffered => IntrospectionProblem::NotOffered { issuer },
            Fault::ClientRefused => IntrospectionProblem::ClientRefused { client: self.client.id.to_string(), issuer },
            fault => IntrospectionProblem::NoAnswer(self.in_words(&fault)),
        }
    }

    /// An access token for the client itself (RFC 6749 §4.4). Its secret is known to be right by now.
    async fn own_token(&self, scope: Option<&str>) -> Result<String, IntrospectionProblem> {
        let not_checked = |why: String| IntrospectionProblem::NotChecked { client: self.client.id.to_string(), why };
        let metadata = self.metadata().await.map_err(|fault| not_checked(fault.to_string()))?;
        let url = metadata.token_endpoint.ok_or_else(|| not_checked("there is no token endpoint".to_owned()))?;
        let supported = metadata.token_endpoint_auth_methods_supported.as_ref();
        let how = self.authentication.unwrap_or_else(|| ClientAuthentication::of(supported));
        let mut form = vec![("grant_type", "client_credentials")];
        form.extend(scope.map(|scope| ("scope", scope)));
        if self.resource.parse::<ResourceUri>().is_ok() {
            // As an MCP client has to (RFC 8707 §2.2).
            form.push(("resource", &self.resource));
        }
        let asked = within(self.timeout, async {
            let answer = self.client.send(self.http.post(&url, JSON), how, &form).send().await?;
            if answer.status() == StatusCode::OK {
                return object(answer).await.map(Ok);
            }
            let status = answer.status();
            let error = strict_json::object(&body(answer).await?).unwrap_or_default();
            let text = |member: &str| error.get(member).and_then(Value::as_str).map(crate::shown::shown);
            Ok::<_, Fault>(Err((status, text("error"), text("error_description"))))
        });
        let why = match asked.await {
            Err(fault) => format!("{url}: {fault}"),
            Ok(Ok(answer)) => {
                let text = |member: &str| answer.get(member).and_then(Value::as_str);
                // RFC 6749 §5.1: said where it differs. Keycloak leaves out a scope that the client does not have.
                let granted = |wanted: &str| text("scope").is_none_or(|all| all.split(' ').any(|one| one == wanted));
                match (text("access_token"), scope.filter(|wanted| !granted(wanted))) {
                    (Some(token), None) => return Ok(token.to_owned()),
                    (Some(_), Some(scope)) => format!(
                        "it is given no token with the scope {scope}: the scope is not assigned to it (or, in Keycloak, its \
                         service account has none of the roles in the scope's \"Scope\" tab)"
                    ),
                    (None, _) => format!("{url}: its answer has no access_token"),
                }
            }
            Ok(Err((_, Some(error), _)))
                if error.contains("unauthorized_client") || error.contains("unsupported_grant") =>
            {
                "it may not get tokens of its own (in Keycloak: \"Service accounts roles\" is off)".to_owned()
            }
            Ok(Err((status, error, description))) => {
                let told: Vec<String> = error.into_iter().chain(description).collect();
                format!("{url} refuses it a token: {status} {}", told.join(" "))
            }
        };
        Err(not_checked(why))
    }
}
