//! The terminal under the bars.
//!
//! indicatif fills every line with blanks to the edge and lets the terminal break there. A terminal that is then
//! made narrower sees one endless line, wraps it again, and the bars leave a trail. Here lines end where their
//! text does, and what a narrower terminal has broken is counted before the next drawing.
//!
//! No method here fails: a terminal that was closed must not end a run that its user wants to continue, and
//! indicatif panics where a terminal does.

use std::io;
use std::sync::{Arc, Mutex, PoisonError};

use console::measure_text_width;
use indicatif::TermLike;

/// A terminal whose lines end where their text does.
#[derive(Debug, Clone)]
pub(super) struct Terminal<T> {
    inner: T,
    drawn: Arc<Mutex<Drawn>>,
}

/// What stands in the region of the bars.
#[derive(Debug, Default)]
struct Drawn {
    /// The columns of each line's text, and the terminal's width when they were drawn.
    lines: Vec<usize>,
    width: u16,
    /// A drawing has begun: lines are being collected.
    drawing: bool,
}

impl<T: TermLike + Clone> Terminal<T> {
    pub(super) fn new(inner: T) -> Self {
        Terminal { inner, drawn: Arc::default() }
    }

    /// A line that stays. Only while the bars are not on the screen.
    pub(super) fn print(&self, line: &str) {
        let _ = self.inner.write_line(line).and_then(|()| self.inner.flush());
    }

    /// Columns that a line may take: the last one stays free, since terminals differ in what they do there.
    pub(super) fn columns(&self) -> usize {
        usize::from(self.inner.width()).saturating_sub(1).max(1)
    }

    /// Begins a drawing: where the terminal has become narrower since the last one, erases the rows into which
    /// it has broken the old lines, and puts the cursor where indicatif believes it to be.
    fn begin(&self) {
        let mut drawn = self.drawn.lock().unwrap_or_else(PoisonError::into_inner);
        if drawn.drawing {
            return;
        }
        drawn.drawing = true;
        let lines = std::mem::take(&mut drawn.lines);
        let width = usize::from(self.inner.width()).max(1);
        let rows: usize = lines.iter().map(|l| l.div_ceil(width).max(1)).sum();
        if width < usize::from(drawn.width) && rows > lines.len() {
            let _ = self.inner.move_cursor_up(rows - 1);
            let _ = self.inner.write_str("\r\u{1b}[J");
            for _ in 1..lines.len() {
                let _ = self.inner.write_line("");
            }
        }
    }
}

impl<T: TermLike + Clone> TermLike for Terminal<T> {
    fn width(&self) -> u16 {
        self.inner.width()
    }

    fn height(&self) -> u16 {
        self.inner.height()
    }

    fn move_cursor_up(&self, n: usize) -> io::Result<()> {
        self.begin();
        let _ = self.inner.move_cursor_up(n);
        Ok(())
    }

    fn move_cursor_down(&self, n: usize) -> io::Result<()> {
        self.begin();
        let _ = self.inner.move_cursor_down(n);
        Ok(())
    }

    fn move_cursor_right(&self, n: usize) -> io::Result<()> {
        let _ = self.inner.move_cursor_right(n);
        Ok(())
    }

    fn move_cursor_left(&self, n: usize) -> io::Result<()> {
        let _ = self.inner.move_cursor_left(n);
        Ok(())
    }

    fn write_line(&self, s: &str) -> io::Result<()> {
        self.begin();
        let _ = self.inner.write_line(s);
        Ok(())
    }

    /// Text is a line of its own; blanks alone are the filling behind a line and are left out.
    fn write_str(&self, s: &str) -> io::Result<()> {
        self.begin();
        if s.trim_matches(' ').is_empty() {
            return Ok(());
        }
        let mut drawn = self.drawn.lock().unwrap_or_else(PoisonError::into_inner);
        let follows = !drawn.lines.is_empty();
        drawn.lines.push(measure_text_width(s));
        drop(drawn);
        if follows {
            let _ = self.inner.write_line("");
        }
        let _ = self.inner.write_str(s);
        Ok(())
    }

    fn clear_line(&self) -> io::Result<()> {
        self.begin();
        let _ = self.inner.clear_line();
        Ok(())
    }

    fn flush(&self) -> io::Result<()> {
        let mut drawn = self.drawn.lock().unwrap_or_else(PoisonError::into_inner);
        drawn.drawing = false;
        drawn.width = self.inner.width();
        drop(drawn);
        let _ = self.inner.flush();
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Records what a terminal is told, and has whatever width it is given.
    #[derive(Debug, Clone, Default)]
    struct Paper {
        width: Arc<Mutex<u16>>,
        told: Arc<Mutex<String>>,
    }

    impl Paper {
        fn note(&self, what: String) -> io::Result<()> {
            self.told.lock().unwrap().push_str(&what);
            Err(io::ErrorKind::BrokenPipe.into())
        }
    }

    impl TermLike for Paper {
        fn width(&self) -> u16 {
            *self.width.lock().unwrap()
        }
        fn move_cursor_up(&self, n: usize) -> io::Result<()> {
            self.note(format!("<up {n}>"))
        }
        fn move_cursor_down(&self, n: usize) -> io::Result<()> {
            self.note(format!("<down {n}>"))
        }
        fn move_cursor_right(&self, n: usize) -> io::Result<()> {
            self.note(format!("<right {n}>"))
        }
        fn move_cursor_left(&self, n: usize) -> io::Result<()> {
            self.note(format!("<left {n}>"))
        }
        fn write_line(&self, s: &str) -> io::Result<()> {
            self.note(format!("{s}\n"))
        }
        fn write_str(&self, s: &str) -> io::Result<()> {
            self.note(s.to_owned())
        }
        fn clear_line(&self) -> io::Result<()> {
            self.note("<clear>".into())
        }
        fn flush(&self) -> io::Result<()> {
            self.note("<flush>".into())
        }
    }

    /// What indicatif does to draw two lines of text over `old` ones, and what the terminal is told.
    fn draw(terminal: &Terminal<Paper>, old: usize) -> String {
        let up = old.saturating_sub(1);
        let calls = [
            terminal.move_cursor_up(up),
            terminal.clear_line(),
            terminal.write_str("first line"),
            terminal.write_str("   "),
            terminal.write_str("second"),
            terminal.write_str("       "),
            terminal.flush(),
        ];
        assert!(calls.iter().all(Result::is_ok), "a dead terminal ends no run");
        std::mem::take(&mut *terminal.inner.told.lock().unwrap())
    }

    #[test]
    fn lines_end_where_their_text_does_and_a_narrower_terminal_is_swept() {
        let paper = Paper::default();
        let terminal = Terminal::new(paper.clone());
        let steady = "<up 1><clear>first line\nsecond<flush>";
        let resize = |width| *paper.width.lock().unwrap() = width;
        resize(13);
        assert_eq!(draw(&terminal, 0), steady.replace("up 1", "up 0"));
        assert_eq!(draw(&terminal, 2), steady);
        resize(40);
        assert_eq!(draw(&terminal, 2), steady);
        // Three columns: four rows for the first line, two for the second.
        resize(3);
        let swept = format!("<up 5>\r\u{1b}[J\n{steady}");
        assert_eq!(draw(&terminal, 2), swept);
        assert_eq!(draw(&terminal, 2), steady);
    }
}
