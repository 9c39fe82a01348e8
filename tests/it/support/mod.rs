//! What the end-to-end tests are made with.
//!
//! [`Server`] is a griot of its own (data folder, ports, environment), [`Member`] somebody with an account on it,
//! [`Process`] an encoder or any other child, [`Bucket`] a place on a real S3 server, [`Playlist`] and [`Player`] the viewing side, [`clip`] and its
//! neighbours the measuring. Children die with the value that owns them.

mod api;
mod certificate;
mod clip;
mod curl;
mod encoder;
mod follower;
mod house;
mod minio;
mod obs;
mod picture;
mod player;
mod postgres;
mod process;
mod same;
mod server;
mod small_disk;
mod tags;
mod wait;

pub(crate) use api::{Answer, Live, Member};
pub(crate) use certificate::Authority;
pub(crate) use clip::{
    Packet, Packets, av_offset_between_s, av_offset_s, clip, decode_errors, fixture, heavy_clip,
    other_clip, packets, probe, remux_errors,
};
pub(crate) use curl::{Curled, curl};
pub(crate) use encoder::{
    ffmpeg_long_gop, ffmpeg_publish, ffmpeg_publish_for_ever, ffmpeg_publish_secure,
    ffmpeg5_publish, ffmpeg9_publish, gstreamer_publish, librtmp_publish,
};
pub(crate) use follower::{Follower, KeptPart};
pub(crate) use house::{FOUR_HOURS_MS, House, bytes_of};
pub(crate) use minio::{Bucket, Minio};
pub(crate) use obs::Obs;
pub(crate) use picture::{TRACES, drawn, holds, of_a_phone, pixel, png_bomb, seen, segment};
pub(crate) use player::{Player, Playlist};
pub(crate) use postgres::{PASSWORD, Postgres};
pub(crate) use process::{Process, tool};
pub(crate) use same::{Kept, kept, saved};
pub(crate) use server::{Server, griot, serve_in_vain, worker};
pub(crate) use small_disk::SmallDisk;
pub(crate) use tags::{Tag, TagEncoder, tags};
pub(crate) use wait::{PATIENCE, eventually};
