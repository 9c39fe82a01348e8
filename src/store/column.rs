//! How values that are not SQL's own lie in columns: ids, moments and ticks as BIGINT, enums as TEXT.

use sqlx::encode::IsNull;
use sqlx::error::BoxDynError;
use sqlx::{Database, Decode, Encode, Type};

use super::{
    EndReason, GapCause, JobState, LiveStatus, MediaKind, MediaState, RecordingState, Role,
    RunState, UploadDoor, UploadState,
};
use crate::av::Ticks;
use crate::base::{
    JobId, LiveId, MediaId, RecordingId, RunId, Secret, SessionId, Timestamp, UploadId, UserId,
};

macro_rules! bigint_column {
    ($($name:ident),+) => {$(
        impl<DB: Database> Type<DB> for $name
        where
            i64: Type<DB>,
        {
            fn type_info() -> DB::TypeInfo {
                <i64 as Type<DB>>::type_info()
            }

            fn compatible(ty: &DB::TypeInfo) -> bool {
                <i64 as Type<DB>>::compatible(ty)
            }
        }

        impl<'q, DB: Database> Encode<'q, DB> for $name
        where
            i64: Encode<'q, DB>,
        {
            fn encode_by_ref(&self, buffer: &mut DB::ArgumentBuffer) -> Result<IsNull, BoxDynError> {
                self.0.encode_by_ref(buffer)
            }
        }

        impl<'r, DB: Database> Decode<'r, DB> for $name
        where
            i64: Decode<'r, DB>,
        {
            fn decode(value: DB::ValueRef<'r>) -> Result<Self, BoxDynError> {
                <i64 as Decode<'r, DB>>::decode(value).map(Self)
            }
        }
    )+};
}

bigint_column!(
    JobId,
    LiveId,
    MediaId,
    RecordingId,
    RunId,
    SessionId,
    Ticks,
    Timestamp,
    UploadId,
    UserId
);

impl<DB: Database> Type<DB> for Secret
where
    String: Type<DB>,
{
    fn type_info() -> DB::TypeInfo {
        <String as Type<DB>>::type_info()
    }

    fn compatible(ty: &DB::TypeInfo) -> bool {
        <String as Type<DB>>::compatible(ty)
    }
}

impl<'q, DB: Database> Encode<'q, DB> for Secret
where
    String: Encode<'q, DB>,
{
    fn encode_by_ref(&self, buffer: &mut DB::ArgumentBuffer) -> Result<IsNull, BoxDynError> {
        self.expose().to_owned().encode(buffer)
    }
}

impl<'r, DB: Database> Decode<'r, DB> for Secret
where
    String: Decode<'r, DB>,
{
    fn decode(value: DB::ValueRef<'r>) -> Result<Self, BoxDynError> {
        <String as Decode<'r, DB>>::decode(value).map(Self::new)
    }
}

macro_rules! text_column {
    ($name:ident { $($variant:ident = $text:literal),+ }) => {
        impl $name {
            /// The word that stands for it in rows and in the API.
            #[must_use]
            pub fn as_str(self) -> &'static str {
                match self {
                    $(Self::$variant => $text,)+
                }
            }

            /// The value that a word stands for.
            #[must_use]
            pub fn from_word(word: &str) -> Option<Self> {
                match word {
                    $($text => Some(Self::$variant),)+
                    _ => None,
                }
            }
        }

        impl<DB: Database> Type<DB> for $name
        where
            String: Type<DB>,
        {
            fn type_info() -> DB::TypeInfo {
                <String as Type<DB>>::type_info()
            }

            fn compatible(ty: &DB::TypeInfo) -> bool {
                <String as Type<DB>>::compatible(ty)
            }
        }

        impl<'q, DB: Database> Encode<'q, DB> for $name
        where
            &'static str: Encode<'q, DB>,
        {
            fn encode_by_ref(&self, buffer: &mut DB::ArgumentBuffer) -> Result<IsNull, BoxDynError> {
                self.as_str().encode_by_ref(buffer)
            }
        }

        impl<'r, DB: Database> Decode<'r, DB> for $name
        where
            &'r str: Decode<'r, DB>,
        {
            fn decode(value: DB::ValueRef<'r>) -> Result<Self, BoxDynError> {
                let word = <&str as Decode<'r, DB>>::decode(value)?;
                Self::from_word(word)
                    .ok_or_else(|| format!("{word} is no {}", stringify!($name)).into())
            }
        }
    };
}

text_column!(Role { User = "user", Ambassador = "ambassador", Admin = "admin" });
text_column!(LiveStatus {
    Ready = "ready",
    Live = "live",
    Interrupted = "interrupted",
    Ended = "ended"
});
text_column!(EndReason {
    Owner = "owner",
    Forced = "forced",
    IngestClosed = "ingest_closed",
    Timeout = "timeout",
    Admin = "admin"
});
text_column!(RecordingState {
    Recording = "recording",
    Finishing = "finishing",
    Ready = "ready",
    Failed = "failed"
});
text_column!(RunState { Growing = "growing", Final = "final" });
text_column!(GapCause { Encoder = "encoder", Disk = "disk" });
text_column!(MediaKind { Image = "image", Video = "video" });
text_column!(MediaState {
    Processing = "processing",
    Ready = "ready",
    Failed = "failed"
});
text_column!(UploadDoor {
    Multipart = "multipart",
    Tus = "tus",
    Recording = "recording"
});
text_column!(UploadState {
    Receiving = "receiving",
    Received = "received",
    Accepted = "accepted",
    Refused = "refused"
});
text_column!(JobState {
    Queued = "queued",
    Running = "running",
    Done = "done",
    Failed = "failed",
    Cancelled = "cancelled"
});
