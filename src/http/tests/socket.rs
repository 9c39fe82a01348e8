//! The listener, over real sockets.

use std::net::SocketAddr;
use std::time::Duration;

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::task::JoinHandle;

use super::*;
use crate::http::bind;

/// A server on a free port and the task that runs it.
async fn serve(house: &House, drain: Duration) -> (SocketAddr, Tasks, JoinHandle<()>) {
    let config = Config {
        listen: "127.0.0.1:0".parse().unwrap(),
        drain,
        ..Config::default()
    };
    let bound = bind(config).await.unwrap();
    let (address, http) = (bound.local_addr(), house.tasks.child());
    let running = house
        .tasks
        .spawn(bound.run(house.services.clone(), http.clone()));
    (address, http, running)
}

/// Sends one request on an open connection and reads the answer's head and body.
async fn ask(stream: &mut TcpStream, path: &str) -> String {
    let request = format!("GET {path} HTTP/1.1\r\nHost: griot.local\r\n\r\n");
    stream.write_all(request.as_bytes()).await.unwrap();
    let mut answer = Vec::new();
    loop {
        let text = String::from_utf8_lossy(&answer).into_owned();
        if let Some((head, body)) = text.split_once("\r\n\r\n") {
            let length = head.lines().find_map(|line| {
                let (name, value) = line.split_once(": ")?;
                let is_length = name.eq_ignore_ascii_case("content-length");
                is_length.then(|| value.parse::<usize>().unwrap())
            });
            if body.len() >= length.unwrap() {
                return text;
            }
        }
        assert!(stream.read_buf(&mut answer).await.unwrap() > 0, "{text}");
    }
}

#[tokio::test]
async fn a_connection_serves_many_requests_and_an_idle_one_does_not_hold_up_a_stop() {
    let house = House::open().await;
    let (address, http, running) = serve(&house, Duration::from_secs(60)).await;
    let mut stream = TcpStream::connect(address).await.unwrap();
    for _ in 0..3 {
        let answer = ask(&mut stream, "/api/health/").await;
        assert!(answer.starts_with("HTTP/1.1 200 OK"), "{answer}");
    }
    http.stop_and_wait().await;
    running.await.unwrap();
    let mut rest = Vec::new();
    assert_eq!(stream.read_to_end(&mut rest).await.unwrap(), 0);
    assert!(TcpStream::connect(address).await.is_err());
}

#[tokio::test]
async fn addresses_follow_the_host_that_the_client_used() {
    let house = House::open().await;
    let (address, ..) = serve(&house, Duration::ZERO).await;
    let mut stream = TcpStream::connect(address).await.unwrap();
    let answer = ask(&mut stream, "/api/geography/quartiers/").await;
    assert!(
        answer.contains("\"http://griot.local/api/geography/quartiers/?page=2\""),
        "{answer}"
    );
}

#[tokio::test]
async fn a_request_that_waits_is_cut_when_the_stop_has_waited_long_enough() {
    let house = House::open().await;
    let (_, token) = house.mariam().await;
    let body = serde_json::json!({});
    let started = house
        .json("POST", "/api/posts/live/start/", Some(&token), body)
        .await
        .json();
    let path = started["hls_url"].as_str().unwrap();
    let path = path.strip_prefix("https://griot.example").unwrap();
    let live = crate::base::LiveId(started["live_id"].as_i64().unwrap());
    let (address, http, running) = serve(&house, Duration::ZERO).await;
    let mut stream = TcpStream::connect(address).await.unwrap();
    let request = format!("GET {path} HTTP/1.1\r\nHost: h\r\n\r\n");
    stream.write_all(request.as_bytes()).await.unwrap();
    // Its viewer is counted before it waits for the first part.
    while house.services.lives.view(live).await.unwrap().viewers == 0 {
        tokio::task::yield_now().await;
    }
    http.stop_and_wait().await;
    running.await.unwrap();
    let mut rest = Vec::new();
    // Closed or reset, but never answered.
    let read = stream.read_to_end(&mut rest).await;
    assert!(read.is_err() || rest.is_empty());
}
