//! The handwritten digits, held out and cut into partitions by seed; what is learned from them is elsewhere.
use anyhow::{Context, Result, ensure};
use rand::SeedableRng;
use rand::seq::SliceRandom;
use rand_chacha::ChaCha8Rng;
use serde::{Deserialize, Serialize};

/// Pixels of an image, 8 x 8.
pub(crate) const PIXELS: usize = 64;
/// Digits there are.
pub(crate) const DIGITS: usize = 10;

const CSV: &str = include_str!("../data/digits.csv");

/// Images and what they show; the pixels are from 0 to 1.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub(crate) struct Rows {
    pixels: Vec<f32>,
    digits: Vec<u8>,
}

impl Rows {
    /// How many images there are.
    pub(crate) fn len(&self) -> usize {
        self.digits.len()
    }

    /// The pixels of an image, and the digit it shows.
    pub(crate) fn get(&self, row: usize) -> (&[f32], usize) {
        (&self.pixels[row * PIXELS..][..PIXELS], usize::from(self.digits[row]))
    }

    /// These rows of `self`, in this order.
    fn pick(&self, rows: &[usize]) -> Self {
        Self {
            pixels: rows.iter().flat_map(|&row| self.get(row).0).copied().collect(),
            digits: rows.iter().map(|&row| self.digits[row]).collect(),
        }
    }

    /// The rows that show each digit, shuffled.
    fn by_digit(&self, rng: &mut ChaCha8Rng) -> [Vec<usize>; DIGITS] {
        std::array::from_fn(|digit| {
            let mut rows: Vec<_> = (0..self.len()).filter(|&row| self.get(row).1 == digit).collect();
            rows.shuffle(rng);
            rows
        })
    }
}

/// The digits in two parts that have each digit in the same proportion.
pub(crate) struct Split {
    /// Three quarters, to train on.
    pub(crate) train: Rows,
    /// A quarter that no training sees.
    pub(crate) held_out: Rows,
}

/// Reads the digits and holds out a quarter of each digit, chosen by `seed`.
pub(crate) fn split(seed: u64) -> Result<Split> {
    let all = parse(CSV)?;
    let (mut train, mut held_out) = (Vec::new(), Vec::new());
    for rows in all.by_digit(&mut ChaCha8Rng::seed_from_u64(seed)) {
        let (out, rest) = rows.split_at((rows.len() + 2) / 4);
        held_out.extend_from_slice(out);
        train.extend_from_slice(rest);
    }
    Ok(Split { train: all.pick(&train), held_out: all.pick(&held_out) })
}

/// How the training rows are dealt out.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) enum Deal {
    /// Every partition has each digit in the same proportion.
    Even,
    /// Every partition has two digits only (more if there are fewer than 5 partitions).
    TwoDigits,
}

impl Rows {
    /// One of `count` partitions of these rows: together they have every row once.
    pub(crate) fn partition(&self, number: u32, count: u32, deal: Deal, seed: u64) -> Self {
        let (number, count) = (number as usize, count as usize);
        let by_digit = self.by_digit(&mut ChaCha8Rng::seed_from_u64(seed));
        let mut rows = match deal {
            Deal::Even => by_digit.concat().into_iter().skip(number).step_by(count).collect(),
            Deal::TwoDigits => {
                // Two portions for each partition: the portion p is of the digit p % 10, next to those before and after.
                let portions = (2 * count).max(DIGITS);
                let mine = (0..portions).filter(|portion| portion * count / portions == number);
                mine.flat_map(|portion| {
                    let of_this_digit = (portions - portion % DIGITS).div_ceil(DIGITS);
                    by_digit[portion % DIGITS].iter().copied().skip(portion / DIGITS).step_by(of_this_digit)
                })
                .collect::<Vec<_>>()
            }
        };
        rows.sort_unstable();
        self.pick(&rows)
    }
}

fn parse(csv: &str) -> Result<Rows> {
    let mut rows = Rows::default();
    for (number, line) in csv.lines().enumerate().skip(1) {
        let values: Vec<u8> = line
            .split(',')
            .map(str::parse)
            .collect::<Result<_, _>>()
            .with_context(|| format!("line {} of digits.csv: not all numbers", number + 1))?;
        let sound = values.len() == PIXELS + 1 && usize::from(values[PIXELS]) < DIGITS;
        ensure!(sound, "line {} of digits.csv: not {PIXELS} pixels and a digit", number + 1);
        rows.pixels.extend(values[..PIXELS].iter().map(|&ink| f32::from(ink) / 16.0));
        rows.digits.push(values[PIXELS]);
    }
    Ok(rows)
}
