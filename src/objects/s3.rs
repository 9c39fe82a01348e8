//! Objects in a bucket of anything that speaks S3.

use std::error::Error;
use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use aws_sdk_s3::Client;
use aws_sdk_s3::config::retry::RetryConfig;
use aws_sdk_s3::config::timeout::TimeoutConfig;
use aws_sdk_s3::config::{
    BehaviorVersion, Credentials, Region, RequestChecksumCalculation, ResponseChecksumValidation,
    StalledStreamProtectionConfig,
};
use aws_sdk_s3::error::{DisplayErrorContext, ProvideErrorMetadata, SdkError};
use aws_sdk_s3::presigning::PresigningConfig;
use aws_sdk_s3::primitives::ByteStream;
use aws_smithy_http_client::Builder as HttpClient;
use aws_smithy_http_client::tls::Provider;
use aws_smithy_http_client::tls::rustls_provider::CryptoMode;
use bytes::Bytes;
use tokio::sync::Semaphore;

use super::store::{Listed, ObjectPage};
use super::{ObjectError, ObjectKey, ObjectStream};
use crate::base::Secret;

/// A store that does not take a connection in this time is away.
const CONNECT_WITHIN: Duration = Duration::from_secs(3);
/// A store that does not answer a small request in this time is away.
const ANSWER_WITHIN: Duration = Duration::from_secs(10);
/// The same when it is only asked whether it is there.
const LOOK_WITHIN: Duration = Duration::from_secs(5);
/// Parts of multipart uploads that may be in memory at a time, for the whole process: 16 MiB.
/// More wait; a part is read from the spool when its turn has come.
const PARTS_IN_FLIGHT: usize = 2;

/// Which bucket, where, and who we are there.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct S3Config {
    /// The bucket; it must be there.
    pub bucket: String,
    /// What every key begins with, without a slash at either end; may be empty.
    pub prefix: String,
    /// `http://…` or `https://…` of the server; Amazon's own when `None`.
    pub endpoint: Option<String>,
    /// The region that signatures name.
    pub region: String,
    /// `https://host/bucket/key` instead of `https://bucket.host/key`.
    pub path_style: bool,
    /// Public half of the credentials.
    pub access_key_id: Secret,
    /// Secret half of the credentials.
    pub secret_access_key: Secret,
}

/// A bucket, or what lies below a prefix in it. Cheap to clone.
#[derive(Clone)]
pub struct S3 {
    pub(super) client: Client,
    pub(super) bucket: Arc<str>,
    prefix: Arc<str>,
    pub(super) parts: Arc<Semaphore>,
}

/// Never shows the client, which holds the credentials.
impl fmt::Debug for S3 {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "s3://{}/{}", self.bucket, self.prefix)
    }
}

impl S3 {
    /// A client of the bucket. Asks nothing of the server yet: it may be away, and credentials may be wrong.
    #[must_use]
    pub fn new(config: &S3Config) -> Self {
        let credentials = Credentials::new(
            config.access_key_id.expose(),
            config.secret_access_key.expose(),
            None,
            None,
            "griot",
        );
        let plain = config
            .endpoint
            .as_deref()
            .is_some_and(|endpoint| endpoint.starts_with("http://"));
        let http = if plain {
            HttpClient::new().build_http()
        } else {
            HttpClient::new()
                .tls_provider(Provider::Rustls(CryptoMode::Ring))
                .build_https()
        };
        let mut settings = aws_sdk_s3::Config::builder()
            .behavior_version(BehaviorVersion::latest())
            .credentials_provider(credentials)
            .region(Region::new(config.region.clone()))
            .force_path_style(config.path_style)
            .http_client(http)
            // The newer default wraps bodies into chunks with a trailer, which older servers store as content.
            .request_checksum_calculation(RequestChecksumCalculation::WhenRequired)
            .response_checksum_validation(ResponseChecksumValidation::WhenRequired)
            // `ObjectStream` has its own; this one would also cut viewers who read slowly.
            .stalled_stream_protection(StalledStreamProtectionConfig::disabled())
            .timeout_config(within(ANSWER_WITHIN))
            .retry_config(RetryConfig::standard().with_max_attempts(2));
        if let Some(endpoint) = &config.endpoint {
            settings = settings.endpoint_url(endpoint);
        }
        Self {
            client: Client::from_conf(settings.build()),
            bucket: config.bucket.as_str().into(),
            prefix: config.prefix.as_str().into(),
            parts: Arc::new(Semaphore::new(PARTS_IN_FLIGHT)),
        }
    }

    /// A path below our root as the bucket knows it.
    pub(super) fn name(&self, path: &str) -> String {
        if self.prefix.is_empty() {
            path.to_owned()
        } else {
            format!("{}/{path}", self.prefix)
        }
    }

    /// A name of the bucket as a path below our root.
    pub(super) fn path(&self, name: &str) -> String {
        let below = name.strip_prefix(&*self.prefix).unwrap_or(name);
        below.trim_start_matches('/').to_owned()
    }

    /// Whether the bucket is there and lets us in; it has five seconds to say so.
    ///
    /// # Errors
    /// `Refused`, `Away`, `Other`.
    pub async fn look(&self) -> Result<(), ObjectError> {
        let settings = aws_sdk_s3::Config::builder()
            .timeout_config(within(LOOK_WITHIN))
            .retry_config(RetryConfig::disabled());
        let asked = self.client.head_bucket().bucket(&*self.bucket);
        let answer = asked.customize().config_override(settings).send().await;
        match answer.map_err(|error| from_sdk("look", error)) {
            Ok(_) => Ok(()),
            // Answers to HEAD have no body that would say what is missing.
            Err(ObjectError::Missing) => {
                count("look", "refused");
                let bucket = &self.bucket;
                Err(ObjectError::Refused(format!("there is no bucket {bucket}")))
            }
            Err(error) => Err(error),
        }
    }

    pub(super) async fn head(&self, key: &ObjectKey) -> Result<u64, ObjectError> {
        let asked = self.client.head_object();
        let answer = asked
            .bucket(&*self.bucket)
            .key(self.name(key.as_str()))
            .send()
            .await
            .map_err(|error| from_sdk("head", error))?;
        Ok(unsigned(answer.content_length()))
    }

    pub(super) async fn read(
        &self,
        key: &ObjectKey,
        offset: u64,
        length: u64,
    ) -> Result<ObjectStream, ObjectError> {
        if length == 0 {
            return Ok(ObjectStream::s3(ByteStream::default(), 0));
        }
        let asked = self.client.get_object();
        let answer = asked
            .bucket(&*self.bucket)
            .key(self.name(key.as_str()))
            .range(format!("bytes={offset}-{}", offset + length - 1))
            .send()
            .await
            .map_err(|error| from_sdk("read", error))?;
        let there = unsigned(answer.content_length());
        if there != length {
            return Err(ObjectError::Other(format!(
                "{key} has {there} bytes where {length} were asked for"
            )));
        }
        Ok(ObjectStream::s3(answer.body, length))
    }

    pub(super) async fn put(
        &self,
        key: &ObjectKey,
        bytes: Bytes,
        time: Duration,
    ) -> Result<(), ObjectError> {
        let asked = self.client.put_object();
        asked
            .bucket(&*self.bucket)
            .key(self.name(key.as_str()))
            .content_type(key.content_type())
            .body(ByteStream::from(bytes))
            .customize()
            .config_override(aws_sdk_s3::Config::builder().timeout_config(within(time)))
            .send()
            .await
            .map_err(|error| from_sdk("put", error))?;
        Ok(())
    }

    pub(super) async fn delete(&self, key: &ObjectKey) -> Result<(), ObjectError> {
        let asked = self.client.delete_object();
        asked
            .bucket(&*self.bucket)
            .key(self.name(key.as_str()))
            .send()
            .await
            .map_err(|error| from_sdk("delete", error))?;
        Ok(())
    }

    pub(super) async fn list(
        &self,
        below: &str,
        after: Option<&str>,
    ) -> Result<ObjectPage, ObjectError> {
        let asked = self.client.list_objects_v2();
        let answer = asked
            .bucket(&*self.bucket)
            .prefix(self.name(below))
            .set_continuation_token(after.map(str::to_owned))
            .send()
            .await
            .map_err(|error| from_sdk("list", error))?;
        let objects = answer.contents().iter().map(|object| Listed {
            path: self.path(object.key().unwrap_or_default()),
            bytes: unsigned(object.size()),
        });
        Ok(ObjectPage {
            objects: objects.collect(),
            next: answer.next_continuation_token().map(str::to_owned),
        })
    }

    /// An address at which anybody can GET the object for `lifetime`, without asking us. `disposition` is what
    /// the answer says in Content-Disposition. Made here; the server is not asked.
    ///
    /// # Errors
    /// When `lifetime` is longer than a week.
    pub async fn presigned_get(
        &self,
        key: &ObjectKey,
        disposition: Option<String>,
        content_type: &str,
        lifetime: Duration,
    ) -> Result<String, ObjectError> {
        let other = |error: &dyn fmt::Display| ObjectError::Other(error.to_string());
        let signing = PresigningConfig::expires_in(lifetime).map_err(|error| other(&error))?;
        let asked = self.client.get_object();
        let signed = asked
            .bucket(&*self.bucket)
            .key(self.name(key.as_str()))
            .set_response_content_disposition(disposition)
            .response_content_type(content_type)
            .presigned(signing)
            .await
            .map_err(|error| from_sdk("presign", error))?;
        Ok(signed.uri().to_owned())
    }
}

/// Time-outs of one request that may take `time`.
pub(super) fn within(time: Duration) -> TimeoutConfig {
    TimeoutConfig::builder()
        .connect_timeout(CONNECT_WITHIN)
        .read_timeout(time)
        .operation_attempt_timeout(time)
        .build()
}

fn unsigned(length: Option<i64>) -> u64 {
    length
        .and_then(|length| u64::try_from(length).ok())
        .unwrap_or(0)
}

/// Sorts an error by what a caller can do about it, and counts it.
pub(super) fn from_sdk<E>(
    operation: &'static str,
    error: SdkError<E, aws_sdk_s3::config::http::HttpResponse>,
) -> ObjectError
where
    E: ProvideErrorMetadata + Error + 'static,
{
    let sorted = match &error {
        SdkError::TimeoutError(_) => ObjectError::Away("it does not answer in time".to_owned()),
        SdkError::DispatchFailure(failure) => {
            let cause = failure.as_connector_error().map(innermost);
            ObjectError::Away(cause.unwrap_or_else(|| "it cannot be reached".to_owned()))
        }
        SdkError::ResponseError(_) => ObjectError::Away("its answer broke off".to_owned()),
        SdkError::ServiceError(service) => by_answer(
            service.raw().status().as_u16(),
            service.err().code().unwrap_or_default(),
            service.err().message().unwrap_or_default(),
        ),
        _ => ObjectError::Other(DisplayErrorContext(&error).to_string()),
    };
    if sorted != ObjectError::Missing {
        count(operation, sorted.word());
    }
    sorted
}

fn count(operation: &'static str, kind: &'static str) {
    metrics::counter!("griot_objects_errors_total", "kind" => kind, "operation" => operation)
        .increment(1);
}

/// What an answer of the server means, by status and S3's own code (none in answers to HEAD).
fn by_answer(status: u16, code: &str, message: &str) -> ObjectError {
    let said = match (code, message) {
        ("", "") => format!("status {status}"),
        (code, "") => format!("{code} (status {status})"),
        (code, message) => format!("{code}: {message} (status {status})"),
    };
    match (status, code) {
        (_, "NoSuchBucket") => ObjectError::Refused(said),
        (_, "NoSuchKey" | "NoSuchUpload" | "NotFound") | (404, _) => ObjectError::Missing,
        (_, "AuthorizationHeaderMalformed" | "InvalidAccessKeyId" | "SignatureDoesNotMatch")
        | (301 | 307 | 401 | 403, _) => ObjectError::Refused(said),
        (_, "RequestTimeout" | "SlowDown") | (408 | 429 | 500..=599, _) => ObjectError::Away(said),
        _ => ObjectError::Other(said),
    }
}

/// The last cause of a chain of errors: `Connection refused (os error 111)`.
fn innermost(error: &(impl Error + 'static)) -> String {
    let mut last: &dyn Error = error;
    while let Some(cause) = last.source() {
        last = cause;
    }
    last.to_string()
}

#[cfg(test)]
mod tests {
    use super::*;

    // Codes and statuses of "Amazon S3 API Reference, Error responses".
    #[test]
    fn answers_are_sorted_by_what_can_be_done() {
        let word = |status, code| by_answer(status, code, "").word();
        for (status, code, expected) in [
            (404, "NoSuchKey", "missing"),
            (404, "NoSuchUpload", "missing"),
            (404, "", "missing"),
            (404, "NoSuchBucket", "refused"),
            (403, "AccessDenied", "refused"),
            (403, "InvalidAccessKeyId", "refused"),
            (403, "", "refused"),
            (400, "AuthorizationHeaderMalformed", "refused"),
            (301, "PermanentRedirect", "refused"),
            (503, "SlowDown", "away"),
            (500, "InternalError", "away"),
            (400, "RequestTimeout", "away"),
            (400, "EntityTooSmall", "other"),
        ] {
            assert_eq!(word(status, code), expected, "{status} {code}");
        }
    }

    #[test]
    fn a_store_never_shows_its_credentials() {
        let config = S3Config {
            bucket: "media".to_owned(),
            prefix: "griot".to_owned(),
            endpoint: Some("http://127.0.0.1:1".to_owned()),
            region: "us-east-1".to_owned(),
            path_style: true,
            access_key_id: Secret::new("AKIDEXAMPLE"),
            secret_access_key: Secret::new("hunter2hunter2"),
        };
        let shown = format!("{config:?} {:?}", S3::new(&config));
        assert!(!shown.contains("hunter2"), "{shown}");
        assert!(!shown.contains("AKID"), "{shown}");
        assert!(shown.ends_with("s3://media/griot"), "{shown}");
    }
}
