//! Thousands of sockets that say nothing, or too little, from many addresses.

use futures_util::future::join_all;
use rustix::process::{Pid, Resource, Rlimit, getrlimit, prlimit, setrlimit};
use tokio::io::AsyncWriteExt as _;
use tokio::net::TcpStream;

use super::Victim;
use super::http2::half_a_client_hello;
use super::peer::connect;

/// Sockets of each kind from one address; 64 is what RTMP gives an address.
const FROM_ONE: u8 = 50;

/// `many` sockets to `to`, from addresses of 127.0.`group`.0/24; each says `word`.
async fn crowd(to: &str, group: u8, many: usize, word: &[u8]) -> Vec<TcpStream> {
    let mut crowd = Vec::with_capacity(many);
    let mut left = many;
    let mut number = 0;
    while left > 0 {
        number += 1;
        let from_here = left.min(FROM_ONE.into());
        let sockets = (0..from_here).map(|_| async move {
            let mut socket = connect(to, Some((group, number))).await;
            // Closed already, where the house is full.
            drop(socket.write_all(word).await);
            socket
        });
        crowd.extend(join_all(sockets).await);
        left -= from_here;
    }
    crowd
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn five_thousand_idle_sockets_and_half_handshakes_keep_nobody_out() {
    let limit = getrlimit(Resource::Nofile).maximum;
    assert!(
        limit.is_none_or(|limit| limit >= 8_192),
        "ulimit -Hn is {limit:?}"
    );
    let raised = Rlimit {
        current: limit,
        maximum: limit,
    };
    setrlimit(Resource::Nofile, raised).expect("up to the hard limit");
    let victim = Victim::new(&[]).await;

    // More than RTMP's 2,000 places in all.
    let mut sockets = crowd(&victim.rtmp, 20, 2_500, b"").await;
    sockets.extend(crowd(&victim.http, 21, 2_500, b"").await);
    let hello = half_a_client_hello();
    sockets.extend(crowd(&victim.https, 22, 200, &hello).await);
    sockets.extend(crowd(&victim.rtmps, 23, 100, &hello).await);
    let half_hello = [&[3][..], &[0; 700]].concat();
    sockets.extend(crowd(&victim.rtmp, 24, 200, &half_hello).await);
    assert_eq!(sockets.len(), 5_500);
    victim.serves("crowded").await;
    let grown = victim.rss_kb().saturating_sub(victim.rss_before_kb);
    eprintln!("{} sockets: {grown} kB while they are open", sockets.len());
    // A socket that says nothing has no buffers yet.
    assert!(grown <= 32 << 10, "{grown} kB for 5,500 sockets");
    drop(sockets);

    victim.is_quiet("5,500 sockets").await;
    victim.serves("fresh").await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn without_a_file_descriptor_left_the_server_rests_and_comes_back() {
    let victim = Victim::new(&[]).await;
    let folder = format!("/proc/{}/fd", victim.server.pid());
    let open = std::fs::read_dir(folder).expect("a folder").count();
    let pid = Pid::from_raw(victim.server.pid());
    let few = Rlimit {
        current: Some(u64::try_from(open + 8).expect("few")),
        maximum: getrlimit(Resource::Nofile).maximum,
    };
    let before = prlimit(pid, Resource::Nofile, few).expect("a child of ours");

    // They wait in the kernel's queue.
    let sockets = crowd(&victim.http, 50, 40, b"").await;
    let others = crowd(&victim.rtmp, 51, 40, b"").await;
    victim.is_quiet("running out of descriptors").await;
    let log = victim.server.log();
    let said = log.matches("connections cannot be accepted").count();
    assert!((1..=4).contains(&said), "{said} times:\n{log}");
    drop((sockets, others));
    prlimit(pid, Resource::Nofile, before).expect("a child of ours");

    victim.is_well("running out of descriptors").await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_address_gets_its_share_of_connections_and_leaves_the_rest_to_others() {
    let victim = Victim::new(&[
        ("GRIOT_HTTP_MAX_CONNECTIONS", "30"),
        ("GRIOT_HTTP_MAX_CONNECTIONS_PER_ADDRESS", "20"),
        ("GRIOT_RTMP_MAX_CONNECTIONS", "8"),
        ("GRIOT_RTMP_MAX_CONNECTIONS_PER_ADDRESS", "4"),
    ])
    .await;
    // More than its share of the one, and of the other from four addresses more than there is in all.
    let mut sockets = crowd(&victim.http, 30, 50, b"").await;
    sockets.extend(crowd(&victim.rtmp, 31, 200, b"").await);
    victim.serves("others").await;
    let metrics = victim
        .server
        .client
        .get(format!("{}/metrics", victim.server.http))
        .send()
        .await
        .expect("an answer")
        .text()
        .await
        .expect("text");
    let count = |line: &str| {
        metrics
            .lines()
            .find_map(|found| found.strip_prefix(line)?.trim().parse::<u64>().ok())
            .unwrap_or_else(|| panic!("{line} in\n{metrics}"))
    };
    assert_eq!(count("griot_http_connections_total{outcome=\"limit\"}"), 30);
    assert!(count("griot_rtmp_connections_total{outcome=\"limit\"}") > 100);
    assert!(count("griot_rtmp_connections_total{outcome=\"displaced\"}") > 0);
    drop(sockets);

    victim.is_well("too many connections").await;
}
