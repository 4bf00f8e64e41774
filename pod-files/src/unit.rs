//! Units of systemd that play files of pods: which, and what they say.

use crate::differs::familiar;
use crate::pod::{Container, Pod};
use std::iter::once;

/// A unit that starts pods.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Unit {
    /// `aegis-core.service`
    pub name: String,
    /// What it plays, as it stands there.
    pub files: Vec<String>,
    pub networks: Vec<String>,
    /// podman makes it of a `.kube` file, which has to go before it does.
    pub quadlet: bool,
}

/// A call of `podman kube play`.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Play {
    pub files: Vec<String>,
    pub networks: Vec<String>,
    pub config_maps: Vec<String>,
    /// An option that makes it something else than playing files, or that is not known.
    pub strange: Option<String>,
}

/// Options with a value, which may be the next word.
const VALUED: [&str; 14] = [
    "annotation",
    "authfile",
    "cert-dir",
    "configmap",
    "context-dir",
    "creds",
    "ip",
    "log-driver",
    "log-opt",
    "mac-address",
    "network",
    "publish",
    "seccomp-profile-root",
    "userns",
];
/// Options that may stand alone, and change nothing of what is played.
const PLAIN: [&str; 8] =
    ["no-hosts", "no-pod-prefix", "publish-all", "quiet", "replace", "service-container", "tls-verify", "wait"];

impl Play {
    /// None for a command that plays nothing.
    pub fn read(command: &str) -> Option<Self> {
        let words: Vec<String> = words(command).collect();
        let plays =
            |pair: &[String]| matches!([pair[0].as_str(), pair[1].as_str()], ["kube", "play"] | ["play", "kube"]);
        let at = words.windows(2).position(plays)?;
        let mut play = Self::default();
        let mut rest = words[at + 2..].iter();
        while let Some(word) = rest.next() {
            let Some(option) = word.strip_prefix("--") else {
                match word.as_str() {
                    "-q" => {}
                    short if short.starts_with('-') => play.strange = Some(word.clone()),
                    file => play.files.push(file.to_owned()),
                }
                continue;
            };
            let (name, value) = match option.split_once('=') {
                Some((name, value)) => (name, Some(value.to_owned())),
                None if VALUED.contains(&option) => (option, rest.next().cloned()),
                None => (option, None),
            };
            let value = value.as_deref();
            let several = || value.unwrap_or_default().split(',').map(str::to_owned);
            match name {
                "network" | "net" => play.networks.extend(value.map(str::to_owned)),
                "configmap" => play.config_maps.extend(several()),
                "start" if value != Some("false") => {}
                known if VALUED.contains(&known) || PLAIN.contains(&known) => {}
                _ => play.strange = Some(word.clone()),
            }
        }
        Some(play)
    }
}

impl Unit {
    /// `name`: the file's. None for one that starts no pods.
    pub fn read(name: &str, text: &str) -> Option<Self> {
        if let Some(stem) = name.strip_suffix(".kube") {
            return Some(Self::quadlet(stem, text));
        }
        let stem = name.strip_suffix(".service")?;
        let (mut files, mut networks) = (Vec::new(), Vec::new());
        match stem.strip_prefix("podman-kube@") {
            Some(instance) => files.push(path_of(instance)),
            None => {
                let commands = lines(text).into_iter().filter(|line| line.starts_with("ExecStart"));
                for play in commands.filter_map(|line| Play::read(&line)) {
                    files.extend(play.files);
                    networks.extend(play.networks);
                }
            }
        }
        (!files.is_empty()).then(|| Self { name: name.to_owned(), files, networks, quadlet: false })
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
        // `shop.network` is a quadlet, too.
        let network = |value: &str| match value.strip_suffix(".network") {
            Some(stem) => format!("systemd-{stem}"),
            None => value.to_owned(),
        };
        let networks = values("Network").map(network).collect();
        Self { name: format!("{service}.service"), files, networks, quadlet: true }
    }
}

/// A container whose image podman would fetch again where a unit plays the file, though there is one of its name.
pub fn fetched_again(pod: &Pod) -> Option<&Container> {
    pod.containers.iter().find(|container| match container.pull.to_ascii_lowercase().as_str() {
        "" => familiar(&container.image).ends_with(":latest"),
        policy => matches!(policy, "always" | "newer"),
    })
}

/// Without comments; one that goes on in the next is one.
fn lines(text: &str) -> Vec<String> {
    let whole = text.replace("\\\n", " ");
    whole.lines().map(str::trim).filter(|line| !line.starts_with(['#', ';'])).map(str::to_owned).collect()
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
        let networks = |name: &str, text: &str| Unit::read(name, text).unwrap().networks;
        assert_eq!(
            networks("core.kube", "[Kube]\nYaml=a.yaml\nNetwork=aegis\nNetwork=b.network\n"),
            ["aegis", "systemd-b"]
        );
        assert_eq!(networks("core.service", own), ["aegis"]);
    }

    #[test]
    fn a_call_says_what_it_plays_and_how() {
        let of = |options: &str| Play::read(&format!("/usr/bin/podman {options}")).unwrap();
        let list = |names: &[&str]| names.iter().map(|name| (*name).to_owned()).collect::<Vec<_>>();
        let as_a_quadlet = of("kube play --replace --service-container=true --network aegis --network=b \
                               --configmap a.yaml,/srv/b.yaml --configmap=c.yaml --userns keep-id /opt/core.yaml");
        assert_eq!(as_a_quadlet.files, ["/opt/core.yaml"]);
        assert_eq!(as_a_quadlet.networks, list(&["aegis", "b"]));
        assert_eq!(as_a_quadlet.config_maps, list(&["a.yaml", "/srv/b.yaml", "c.yaml"]));
        assert_eq!(as_a_quadlet.strange, None);
        assert_eq!(of("--log-level=info play kube -q --log-driver journald a.yaml b.yaml").files, ["a.yaml", "b.yaml"]);
        for strange in ["--build", "--down", "--start=false", "-x", "--not-known=1"] {
            assert_eq!(of(&format!("kube play {strange} a.yaml")).strange.as_deref(), Some(strange));
        }
        assert_eq!(Play::read("/usr/bin/podman kube down a.yaml"), None);
    }
}
