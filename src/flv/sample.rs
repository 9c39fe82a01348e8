//! Samples of files instead of tags: the same checks, the same outputs.
//!
//! A file's demuxer gives the decoder's record and the samples as they are; who opens files (`pipeline`) believes
//! neither and sends both through here.

use bytes::Bytes;

use super::{Demuxer, FlvError, Output, aac, opus};
use crate::av::{AudioCodec, Frame, TrackKind, VideoCodec};

impl Demuxer {
    /// Takes the picture's decoder record: the payload of `avcC`, `hvcC`, `av1C` or `vpcC`. The configuration is
    /// appended to `outputs`, if need be with the first key frame only (AV1 without a sequence header, VP9).
    ///
    /// # Errors
    /// Nobody could decode the stream.
    pub fn video_record(
        &mut self,
        codec: VideoCodec,
        record: Bytes,
        outputs: &mut Vec<Output>,
    ) -> Result<(), FlvError> {
        self.video_config(codec, record, outputs)
    }

    /// Takes the sound's decoder record: an `AudioSpecificConfig`, an `OpusHead`; of MP3 each frame is its own.
    ///
    /// # Errors
    /// Nobody could decode the stream.
    pub fn audio_record(
        &mut self,
        codec: AudioCodec,
        record: Bytes,
        outputs: &mut Vec<Output>,
    ) -> Result<(), FlvError> {
        match codec {
            AudioCodec::Aac => self.set_audio(aac::parse(record)?, outputs),
            AudioCodec::Opus => self.set_audio(opus::parse(&record)?, outputs),
            AudioCodec::Mp3 => {}
        }
        Ok(())
    }

    /// Takes one picture in `codec`; its times are passed on as they are, whether it is a key frame is looked up in it
    /// where the codec tells. A picture that cannot be used becomes [`Output::Ignored`].
    pub fn video_sample(&mut self, codec: VideoCodec, frame: Frame, outputs: &mut Vec<Output>) {
        let output = match self.picture(codec, frame.key, frame.data.clone(), outputs) {
            Ok((key, data)) => Output::Frame(Frame {
                track: TrackKind::Video,
                key,
                data,
                ..frame
            }),
            Err(reason) => Output::Ignored(reason),
        };
        outputs.push(output);
    }

    /// Takes one frame of sound in `codec`; its times are passed on as they are.
    pub fn audio_sample(&mut self, codec: AudioCodec, frame: Frame, outputs: &mut Vec<Output>) {
        let output = match self.sound(codec, frame.data.clone(), outputs) {
            Ok((_, data)) => Output::Frame(Frame {
                track: TrackKind::Audio,
                key: true,
                pts: frame.dts,
                data,
                ..frame
            }),
            Err(reason) => Output::Ignored(reason),
        };
        outputs.push(output);
    }
}

#[cfg(test)]
mod tests {
    use super::super::Ignored;
    use super::*;
    use crate::av::{CodecConfig, Ticks};

    fn frame(track: TrackKind, at: i64, data: &[u8]) -> Frame {
        Frame {
            track,
            dts: Ticks(at),
            pts: Ticks(at + 3_000),
            key: false,
            data: Bytes::copy_from_slice(data),
        }
    }

    #[test]
    fn a_files_samples_get_the_same_checks_as_an_encoders() {
        // avcC of x264 for 720 × 576, see avc.rs.
        let avcc = "014d401effe10018674d401ef405a126c044000003000400000300c87c50aa8001000468de0fc8";
        let mut demuxer = Demuxer::new();
        let mut outputs = Vec::new();
        let record = Bytes::from(hex::decode(avcc).unwrap());
        demuxer
            .video_record(VideoCodec::H264, record, &mut outputs)
            .unwrap();
        // An IDR slice behind a length of four bytes; then a length that reaches past the end.
        let key = frame(TrackKind::Video, -90, &[0, 0, 0, 2, 0x65, 0x88]);
        demuxer.video_sample(VideoCodec::H264, key, &mut outputs);
        let broken = frame(TrackKind::Video, 0, &[0, 0, 0, 9, 0x65, 0x88]);
        demuxer.video_sample(VideoCodec::H264, broken, &mut outputs);
        let lost = frame(TrackKind::Audio, 0, &[1, 2, 3]);
        demuxer.audio_sample(AudioCodec::Aac, lost, &mut outputs);
        let [
            Output::Config(CodecConfig::Video(config)),
            Output::Frame(picture),
            Output::Ignored(Ignored::Malformed),
            Output::Ignored(Ignored::BeforeConfig),
        ] = &outputs[..]
        else {
            panic!("{outputs:?}");
        };
        assert_eq!((config.width, config.height), (720, 576));
        assert!(picture.key, "told by its slice");
        assert_eq!((picture.dts, picture.pts), (Ticks(-90), Ticks(2_910)));
    }
}
