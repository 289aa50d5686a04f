//! How a number of bytes is shown to people; amounts are compared and added as plain integers.
use core::fmt;

/// Shows a number of bytes in the largest unit that fits: `498 MiB`, `1.5 GiB`, `12 bytes`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ByteCount(pub u64);

const UNITS: [(u32, &str); 4] = [(40, "TiB"), (30, "GiB"), (20, "MiB"), (10, "KiB")];

impl fmt::Display for ByteCount {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self(bytes) = *self;
        let Some((shift, unit)) = UNITS.into_iter().find(|(shift, _)| bytes >> shift > 0) else {
            return write!(f, "{bytes} bytes");
        };
        let whole = bytes >> shift;
        let tenths = ((u128::from(bytes) * 10) >> shift) % 10;
        // Three digits say enough.
        if whole < 100 && tenths > 0 { write!(f, "{whole}.{tenths} {unit}") } else { write!(f, "{whole} {unit}") }
    }
}

#[cfg(test)]
mod tests {
    use super::ByteCount;
    use alloc::string::ToString;

    #[test]
    fn a_size_is_shown_in_the_unit_that_fits() {
        for (bytes, shown) in [
            (0, "0 bytes"),
            (1023, "1023 bytes"),
            (1536, "1.5 KiB"),
            (512 << 20, "512 MiB"),
            ((498 << 20) + 700_000, "498 MiB"),
            (3 << 29, "1.5 GiB"),
            (1 << 40, "1 TiB"),
            (u64::MAX, "16777215 TiB"),
        ] {
            assert_eq!(ByteCount(bytes).to_string(), shown);
        }
    }
}
