//! A file that is already open, as GStreamer's source: what `filesrc` is, without a path.

use gstreamer as gst;
use gstreamer_base as gst_base;

use gst::glib;
use gst::subclass::prelude::*;
use gst_base::subclass::prelude::*;

mod imp {
    use std::fs::File;
    use std::os::unix::fs::FileExt;
    use std::sync::{LazyLock, OnceLock};

    use gst_base::prelude::*;

    use super::*;

    #[derive(Debug, Default)]
    pub(in super::super) struct FileSource {
        pub(super) file: OnceLock<(File, u64)>,
    }

    #[glib::object_subclass]
    impl ObjectSubclass for FileSource {
        const NAME: &'static str = "GriotFileSource";
        type Type = super::FileSource;
        type ParentType = gst_base::BaseSrc;
    }

    impl ObjectImpl for FileSource {
        fn constructed(&self) {
            self.parent_constructed();
            let source = self.obj();
            source.set_format(gst::Format::Bytes);
            source.set_dynamic_size(false);
            source.set_blocksize(64 << 10);
        }
    }

    impl GstObjectImpl for FileSource {}

    impl ElementImpl for FileSource {
        fn pad_templates() -> &'static [gst::PadTemplate] {
            static TEMPLATES: LazyLock<Vec<gst::PadTemplate>> = LazyLock::new(|| {
                let template = gst::PadTemplate::new(
                    "src",
                    gst::PadDirection::Src,
                    gst::PadPresence::Always,
                    &gst::Caps::new_any(),
                );
                template.into_iter().collect()
            });
            &TEMPLATES
        }
    }

    impl BaseSrcImpl for FileSource {
        fn is_seekable(&self) -> bool {
            true
        }

        fn size(&self) -> Option<u64> {
            self.file.get().map(|(_, bytes)| *bytes)
        }

        fn fill(
            &self,
            offset: u64,
            length: u32,
            buffer: &mut gst::BufferRef,
        ) -> Result<gst::FlowSuccess, gst::FlowError> {
            let (file, _) = self.file.get().ok_or(gst::FlowError::Error)?;
            let mut filled = 0;
            {
                let mut space = buffer.map_writable().map_err(|_| gst::FlowError::Error)?;
                let wanted = usize::try_from(length).map_or(space.len(), |l| l.min(space.len()));
                while filled < wanted {
                    let at = offset + u64::try_from(filled).unwrap_or(0);
                    match file.read_at(&mut space[filled..wanted], at) {
                        Ok(0) => break,
                        Ok(read) => filled += read,
                        Err(error) if error.kind() == std::io::ErrorKind::Interrupted => {}
                        Err(_) => return Err(gst::FlowError::Error),
                    }
                }
            }
            if filled == 0 {
                return Err(gst::FlowError::Eos);
            }
            buffer.set_size(filled);
            Ok(gst::FlowSuccess::Ok)
        }
    }
}

glib::wrapper! {
    /// Reads one open file, from anywhere in it.
    pub(super) struct FileSource(ObjectSubclass<imp::FileSource>)
        @extends gst_base::BaseSrc, gst::Element, gst::Object;
}

impl FileSource {
    /// A source of all of `file`, which has `bytes`.
    pub(super) fn new(file: std::fs::File, bytes: u64) -> Self {
        let source: Self = glib::Object::new();
        // Nobody else has seen it yet.
        source.imp().file.set((file, bytes)).ok();
        source
    }
}
