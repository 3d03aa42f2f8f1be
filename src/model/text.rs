/// Text from a cluster, made safe for a terminal: control characters, the bidirectional overrides, which can reorder a line
/// on the screen, and characters that cannot be seen, so that two names look the same, become spaces. The ends are trimmed.
///
/// Every string that is read from a cluster and shown to a person passes through here once, where it is read.
pub fn clean(text: &str) -> String {
    text.chars().map(|c| if steers(c) { ' ' } else { c }).collect::<String>().trim().to_owned()
}

/// The longest text that is taken from a database, in characters.
const LONGEST: usize = 200;

/// Text that a database says, e.g. a state or a version: cleaned, and cut where no name or reason of a database reaches.
pub fn brief(text: &str) -> String {
    let cut = text.char_indices().nth(LONGEST).map_or(text, |(end, _)| text.get(..end).unwrap_or_default());
    clean(cut)
}

/// A number of bytes as people write it, e.g. `312 KiB` or `1.4 GiB`.
pub fn size(bytes: u64) -> String {
    const UNITS: [&str; 6] = ["KiB", "MiB", "GiB", "TiB", "PiB", "EiB"];
    let mut unit = 1_u64;
    let mut name = None;
    for larger in UNITS {
        if bytes / unit < 1024 {
            break;
        }
        (unit, name) = (unit << 10, Some(larger));
    }
    let (whole, tenth) = (bytes / unit, bytes % unit * 10 / unit);
    match name {
        None => format!("{bytes} bytes"),
        Some(name) if whole < 10 => format!("{whole}.{tenth} {name}"),
        Some(name) => format!("{whole} {name}"),
    }
}

/// A key that sorts names by the numbers in them: `rack-r2` before `rack-r10`.
pub fn by_number(name: &str) -> (Vec<(&str, u64)>, &str) {
    let (mut parts, mut rest) = (Vec::new(), name);
    while !rest.is_empty() {
        let (text, after) = rest.split_at(rest.find(|c: char| c.is_ascii_digit()).unwrap_or(rest.len()));
        let end = after.find(|c: char| !c.is_ascii_digit()).unwrap_or(after.len());
        let (digits, after) = after.split_at(end);
        parts.push((text, if digits.is_empty() { 0 } else { digits.parse().unwrap_or(u64::MAX) }));
        rest = after;
    }
    (parts, name)
}

/// Not a printable character: it controls the terminal, or the order in which a line is displayed, or it cannot be seen.
pub(super) fn steers(c: char) -> bool {
    c.is_control() || reorders(c) || unseen(c)
}

/// The marks, embeddings, overrides and isolates of the Unicode Bidirectional Algorithm (UAX 9), and the separators of lines.
fn reorders(c: char) -> bool {
    matches!(c, '\u{61c}' | '\u{200e}' | '\u{200f}' | '\u{2028}'..='\u{202e}' | '\u{2066}'..='\u{2069}')
}

/// Takes no room: soft hyphens, zero-width characters, joiners, fillers, tags, variation selectors (the ignorable code points
/// of Unicode's DerivedCoreProperties).
fn unseen(c: char) -> bool {
    matches!(c,
        '\u{ad}' | '\u{34f}' | '\u{115f}' | '\u{1160}' | '\u{17b4}' | '\u{17b5}' | '\u{180b}'..='\u{180f}'
        | '\u{200b}'..='\u{200d}' | '\u{2060}'..='\u{206f}' | '\u{3164}' | '\u{fe00}'..='\u{fe0f}' | '\u{feff}'
        | '\u{ffa0}' | '\u{fff0}'..='\u{fffb}' | '\u{1bca0}'..='\u{1bca3}' | '\u{1d173}'..='\u{1d17a}'
        | '\u{e0000}'..='\u{e0fff}'
    )
}

#[cfg(test)]
mod tests {
    use super::{LONGEST, brief, by_number, clean, size};

    #[test]
    fn what_a_database_says_is_cut() {
        assert_eq!(brief("ACTIVE\u{1b}"), "ACTIVE");
        assert_eq!(brief(&"é".repeat(LONGEST)), "é".repeat(LONGEST));
        assert_eq!(brief(&"é".repeat(1 << 20)), "é".repeat(LONGEST));
    }

    #[test]
    fn sizes_are_written_as_people_do() {
        for (bytes, written) in [
            (0, "0 bytes"),
            (1023, "1023 bytes"),
            (1024, "1.0 KiB"),
            (10 * 1024, "10 KiB"),
            (1024 * 1024 - 1, "1023 KiB"),
            (1_500_000_000, "1.3 GiB"),
            (u64::MAX, "15 EiB"),
        ] {
            assert_eq!(size(bytes), written);
        }
    }

    #[test]
    fn names_are_sorted_by_their_numbers() {
        let huge = format!("r{}", "9".repeat(30));
        let sorted = ["", "r", "r1", "r01-a", "r2", "r2-1", "r2-10", "r10", "r10-x9", huge.as_str(), "s1"];
        let mut names = sorted;
        names.reverse();
        names.sort_by(|a, b| by_number(a).cmp(&by_number(b)));
        assert_eq!(names, sorted);
    }

    #[test]
    fn nothing_that_steers_a_terminal_survives() {
        for (raw, shown) in [
            ("plain", "plain"),
            ("\u{1b}[2Jgone", "[2Jgone"),
            ("two\r\nlines", "two  lines"),
            ("\u{9b}31mred", "31mred"),
            ("abc\u{202e}cba", "abc cba"),
            ("a\u{61c}b\u{2067}c", "a b c"),
            ("my\u{200b}-k\u{ad}f", "my -k f"),
            ("\u{feff}my-kf\u{e0041}", "my-kf"),
            ("ünïcode stays: 数据库 🙂", "ünïcode stays: 数据库 🙂"),
        ] {
            assert_eq!(clean(raw), shown, "{raw:?}");
        }
    }
}
