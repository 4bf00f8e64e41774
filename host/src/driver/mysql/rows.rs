//! What becomes of a row as the server sends it: a line that `LOAD DATA` reads, and a part of its table's digest.

use sha2::{Digest, Sha256};

/// How many rows, and a digest that doesn't depend on their order: two parts of a digest of each, by `XOR` and by a sum,
/// which rows that stand twice don't leave as it is. A row's packet tells NULL from empty, and where a value ends.
#[derive(Debug, Default, Clone, PartialEq, Eq)]
pub struct Tally {
    pub rows: u64,
    either: u64,
    sum: u128,
}

impl Tally {
    pub fn add(&mut self, row: &[u8]) {
        let digest = Sha256::digest(row);
        let part = |at: usize| digest[at..at + 8].iter().fold(0_u64, |all, byte| all << 8 | u64::from(*byte));
        self.rows += 1;
        self.either ^= part(0);
        self.sum += u128::from(part(24));
    }

    pub fn merge(&mut self, other: &Self) {
        self.rows += other.rows;
        self.either ^= other.either;
        self.sum += other.sum;
    }

    pub fn digest(&self) -> String {
        format!("{:x}-{:x}", self.either, self.sum)
    }
}

/// Adds the line that `LOAD DATA … CHARACTER SET binary` makes this row of. None where the row can't be read.
pub fn add_line(row: &[u8], lines: &mut Vec<u8>) -> Option<()> {
    let mut rest = row;
    while let Some((head, after)) = rest.split_first() {
        if rest.len() < row.len() {
            lines.push(b'\t');
        }
        let bytes = match head {
            0xFB => {
                lines.extend_from_slice(b"\\N");
                rest = after;
                continue;
            }
            0..0xFB => 0,
            0xFC => 2,
            0xFD => 3,
            0xFE => 8,
            0xFF => return None,
        };
        let (length, after) = after.split_at_checked(bytes)?;
        let length = match bytes {
            0 => usize::from(*head),
            _ => length.iter().rev().fold(0, |all, byte| all << 8 | usize::from(*byte)),
        };
        let (value, after) = after.split_at_checked(length)?;
        escape(value, lines);
        rest = after;
    }
    lines.push(b'\n');
    Some(())
}

fn escape(value: &[u8], lines: &mut Vec<u8>) {
    let mut begin = 0;
    for (at, byte) in value.iter().enumerate() {
        if *byte > b'\n' && *byte != b'\\' {
            continue;
        }
        let letter = match byte {
            0 => b'0',
            b'\t' => b't',
            b'\n' => b'n',
            b'\\' => b'\\',
            _ => continue,
        };
        lines.extend_from_slice(&value[begin..at]);
        lines.extend_from_slice(&[b'\\', letter]);
        begin = at + 1;
    }
    lines.extend_from_slice(&value[begin..]);
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_row_becomes_a_line() {
        let line = |row: &[u8]| {
            let mut lines = Vec::new();
            add_line(row, &mut lines).map(|()| lines)
        };
        assert_eq!(line(b"\x01a\xFB\x00").as_deref(), Some(&b"a\t\\N\t\n"[..]));
        assert_eq!(line(b"\xFB\x07\0\t\n\\\r\x01N").as_deref(), Some(&b"\\N\t\\0\\t\\n\\\\\r\x01N\n"[..]));
        let long = [&[0xFC, 0x2C, 0x01][..], &[b'x'; 300], &[1, b'y']].concat();
        assert_eq!(line(&long), Some([&[b'x'; 300][..], b"\ty\n"].concat()));
        assert_eq!((line(b"\x05abc"), line(b"\xFD\x01"), line(b"\xFF")), (None, None, None));
    }

    #[test]
    fn rows_are_counted_in_any_order_and_as_often_as_they_are_there() {
        let of = |rows: &[&[u8]]| {
            let mut tally = Tally::default();
            rows.iter().for_each(|row| tally.add(row));
            tally.digest()
        };
        assert_eq!(of(&[b"a", b"b"]), of(&[b"b", b"a"]));
        assert_ne!(of(&[b"a", b"a"]), of(&[]));
        assert_ne!(of(&[b"\x01a\xFB"]), of(&[b"\x01a\x00"]));
        let (mut all, mut more) = (Tally::default(), Tally::default());
        all.add(b"a");
        more.add(b"b");
        all.merge(&more);
        assert_eq!((all.rows, all.digest()), (2, of(&[b"a", b"b"])));
    }
}
