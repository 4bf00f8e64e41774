//! Puts a [`Graph`] back to what it was, which costs less than a new one.

use super::Graph;

impl Graph {
    /// What [`Graph::put_back`] goes back to.
    pub fn keep_pristine(&self) {
        self.stop();
        self.server_sql(&format!("CREATE DATABASE {} TEMPLATE {}", self.pristine(), self.database));
        self.start();
    }

    fn pristine(&self) -> String {
        format!("{}_pristine", self.database)
    }

    /// The release and the data of the beginning, while the daemon has nothing to do.
    pub fn put_back(&self) {
        self.stop();
        let (database, role, pristine) = (&self.database, self.role(), self.pristine());
        self.server_sql(&format!("DROP DATABASE {database} WITH (FORCE)"));
        self.server_sql(&format!("CREATE DATABASE {database} OWNER {role} TEMPLATE {pristine}"));
        self.dress();
        self.activate(self.version());
        self.start();
    }

    pub fn drop_copies(&self) {
        for copy in self.copies() {
            self.server_sql(&format!("DROP DATABASE \"{copy}\" WITH (FORCE)"));
        }
    }

    /// In the newest run's records, from 1.
    pub fn number_of_start(&self, step: &str) -> usize {
        let sql = "SELECT number + 1 FROM records WHERE run = (SELECT max(run) FROM runs) \
                   AND body LIKE '%\"started\"%\"' || ?1 || '\"%' ORDER BY number LIMIT 1";
        let number: u32 = self.journal().query_row(sql, [step], |row| row.get(0)).expect("the step was started");
        number as usize
    }
}
