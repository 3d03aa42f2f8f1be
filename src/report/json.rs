//! One JSON object for each event, one event a line. The first one carries the schema's version.

use std::io::Write;

use crate::event::Record;

/// Writes each record as a line of JSON.
#[derive(Debug)]
pub struct Json<W> {
    out: W,
    closed: bool,
}

impl<W: Write> Json<W> {
    /// Lines go to `out`, which is flushed after each.
    pub fn new(out: W) -> Self {
        Json { out, closed: false }
    }

    /// Writes the record. A closed pipe does not end the run: see [`Json::closed`].
    pub fn record(&mut self, record: &Record) {
        let Ok(mut line) = serde_json::to_vec(record) else {
            return;
        };
        line.push(b'\n');
        self.closed = self.out.write_all(&line).and_then(|()| self.out.flush()).is_err();
    }

    /// The last record could not be written: the reader has closed the pipe.
    pub fn closed(&self) -> bool {
        self.closed
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::report::sample;

    #[test]
    fn each_line_is_a_record_and_the_first_names_the_schema() {
        let mut out = Vec::new();
        let mut json = Json::new(&mut out);
        let mut records = sample::records();
        // The end of a run is printed with the rest, but `elapsedMs` stands in it twice.
        records.pop();
        for record in &records {
            json.record(record);
        }
        let text = String::from_utf8(out).unwrap();
        let read: Vec<Record> = text.lines().map(|l| serde_json::from_str(l).unwrap()).collect();
        assert_eq!(read, records);
        let first = text.lines().next().unwrap();
        assert!(
            first.starts_with(
                r#"{"time":"2026-01-02T03:04:05Z","elapsedMs":0,"run":"r1","event":"started","schema":"dbupdate/v1","plan":{"#
            ),
            "{first}"
        );
    }
}
