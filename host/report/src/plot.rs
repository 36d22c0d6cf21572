//! Plots as SVG. Their labels are HTML, so that they stay readable on a phone.

use jiff::civil::Date;

use crate::text::count;

/// The size of a plot in its own units. It is stretched to the width of the page.
pub(crate) const WIDTH: f64 = 1000.0;
pub(crate) const HEIGHT: f64 = 160.0;

/// A bar.
pub(crate) struct Bar {
    pub(crate) x: String,
    pub(crate) y: String,
    pub(crate) width: String,
    pub(crate) height: String,
    /// The text that is shown when a pointer rests on the bar, and read aloud.
    pub(crate) label: String,
}

/// Bars over time.
pub(crate) struct BarPlot {
    pub(crate) bars: Vec<Bar>,
    /// The largest value, for the top of the axis.
    pub(crate) top: String,
    pub(crate) from: String,
    pub(crate) to: String,
}

/// Returns bars for values by day. Days without a value have no bar; equal days share one.
pub(crate) fn bars(values: &[(Date, u64)], unit: &str) -> Option<BarPlot> {
    let (first, last) = (
        values.iter().map(|one| one.0).min()?,
        values.iter().map(|one| one.0).max()?,
    );
    let days = f64::from(days_between(first, last)) + 1.0;
    let mut by_day: Vec<(Date, u64)> = Vec::new();
    for (day, value) in values {
        match by_day.iter_mut().find(|known| known.0 == *day) {
            Some(known) => known.1 += value,
            None => by_day.push((*day, *value)),
        }
    }
    let top = by_day.iter().map(|one| one.1).max()?.max(1);
    let slot = WIDTH / days;
    let width = (slot * 0.8).clamp(1.5, 40.0);
    let bar = |(day, value): &(Date, u64)| {
        let middle = (f64::from(days_between(first, *day)) + 0.5) * slot;
        let height = (*value as f64 / top as f64 * HEIGHT).max(if *value > 0 { 1.5 } else { 0.0 });
        Bar {
            x: number(middle - width / 2.0),
            y: number(HEIGHT - height),
            width: number(width),
            height: number(height),
            label: format!("{day}: {} {unit}", count(*value)),
        }
    };
    Some(BarPlot {
        bars: by_day.iter().map(bar).collect(),
        top: count(top),
        from: first.to_string(),
        to: last.to_string(),
    })
}

/// A line over time.
pub(crate) struct LinePlot {
    /// The points of the line.
    pub(crate) points: String,
    /// The points of the area below it.
    pub(crate) area: String,
    /// The days of vertical marks.
    pub(crate) marks: Vec<Mark>,
    pub(crate) top: String,
    pub(crate) from: String,
    pub(crate) to: String,
    /// The text that is read aloud.
    pub(crate) label: String,
}

/// A vertical mark in a plot.
pub(crate) struct Mark {
    pub(crate) x: String,
    pub(crate) label: String,
}

/// Returns a line through values by day, with marks on some days.
pub(crate) fn line(
    values: &[(Date, u64)],
    marks: &[Date],
    mark: &str,
    unit: &str,
) -> Option<LinePlot> {
    let [(first, start), .., (last, end)] = values else {
        return None;
    };
    let days = f64::from(days_between(*first, *last)).max(1.0);
    let top = values.iter().map(|one| one.1).max()?.max(1);
    let x = |day: Date| f64::from(days_between(*first, day)) / days * WIDTH;
    let point = |(day, value): &(Date, u64)| {
        let y = HEIGHT - *value as f64 / top as f64 * (HEIGHT - 4.0);
        format!("{},{}", number(x(*day)), number(y))
    };
    let points: Vec<_> = values.iter().map(point).collect();
    let points = points.join(" ");
    let within = marks.iter().filter(|day| (*first..=*last).contains(*day));
    Some(LinePlot {
        area: format!(
            "0,{h} {points} {w},{h}",
            h = number(HEIGHT),
            w = number(WIDTH)
        ),
        points,
        marks: within
            .map(|day| Mark {
                x: number(x(*day)),
                label: format!("{day}: {mark}"),
            })
            .collect(),
        top: count(top),
        from: first.to_string(),
        to: last.to_string(),
        label: format!("from {} to {} {unit}", count(*start), count(*end)),
    })
}

/// Small bars of equal width, for a row of a table.
pub(crate) fn spark(values: &[u64]) -> Vec<Bar> {
    let top = values.iter().copied().max().unwrap_or(0).max(1);
    let slot = 120.0 / values.len().max(1) as f64;
    let bar = |(place, value): (usize, &u64)| {
        let height = (*value as f64 / top as f64 * 22.0).max(if *value > 0 { 1.0 } else { 0.0 });
        Bar {
            x: number(place as f64 * slot + slot * 0.1),
            y: number(24.0 - height),
            width: number((slot * 0.8).min(12.0)),
            height: number(height),
            label: count(*value),
        }
    };
    values.iter().enumerate().map(bar).collect()
}

fn days_between(from: Date, to: Date) -> i32 {
    from.until(to).map(|span| span.get_days()).unwrap_or(0)
}

fn number(number: f64) -> String {
    format!("{number:.1}")
}

#[cfg(test)]
mod tests {
    use jiff::civil::date;

    use super::*;

    #[test]
    fn the_highest_bar_fills_the_plot() {
        let plot = bars(
            &[
                (date(2026, 3, 1), 5),
                (date(2026, 3, 3), 10),
                (date(2026, 3, 3), 10),
            ],
            "rows",
        )
        .unwrap();
        assert_eq!(plot.bars.len(), 2);
        assert_eq!(plot.bars[1].height, "160.0");
        assert_eq!(plot.bars[0].height, "40.0");
        assert_eq!(
            (plot.top.as_str(), plot.from.as_str()),
            ("20", "2026-03-01")
        );
        assert!(bars(&[], "rows").is_none());
    }

    #[test]
    fn a_line_needs_two_points() {
        let point = (date(2026, 3, 1), 5);
        assert!(line(&[point], &[], "", "").is_none());
        let plot = line(
            &[point, (date(2026, 3, 11), 10)],
            &[date(2026, 3, 6)],
            "changed",
            "persons",
        )
        .unwrap();
        assert_eq!(plot.points, "0.0,82.0 1000.0,4.0");
        assert_eq!(plot.marks[0].x, "500.0");
    }
}
