//! Aligned columns within the terminal's width.

use console::{measure_text_width, truncate_str};

const GAP: usize = 2;
/// Nothing is cut shorter than this.
const NARROWEST: usize = 8;

/// How a column takes part when the room is short.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Column {
    /// Never cut: names, versions, numbers.
    Whole,
    /// Cut with an ellipsis.
    Cut,
}

pub struct Table {
    columns: Vec<Column>,
    rows: Vec<Vec<String>>,
}

impl Table {
    /// Headings may be painted already.
    pub fn new(headings: impl IntoIterator<Item = (Column, String)>) -> Self {
        let (columns, headings) = headings.into_iter().unzip();
        Self { columns, rows: vec![headings] }
    }

    /// Without headings.
    pub fn plain(columns: impl Into<Vec<Column>>) -> Self {
        Self { columns: columns.into(), rows: Vec::new() }
    }

    pub fn row(&mut self, cells: impl Into<Vec<String>>) {
        self.rows.push(cells.into());
    }

    /// One line for each row; without a width, as wide as it is.
    pub fn render(&self, width: Option<usize>) -> String {
        let widths = self.widths(width);
        let mut text = String::new();
        for row in &self.rows {
            let mut line = String::new();
            for (cell, wanted) in row.iter().zip(&widths) {
                let cell = cell.replace('\n', " ");
                let cell = truncate_str(&cell, *wanted, "…");
                line += &cell;
                line += &" ".repeat(wanted - measure_text_width(&cell) + GAP);
            }
            text += line.trim_end();
            text.push('\n');
        }
        text
    }

    fn widths(&self, width: Option<usize>) -> Vec<usize> {
        let widest = |i: usize| {
            let cells = self.rows.iter().filter_map(|row| row.get(i));
            cells.map(|cell| measure_text_width(&cell.replace('\n', " "))).max().unwrap_or(0)
        };
        let mut widths: Vec<usize> = (0..self.columns.len()).map(widest).collect();
        let Some(width) = width else { return widths };
        let room = width.saturating_sub(GAP * widths.len().saturating_sub(1));
        while widths.iter().sum::<usize>() > room {
            let cuttable = (0..widths.len()).filter(|&i| self.columns[i] == Column::Cut && widths[i] > NARROWEST);
            match cuttable.max_by_key(|&i| widths[i]) {
                Some(i) => widths[i] -= 1,
                None => break,
            }
        }
        widths
    }
}

/// Breaks text at spaces; every line begins with `indent`, the first with `first` of the same width. Line ends stay.
pub fn wrap(text: &str, first: &str, indent: &str, width: Option<usize>) -> String {
    let room = width.map(|width| width.saturating_sub(measure_text_width(indent)).max(20));
    let mut lines = Vec::new();
    for paragraph in text.lines() {
        let mut line = String::new();
        for word in paragraph.split(' ') {
            let full = measure_text_width(&line) + 1 + measure_text_width(word);
            if !line.is_empty() && room.is_some_and(|room| full > room) {
                lines.push(std::mem::take(&mut line));
            }
            if !line.is_empty() {
                line.push(' ');
            }
            line += word;
        }
        lines.push(line);
    }
    let mut text = String::new();
    for (number, line) in lines.iter().enumerate() {
        text += if number == 0 { first } else { indent };
        text += line.trim_end();
        text.push('\n');
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn table() -> Table {
        let mut table = Table::new([(Column::Whole, "NAME".into()), (Column::Cut, "WHAT".into())]);
        table.row(["shop".into(), "wartet auf die Übergabe an den Nächsten".into()]);
        table.row(["a-longer-name".into(), "\x1b[31mred\x1b[0m".into()]);
        table
    }

    #[test]
    fn columns_are_aligned_and_cut_to_the_width() {
        insta::assert_snapshot!(table().render(Some(36)).replace('\x1b', "␛"), @r"
        NAME           WHAT
        shop           wartet auf die Überg…
        a-longer-name  ␛[31mred␛[0m
        ");
        assert!(table().render(None).contains("Nächsten"));
    }

    #[test]
    fn text_is_wrapped() {
        let text = wrap("one two three four five six seven\nand on", "- ", "  ", Some(22));
        assert_eq!(text, "- one two three four\n  five six seven\n  and on\n");
    }

    proptest! {
        #[test]
        fn no_line_is_wider(words in proptest::collection::vec("[a-zü]{1,12}", 0..40), width in 24usize..120) {
            let text = wrap(&words.join(" "), "* ", "  ", Some(width));
            prop_assert!(text.lines().all(|line| measure_text_width(line) <= width));
        }
    }
}
