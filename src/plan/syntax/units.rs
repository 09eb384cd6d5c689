//! Sizes, fractions of CPUs, truth values and addresses as Docker's flags write them.
//!
//! Owns the arithmetic: exact decimals, no floating point. Knows no flag.

use core::net::IpAddr;

use super::Invalid;

const SIZE: &str = "expected a size such as 512m, 1.5g, 64MiB or a number of bytes";

/// A size in bytes. Units are powers of 1024 in any case (`k`, `kb`, `KiB`, … `p`), fractions are cut to whole
/// bytes, no unit means bytes.
pub fn size(text: &str) -> Result<i64, Invalid> {
    let (number, unit) = text.split_once(' ').unwrap_or_else(|| {
        text.split_at(text.rfind(|c: char| c.is_ascii_digit() || c == '.').map_or(0, |last| last + 1))
    });
    if number.starts_with('-') {
        return Err(Invalid::new(format!("a size cannot be negative: {SIZE}")));
    }
    let (mantissa, scale) = decimal(number).ok_or_else(|| Invalid::new(SIZE))?;
    let exponent =
        unit_exponent(unit).ok_or_else(|| Invalid::new(format!("unknown unit `{unit}`: {SIZE}")))?;
    let bytes = mantissa
        .checked_mul(1_u128 << (10 * exponent))
        .map(|product| product / 10_u128.pow(scale))
        .and_then(|bytes| i64::try_from(bytes).ok());
    bytes.ok_or_else(|| Invalid::new("the size is larger than 8 EiB"))
}

/// The engine refuses to make a container with less.
const LEAST_MEMORY: i64 = 6 << 20;
/// The engine's least share of a CPU, in billionths.
const LEAST_CPUS: i64 = 10_000_000;

/// A limit of memory in bytes; `None` for 0, which Docker takes as not given.
pub fn memory(text: &str) -> Result<Option<i64>, Invalid> {
    match size(text)? {
        0 => Ok(None),
        bytes if bytes < LEAST_MEMORY => Err(Invalid::new("the least that an engine takes is 6 MiB")
            .hint("a number without a unit is bytes: write 64m for 64 MiB")),
        bytes => Ok(Some(bytes)),
    }
}

/// A limit of CPUs in billionths; `None` for 0, which Docker takes as not given.
pub fn cpus(text: &str) -> Result<Option<i64>, Invalid> {
    match nano_cpus(text)? {
        0 => Ok(None),
        nano if nano < LEAST_CPUS => Err(Invalid::new("the least that an engine takes is 0.01")),
        nano => Ok(Some(nano)),
    }
}

/// [`size`] for values that are counted without a sign.
pub fn unsigned_size(text: &str) -> Result<u64, Invalid> {
    // `size` refuses negative numbers, so the sign bit is always clear.
    size(text).map(i64::unsigned_abs)
}

fn unit_exponent(unit: &str) -> Option<u32> {
    let unit = unit.to_ascii_lowercase();
    let exponent = match unit.chars().next() {
        None => return Some(0),
        Some('b') => return (unit.len() == 1).then_some(0),
        Some('k') => 1,
        Some('m') => 2,
        Some('g') => 3,
        Some('t') => 4,
        Some('p') => 5,
        Some(_) => return None,
    };
    matches!(&unit[1..], "" | "b" | "ib").then_some(exponent)
}

/// CPUs in billionths: `0.5`, `2`, `1.25`. At most nine digits after the point count.
pub fn nano_cpus(text: &str) -> Result<i64, Invalid> {
    const CPUS: &str = "expected a number of CPUs such as 0.5 or 2";
    if text.starts_with('-') {
        return Err(Invalid::new(format!("it cannot be negative: {CPUS}")));
    }
    let (mut mantissa, mut scale) = decimal(text).ok_or_else(|| Invalid::new(CPUS))?;
    while scale > 0 && mantissa.is_multiple_of(10) {
        mantissa /= 10;
        scale -= 1;
    }
    let missing = 9_u32
        .checked_sub(scale)
        .ok_or_else(|| Invalid::new(format!("it is more precise than a billionth: {CPUS}")))?;
    mantissa
        .checked_mul(10_u128.pow(missing))
        .and_then(|nano| i64::try_from(nano).ok())
        .ok_or_else(|| Invalid::new(format!("it is too large: {CPUS}")))
}

/// Digits without the point, and how many of them stood behind it. At most 24 of either, so that a power of ten for
/// them fits 128 bits.
fn decimal(text: &str) -> Option<(u128, u32)> {
    let text = text.strip_prefix('+').unwrap_or(text);
    let (whole, fraction) = text.split_once('.').unwrap_or((text, ""));
    let digits = format!("{whole}{fraction}");
    if digits.is_empty() || !digits.bytes().all(|byte| byte.is_ascii_digit()) {
        return None;
    }
    let significant = digits.trim_start_matches('0');
    if significant.len() > 24 || fraction.len() > 24 {
        return None;
    }
    let mantissa = if significant.is_empty() { 0 } else { significant.parse().ok()? };
    Some((mantissa, u32::try_from(fraction.len()).ok()?))
}

/// `1`, `t`, `true` and their opposites, as Go's parser takes them.
#[must_use]
pub fn boolean(text: &str) -> Option<bool> {
    match text {
        "1" | "t" | "T" | "true" | "TRUE" | "True" => Some(true),
        "0" | "f" | "F" | "false" | "FALSE" | "False" => Some(false),
        _ => None,
    }
}

/// An IPv4 or IPv6 address without brackets.
pub fn address(text: &str) -> Result<IpAddr, Invalid> {
    text.trim().parse().map_err(|_| Invalid::new("expected an IP address such as 10.0.0.5 or 2001:db8::5"))
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn sizes_are_read_as_docker_reads_them() {
        let table = [
            ("0", 0),
            ("32", 32),
            ("32b", 32),
            ("32B", 32),
            ("32 ", 32),
            ("32k", 32 << 10),
            ("32K", 32 << 10),
            ("32kb", 32 << 10),
            ("32Kib", 32 << 10),
            ("32 kB", 32 << 10),
            ("512m", 512 << 20),
            ("64MiB", 64 << 20),
            ("1g", 1 << 30),
            ("1.5g", 3 << 29),
            (".5g", 1 << 29),
            ("5.k", 5 << 10),
            ("0.1g", 107_374_182),
            ("2t", 2 << 40),
            ("3p", 3 << 50),
            ("32.5b", 32),
            ("00000000000000000000000000001k", 1024),
        ];
        for (text, bytes) in table {
            assert_eq!(size(text), Ok(bytes), "{text:?}");
        }
    }

    #[test]
    fn what_is_not_a_size_is_refused() {
        let table = [
            "",
            ".",
            " ",
            "hello",
            "-32",
            "-1",
            "m",
            "32 mb ",
            "32q",
            "32bb",
            "32mib2",
            "32ibm",
            "1,5g",
            "1.2.3",
            "1e3",
            "0x10",
            "٣m",
            "inf",
            "NaN",
            "8193p",
            "999999999999999999999999p",
            "32  k",
        ];
        for text in table {
            assert!(size(text).is_err(), "{text:?} gave {:?}", size(text));
        }
    }

    #[test]
    fn cpus_are_exact() {
        let table = [
            ("1", 1_000_000_000),
            ("0.5", 500_000_000),
            (".25", 250_000_000),
            ("1.000000001", 1_000_000_001),
            ("0.300000000000", 300_000_000),
            ("0", 0),
        ];
        for (text, nano) in table {
            assert_eq!(nano_cpus(text), Ok(nano), "{text:?}");
        }
        for text in ["", "-1", "one", "1.0000000001", "1e-1", "1/2", "9999999999999999"] {
            assert!(nano_cpus(text).is_err(), "{text:?}");
        }
    }

    proptest! {
        #[test]
        fn whole_sizes_survive_every_spelling(number in 0_i64..1 << 20, unit in 0_usize..6, style in 0_usize..4) {
            let letter = ["b", "k", "m", "g", "t", "p"][unit];
            let suffix = if unit == 0 { "" } else { ["", "b", "ib", "B"][style] };
            prop_assume!(number < 1 << 12 || unit < 5);
            let expected = number << (10 * unit);
            prop_assert_eq!(size(&format!("{number}{letter}{suffix}")), Ok(expected));
            prop_assert_eq!(size(&format!("{number} {}{suffix}", letter.to_uppercase())), Ok(expected));
        }

        #[test]
        fn no_text_makes_a_parser_panic(text in "\\PC{0,40}") {
            let _ = (size(&text), nano_cpus(&text), boolean(&text), address(&text));
        }
    }
}
