//! GStreamer is started, forgets what is not allowed, and loads the rest.

use gstreamer as gst;

use gst::prelude::*;

use super::super::plugins::ELEMENTS;
use super::scaler;

/// Starts GStreamer. Returns the names of allowed elements that are not there.
///
/// Everything that is allowed is loaded here and now, before the process is locked up: afterwards no file can be opened
/// by its name any more, and that is so on purpose.
pub(super) fn prepare() -> Result<Vec<String>, String> {
    gst::init().map_err(|error| format!("GStreamer does not start: {error}"))?;
    let registry = gst::Registry::get();
    forget_strangers(&registry);
    let mut missing = Vec::new();
    for element in ELEMENTS {
        // Loads the plugin that has it.
        let found = registry
            .lookup_feature(element.name)
            .is_some_and(|feature| feature.load().is_ok());
        if !found {
            missing.push(element.name.to_owned());
        }
    }
    // A plugin that is loaded brings back all it has.
    forget_strangers(&registry);
    scaler::register().map_err(|error| format!("no scaler of our own: {error}"))?;
    let rest = registry.features_filtered(|feature| !is_allowed(&feature.name()), true);
    match rest.iter().next() {
        Some(feature) => Err(format!("{} cannot be forgotten", feature.name())),
        None => Ok(missing),
    }
}

fn is_allowed(name: &str) -> bool {
    name == scaler::NAME || ELEMENTS.iter().any(|element| element.name == name)
}

fn forget_strangers(registry: &gst::Registry) {
    for feature in registry.features_filtered(|feature| !is_allowed(&feature.name()), false) {
        registry.remove_feature(&feature);
    }
}
