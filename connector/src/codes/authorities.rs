//! Municipalities, regions, countries and all authorities.
//!
//! They share one space of codes with four digits.

use super::{Basis, Code, Definition};

/// The name of the table of municipalities.
pub(super) const MUNICIPALITY: &str = "municipality";

/// Everything but the countries. The file says how it is written.
pub(super) const AUTHORITIES: &str = include_str!("authorities.txt");

/// The countries. The file says how it is written.
pub(super) const COUNTRIES: &str = include_str!("countries.txt");

/// CPR's type of municipalities.
const TYPE_MUNICIPALITY: &str = "05";

/// CPR's type of countries.
const TYPE_COUNTRY: &str = "30";

pub(super) const DEFINITIONS: &[Definition] = &[
    Definition {
        name: MUNICIPALITY,
        description: "Municipalities of today and before, with the region of today; until is the day on which CPR ended a code",
        columns: &["municipality_code", "previous_municipality_code"],
        more_columns: &["region_code", "region_da", "region_en", "until"],
        codes: municipalities,
    },
    Definition {
        name: "region",
        description: "Regions",
        columns: &[],
        more_columns: &[],
        codes: regions,
    },
    Definition {
        name: "country",
        description: "Countries and citizenships as of 2012, with the codes of ISO 3166",
        columns: &[
            "country_code",
            "emigration_country_code",
            "immigration_country_code",
        ],
        more_columns: &["alpha2", "alpha3", "until"],
        codes: || countries().collect(),
    },
    Definition {
        name: "authority",
        description: "All authorities as of 2012: municipalities, parishes, courts, countries and others, with their kind",
        columns: &["birth_authority_code", "supplementary_authority_code"],
        more_columns: &["kind_code", "kind_da", "kind_en", "until"],
        codes: authorities,
    },
];

/// Code, Danish and English name of each region.
const REGIONS: [(&str, &str, &str); 5] = [
    ("1081", "Region Nordjylland", "North Denmark Region"),
    ("1082", "Region Midtjylland", "Central Denmark Region"),
    ("1083", "Region Syddanmark", "Region of Southern Denmark"),
    ("1084", "Region Hovedstaden", "Capital Region of Denmark"),
    ("1085", "Region Sjælland", "Region Zealand"),
];

fn regions() -> Vec<Code> {
    REGIONS
        .iter()
        .map(|(code, da, en)| Code::new(code, Some(da), Some(en), Basis::Listed))
        .collect()
}

/// Returns the region of a municipality of today; `None` for Christiansø and Greenland, which are in no region.
fn region_of(municipality: &str) -> Option<&'static (&'static str, &'static str, &'static str)> {
    let region = match municipality.parse::<u16>().ok()? {
        773 | 787 | 810..=860 => "1081",
        615 | 657..=671 | 706..=766 | 779 | 791 => "1082",
        410 | 420..=607 | 621 | 630 => "1083",
        101..=250 | 260 | 270 | 400 => "1084",
        253 | 259 | 265 | 269 | 306..=390 => "1085",
        _ => return None,
    };
    REGIONS.iter().find(|(code, ..)| *code == region)
}

fn municipalities() -> Vec<Code> {
    let of_type = lines().filter(|line| line.kind.code == TYPE_MUNICIPALITY);
    let municipality = |line: Line| {
        let region = line.until.is_none().then(|| region_of(line.code)).flatten();
        Code {
            more: vec![
                region.map(|(code, ..)| *code),
                region.map(|(_, da, _)| *da),
                region.map(|(.., en)| *en),
                line.until,
            ],
            ..Code::new(line.code, Some(line.name), Some(line.name), Basis::Listed)
        }
    };
    of_type.map(municipality).collect()
}

fn countries() -> impl Iterator<Item = Code> {
    let country = |line: &'static str| {
        let (code, rest) = code_and_rest(line)?;
        let (alpha2, rest) = rest.split_once(' ')?;
        let (alpha3, rest) = rest.split_once(' ')?;
        let mut parts = rest.split(" | ");
        let (danish, english) = (parts.next()?, known(parts.next()?));
        let is_code = |code: &&str| *code != "-";
        let basis = match english {
            Some(_) => Basis::Listed,
            None => Basis::Unknown,
        };
        Some(Code {
            more: vec![
                Some(alpha2).filter(is_code),
                Some(alpha3).filter(is_code),
                parts.next(),
            ],
            // CPR's name of a country whose meaning is not known says nothing in English.
            ..Code::new(code, english.and(Some(danish)), english, basis)
        })
    };
    COUNTRIES.lines().filter_map(country)
}

fn authorities() -> Vec<Code> {
    let authority = |line: Line| Code {
        more: vec![
            Some(line.kind.code),
            line.kind.danish,
            line.kind.english,
            line.until,
        ],
        // CPR has no English names of authorities, so the Danish one is used.
        ..Code::new(line.code, Some(line.name), Some(line.name), Basis::Listed)
    };
    let country = |code: Code| Code {
        more: vec![
            Some(TYPE_COUNTRY),
            Some("land"),
            Some("country"),
            code.more.last().copied().flatten(),
        ],
        ..code
    };
    let all = lines().map(authority);
    all.chain(countries().map(country)).collect()
}

/// A type of authorities.
#[derive(Clone, Copy)]
struct AuthorityKind {
    code: &'static str,
    danish: Option<&'static str>,
    english: Option<&'static str>,
}

/// A line of the authorities.
struct Line {
    kind: AuthorityKind,
    code: &'static str,
    name: &'static str,
    until: Option<&'static str>,
}

/// Returns the authorities without the countries. A test counts them, so that no line is lost.
fn lines() -> impl Iterator<Item = Line> {
    let mut kind = None;
    AUTHORITIES.lines().filter_map(move |line| {
        if let Some(heading) = line.strip_prefix("= ") {
            let mut parts = heading.split(" | ");
            kind = Some(AuthorityKind {
                code: parts.next()?,
                danish: parts.next().and_then(known),
                english: parts.next().and_then(known),
            });
            return None;
        }
        let (code, rest) = code_and_rest(line)?;
        let mut parts = rest.split(" | ");
        Some(Line {
            kind: kind?,
            code,
            name: parts.next()?,
            until: parts.next(),
        })
    })
}

fn code_and_rest(line: &'static str) -> Option<(&'static str, &'static str)> {
    let (code, rest) = line.split_once(' ')?;
    let is_code = code.len() == 4 && code.bytes().all(|byte| byte.is_ascii_digit());
    is_code.then_some((code, rest))
}

/// Returns a meaning; `None` for the mark of an unknown one.
fn known(text: &'static str) -> Option<&'static str> {
    Some(text).filter(|text| *text != "?")
}
