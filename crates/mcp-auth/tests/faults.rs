//! What can happen to an identity provider while requests come in, with a real one (its key server) at the other end.
#![cfg(all(feature = "remote", feature = "signing"))]
#![allow(clippy::unwrap_used, reason = "a test may panic")]

mod key_server;

use std::{
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
    time::{Duration, Instant},
};

use mcp_auth::{JwtVerifier, RemoteKeySet, TokenError, TokenVerifier};
use tokio::{task::JoinSet, time::MissedTickBehavior};

use self::key_server::{
    KeyServer, PATIENCE, Reply, Signer, accepted, not_accepted, refused, unknown, until, until_accepted, until_keys,
    verifier,
};

/// So many requests at once, each with this token.
fn at_once(verifier: &Arc<JwtVerifier>, count: usize, token: &str) -> JoinSet<Result<(), TokenError>> {
    let mut requests = JoinSet::new();
    for _ in 0..count {
        let (verifier, token) = (Arc::clone(verifier), token.to_owned());
        requests.spawn(async move { verifier.verify(&token).await.map(|_| ()) });
    }
    requests
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn sixty_four_first_requests_make_one_fetch() {
    let (key, new) = (Signer::new(), Signer::new());
    let (reply, gate) = Reply::keys(&[&key]).held();
    let server = KeyServer::up(reply).await;
    let verifier = Arc::new(server.verifier());
    let requests = at_once(&verifier, 64, &key.token());
    server.until_hits(1).await;
    tokio::time::sleep(Duration::from_millis(200)).await;
    gate.add_permits(1);
    assert_eq!(requests.join_all().await, vec![Ok(()); 64]);
    assert_eq!(server.hits(), 1);
    // So do 64 with a key that is not known yet.
    let (reply, gate) = Reply::keys(&[&key, &new]).held();
    server.set(reply);
    let requests = at_once(&verifier, 64, &new.token());
    server.until_hits(2).await;
    tokio::time::sleep(Duration::from_millis(200)).await;
    gate.add_permits(1);
    assert_eq!(requests.join_all().await, vec![Ok(()); 64]);
    assert_eq!(server.hits(), 2);
}

#[tokio::test]
async fn down_at_the_start_then_up() {
    let key = Signer::new();
    let mut server = KeyServer::down(Reply::keys(&[&key]));
    let verifier = server.verifier();
    for _ in 0..3 {
        refused(&verifier, &key.token(), TokenError::NoKeys).await;
    }
    server.start();
    until_accepted(&verifier, &key.token()).await;
    assert_eq!(server.hits(), 1);
}

#[tokio::test]
async fn down_later_then_up_with_another_key() {
    let (key, new) = (Signer::new(), Signer::new());
    let mut server = KeyServer::up(Reply::keys(&[&key])).await;
    let verifier = server.verifier();
    accepted(&verifier, &key.token()).await;
    let epoch = verifier.epoch();
    server.stop().await;
    let begun = Instant::now();
    while begun.elapsed() < Duration::from_secs(3) {
        accepted(&verifier, &key.token()).await;
        refused(&verifier, &new.token(), TokenError::UnknownKey).await;
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    assert_eq!((server.hits(), verifier.epoch()), (1, epoch));
    server.set(Reply::keys(&[&new]));
    server.start();
    until_accepted(&verifier, &new.token()).await;
    refused(&verifier, &key.token(), TokenError::UnknownKey).await;
}

#[tokio::test]
async fn stale_keys_serve_for_their_time_and_no_longer() {
    const STALE_FOR: Duration = Duration::from_secs(6);
    let key = Signer::new();
    let begun = Instant::now();
    let mut server = KeyServer::up(Reply::keys(&[&key])).await;
    let keys = RemoteKeySet::builder(&server.url()).unwrap().stale_for(STALE_FOR).start();
    let verifier = verifier(keys.clone());
    accepted(&verifier, &key.token()).await;
    server.stop().await;
    accepted(&verifier, &key.token()).await;
    let epoch = verifier.epoch();
    until_keys(&keys, 0).await;
    assert!(begun.elapsed() >= STALE_FOR, "{:?}", begun.elapsed());
    refused(&verifier, &key.token(), TokenError::NoKeys).await;
    assert!(verifier.epoch() > epoch, "what was verified with them is verified again");
    server.start();
    until_accepted(&verifier, &key.token()).await;
}

#[tokio::test]
async fn a_provider_that_hangs_does_not_make_stale_keys_older() {
    let key = Signer::new();
    let server = KeyServer::up(Reply::keys(&[&key])).await;
    let keys = RemoteKeySet::builder(&server.url()).unwrap();
    let keys = keys.stale_for(Duration::from_secs(2)).fetch_timeout(Duration::from_secs(600)).start();
    until_keys(&keys, 1).await;
    server.set(Reply::keys(&[&key]).held().0);
    // Its refresh is under way, and may take ten minutes.
    until_keys(&keys, 0).await;
}

#[tokio::test]
async fn slow() {
    const DELAY: Duration = Duration::from_secs(5);
    let (key, new) = (Signer::new(), Signer::new());
    let server = KeyServer::up(Reply::keys(&[&key]).after(DELAY)).await;
    let verifier = Arc::new(server.verifier());
    let begun = Instant::now();
    assert_eq!(at_once(&verifier, 8, &key.token()).join_all().await, vec![Ok(()); 8]);
    assert!(begun.elapsed() >= DELAY);
    // Only those wait that need what is being fetched.
    let (reply, gate) = Reply::keys(&[&key, &new]).held();
    server.set(reply);
    let waiting = at_once(&verifier, 1, &new.token());
    server.until_hits(2).await;
    for _ in 0..100 {
        accepted(&verifier, &key.token()).await;
    }
    gate.add_permits(1);
    assert_eq!(waiting.join_all().await, [Ok(())]);
    assert_eq!(server.hits(), 2);
}

#[tokio::test]
async fn slower_than_is_waited_for() {
    let key = Signer::new();
    let (reply, _gate) = Reply::keys(&[&key]).held();
    let server = KeyServer::up(reply).await;
    let keys = RemoteKeySet::builder(&server.url()).unwrap().fetch_timeout(Duration::from_millis(500)).start();
    let verifier = verifier(keys);
    let answer = tokio::time::timeout(PATIENCE, verifier.verify(&key.token())).await.unwrap();
    assert_eq!(answer.map(|_| ()), Err(TokenError::NoKeys));
    server.set(Reply::keys(&[&key]));
    until_accepted(&verifier, &key.token()).await;
}

#[tokio::test]
async fn failing_with_500_then_well() {
    let key = Signer::new();
    let server = KeyServer::up(Reply::status(500)).await;
    let verifier = server.verifier();
    refused(&verifier, &key.token(), TokenError::NoKeys).await;
    until("it is tried again", || server.hits() >= 3).await;
    server.set(Reply::keys(&[&key]));
    until_accepted(&verifier, &key.token()).await;
    server.set(Reply::status(500));
    for n in 0..20 {
        not_accepted(&verifier, &unknown(&n.to_string())).await;
        accepted(&verifier, &key.token()).await;
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn flapping() {
    let (key, new) = (Signer::new(), Signer::new());
    let mut server = KeyServer::up(Reply::keys(&[&key])).await;
    let verifier = Arc::new(server.verifier());
    accepted(&verifier, &key.token()).await;
    let traffic = tokio::spawn({
        let (verifier, token) = (Arc::clone(&verifier), key.token());
        async move {
            for n in 0_u64.. {
                accepted(&verifier, &token).await;
                // These keep asking for newer keys. They may have to wait for them; the good ones may not.
                let (verifier, unknown) = (Arc::clone(&verifier), unknown(&n.to_string()));
                tokio::spawn(async move { verifier.verify(&unknown).await.map(drop) });
                tokio::time::sleep(Duration::from_millis(5)).await;
            }
        }
    });
    let begun = Instant::now();
    for _ in 0..3 {
        for reply in [
            Reply::status(500),
            Reply::keys(&[&key]),
            Reply::text("{"),
            Reply::keys(&[&key]).after(Duration::from_secs(1)),
            Reply::status(502),
        ] {
            server.set(reply);
            tokio::time::sleep(Duration::from_millis(250)).await;
        }
        server.stop().await;
        tokio::time::sleep(Duration::from_millis(250)).await;
        server.start();
    }
    assert!(!traffic.is_finished(), "a good token was refused");
    traffic.abort();
    assert!(traffic.await.unwrap_err().is_cancelled());
    // One retry and one question a second at most.
    let (hits, seconds) = (server.hits(), begun.elapsed().as_secs() as usize);
    assert!(hits >= 2 && hits <= 4 + 2 * seconds, "{hits} fetches in {seconds} s");
    server.set(Reply::keys(&[&key, &new]));
    until_accepted(&verifier, &new.token()).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn ten_thousand_unknown_kids() {
    let (key, new) = (Signer::new(), Signer::new());
    let server = KeyServer::up(Reply::keys(&[&key])).await;
    let verifier = Arc::new(server.verifier());
    accepted(&verifier, &key.token()).await;
    let (reply, gate) = Reply::keys(&[&key]).held();
    server.set(reply);
    let begun = Instant::now();
    let mut flood = JoinSet::new();
    let throw = |flood: &mut JoinSet<_>, kids: std::ops::Range<u32>| {
        for kid in kids {
            let (verifier, token) = (Arc::clone(&verifier), unknown(&format!("kid-{kid}")));
            flood.spawn(async move { verifier.verify(&token).await.map(|_| ()) });
        }
    };
    // Half of them come while the fetch that the first one caused is under way.
    throw(&mut flood, 0..5000);
    server.until_hits(2).await;
    let good = async {
        for _ in 0..100 {
            accepted(&verifier, &key.token()).await;
        }
    };
    tokio::time::timeout(PATIENCE, good).await.expect("good tokens wait for nothing");
    gate.add_permits(1);
    throw(&mut flood, 5000..10_000);
    let mut told = [0, 0];
    for answer in flood.join_all().await {
        told[usize::from(answer == Err(TokenError::Unavailable))] += 1;
        assert!(matches!(answer, Err(TokenError::UnknownKey | TokenError::Unavailable)), "{answer:?}");
    }
    // Of those that caused a fetch it is known; the others are to come back.
    assert!((1..=5).contains(&told[0]) && told[1] > 9000, "{told:?}");
    let (fetches, took) = (server.hits() - 1, begun.elapsed());
    // At 0, 1, 3, 7 and 15 seconds, if it takes that long.
    assert!(fetches <= 5, "{fetches} fetches in {took:?}");
    // A key that is new by then is found all the same.
    server.set(Reply::keys(&[&key, &new]));
    until_accepted(&verifier, &new.token()).await;
}

/// Rotations without mercy: the new key signs at once, and the old one is gone at once, while clients go on using their
/// old tokens.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn keys_rotate_under_load() {
    let signers: Arc<Vec<Signer>> = Arc::new((0..3).map(|_| Signer::new()).collect());
    let server = KeyServer::up(Reply::keys(&[&signers[0]])).await;
    let verifier = Arc::new(server.verifier());
    accepted(&verifier, &signers[0].token()).await;
    // The key that signs, and the newest one that a token was accepted of.
    let (signing, known) = (Arc::new(AtomicUsize::new(0)), Arc::new(AtomicUsize::new(0)));
    let mut requests = JoinSet::new();
    let mut every = tokio::time::interval(Duration::from_millis(5));
    every.set_missed_tick_behavior(MissedTickBehavior::Burst);
    let begun = Instant::now();
    let rotations = [Duration::from_secs(3), Duration::from_secs(7)];
    for n in 0..2000 {
        every.tick().await;
        let rotated = signing.load(Ordering::SeqCst);
        if rotated < 2 && begun.elapsed() >= rotations[rotated] {
            server.set(Reply::keys(&[&signers[rotated + 1]]));
            signing.store(rotated + 1, Ordering::SeqCst);
        }
        let (verifier, signers) = (Arc::clone(&verifier), Arc::clone(&signers));
        let (signing, known) = (Arc::clone(&signing), Arc::clone(&known));
        requests.spawn(async move {
            let (current, refreshed) = (signing.load(Ordering::SeqCst), known.load(Ordering::SeqCst));
            // Every other one is a token of any key that has been.
            let of = if n % 2 == 0 { current } else { n / 2 % (current + 1) };
            let answer = verifier.verify(&signers[of].token()).await.map(|_| ());
            if answer.is_ok() {
                known.fetch_max(of, Ordering::SeqCst);
            }
            if of < refreshed {
                let gone = matches!(answer, Err(TokenError::UnknownKey | TokenError::Unavailable));
                assert!(gone, "key {of} was removed: {answer:?}");
            } else if of == signing.load(Ordering::SeqCst) {
                assert_eq!(answer, Ok(()), "key {of} is the one that signs");
            }
            answer.is_ok()
        });
    }
    let answers = requests.join_all().await;
    assert_eq!((answers.len(), known.load(Ordering::SeqCst)), (2000, 2));
    let refused = answers.iter().filter(|accepted| !**accepted).count();
    assert!(refused > 100, "old tokens were sent all the time, and {refused} refused");
    assert!(server.hits() < 20, "{}", server.hits());
}
