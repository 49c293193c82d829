//! What there is, for clients (RFC 8414). OpenID Connect's URLs carry the same document, since clients try them; this is
//! no OpenID provider.

use serde_json::{Value, json};

use crate::{scopes, server::Idp, token::grants};

impl Idp {
    pub(crate) fn metadata(&self) -> Value {
        let url = |path: &str| self.endpoints.url(path);
        let endpoints = &self.endpoints;
        json!({
            "issuer": endpoints.issuer,
            "authorization_endpoint": url(&endpoints.authorize),
            "token_endpoint": url(&endpoints.token),
            "registration_endpoint": url(&endpoints.register),
            "revocation_endpoint": url(&endpoints.revoke),
            "introspection_endpoint": url(&endpoints.introspect),
            "jwks_uri": url(&endpoints.jwks),
            "scopes_supported": scopes::names(&self.catalogue),
            "response_types_supported": ["code"],
            "response_modes_supported": ["query"],
            "grant_types_supported": grants(self.settings.password_grant),
            "token_endpoint_auth_methods_supported": ["none", "client_secret_basic", "client_secret_post"],
            "revocation_endpoint_auth_methods_supported": ["none", "client_secret_basic", "client_secret_post"],
            "introspection_endpoint_auth_methods_supported": ["client_secret_basic", "client_secret_post"],
            "code_challenge_methods_supported": ["S256"],
            "authorization_response_iss_parameter_supported": true,
            "client_id_metadata_document_supported": true,
        })
    }
}
