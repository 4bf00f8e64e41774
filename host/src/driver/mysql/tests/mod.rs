//! The driver against real servers.

mod bench;
mod doubling;
mod fencing;
mod freezing;
mod looking;
mod restoring;
mod saving;

use super::session::Flavour;
use bench::Bench;

/// Tables with keys between them and of every kind of value, and one of each thing that is no table.
pub const SHOP: &[&str] = &[
    "CREATE TABLE customers (id INT PRIMARY KEY AUTO_INCREMENT, name VARCHAR(40) NOT NULL, sponsor INT NULL, \
     CONSTRAINT sponsor FOREIGN KEY (sponsor) REFERENCES customers (id)) COMMENT 'who AUTO_INCREMENT=7 buys'",
    "CREATE TABLE orders (id INT PRIMARY KEY, customer INT NOT NULL, total DECIMAL(20,6), made TIMESTAMP NULL, \
     KEY total (total), KEY customer (customer), KEY made (made), \
     CONSTRAINT customer FOREIGN KEY (customer) REFERENCES customers (id) ON DELETE CASCADE)",
    "CREATE TABLE kinds (id INT PRIMARY KEY, t TEXT, b LONGBLOB, d DOUBLE, bits BIT(9), e ENUM('a','b'), \
     l VARCHAR(9) CHARACTER SET latin1, j JSON, g GEOMETRY, n BINARY(4), doubled INT AS (id * 2) STORED, \
     f FLOAT, u VARCHAR(9) CHARACTER SET ucs2, s VARCHAR(9) CHARACTER SET sjis, day DATE, at TIMESTAMP(3) NULL, \
     y YEAR, z INT(9) UNSIGNED ZEROFILL, thrice INT AS (id * 3) VIRTUAL, CHECK (id > 0), KEY t (t(10)), \
     KEY day (day, y), UNIQUE KEY z (z), FULLTEXT KEY words (t))",
    "CREATE TABLE `odd ``name``` (`a b` INT)",
    "CREATE TABLE log (what VARCHAR(90))",
    "CREATE TABLE pairs (a BIGINT, b VARBINARY(20), PRIMARY KEY (a, b), KEY b (b))",
    "INSERT INTO pairs VALUES (-9223372036854775808, '\\\\N'), (0, ''), (9223372036854775807, '\\t\\n\\r\\0\\\\')",
    "SET SESSION sql_mode = 'ALLOW_INVALID_DATES', time_zone = '+05:00'",
    "INSERT INTO customers VALUES (1, 'Ada', NULL), (2, 'Zoë', 1), (9, '', 1)",
    "INSERT INTO orders VALUES (1, 1, 12.5, '2024-02-29 12:00:00'), (2, 2, NULL, NULL), (3, 2, -0.000001, NULL)",
    "INSERT INTO kinds (id, t, b, d, bits, e, l, j, g, n) VALUES (1, 'ä\\n\\'\"', X'00FF0A5C27', 1e-300/3, b'101', 'b', \
     'é', '{\"a\": [1, null]}', ST_GeomFromText('POINT(1 2)'), X'01'), (2, '', '', 0, b'0', 'a', '', 'null', NULL, X''), \
     (3, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL), (4, 'NULL', '\\\\N', -0e0, b'111111111', '', '\\\\', \
     '\"\\\\u0000 \\\\n ä\"', NULL, NULL)",
    "UPDATE kinds SET f = 1.23456789, u = _utf8mb4'\\t\\\\\\n', s = CONVERT(X'E8A1A8' USING utf8mb4), day = '2024-02-30', \
     at = '2024-06-30 12:00:00.125', y = 1999, z = 77 WHERE id = 1",
    "UPDATE kinds SET f = -3.4e-38, day = '0000-00-00', at = 0, y = 0, z = 0, u = '', s = 'ｱ' WHERE id = 2",
    "CREATE FUNCTION doubled(x INT) RETURNS INT DETERMINISTIC NO SQL RETURN x * 2",
    "CREATE PROCEDURE tidy() BEGIN DELETE FROM log; END",
    // Made before the view that it is made from, in the order of names.
    "CREATE VIEW z_base AS SELECT id, doubled(id) AS twice FROM customers",
    "CREATE VIEW a_view AS SELECT twice FROM z_base WHERE id > 1",
    "CREATE TRIGGER noted AFTER INSERT ON orders FOR EACH ROW INSERT INTO log VALUES (CONCAT('order; ', NEW.id))",
    "CREATE TRIGGER noted_too AFTER INSERT ON orders FOR EACH ROW BEGIN SET @x = 1; INSERT INTO log VALUES ('too'); END",
    // Quotes that are there twice or behind a backslash; and it acts before one that is made later.
    "CREATE TRIGGER first_of_all AFTER INSERT ON orders FOR EACH ROW PRECEDES noted \
     SET @text = CONCAT('it''s', '\\\\', 'a\\'b\\n', \"\"\"\")",
    "CREATE EVENT nightly ON SCHEDULE EVERY 1 DAY STARTS '2030-01-01 00:00:00' COMMENT 'x' DO DELETE FROM log",
    "CREATE EVENT never ON SCHEDULE EVERY 1 DAY STARTS '2030-01-01 00:00:00' DISABLE DO DELETE FROM log",
];

/// What an upgrade makes of it.
const MIGRATED: &[&str] = &[
    "DROP VIEW a_view",
    "ALTER TABLE customers ADD COLUMN email VARCHAR(90)",
    "UPDATE customers SET name = UPPER(name)",
    "CREATE TABLE invoices (id INT PRIMARY KEY, FOREIGN KEY (id) REFERENCES orders (id))",
    "DROP TRIGGER noted",
    "CREATE VIEW newer AS SELECT email FROM customers",
    "CREATE PROCEDURE tidier() BEGIN END",
    "DROP EVENT nightly",
    "CREATE EVENT weekly ON SCHEDULE EVERY 7 DAY STARTS '2030-01-01 00:00:00' DO DELETE FROM log",
    "DROP TABLE `odd ``name```",
];

impl Bench {
    pub async fn shop(flavour: Flavour, database: &str) -> Self {
        let bench = Self::new(flavour, database).await;
        bench.root(SHOP).await;
        let app = format!("app_{database}");
        let statements = [
            format!("CREATE USER '{app}'@'%' IDENTIFIED BY 'app'"),
            format!("GRANT SELECT, INSERT, UPDATE, DELETE ON {database}.* TO '{app}'@'%'"),
            format!("GRANT UPDATE (name) ON {database}.customers TO '{app}'@'%'"),
            format!("GRANT EXECUTE ON FUNCTION {database}.doubled TO '{app}'@'%'"),
        ];
        bench.root(&statements.each_ref().map(String::as_str)).await;
        bench
    }

    pub async fn migrate(&self) {
        self.root(MIGRATED).await;
    }
}
