//! Which server is in an image, as far as it says what data it reads: `15`, or `10.11`.

/// What is said to the shell of an image.
pub const ASK: &str = "postgres --version 2>/dev/null || mariadbd --version 2>/dev/null || mysqld --version";

pub fn read(said: &str) -> Option<String> {
    let number = said.split_whitespace().find(|word| word.starts_with(|c: char| c.is_ascii_digit()))?;
    let mut parts = number.split(|c: char| !c.is_ascii_digit());
    let (major, minor) = (parts.next()?, parts.next().unwrap_or("0"));
    Some(if said.contains("PostgreSQL") { major.to_owned() } else { format!("{major}.{minor}") })
}

/// As the tag of an image of that name promises it: of a server's own image, which is called after it.
pub fn promised(image: &str) -> Option<String> {
    let (repository, tag) = image.split('@').next()?.rsplit_once(':')?;
    let said = match repository.rsplit('/').next()? {
        "postgres" | "postgresql" => "PostgreSQL",
        "mysql" | "mariadb" => "",
        _ => return None,
    };
    let tag = tag.split('-').next()?;
    let whole = !said.is_empty() || tag.contains('.');
    whole.then(|| read(&format!("{said} {tag}"))).flatten()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn servers_say_what_data_they_read() {
        for (said, version) in [
            ("postgres (PostgreSQL) 15.18 (Debian 15.18-0+deb12u1)", Some("15")),
            ("postgres (PostgreSQL) 18beta1", Some("18")),
            ("mariadbd  Ver 10.11.14-MariaDB-0+deb12u2 for debian-linux-gnu on x86_64", Some("10.11")),
            ("/usr/sbin/mysqld  Ver 9.7.0 for Linux on x86_64 (MySQL Community Server - GPL)", Some("9.7")),
            ("sh: postgres: not found", None),
        ] {
            assert_eq!(read(said).as_deref(), version, "{said}");
        }
    }

    #[test]
    fn tags_of_servers_own_images_promise_a_version() {
        for (image, version) in [
            ("postgres:15", Some("15")),
            ("registry.example.com:5000/base/postgres:17.2-alpine@sha256:00", Some("17")),
            ("bitnami/postgresql:16.4.0-debian-12-r0", Some("16")),
            ("mariadb:10.11.14", Some("10.11")),
            ("mysql:8", None),
            ("shop/database:2.0", None),
            ("postgres:latest", None),
            ("localhost:5000/postgres", None),
        ] {
            assert_eq!(promised(image).as_deref(), version, "{image}");
        }
    }
}
