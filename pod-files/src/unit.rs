//! Units of systemd that play files of pods: which, and what they say.

use std::iter::once;

/// A unit that starts pods.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Unit {
    /// `aegis-core.service`
    pub name: String,
    /// What it plays, as it stands there.
    pub files: Vec<String>,
    /// podman makes it of a `.kube` file, which has to go before it does.
    pub quadlet: bool,
}

impl Unit {
    /// `name`: the file's. None for one that starts no pods.
    pub fn read(name: &str, text: &str) -> Option<Self> {
        if let Some(stem) = name.strip_suffix(".kube") {
            return Some(Self::quadlet(stem, text));
        }
        let stem = name.strip_suffix(".service")?;
        let files = match stem.strip_prefix("podman-kube@") {
            Some(instance) => vec![path_of(instance)],
            None => {
                lines(text).iter().filter(|line| line.starts_with("ExecStart")).flat_map(|line| played(line)).collect()
            }
        };
        (!files.is_empty()).then(|| Self { name: name.to_owned(), files, quadlet: false })
    }

    fn quadlet(stem: &str, text: &str) -> Self {
        let lines = lines(text);
        let of_kube =
            lines.iter().skip_while(|line| *line != "[Kube]").skip(1).take_while(|line| !line.starts_with('['));
        let said: Vec<(&str, &str)> = of_kube.filter_map(|line| line.split_once('=')).collect();
        let values = |key: &'static str| {
            said.iter().filter(move |(known, _)| known.trim() == key).map(|(_, value)| value.trim())
        };
        let service = values("ServiceName").next_back().unwrap_or(stem);
        let files = values("Yaml").flat_map(words).collect();
        Self { name: format!("{service}.service"), files, quadlet: true }
    }
}

/// Without comments; one that goes on in the next is one.
fn lines(text: &str) -> Vec<String> {
    let whole = text.replace("\\\n", " ");
    whole.lines().map(str::trim).filter(|line| !line.starts_with(['#', ';'])).map(str::to_owned).collect()
}

/// What `podman kube play` of a command is told beside its options.
fn played(command: &str) -> Vec<String> {
    let words: Vec<String> = words(command).collect();
    let plays = |pair: &[String]| matches!([pair[0].as_str(), pair[1].as_str()], ["kube", "play"] | ["play", "kube"]);
    let after = words.windows(2).position(plays).map_or(&[][..], |at| &words[at + 2..]);
    after.iter().filter(|word| !word.starts_with('-')).cloned().collect()
}

fn words(text: &str) -> impl Iterator<Item = String> {
    text.split_whitespace().map(|word| word.trim_matches(['"', '\'']).to_owned())
}

/// `/opt/pod-core.yaml` of `-opt-pod\x2dcore.yaml`, which `systemd-escape` made of it.
fn path_of(instance: &str) -> String {
    let mut bytes = Vec::new();
    let mut rest = instance.as_bytes();
    while let [first, after @ ..] = rest {
        let code = rest.strip_prefix(b"\\x").and_then(|rest| std::str::from_utf8(rest.get(..2)?).ok());
        match code.and_then(|code| u8::from_str_radix(code, 16).ok()) {
            Some(byte) => {
                bytes.push(byte);
                rest = &rest[4..];
            }
            None => {
                bytes.push(if *first == b'-' { b'/' } else { *first });
                rest = after;
            }
        }
    }
    let path = String::from_utf8_lossy(&bytes).into_owned();
    // `systemd-escape --path` leaves the first one out.
    once("/").chain(once(path.trim_start_matches('/'))).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(name: &str, text: &str) -> Option<(String, Vec<String>, bool)> {
        Unit::read(name, text).map(|unit| (unit.name, unit.files, unit.quadlet))
    }

    #[test]
    fn a_unit_says_what_it_plays() {
        let text = "[Unit]\nYaml=no.yaml\n[Kube]\n# Yaml=old.yaml\nYaml=pod-core.yaml \"b.yaml\"\nYaml = /srv/c.yaml\n\
                    [Install]\nWantedBy=default.target\n";
        let files = ["pod-core.yaml", "b.yaml", "/srv/c.yaml"].map(str::to_owned).to_vec();
        assert_eq!(read("core.kube", text), Some(("core.service".into(), files.clone(), true)));
        let named = text.replace("[Kube]", "[Kube]\nServiceName=aegis");
        assert_eq!(read("core.kube", &named), Some(("aegis.service".into(), files, true)));

        let template = r"podman-kube@-opt-aegis-pod\x2dcore.yaml.service";
        assert_eq!(read(template, ""), Some((template.into(), vec!["/opt/aegis/pod-core.yaml".into()], false)));
        let own = "[Service]\nExecStart=/usr/bin/podman kube play --replace \\\n  --network=aegis /opt/core.yaml\n";
        assert_eq!(read("core.service", own), Some(("core.service".into(), vec!["/opt/core.yaml".into()], false)));
        for text in ["ExecStart=/usr/bin/podman start core-infra", "# ExecStart=podman kube play a.yaml", ""] {
            assert_eq!(read("core.service", text), None, "{text}");
        }
        assert_eq!(read("core.container", "[Container]\nImage=a\n"), None);
    }
}
