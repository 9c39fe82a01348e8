//! GStreamer is started, forgets what is not allowed, and loads the rest.

use gstreamer as gst;

use gst::prelude::*;

use super::super::limits::Kind;
use super::super::plugins::{ELEMENTS, Element};
use super::scaler;

/// Starts GStreamer. Returns the names of allowed elements that are not there.
///
/// Everything that is allowed is loaded here and now, before the process is locked up: afterwards no file can be opened
/// by its name any more, and that is so on purpose.
pub(super) fn prepare(kind: Kind) -> Result<Vec<String>, String> {
    gst::init().map_err(|error| format!("GStreamer does not start: {error}"))?;
    let registry = gst::Registry::get();
    forget_strangers(&registry, kind);
    let mut missing = Vec::new();
    for element in ELEMENTS.iter().filter(|element| is_for(element, kind)) {
        // Loads the plugin that has it.
        let found = registry
            .lookup_feature(element.name)
            .is_some_and(|feature| feature.load().is_ok());
        if !found {
            missing.push(element.name.to_owned());
        }
    }
    // A plugin that is loaded brings back all it has.
    forget_strangers(&registry, kind);
    scaler::register().map_err(|error| format!("no scaler of our own: {error}"))?;
    let rest = registry.features_filtered(|feature| !is_allowed(&feature.name(), kind), true);
    match rest.iter().next() {
        Some(feature) => Err(format!("{} cannot be forgotten", feature.name())),
        None => Ok(missing),
    }
}

/// Codecs are what takes time to load: a child that decodes nothing goes without.
fn is_for(element: &Element, kind: Kind) -> bool {
    kind != Kind::Demux || element.moves()
}

fn is_allowed(name: &str, kind: Kind) -> bool {
    let mut wanted = ELEMENTS.iter().filter(|element| is_for(element, kind));
    name == scaler::NAME || wanted.any(|element| element.name == name)
}

fn forget_strangers(registry: &gst::Registry, kind: Kind) {
    for feature in registry.features_filtered(|feature| !is_allowed(&feature.name(), kind), false) {
        registry.remove_feature(&feature);
    }
}
