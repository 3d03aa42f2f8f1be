use std::fmt;

use super::text::steers;

/// A command that is shown to the user, who may paste it into a shell: its words are quoted if a POSIX shell would
/// interpret them. The words contain names from the cluster, and nobody who can write such a name may decide what is
/// run.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Command {
    words: Vec<String>,
}

impl Command {
    /// A command of these words.
    pub fn new<W: Into<String>>(words: impl IntoIterator<Item = W>) -> Self {
        Command::default().words(words)
    }

    /// `kubectl` followed by these words.
    pub fn kubectl<W: Into<String>>(words: impl IntoIterator<Item = W>) -> Self {
        Command::new(["kubectl"]).words(words)
    }

    /// The same with one more word.
    #[must_use]
    pub fn word(mut self, word: impl Into<String>) -> Self {
        self.words.push(word.into());
        self
    }

    /// The same with more words.
    #[must_use]
    pub fn words<W: Into<String>>(mut self, words: impl IntoIterator<Item = W>) -> Self {
        self.words.extend(words.into_iter().map(Into::into));
        self
    }

    /// The same followed by the words of another command.
    #[must_use]
    pub fn and(self, other: &Command) -> Self {
        self.words(other.words.iter().cloned())
    }

    /// The same with a flag and its value, joined in one word if the value would be read as another flag.
    #[must_use]
    pub fn flag(self, flag: &str, value: &str) -> Self {
        if value.starts_with('-') { self.word(format!("{flag}={value}")) } else { self.words([flag, value]) }
    }

    /// The same, for objects in that namespace.
    #[must_use]
    pub fn in_namespace(self, namespace: &str) -> Self {
        self.flag("-n", namespace)
    }
}

impl fmt::Display for Command {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (at, word) in self.words.iter().enumerate() {
            let gap = if at > 0 { " " } else { "" };
            write!(f, "{gap}{}", quoted(word))?;
        }
        Ok(())
    }
}

/// One word, quoted so that a POSIX shell reads it back unchanged, without characters that control a terminal.
pub fn quoted(word: &str) -> String {
    let word: String = word.chars().filter(|c| !steers(*c)).collect();
    let plain = |c: char| c.is_ascii_alphanumeric() || "/._-:@=".contains(c);
    // Some shells replace a word that begins with = by a command's path.
    if !word.is_empty() && !word.starts_with('=') && word.chars().all(plain) {
        return word;
    }
    format!("'{}'", word.replace('\'', r"'\''"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn words_can_be_pasted_into_a_shell() {
        for (word, shown) in [
            ("/tmp/sandbox.yaml", "/tmp/sandbox.yaml"),
            ("https://10.0.0.1:6443", "https://10.0.0.1:6443"),
            ("system:serviceaccount:a:b", "system:serviceaccount:a:b"),
            ("3.6.1=client", "3.6.1=client"),
            ("=ls", "'=ls'"),
            ("/my dir/s.yaml", "'/my dir/s.yaml'"),
            ("it's", r"'it'\''s'"),
            ("'; touch x #", r"''\''; touch x #'"),
            ("$(reboot)", "'$(reboot)'"),
            ("`reboot`", "'`reboot`'"),
            ("3.9.1; touch x #", "'3.9.1; touch x #'"),
            ("a|b", "'a|b'"),
            ("a&b", "'a&b'"),
            ("a>b", "'a>b'"),
            ("~", "'~'"),
            ("*", "'*'"),
            ("a\\b", r"'a\b'"),
            ("#", "'#'"),
            ("!!", "'!!'"),
            ("a\nb", "ab"),
            ("a\u{1b}[2Jb", "'a[2Jb'"),
            ("a\u{202e}b", "ab"),
            ("a\u{200b}b", "ab"),
            ("ü", "'ü'"),
            ("", "''"),
        ] {
            assert_eq!(quoted(word), shown, "{word:?}");
        }
    }

    #[test]
    fn a_command_is_its_words() {
        let patch = serde_json::json!({ "spec": { "version": "it's" } }).to_string();
        for (command, shown) in [
            (Command::kubectl(["get", "pods"]).in_namespace("a b"), "kubectl get pods -n 'a b'"),
            (Command::new(["x"]).flag("--to", "3.9.1"), "x --to 3.9.1"),
            (Command::new(["x"]).flag("--to", "--yes"), "x --to=--yes"),
            (Command::new(["x"]).flag("--to", ""), "x --to ''"),
            (Command::new(["x", "-p"]).word(patch), r#"x -p '{"spec":{"version":"it'\''s"}}'"#),
        ] {
            assert_eq!(command.to_string(), shown);
        }
    }

    /// A shell reads the words back as they were.
    #[cfg(unix)]
    #[test]
    fn a_shell_reads_the_words_back() {
        let words = [
            "3.9.1; touch x #",
            "it's",
            "$(echo a)",
            "`echo a`",
            "a\"b",
            "\\",
            "*",
            "~",
            "",
            "!a",
            "=a",
            "ü",
        ];
        let line = format!("printf '%s\\n' {}", Command::new(words));
        let read = std::process::Command::new("sh").args(["-c", &line]).output().expect("there is a shell");
        let read = String::from_utf8(read.stdout).expect("it is text");
        assert_eq!(read.lines().collect::<Vec<_>>(), words);
    }
}
