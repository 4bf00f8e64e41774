//! What containers keep: databases by their servers, volumes and folders.

use super::part::{Part, Role};
use super::{Data, Database};
use std::collections::BTreeMap;
use std::path::Path;

pub(super) fn of(directory: &Path, parts: &[Part]) -> Data {
    let mut data = Data::default();
    for part in parts {
        match part.role {
            // A server's own data is what its datastore names by the service.
            Role::Postgres => data.databases.push(postgres(part)),
            Role::Mysql => data.databases.push(mysql(part)),
            Role::Cache | Role::Proxy | Role::Own => {
                for store in part.mounts.iter().cloned() {
                    let is_file = !store.place.starts_with("volume:") && directory.join(&store.place).is_file();
                    let kind = match part.role {
                        _ if is_file => &mut data.files_mounted,
                        Role::Cache => &mut data.caches,
                        _ => &mut data.stores,
                    };
                    kind.push(store);
                }
            }
        }
    }
    distinct(&mut data);
    data
}

/// What two services share is named once; what one keeps for good is not a cache's.
fn distinct(data: &mut Data) {
    let mut seen: Vec<String> = Vec::new();
    for stores in [&mut data.stores, &mut data.caches, &mut data.files_mounted] {
        // A folder comes before what lies in it.
        stores.sort_by(|a, b| a.place.cmp(&b.place));
        stores.retain(|store| {
            let beneath = |other: &String| Path::new(&store.place).starts_with(other);
            let new = !seen.iter().any(beneath);
            seen.push(store.place.clone());
            new
        });
    }
    let mut names: BTreeMap<String, usize> = BTreeMap::new();
    for store in &mut data.stores {
        let number = names.entry(store.name.clone()).or_insert(0);
        *number += 1;
        if *number > 1 {
            store.name = format!("{}-{number}", store.name);
        }
    }
}

fn postgres(part: &Part) -> Database {
    let environment = &part.environment;
    let get = |names: &[&str]| names.iter().find_map(|name| environment.get(*name)).filter(|value| !value.is_empty());
    let user = get(&["POSTGRES_USER", "POSTGRESQL_USERNAME"]).cloned().unwrap_or_else(|| "postgres".into());
    let database = get(&["POSTGRES_DB", "POSTGRESQL_DATABASE"]).cloned().unwrap_or_else(|| user.clone());
    let trusted = environment.get("POSTGRES_HOST_AUTH_METHOD").is_some_and(|method| method == "trust");
    let passwords = ["POSTGRES_PASSWORD", "POSTGRES_PASSWORD_FILE", "POSTGRESQL_PASSWORD"];
    let password = passwords.into_iter().find(|name| environment.contains_key(*name) && !trusted);
    Database {
        service: part.name.clone(),
        plugin: "postgres",
        user,
        database: Some(database),
        password: password.map(str::to_owned),
    }
}

/// Its account is best one of its own: the one that the product uses is locked while the database is fenced.
fn mysql(part: &Part) -> Database {
    let database = ["MYSQL_DATABASE", "MARIADB_DATABASE"].iter().find_map(|name| part.environment.get(*name));
    let database = database.filter(|name| !name.is_empty()).cloned();
    Database { service: part.name.clone(), plugin: "mysql", user: "upgraded".into(), database, password: None }
}
