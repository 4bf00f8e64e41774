//! Durations as people write them: `90s`, `10m`, `1h30m`, `24h`, `7d`.

use std::time::Duration;

#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum DurationError {
    #[error("a duration is numbers with units, for example `90s`, `10m`, `1h30m` or `7d`")]
    Form,
    #[error("`{0}` is no unit of time; there are `ms`, `s`, `m`, `h`, `d` and `w`")]
    Unit(String),
    #[error("the duration is too long")]
    TooLong,
}

pub fn parse_duration(text: &str) -> Result<Duration, DurationError> {
    let mut rest = text.trim();
    if rest.is_empty() {
        return Err(DurationError::Form);
    }
    let mut total_ms: u64 = 0;
    while !rest.is_empty() {
        let digits = rest.find(|c: char| !c.is_ascii_digit()).unwrap_or(rest.len());
        let number: u64 = match rest[..digits].parse() {
            Ok(number) => number,
            Err(_) if digits > 0 => return Err(DurationError::TooLong),
            Err(_) => return Err(DurationError::Form),
        };
        rest = rest[digits..].trim_start();
        let letters = rest.find(|c: char| !c.is_alphabetic()).unwrap_or(rest.len());
        let unit_ms = unit_ms(&rest[..letters])?;
        rest = rest[letters..].trim_start();
        let part = number.checked_mul(unit_ms).ok_or(DurationError::TooLong)?;
        total_ms = total_ms.checked_add(part).ok_or(DurationError::TooLong)?;
    }
    Ok(Duration::from_millis(total_ms))
}

fn unit_ms(unit: &str) -> Result<u64, DurationError> {
    match unit {
        "ms" => Ok(1),
        "s" => Ok(1_000),
        "m" => Ok(60_000),
        "h" => Ok(3_600_000),
        "d" => Ok(86_400_000),
        "w" => Ok(604_800_000),
        "" => Err(DurationError::Form),
        other => Err(DurationError::Unit(other.into())),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn durations_as_people_write_them() {
        for (text, ms) in [
            ("90s", 90_000),
            ("24h", 86_400_000),
            ("1h30m", 5_400_000),
            ("1h 30m", 5_400_000),
            ("250ms", 250),
            ("0s", 0),
        ] {
            assert_eq!(parse_duration(text), Ok(Duration::from_millis(ms)), "{text}");
        }
        for text in ["", " ", "90", "s", "-5s", "1.5h", "5 ", "h5"] {
            assert_eq!(parse_duration(text), Err(DurationError::Form), "{text}");
        }
        assert_eq!(parse_duration("5min"), Err(DurationError::Unit("min".into())));
        assert_eq!(parse_duration("99999999999999999999s"), Err(DurationError::TooLong));
        assert_eq!(parse_duration("18446744073709551615w"), Err(DurationError::TooLong));
    }

    proptest::proptest! {
        #[test]
        fn no_text_panics(text in ".{0,40}") {
            let _ = parse_duration(&text);
        }
        #[test]
        fn units_add_up(h in 0u64..1000, m in 0u64..1000, s in 0u64..1000) {
            proptest::prop_assert_eq!(
                parse_duration(&format!("{h}h{m}m{s}s")),
                Ok(Duration::from_secs(h * 3600 + m * 60 + s))
            );
        }
    }
}
