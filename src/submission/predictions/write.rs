//! Predictions as pandas' `to_csv(index=False)` writes them.

use std::io;
use std::path::Path;

use csv::{QuoteStyle, Terminator, WriterBuilder};

use super::{DUMMY, HEADER, Predicted, Prediction, PredictionError};
use crate::submission::write_new;

/// Writes a new file, whole or not at all.
///
/// The bytes are pandas', except where a text has a carriage return without a comma, quote or newline: pandas (2.2 on
/// Python 3.11) leaves it bare and then reads two rows; here it is quoted.
///
/// # Errors
/// The file exists, or cannot be written.
pub fn write(path: &Path, predictions: &[Prediction]) -> Result<(), PredictionError> {
    let failed = |source| PredictionError::Io { action: "write", path: path.to_owned(), source };
    if path.exists() {
        return Err(PredictionError::Exists { path: path.to_owned() });
    }
    let content = bytes(predictions).map_err(failed)?;
    write_new(path, &content).map_err(|error| match error.kind() {
        io::ErrorKind::AlreadyExists => PredictionError::Exists { path: path.to_owned() },
        _ => failed(error),
    })
}

/// The whole file.
fn bytes(predictions: &[Prediction]) -> io::Result<Vec<u8>> {
    let mut writer = WriterBuilder::new()
        .quote_style(QuoteStyle::Necessary)
        .terminator(Terminator::Any(b'\n'))
        .from_writer(Vec::new());
    writer.write_record(HEADER)?;
    for Prediction { id, answer } in predictions {
        let index;
        let answer = match answer {
            Predicted::Text(text) => text,
            Predicted::Choice(choice) => {
                index = choice.to_string();
                &index
            }
        };
        writer.write_record([id.as_str(), answer, DUMMY])?;
    }
    writer.into_inner().map_err(|error| io::Error::other(error.to_string()))
}

#[cfg(test)]
mod tests {
    use super::*;

    /// `tests/reference/predictions/pandas.py` wrote both files; the second has what pandas itself does not read again.
    #[test]
    fn the_bytes_are_those_of_pandas() {
        let texts: Vec<String> =
            serde_json::from_str(include_str!("../../../tests/reference/predictions/texts.json"))
                .unwrap();
        let expected = include_bytes!("../../../tests/reference/predictions/pandas.csv");
        let prediction = |(id, text): (usize, &String)| Prediction {
            id: id.to_string(),
            answer: match text.parse() {
                Ok(choice) => Predicted::Choice(choice),
                Err(_) => Predicted::Text(text.clone()),
            },
        };
        let predictions: Vec<Prediction> = texts.iter().enumerate().map(prediction).collect();
        let ours = bytes(&predictions).unwrap();
        assert_eq!(String::from_utf8_lossy(&ours), String::from_utf8_lossy(expected));
    }

    #[test]
    fn nothing_of_the_users_is_replaced() {
        let folder = tempfile::tempdir().unwrap();
        let (output, own) = (folder.path().join("out.csv"), folder.path().join("out.csv.tmp"));
        std::fs::write(&own, "mine").unwrap();
        write(&output, &[]).unwrap();
        assert_eq!(std::fs::read_to_string(&own).unwrap(), "mine");
        assert!(matches!(write(&output, &[]), Err(PredictionError::Exists { .. })));
        assert_eq!(std::fs::read_dir(folder.path()).unwrap().count(), 2);
    }

    #[test]
    fn a_carriage_return_alone_is_quoted() {
        let answer = Predicted::Text("a\rb".to_owned());
        let ours = bytes(&[Prediction { id: "7".to_owned(), answer }]).unwrap();
        assert_eq!(ours, b"id,prediction,dummy_field\n7,\"a\rb\",0\n");
    }
}
