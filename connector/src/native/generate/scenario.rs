//! Small extracts that show one situation, with the expected outcome in words.

use std::io;

use super::calendar::Day;
use super::change::{Change, NightContext, apply_with};
use super::family::{Entry, Family, Member, Status};
use super::initial_state::{Basis, initial_family, is_adult};
use super::number::Role;
use super::places::{AALBORG, Dwelling};
use super::population::FamilyState;
use super::{Extract, Settings, Written};

/// A situation of which extracts can be generated.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Scenario {
    /// A family moves into the municipality of the extracts.
    MoveIn,
    /// The name and address of a child become protected, and the family moves.
    ProtectedChild,
    /// A person changes number twice.
    NumberChain,
    /// A person emigrates and comes back.
    EmigrationReturn,
    /// One of two spouses dies.
    DeathOfSpouse,
}

/// The extracts of a scenario, and what must come out.
#[derive(Debug, Clone)]
pub struct ScenarioOutput {
    /// The status file, followed by one change file for each night with a change.
    pub extracts: Vec<ScenarioExtract>,
    /// The expected outcome in words. It has numbers of persons who do not exist.
    pub expected: String,
}

/// An extract of a scenario.
#[derive(Debug, Clone)]
pub struct ScenarioExtract {
    /// The name of the file, as CPR names data files: `d260303.l431101`.
    pub name: String,
    /// The content of the file.
    pub content: Vec<u8>,
    /// The size of the content.
    pub written: Written,
}

impl Scenario {
    /// All scenarios.
    pub const ALL: [Self; 5] = [
        Self::MoveIn,
        Self::ProtectedChild,
        Self::NumberChain,
        Self::EmigrationReturn,
        Self::DeathOfSpouse,
    ];

    /// Returns the name, as in `cprflow generate --scenario`.
    pub const fn name(self) -> &'static str {
        match self {
            Self::MoveIn => "move-in",
            Self::ProtectedChild => "protected-child",
            Self::NumberChain => "number-chain",
            Self::EmigrationReturn => "emigration-return",
            Self::DeathOfSpouse => "death-of-spouse",
        }
    }

    /// Generates the extracts. Seed, first day, shape, order, layout and task number come from the settings; the number
    /// of persons and of nights does not.
    pub fn generate(self, settings: &Settings) -> io::Result<ScenarioOutput> {
        settings.check()?;
        let mut story = Story::begin(self, settings)?;
        match self {
            Self::MoveIn => story.move_in(),
            Self::ProtectedChild => story.protected_child(),
            Self::NumberChain => story.number_chain(),
            Self::EmigrationReturn => story.emigration_return(),
            Self::DeathOfSpouse => story.death_of_spouse(),
        }
    }

    /// Returns whether the scenario can be about the family.
    fn fits(self, family: &Family, first_day: Day) -> bool {
        let minor = |member: &Member| !is_adult(member.born, first_day);
        let home = |place: usize| {
            family
                .members
                .get(place)?
                .residence
                .map(|home| home.dwelling)
        };
        let lives_together = family
            .members
            .iter()
            .all(|member| member.residence.map(|home| home.dwelling) == home(FIRST));
        let is_couple = family.members.get(SECOND).is_some_and(|second| {
            second.role == Role::Second && family.members[FIRST].spouse() == Some(SECOND)
        });
        let count = family.members.len();
        match self {
            Self::MoveIn | Self::ProtectedChild => {
                let children = family.members.iter().skip(2);
                is_couple && lives_together && count > 2 && children.into_iter().all(minor)
            }
            Self::NumberChain | Self::EmigrationReturn => count == 1,
            Self::DeathOfSpouse => {
                let old = |member: &Member| member.born.years_until(first_day) >= 65;
                is_couple && lives_together && count == 2 && family.members.iter().all(old)
            }
        }
    }
}

const FIRST: usize = 0;
const SECOND: usize = 1;
/// The first minor of a family of two adults and their children.
const CHILD: usize = 2;
/// The families around the one that the scenario is about.
const NEIGHBOURS: usize = 4;
/// The families of which the scenario takes the first that fits.
const FAMILIES: u64 = 100_000;
/// The night of the return, half a year after the emigration.
const NIGHT_OF_RETURN: u32 = 125;

/// A scenario while it is generated.
struct Story<'a> {
    scenario: Scenario,
    settings: &'a Settings,
    basis: Basis,
    family: Family,
    neighbours: Vec<Family>,
    extracts: Vec<ScenarioExtract>,
    /// The production date of the last extract.
    previous: Option<Day>,
    expected: String,
}

impl<'a> Story<'a> {
    fn begin(scenario: Scenario, settings: &'a Settings) -> io::Result<Self> {
        let basis = Settings::new(0, settings.seed).basis();
        let basis = Basis {
            first_day: settings.first_day,
            ..basis
        };
        let mut plain = (0..FAMILIES)
            .map(|index| initial_family(&basis, index))
            .filter(is_plain);
        let neighbours: Vec<_> = plain.by_ref().take(NEIGHBOURS).collect();
        let family = plain.find(|family| scenario.fits(family, settings.first_day));
        let family = family.ok_or_else(|| io::Error::other("no family fits the scenario"))?;
        Ok(Self {
            scenario,
            settings,
            basis,
            family,
            neighbours,
            extracts: Vec::new(),
            previous: None,
            expected: String::new(),
        })
    }

    fn move_in(&mut self) -> io::Result<ScenarioOutput> {
        let mut rng = self.family.key.with(90).rng();
        for family in &mut self.neighbours {
            rehouse(family, Dwelling::draw(AALBORG, &mut rng));
        }
        let from = self.home()?;
        if AALBORG.contains(from.town) {
            let elsewhere = Dwelling::away_from(Some(&from), super::places::DANISH_TOWNS, &mut rng);
            rehouse(&mut self.family, elsewhere);
        }
        let from = self.home()?;
        let neighbours = self.neighbours.clone();
        self.write(
            0,
            neighbours.into_iter().map(FamilyState::unchanged).collect(),
        )?;

        let to = Dwelling::draw(AALBORG, &mut rng);
        let before = self.family.clone();
        let events = self.change(1, |change| {
            change.move_from(&from, to);
            Some(())
        })?;
        let moved = FamilyState::changed(before, self.family.clone(), events);
        self.write(1, vec![moved])?;

        let numbers = self.numbers();
        let (old, new) = (place_of(&from), place_of(&to));
        self.say(&format!(
            "All persons of these extracts live in the municipality 0851 (Aalborg).\n\
             The status file does not have the family.\n\
             The change file brings the family with event A01: {numbers}.\n\
             They moved from {old} to {new}.\n"
        ));
        self.say(&format!(
            "Expected:\n\
             - {count} persons are new in the change file, and all of them are residents.\n\
             - Each has one current address, in 0851, with previous_municipality_code {code}.\n\
             - address_history has the old address, which ends when the new one begins.\n\
             - The other persons do not change.\n",
            count = self.family.members.len(),
            code = from.town.municipality_code,
        ));
        Ok(self.end())
    }

    fn protected_child(&mut self) -> io::Result<ScenarioOutput> {
        self.write_status()?;
        let night = self.settings.production_date(1);
        self.night(1, |change| {
            change.protect_member(CHILD);
            Some(())
        })?;
        let from = self.home()?;
        let mut rng = self.family.key.with(91).rng();
        let to = Dwelling::near(&from, &mut rng);
        self.night(2, |change| {
            change.move_from(&from, to);
            Some(())
        })?;
        let child = self.number(CHILD);
        let (first, second) = (self.number(FIRST), self.number(SECOND));
        self.say(&format!(
            "The first change file (event A33) protects name and address of the child {child} from {night} on.\n\
             The second change file (event A01) moves the whole family.\n"
        ));
        self.say(&format!(
            "Expected:\n\
             - The child has a protection 0001 from {night} on, without an end.\n\
             - In the status file, the child is not protected.\n\
             - The parents {first} and {second} are delivered with the child. They are not protected, but their row in\n\
             \x20 child_address has protection_start_date {night}: it tells the protected address.\n\
             - After the second night, the new address must not be seen in the rows of the child in address and\n\
             \x20 plaintext_address, nor in child_address. The parents live there too: their own rows show it.\n"
        ));
        Ok(self.end())
    }

    fn number_chain(&mut self) -> io::Result<ScenarioOutput> {
        self.write_status()?;
        let plan = self.basis.number_plan(self.family.index);
        let (first, born, sex) = {
            let person = &self.family.members[FIRST];
            (person.number.as_str().to_owned(), person.born, person.sex)
        };
        let corrected = plan.birth(Role::FirstAgain).unwrap_or(born);
        for (night, role, born) in [
            (1, Role::FirstAgain, corrected),
            (2, Role::ChildAgain, born),
        ] {
            let number = plan.number(role, born, sex);
            self.night(night, |change| {
                change.give_number(FIRST, number, born);
                Some(())
            })?;
        }
        let second = self.family.members[FIRST].former[1].person.number;
        let (second, third) = (second.as_str(), self.number(FIRST));
        let said = format!(
            "One person has three numbers, one after the other: {first}, {second}, {third}.\n\
             Both change files have the event P03, and a receipt (997) for the number that ends.\n"
        );
        let expected = format!(
            "Expected:\n\
             - Only {third} is valid: status 01. In the extracts, the two others have status 60 and current_pnr {third}, and\n\
             \x20 no address. The receipts (997) end them, so the current tables have no row of them in person: the view\n\
             \x20 number_changes leads from them to {third}.\n\
             - former_pnr has two rows of {third}: {first} and {second}.\n\
             - person_id of {third} is the one that {first} had in the status file.\n\
             - The person counts once: one resident more or less than before is wrong.\n"
        );
        self.say(&said);
        self.say(&expected);
        Ok(self.end())
    }

    fn emigration_return(&mut self) -> io::Result<ScenarioOutput> {
        self.write_status()?;
        self.night(1, |change| {
            change.emigrate_member(FIRST);
            Some(())
        })?;
        let country = self.family.members[FIRST]
            .emigration
            .map_or("", |abroad| abroad.country.code);
        self.night(NIGHT_OF_RETURN, |change| change.come_back())?;
        let person = self.number(FIRST);
        let day = |night| self.settings.production_date(night);
        let (left, back) = (day(1), day(NIGHT_OF_RETURN));
        self.say(&format!(
            "The person {person} emigrates to the country {country} on {left} (event A06) and comes back on {back}\n\
             (event A04).\n"
        ));
        self.say(
            "Expected:\n\
             - After the first change file: status 80, a row in emigration, and no residence. A last known address may\n\
             \x20 stay: it is not a residence.\n\
             - After the second one: status 01, a new address, no row in emigration, and one more row in\n\
             \x20 emigration_history with both days.\n\
             - The address before the emigration is in address_history.\n"
        );
        Ok(self.end())
    }

    fn death_of_spouse(&mut self) -> io::Result<ScenarioOutput> {
        self.write_status()?;
        let night = self.settings.production_date(1);
        self.night(1, |change| {
            change.die_at(SECOND);
            Some(())
        })?;
        let (survivor, dead) = (self.number(FIRST), self.number(SECOND));
        self.say(&format!(
            "{dead} dies on {night} (event A21). The spouse {survivor} is delivered with the same event and mark ÆG.\n"
        ));
        self.say(&format!(
            "Expected:\n\
             - {dead}: status 90, civil status D. A last known address may stay: it is not a residence.\n\
             - {survivor}: civil status E from {night} on, status 01. spouse_pnr may still name the dead spouse:\n\
             \x20 spouse_pnr is not the same as being married.\n\
             - civil_status_history of both has the marriage (G), which ends on {night}.\n\
             - One resident less.\n"
        ));
        Ok(self.end())
    }

    fn home(&self) -> io::Result<Dwelling> {
        let home = self.family.members[FIRST].residence;
        home.map(|home| home.dwelling)
            .ok_or_else(|| io::Error::other("the family has no home"))
    }

    fn number(&self, place: usize) -> String {
        self.family.members[place].number.as_str().to_owned()
    }

    fn numbers(&self) -> String {
        let numbers = self.family.members.iter();
        let numbers: Vec<_> = numbers.map(|member| member.number.as_str()).collect();
        numbers.join(", ")
    }

    fn say(&mut self, text: &str) {
        if self.expected.is_empty() {
            self.expected = format!("Scenario {}\n\n", self.scenario.name());
        }
        self.expected.push_str(text);
        self.expected.push('\n');
    }

    /// Writes the status file of the family and its neighbours.
    fn write_status(&mut self) -> io::Result<()> {
        let families = self.neighbours.iter().chain([&self.family]);
        let families = families.cloned().map(FamilyState::unchanged).collect();
        self.write(0, families)
    }

    /// Applies the changes of a night to the family and writes the change file.
    fn night(
        &mut self,
        night: u32,
        make: impl FnOnce(&mut Change<'_>) -> Option<()>,
    ) -> io::Result<()> {
        let before = self.family.clone();
        let events = self.change(night, make)?;
        let changed = FamilyState::changed(before, self.family.clone(), events);
        self.write(night, vec![changed])
    }

    fn change(
        &mut self,
        night: u32,
        make: impl FnOnce(&mut Change<'_>) -> Option<()>,
    ) -> io::Result<Vec<super::change::Event>> {
        let context = NightContext {
            basis: self.basis,
            day: self.settings.production_date(night),
            night,
            birth_order: 0,
        };
        apply_with(&mut self.family, &context, make)
            .ok_or_else(|| io::Error::other("the family does not fit the scenario"))
    }

    fn write(&mut self, night: u32, families: Vec<FamilyState>) -> io::Result<()> {
        let date = self.settings.production_date(night);
        let mut content = Vec::new();
        let mut extract = Extract::start(self.settings, night, self.previous, &mut content)?;
        extract.input_errors = &[];
        let written = extract.finish_of(
            || families.iter().cloned(),
            |step| match night {
                0 => Ok(step
                    .family
                    .entries()
                    .map(|entry| (entry, Vec::new()))
                    .collect()),
                _ => step.touched(self.settings.first_day),
            },
        )?;
        let compact = date.compact();
        let short = compact.get(2..).unwrap_or(&compact);
        self.extracts.push(ScenarioExtract {
            name: format!("d{short}.l{}", self.settings.task_number),
            content,
            written,
        });
        self.previous = Some(date);
        Ok(())
    }

    fn end(&mut self) -> ScenarioOutput {
        let mut files = String::from("Files:\n");
        for (place, extract) in self.extracts.iter().enumerate() {
            let kind = if place == 0 {
                "status file"
            } else {
                "change file"
            };
            let (name, persons) = (&extract.name, extract.written.persons);
            files.push_str(&format!("- {name}: {kind}, {persons} person numbers\n"));
        }
        self.say(&files);
        ScenarioOutput {
            extracts: std::mem::take(&mut self.extracts),
            expected: std::mem::take(&mut self.expected),
        }
    }
}

/// Returns whether all members are ordinary residents, so that nothing but the scenario happens to them.
fn is_plain(family: &Family) -> bool {
    family.members.iter().all(|member| {
        member.status == Status::Resident
            && member.residence.is_some_and(|home| home.co_name.is_none())
            && member.former.is_empty()
            && member.former_emigrations.is_empty()
            && member.protections.is_empty()
            && member.guardianship.is_none()
            && member.custodian.is_none()
            && member.separation.is_none()
    }) && family
        .entries()
        .eq((0..family.members.len()).map(|member| Entry {
            member,
            former: None,
        }))
}

/// Gives all members that dwelling instead of their own.
fn rehouse(family: &mut Family, dwelling: Dwelling) {
    for member in &mut family.members {
        if let Some(home) = &mut member.residence {
            home.dwelling = dwelling;
        }
    }
}

fn place_of(dwelling: &Dwelling) -> String {
    let town = dwelling.town;
    format!(
        "{} {} (municipality {})",
        town.postal_code, town.postal_district, town.municipality_code
    )
}
