//! HTTPS, HTTP/2 and RTMPS, as curl, ffmpeg and OpenSSL see them.

use std::process::Command;

use serde_json::Value;

use crate::support::{
    self, Answer, Authority, Curled, Process, Server, clip, eventually, ffmpeg_publish_secure,
};

async fn secure_server() -> (Server, Authority) {
    let authority = Authority::new();
    let settings = authority.settings();
    let settings: Vec<(&str, &str)> = settings
        .iter()
        .map(|(name, value)| (name.as_str(), value.as_str()))
        .collect();
    (Server::start_with(&settings).await, authority)
}

/// Fetches `url` and takes only this authority's certificates.
fn curl(authority: &Authority, options: &[&str], url: &str) -> (String, Vec<u8>) {
    let Curled { head, body } = support::curl(&authority.ca_file(), options, url);
    (head, body)
}

#[tokio::test]
async fn a_live_over_rtmps_is_watched_over_http_2() {
    let (server, authority) = secure_server().await;
    let https = server.https.clone().expect("it listens");
    let owner = server.member("aissatou").await;
    let start = owner
        .post("/api/posts/live/start/", &serde_json::json!({}))
        .await
        .expect(201);
    let text = |key: &str| start.json[key].as_str().expect(key).to_owned();
    assert_eq!(
        text("rtmps_server"),
        server.rtmps.clone().expect("it listens")
    );
    assert_eq!(
        text("rtmps_url"),
        format!("{}/{}", text("rtmps_server"), text("stream_key"))
    );
    assert!(text("rtmp_url").starts_with("rtmp://"));
    let _encoder = ffmpeg_publish_secure(&clip(), &text("rtmps_url"), &authority.ca_file());
    let id = start.json["live_id"].as_i64().expect("an id");
    let view = owner.view_when(id, "live").await;
    assert_eq!(view["sessions"][0]["protocol"], "rtmps");

    // Addresses follow the way the client came.
    let (head, body) = curl(
        &authority,
        &["--http2"],
        &format!("{https}/api/posts/live/{id}/"),
    );
    assert!(head.starts_with("http/2 200"), "{head}");
    let view: Value = serde_json::from_slice(&body).expect("JSON");
    let playlist = view["hls_url"].as_str().expect("an address").to_owned();
    assert!(playlist.starts_with(&https), "{playlist}");

    let media_playlist = playlist.replace("/index.m3u8", "/source/index.m3u8");
    let until_a_segment = format!("{media_playlist}?_HLS_msn=0");
    for (version, begins) in [("--http2", "http/2 200"), ("--http1.1", "http/1.1 200")] {
        let (head, _) = curl(&authority, &[version], &playlist);
        assert!(head.starts_with(begins), "{head}");
        // A blocked reload: the segment is not whole when it is asked for.
        let (head, body) = curl(&authority, &[version], &until_a_segment);
        assert!(head.starts_with(begins), "{head}");
        let body = String::from_utf8_lossy(&body).into_owned();
        assert!(body.contains("#EXTINF"), "{body}");
        let part = body
            .lines()
            .find_map(|line| line.strip_prefix("#EXT-X-PART:"))
            .and_then(|part| part.split("URI=\"").nth(1)?.split('"').next())
            .expect("a part");
        let (folder, _) = media_playlist.rsplit_once('/').expect("a folder");
        let part = format!("{folder}/{part}");
        let (head, whole) = curl(&authority, &[version], &part);
        assert!(head.starts_with(begins), "{head}");
        assert_eq!(&whole[4..8], b"moof");
        let (head, range) = curl(&authority, &[version, "-r", "4-7"], &part);
        assert!(head.contains(" 206"), "{head}");
        assert_eq!(range, b"moof");
        let (head, nothing) = curl(&authority, &[version, "--head"], &part);
        assert!(
            head.contains(&format!("content-length: {}", whole.len())),
            "{head}"
        );
        assert!(nothing.is_empty());
    }

    // A replay's file by HTTP/2: larger than any window.
    let (view, downloaded) = owner.stop_and_download(id).await;
    let mp4 = view["recording"]["mp4_url"].as_str().expect("an address");
    let path = mp4.strip_prefix(&server.http).expect("ours");
    let (head, body) = curl(&authority, &["--http2"], &format!("{https}{path}"));
    assert!(head.starts_with("http/2 200"), "{head}");
    assert_eq!(body, downloaded);
}

#[tokio::test]
async fn plain_http_stays_as_it_was_beside_https() {
    let (server, authority) = secure_server().await;
    let plain = format!("{}/api/geography/quartiers/", server.http);
    let answer = Answer::of(server.client.get(plain)).await.expect(200);
    let next = answer.json["next"].as_str().expect("a second page");
    assert!(next.starts_with(&server.http), "{next}");
    // HTTP/2 without TLS is not spoken: who asks to upgrade is answered by HTTP/1.1.
    let (head, _) = curl(
        &authority,
        &["--http2"],
        &format!("{}/api/health/", server.http),
    );
    assert!(head.starts_with("http/1.1 200"), "{head}");
}

/// The common name of the certificate that the server shows, as OpenSSL sees it.
fn shown(server: &str, ca: &std::path::Path) -> String {
    let address = server
        .split("//")
        .nth(1)
        .and_then(|rest| rest.split('/').next());
    let said = Process::run(
        Command::new("openssl")
            .args(["s_client", "-brief", "-verify_return_error", "-connect"])
            .arg(address.expect("an address"))
            .arg("-CAfile")
            .arg(ca),
    );
    said.lines()
        .find_map(|line| line.strip_prefix("Peer certificate: "))
        .unwrap_or_else(|| panic!("openssl said: {said}"))
        .to_owned()
}

#[tokio::test]
async fn a_changed_certificate_is_shown_and_a_spoilt_one_is_not() {
    let (server, authority) = secure_server().await;
    let ca = authority.ca_file();
    let (https, rtmps) = (server.https.clone().unwrap(), server.rtmps.clone().unwrap());
    assert_eq!(shown(&https, &ca), "CN = griot one");
    assert_eq!(shown(&rtmps, &ca), "CN = griot one");

    authority.sign("griot two");
    eventually("the new certificate is shown", || async {
        let shown = (shown(&https, &ca), shown(&rtmps, &ca));
        let new = "CN = griot two".to_owned();
        if shown == (new.clone(), new) {
            Ok(())
        } else {
            Err(shown)
        }
    })
    .await;

    authority.spoil();
    eventually("the log says that it cannot be used", || async {
        let log = server.log();
        if log.contains("holds no certificate in PEM form") {
            Ok(())
        } else {
            Err(log)
        }
    })
    .await;
    assert_eq!(shown(&https, &ca), "CN = griot two");
    let metrics = Answer::of(server.client.get(format!("{}/metrics", server.http))).await;
    let metrics = String::from_utf8(metrics.expect(200).body).expect("text");
    assert!(
        metrics.contains("griot_tls_certificate_stale 1"),
        "{metrics}"
    );

    authority.sign("griot three");
    eventually("the one after it is shown", || async {
        let shown = shown(&https, &ca);
        if shown == "CN = griot three" {
            Ok(())
        } else {
            Err(shown)
        }
    })
    .await;
}
