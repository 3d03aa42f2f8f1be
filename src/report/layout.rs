//! How text is fitted to a width and coloured.

use console::{Style, measure_text_width, truncate_str};

/// The width and the colour that text is made for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct View {
    /// Columns; `None` where the text goes to a pipe or a file: nothing is wrapped or shortened there.
    pub width: Option<u16>,
    pub color: bool,
}

impl View {
    pub(super) fn columns(self) -> Option<usize> {
        self.width.map(usize::from)
    }

    /// On a terminal: long lists and digests are shortened.
    pub(super) fn narrow_lists(self) -> bool {
        self.width.is_some()
    }

    pub(super) fn bold(self, text: &str) -> String {
        paint(Style::new().bold(), self.color, text)
    }

    pub(super) fn dim(self, text: &str) -> String {
        paint(Style::new().dim(), self.color, text)
    }

    pub(super) fn good(self, text: &str) -> String {
        paint(Style::new().green(), self.color, text)
    }

    pub(super) fn warn(self, text: &str) -> String {
        paint(Style::new().yellow(), self.color, text)
    }

    pub(super) fn bad(self, text: &str) -> String {
        paint(Style::new().red(), self.color, text)
    }

    /// A paragraph: the first line begins with `first`, the others are indented as far.
    pub(super) fn paragraph(self, first: &str, text: &str) -> String {
        self.hanging(first, measure_text_width(first), text)
    }

    /// The same as a warning.
    pub(super) fn warning(self, first: &str, text: &str) -> String {
        self.paragraph(first, text).lines().map(|line| format!("{}\n", self.warn(line))).collect()
    }

    /// A paragraph: the first line begins with `first`, the others with `indent` blanks.
    pub(super) fn hanging(self, first: &str, indent: usize, text: &str) -> String {
        let used = indent.max(measure_text_width(first));
        let lines = wrap(text, self.columns().map(|w| w.saturating_sub(used)));
        let blanks = " ".repeat(indent);
        let mut out = String::new();
        for (i, line) in lines.iter().enumerate() {
            out.push_str(if i == 0 { first } else { &blanks });
            out.push_str(line);
            out.push('\n');
        }
        out
    }
}

/// The terminal's own verdict on colours is not asked: the caller has decided.
fn paint(style: Style, color: bool, text: &str) -> String {
    style.force_styling(color).apply_to(text).to_string()
}

/// Breaks text at spaces into lines of at most `width` columns. A word that is wider stays whole, so that it can
/// be copied from the screen, and a unit stays with its number.
pub(super) fn wrap(text: &str, width: Option<usize>) -> Vec<String> {
    // Below this an indented text is unreadable; it is better broken by the terminal.
    const LEAST: usize = 20;
    let Some(width) = width else {
        return vec![text.to_owned()];
    };
    let width = width.max(LEAST);
    let mut lines = vec![String::new()];
    let mut used = 0;
    for word in words(text) {
        let wide = measure_text_width(&word);
        if used > 0 && used + 1 + wide > width {
            lines.push(String::new());
            used = 0;
        }
        if let Some(line) = lines.last_mut() {
            if used > 0 {
                line.push(' ');
                used += 1;
            }
            line.push_str(&word);
            used += wide;
        }
    }
    lines
}

/// The words of a text, where `4.2 s` is one, and so is `1m 05s`.
fn words(text: &str) -> Vec<String> {
    let digit = |c: char| c.is_ascii_digit();
    let mut words: Vec<String> = Vec::new();
    for word in text.split(' ') {
        let bare = word.trim_end_matches(['.', ',', ';', ')', ':']);
        let unit = matches!(bare, "s" | "ms");
        let lesser = bare.ends_with(['m', 's']) && bare.starts_with(digit);
        match words.last_mut() {
            Some(last)
                if unit && last.ends_with(digit)
                    || lesser && last.ends_with(['h', 'm']) && last.starts_with(digit) =>
            {
                last.push(' ');
                last.push_str(word);
            }
            _ => words.push(word.to_owned()),
        }
    }
    words
}

/// Cuts a line to `width` columns, with an ellipsis.
pub(super) fn fit(text: &str, width: usize) -> String {
    truncate_str(text, width, "…").into_owned()
}

/// Cuts a name to `width` columns at its front: the names of a database's objects differ in their ends.
pub(super) fn fit_end(name: &str, width: usize) -> String {
    let wide = name.chars().count();
    if wide <= width {
        return name.to_owned();
    }
    let kept = width.saturating_sub(1);
    let tail: String = name.chars().skip(wide - kept).collect();
    format!("…{tail}")
}

/// The image with a digest as short as can be told apart. Repository and tag are never shortened.
pub(super) fn short_digest(image: &str) -> String {
    const SHOWN: usize = 12;
    match image.split_once("@sha256:") {
        Some((name, hex)) if hex.chars().count() > SHOWN => {
            let start: String = hex.chars().take(SHOWN).collect();
            format!("{name}@sha256:{start}…")
        }
        _ => image.to_owned(),
    }
}

/// Breaks an image behind a slash, and before its digest or its tag. A part that is wider than `width` stays
/// whole: no tag is ever cut.
pub(super) fn break_image(image: &str, width: usize) -> Vec<String> {
    let mut lines: Vec<String> = Vec::new();
    let mut line = String::new();
    for part in image_parts(image) {
        if !line.is_empty() && line.chars().count() + part.chars().count() > width {
            lines.push(std::mem::take(&mut line));
        }
        line.push_str(part);
    }
    lines.push(line);
    lines
}

/// `registry:5000/`, `a/`, `name`, `:tag`, `@sha256:…`.
fn image_parts(image: &str) -> Vec<&str> {
    let (name, digest) = image.split_at(image.find('@').unwrap_or(image.len()));
    let last = name.rfind('/').map_or(0, |i| i + 1);
    let (path, leaf) = name.split_at(last);
    let (leaf, tag) = leaf.split_at(leaf.find(':').unwrap_or(leaf.len()));
    path.split_inclusive('/').chain([leaf, tag, digest]).filter(|part| !part.is_empty()).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn text_is_broken_at_spaces_and_words_stay_whole() {
        for (text, width, lines) in [
            ("one two", None, vec!["one two"]),
            ("the quick brown fox jumps", Some(20), vec!["the quick brown fox", "jumps"]),
            (
                "a-very-long-word-that-is-wider and on",
                Some(20),
                vec!["a-very-long-word-that-is-wider", "and on"],
            ),
            ("", Some(20), vec![""]),
            ("it was away for all of 4.2 s.", Some(26), vec!["it was away for all of", "4.2 s."]),
            ("each Ready for all of 1m 30s, then", Some(24), vec!["each Ready for all of", "1m 30s, then"]),
        ] {
            assert_eq!(wrap(text, width), lines, "{text}");
        }
    }

    #[test]
    fn an_image_is_broken_between_its_parts() {
        let image = "registry.example:5000/team/kafka:3.6.1@sha256:0123456789abcdef";
        assert_eq!(
            break_image(image, 27),
            ["registry.example:5000/team/", "kafka:3.6.1", "@sha256:0123456789abcdef"]
        );
        assert_eq!(break_image("kafka:3.6.1", 3), ["kafka", ":3.6.1"]);
        assert_eq!(short_digest(image), "registry.example:5000/team/kafka:3.6.1@sha256:0123456789ab…");
    }

    #[test]
    fn names_are_cut_at_the_front() {
        assert_eq!(fit_end("petset/my-kf-broker", 10), "…kf-broker");
        assert_eq!(fit_end("petset/zk", 10), "petset/zk");
    }
}
