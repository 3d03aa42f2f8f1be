//! Figures, and the table that they are shown in.

use std::time::Duration;

use comfy_table::{ContentArrangement, Table, presets::ASCII_MARKDOWN};

/// The figures, in the order in which they were measured.
#[derive(Default)]
pub struct Figures(Vec<[String; 3]>);

impl Figures {
    /// A figure without a target.
    pub fn note(&mut self, what: &str, figure: String) {
        self.add(what, figure, String::new());
    }

    /// A figure that is to be at most `target`.
    pub fn at_most(&mut self, what: &str, figure: f64, target: f64, unit: &str) {
        let verdict = if figure <= target { "met" } else { "MISSED" };
        self.add(what, with_unit(figure, unit), format!("<= {} {verdict}", with_unit(target, unit)));
    }

    fn add(&mut self, what: &str, figure: String, target: String) {
        // Shown at once as well: the whole takes minutes.
        eprintln!("{what}: {figure} {target}");
        self.0.push([what.to_owned(), figure, target]);
    }

    /// All of them, as a table in Markdown.
    pub fn table(&self) -> String {
        let mut table = Table::new();
        table.load_preset(ASCII_MARKDOWN).set_content_arrangement(ContentArrangement::Disabled);
        table.set_header(["what", "figure", "target"]).add_rows(&self.0);
        table.to_string()
    }
}

fn with_unit(figure: f64, unit: &str) -> String {
    let digits = if figure.fract() == 0.0 {
        0
    } else if figure < 10.0 {
        3
    } else {
        1
    };
    format!("{figure:.digits$} {unit}").trim_end().to_owned()
}

/// Milliseconds with their fraction.
pub fn millis(duration: Duration) -> f64 {
    duration.as_secs_f64() * 1000.0
}

/// The value that so much of all (0 to 1) are not above.
///
/// # Panics
/// Of nothing.
pub fn quantile(values: &[Duration], part: f64) -> Duration {
    let mut sorted = values.to_vec();
    sorted.sort();
    let rank = (sorted.len() as f64 * part).ceil() as usize;
    sorted[rank.clamp(1, sorted.len()) - 1]
}

/// The value in the middle.
pub fn median(values: &[Duration]) -> Duration {
    quantile(values, 0.5)
}
