use std::{fmt, sync::Arc};

use base64::{Engine, prelude::BASE64_STANDARD};
use reqwest::{
    RequestBuilder,
    header::{AUTHORIZATION, CONTENT_TYPE, HeaderValue},
};
use url::form_urlencoded::{Serializer, byte_serialize};

/// A client's id and its secret, which it never shows.
#[derive(Clone)]
pub struct ClientCredentials {
    pub(super) id: Arc<str>,
    secret: Arc<str>,
}

impl ClientCredentials {
    /// This client, with this secret.
    pub fn new(id: impl Into<String>, secret: impl Into<String>) -> Self {
        Self { id: id.into().into(), secret: secret.into().into() }
    }
}

impl fmt::Debug for ClientCredentials {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ClientCredentials").field("id", &self.id).finish_non_exhaustive()
    }
}

/// How a client says who it is (RFC 6749 §2.3.1).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum ClientAuthentication {
    /// `client_secret_basic`: in the header `Authorization`.
    Basic,
    /// `client_secret_post`: in the body.
    Post,
}

impl ClientAuthentication {
    /// Of what the server says it takes. Every server has to take Basic, whatever it says (RFC 6749 §2.3.1).
    pub(super) fn of(supported: Option<&Vec<String>>) -> Self {
        let takes = |name: &str| supported.is_some_and(|methods| methods.iter().any(|method| method == name));
        if !takes("client_secret_basic") && takes("client_secret_post") { Self::Post } else { Self::Basic }
    }
}

impl ClientCredentials {
    /// A request with this form, as this client.
    pub(super) fn send(
        &self,
        request: RequestBuilder,
        how: ClientAuthentication,
        form: &[(&str, &str)],
    ) -> RequestBuilder {
        let mut body = Serializer::new(String::new());
        body.extend_pairs(form);
        let request = match how {
            ClientAuthentication::Basic => request.header(AUTHORIZATION, self.basic()),
            ClientAuthentication::Post => {
                body.extend_pairs([("client_id", &*self.id), ("client_secret", &*self.secret)]);
                request
            }
        };
        request.header(CONTENT_TYPE, "application/x-www-form-urlencoded").body(body.finish())
    }

    /// RFC 6749 §2.3.1: both are form-encoded first, so that a colon or an umlaut in one of them is none here.
    fn basic(&self) -> HeaderValue {
        let encoded = |text: &str| byte_serialize(text.as_bytes()).collect::<String>();
        let pair = format!("{}:{}", encoded(&self.id), encoded(&self.secret));
        // Base64 has no character that would not fit.
        let header = HeaderValue::from_str(&format!("Basic {}", BASE64_STANDARD.encode(pair)));
        let mut header = header.unwrap_or(HeaderValue::from_static("Basic"));
        header.set_sensitive(true);
        header
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn special_characters() {
        let client = ClientCredentials::new("my client:ü", "s%3A+&=/");
        let header = client.basic();
        let pair = BASE64_STANDARD.decode(&header.as_bytes()[6..]).unwrap();
        assert_eq!(String::from_utf8(pair).unwrap(), "my+client%3A%C3%BC:s%253A%2B%26%3D%2F");
        assert!(header.is_sensitive() && !format!("{client:?}").contains("s%"), "{client:?}");
    }

    #[test]
    fn what_a_server_takes() {
        let of = |methods: &[&str]| {
            ClientAuthentication::of(Some(&methods.iter().map(|method| (*method).to_owned()).collect()))
        };
        assert_eq!(ClientAuthentication::of(None), ClientAuthentication::Basic);
        assert_eq!(of(&["private_key_jwt", "client_secret_basic", "client_secret_post"]), ClientAuthentication::Basic);
        assert_eq!(of(&["private_key_jwt", "client_secret_post"]), ClientAuthentication::Post);
        assert_eq!(of(&["private_key_jwt"]), ClientAuthentication::Basic);
    }
}
