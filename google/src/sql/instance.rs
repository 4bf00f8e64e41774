//! What an instance says of itself, as far as an upgrade needs it. Pure.

use google_cloud_sql_v1::model::backup_configuration::BackupTier;
use google_cloud_sql_v1::model::database_instance::SqlInstanceState;
use google_cloud_sql_v1::model::{DatabaseInstance, IpMapping};

#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Instance {
    pub name: String,
    /// `POSTGRES_15`
    pub version: String,
    /// `db-custom-1-3840`
    pub tier: String,
    pub region: String,
    pub disk_gb: Option<i64>,
    /// It runs, and may be changed.
    pub runnable: bool,
    /// `RUNNABLE`, `MAINTENANCE`
    pub state: String,
    pub addresses: Vec<Address>,
    pub labels: std::collections::BTreeMap<String, String>,
    /// By Google's Backup and DR, whose plan says how long a backup is kept.
    pub backups_managed: bool,
    /// Backups are kept when the instance is deleted.
    pub backups_outlive_it: bool,
    pub replicas: Vec<String>,
    /// What it is a replica of.
    pub primary: Option<String>,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Address {
    /// `PRIMARY`, `PRIVATE`
    pub kind: String,
    pub ip: String,
}

impl Instance {
    /// Its address of the same kind as `host` is of `other`. Where `host` is none of `other`'s (a proxy's, a name), a private
    /// one before a public one.
    pub fn address_as(&self, other: &Self, host: &str) -> Option<&str> {
        let known = other.addresses.iter().find(|address| address.ip == host).map(|address| address.kind.as_str());
        let of_kind = |kind: &str| self.addresses.iter().find(|address| address.kind == kind);
        let found = known.and_then(of_kind).or_else(|| of_kind("PRIVATE")).or_else(|| of_kind("PRIMARY"));
        found.map(|address| address.ip.as_str())
    }

    /// Why Google restores no backup in place; none: it would, as far as replicas go.
    pub fn keeps_its_data(&self) -> Option<String> {
        let name = &self.name;
        match &self.primary {
            Some(primary) => Some(format!(
                "the instance `{name}` is a replica of `{primary}`, and Google neither backs up nor restores a replica"
            )),
            None if self.replicas.is_empty() => None,
            None => Some(format!(
                "the instance `{name}` has replicas (`{}`), and Google restores no instance in place that has any",
                self.replicas.join("`, `")
            )),
        }
    }

    pub(super) fn of(instance: &DatabaseInstance) -> Self {
        let settings = instance.settings.clone().unwrap_or_default();
        Self {
            name: instance.name.clone(),
            version: instance.database_version.name().unwrap_or_default().into(),
            tier: settings.tier,
            region: instance.region.clone(),
            disk_gb: settings.data_disk_size_gb,
            runnable: instance.state == SqlInstanceState::Runnable,
            state: instance.state.name().unwrap_or_default().into(),
            addresses: instance.ip_addresses.iter().map(Address::of).collect(),
            labels: settings.user_labels.into_iter().collect(),
            backups_managed: settings.backup_configuration.and_then(|backups| backups.backup_tier).is_some_and(managed),
            backups_outlive_it: settings.retain_backups_on_delete.unwrap_or_default(),
            replicas: instance.replica_names.clone(),
            primary: Some(instance.master_instance_name.clone()).filter(|name| !name.is_empty()),
        }
    }
}

impl Address {
    fn of(mapping: &IpMapping) -> Self {
        Self { kind: mapping.r#type.name().unwrap_or_default().into(), ip: mapping.ip_address.clone() }
    }
}

/// `ADVANCED` is an older name for it.
#[allow(deprecated, reason = "an instance may have it still")]
fn managed(tier: BackupTier) -> bool {
    matches!(tier, BackupTier::Enhanced | BackupTier::Advanced)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn replicas_stand_in_the_way_of_a_restore() {
        let why = |instance: &DatabaseInstance| Instance::of(instance).keeps_its_data();
        let alone = DatabaseInstance::new().set_name("shop");
        assert_eq!(why(&alone), None);
        let primary = why(&alone.clone().set_replica_names(["near", "far"])).expect("a reason");
        assert!(primary.contains("`shop` has replicas (`near`, `far`)"), "{primary}");
        let replica = why(&alone.set_master_instance_name("acme:main")).expect("a reason");
        assert!(replica.contains("`shop` is a replica of `acme:main`"), "{replica}");
    }
}
