//! Sizes and progress.

use crate::api::Progress;

/// `512 B`, `1.4 GiB`
fn size(bytes: u64) -> String {
    const UNITS: [&str; 5] = ["KiB", "MiB", "GiB", "TiB", "PiB"];
    if bytes < 1024 {
        return format!("{bytes} B");
    }
    let mut value = bytes as f64 / 1024.0;
    let mut unit = 0;
    // One that would be rounded to 1024 belongs to the next unit.
    while value >= 1023.95 && unit + 1 < UNITS.len() {
        value /= 1024.0;
        unit += 1;
    }
    if value < 100.0 { format!("{value:.1} {}", UNITS[unit]) } else { format!("{value:.0} {}", UNITS[unit]) }
}

/// `312 MiB of 1.4 GiB (22 %)`, `17 of 40 migrations (42 %): users`
pub fn progress(progress: &Progress) -> String {
    let bytes = progress.unit == "bytes";
    let amount = |number: u64| if bytes { size(number) } else { number.to_string() };
    let unit = if bytes || progress.unit.is_empty() { String::new() } else { format!(" {}", progress.unit) };
    let mut text = match progress.total {
        Some(total) if total > 0 => {
            format!("{} of {}{unit} ({} %)", amount(progress.done), amount(total), percent(progress.done, total))
        }
        _ => format!("{}{unit}", amount(progress.done)),
    };
    if !progress.message.is_empty() {
        text += &format!(": {}", progress.message);
    }
    text
}

/// Not 100 before all is done.
fn percent(done: u64, total: u64) -> u128 {
    u128::from(done.min(total)) * 100 / u128::from(total)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sizes() {
        let said = [0, 1023, 1024, 1_500_000, 104_857_600, 1_073_741_823, 1_073_741_824, u64::MAX].map(size);
        assert_eq!(said, ["0 B", "1023 B", "1.0 KiB", "1.4 MiB", "100 MiB", "1.0 GiB", "1.0 GiB", "16384 PiB"]);
    }

    #[test]
    fn how_far() {
        let of = |done, total, unit: &str, message: &str| {
            progress(&Progress { done, total, unit: unit.into(), message: message.into() })
        };
        assert_eq!(of(327_155_712, Some(1_503_238_553), "bytes", ""), "312 MiB of 1.4 GiB (21 %)");
        assert_eq!(of(17, Some(40), "migrations", "users"), "17 of 40 migrations (42 %): users");
        assert_eq!(of(999, Some(1000), "", ""), "999 of 1000 (99 %)");
        assert_eq!(of(3, None, "rows", ""), "3 rows");
        assert_eq!(of(3, Some(0), "rows", ""), "3 rows");
    }
}
