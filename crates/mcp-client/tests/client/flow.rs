//! The way to a token, and to the next one.

use std::{fs, time::Duration};

use mcp_client::{Approval, Cache, Fault, Person, Session, Step, error_of};
use serde_json::json;
use tokio::time::sleep;

use crate::world::{World, add, alice, cached, call, client, connect, own_name};

fn person(username: &str, allows: bool) -> Approval {
    Approval::Person(Person { username: username.into(), password: format!("{username}123"), allows })
}

#[tokio::test]
async fn from_a_refusal_to_a_call() {
    let world = World::start().await;
    let (session, witness) = client(&world.url, |_| ());
    let mcp = connect(&session).await.unwrap();
    let tools = mcp.list_all_tools().await.unwrap();
    assert_eq!(tools.len(), 3);
    assert_eq!(witness.sent(Step::Authorization, "scope"), ["mcp:read offline_access"]);
    assert_eq!(witness.sent(Step::Authorization, "resource"), [world.url.as_str()]);
    assert_eq!(witness.sent(Step::Token, "resource"), [world.url.as_str()]);
    assert_eq!(witness.sent(Step::Registration, "application_type"), ["native"]);
    let steps: Vec<_> = witness.exchanges.lock().unwrap().iter().map(|exchange| exchange.step).collect();
    assert_eq!(
        steps[..8],
        [
            Step::FirstCall,
            Step::ProtectedResource,
            Step::AuthorizationServer,
            Step::Registration,
            Step::Authorization,
            Step::Callback,
            Step::Token,
            Step::Call
        ]
    );
    // What was told opens nothing: the token stands nowhere in it.
    let told = format!("{:?}", witness.exchanges.lock().unwrap());
    assert!(!told.contains("eyJ") && told.contains("‹token "), "{told}");
}

#[tokio::test]
async fn a_step_up_asks_for_both_and_once() {
    let world = World::start().await;
    let (session, witness) = client(&world.url, |_| ());
    let mcp = connect(&session).await.unwrap();
    assert_eq!(add(&mcp).await.unwrap(), json!({ "result": 42 }));
    assert_eq!(call(&mcp, "echo", json!({ "message": "hi" })).await.unwrap(), "hi");
    let asked = witness.sent(Step::Authorization, "scope");
    assert_eq!(asked, ["mcp:read offline_access", "mcp:read mcp:tools offline_access"]);
    assert_eq!(witness.count(Step::Registration), 1);
    assert_eq!(session.granted().await.unwrap().to_string(), "mcp:read mcp:tools offline_access");
}

#[tokio::test]
async fn who_may_not_have_more_is_asked_once_and_keeps_what_there_is() {
    let world = World::start().await;
    let (session, witness) = client(&world.url, |settings| settings.approval = person("bob", true));
    let mcp = connect(&session).await.unwrap();
    for _ in 0..2 {
        let error = add(&mcp).await.unwrap_err();
        assert!(matches!(error_of(&error).unwrap().fault, Fault::StillInsufficient { .. }), "{error:?}");
    }
    assert_eq!(witness.count(Step::Authorization), 2);
    assert_eq!(mcp.list_all_tools().await.unwrap().len(), 3);
}

#[tokio::test]
async fn a_no_is_a_no() {
    let world = World::start().await;
    let (session, witness) = client(&world.url, |settings| settings.approval = person("alice", false));
    let error = session.open().await.unwrap_err();
    assert!(error.is_denied(), "{error}");
    assert_eq!(witness.count(Step::Token), 0);
}

#[tokio::test]
async fn a_token_that_ends_is_refreshed_and_nobody_is_asked() {
    let world = World::with_lifetime(Duration::from_secs(1)).await;
    let (session, witness) = client(&world.url, |_| ());
    let mcp = connect(&session).await.unwrap();
    sleep(Duration::from_secs(2)).await;
    assert_eq!(mcp.list_all_tools().await.unwrap().len(), 3);
    assert_eq!(witness.count(Step::Authorization), 1);
    let used = witness.sent(Step::Refresh, "refresh_token");
    assert!(!used.is_empty() && used.iter().collect::<std::collections::HashSet<_>>().len() == used.len(), "{used:?}");
}

#[tokio::test]
async fn a_client_speaks_for_itself_and_leaves_nothing() {
    let world = World::start().await;
    let home = tempfile::tempdir().unwrap();
    let (session, witness) = client(&world.url, |settings| {
        cached(&home)(settings);
        own_name(settings, "echo-mcp-server", "echo-mcp-server-secret", &world.issuer);
    });
    let mcp = connect(&session).await.unwrap();
    let known = call(&mcp, "whoami", json!({})).await.unwrap();
    assert_eq!(known["subject"], "service-account-echo-mcp-server");
    assert_eq!(witness.sent(Step::ClientCredentials, "scope"), ["mcp:read", "mcp:read mcp:tools"]);
    assert_eq!(witness.sent(Step::ClientCredentials, "authorization"), ["Basic •••"; 2]);
    assert!(!home.path().join("tokens").exists());

    let (session, _) = client(&world.url, |settings| {
        own_name(settings, "echo-mcp-server", "wrong", &world.issuer);
    });
    let error = session.open().await.unwrap_err();
    assert!(matches!(&error.fault, Fault::OAuth { error, .. } if error == "invalid_client"), "{error}");
}

#[tokio::test]
async fn the_next_run_logs_in_nowhere() {
    let world = World::start().await;
    let home = tempfile::tempdir().unwrap();
    let (session, _) = client(&world.url, cached(&home));
    connect(&session).await.unwrap();
    let (session, witness) = client(&world.url, cached(&home));
    assert_eq!(connect(&session).await.unwrap().list_all_tools().await.unwrap().len(), 3);
    assert_eq!(witness.count(Step::Authorization) + witness.count(Step::Registration), 0);

    // Another client was given: the token is not its.
    let (session, _) = client(&world.url, |settings| {
        cached(&home)(settings);
        settings.client.given = Some(("mcp-test-client".into(), None));
    });
    assert_eq!(session.granted().await, None);
}

/// The file, changed by `change` after a login.
async fn with_file(
    world: &World,
    change: impl FnOnce(&std::path::Path),
) -> (Session, std::sync::Arc<crate::world::Witness>, tempfile::TempDir) {
    let home = tempfile::tempdir().unwrap();
    let (session, _) = client(&world.url, cached(&home));
    connect(&session).await.unwrap();
    let file = Cache::at(home.path().join("tokens")).file(&world.url, None);
    change(&file);
    let (session, witness) = client(&world.url, cached(&home));
    (session, witness, home)
}

#[cfg(unix)]
#[tokio::test]
async fn the_file_is_its_owners_alone() {
    use std::os::unix::fs::{MetadataExt, PermissionsExt};

    let world = World::start().await;
    let (_, _, home) = with_file(&world, |file| {
        let mode = |path| fs::metadata(path).unwrap().mode() & 0o777;
        assert_eq!((mode(file), mode(file.parent().unwrap())), (0o600, 0o700));
        // Nothing is left over from writing it.
        assert_eq!(fs::read_dir(file.parent().unwrap()).unwrap().count(), 1);
    })
    .await;
    drop(home);
    let (session, witness, _home) =
        with_file(&world, |file| fs::set_permissions(file, fs::Permissions::from_mode(0o644)).unwrap()).await;
    assert!(session.granted().await.is_none() && witness.notices.lock().unwrap()[0].contains("644"));
}

#[tokio::test]
async fn a_broken_file_is_told_of_and_in_nobodys_way() {
    let world = World::start().await;
    for text in ["", "{", "[]", r#"{"resource":1,"secret":"s3cret"}"#] {
        let (session, witness, home) = with_file(&world, |file| fs::write(file, text).unwrap()).await;
        let notices = witness.notices.lock().unwrap().clone();
        assert!(notices.len() == 1 && notices[0].contains("ignored") && !notices[0].contains("s3cret"), "{notices:?}");
        connect(&session).await.unwrap();
        // And it is whole again.
        let (session, _) = client(&world.url, cached(&home));
        assert!(session.granted().await.is_some());
    }
    let (session, witness, _home) = with_file(&world, |file| {
        let text = fs::read_to_string(file).unwrap().replace("/mcp\"", "/other\"");
        fs::write(file, text).unwrap();
    })
    .await;
    assert!(session.granted().await.is_none() && witness.notices.lock().unwrap()[0].contains("another resource"));
}

#[tokio::test]
async fn an_authorization_server_that_forgot_everything_is_registered_with_again() {
    let world = World::start().await;
    let (session, witness, _home) = with_file(&world, |file| {
        let mut kept: serde_json::Value = serde_json::from_slice(&fs::read(file).unwrap()).unwrap();
        for entry in kept["issuers"].as_object_mut().unwrap().values_mut() {
            entry["client"]["id"] = json!("forgotten");
            entry["token"]["access_token"] = json!("stale");
        }
        fs::write(file, kept.to_string()).unwrap();
    })
    .await;
    connect(&session).await.unwrap();
    assert_eq!((witness.count(Step::Refresh), witness.count(Step::Registration)), (1, 1));
}

#[tokio::test]
async fn the_answer_comes_to_a_port_which_hears_nothing_else() {
    let world = World::start().await;
    let (shown, mut urls) = tokio::sync::mpsc::unbounded_channel();
    let (session, _) = client(&world.url, |settings| {
        settings.approval = Approval::Shown(std::sync::Arc::new(move |url| drop(shown.send(url.clone()))));
    });
    let opening = tokio::spawn(async move { session.open().await });
    let url = urls.recv().await.unwrap();
    let query = |name: &str| url.query_pairs().find(|(other, _)| other == name).unwrap().1.into_owned();
    let (callback, state) = (query("redirect_uri"), query("state"));
    assert!(callback.starts_with("http://127.0.0.1:"), "{callback}");
    let http = reqwest::Client::builder().no_proxy().build().unwrap();
    let root = callback.strip_suffix("/callback").unwrap();
    let by_name = callback.replace("127.0.0.1", "localhost");
    for (url, expected) in [
        (format!("{root}/favicon.ico"), 404),
        (callback.clone(), 400),
        (format!("{callback}?code=evil&state=guess"), 400),
        (format!("{callback}?error=access_denied&state="), 400),
        // A page with a name of its own for this machine, even with the right state.
        (format!("{by_name}?code=evil&state={state}"), 400),
    ] {
        assert_eq!(http.get(&url).send().await.unwrap().status().as_u16(), expected, "{url}");
    }
    assert_eq!(http.post(format!("{callback}?code=evil&state={state}")).send().await.unwrap().status(), 405);
    let issuer = &world.issuer;
    let page = http.get(format!("{callback}?error=access_denied&state={state}&iss={issuer}")).send().await.unwrap();
    assert_eq!(page.headers()["referrer-policy"], "no-referrer");
    assert!(page.text().await.unwrap().contains("close this window"));
    let error = opening.await.unwrap().unwrap_err();
    assert!(error.is_denied(), "{error}");
    assert!(http.get(&callback).send().await.is_err(), "nobody listens any more");
}

#[tokio::test]
async fn nobody_is_waited_for_for_ever() {
    let world = World::start().await;
    let (session, _) = client(&world.url, |settings| {
        settings.approval = Approval::Shown(std::sync::Arc::new(|_| ()));
        settings.deadline = Duration::from_millis(50);
    });
    assert!(matches!(session.open().await.unwrap_err().fault, Fault::Deadline));
}

#[tokio::test]
async fn a_page_is_for_a_person() {
    let world = World::start().await;
    let (session, _) = client(&world.url, |settings| settings.approval = Approval::Headless);
    assert!(matches!(session.open().await.unwrap_err().fault, Fault::ShowsAPage));
    let (session, _) = client(&world.url, |settings| settings.approval = alice());
    session.open().await.unwrap();
}
