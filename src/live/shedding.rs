//! Which rungs a machine that is too busy goes without, and when they come back: pure, fed four times a second.
//!
//! A child that is behind takes all its rungs behind with it, so the dearest one goes first, and another when that was
//! not enough. What went comes back one by one, cheapest first, while the machine has room; each that fails again makes the
//! next try wait twice as long.

use std::time::Duration;

/// Further behind its source than this, a child does not hold real time: healthy ones are behind by the pictures that
/// their decoder reorders and one part, well below half a second.
pub(super) const LATE: Duration = Duration::from_millis(1_500);
/// For so long, that one busy moment sheds nothing.
const LATE_FOR: Duration = Duration::from_millis(1_000);
/// So long a shed rung is given to help: the child works off what has queued up.
const RELIEF: Duration = Duration::from_secs(3);
/// Not further behind than this, a child holds real time.
const WELL: Duration = Duration::from_millis(750);
/// For so long, before a rung is tried again.
const PATIENCE: Duration = Duration::from_secs(20);
/// The same at most, however often it has failed.
const PATIENCE_MOST: Duration = Duration::from_secs(640);
/// A rung that is shed within this after it came back has failed.
const PROBATION: Duration = Duration::from_secs(60);
/// As long as a child may be silent before it is ended, and a little more.
const LAST_MOMENTS: Duration = Duration::from_secs(10);
/// So many times its own cost must be idle before a rung comes back: the estimate is rough.
const ROOM: f64 = 1.25;

/// What was seen of a child since the last look.
#[derive(Clone, Copy, Debug)]
pub(super) struct Measure {
    /// Any clock that only goes forward.
    pub(super) now: Duration,
    /// Media between what the child was given and what has come out of its slowest encoder.
    pub(super) lag: Duration,
    /// It refused media: its queue is full.
    pub(super) refused: bool,
    /// Cores that the machine does not use; `None` when that is not known.
    pub(super) idle_cores: Option<f64>,
}

/// What is to be done.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Order {
    /// The encoder at this place pauses.
    Shed(usize),
    /// It goes on.
    TakeBack(usize),
    /// Even without an encoder the child is behind: it ends, and rests.
    EndChild,
}

/// The encoders of a child, and what is known of how they fare.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Shedding {
    encoders: Vec<Encoder>,
    /// Since when it has been late without a pause.
    late_since: Option<Duration>,
    /// Since when well.
    well_since: Option<Duration>,
    /// Until when nothing more is shed.
    relief_until: Duration,
    patience: Duration,
    tried_at: Option<Duration>,
}

#[derive(Clone, Debug, PartialEq)]
struct Encoder {
    /// Cores.
    cost: f64,
    active: bool,
    shed_at: Duration,
}

impl Shedding {
    /// All encoders of a new child, by what each costs, in cores. Patience is kept from child to child by
    /// [`Shedding::again`].
    pub(super) fn new(costs: &[f64]) -> Self {
        let encoder = |cost: &f64| Encoder {
            cost: *cost,
            active: true,
            shed_at: Duration::ZERO,
        };
        Self {
            encoders: costs.iter().map(encoder).collect(),
            late_since: None,
            well_since: None,
            relief_until: Duration::ZERO,
            patience: PATIENCE,
            tried_at: None,
        }
    }

    /// The same encoders in a new child; what was shed stays shed. But a child that hung was behind for that, and not
    /// for want of CPU: what was shed in its last moments comes back.
    pub(super) fn again(&self, now: Duration) -> Self {
        let mut encoders = self.encoders.clone();
        for encoder in &mut encoders {
            encoder.active |= now.saturating_sub(encoder.shed_at) < LAST_MOMENTS;
        }
        Self {
            encoders,
            patience: self.patience,
            ..Self::new(&[])
        }
    }

    pub(super) fn is_active(&self, encoder: usize) -> bool {
        self.encoders
            .get(encoder)
            .is_some_and(|encoder| encoder.active)
    }

    /// How many are shed.
    pub(super) fn shed(&self) -> usize {
        self.encoders.iter().filter(|one| !one.active).count()
    }

    fn dearest_active(&self) -> Option<usize> {
        let active = self
            .encoders
            .iter()
            .enumerate()
            .filter(|(_, one)| one.active);
        active
            .max_by(|(_, one), (_, other)| one.cost.total_cmp(&other.cost))
            .map(|(at, _)| at)
    }

    fn cheapest_shed(&self) -> Option<usize> {
        let shed = self
            .encoders
            .iter()
            .enumerate()
            .filter(|(_, one)| !one.active);
        shed.min_by(|(_, one), (_, other)| one.cost.total_cmp(&other.cost))
            .map(|(at, _)| at)
    }
}

/// Looks at what was measured.
pub(super) fn next(mut state: Shedding, measure: &Measure) -> (Shedding, Option<Order>) {
    let now = measure.now;
    let since = |from: Option<Duration>| from.map(|from| now.saturating_sub(from));
    if measure.lag > LATE || measure.refused {
        state.late_since.get_or_insert(now);
        state.well_since = None;
    } else {
        state.late_since = None;
        if measure.lag <= WELL {
            state.well_since.get_or_insert(now);
        } else {
            state.well_since = None;
        }
    }
    // A full queue has lost media already: there is nothing to wait for.
    let late = measure.refused || since(state.late_since).is_some_and(|late| late >= LATE_FOR);
    if late && now >= state.relief_until {
        if since(state.tried_at).is_some_and(|tried| tried < PROBATION) {
            state.patience = (state.patience * 2).min(PATIENCE_MOST);
        }
        state.tried_at = None;
        state.late_since = None;
        state.relief_until = now + RELIEF;
        let Some(dearest) = state.dearest_active() else {
            return (state, Some(Order::EndChild));
        };
        state.encoders[dearest].active = false;
        state.encoders[dearest].shed_at = now;
        return (state, Some(Order::Shed(dearest)));
    }
    if since(state.tried_at).is_some_and(|tried| tried >= PROBATION) {
        state.tried_at = None;
        state.patience = PATIENCE;
    }
    let well = since(state.well_since).is_some_and(|well| well >= state.patience);
    let candidate = state.cheapest_shed().filter(|_| well);
    let Some(back) = candidate else {
        return (state, None);
    };
    let needs = state.encoders[back].cost * ROOM;
    if measure.idle_cores.is_some_and(|idle| idle < needs) {
        return (state, None);
    }
    state.encoders[back].active = true;
    state.tried_at = Some(now);
    state.well_since = None;
    (state, Some(Order::TakeBack(back)))
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Looks four times a second for `seconds`, each time at the same; answers what was ordered and when.
    struct Bench {
        state: Shedding,
        now: Duration,
    }

    impl Bench {
        fn new(costs: &[f64]) -> Self {
            Self {
                state: Shedding::new(costs),
                now: Duration::from_secs(100),
            }
        }

        fn see(&mut self, seconds: u64, lag_ms: u64, idle: Option<f64>) -> Vec<(u64, Order)> {
            let began = self.now;
            let mut orders = Vec::new();
            for _ in 0..seconds * 4 {
                self.now += Duration::from_millis(250);
                let measure = Measure {
                    now: self.now,
                    lag: Duration::from_millis(lag_ms),
                    refused: false,
                    idle_cores: idle,
                };
                let (state, order) = next(self.state.clone(), &measure);
                self.state = state;
                let at = (self.now - began).as_secs();
                orders.extend(order.map(|order| (at, order)));
            }
            orders
        }
    }

    #[test]
    fn a_child_that_is_behind_loses_its_dearest_rung_then_the_next_then_ends() {
        let mut bench = Bench::new(&[0.5, 0.7, 0.1]);
        assert_eq!(bench.see(60, 400, Some(0.0)), []);
        let expected = [
            (1, Order::Shed(1)),
            (4, Order::Shed(0)),
            (7, Order::Shed(2)),
            (10, Order::EndChild),
        ];
        assert_eq!(bench.see(11, 2_000, Some(0.0)), expected);
    }

    #[test]
    fn a_busy_moment_sheds_nothing() {
        let mut bench = Bench::new(&[0.5]);
        for _ in 0..20 {
            let busy = Measure {
                now: bench.now,
                lag: Duration::from_secs(3),
                refused: false,
                idle_cores: None,
            };
            let (state, order) = next(bench.state.clone(), &busy);
            assert_eq!(order, None);
            bench.state = state;
            assert_eq!(bench.see(1, 300, None), []);
        }
    }

    #[test]
    fn a_full_queue_sheds_at_once() {
        let refused = Measure {
            now: Duration::from_secs(9),
            lag: Duration::ZERO,
            refused: true,
            idle_cores: None,
        };
        let (state, order) = next(Shedding::new(&[0.1, 0.3]), &refused);
        assert_eq!(order, Some(Order::Shed(1)));
        // What was refused right behind it is the same trouble.
        assert_eq!(next(state, &refused).1, None);
    }

    #[test]
    fn what_was_shed_comes_back_cheapest_first_while_there_is_room() {
        let mut bench = Bench::new(&[0.6, 0.3]);
        bench.see(5, 2_000, Some(0.0));
        assert_eq!(bench.state.shed(), 2);
        assert_eq!(
            bench.see(60, 300, Some(0.3)),
            [],
            "no room for 0.3 and a quarter"
        );
        let back = bench.see(60, 300, Some(1.0));
        assert_eq!(back, [(0, Order::TakeBack(1)), (20, Order::TakeBack(0))]);
        assert_eq!(bench.state.shed(), 0);
    }

    #[test]
    fn each_try_that_fails_doubles_the_patience_and_one_that_holds_restores_it() {
        let mut bench = Bench::new(&[0.3]);
        bench.see(2, 2_000, None);
        for wait in [20, 40, 80, 160, 320, 640, 640] {
            let back = bench.see(wait + 1, 300, None);
            assert_eq!(back, [(wait, Order::TakeBack(0))]);
            bench.see(5, 2_000, None);
        }
        let held = bench.see(640 + 62, 300, None);
        assert_eq!(held, [(640, Order::TakeBack(0))]);
        assert_eq!(bench.state.patience, PATIENCE);
    }

    #[test]
    fn a_new_child_goes_on_without_what_was_shed_but_not_for_a_hang() {
        let mut bench = Bench::new(&[0.6, 0.3]);
        bench.see(2, 2_000, Some(0.0));
        let hung = bench.state.again(bench.now);
        assert!(hung.is_active(0) && hung.is_active(1));
        bench.see(15, 300, Some(0.0));
        let died = bench.state.again(bench.now);
        assert!(!died.is_active(0) && died.is_active(1));
    }
}
