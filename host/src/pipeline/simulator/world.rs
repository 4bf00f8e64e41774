//! A machine in memory: one service, one store, one file, users who write whenever they can.

use std::collections::BTreeMap;

/// More than any step is tried where its failures count.
const ASLEEP: u32 = 7;

/// What a datastore holds: its schema and its rows.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Data {
    pub schema: u32,
    pub rows: Vec<u64>,
    /// A migration that died half way leaves this.
    pub half: bool,
}

#[derive(Debug, Clone)]
pub struct World {
    pub data: BTreeMap<String, Data>,
    pub copies: BTreeMap<(String, String), Data>,
    pub vault: BTreeMap<String, Data>,
    pub manifests: BTreeMap<String, String>,
    /// The version that runs.
    pub running: Option<u32>,
    /// A reboot must not start it.
    pub held: bool,
    pub gate: bool,
    pub fenced: BTreeMap<String, bool>,
    pub file: String,
    pub old_files: BTreeMap<String, String>,
    /// Rows that users were told are written.
    pub acknowledged: Vec<u64>,
    pub writes: u64,
    /// How often the migration to a version ran to its end, for the check that none ran twice.
    pub migrations: BTreeMap<u32, u32>,
    /// A migration ran while a version served.
    pub migrated_beside: bool,
    pub left_drills: u32,
    /// The version of each store's server.
    pub servers: BTreeMap<String, u32>,
    /// The data of the server that was replaced.
    pub beside: BTreeMap<String, Data>,
    /// Users are never shut out.
    pub serves_on: bool,
    /// After a reboot nothing answers at first.
    pub starts_slowly: bool,
    /// So many effects find nobody who answers.
    pub asleep: u32,
}

/// How the releases of a story behave.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Behaviour {
    Good,
    /// The migration leaves half of its work and fails.
    MigrationFails,
    /// Starts, and is wrong.
    WrongOnVerify,
    /// The same, and the old version's rebuild fails as well.
    RebuildFails,
    /// Never starts.
    NeverStarts,
}

impl World {
    pub fn new(stores: &[&str]) -> Self {
        let data = |name: &&str| (name.to_string(), Data { schema: 1, rows: vec![1, 2, 3], half: false });
        Self {
            data: stores.iter().map(data).collect(),
            copies: BTreeMap::new(),
            vault: BTreeMap::new(),
            manifests: BTreeMap::new(),
            running: Some(1),
            held: false,
            gate: true,
            fenced: BTreeMap::new(),
            file: "setting of version 1".into(),
            old_files: BTreeMap::new(),
            acknowledged: Vec::new(),
            writes: 100,
            migrations: BTreeMap::new(),
            migrated_beside: false,
            left_drills: 0,
            servers: stores.iter().map(|name| (name.to_string(), 1)).collect(),
            beside: BTreeMap::new(),
            serves_on: false,
            starts_slowly: false,
            asleep: 0,
        }
    }

    /// Users write whenever the gate is open and something runs.
    pub fn users_write(&mut self) {
        let open = self.gate && self.running.is_some() && self.fenced.is_empty();
        assert!(open || !self.serves_on, "users are shut out of a run that rolls");
        if !self.gate || self.running.is_none() {
            return;
        }
        self.writes += 1;
        let row = self.writes;
        let mut written = true;
        for (name, data) in &mut self.data {
            if self.fenced.get(name) == Some(&true) {
                written = false;
            } else {
                data.rows.push(row);
            }
        }
        if written {
            self.acknowledged.push(row);
        }
    }

    /// Everything dies; the machine starts what is not held. Locks that live in a process are gone either way.
    pub fn crash(&mut self, reboot: bool, fence_survives: bool) {
        if !fence_survives {
            self.fenced.clear();
        }
        if reboot {
            self.asleep = if self.starts_slowly { ASLEEP } else { 0 };
            let was_running = self.running.take();
            if !self.held {
                self.running = was_running.or(Some(1));
            }
        }
        self.users_write();
    }

    pub fn mark(&self, store: &str) -> String {
        let data = &self.data[store];
        format!("{}:{}", data.rows.len(), data.schema)
    }

    pub fn migrate(&mut self, to: u32, behaviour: Behaviour) -> Result<(), String> {
        let is_rebuild = to == 1;
        self.migrated_beside |= self.running.is_some() && !is_rebuild;
        let fails = behaviour == Behaviour::MigrationFails || (is_rebuild && behaviour == Behaviour::RebuildFails);
        for data in self.data.values_mut() {
            if fails {
                data.half = true;
            } else {
                data.schema = to;
            }
        }
        if fails {
            return Err("the migration died half way".into());
        }
        *self.migrations.entry(to).or_default() += 1;
        Ok(())
    }

    pub fn manifest(data: &Data) -> String {
        format!("rows\t{}\t{:?}\nschema\t1\t{}\t{}", data.rows.len(), data.rows, data.schema, data.half)
    }
}
