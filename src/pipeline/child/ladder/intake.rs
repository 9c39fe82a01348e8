//! What the host says, in its order.

use std::sync::mpsc::SyncSender;

use super::super::super::live_plan::{AUDIO_IN, LadderTask, VIDEO_IN};
use super::super::super::wire::Message;
use super::super::Trouble;
use super::super::link::Link;
use super::Event;
use super::picture::Pictures;
use super::place::Places;
use super::sound::Sounds;

/// Everything that frames go to.
#[derive(Debug)]
pub(super) struct Intake {
    pictures: Option<Pictures>,
    sounds: Option<Sounds>,
    places: Places,
}

impl Intake {
    pub(super) fn new(
        task: &LadderTask,
        link: &Link,
        places: &Places,
        tell: &SyncSender<Event>,
    ) -> Result<Self, Trouble> {
        let pictures = task.video.as_ref();
        let pictures = pictures.map(|video| Pictures::new(task, video, link, places, tell));
        let sounds = task.audio.as_ref();
        let sounds = sounds.map(|audio| Sounds::new(task, audio, link, places, tell));
        Ok(Self {
            pictures: pictures.transpose()?,
            sounds: sounds.transpose()?,
            places: places.clone(),
        })
    }

    /// Takes a message, and waits as long as those it is for do not take it. True: it was the last, and all is out.
    pub(super) fn take(&mut self, message: Message) -> Result<bool, Trouble> {
        match (message, &mut self.pictures, &mut self.sounds) {
            (Message::Frame { stream, frame }, Some(pictures), _) if stream == VIDEO_IN => {
                pictures.take(frame)?;
                self.places.read_one();
            }
            (Message::Frame { stream, frame }, _, Some(sounds)) if stream == AUDIO_IN => {
                sounds.take(frame)?;
                self.places.read_one();
            }
            // Of a track that nobody asked for.
            (Message::Frame { .. }, _, _) => self.places.read_one(),
            (Message::Active { picture, active }, Some(pictures), _) => {
                pictures.set_active(usize::from(picture), active);
            }
            (Message::End(_), pictures, sounds) => {
                if let Some(pictures) = pictures {
                    pictures.end()?;
                }
                if let Some(sounds) = sounds {
                    sounds.end()?;
                }
                return Ok(true);
            }
            _ => {
                return Err(Trouble::Failed(
                    "the host says what it should not".to_owned(),
                ));
            }
        }
        Ok(false)
    }
}
