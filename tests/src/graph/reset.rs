//! Puts a [`Graph`] back to what it was, which costs less than a new one. No daemon runs meanwhile.

use super::Graph;
use std::fs;

impl Graph {
    /// What [`Graph::reset`] goes back to.
    pub fn keep_pristine(&self) {
        self.stop();
        self.server_sql(&format!("CREATE DATABASE {} TEMPLATE {}", self.pristine(), self.database));
        self.start();
    }

    fn pristine(&self) -> String {
        format!("{}_pristine", self.database)
    }

    /// The release and the data of the beginning, as if no run had been; the file's version line stays, and is as good as
    /// never looked at.
    pub fn reset(&self) {
        self.stop();
        for database in self.copies().iter().chain([&self.database]) {
            self.server_sql(&format!("DROP DATABASE \"{database}\" WITH (FORCE)"));
        }
        let (database, role, pristine) = (&self.database, self.role(), self.pristine());
        self.server_sql(&format!("CREATE DATABASE {database} OWNER {role} TEMPLATE {pristine} STRATEGY file_copy"));
        self.dress();
        self.activate(self.version());
        self.start();
        let journal = self.journal();
        journal.execute_batch("DELETE FROM copies; DELETE FROM quarantine; DELETE FROM settled").expect("the journal");
        let _ = fs::remove_file(self.socket());
    }
}
