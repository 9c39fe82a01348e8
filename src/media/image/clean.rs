//! What is left of an image's file when everything that its picture does not need is gone.

use image::metadata::Orientation;

use crate::media::Refusal;

/// A file with only what its picture needs.
#[derive(Debug)]
pub(super) struct Cleaned {
    /// The file.
    pub(super) bytes: Vec<u8>,
    /// How the camera was held; what is kept of the file does not say it any more.
    pub(super) orientation: Orientation,
    /// Pictures in it, at least 1.
    pub(super) frames: u32,
}

impl Cleaned {
    pub(super) fn new() -> Self {
        Self {
            bytes: Vec::new(),
            orientation: Orientation::NoTransforms,
            frames: 0,
        }
    }

    /// Notes what an EXIF block says of the camera; the rest of it is dropped.
    pub(super) fn note_exif(&mut self, exif: &[u8]) {
        if let Some(orientation) = Orientation::from_exif_chunk(exif) {
            self.orientation = orientation;
        }
    }
}

/// Reads a file from its beginning; a file that ends too early is `Unreadable`.
pub(super) struct Walk<'a> {
    left: &'a [u8],
}

impl<'a> Walk<'a> {
    pub(super) fn new(bytes: &'a [u8]) -> Self {
        Self { left: bytes }
    }

    /// The next `length` bytes.
    pub(super) fn take(&mut self, length: usize) -> Result<&'a [u8], Refusal> {
        let (taken, left) = self
            .left
            .split_at_checked(length)
            .ok_or(Refusal::Unreadable)?;
        self.left = left;
        Ok(taken)
    }

    /// The next bytes as an array.
    pub(super) fn array<const N: usize>(&mut self) -> Result<[u8; N], Refusal> {
        let (taken, left) = self
            .left
            .split_first_chunk::<N>()
            .ok_or(Refusal::Unreadable)?;
        self.left = left;
        Ok(*taken)
    }

    /// The next byte.
    pub(super) fn byte(&mut self) -> Result<u8, Refusal> {
        self.array::<1>().map(|[byte]| byte)
    }

    /// What was not taken yet.
    pub(super) fn left(&self) -> &'a [u8] {
        self.left
    }
}

/// A length that a file declares, as a count of bytes that may not be there.
pub(super) fn length(declared: u32) -> Result<usize, Refusal> {
    usize::try_from(declared).map_err(|_| Refusal::Unreadable)
}

/// Refuses what would hide behind or beside a picture.
pub(super) fn dropped(bytes: &[u8]) -> Result<(), Refusal> {
    if crate::media::format::hides(bytes) {
        return Err(Refusal::Hidden);
    }
    Ok(())
}
