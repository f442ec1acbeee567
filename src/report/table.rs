//! A table, rendered for a terminal, as Markdown and as HTML.

use comfy_table::{CellAlignment, Table as ComfyTable, presets};
use maud::{Markup, html};

/// Blocks of a full bar in Markdown.
const BAR_BLOCKS: f64 = 20.0;
/// Width of a full bar in HTML, in pixels.
const BAR_PIXELS: f64 = 80.0;

/// A table.
#[derive(Debug, Clone, PartialEq)]
pub struct Table {
    columns: Vec<Column>,
    rows: Vec<Vec<Cell>>,
}

/// A column.
#[derive(Debug, Clone, PartialEq)]
pub struct Column {
    title: String,
    kind: ColumnKind,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum ColumnKind {
    /// Text, aligned left.
    Text,
    /// Numbers, aligned right.
    Number,
    /// Bars; left out on a terminal.
    Bar,
}

/// A cell.
#[derive(Debug, Clone, PartialEq)]
pub enum Cell {
    /// Text.
    Text(String),
    /// A text that warns.
    Warning(String),
    /// A share from 0 to 1, drawn as a bar.
    Bar(f64),
}

impl<T: ToString> From<T> for Cell {
    fn from(value: T) -> Self {
        Cell::Text(value.to_string())
    }
}

/// A column of text.
pub fn text(title: impl Into<String>) -> Column {
    Column { title: title.into(), kind: ColumnKind::Text }
}

/// A column of numbers.
pub fn number(title: impl Into<String>) -> Column {
    Column { title: title.into(), kind: ColumnKind::Number }
}

/// A column of bars, without a title.
pub fn bar() -> Column {
    Column { title: String::new(), kind: ColumnKind::Bar }
}

/// A share, with three decimals.
pub fn share(value: f64) -> Cell {
    Cell::Text(format!("{value:.3}"))
}

impl Table {
    /// A table without rows.
    pub fn new(columns: impl IntoIterator<Item = Column>) -> Self {
        Table { columns: columns.into_iter().collect(), rows: Vec::new() }
    }

    /// Adds a row: a cell for each column.
    pub fn push(&mut self, cells: impl IntoIterator<Item = Cell>) {
        self.rows.push(cells.into_iter().collect());
    }

    /// Whether it has no rows.
    pub fn is_empty(&self) -> bool {
        self.rows.is_empty()
    }

    /// For a terminal. Control characters, which could steer it, become blanks.
    pub fn to_terminal(&self) -> String {
        let shown = |column: &Column| column.kind != ColumnKind::Bar;
        self.draw(presets::UTF8_FULL_CONDENSED, shown, |text| {
            text.chars().map(|c| if c.is_control() { ' ' } else { c }).collect()
        })
    }

    /// As Markdown, with a line break at its end.
    pub fn to_markdown(&self) -> String {
        let escaped = |text: &str| text.replace(['\n', '\r'], " ").replace('|', "\\|");
        let drawn = self.draw(presets::ASCII_MARKDOWN, |_| true, escaped);
        let mut lines: Vec<String> = drawn.lines().map(str::to_owned).collect();
        if let Some(separator) = lines.get_mut(1) {
            *separator = self.aligned(separator);
        }
        lines.join("\n") + "\n"
    }

    /// The line below the head, with a colon at the right of columns of numbers.
    fn aligned(&self, separator: &str) -> String {
        let lines = separator.trim_matches('|').split('|').zip(&self.columns);
        let aligned = lines.map(|(line, column)| match column.kind {
            ColumnKind::Number => format!("{}:", &line[1..]),
            ColumnKind::Text | ColumnKind::Bar => line.to_owned(),
        });
        format!("|{}|", aligned.collect::<Vec<_>>().join("|"))
    }

    fn draw(
        &self,
        style: comfy_table::TableStyle,
        shown: impl Fn(&Column) -> bool,
        cleaned: impl Fn(&str) -> String,
    ) -> String {
        let pick = |cells: Vec<String>| -> Vec<String> {
            cells.into_iter().zip(&self.columns).filter(|(_, column)| shown(column)).map(|(cell, _)| cell).collect()
        };
        let mut table = ComfyTable::new();
        table.load_style(style).set_header(pick(self.columns.iter().map(|column| column.title.clone()).collect()));
        for (drawn, column) in table.column_iter_mut().zip(self.columns.iter().filter(|column| shown(column))) {
            drawn.set_cell_alignment(match column.kind {
                ColumnKind::Number => CellAlignment::Right,
                ColumnKind::Text | ColumnKind::Bar => CellAlignment::Left,
            });
        }
        for row in &self.rows {
            table.add_row(pick(row.iter().map(|cell| cleaned(&cell.plain())).collect()));
        }
        table.to_string()
    }

    /// As HTML, in a box that scrolls sideways.
    pub fn to_html(&self) -> Markup {
        let class = |column: &Column| (column.kind != ColumnKind::Number).then_some("l");
        html! {
            div.scroll { table {
                tr { @for column in &self.columns { th class=[class(column)] { (column.title) } } }
                @for row in &self.rows {
                    tr {
                        @for (cell, column) in row.iter().zip(&self.columns) {
                            @match cell {
                                Cell::Text(text) => td class=[class(column)] { (text) },
                                Cell::Warning(text) => td.l.bad { (text) },
                                Cell::Bar(share) => td.l {
                                    span.bar style=(format!("width:{:.0}px", share * BAR_PIXELS)) {}
                                },
                            }
                        }
                    }
                }
            } }
        }
    }
}

impl Cell {
    fn plain(&self) -> String {
        match self {
            Cell::Text(text) | Cell::Warning(text) => text.clone(),
            Cell::Bar(share) => "█".repeat((share * BAR_BLOCKS).round() as usize),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_table_has_three_forms() {
        let mut table = Table::new([text("label"), number("F1"), bar()]);
        table.push(["a|b\u{1b}\n<i>".into(), share(0.5), Cell::Bar(0.1)]);
        assert_eq!(
            table.to_markdown(),
            "| label     |    F1 |    |\n|-----------|------:|----|\n| a\\|b\u{1b} <i> | 0.500 | ██ |\n"
        );
        let terminal = table.to_terminal();
        assert!(!terminal.contains('\u{1b}') && terminal.contains("0.500") && !terminal.contains('█'), "{terminal}");
        let html = table.to_html().into_string();
        assert!(html.contains("&lt;i&gt;") && html.contains("width:8px") && html.contains("<td>0.500"), "{html}");
    }
}
