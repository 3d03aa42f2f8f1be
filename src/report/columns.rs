//! Tables of columns without lines, as kubectl prints them.

use comfy_table::{Attribute, Cell, ContentArrangement, Table, presets};

use super::layout::View;

/// Columns between two columns of a table.
pub(super) const GAP: usize = 2;

/// A table without lines, as kubectl prints them. Nothing is wrapped by it: what goes in fits, or is broken where
/// a reader would break it.
pub(super) fn bare_table(header: &[&str], view: View) -> Table {
    let mut table = Table::new();
    table.load_preset(presets::NOTHING).set_content_arrangement(ContentArrangement::Disabled).force_no_tty();
    table.style_text_only();
    if view.color {
        table.enforce_styling();
    }
    table.set_header(header.iter().map(|h| Cell::new(h).add_attribute(Attribute::Bold)));
    for column in table.column_iter_mut() {
        column.set_padding((0, GAP as u16));
    }
    table
}

pub(super) fn print(table: &Table) -> String {
    let mut out = String::new();
    for line in table.lines() {
        out.push_str(line.trim_end());
        out.push('\n');
    }
    out
}
