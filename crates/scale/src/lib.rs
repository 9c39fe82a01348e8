//! Another size for a plane of 8-bit samples, by a triangle filter that is as wide as what it joins.
//!
//! GStreamer's own scaler either looks at two samples whatever the ratio (`bilinear`), so that fine detail aliases and
//! the encoder spends twice the bytes and a third more time on it, or takes six times the CPU of FFmpeg's (`bilinear2`).
//! This one needs no instruction that a processor may lack: rows are blended by loops that compilers make vectors of,
//! columns by four products in one multiplication.
//!
//! Weights are 256ths and add up to 256, so a weighted sum of bytes is below 2^16 wherever one stops adding. Therefore,
//! with 16-bit digits, `(a3 a2 a1 a0) × (w0 w1 w2 w3)` has `a0·w0 + a1·w1 + a2·w2 + a3·w3` for the highest digit of its
//! lower half, and nothing was carried into it.

/// Weights add up to this.
const ONE: u64 = 256;
/// Half of it, for rounding.
const HALF: u16 = 128;
/// Samples of a row that are blended together.
const LANES: usize = 32;
/// Digits of a multiplication.
const DIGITS: usize = 4;

/// Makes planes of one size into planes of another.
#[derive(Debug)]
pub struct Scale {
    rows: Vec<Window>,
    columns: Columns,
    /// One blended row of the source, 16 bits a sample.
    row: Vec<u16>,
    width: usize,
}

impl Scale {
    /// From so many columns and rows to so many; none of them 0.
    #[must_use]
    pub fn new(from: (usize, usize), to: (usize, usize)) -> Self {
        let columns = Columns::new(from.0, to.0);
        let samples = from.0.next_multiple_of(LANES).max(columns.digits());
        Self {
            rows: windows(from.1, to.1),
            columns,
            row: vec![0; samples],
            width: from.0,
        }
    }

    /// Fills `into` from `plane`. A stride is the distance of two rows.
    ///
    /// # Panics
    /// When a plane is too short for its size: whoever calls has promised it.
    pub fn run(&mut self, plane: &[u8], stride: usize, into: &mut [u8], into_stride: usize) {
        for (window, out) in self.rows.iter().zip(into.chunks_mut(into_stride)) {
            blend(
                window,
                &plane[window.start * stride..],
                stride,
                self.width,
                &mut self.row,
            );
            self.columns.run(&self.row, out);
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
fn blend(window: &Window, plane: &[u8], stride: usize, width: usize, out: &mut [u16]) {
    let whole = width - width % LANES;
    for (at, out) in out[..whole].chunks_exact_mut(LANES).enumerate() {
        let mut sums = [HALF; LANES];
        for (row, weight) in window.weights.iter().enumerate() {
            let samples = &plane[row * stride + at * LANES..][..LANES];
            for (sum, sample) in sums.iter_mut().zip(samples) {
                *sum += u16::from(*sample) * weight;
            }
        }
        for (out, sum) in out.iter_mut().zip(sums) {
            *out = sum >> 8;
        }
    }
    for (at, out) in out.iter_mut().enumerate().take(width).skip(whole) {
        let samples = plane[at..].iter().step_by(stride);
        let products = samples
            .zip(&window.weights)
            .map(|(sample, weight)| u16::from(*sample) * weight);
        *out = (HALF + products.sum::<u16>()) >> 8;
    }
}

/// The windows of a row's samples, each as a run of multiplications.
#[derive(Debug)]
struct Columns {
    starts: Vec<usize>,
    /// `products` for each sample; the first weight is the highest digit.
    factors: Vec<u64>,
    products: usize,
}

impl Columns {
    fn new(from: usize, to: usize) -> Self {
        let windows = windows(from, to);
        let widest = windows
            .iter()
            .map(|window| window.weights.len())
            .max()
            .unwrap_or(1);
        let products = widest.div_ceil(DIGITS);
        let mut columns = Self {
            starts: Vec::new(),
            factors: Vec::new(),
            products,
        };
        for window in windows {
            // All windows are equally wide; one at the end begins earlier, its first weights are 0.
            let start = window.start.min(from.saturating_sub(columns.digits()));
            let mut weights = vec![0; columns.digits()];
            weights[window.start - start..][..window.weights.len()]
                .copy_from_slice(&window.weights);
            columns.starts.push(start);
            let digits = weights
                .chunks_exact(DIGITS)
                .map(|four| number([four[3], four[2], four[1], four[0]]));
            columns.factors.extend(digits);
        }
        columns
    }

    fn digits(&self) -> usize {
        self.products * DIGITS
    }

    fn run(&self, row: &[u16], out: &mut [u8]) {
        // To half the size and less far one takes one product or two: then the compiler knows how many.
        match self.products {
            1 => self.of::<1>(row, out),
            2 => self.of::<2>(row, out),
            products => {
                let samples = out.iter_mut().zip(&self.starts);
                for ((out, start), factors) in samples.zip(self.factors.chunks_exact(products)) {
                    *out = join(&row[*start..][..DIGITS * products], factors);
                }
            }
        }
    }

    fn of<const PRODUCTS: usize>(&self, row: &[u16], out: &mut [u8]) {
        let samples = out.iter_mut().zip(&self.starts);
        for ((out, start), factors) in samples.zip(self.factors.chunks_exact(PRODUCTS)) {
            *out = join(&row[*start..][..DIGITS * PRODUCTS], &factors[..PRODUCTS]);
        }
    }
}

/// The weighted sum of neighbours, rounded.
#[inline]
fn join(samples: &[u16], factors: &[u64]) -> u8 {
    let rounding = u64::from(HALF) << 48;
    let products = samples.chunks_exact(DIGITS).zip(factors);
    let sum = products.fold(rounding, |sum, (four, factor)| {
        sum.wrapping_add(number([four[0], four[1], four[2], four[3]]).wrapping_mul(*factor))
    });
    sum.to_be_bytes()[0]
}

/// The number with these digits, the lowest first.
#[inline]
fn number(digits: [u16; DIGITS]) -> u64 {
    let [a, b, c, d] = digits.map(u64::from);
    a | b << 16 | c << 32 | d << 48
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
