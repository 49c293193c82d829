//! Many requests on one connection, many connections with no request.

#![allow(clippy::unwrap_used, reason = "a test may panic")]

mod common;

use std::time::Duration;

use common::{Post, endpoint, spawn};
use serde_json::json;
use tokio::{
    io::{AsyncBufReadExt, AsyncReadExt, AsyncWriteExt, BufReader},
    net::TcpStream,
    time::timeout,
};

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn ten_thousand_requests_on_one_connection() {
    let address = spawn(endpoint()).await;
    let (reading, mut writing) = TcpStream::connect(address).await.unwrap().into_split();
    let mut reading = BufReader::new(reading);
    let writer = tokio::spawn(async move {
        for id in 0..10_000 {
            let body = json!({ "jsonrpc": "2.0", "id": id, "method": "ping" }).to_string();
            writing.write_all(&Post::new(body).header("Connection", "keep-alive").bytes()).await.unwrap();
        }
        writing
    });
    for id in 0..10_000 {
        let mut length = 0;
        let mut line = String::new();
        while reading.read_line(&mut line).await.unwrap() > 2 {
            if let Some(value) = line.strip_prefix("content-length: ") {
                length = value.trim().parse().unwrap();
            }
            line.clear();
        }
        let mut body = vec![0; length];
        reading.read_exact(&mut body).await.unwrap();
        assert_eq!(String::from_utf8(body).unwrap(), format!(r#"{{"jsonrpc":"2.0","id":{id},"result":{{}}}}"#));
    }
    writer.await.unwrap();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn five_hundred_idle_connections_while_others_are_served() {
    let address = spawn(endpoint()).await;
    let mut idle = Vec::new();
    for n in 0..500 {
        let mut connection = TcpStream::connect(address).await.unwrap();
        // Half of them have begun a request that they never finish.
        if n % 2 == 0 {
            connection.write_all(b"POST /mcp HTTP/1.1\r\nHost: local").await.unwrap();
        }
        idle.push(connection);
    }
    for _ in 0..50 {
        let answer = timeout(Duration::from_secs(5), Post::legacy("ping", json!({})).send(address)).await.unwrap();
        assert_eq!(answer.status, 200);
    }
    // The idle ones are still good for a request.
    let mut late = idle.pop().unwrap();
    late.write_all(&Post::legacy("ping", json!({})).bytes()).await.unwrap();
    assert_eq!(common::read(&mut late).await.status, 200);
}
