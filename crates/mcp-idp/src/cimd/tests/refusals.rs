//! What is not fetched, and what is not believed when it was.

use base64::{Engine, prelude::BASE64_STANDARD};
use oauth_as::CimdError;

use super::{site::After, *};

/// Nothing is asked about these, whatever would be there.
#[test]
fn urls_that_are_not_fetched() {
    let policy = metadata::policy(false);
    let refusal = |url: &str| Location::parse(url, &policy).err();
    for (url, expected) in [
        ("http://client.example/oauth/client.json", "https scheme"),
        ("HTTPS://client.example/oauth/client.json", "https scheme"),
        ("https://client.example", "path"),
        ("https://client.example/x?y", "query"),
        ("https://client.example/x#y", "fragment"),
        ("https://user@client.example/x", "userinfo"),
        ("https://client.example/../x", "dot"),
        ("https://client.example\\@evil.example/x", "userinfo"),
        ("https://client.example/x y", "ASCII"),
        ("https:///x", "no host"),
        // Another name for the same place is another client.
        ("https://CLIENT.example/x", "not written as it would be fetched"),
        ("https://client.example:443/x", "not written as it would be fetched"),
        ("https://client.example/%2e%2e/x", "not written as it would be fetched"),
        ("https://client.example/x\\y", "not written as it would be fetched"),
        ("https://client.example:8443/x", "port"),
        ("https://client.example:22/x", "port"),
        // This network, by its addresses.
        ("https://169.254.169.254/latest/meta-data/", "special-use"),
        ("https://127.0.0.1/x", "special-use"),
        ("https://[::1]/x", "special-use"),
        ("https://[::ffff:127.0.0.1]/x", "special-use"),
        ("https://[::ffff:7f00:1]/x", "special-use"),
        ("https://2130706433/x", "special-use"),
        ("https://0x7f.1/x", "special-use"),
        ("https://127.1/x", "special-use"),
        ("https://10.0.0.1/x", "special-use"),
        ("https://[fd00::1]/x", "special-use"),
        ("https://[64:ff9b::a9fe:a9fe]/x", "special-use"),
        // oauth-as knows fewer than IANA.
        ("https://192.175.48.1/x", "public"),
        ("https://[3fff::1]/x", "public"),
        ("https://[4000::1]/x", "public"),
        ("https://[5f00::1]/x", "public"),
        ("https://[2620:4f:8000::1]/x", "public"),
    ] {
        let refusal = refusal(url).expect(url).to_string();
        assert!(refusal.contains(expected), "{url}: {refusal}");
    }
    let long = format!("https://client.example/{}", "x".repeat(2048));
    assert_eq!(refusal(&long), Some(DocumentError::Url(CimdError::UrlTooLong)));
    assert_eq!(refusal(URL), None);
}

#[tokio::test]
async fn a_url_is_looked_at_before_anybody_is_asked() {
    let setup = Setup::with(|settings| settings.loopback = false).await;
    for url in ["http://client.example/x", "https://client.example:8443/x", "https://127.0.0.1/x", "https://[::1]/x"] {
        assert!(setup.documents.resolve(url, ALICE).await.is_err(), "{url}");
    }
    assert_eq!((setup.site.hits(), setup.names.asked.load(Ordering::SeqCst)), (0, 0));
    assert_eq!(setup.documents.known.iter().count(), 0, "nor is anything remembered");
}

#[tokio::test]
async fn a_name_of_this_machine_is_not_asked() {
    let setup = Setup::with(|settings| settings.loopback = false).await;
    setup.site.serve(PATH, good());
    assert_eq!(setup.resolve().await.unwrap_err(), DocumentError::Host);
    assert_eq!(setup.site.hits(), 0);

    let settings = Settings { root_certificates: vec![root_certificate()], ..Settings::default() };
    let documents = Documents::new(settings).unwrap();
    let refusal = documents.resolve("https://localhost/oauth/client.json", ALICE).await.unwrap_err();
    assert_eq!(refusal, DocumentError::Host);
}

#[tokio::test]
async fn one_private_address_among_others_is_too_many() {
    // Not public, and not loopback either; whoever connects to it all the same stays on this machine.
    let private = "0.0.0.0:443".parse().unwrap();
    for order in [|here, there| [here, there], |here, there| [there, here]] {
        let site = Site::up().await;
        site.serve(PATH, good());
        let documents = Documents::new(Settings {
            loopback: true,
            root_certificates: vec![root_certificate()],
            names: Arc::new(Names::at(&order(site.address, private))),
            ..Settings::default()
        });
        assert_eq!(documents.unwrap().resolve(URL, ALICE).await.unwrap_err(), DocumentError::Host);
        assert_eq!(site.hits(), 0);
    }
}

#[tokio::test]
async fn nobody_learns_what_is_inside() {
    let setup = Setup::with(|settings| settings.loopback = false).await;
    let private = setup.resolve().await.unwrap_err();
    let none = setup.documents.resolve("https://nowhere.example/x", ALICE).await.unwrap_err();
    assert_eq!(private, none, "a name with a private address, and a name without any");
    assert!(!private.to_string().contains("127"), "{private}");
}

#[tokio::test]
async fn loopback_has_any_port() {
    let setup = Setup::with(|settings| settings.names = Settings::default().names).await;
    for host in ["localhost", "127.0.0.1"] {
        let url = format!("https://{host}:{}{PATH}", setup.site.address.port());
        setup.site.serve(PATH, Reply::json(document(&url).to_string()));
        assert_eq!(setup.documents.resolve(&url, ALICE).await.unwrap().host, host);
    }
}

#[tokio::test]
async fn a_certificate_has_to_be_valid() {
    let setup = Setup::with(|settings| settings.root_certificates = Vec::new()).await;
    setup.site.serve(PATH, good());
    assert_eq!(setup.resolve().await.unwrap_err(), DocumentError::Connection, "an authority that nobody trusts");

    let site = Site::up().await;
    let documents =
        Documents::new(Settings { loopback: true, root_certificates: vec![root_certificate()], ..Settings::default() });
    let url = format!("https://[::1]:{}{PATH}", site.address.port());
    assert_eq!(documents.unwrap().resolve(&url, ALICE).await.unwrap_err(), DocumentError::Connection);
    let url = format!("https://127.0.0.2:{}{PATH}", site.address.port());
    assert_eq!(Setup::new().await.documents.resolve(&url, ALICE).await.unwrap_err(), DocumentError::Connection);
}

/// What is answered is not a document.
#[tokio::test]
async fn answers_that_are_not_read() {
    use DocumentError::{Compressed, ContentType, Status};
    let elsewhere = good().status("302 Found").header("location", "https://client.example/elsewhere");
    for (reply, expected) in [
        (elsewhere, Status(302)),
        (good().status("301 Moved Permanently").header("location", URL), Status(301)),
        (good().status("201 Created"), Status(201)),
        (good().status("203 Non-Authoritative Information"), Status(203)),
        (good().status("304 Not Modified"), Status(304)),
        (good().status("401 Unauthorized"), Status(401)),
        (good().status("404 Not Found"), Status(404)),
        (good().status("500 Internal Server Error"), Status(500)),
        (good().header("content-type", "text/html"), ContentType),
        (good().header("content-type", "text/plain; charset=utf-8"), ContentType),
        (good().header("content-type", "application/jsonp"), ContentType),
        (good().header("content-type", "text/x+json"), ContentType),
        (good().header("content-type", "application/octet-stream, application/json"), ContentType),
        (good().header("content-type", ""), ContentType),
        (good().header("content-encoding", "gzip"), Compressed),
        (good().header("content-encoding", "identity, br"), Compressed),
    ] {
        let setup = Setup::serving(reply).await;
        setup.site.serve("/elsewhere", good());
        assert_eq!(setup.resolve().await.unwrap_err(), expected);
        assert_eq!(setup.site.hits(), 1, "{expected}");
    }
    let mut untyped = good();
    untyped.headers.clear();
    assert_eq!(Setup::serving(untyped).await.resolve().await.unwrap_err(), ContentType);
    let mut ambiguous = good();
    ambiguous.headers.push(("content-type", "text/html".to_owned()));
    assert_eq!(Setup::serving(ambiguous).await.resolve().await.unwrap_err(), ContentType);
}

#[tokio::test]
async fn json_of_any_kind_is_read() {
    for media_type in [
        "application/json; charset=utf-8",
        "Application/JSON",
        "application/oauth-client+json",
        "application/json ;x=y",
    ] {
        let setup = Setup::serving(good().header("content-type", media_type)).await;
        assert!(setup.resolve().await.is_ok(), "{media_type}");
    }
}

#[tokio::test]
async fn a_document_has_5_kilobytes() {
    let mut largest = document(URL).to_string().into_bytes();
    largest.resize(5120, b' ');
    let mut too_large = largest.clone();
    too_large.push(b' ');
    for length in [None, Some(5120), Some(5121), Some(1_000_000)] {
        let announced = |reply: Reply| match length {
            Some(length) => reply.header("content-length", &length.to_string()),
            None => reply,
        };
        if length.is_none_or(|length| length == 5120) {
            assert!(
                Setup::serving(announced(Reply::json(largest.clone()))).await.resolve().await.is_ok(),
                "{length:?}"
            );
        }
        if length.is_none_or(|length| length > 5120) {
            let setup = Setup::serving(announced(Reply::json(too_large.clone()))).await;
            assert_eq!(setup.resolve().await.unwrap_err(), DocumentError::TooLarge, "{length:?}");
        }
    }
    let endless = Setup::serving(good().then(After::Flood)).await;
    assert_eq!(endless.resolve().await.unwrap_err(), DocumentError::TooLarge);
    let endless = Setup::serving(good().header("content-length", "9007199254740993").then(After::Flood)).await;
    assert_eq!(endless.resolve().await.unwrap_err(), DocumentError::TooLarge);
}

#[tokio::test]
async fn what_breaks_off_is_no_document() {
    let setup = Setup::serving(good().header("content-length", "5000")).await;
    assert_eq!(setup.resolve().await.unwrap_err(), DocumentError::Connection);
}

#[tokio::test]
async fn nothing_is_unpacked() {
    // A good document, for whoever unpacks it.
    let packed = BASE64_STANDARD
        .decode(concat!(
            "H4sIAAAAAAACA6tWSs7JTM0ric9MUbJSUMooKSkottLXhwjqpVYk5hbkpOrnJ5aWZMAEs4rz85R0FGAa8xJzU0FaXSFqQTJFqSmZ",
            "RanJJfGlRZnFQLloXOYmJ+bkJCUmZyvF1gIAOSBfH4kAAAA="
        ))
        .unwrap();
    let setup = Setup::serving(Reply::json(packed.clone()).header("content-encoding", "gzip")).await;
    assert_eq!(setup.resolve().await.unwrap_err(), DocumentError::Compressed);
    let setup = Setup::serving(Reply::json(packed)).await;
    assert_eq!(setup.resolve().await.unwrap_err(), DocumentError::NotJson { line: 1, column: 1 });
}

#[tokio::test]
async fn a_deadline_is_over_everything() {
    let deadline = Duration::from_millis(200);
    let hurried = |settings: &mut Settings| settings.deadline = deadline;

    let setup = Setup::with(hurried).await;
    setup.site.serve(PATH, good().then(After::Drip));
    assert_eq!(setup.resolve().await.unwrap_err(), DocumentError::Deadline(deadline), "the body");

    let setup = Setup::with(hurried).await;
    let (reply, _gate) = good().held();
    setup.site.serve(PATH, reply);
    assert_eq!(setup.resolve().await.unwrap_err(), DocumentError::Deadline(deadline), "the head");

    let silent = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let names = Arc::new(Names::at(&[silent.local_addr().unwrap()]));
    let settings = Settings { loopback: true, deadline, names, ..Settings::default() };
    let documents = Documents::new(settings).unwrap();
    assert_eq!(documents.resolve(URL, ALICE).await.unwrap_err(), DocumentError::Deadline(deadline), "the handshake");

    struct Silent;
    impl Resolve for Silent {
        fn resolve(&self, _: reqwest::dns::Name) -> reqwest::dns::Resolving {
            Box::pin(std::future::pending())
        }
    }
    let settings = Settings { loopback: true, deadline, names: Arc::new(Silent), ..Settings::default() };
    let documents = Documents::new(settings).unwrap();
    assert_eq!(documents.resolve(URL, ALICE).await.unwrap_err(), DocumentError::Deadline(deadline), "the name");
}

/// The document is there, and it is no client's.
#[test]
fn documents_that_are_not_believed() {
    use DocumentError::{Grant, Member, Name, NotAnObject, NotJson, RedirectUris, Refused};
    let with = |member: &str, value: Value| {
        let mut document = document(URL);
        document[member] = value;
        document.to_string()
    };
    let without = |member: &str| {
        let mut document = document(URL);
        document.as_object_mut().unwrap().remove(member);
        document.to_string()
    };
    let twice = |member: &str| document(URL).to_string().replacen('{', &format!("{{{member},"), 1);
    let not_json = |column| NotJson { line: 1, column };
    let deep = format!("{}{}", "[".repeat(2000), "]".repeat(2000));

    for (document, expected) in [
        (String::new(), not_json(0)),
        ("<html>".to_owned(), not_json(0)),
        ("null".to_owned(), NotAnObject),
        (format!("[{}]", document(URL)), NotAnObject),
        (
            json!([
                URL,
                "Example",
                null,
                ["https://client.example/callback"],
                null,
                null,
                null,
                null,
                null,
                null,
                null,
                null
            ])
            .to_string(),
            NotAnObject,
        ),
        (document(URL).to_string() + "{}", not_json(0)),
        (document(URL).to_string().replace("Example", "\u{1}"), not_json(0)),
        (format!("\u{feff}{}", document(URL)), not_json(0)),
        (format!("{{\"unknown\":{deep}"), not_json(0)),
        (with("jwks", Value::Null).replace("null", &deep), not_json(0)),
        // Each member has one value, of its type.
        (twice(&format!("\"client_id\":\"{URL}\"")), Member { line: 1, column: 0 }),
        (twice("\"client_name\":\"Example\""), Member { line: 1, column: 0 }),
        (twice("\"redirect_uris\":[]"), Member { line: 1, column: 0 }),
        (twice("\"redirect_\\u0075ris\":[]"), Member { line: 1, column: 0 }),
        (with("client_name", json!(["Example"])), Member { line: 1, column: 0 }),
        (with("redirect_uris", json!("https://client.example/callback")), Member { line: 1, column: 0 }),
        (with("redirect_uris", json!(["https://client.example/callback", 1])), Member { line: 1, column: 0 }),
        // Whose it is.
        (with("client_id", json!("https://client.example/oauth/client")), Refused(CimdError::ClientIdMismatch)),
        (with("client_id", json!("https://client.example/oauth/client.json/")), Refused(CimdError::ClientIdMismatch)),
        (with("client_id", json!("https://Client.example/oauth/client.json")), Refused(CimdError::ClientIdMismatch)),
        (
            with("client_id", json!("https://claude.ai/oauth/claude-code-client-metadata")),
            Refused(CimdError::ClientIdMismatch),
        ),
        (without("client_id"), Refused(CimdError::MissingClientId)),
        // A name that can be shown.
        (without("client_name"), Name),
        (with("client_name", json!("")), Name),
        (with("client_name", json!(" \t")), Name),
        (with("client_name", json!("\u{200b}")), Name),
        (with("client_name", json!("…")), Name),
        (with("client_name", json!("x".repeat(101))), Name),
        (with("client_name", json!("Your\nbank")), Name),
        (with("client_name", json!("Example \u{202e}knab")), Name),
        // Somewhere to send a code.
        (without("redirect_uris"), RedirectUris),
        (with("redirect_uris", json!([])), RedirectUris),
        (with("redirect_uris", json!(["javascript:alert(1)"])), RedirectUris),
        (with("redirect_uris", json!(["http://client.example/", "app:/x", "https://u@client.example/"])), RedirectUris),
        // A grant that is offered.
        (with("grant_types", json!([])), Grant),
        (with("grant_types", json!(["client_credentials", "refresh_token"])), Grant),
        // Nobody's secret is published.
        (with("client_secret", json!("s3cret")), Refused(CimdError::ClientSecretPresent)),
        (with("client_secret_expires_at", json!(0)), Refused(CimdError::ClientSecretPresent)),
        (with("token_endpoint_auth_method", json!("client_secret_basic")), Refused(CimdError::SharedSecretAuthMethod)),
        (with("jwks", json!({ "keys": [] })), Refused(CimdError::KeyMaterialPresent)),
        (with("jwks_uri", json!("https://client.example/jwks")), Refused(CimdError::KeyMaterialPresent)),
    ] {
        let policy = metadata::policy(false);
        let location = Location::parse(URL, &policy).unwrap();
        let refusal = metadata::read(&location, document.as_bytes(), &policy).expect_err(&document);
        // Where a parser gives up is its own affair.
        let refusal = match refusal {
            NotJson { .. } => not_json(0),
            Member { .. } => Member { line: 1, column: 0 },
            other => other,
        };
        assert_eq!(refusal, expected, "{document}");
    }
    for (member, value) in [
        ("token_endpoint_auth_method", json!("private_key_jwt")),
        ("token_endpoint_auth_method", json!("tls_client_auth")),
        ("response_types", json!(["code", "token"])),
        ("response_types", json!([])),
        ("software_statement", json!("e30.e30.")),
        ("redirect_uris", (0..17).map(|n| format!("https://client.example/{n}")).collect()),
    ] {
        let policy = metadata::policy(false);
        let location = Location::parse(URL, &policy).unwrap();
        let refusal = metadata::read(&location, with(member, value.clone()).as_bytes(), &policy).expect_err(member);
        assert!(matches!(refusal, Refused(CimdError::Metadata(_))), "{member} {value}: {refusal}");
    }
}

#[test]
fn a_refusal_quotes_nothing() {
    let policy = metadata::policy(false);
    let location = Location::parse(URL, &policy).unwrap();
    for document in [r#"{"client_id": ["<script>"]}"#, r#"{"client_name": 7777, "<script>": }"#, "{<script>"] {
        let refusal = metadata::read(&location, document.as_bytes(), &policy).unwrap_err().to_string();
        assert!(!refusal.contains("script") && !refusal.contains("7777") && refusal.contains("line 1"), "{refusal}");
    }
}
