//! Parquet through polars.

use std::io::Cursor;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::Path;
use std::sync::Arc;

use polars::prelude::*;
use serde_json::{Map, Value};

use super::{DatasetError, Place, Row};

pub(super) fn read(file: &Path, bytes: Vec<u8>) -> Result<Vec<Row>, DatasetError> {
    // polars trusts a file's bytes and panics on some that it did not write.
    match catch_unwind(AssertUnwindSafe(|| read_frame(file, bytes))) {
        Ok(frame) => rows(file, &frame?),
        Err(_) => Err(DatasetError::ParquetDamaged { file: file.into() }),
    }
}

fn read_frame(file: &Path, bytes: Vec<u8>) -> Result<DataFrame, DatasetError> {
    let wrong = |source| DatasetError::Parquet { file: file.into(), source: Box::new(source) };
    let mut reader = ParquetReader::new(Cursor::new(bytes));
    for field in reader.schema().map_err(wrong)?.iter_values() {
        if let Some(found) = unreadable(&field.dtype) {
            let column = field.name.to_string();
            return Err(DatasetError::ColumnType { file: file.into(), column, found });
        }
    }
    reader.finish().map_err(wrong)
}

/// A type, maybe inside of this one, that is not read.
fn unreadable(dtype: &ArrowDataType) -> Option<String> {
    match dtype {
        ArrowDataType::Null
        | ArrowDataType::Boolean
        | ArrowDataType::Int32
        | ArrowDataType::Int64
        | ArrowDataType::UInt32
        | ArrowDataType::UInt64
        | ArrowDataType::Float32
        | ArrowDataType::Float64
        | ArrowDataType::Utf8
        | ArrowDataType::LargeUtf8
        | ArrowDataType::Utf8View
        | ArrowDataType::Binary
        | ArrowDataType::LargeBinary
        | ArrowDataType::BinaryView => None,
        ArrowDataType::List(item) | ArrowDataType::LargeList(item) => unreadable(&item.dtype),
        ArrowDataType::Struct(fields) => fields.iter().find_map(|field| unreadable(&field.dtype)),
        other => Some(format!("{other:?}")),
    }
}

fn rows(file: &Path, frame: &DataFrame) -> Result<Vec<Row>, DatasetError> {
    if frame.height() == 0 {
        return Err(DatasetError::Empty { file: file.into() });
    }
    let shared: Arc<Path> = file.into();
    let place = |index| Place { file: Arc::clone(&shared), line: index + 1 };
    let mut rows: Vec<Row> =
        (0..frame.height()).map(|index| Row { fields: Map::new(), place: place(index) }).collect();
    for column in frame.columns() {
        let name = column.name().as_str();
        let values = values(column.as_materialized_series());
        let values = values.map_err(|problem| problem.in_column(file, name))?;
        for (row, value) in rows.iter_mut().zip(values) {
            row.fields.insert(name.to_owned(), value);
        }
    }
    Ok(rows)
}

/// Why a column is not JSON.
enum Problem {
    Type(String),
    Binary,
    Polars(PolarsError),
}

impl From<PolarsError> for Problem {
    fn from(error: PolarsError) -> Problem {
        Problem::Polars(error)
    }
}

impl Problem {
    fn in_column(self, file: &Path, column: &str) -> DatasetError {
        let (file, column) = (file.into(), column.to_owned());
        match self {
            Problem::Type(found) => DatasetError::ColumnType { file, column, found },
            Problem::Binary => DatasetError::Binary { file, column },
            Problem::Polars(source) => DatasetError::Parquet { file, source: Box::new(source) },
        }
    }
}

fn values(series: &Series) -> Result<Vec<Value>, Problem> {
    Ok(match series.dtype() {
        DataType::Null => vec![Value::Null; series.len()],
        DataType::Boolean => series.bool()?.iter().map(Value::from).collect(),
        DataType::Int32 => series.i32()?.iter().map(Value::from).collect(),
        DataType::Int64 => series.i64()?.iter().map(Value::from).collect(),
        DataType::UInt32 => series.u32()?.iter().map(Value::from).collect(),
        DataType::UInt64 => series.u64()?.iter().map(Value::from).collect(),
        DataType::Float32 => series.f32()?.iter().map(|x| x.map(f64::from)).map(float).collect(),
        DataType::Float64 => series.f64()?.iter().map(float).collect(),
        DataType::String => series.str()?.iter().map(Value::from).collect(),
        DataType::Binary => series.binary()?.iter().map(text).collect::<Result<_, _>>()?,
        DataType::List(_) => lists(series.list()?)?,
        DataType::Struct(_) => structs(series.struct_()?)?,
        other => return Err(Problem::Type(other.to_string())),
    })
}

/// JSON has no words for what is not finite; these are Python's, which lm-eval's templates would print.
fn float(value: Option<f64>) -> Value {
    match value {
        None => Value::Null,
        Some(value) if value.is_nan() => Value::from("nan"),
        Some(f64::INFINITY) => Value::from("inf"),
        Some(f64::NEG_INFINITY) => Value::from("-inf"),
        Some(value) => Value::from(value),
    }
}

fn text(value: Option<&[u8]>) -> Result<Value, Problem> {
    let Some(bytes) = value else { return Ok(Value::Null) };
    std::str::from_utf8(bytes).map(Value::from).map_err(|_| Problem::Binary)
}

fn lists(column: &ListChunked) -> Result<Vec<Value>, Problem> {
    let list = |items: Option<Series>| match items {
        Some(items) => Ok(Value::Array(values(&items)?)),
        None => Ok(Value::Null),
    };
    column.series_iter().map(list).collect()
}

fn structs(column: &StructChunked) -> Result<Vec<Value>, Problem> {
    let mut objects = vec![Map::new(); column.len()];
    for field in column.fields_as_series() {
        for (object, value) in objects.iter_mut().zip(values(&field)?) {
            object.insert(field.name().to_string(), value);
        }
    }
    let nulls = column.is_null();
    let nulls = nulls.iter().map(|null| null == Some(true));
    let value = |(object, null)| if null { Value::Null } else { Value::Object(object) };
    Ok(objects.into_iter().zip(nulls).map(value).collect())
}
