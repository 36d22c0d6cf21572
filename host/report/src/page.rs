//! Fills the templates.

use askama::Template;

use crate::calendar::{self, Month};
use crate::model::{AgreementReport, Certificate, Fact, FindingRow, Report, Series, TenantReport};
use crate::plot::{self, Bar, BarPlot, LinePlot};
use crate::shared::{SharedList, TenantList, shared_lists, tenant_lists};
use crate::text::{count, counted, safe};

/// A certificate with fewer days left needs attention.
const FEW_DAYS: i64 = 60;

impl Report {
    /// Returns the page. It needs no network and no script.
    pub fn html(&self) -> Result<String, askama::Error> {
        let mut report = self.clone();
        report.redact();
        page(&report).render()
    }

    /// Removes what can be a person number from every text.
    fn redact(&mut self) {
        self.dataset = safe(&self.dataset);
        for agreement in &mut self.agreements {
            agreement.redact();
        }
        for tenant in &mut self.tenants {
            tenant.redact();
        }
    }
}

impl AgreementReport {
    fn redact(&mut self) {
        redact_facts(&mut self.facts);
        redact_facts(&mut self.figures);
        redact_facts(&mut self.retention);
        redact_all(self.attention.iter_mut().chain(&mut self.notes));
        for item in &mut self.waiting {
            redact_all([&mut item.name, &mut item.why]);
        }
        for certificate in &mut self.certificates {
            redact_all([&mut certificate.what, &mut certificate.place]);
        }
    }
}

impl TenantReport {
    fn redact(&mut self) {
        redact_all([&mut self.purpose].into_iter().chain(&mut self.legal_basis));
        redact_all(self.attention.iter_mut().chain(&mut self.notes));
        redact_facts(&mut self.figures);
        for section in &mut self.policy {
            redact_all(&mut section.lines);
        }
        for place in &mut self.places {
            redact_all([&mut place.place, &mut place.readers, &mut place.what]);
        }
    }
}

fn redact_facts(facts: &mut [Fact]) {
    redact_all(facts.iter_mut().map(|fact| &mut fact.value));
}

fn redact_all<'a>(texts: impl IntoIterator<Item = &'a mut String>) {
    for text in texts {
        *text = safe(text);
    }
}

#[derive(Template)]
#[template(path = "report.html")]
struct Page<'a> {
    made: String,
    version: &'a str,
    dataset: &'a str,
    /// How many things need a person.
    attention: usize,
    headline: String,
    agreements: Vec<AgreementView<'a>>,
    tenants: Vec<TenantView<'a>>,
    /// The lines of policies that several tenants have.
    shared: Vec<SharedList<'a>>,
}

struct AgreementView<'a> {
    report: &'a AgreementReport,
    id: String,
    /// What happened on all days, in words.
    nights: String,
    months: Vec<Month>,
    records: Option<BarPlot>,
    persons: Option<BarPlot>,
    tables: Vec<SeriesView<'a>>,
    events: Vec<SeriesView<'a>>,
    months_shown: String,
}

struct SeriesView<'a> {
    series: &'a Series,
    bars: Vec<Bar>,
    total: String,
    label: String,
}

struct TenantView<'a> {
    report: &'a TenantReport,
    id: String,
    /// The long lists of the policy.
    lists: Vec<TenantList<'a>>,
    line: Option<LinePlot>,
    entered: Option<BarPlot>,
    left: Option<BarPlot>,
    reasons: Vec<ReasonView<'a>>,
}

struct ReasonView<'a> {
    reason: &'a str,
    count: String,
    /// The share of the largest count, in percent.
    share: u64,
}

fn page(report: &Report) -> Page<'_> {
    let of_agreements = report.agreements.iter().map(|one| one.attention.len());
    let of_tenants = report.tenants.iter().map(|one| one.attention.len());
    let attention = of_agreements.chain(of_tenants).sum::<usize>();
    let of_agreements = report.agreements.iter().map(|one| one.notes.len());
    let of_tenants = report.tenants.iter().map(|one| one.notes.len());
    let notes = of_agreements.chain(of_tenants).sum::<usize>();
    let shared = shared_lists(&report.tenants);
    let tenants = report.tenants.iter().enumerate();
    let tenants = tenants.map(|(place, tenant)| tenant_view(place, tenant, &shared));
    let tenants = tenants.collect();
    let headline = match attention {
        0 => "Nothing needs attention".to_owned(),
        1 => "1 thing needs attention".to_owned(),
        more => format!("{more} things need attention"),
    };
    Page {
        made: report.made.strftime("%Y-%m-%d %H:%M").to_string(),
        version: &report.version,
        dataset: &report.dataset,
        attention,
        headline: match notes {
            0 => headline,
            1 => format!("{headline}; 1 note"),
            more => format!("{headline}; {more} notes"),
        },
        agreements: report
            .agreements
            .iter()
            .enumerate()
            .map(agreement_view)
            .collect(),
        tenants,
        shared,
    }
}

fn agreement_view((place, report): (usize, &AgreementReport)) -> AgreementView<'_> {
    let values = |value: fn(&crate::model::Volume) -> u64| {
        let values = report
            .volumes
            .iter()
            .map(|volume| (volume.day, value(volume)));
        values.collect::<Vec<_>>()
    };
    let months = report
        .tables
        .iter()
        .chain(&report.events)
        .flat_map(|series| &series.months);
    let ends = months
        .clone()
        .map(|month| month.0)
        .min()
        .zip(months.map(|month| month.0).max());
    AgreementView {
        report,
        id: format!("agreement-{place}"),
        nights: calendar::summary(&report.days),
        months: calendar::months(&report.days),
        records: plot::bars(&values(|volume| volume.records), "records"),
        persons: plot::bars(&values(|volume| volume.persons), "persons"),
        tables: report.tables.iter().map(series_view).collect(),
        events: report.events.iter().map(series_view).collect(),
        months_shown: ends.map_or_else(String::new, |(from, to)| {
            format!("{} to {}", from.strftime("%b %Y"), to.strftime("%b %Y"))
        }),
    }
}

fn series_view(series: &Series) -> SeriesView<'_> {
    let values: Vec<_> = series.months.iter().map(|month| month.1).collect();
    let total = values.iter().sum();
    let months = series.months.iter();
    let label: Vec<_> = months
        .map(|(month, value)| format!("{} {}", month.strftime("%b %Y"), count(*value)))
        .collect();
    SeriesView {
        series,
        bars: plot::spark(&values),
        total: count(total),
        label: label.join(", "),
    }
}

fn tenant_view<'a>(
    place: usize,
    report: &'a TenantReport,
    shared: &[SharedList<'_>],
) -> TenantView<'a> {
    let values = |value: fn(&crate::model::ScopePoint) -> u64| {
        let values = report.scope.iter().map(|point| (point.day, value(point)));
        values.collect::<Vec<_>>()
    };
    // The first generation has everybody as entered, which would flatten all others.
    let later = |mut values: Vec<_>| {
        if !values.is_empty() {
            values.remove(0);
        }
        values
    };
    let largest = report
        .reasons
        .iter()
        .map(|one| one.1)
        .max()
        .unwrap_or(0)
        .max(1);
    TenantView {
        report,
        id: format!("tenant-{place}"),
        lists: tenant_lists(report, place, shared),
        line: plot::line(
            &values(|point| point.persons),
            &report.policy_changes,
            "another policy",
            "persons in scope",
        ),
        entered: plot::bars(&later(values(|point| point.entered)), "entered"),
        left: plot::bars(&later(values(|point| point.left)), "left"),
        reasons: report
            .reasons
            .iter()
            .map(|(reason, number)| ReasonView {
                reason,
                count: count(*number),
                share: number * 100 / largest,
            })
            .collect(),
    }
}

impl FindingRow {
    fn count_text(&self) -> String {
        count(self.count)
    }

    fn deliveries_text(&self) -> String {
        counted(self.deliveries, "delivery", "deliveries")
    }
}

impl Certificate {
    /// Returns the days that are left in words.
    fn left_text(&self) -> String {
        match self.days_left {
            None => "no end date".to_owned(),
            Some(days) if days < 0 => "expired".to_owned(),
            Some(days) => counted(days.unsigned_abs(), "day left", "days left"),
        }
    }

    fn is_urgent(&self) -> bool {
        self.days_left.is_some_and(|days| days < FEW_DAYS)
    }

    /// Returns the share of a year that is left, in percent.
    fn share(&self) -> i64 {
        self.days_left
            .map_or(100, |days| (days * 100 / 365).clamp(0, 100))
    }
}
