//! `griotscale`: the scaler of `crates/scale` as an element of GStreamer, for pictures in I420. The caps behind it say the size.

use gstreamer as gst;
use gstreamer_base as gst_base;
use gstreamer_video as gst_video;

use gst::glib;
use gst::prelude::*;
use gst::subclass::prelude::*;
use gst_base::subclass::prelude::*;
use gst_video::subclass::prelude::*;

/// Its name in graphs.
pub(super) const NAME: &str = "griotscale";

/// Makes it known to this process; once more does no harm.
pub(super) fn register() -> Result<(), glib::BoolError> {
    gst::Element::register(None, NAME, gst::Rank::NONE, Scaler::static_type())
}

glib::wrapper! {
    /// Scales pictures.
    pub(super) struct Scaler(ObjectSubclass<imp::Scaler>)
        @extends gst_video::VideoFilter, gst_base::BaseTransform, gst::Element, gst::Object;
}

mod imp {
    use std::sync::{LazyLock, Mutex, PoisonError};

    use griot_scale::Scale;
    use gst_base::subclass::BaseTransformMode;
    use gst_video::{VideoFrameExt, VideoFrameRef, VideoInfo};

    use super::*;

    #[derive(Debug, Default)]
    pub(in super::super) struct Scaler {
        // std mutex: one streaming thread, and the one that sets the caps before it.
        planes: Mutex<Vec<Scale>>,
    }

    #[glib::object_subclass]
    impl ObjectSubclass for Scaler {
        const NAME: &'static str = "GriotScaler";
        type Type = super::Scaler;
        type ParentType = gst_video::VideoFilter;
    }

    impl ObjectImpl for Scaler {}
    impl GstObjectImpl for Scaler {}

    impl ElementImpl for Scaler {
        fn metadata() -> Option<&'static gst::subclass::ElementMetadata> {
            static METADATA: LazyLock<gst::subclass::ElementMetadata> = LazyLock::new(|| {
                let what = "Scales pictures without aliasing";
                gst::subclass::ElementMetadata::new("griot's scaler", "Filter/Video", what, "griot")
            });
            Some(&METADATA)
        }

        fn pad_templates() -> &'static [gst::PadTemplate] {
            static TEMPLATES: LazyLock<Vec<gst::PadTemplate>> = LazyLock::new(|| {
                let caps = gst::Caps::builder("video/x-raw")
                    .field("format", "I420")
                    .build();
                let sides = [
                    ("sink", gst::PadDirection::Sink),
                    ("src", gst::PadDirection::Src),
                ];
                let templates = sides.into_iter().filter_map(|(name, direction)| {
                    gst::PadTemplate::new(name, direction, gst::PadPresence::Always, &caps).ok()
                });
                templates.collect()
            });
            &TEMPLATES
        }
    }

    impl BaseTransformImpl for Scaler {
        const MODE: BaseTransformMode = BaseTransformMode::NeverInPlace;
        const PASSTHROUGH_ON_SAME_CAPS: bool = true;
        const TRANSFORM_IP_ON_PASSTHROUGH: bool = false;

        /// Any size, and any shape of the pixels, on the other side.
        fn transform_caps(
            &self,
            _direction: gst::PadDirection,
            caps: &gst::Caps,
            filter: Option<&gst::Caps>,
        ) -> Option<gst::Caps> {
            let mut other = caps.copy();
            for structure in other.make_mut().iter_mut() {
                structure.set("width", gst::IntRange::new(1, i32::MAX));
                structure.set("height", gst::IntRange::new(1, i32::MAX));
                structure.remove_field("pixel-aspect-ratio");
            }
            Some(match filter {
                Some(filter) => filter.intersect_with_mode(&other, gst::CapsIntersectMode::First),
                None => other,
            })
        }

        /// Where nothing is asked for, nothing changes.
        fn fixate_caps(
            &self,
            _direction: gst::PadDirection,
            caps: &gst::Caps,
            mut other: gst::Caps,
        ) -> gst::Caps {
            other.truncate();
            if let (Some(known), Some(open)) =
                (caps.structure(0), other.make_mut().structure_mut(0))
            {
                for side in ["width", "height"] {
                    if let Ok(pixels) = known.get::<i32>(side) {
                        open.fixate_field_nearest_int(side, pixels);
                    }
                }
            }
            other.fixate();
            other
        }
    }

    impl VideoFilterImpl for Scaler {
        fn set_info(
            &self,
            _in_caps: &gst::Caps,
            from: &VideoInfo,
            _out_caps: &gst::Caps,
            to: &VideoInfo,
        ) -> Result<(), gst::LoggableError> {
            let side = |pixels: u32| usize::try_from(pixels).unwrap_or(1).max(1);
            let size = |info: &VideoInfo, plane: u8| {
                (side(info.comp_width(plane)), side(info.comp_height(plane)))
            };
            let planes = (0..3).map(|plane| Scale::new(size(from, plane), size(to, plane)));
            *self.planes.lock().unwrap_or_else(PoisonError::into_inner) = planes.collect();
            Ok(())
        }

        fn transform_frame(
            &self,
            from: &VideoFrameRef<&gst::BufferRef>,
            to: &mut VideoFrameRef<&mut gst::BufferRef>,
        ) -> Result<gst::FlowSuccess, gst::FlowError> {
            let stride = |strides: &[i32], plane: usize| {
                let stride = strides.get(plane).copied().unwrap_or(0);
                usize::try_from(stride)
                    .ok()
                    .filter(|stride| *stride > 0)
                    .ok_or(gst::FlowError::Error)
            };
            let mut planes = self.planes.lock().unwrap_or_else(PoisonError::into_inner);
            for (plane, scale) in planes.iter_mut().enumerate() {
                let strides = (
                    stride(from.plane_stride(), plane)?,
                    stride(to.plane_stride(), plane)?,
                );
                let number = u32::try_from(plane).map_err(|_| gst::FlowError::Error)?;
                let samples = from.plane_data(number).map_err(|_| gst::FlowError::Error)?;
                let into = to
                    .plane_data_mut(number)
                    .map_err(|_| gst::FlowError::Error)?;
                scale.run(samples, strides.0, into, strides.1);
            }
            Ok(gst::FlowSuccess::Ok)
        }
    }
}
