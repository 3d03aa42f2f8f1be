use std::time::Duration;

use jiff::SignedDuration;

/// Longer than any sensible timeout, and short enough that no deadline overflows a clock.
const LONGEST: Duration = Duration::from_secs(366 * 24 * 3600);

/// Parses a duration as kubectl does: `90s`, `20m`, `1h30m`, `1.5h`, `0`, or a bare number of seconds.
///
/// # Errors
///
/// What is wrong with the text, in one line.
pub fn parse(text: &str) -> Result<Duration, String> {
    let text = text.trim();
    let signed = match text.parse::<i64>() {
        Ok(seconds) => SignedDuration::from_secs(seconds),
        Err(_) => {
            text.parse().map_err(|_| "not a duration; use a form such as 90s, 20m or 1h30m".to_owned())?
        }
    };
    let duration = Duration::try_from(signed).map_err(|_| "a duration cannot be negative".to_owned())?;
    if duration > LONGEST {
        return Err("longer than a year".to_owned());
    }
    Ok(duration)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn durations_are_read_as_kubectl_reads_them() {
        for (text, millis) in [
            ("0", 0),
            ("0s", 0),
            ("90", 90_000),
            ("90s", 90_000),
            ("20m", 1_200_000),
            ("1h30m", 5_400_000),
            ("1h0m30s", 3_630_000),
            ("1.5h", 5_400_000),
            ("250ms", 250),
            (" 5s ", 5_000),
        ] {
            assert_eq!(parse(text), Ok(Duration::from_millis(millis)), "{text}");
        }
    }

    #[test]
    fn what_is_no_duration_is_said() {
        for (text, error) in [
            ("-5", "negative"),
            ("-5s", "negative"),
            ("-1h30m", "negative"),
            ("-9223372036854775808", "negative"),
            ("", "not a duration"),
            ("soon", "not a duration"),
            ("5x", "not a duration"),
            ("99999999999999999999", "not a duration"),
            ("9223372036854775807", "longer than a year"),
            ("9000h", "longer than a year"),
        ] {
            let said = parse(text).expect_err(text);
            assert!(said.contains(error), "{text}: {said}");
        }
    }
}
