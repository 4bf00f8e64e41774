//! What came out: a table for a person, one to be pasted into docs/BENCHMARKS.md, or JSON.

use super::figure::{Figure, Target, Unit};
use serde_json::{Value, json};
use std::fs;
use std::process::Command;

#[derive(Clone, Copy, PartialEq)]
pub enum Form {
    Text,
    Markdown,
    Json,
}

/// Where it was measured.
pub struct Machine {
    cores: usize,
    processor: String,
    memory_gib: u64,
    kernel: String,
    /// Name and version of each that was measured with.
    servers: String,
    restic: String,
    date: String,
    megabytes: u64,
}

impl Machine {
    pub fn look(servers: String, megabytes: u64) -> Self {
        let first = |program: &str, arguments: &[&str]| {
            let output = Command::new(program).args(arguments).output().map(|output| output.stdout).unwrap_or_default();
            String::from_utf8_lossy(&output).lines().next().unwrap_or("unknown").trim().to_owned()
        };
        let field = |file: &str, name: &str| {
            let text = fs::read_to_string(file).unwrap_or_default();
            let line = text.lines().find(|line| line.starts_with(name)).unwrap_or_default().to_owned();
            line.split(':').nth(1).unwrap_or_default().trim().to_owned()
        };
        let kib = field("/proc/meminfo", "MemTotal");
        Self {
            cores: std::thread::available_parallelism().map_or(1, usize::from),
            processor: field("/proc/cpuinfo", "model name"),
            memory_gib: kib.split(' ').next().and_then(|kib| kib.parse::<u64>().ok()).unwrap_or_default() >> 20,
            kernel: first("uname", &["-r"]),
            servers,
            restic: first("restic", &["version"]).split(' ').take(2).collect::<Vec<_>>().join(" "),
            date: first("date", &["+%Y-%m-%d"]),
            megabytes,
        }
    }

    fn line(&self) -> String {
        format!(
            "{}: {} cores ({}), {} GiB, Linux {}, {}, {}; a database of {} MiB",
            self.date,
            self.cores,
            self.processor,
            self.memory_gib,
            self.kernel,
            self.servers,
            self.restic,
            self.megabytes
        )
    }
}

pub fn print(figures: &[Figure], machine: &Machine, form: Form) {
    match form {
        Form::Json => println!("{:#}", json_of(figures, machine)),
        Form::Markdown => print!("{}", markdown(figures, machine)),
        Form::Text => {
            println!("\n{}", machine.line());
            let mut group = "";
            for figure in figures {
                if figure.group != group {
                    group = figure.group;
                    println!("\n{group}");
                }
                println!("  {} {}", mark(figure), sentence(figure));
            }
        }
    }
}

fn sentence(figure: &Figure) -> String {
    let (ours, baseline) = (value(figure.ours, figure.unit), value(figure.baseline.1, figure.unit));
    let name = &figure.baseline.0;
    format!("{}: {} ({ours} against {baseline}: {name}); {}", figure.what, ratio(figure), wanted(figure.target))
}

fn markdown(figures: &[Figure], machine: &Machine) -> String {
    let mut text = format!("{}.\n", machine.line());
    let mut group = "";
    for figure in figures {
        if figure.group != group {
            group = figure.group;
            text += &format!(
                "\n### {group}\n\n| What | Ours | Baseline | Ratio | To reach | |\n|---|---|---|---|---|---|\n"
            );
        }
        let (ours, baseline) = (value(figure.ours, figure.unit), value(figure.baseline.1, figure.unit));
        let (what, name, times) = (&figure.what, &figure.baseline.0, figure.times);
        let (ratio, wanted, mark) = (ratio(figure), wanted(figure.target), mark(figure));
        text += &format!("| {what} | {ours} | {name}: {baseline} | **{ratio}** | {wanted} | {mark} {times}× |\n");
    }
    text
}

fn json_of(figures: &[Figure], machine: &Machine) -> Value {
    let figure = |figure: &Figure| {
        let target = match figure.target {
            Target::AtMost(most) => json!({ "at-most": most }),
            Target::Faster(least) => json!({ "times-as-fast": least }),
            Target::Shown => Value::Null,
        };
        let unit = match figure.unit {
            Unit::Seconds => "s",
            Unit::Mebibytes => "MiB",
            Unit::Requests => "requests",
        };
        json!({
            "group": figure.group, "what": figure.what, "ours": figure.ours, "unit": unit,
            "baseline": { "name": figure.baseline.0, "value": figure.baseline.1 },
            "ratio": figure.ratio(), "target": target, "reached": figure.reached(), "times": figure.times,
        })
    };
    json!({
        "machine": {
            "date": machine.date, "cores": machine.cores, "processor": machine.processor, "memory_gib": machine.memory_gib,
            "kernel": machine.kernel, "servers": machine.servers, "restic": machine.restic, "megabytes": machine.megabytes,
        },
        "figures": figures.iter().map(figure).collect::<Vec<_>>(),
    })
}

fn ratio(figure: &Figure) -> String {
    let ratio = figure.ratio();
    let number = if ratio >= 20.0 { format!("{ratio:.0}") } else { format!("{ratio:.2}") };
    match figure.target {
        Target::Faster(_) => format!("{number}× as fast"),
        Target::AtMost(_) | Target::Shown => format!("{number}×"),
    }
}

fn wanted(target: Target) -> String {
    match target {
        Target::AtMost(most) => format!("≤ {most}×"),
        Target::Faster(least) => format!("≥ {least}× as fast"),
        Target::Shown => "shown".into(),
    }
}

fn mark(figure: &Figure) -> &'static str {
    match figure.reached() {
        Some(true) => "✓",
        Some(false) => "✗",
        None => "·",
    }
}

fn value(value: f64, unit: Unit) -> String {
    match unit {
        Unit::Mebibytes => format!("{value:.1} MiB"),
        Unit::Requests => format!("{value:.0} requests"),
        Unit::Seconds if value < 0.001 => format!("{:.1} µs", value * 1e6),
        Unit::Seconds if value < 1.0 => format!("{:.1} ms", value * 1e3),
        Unit::Seconds => format!("{value:.2} s"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_line_says_all_of_it() {
        let mut figure = Figure {
            group: "g",
            what: "a call".into(),
            ours: 0.000_03,
            baseline: ("bare".into(), 0.000_02),
            unit: Unit::Seconds,
            target: Target::AtMost(3.0),
            times: 5,
        };
        assert_eq!(sentence(&figure), "a call: 1.50× (30.0 µs against 20.0 µs: bare); ≤ 3×");
        (figure.ours, figure.baseline.1, figure.target) = (0.5, 30.0, Target::Faster(50.0));
        assert_eq!(sentence(&figure), "a call: 60× as fast (500.0 ms against 30.00 s: bare); ≥ 50× as fast");
    }
}
