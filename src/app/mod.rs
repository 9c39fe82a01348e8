//! Composition root: configuration (defaults, file, environment), telemetry, ordered start and stop.
