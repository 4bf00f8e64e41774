//! What time it is: the system's, or in a crash test's build what a file says.

use jiff::Timestamp;
use std::time::Duration;

pub fn now() -> Timestamp {
    #[cfg(feature = "failpoints")]
    if let Some(file) = std::env::var_os("UPGRADED_CLOCK_FILE")
        && let Some(time) = std::fs::read_to_string(file).ok().and_then(|text| text.trim().parse().ok())
    {
        return time;
    }
    Timestamp::now()
}

/// How long ago the machine was started.
pub fn uptime() -> Option<Duration> {
    let text = std::fs::read_to_string("/proc/uptime").ok()?;
    Duration::try_from_secs_f64(text.split_whitespace().next()?.parse().ok()?).ok()
}

/// Of the machine's present start.
pub fn boot_id() -> String {
    std::fs::read_to_string("/proc/sys/kernel/random/boot_id").map(|id| id.trim().to_owned()).unwrap_or_default()
}
