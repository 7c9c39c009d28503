//! C's `strftime` in English for a fixed day, at midnight.

use minijinja::{Error, ErrorKind};

const MONTHS: [&str; 12] = [
    "January",
    "February",
    "March",
    "April",
    "May",
    "June",
    "July",
    "August",
    "September",
    "October",
    "November",
    "December",
];
const DAYS: [&str; 7] =
    ["Monday", "Tuesday", "Wednesday", "Thursday", "Friday", "Saturday", "Sunday"];

/// A day of the Gregorian calendar.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Date {
    year: u16,
    month: u8,
    day: u8,
}

impl Date {
    /// `None`: there is no such day. `month` and `day` are counted from 1.
    pub fn new(year: u16, month: u8, day: u8) -> Option<Date> {
        let date = Date { year, month, day };
        ((1..=12).contains(&month) && (1..=date.days_in(month)).contains(&day)).then_some(date)
    }

    fn days_in(self, month: u8) -> u8 {
        let is_leap = self.year.is_multiple_of(4) && !self.year.is_multiple_of(100)
            || self.year.is_multiple_of(400);
        match month {
            2 => 28 + u8::from(is_leap),
            4 | 6 | 9 | 11 => 30,
            _ => 31,
        }
    }

    /// From 1.
    fn day_of_year(self) -> u16 {
        (1..self.month).map(|month| u16::from(self.days_in(month))).sum::<u16>()
            + u16::from(self.day)
    }

    /// From Monday, 0. Day 1 of year 1 was a Monday.
    fn weekday(self) -> usize {
        let years = u32::from(self.year).saturating_sub(1);
        let days =
            365 * years + years / 4 - years / 100 + years / 400 + u32::from(self.day_of_year()) - 1;
        days as usize % 7
    }

    /// # Errors
    /// A directive that is not one of the common ones.
    pub fn format(self, format: &str) -> Result<String, Error> {
        let mut out = String::new();
        let mut letters = format.chars();
        while let Some(letter) = letters.next() {
            if letter != '%' {
                out.push(letter);
                continue;
            }
            let directive = letters.next();
            let (is_bare, directive) = match directive {
                Some('-') => (true, letters.next()),
                directive => (false, directive),
            };
            let text = directive.and_then(|directive| self.directive(directive));
            let text = text.ok_or_else(|| unknown(format))?;
            let bare = text.trim_start_matches(['0', ' ']);
            out.push_str(match is_bare {
                true if bare.is_empty() => "0",
                true => bare,
                false => &text,
            });
        }
        Ok(out)
    }

    fn directive(self, letter: char) -> Option<String> {
        let month = usize::from(self.month) - 1;
        let Date { year, day, .. } = self;
        let short = |name: &&str| name.chars().take(3).collect::<String>();
        Some(match letter {
            'Y' => format!("{year}"),
            'y' => format!("{:02}", year % 100),
            'm' => format!("{:02}", self.month),
            'd' => format!("{day:02}"),
            'e' => format!("{day:2}"),
            'j' => format!("{:03}", self.day_of_year()),
            'B' => (*MONTHS.get(month)?).to_owned(),
            'b' | 'h' => MONTHS.get(month).map(short)?,
            'A' => (*DAYS.get(self.weekday())?).to_owned(),
            'a' => DAYS.get(self.weekday()).map(short)?,
            'u' => (self.weekday() + 1).to_string(),
            'F' => format!("{year}-{:02}-{day:02}", self.month),
            'H' | 'M' | 'S' => "00".to_owned(),
            'I' => "12".to_owned(),
            'p' => "AM".to_owned(),
            'T' | 'X' => "00:00:00".to_owned(),
            'R' => "00:00".to_owned(),
            '%' => "%".to_owned(),
            _ => return None,
        })
    }
}

fn unknown(format: &str) -> Error {
    let message = format!("strftime_now: {format:?} has a directive that is not supported");
    Error::new(ErrorKind::InvalidOperation, message)
}
