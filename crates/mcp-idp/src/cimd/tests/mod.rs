//! Documents over https from a site on loopback: what is refused first, then what is remembered and what is limited.

mod clients;
mod refusals;
mod site;

use std::sync::atomic::Ordering;

use serde_json::{Value, json};

use self::site::{Names, Reply, Site, root_certificate};
use url::Url;

use super::*;

const PATH: &str = "/oauth/client.json";
const URL: &str = "https://client.example/oauth/client.json";
const ALICE: IpAddr = IpAddr::V4(std::net::Ipv4Addr::new(203, 0, 113, 7));
const BOB: IpAddr = IpAddr::V4(std::net::Ipv4Addr::new(198, 51, 100, 1));

/// A document with nothing wrong.
fn document(url: &str) -> Value {
    json!({
        "client_id": url,
        "client_name": "Example",
        "redirect_uris": ["https://client.example/callback"],
    })
}

fn good() -> Reply {
    Reply::json(document(URL).to_string())
}

/// A site, and documents that are fetched from it whatever the name.
struct Setup {
    site: Site,
    names: Arc<Names>,
    documents: Arc<Documents>,
}

impl Setup {
    async fn new() -> Self {
        Self::with(|_| {}).await
    }

    /// Where this machine is allowed, and `change` what else is.
    async fn with(change: impl FnOnce(&mut Settings)) -> Self {
        let site = Site::up().await;
        let names = Arc::new(Names::at(&[site.address]));
        let mut settings = Settings {
            loopback: true,
            root_certificates: vec![root_certificate()],
            // Long enough for a busy machine.
            deadline: Duration::from_secs(20),
            names: Arc::clone(&names) as Arc<dyn Resolve>,
            ..Settings::default()
        };
        change(&mut settings);
        let documents = Arc::new(Documents::new(settings).unwrap());
        Self { site, names, documents }
    }

    async fn serving(reply: Reply) -> Self {
        let setup = Self::new().await;
        setup.site.serve(PATH, reply);
        setup
    }

    async fn resolve(&self) -> Result<Arc<Document>, DocumentError> {
        self.documents.resolve(URL, ALICE).await
    }
}

/// Time passes, for what is remembered; what is under way does not notice.
async fn pass(duration: Duration) {
    tokio::time::pause();
    tokio::time::advance(duration).await;
    tokio::time::resume();
}

#[test]
fn what_is_a_url() {
    for client_id in [URL, "http://client.example/x", "HTTPS://client.example/x", "https://", "hTTp://"] {
        assert!(Documents::is_document_url(client_id), "{client_id}");
    }
    for client_id in
        ["", "agent", "https", "https:/client.example", " https://client.example/", "ftp://a/b", "ä://x", "https:ß//"]
    {
        assert!(!Documents::is_document_url(client_id), "{client_id}");
    }
}

#[tokio::test]
async fn a_document_is_a_client() {
    let mut described = document(URL);
    described["scope"] = json!("mcp:admin anything");
    described["grant_types"] = json!(["refresh_token", "authorization_code", "client_credentials", "urn:example"]);
    let setup = Setup::serving(Reply::json(described.to_string())).await;
    let document = setup.resolve().await.unwrap();
    assert_eq!(document.client.client_id.as_str(), URL);
    assert!(matches!(document.client.auth, oauth_as::ClientAuth::Public));
    assert_eq!(document.client.name.as_deref(), Some("Example"));
    assert_eq!(document.client.redirect_uris, ["https://client.example/callback"]);
    let grants: Vec<_> = document.client.grant_types.iter().map(|grant| grant.as_str()).collect();
    assert_eq!(grants, ["refresh_token", "authorization_code"]);
    assert!(document.client.allowed_scopes.is_empty() && document.client.default_scopes.is_empty());
    assert_eq!(document.host, "client.example");

    let request = setup.site.last_request().to_ascii_lowercase();
    assert!(
        request.starts_with("get /oauth/client.json http/1.1\r\n") && request.contains("\r\nhost: client.example\r\n")
    );
    assert!(request.contains("\r\naccept: application/json\r\n"), "{request}");
    for absent in ["accept-encoding", "authorization", "cookie", "referer", "203.0.113.7"] {
        assert!(!request.contains(absent), "{request}");
    }
    assert_eq!(setup.names.asked.load(Ordering::SeqCst), 1, "one answer is checked and connected to");
}

#[tokio::test]
async fn a_document_is_remembered_for_as_long_as_it_says() {
    let setup = Setup::serving(good().header("cache-control", "max-age=600")).await;
    let first = setup.resolve().await.unwrap();
    for _ in 0..100 {
        assert!(Arc::ptr_eq(&setup.resolve().await.unwrap(), &first));
    }
    pass(Duration::from_secs(599)).await;
    setup.resolve().await.unwrap();
    assert_eq!(setup.site.hits(), 1);
    pass(Duration::from_secs(1)).await;
    setup.resolve().await.unwrap();
    assert_eq!(setup.site.hits(), 2);
}

#[tokio::test]
async fn not_to_be_stored_is_a_minute() {
    let setup = Setup::serving(good().header("cache-control", "no-store")).await;
    setup.resolve().await.unwrap();
    pass(Duration::from_secs(59)).await;
    setup.resolve().await.unwrap();
    assert_eq!(setup.site.hits(), 1);
    pass(Duration::from_secs(1)).await;
    setup.resolve().await.unwrap();
    assert_eq!(setup.site.hits(), 2);
}

#[tokio::test]
async fn a_document_that_is_gone_stops_working() {
    let setup = Setup::serving(good().header("cache-control", "max-age=60")).await;
    setup.resolve().await.unwrap();
    setup.site.serve(PATH, good().status("404 Not Found"));
    setup.resolve().await.unwrap();
    pass(Duration::from_secs(60)).await;
    assert_eq!(setup.resolve().await.unwrap_err(), DocumentError::Status(404));
}

#[tokio::test]
async fn a_document_that_changes_is_another_client() {
    let setup = Setup::serving(good().header("cache-control", "max-age=60")).await;
    setup.resolve().await.unwrap();
    let mut changed = document(URL);
    changed["redirect_uris"] = json!(["https://client.example/elsewhere"]);
    setup.site.serve(PATH, Reply::json(changed.to_string()));
    pass(Duration::from_secs(60)).await;
    assert_eq!(setup.resolve().await.unwrap().client.redirect_uris, ["https://client.example/elsewhere"]);
}

#[tokio::test]
async fn after_a_failure_there_is_a_pause() {
    let setup = Setup::serving(good().status("503 Service Unavailable")).await;
    for _ in 0..100 {
        assert_eq!(setup.resolve().await.unwrap_err(), DocumentError::Status(503));
    }
    assert_eq!(setup.site.hits(), 1);
    setup.site.serve(PATH, good());
    pass(PAUSE - Duration::from_secs(1)).await;
    assert!(setup.resolve().await.is_err());
    pass(Duration::from_secs(1)).await;
    setup.resolve().await.unwrap();
    assert_eq!(setup.site.hits(), 2);
}

#[tokio::test]
async fn a_document_that_is_refused_is_not_fetched_again_at_once() {
    let setup = Setup::serving(Reply::json("{}").header("cache-control", "max-age=3600")).await;
    for _ in 0..100 {
        assert_eq!(setup.resolve().await.unwrap_err(), DocumentError::RedirectUris);
    }
    assert_eq!(setup.site.hits(), 1);
    setup.site.serve(PATH, good());
    pass(PAUSE).await;
    assert!(setup.resolve().await.is_ok(), "what it said of its freshness is not for a refusal");
}

#[tokio::test]
async fn fifty_at_once_are_one_fetch() {
    let setup = Setup::new().await;
    let (reply, gate) = good().held();
    setup.site.serve(PATH, reply);
    let asking: Vec<_> = (0..50)
        .map(|_| {
            let documents = Arc::clone(&setup.documents);
            tokio::spawn(async move { documents.resolve(URL, ALICE).await.unwrap() })
        })
        .collect();
    setup.site.until_hits(1).await;
    gate.add_permits(1);
    for task in asking {
        assert_eq!(task.await.unwrap().client.name.as_deref(), Some("Example"));
    }
    assert_eq!(setup.site.hits(), 1);
    assert_eq!(setup.names.asked.load(Ordering::SeqCst), 1);
}

#[tokio::test]
async fn whoever_goes_away_takes_nothing_with_him() {
    let setup = Setup::new().await;
    let (reply, gate) = good().held();
    setup.site.serve(PATH, reply);
    let documents = Arc::clone(&setup.documents);
    let first = tokio::spawn(async move { documents.resolve(URL, ALICE).await });
    setup.site.until_hits(1).await;
    first.abort();
    gate.add_permits(2);
    assert!(setup.documents.resolve(URL, BOB).await.is_ok());
}

#[tokio::test]
async fn an_address_can_cause_so_many_fetches() {
    let setup = Setup::with(|settings| settings.burst = 3.try_into().unwrap()).await;
    let urls: Vec<_> = (0..5).map(|n| format!("https://client.example/{n}")).collect();
    for (n, url) in urls.iter().enumerate() {
        setup.site.serve(&format!("/{n}"), Reply::json(document(url).to_string()));
    }
    for url in &urls[..3] {
        setup.documents.resolve(url, ALICE).await.unwrap();
    }
    for _ in 0..3 {
        let refusal = setup.documents.resolve(&urls[3], ALICE).await.unwrap_err();
        assert_eq!(refusal, DocumentError::TooMany { retry_after: Duration::from_secs(10) });
    }
    assert_eq!(setup.site.hits(), 3);
    setup.documents.resolve(&urls[0], ALICE).await.unwrap();
    setup.documents.resolve(&urls[3], BOB).await.unwrap();
    setup.documents.resolve(&urls[3], ALICE).await.unwrap();
    assert!(setup.documents.resolve(&urls[4], ALICE).await.is_err());
    assert_eq!(setup.site.hits(), 4);
}

#[tokio::test]
async fn there_are_so_many_fetches_at_a_time() {
    let setup = Setup::with(|settings| settings.at_a_time = 2).await;
    let mut gates = Vec::new();
    let mut asking = Vec::new();
    for n in 0..6 {
        let url = format!("https://client.example/{n}");
        let (reply, gate) = Reply::json(document(&url).to_string()).held();
        setup.site.serve(&format!("/{n}"), reply);
        gates.push(gate);
        let documents = Arc::clone(&setup.documents);
        asking.push(tokio::spawn(async move { documents.resolve(&url, ALICE).await }));
    }
    setup.site.until_hits(2).await;
    gates.iter().for_each(|gate| gate.add_permits(1));
    for task in asking {
        task.await.unwrap().unwrap();
    }
    assert_eq!(setup.site.hits(), 6);
    assert!(setup.site.most_at_a_time() <= 2, "{}", setup.site.most_at_a_time());
}

#[tokio::test(start_paused = true)]
async fn nobody_waits_for_ever() {
    let setup = Setup::with(|settings| settings.at_a_time = 1).await;
    let too_many = DocumentError::TooMany { retry_after: Duration::from_secs(20) };
    let slot = setup.documents.fetcher.slot().await;
    assert_eq!(setup.resolve().await.unwrap_err(), too_many, "all fetches are under way");
    drop(slot);
    let lock = setup.documents.known.get(URL).unwrap();
    let fetching = lock.lock().await;
    assert_eq!(setup.resolve().await.unwrap_err(), too_many, "this one is under way");
    assert!(fetching.is_none(), "nothing is held against the URL");
    assert_eq!(setup.site.hits(), 0);
}

#[test]
fn what_is_remembered_is_bounded() {
    let documents = Documents::new(Settings::default()).unwrap();
    for n in 0..3 * REMEMBERED {
        documents.known.get_with(format!("https://client.example/{n}"), Arc::default);
    }
    documents.known.run_pending_tasks();
    assert!(documents.known.entry_count() <= REMEMBERED);
    assert!(Settings::default().at_a_time > Settings::default().burst.get() as usize);
}
