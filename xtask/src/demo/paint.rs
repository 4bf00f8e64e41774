//! Lines for a person: coloured in a terminal, plain elsewhere, one writer at a time.

use std::io::{IsTerminal, Write};

pub fn title(text: &str) {
    line(&format!("\n{}", styled("1;36", &format!("── {text} "))));
}
pub fn say(text: &str) {
    line(text);
}
/// What the demo did, as an operator would.
pub fn act(text: &str) {
    line(&format!("{} {text}", styled("1;33", "▶")));
}
pub fn good(text: &str) {
    line(&format!("{} {text}", styled("1;32", "✓")));
}
pub fn bad(text: &str) {
    line(&format!("{} {text}", styled("1;31", "✗")));
}
/// What the daemon says of itself.
pub fn news(mark: &str, colour: &str, text: &str) {
    for (number, part) in text.lines().enumerate() {
        let mark = if number == 0 { mark } else { " " };
        line(&format!("  {} {}", styled("2", "│"), styled(colour, &format!("{mark} {part}"))));
    }
}

fn line(text: &str) {
    // A reader that went away is no reason to leave a daemon behind.
    let _ = writeln!(std::io::stdout(), "{text}");
}

fn styled(code: &str, text: &str) -> String {
    let plain = std::env::var_os("NO_COLOR").is_some() || !std::io::stdout().is_terminal();
    if plain { text.to_owned() } else { format!("\x1b[{code}m{text}\x1b[0m") }
}
