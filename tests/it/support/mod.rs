//! What the end-to-end tests are made with.
//!
//! [`Server`] is a griot of its own (data folder, ports, environment), [`Member`] somebody with an account on it,
//! [`Process`] an encoder or any other child, [`Playlist`] and [`Player`] the viewing side, [`clip`] and its
//! neighbours the measuring. Children die with the value that owns them.

mod api;
mod clip;
mod encoder;
mod obs;
mod player;
mod process;
mod same;
mod server;
mod tags;
mod wait;

pub(crate) use api::{Answer, Live, Member};
pub(crate) use clip::{
    Packet, Packets, av_offset_s, clip, decode_errors, fixture, other_clip, packets, probe,
    remux_errors,
};
pub(crate) use encoder::{
    ffmpeg_publish, ffmpeg_publish_for_ever, ffmpeg5_publish, ffmpeg9_publish, gstreamer_publish,
    librtmp_publish,
};
pub(crate) use obs::Obs;
pub(crate) use player::{Player, Playlist};
pub(crate) use process::{Process, tool};
pub(crate) use same::{Kept, kept, saved};
pub(crate) use server::{Server, serve_in_vain};
pub(crate) use tags::{Tag, TagEncoder, tags};
pub(crate) use wait::{PATIENCE, eventually};
