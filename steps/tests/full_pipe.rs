//! A log that nobody reads must not stop the server: step 6 with a full pipe behind its standard error.

#![allow(clippy::unwrap_used, reason = "a test may panic")]

use std::{process::Stdio, time::Duration};

use tokio::{
    io::{AsyncBufReadExt, AsyncReadExt, AsyncWriteExt, BufReader},
    net::TcpStream,
    process::Command,
    time::timeout,
};

/// Each leaves an event of some 150 bytes; a pipe holds 64 KiB.
const REQUESTS: usize = 2_000;

#[tokio::test]
async fn refusals_go_on_while_nobody_reads_the_log() {
    let keys = tempfile::tempdir().unwrap();
    let mut server = Command::new(env!("CARGO_BIN_EXE_step6"))
        .args(["--port", "0", "--key-dir"])
        .arg(keys.path())
        .stderr(Stdio::piped())
        .kill_on_drop(true)
        .spawn()
        .unwrap();
    let mut log = BufReader::new(server.stderr.take().unwrap());
    let mut line = String::new();
    let address = loop {
        line.clear();
        assert_ne!(log.read_line(&mut line).await.unwrap(), 0, "step6 did not start");
        if let Some((_, port)) = line.rsplit_once("listening on http://localhost:") {
            break format!("127.0.0.1:{}", port.trim());
        }
    };
    for n in 0..REQUESTS {
        let answer = timeout(Duration::from_secs(10), refused(&address)).await;
        assert!(answer.unwrap_or_else(|_| panic!("no answer to request {n}")).starts_with("HTTP/1.1 401"));
    }
    drop(log);
}

async fn refused(address: &str) -> String {
    let mut connection = TcpStream::connect(address).await.unwrap();
    connection.write_all(b"GET /mcp HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n").await.unwrap();
    let mut answer = String::new();
    connection.read_to_string(&mut answer).await.unwrap();
    answer
}
