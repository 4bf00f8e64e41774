//! The permission that each method needs.

/// Nothing: everybody may ask.
pub(crate) fn needed(method: &str) -> Option<&'static str> {
    let method = method.trim_start_matches("run.projects.locations.").trim_start_matches("run.namespaces.");
    let permission = match method {
        "services.create" => "run.services.create",
        "services.delete" => "run.services.delete",
        "services.get" => "run.services.get",
        "services.list" => "run.services.list",
        "services.patch" | "services.replaceService" => "run.services.update",
        "services.revisions.delete" => "run.revisions.delete",
        "services.revisions.get" | "revisions.get" => "run.revisions.get",
        "services.revisions.list" | "revisions.list" => "run.revisions.list",
        "jobs.create" => "run.jobs.create",
        "jobs.delete" => "run.jobs.delete",
        "jobs.get" => "run.jobs.get",
        "jobs.list" => "run.jobs.list",
        "jobs.patch" => "run.jobs.update",
        "jobs.run" => "run.jobs.run",
        "jobs.executions.cancel" => "run.executions.cancel",
        "jobs.executions.get" => "run.executions.get",
        "jobs.executions.list" => "run.executions.list",
        "operations.get" | "operations.wait" => "run.operations.get",
        "operations.list" => "run.operations.list",
        "services.testIamPermissions" | "jobs.testIamPermissions" => return None,
        "sql.backupRuns.delete" => "cloudsql.backupRuns.delete",
        "sql.backupRuns.get" => "cloudsql.backupRuns.get",
        "sql.backupRuns.insert" => "cloudsql.backupRuns.create",
        "sql.backupRuns.list" => "cloudsql.backupRuns.list",
        "sql.databases.list" => "cloudsql.databases.list",
        "sql.instances.delete" => "cloudsql.instances.delete",
        "sql.instances.insert" => "cloudsql.instances.create",
        "sql.instances.list" => "cloudsql.instances.list",
        "sql.instances.patch" => "cloudsql.instances.update",
        "sql.instances.restart" => "cloudsql.instances.restart",
        "sql.instances.restoreBackup" => "cloudsql.instances.restoreBackup",
        "sql.users.list" => "cloudsql.users.list",
        // Operations are those of an instance.
        "sql.connect.get" | "sql.instances.get" | "sql.operations.get" | "sql.operations.list" => {
            "cloudsql.instances.get"
        }
        other => unreachable!("a method without a permission: `{other}`"),
    };
    Some(permission)
}

#[cfg(test)]
mod tests {
    #[test]
    fn every_method_of_the_documents_has_one() {
        for method in crate::discovery::documents().iter().flat_map(|document| &document.methods) {
            let asks_for_permissions = method.id.ends_with("testIamPermissions");
            assert_eq!(super::needed(&method.id).is_none(), asks_for_permissions, "{}", method.id);
        }
    }
}
