//! What keeps the shop's notes.

/// With the volume `db`, the user `shop` and the database `shop`, in whose container a shell finds its password.
#[derive(Clone, Copy)]
pub struct Database {
    /// As the engine's base has it.
    pub image: &'static str,
    /// The datastore's plugin, and who it is on the server.
    pub plugin: &'static str,
    pub user: &'static str,
    /// Environment, volume and health of the service.
    pub service: &'static str,
    /// Shell: does SQL that is its `$0`, and prints rows.
    pub ask: &'static str,
    /// The same, rows with the names of their columns.
    pub ask_rows: &'static str,
    /// Shell: whether it takes users in.
    pub ready: &'static str,
    /// Shell: does the SQL `{sql}` over the network, as a migration.
    pub migrate: &'static str,
    /// Another account, with a password; and the major version that it reads, and whether there are notes.
    pub reader: &'static str,
    pub major: &'static str,
}

pub const POSTGRES: Database = Database {
    image: "postgres:15",
    plugin: "postgres",
    user: "shop",
    service: "environment: { POSTGRES_USER: shop, POSTGRES_PASSWORD: '${PASSWORD}', POSTGRES_DB: shop }
    volumes: ['db:/var/lib/postgresql/data']
    healthcheck: { test: [CMD, pg_isready, -h, 127.0.0.1, -U, shop], interval: 1s, retries: 60 }",
    ask: "psql -XqAt -v ON_ERROR_STOP=1 -U shop -c \"$0\" shop",
    ask_rows: "psql -Xq -v ON_ERROR_STOP=1 -U shop -c \"$0\" shop",
    ready: "pg_isready -h 127.0.0.1 -U shop",
    migrate: "PGPASSWORD=$POSTGRES_PASSWORD psql -h db -U shop -c \\\"{sql}\\\"",
    reader: "CREATE ROLE reader LOGIN PASSWORD 'of-the-reader'; GRANT SELECT ON notes TO reader",
    major: "PGPASSWORD=of-the-reader psql -XqAt -h 127.0.0.1 -U reader -c \
            \"SELECT current_setting('server_version_num')::int / 10000, count(*) > 0 FROM notes\" shop",
};

pub const MARIADB: Database = Database {
    image: "mariadb:10.11",
    plugin: "mysql",
    user: "root",
    service: "environment: { MARIADB_ROOT_PASSWORD: '${PASSWORD}', MARIADB_DATABASE: shop }
    volumes: ['db:/var/lib/mysql']
    healthcheck:
      test: [CMD-SHELL, 'mariadb-admin ping --host=127.0.0.1 --user=root --password=$$MARIADB_ROOT_PASSWORD --silent']
      interval: 1s
      retries: 60",
    ask: "mariadb --user=root --password=$MARIADB_ROOT_PASSWORD --skip-column-names --execute=\"$0\" shop",
    ask_rows: "mariadb --user=root --password=$MARIADB_ROOT_PASSWORD --execute=\"$0\" shop",
    ready: "mariadb-admin ping --host=127.0.0.1 --user=root --password=$MARIADB_ROOT_PASSWORD --silent",
    migrate: "mariadb --host=db --user=root --password=$MARIADB_ROOT_PASSWORD --execute=\\\"{sql}\\\" shop",
    reader: "CREATE USER reader@'%' IDENTIFIED BY 'of-the-reader'; GRANT SELECT ON shop.notes TO reader@'%'",
    major: "mariadb --host=db --user=reader --password=of-the-reader --skip-column-names --execute=\
            \"SELECT CONCAT(SUBSTRING_INDEX(VERSION(), '.', 2), '|', COUNT(*) > 0) FROM notes\" shop",
};
