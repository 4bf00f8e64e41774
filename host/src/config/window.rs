//! When downtime may happen: `Sat 02:00-06:00 Europe/Berlin`.

/// One weekly span in a time zone. Spans may cross midnight; daylight saving is the zone's.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Window {
    pub text: String,
}
