//! Represents rows for programs that cannot take every type of a table: [`Representation`].

use std::borrow::Cow;
use std::sync::Arc;

use arrow::array::{
    Array, ArrayRef, AsArray, MapArray, RecordBatch, StringArray, TimestampMicrosecondArray,
};
use arrow::datatypes::{
    DataType, Field, FieldRef, Schema, SchemaRef, TimeUnit, TimestampMicrosecondType,
};
use arrow::error::ArrowError;
use jiff::civil::DateTime;
use jiff::tz::TimeZone;
use jiff::{SignedDuration, Timestamp};

/// How the column `irregular` is represented. In a table it is a map from column name to raw text.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum Irregular {
    /// A map of texts.
    #[default]
    Map,
    /// A text with a JSON object.
    Json,
    /// The column is left out.
    Drop,
}

/// How times are represented. In a table they are Danish local times without a zone.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum Timestamps {
    /// Danish local time without a zone.
    #[default]
    Naive,
    /// Points in time, with the zone UTC.
    ///
    /// The hour that occurs twice when summer time ends counts as summer time. A time in the hour that is skipped when
    /// summer time begins is moved forward by an hour.
    Utc,
}

/// How rows are represented. The default changes nothing.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Representation {
    /// The representation of the column `irregular`.
    pub irregular: Irregular,
    /// The representation of times.
    pub timestamps: Timestamps,
}

impl Representation {
    /// Returns the schema of the batches that [`batch`](Self::batch) returns.
    pub fn schema(&self, schema: &SchemaRef) -> SchemaRef {
        if *self == Self::default() {
            return schema.clone();
        }
        let fields = schema.fields().iter();
        let fields = fields.filter_map(|field| Some(self.field(field)?.into_owned()));
        let fields: Vec<FieldRef> = fields.collect();
        Arc::new(Schema::new_with_metadata(fields, schema.metadata().clone()))
    }

    /// Returns the rows of a batch in this representation.
    pub fn batch(&self, batch: &RecordBatch) -> Result<RecordBatch, ArrowError> {
        if *self == Self::default() {
            return Ok(batch.clone());
        }
        let schema = batch.schema();
        let mut columns = Vec::with_capacity(batch.num_columns());
        for (field, column) in schema.fields().iter().zip(batch.columns()) {
            match (self.field(field), field.data_type()) {
                (None, _) => {}
                (Some(Cow::Borrowed(_)), _) => columns.push(column.clone()),
                (Some(_), DataType::Map(..)) => {
                    columns.push(Arc::new(map_as_json(column.as_map())?));
                }
                (Some(_), _) => columns.push(local_as_utc(column)?),
            }
        }
        let options =
            arrow::array::RecordBatchOptions::new().with_row_count(Some(batch.num_rows()));
        RecordBatch::try_new_with_options(self.schema(&schema), columns, &options)
    }

    /// Returns the field of a column: borrowed if the column does not change, and `None` if it is left out.
    fn field<'a>(&self, field: &'a FieldRef) -> Option<Cow<'a, FieldRef>> {
        let data_type = match (field.data_type(), self.irregular, self.timestamps) {
            (DataType::Map(..), Irregular::Drop, _) => return None,
            (DataType::Map(..), Irregular::Json, _) => DataType::Utf8,
            (DataType::Timestamp(TimeUnit::Microsecond, None), _, Timestamps::Utc) => {
                DataType::Timestamp(TimeUnit::Microsecond, Some("UTC".into()))
            }
            _ => return Some(Cow::Borrowed(field)),
        };
        let changed = Field::clone(field).with_data_type(data_type);
        Some(Cow::Owned(Arc::new(changed)))
    }
}

/// Returns a map of texts as texts with JSON objects.
fn map_as_json(map: &MapArray) -> Result<StringArray, ArrowError> {
    let texts = |array: &ArrayRef| {
        let texts = array.as_any().downcast_ref::<StringArray>();
        texts
            .cloned()
            .ok_or_else(|| ArrowError::CastError("the map does not map text to text".to_owned()))
    };
    let (keys, values) = (texts(map.keys())?, texts(map.values())?);
    let offsets = map.value_offsets();
    let rows = offsets.windows(2).enumerate().map(|(row, ends)| {
        let &[from, to] = ends else { return None };
        map.is_valid(row).then(|| {
            let entries = (from as usize..to as usize)
                .map(|at| (keys.value(at).to_owned(), values.value(at).into()));
            serde_json::Value::Object(entries.collect()).to_string()
        })
    });
    Ok(rows.collect())
}

/// The length of 400 years in microseconds.
const CYCLE: i64 = 146_097 * 24 * 60 * 60 * 1_000_000;

/// Returns Danish local times as points in time.
fn local_as_utc(column: &ArrayRef) -> Result<ArrayRef, ArrowError> {
    let local = column.as_primitive::<TimestampMicrosecondType>();
    let zone = TimeZone::get("Europe/Copenhagen");
    let zone = zone.map_err(|error| ArrowError::ExternalError(Box::new(error)))?;
    let epoch = DateTime::constant(1970, 1, 1, 0, 0, 0, 0);
    let within_range = |local: i64| {
        let time = epoch.checked_add(SignedDuration::from_micros(local)).ok()?;
        zone.to_timestamp(time).map(Timestamp::as_microsecond).ok()
    };
    // The last day of the year 9999 is outside the library's range. The calendar and the rules of summer time repeat
    // after 400 years.
    let earlier = |local: i64| Some(within_range(local.checked_sub(CYCLE)?)? + CYCLE);
    // Neighbouring rows often have the same time.
    let mut last = None;
    let mut convert = |local: i64| match last {
        Some((time, utc)) if time == local => Some(utc),
        _ => {
            let utc = within_range(local).or_else(|| earlier(local))?;
            last = Some((local, utc));
            Some(utc)
        }
    };
    let utc = local.iter().map(|time| match time {
        None => Ok(None),
        Some(time) => convert(time).map(Some).ok_or_else(|| {
            let what = "a time is outside the years that a time zone can be applied to";
            ArrowError::ComputeError(what.to_owned())
        }),
    });
    let utc: TimestampMicrosecondArray = utc.collect::<Result<Vec<_>, _>>()?.into();
    Ok(Arc::new(utc.with_timezone("UTC")))
}

#[cfg(test)]
mod tests {
    use super::*;
    use arrow::array::{Int64Array, MapBuilder, StringBuilder};

    fn batch(times: Vec<Option<&str>>) -> RecordBatch {
        let micros = |text: &str| {
            let time: DateTime = text.parse().unwrap();
            let epoch = DateTime::constant(1970, 1, 1, 0, 0, 0, 0);
            i64::try_from(time.duration_since(epoch).as_micros()).unwrap()
        };
        let mut irregular = MapBuilder::new(None, StringBuilder::new(), StringBuilder::new());
        for row in 0..times.len() {
            if row == 0 {
                irregular.keys().append_value("birth_date");
                irregular.values().append_value("1961-00-00 \"");
                irregular.append(true).unwrap();
            } else {
                irregular.append(false).unwrap();
            }
        }
        let times: TimestampMicrosecondArray = times.iter().map(|t| t.map(micros)).collect();
        let lines: Int64Array = (0..times.len() as i64).collect();
        RecordBatch::try_from_iter([
            ("registered", Arc::new(times) as ArrayRef),
            ("irregular", Arc::new(irregular.finish())),
            ("line", Arc::new(lines)),
        ])
        .unwrap()
    }

    fn utc(local: &str) -> String {
        let representation = Representation {
            timestamps: Timestamps::Utc,
            ..Representation::default()
        };
        let batch = representation.batch(&batch(vec![Some(local)])).unwrap();
        assert_eq!(
            batch.schema().field(0).data_type(),
            &DataType::Timestamp(TimeUnit::Microsecond, Some("UTC".into()))
        );
        let times = batch.column(0).as_primitive::<TimestampMicrosecondType>();
        Timestamp::from_microsecond(times.value(0))
            .unwrap()
            .to_string()
    }

    #[test]
    fn the_default_changes_nothing() {
        let batch = batch(vec![Some("2026-01-15T12:00"), None]);
        let same = Representation::default().batch(&batch).unwrap();
        assert_eq!(same, batch);
    }

    #[test]
    fn local_times_become_points_in_time() {
        assert_eq!(utc("2026-01-15T12:00"), "2026-01-15T11:00:00Z");
        assert_eq!(utc("2026-07-15T12:00"), "2026-07-15T10:00:00Z");
        // Denmark had no summer time from 1949 to 1979.
        assert_eq!(utc("1968-07-15T12:00"), "1968-07-15T11:00:00Z");
        // The repeated hour counts as summer time, and the skipped one is moved forward.
        assert_eq!(utc("2026-10-25T02:30"), "2026-10-25T00:30:00Z");
        assert_eq!(utc("2026-03-29T02:30"), "2026-03-29T01:30:00Z");
    }

    /// Such a time can stand for "no end".
    #[test]
    fn the_last_minute_of_all_is_converted() {
        let utc = Representation {
            timestamps: Timestamps::Utc,
            ..Representation::default()
        };
        let rows = batch(vec![Some("9999-12-31T23:59")]);
        let local = rows.column(0).as_primitive::<TimestampMicrosecondType>();
        let hour = 60 * 60 * 1_000_000;
        let expected = local.value(0) - hour;
        let rows = utc.batch(&rows).unwrap();
        let found = rows.column(0).as_primitive::<TimestampMicrosecondType>();
        assert_eq!(found.value(0), expected);
    }

    #[test]
    fn nulls_stay_null() {
        let representation = Representation {
            timestamps: Timestamps::Utc,
            irregular: Irregular::Json,
        };
        let batch = batch(vec![Some("2026-01-15T12:00"), None]);
        let batch = representation.batch(&batch).unwrap();
        assert!(batch.column(0).is_valid(0) && batch.column(0).is_null(1));
        assert!(batch.column(1).is_valid(0) && batch.column(1).is_null(1));
    }

    #[test]
    fn irregular_becomes_json_or_is_left_out() {
        let of = |irregular| Representation {
            irregular,
            ..Representation::default()
        };
        let rows = batch(vec![None]);
        let json = of(Irregular::Json).batch(&rows).unwrap();
        assert_eq!(json.schema(), of(Irregular::Json).schema(&rows.schema()));
        let text = json.column(1).as_string::<i32>().value(0);
        assert_eq!(text, r#"{"birth_date":"1961-00-00 \""}"#);
        let dropped = of(Irregular::Drop).batch(&rows).unwrap();
        assert_eq!(dropped.schema(), of(Irregular::Drop).schema(&rows.schema()));
        assert_eq!(dropped.num_columns(), 2);
        assert_eq!(dropped.schema().field(1).name(), "line");
    }
}
