/// Text from a cluster, made safe for a terminal: control characters (and the bidirectional overrides, which can
/// reorder a line on the screen) become spaces, and the ends are trimmed.
///
/// Every string that is read from a cluster and shown to a person passes through here once, where it is read.
pub fn clean(text: &str) -> String {
    text.chars().map(|c| if steers(c) { ' ' } else { c }).collect::<String>().trim().to_owned()
}

/// Not a printable character: it controls the terminal, or the order in which a line is displayed.
pub(super) fn steers(c: char) -> bool {
    c.is_control() || matches!(c, '\u{200e}' | '\u{200f}' | '\u{2028}'..='\u{202e}' | '\u{2066}'..='\u{2069}')
}

#[cfg(test)]
mod tests {
    use super::clean;

    #[test]
    fn nothing_that_steers_a_terminal_survives() {
        for (raw, shown) in [
            ("plain", "plain"),
            ("\u{1b}[2Jgone", "[2Jgone"),
            ("two\r\nlines", "two  lines"),
            ("\u{9b}31mred", "31mred"),
            ("abc\u{202e}cba", "abc cba"),
            ("ünïcode stays", "ünïcode stays"),
        ] {
            assert_eq!(clean(raw), shown, "{raw:?}");
        }
    }
}
