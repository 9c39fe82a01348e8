//! A member, and the calls a member makes.

use reqwest::header::HeaderMap;
use reqwest::{Method, StatusCode};
use serde_json::{Value, json};

use super::{Server, eventually};

/// An HTTP answer, read to its end.
#[derive(Debug)]
pub(crate) struct Answer {
    /// Its status.
    pub(crate) status: StatusCode,
    /// Its headers.
    pub(crate) headers: HeaderMap,
    /// Its body as JSON; `Null` when it is none.
    pub(crate) json: Value,
    /// Its body.
    pub(crate) body: Vec<u8>,
}

impl Answer {
    /// Sends `request` and reads the answer.
    pub(crate) async fn of(request: reqwest::RequestBuilder) -> Self {
        let answer = request.send().await.expect("the server answers");
        let status = answer.status();
        let headers = answer.headers().clone();
        let body = answer.bytes().await.expect("a whole body").to_vec();
        let json = serde_json::from_slice(&body).unwrap_or(Value::Null);
        Self {
            status,
            headers,
            json,
            body,
        }
    }

    /// A header's text; empty when it is absent.
    pub(crate) fn header(&self, name: &str) -> &str {
        self.headers
            .get(name)
            .and_then(|value| value.to_str().ok())
            .unwrap_or_default()
    }

    /// The same answer, when it has this status.
    #[track_caller]
    pub(crate) fn expect(self, status: u16) -> Self {
        assert_eq!(
            self.status.as_u16(),
            status,
            "{}",
            String::from_utf8_lossy(&self.body)
        );
        self
    }
}

/// Somebody with an account, logged in.
pub(crate) struct Member {
    /// The account's id.
    pub(crate) id: i64,
    /// What they log in with.
    pub(crate) email: String,
    /// What they log in with.
    pub(crate) password: String,
    /// What login gave.
    pub(crate) access: String,
    http: String,
    client: reqwest::Client,
}

impl Member {
    /// Logs in.
    pub(crate) async fn log_in(server: &Server, id: i64, email: &str, password: &str) -> Self {
        let login = Answer::of(
            server
                .client
                .post(format!("{}/api/users/login/", server.http))
                .json(&json!({"email": email, "password": password})),
        )
        .await
        .expect(200);
        let access = login.json["tokens"]["access"]
            .as_str()
            .expect("login gives an access token")
            .to_owned();
        Self {
            id,
            email: email.to_owned(),
            password: password.to_owned(),
            access,
            http: server.http.clone(),
            client: server.client.clone(),
        }
    }

    /// A request with this member's login.
    pub(crate) fn request(&self, method: Method, path: &str) -> reqwest::RequestBuilder {
        self.client
            .request(method, format!("{}{path}", self.http))
            .bearer_auth(&self.access)
    }

    /// GET, logged in.
    pub(crate) async fn get(&self, path: &str) -> Answer {
        Answer::of(self.request(Method::GET, path)).await
    }

    /// POST of a JSON body, logged in.
    pub(crate) async fn post(&self, path: &str, body: &Value) -> Answer {
        Answer::of(self.request(Method::POST, path).json(body)).await
    }

    /// Starts a live.
    pub(crate) async fn start_live(&self, title: &str) -> Live {
        let answer = self
            .post("/api/posts/live/start/", &json!({"title": title}))
            .await
            .expect(201);
        let text = |key: &str| {
            answer.json[key]
                .as_str()
                .unwrap_or_else(|| panic!("start gives {key}: {}", answer.json))
                .to_owned()
        };
        Live {
            id: answer.json["live_id"]
                .as_i64()
                .expect("start gives live_id"),
            hls_url: text("hls_url"),
            rtmp_url: text("rtmp_url"),
            stream_key: text("stream_key"),
        }
    }

    /// This member's stream key.
    pub(crate) async fn stream_key(&self) -> String {
        let answer = self
            .get("/api/users/my-profile/stream-key/")
            .await
            .expect(200);
        answer.json["stream_key"]
            .as_str()
            .unwrap_or_else(|| panic!("a stream key in {}", answer.json))
            .to_owned()
    }

    /// Stops a live; whatever the answer is.
    pub(crate) async fn stop(&self, live: i64) -> Answer {
        Answer::of(self.request(Method::PUT, &format!("/api/posts/live/{live}/stop/"))).await
    }

    /// Stops a live of a server that goes away over it: whether an answer comes does not matter.
    pub(crate) async fn stop_in_vain(&self, live: i64) {
        let request = self.request(Method::PUT, &format!("/api/posts/live/{live}/stop/"));
        drop(request.send().await);
    }

    /// The public view of a live, as this member sees it.
    pub(crate) async fn view(&self, live: i64) -> Value {
        self.get(&format!("/api/posts/live/{live}/"))
            .await
            .expect(200)
            .json
    }

    /// Waits until the view's `status` is `status`; returns the view.
    pub(crate) async fn view_when(&self, live: i64, status: &str) -> Value {
        eventually(&format!("live {live} is {status}"), || async {
            let view = self.view(live).await;
            if view["status"] == status {
                Ok(view)
            } else {
                Err(view)
            }
        })
        .await
    }

    /// Waits until the recording of a live is ready; returns the view.
    pub(crate) async fn view_when_recorded(&self, live: i64) -> Value {
        eventually(
            &format!("the recording of live {live} is ready"),
            || async {
                let view = self.view(live).await;
                if view["recording"]["state"] == "ready" {
                    Ok(view)
                } else {
                    Err(view)
                }
            },
        )
        .await
    }

    /// Stops a live, waits for its recording and downloads it.
    pub(crate) async fn stop_and_download(&self, live: i64) -> (Value, Vec<u8>) {
        self.stop(live).await.expect(200);
        let view = self.view_when_recorded(live).await;
        let url = view["recording"]["mp4_url"]
            .as_str()
            .unwrap_or_else(|| panic!("a ready recording has an mp4_url: {view}"));
        let answer = Answer::of(self.client.get(url)).await.expect(200);
        (view, answer.body)
    }
}

/// What start answered.
pub(crate) struct Live {
    /// The live's and its post's id.
    pub(crate) id: i64,
    /// What viewers play.
    pub(crate) hls_url: String,
    /// Server and key in one, for encoders that take one address.
    pub(crate) rtmp_url: String,
    /// The member's stream key.
    pub(crate) stream_key: String,
}
