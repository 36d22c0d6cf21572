//! Names of persons: random combinations of common Danish given names and surnames.

use super::calendar::Moment;
use super::number::Sex;
use super::rng::{Key, Rng};

/// A person's name, with its start date.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct PersonName {
    pub(super) given: &'static str,
    pub(super) second: Option<&'static str>,
    pub(super) middle: Option<&'static str>,
    pub(super) surname: &'static str,
    /// The register's mark on the spelling of the surname: blank, `+`, `*` or `=`.
    pub(super) mark: &'static str,
    /// Whether letters begin with the given names, instead of the surname and a comma.
    pub(super) given_first: bool,
    pub(super) since: Moment,
}

impl PersonName {
    pub(super) fn draw(sex: Sex, surname: &'static str, since: Moment, rng: &mut Rng) -> Self {
        let given = given_names(sex);
        let mut name = Self {
            given: rng.pick(given),
            second: rng.permille(350).then(|| rng.pick(given)),
            middle: rng.permille(300).then(|| rng.pick(SURNAMES)),
            surname,
            mark: match rng.below(200) {
                0 => "+",
                1 => "*",
                2 | 3 => "=",
                _ => "",
            },
            given_first: false,
            since,
        };
        // Decided apart, so that it takes no number from the caller's sequence.
        let apart = u64::from(rng.clone().below(1 << 30));
        name.given_first = Key::new(apart).rng().permille(GIVEN_NAMES_FIRST);
        name
    }

    /// Returns all given names.
    pub(super) fn given_names(&self) -> String {
        match self.second {
            Some(second) => format!("{} {second}", self.given),
            None => self.given.to_owned(),
        }
    }

    /// Returns the name for letters, cut to the length of the field.
    pub(super) fn addressing(&self) -> String {
        const LENGTH: usize = 34;
        let ordered = |given: &str| match self.given_first {
            true => format!("{given} {}", self.surname),
            false => format!("{},{given}", self.surname),
        };
        let full = ordered(&self.given_names());
        if full.chars().count() <= LENGTH {
            full
        } else {
            ordered(self.given).chars().take(LENGTH).collect()
        }
    }

    /// Returns the marks on the given names, the middle name and the surname. The spelling of one or two of them is
    /// marked.
    pub(super) fn marks(&self) -> (&'static str, &'static str, &'static str) {
        let middle = self.middle.map_or("", |_| self.mark);
        match self.since.day.days_since_1970().rem_euclid(4) {
            0 => (self.mark, "", ""),
            1 if !middle.is_empty() => ("", middle, ""),
            2 => (self.mark, middle, self.mark),
            _ => ("", "", self.mark),
        }
    }
}

pub(super) fn surname(rng: &mut Rng) -> &'static str {
    // The most common surnames are much more frequent than the others.
    let common = rng.permille(400);
    if common {
        rng.pick(&SURNAMES[..12])
    } else {
        rng.pick(SURNAMES)
    }
}

pub(super) fn foreign_surname(rng: &mut Rng) -> &'static str {
    rng.pick(FOREIGN_SURNAMES)
}

pub(super) fn occupation(rng: &mut Rng) -> &'static str {
    rng.pick(OCCUPATIONS)
}

/// The persons of a thousand whose letters begin with the given names.
const GIVEN_NAMES_FIRST: u32 = 80;

fn given_names(sex: Sex) -> &'static [&'static str] {
    match sex {
        Sex::Male => MEN,
        Sex::Female => WOMEN,
    }
}

#[rustfmt::skip]
const MEN: &[&str] = &[
    "Anders", "Aksel", "Asbjørn", "Bjarne", "Bo", "Carl-Emil", "Christian", "Daniel", "Emil", "Erik", "Frederik",
    "Geert", "Gunnar", "Hans", "Henrik", "Ib", "Jakob", "Jens", "Jens-Peter", "Jørgen", "Jørn", "Kaj", "Karl",
    "Kåre", "Lars", "Lauge", "Magnus", "Mads", "Mikkel", "Morten", "Niels", "Noah", "Ole", "Oscar", "Peter",
    "Per", "Rasmus", "René", "Simon", "Steen", "Svend", "Søren", "Thomas", "Torbjørn", "Tøger", "Viggo",
    "Villads", "William", "Åge",
];

#[rustfmt::skip]
const WOMEN: &[&str] = &[
    "Agnes", "Alma", "Anna", "Anne-Marie", "Astrid", "Bente", "Birgit", "Bodil", "Camilla", "Christina", "Clara",
    "Dorthe", "Ellen", "Emma", "Esther", "Freja", "Gerda", "Grethe", "Hanne", "Helle", "Ida", "Inger", "Jette",
    "Josefine", "Karen", "Karla", "Kirsten", "Lærke", "Laura", "Lene", "Liv", "Lone", "Mathilde", "Merete",
    "Mette", "Nanna", "Oda", "Pernille", "Rikke", "Signe", "Sofie", "Solvej", "Susanne", "Tove", "Ulla",
    "Vigdis", "Zoë", "Åse", "Øllegård",
];

#[rustfmt::skip]
const SURNAMES: &[&str] = &[
    "Nielsen", "Jensen", "Hansen", "Andersen", "Pedersen", "Christensen", "Larsen", "Sørensen", "Rasmussen",
    "Jørgensen", "Petersen", "Madsen", "Kristensen", "Olsen", "Thomsen", "Christiansen", "Poulsen", "Johansen",
    "Møller", "Mortensen", "Knudsen", "Jakobsen", "Mikkelsen", "Frederiksen", "Laursen", "Henriksen", "Lund",
    "Schmidt", "Eriksen", "Holm", "Clausen", "Simonsen", "Svendsen", "Andreasen", "Iversen", "Østergaard",
    "Jeppesen", "Nissen", "Lauridsen", "Vestergaard", "Kjær", "Jespersen", "Mogensen", "Nørgaard", "Jepsen",
    "Frandsen", "Søndergaard", "Skovsgård", "Bæk", "Bøgh", "Ågren-Lund", "Dahl-Eriksen", "Gulbæk", "Højholt",
    "Ravn", "Storgaard Birk", "Overgaard-Højbjerg", "Winther", "Ørum", "Ærenlund",
];

#[rustfmt::skip]
const FOREIGN_SURNAMES: &[&str] = &[
    "Svensson", "Åkerström", "Müller", "Schröder", "Kowalska", "Garcia", "Rossi", "Yilmaz", "Smith", "Lefèvre",
];

#[rustfmt::skip]
const OCCUPATIONS: &[&str] = &[
    "Lagerchef", "Pensionist", "Portør", "Sygehjælper", "Chauffør", "Designer", "Translatør", "Journalist",
    "Forlægger", "Lærer", "Cand.jur.", "Bager", "Tømrer", "Maskinmester", "Gårdejer", "Frisør",
    "Specialkonsulent i forvaltning", "Økonomiassistent",
];
