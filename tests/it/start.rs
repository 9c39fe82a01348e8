//! A start that cannot work ends and says which setting to change.

use std::net::TcpListener;

use super::support::serve_in_vain;

#[tokio::test]
async fn a_start_that_cannot_work_names_the_setting() {
    let taken = TcpListener::bind("127.0.0.1:0").unwrap();
    let taken = taken.local_addr().unwrap().to_string();
    for (variable, value) in [
        ("GRIOT_HTTP_LISTEN", taken.as_str()),
        ("GRIOT_RTMP_LISTEN", taken.as_str()),
        // No folder can be made below a file.
        ("GRIOT_DATA_DIR", "/dev/null/data"),
        ("GRIOT_DATABASE_URL", "sqlite:/dev/null/griot.db"),
        ("GRIOT_OBJECTS_URL", "file:/dev/null/objects"),
        ("GRIOT_SECRET_KEY", "short"),
        ("GRIOT_LIVE_RECONNECT_GRACE", "soon"),
        ("GRIOT_LIVE_LATTENCY", "low"),
        ("GRIOT_HTTP_METRICS", "everybody"),
        ("GRIOT_RTMP_MAX_CONNECTIONS", "0"),
        // No certificate is named.
        ("GRIOT_HTTPS_LISTEN", "127.0.0.1:0"),
        ("GRIOT_RTMPS_LISTEN", "127.0.0.1:0"),
    ] {
        let (status, said) = serve_in_vain(&[(variable, value)]).await;
        assert_eq!(status.code(), Some(1), "{variable}: {said}");
        assert!(said.contains(variable), "{variable} is not named: {said}");
        assert!(!said.contains("griot ready"), "{variable}: {said}");
    }
}
