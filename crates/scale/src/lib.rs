//! Another size for a plane of 8-bit samples, by a triangle filter that is as wide as what it joins.
//!
//! GStreamer's own scaler either looks at two samples whatever the ratio (`bilinear`), so that fine detail aliases and
//! the encoder spends twice the bytes and a third more time on it, or takes six times the CPU of FFmpeg's (`bilinear2`).
//!
//! Everything here is a loop over neighbours that share a weight, of which compilers make vectors. Samples that lie side by
//! side have a weight each, but those that stand one below the other share theirs: so some rows are blended as they lie,
//! turned on their side, blended, and turned back. That needs no unsafe code and no instruction that a processor may lack.
//!
//! Weights are 256ths and add up to 256, so a weighted sum of bytes fits 16 bits wherever one stops adding.

use wide::u8x16;

/// Weights add up to this.
const ONE: u64 = 256;
/// Half of it, for rounding.
const HALF: u16 = 128;
/// Samples of a row that are blended together.
const LANES: usize = 32;
/// Rows that are turned together.
const BAND: usize = 16;

/// Samples that stand one below the other.
type Column = [u8; BAND];

/// Makes planes of one size into planes of another.
#[derive(Debug)]
pub struct Scale {
    rows: Vec<Window>,
    columns: Columns,
    width: usize,
    /// Blended rows of the source, the same on their side, and what becomes of them.
    band: Vec<u8>,
    standing: Vec<Column>,
    joined: Vec<Column>,
}

impl Scale {
    /// From so many columns and rows to so many; none of them 0.
    #[must_use]
    pub fn new(from: (usize, usize), to: (usize, usize)) -> Self {
        Self {
            rows: windows(from.1, to.1),
            columns: Columns::new(from.0, to.0),
            width: from.0,
            band: vec![0; from.0 * BAND],
            standing: vec![[0; BAND]; from.0],
            joined: vec![[0; BAND]; to.0],
        }
    }

    /// Fills `into` from `plane`. A stride is the distance of two rows.
    ///
    /// # Panics
    /// When a plane is too short for its size: whoever calls has promised it.
    pub fn run(&mut self, plane: &[u8], stride: usize, into: &mut [u8], into_stride: usize) {
        let bands = into.chunks_mut(into_stride * BAND);
        for (windows, into) in self.rows.chunks(BAND).zip(bands) {
            for (window, row) in windows.iter().zip(self.band.chunks_exact_mut(self.width)) {
                blend(window, &plane[window.start * stride..], stride, row);
            }
            stand(&self.band, self.width, &mut self.standing);
            self.columns.run(&self.standing, &mut self.joined);
            lie(&self.joined, into, into_stride, windows.len());
        }
    }
}

/// What one sample is made of: neighbours from `start` on, and the weight of each.
#[derive(Debug)]
struct Window {
    start: usize,
    weights: Vec<u16>,
}

/// The windows of all samples of a line. Exact: every place is a multiple of `1 / (2 · to)`.
fn windows(from: usize, to: usize) -> Vec<Window> {
    let signed = |length: usize| i64::try_from(length).expect("a line is short");
    let (from, to) = (signed(from), signed(to));
    let reach = 2 * from.max(to);
    let window = |at: i64| {
        let centre = (2 * at + 1) * from - to;
        let first = (centre - reach).div_euclid(2 * to) + 1;
        let last = (centre + reach - 1).div_euclid(2 * to);
        // What lies outside is what lies at the edge.
        let inside = |place: i64| place.clamp(0, from - 1);
        let start = inside(first);
        let mut shares = vec![0; usize::try_from(inside(last) - start + 1).unwrap_or(1)];
        for place in first..=last {
            let share = u64::try_from(reach - (2 * to * place - centre).abs()).unwrap_or(0);
            shares[usize::try_from(inside(place) - start).unwrap_or(0)] += share;
        }
        Window {
            start: usize::try_from(start).unwrap_or(0),
            weights: rounded(&shares),
        }
    };
    (0..to).map(window).collect()
}

/// Shares as 256ths that add up to 256.
fn rounded(shares: &[u64]) -> Vec<u16> {
    let total: u64 = shares.iter().sum();
    let (mut seen, mut given) = (0, 0);
    let weight = |share: &u64| {
        seen += share;
        let due = (seen * ONE + total / 2) / total;
        let weight = due - given;
        given = due;
        u16::try_from(weight).expect("a part of 256")
    };
    shares.iter().map(weight).collect()
}

/// One row out of those of a window, whose first begins `plane`.
fn blend(window: &Window, plane: &[u8], stride: usize, out: &mut [u8]) {
    let whole = out.len() - out.len() % LANES;
    for (at, out) in out[..whole].chunks_exact_mut(LANES).enumerate() {
        let mut sums = [HALF; LANES];
        for (row, weight) in window.weights.iter().enumerate() {
            let samples = &plane[row * stride + at * LANES..][..LANES];
            for (sum, sample) in sums.iter_mut().zip(samples) {
                *sum += u16::from(*sample) * weight;
            }
        }
        for (out, sum) in out.iter_mut().zip(sums) {
            *out = whole_of(sum);
        }
    }
    for (at, out) in out.iter_mut().enumerate().skip(whole) {
        let samples = plane[at..].iter().step_by(stride);
        let products = samples
            .zip(&window.weights)
            .map(|(sample, weight)| u16::from(*sample) * weight);
        *out = whole_of(HALF + products.sum::<u16>());
    }
}

/// What is whole of so many 256ths.
#[inline]
fn whole_of(sum: u16) -> u8 {
    sum.to_be_bytes()[0]
}

/// The windows of a row's samples, all equally wide.
#[derive(Debug)]
struct Columns {
    starts: Vec<usize>,
    /// `width` for each sample.
    weights: Vec<u16>,
    width: usize,
}

impl Columns {
    fn new(from: usize, to: usize) -> Self {
        let windows = windows(from, to);
        let widths = windows.iter().map(|window| window.weights.len());
        let width = widths.max().unwrap_or(1);
        let mut columns = Self {
            starts: Vec::new(),
            weights: Vec::new(),
            width,
        };
        for window in windows {
            // One at the end begins earlier, its first weights are 0.
            let start = window.start.min(from - width);
            let mut weights = vec![0; width];
            weights[window.start - start..][..window.weights.len()]
                .copy_from_slice(&window.weights);
            columns.starts.push(start);
            columns.weights.extend(weights);
        }
        columns
    }

    fn run(&self, from: &[Column], to: &mut [Column]) {
        let windows = self
            .starts
            .iter()
            .zip(self.weights.chunks_exact(self.width));
        for (out, (start, weights)) in to.iter_mut().zip(windows) {
            let mut sums = [HALF; BAND];
            for (column, weight) in from[*start..][..weights.len()].iter().zip(weights) {
                for (sum, sample) in sums.iter_mut().zip(column) {
                    *sum += u16::from(*sample) * weight;
                }
            }
            *out = sums.map(whole_of);
        }
    }
}

/// Rows, `width` samples each, as columns. What lies beside the last whole block is taken one by one.
fn stand(rows: &[u8], width: usize, columns: &mut [Column]) {
    let whole = width - width % BAND;
    for (block, columns) in columns[..whole].chunks_exact_mut(BAND).enumerate() {
        let lying = std::array::from_fn(|row| sixteen(&rows[row * width + block * BAND..]));
        for (column, samples) in columns.iter_mut().zip(turned(lying)) {
            *column = samples.to_array();
        }
    }
    for (at, column) in columns.iter_mut().enumerate().skip(whole) {
        *column = std::array::from_fn(|row| rows[row * width + at]);
    }
}

/// Columns as `count` rows again.
fn lie(columns: &[Column], out: &mut [u8], stride: usize, count: usize) {
    let whole = columns.len() - columns.len() % BAND;
    for (block, columns) in columns[..whole].chunks_exact(BAND).enumerate() {
        let lying = turned(std::array::from_fn(|at| u8x16::new(columns[at])));
        for (row, samples) in lying.iter().enumerate().take(count) {
            let place = row * stride + block * BAND;
            out[place..place + BAND].copy_from_slice(&samples.to_array());
        }
    }
    for (at, column) in columns.iter().enumerate().skip(whole) {
        for (row, sample) in column.iter().enumerate().take(count) {
            out[row * stride + at] = *sample;
        }
    }
}

#[inline]
fn sixteen(line: &[u8]) -> u8x16 {
    let mut samples = [0; BAND];
    samples.copy_from_slice(&line[..BAND]);
    u8x16::new(samples)
}

/// A block on its side. Four bits say the row of a sample, four its column. To deal the lower half of the rows into the
/// upper, like cards, moves the first of those eight bits behind the others; after four times rows are columns.
#[inline]
fn turned(mut block: [u8x16; BAND]) -> [u8x16; BAND] {
    for _ in 0..4 {
        block = std::array::from_fn(|at| {
            let (one, other) = (block[at / 2], block[at / 2 + BAND / 2]);
            match at % 2 {
                0 => u8x16::unpack_low(one, other),
                _ => u8x16::unpack_high(one, other),
            }
        });
    }
    block
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn scaled(plane: &[u8], from: (usize, usize), to: (usize, usize)) -> Vec<u8> {
        let mut out = vec![0; to.0 * to.1];
        Scale::new(from, to).run(plane, from.0, &mut out, to.0);
        out
    }

    #[test]
    fn the_same_size_is_the_same_picture() {
        let plane: Vec<u8> = (0..70 * 9)
            .map(|at| u8::try_from(at % 251).unwrap())
            .collect();
        assert_eq!(scaled(&plane, (70, 9), (70, 9)), plane);
    }

    #[test]
    fn a_third_looks_at_five_samples_and_most_at_the_middle_one() {
        // Triangle of width 6 around the middle of three: 1/9, 2/9, 3/9, 2/9, 1/9.
        let row = &windows(9, 3)[1];
        assert_eq!(
            (row.start, row.weights.as_slice()),
            (2, &[28, 57, 86, 57, 28][..])
        );
        let mut plane = [0; 9];
        plane[4] = 255;
        assert_eq!(scaled(&plane, (9, 1), (3, 1)), [0, 86, 0]);
    }

    #[test]
    fn twice_the_size_lies_between_its_neighbours() {
        assert_eq!(scaled(&[0, 200], (2, 1), (4, 1)), [0, 50, 150, 200]);
        assert_eq!(scaled(&[0, 200], (1, 2), (1, 4)), [0, 50, 150, 200]);
    }

    #[test]
    fn a_fine_pattern_becomes_grey_and_does_not_alias() {
        let plane: Vec<u8> = (0..300 * 300)
            .map(|at| if (at + at / 300) % 2 == 0 { 0 } else { 255 })
            .collect();
        let inner: Vec<u8> = scaled(&plane, (300, 300), (100, 100));
        let off = inner.iter().map(|sample| sample.abs_diff(128)).max();
        assert!(off <= Some(16), "{off:?}");
    }

    proptest! {
        /// As the sum is written in the books, in floating point.
        #[test]
        fn any_size_is_what_the_formula_says(
            from in (1usize..90, 1usize..40), to in (1usize..60, 1usize..40), seed in any::<u64>(),
        ) {
            let mut state = seed | 1;
            let plane: Vec<u8> = (0..from.0 * from.1).map(|_| {
                state ^= state << 13;
                state ^= state >> 7;
                state ^= state << 17;
                state.to_le_bytes()[3]
            }).collect();
            let weight = |place: f64, at: usize, from: usize, to: usize| {
                #[expect(clippy::cast_precision_loss, reason = "small numbers")]
                let (ratio, at) = (from as f64 / to as f64, at as f64);
                let centre = (at + 0.5) * ratio - 0.5;
                (1.0 - (place - centre).abs() / ratio.max(1.0)).max(0.0)
            };
            let line = |at: usize, from: usize, to: usize| -> Vec<(usize, f64)> {
                let most = i32::try_from(from).unwrap() - 1;
                let outside = 2 * most + 4;
                let weights = (-outside..=most + outside).map(|place| {
                    let inside = usize::try_from(place.clamp(0, most)).unwrap();
                    (inside, weight(f64::from(place), at, from, to))
                });
                let weights: Vec<_> = weights.filter(|(_, weight)| *weight > 0.0).collect();
                let total: f64 = weights.iter().map(|(_, weight)| weight).sum();
                weights.into_iter().map(|(place, weight)| (place, weight / total)).collect()
            };
            let out = scaled(&plane, from, to);
            for (at, sample) in out.iter().enumerate() {
                let (across, down) = (line(at % to.0, from.0, to.0), line(at / to.0, from.1, to.1));
                let exact: f64 = down.iter().flat_map(|(y, of_row)| across.iter().map(move |(x, of_column)| (y, of_row, x, of_column)))
                    .map(|(y, of_row, x, of_column)| f64::from(plane[y * from.0 + x]) * of_row * of_column)
                    .sum();
                // Two roundings, and weights that are half a 256th off.
                let off = (f64::from(*sample) - exact).abs();
                let many = across.len() + down.len();
                prop_assert!(off <= 1.5 + 0.5 * f64::from(u32::try_from(many).unwrap()), "{off} at {at} of {from:?} to {to:?}");
            }
        }
    }
}
