//! Options that name one of several texts.

use cprflow::{Irregular, Representation, Timestamps};
use cprflow_connector::generate::{Order, OutputShape};

use crate::failure::Failure;

/// Returns the representation of rows that the options name.
pub(crate) fn representation(irregular: &str, timestamps: &str) -> Result<Representation, Failure> {
    Ok(Representation {
        irregular: choose(
            "irregular",
            irregular,
            &[
                ("map", Irregular::Map),
                ("json", Irregular::Json),
                ("drop", Irregular::Drop),
            ],
        )?,
        timestamps: choose(
            "timestamps",
            timestamps,
            &[("naive", Timestamps::Naive), ("utc", Timestamps::Utc)],
        )?,
    })
}

/// Returns the physical shape of an extract.
pub(crate) fn shape(shape: &str) -> Result<OutputShape, Failure> {
    let shapes = [
        ("trimmed", OutputShape::Trimmed),
        ("full", OutputShape::Full),
        ("packed", OutputShape::Packed),
    ];
    choose("shape", shape, &shapes)
}

/// Returns the order of the records of an extract.
pub(crate) fn order(order: &str) -> Result<Order, Failure> {
    let orders = [
        ("second-pass", Order::SecondPass),
        ("by-person", Order::ByPerson),
    ];
    choose("order", order, &orders)
}

fn choose<T: Copy>(option: &str, chosen: &str, choices: &[(&str, T)]) -> Result<T, Failure> {
    let found = choices.iter().find(|(name, _)| *name == chosen);
    found.map(|(_, value)| *value).ok_or_else(|| {
        let names: Vec<_> = choices
            .iter()
            .map(|(name, _)| format!("{name:?}"))
            .collect();
        Failure::request(format!("{option} must be one of {}", names.join(", ")))
    })
}
