//! Amounts of memory as people write them, such as `1.5GiB`; it knows nothing of what they are for.
use crate::error::{Error, Problem, Result};

/// An amount of memory: bytes, or text such as `"512 MiB"` or `"2GB"`.
pub trait ByteSize {
    /// The amount in bytes.
    ///
    /// # Errors
    /// If the text is not an amount.
    fn in_bytes(&self) -> Result<u64>;
}

impl ByteSize for u64 {
    fn in_bytes(&self) -> Result<u64> {
        Ok(*self)
    }
}

impl ByteSize for &str {
    fn in_bytes(&self) -> Result<u64> {
        parse_bytes(self)
    }
}

impl ByteSize for String {
    fn in_bytes(&self) -> Result<u64> {
        parse_bytes(self)
    }
}

/// Reads an amount of memory; units of 1000 (`kB`) and of 1024 (`KiB`) are told apart, a bare number is bytes.
///
/// # Errors
/// If the text is not a number of at least 0 and a known unit, or the amount does not fit 64 bits.
pub(crate) fn parse_bytes(text: &str) -> Result<u64> {
    let trimmed = text.trim();
    let digits = trimmed.find(|c: char| !c.is_ascii_digit() && c != '.' && c != '_').unwrap_or(trimmed.len());
    let (number, unit) = trimmed.split_at(digits);
    let amount = number.replace('_', "");
    unit_of(unit.trim()).and_then(|unit| scaled(&amount, unit)).ok_or_else(|| {
        Error::Invalid(
            Problem::new(format!("`{text}` is not an amount of memory"))
                .with_hint("write a number and a unit, for example `512MiB`, `1.5 GiB` or `2GB`"),
        )
    })
}

fn unit_of(unit: &str) -> Option<u64> {
    Some(match unit.to_ascii_lowercase().as_str() {
        "" | "b" => 1,
        "k" | "kb" => 1_000,
        "m" | "mb" => 1_000_000,
        "g" | "gb" => 1_000_000_000,
        "t" | "tb" => 1_000_000_000_000,
        "kib" => 1 << 10,
        "mib" => 1 << 20,
        "gib" => 1 << 30,
        "tib" => 1 << 40,
        _ => return None,
    })
}

/// `amount × unit`, exact for whole numbers, to the byte below for others.
fn scaled(amount: &str, unit: u64) -> Option<u64> {
    if let Ok(whole) = amount.parse::<u64>() {
        return whole.checked_mul(unit);
    }
    let (whole, fraction) = amount.split_once('.')?;
    let whole = if whole.is_empty() { 0 } else { whole.parse::<u64>().ok()? };
    let digits = u32::try_from(fraction.len()).ok().filter(|digits| (1..=9).contains(digits))?;
    let part = u128::from(fraction.parse::<u64>().ok()?) * u128::from(unit) / u128::from(10_u64.pow(digits));
    whole.checked_mul(unit)?.checked_add(u64::try_from(part).ok()?)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn amounts_are_read_as_people_write_them() {
        for (text, bytes) in [
            ("0", 0),
            ("1048576", 1 << 20),
            ("1_000 B", 1_000),
            ("1GiB", 1 << 30),
            (" 512 MiB ", 512 << 20),
            ("2gb", 2_000_000_000),
            ("1.5 KiB", 1_536),
            (".5k", 500),
            ("0.1TiB", 109_951_162_777),
        ] {
            assert_eq!(parse_bytes(text).unwrap(), bytes, "{text}");
        }
    }

    #[test]
    fn what_is_no_amount_is_refused_with_an_example() {
        for text in
            ["", "GiB", "1 GiBB", "-1", "1,5GB", "1..5k", "1.k", "ten", "99999999999TiB", "18446744073709551616"]
        {
            let error = parse_bytes(text).expect_err(text);
            assert!(error.to_string().starts_with(&format!("`{text}` is not an amount of memory")), "{error}");
            assert!(error.hint().is_some_and(|hint| hint.contains("512MiB")));
        }
    }
}
