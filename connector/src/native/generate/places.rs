//! Dwellings in Danish municipalities, and countries abroad.

use super::municipalities;
use super::rng::{Key, Rng};

/// A town with its postal code and municipality.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Town {
    pub(super) municipality_code: &'static str,
    pub(super) postal_code: &'static str,
    pub(super) postal_district: &'static str,
    /// The town's name, if it differs from the postal district's.
    pub(super) name: &'static str,
}

/// A country by its code in the register.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Country {
    pub(super) code: &'static str,
    pub(super) name: &'static str,
    pub(super) city: &'static str,
    pub(super) street: &'static str,
}

/// A dwelling.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Dwelling {
    pub(super) town: &'static Town,
    street: &'static str,
    street_number: u32,
    house: u32,
    letter: Option<char>,
    floor: &'static str,
    door: &'static str,
    /// The building number, used in Greenland.
    building: u32,
    pub(super) locality: &'static str,
}

impl Dwelling {
    /// Returns a random dwelling in one of the towns.
    pub(super) fn draw(towns: &'static [Town], rng: &mut Rng) -> Self {
        Self::in_town(&towns[rng.below(towns.len() as u32) as usize], rng)
    }

    /// Returns a random dwelling in the same municipality.
    pub(super) fn near(other: &Self, rng: &mut Rng) -> Self {
        Self::in_town(other.town, rng)
    }

    /// Returns a random dwelling in another municipality.
    pub(super) fn away_from(other: Option<&Self>, towns: &'static [Town], rng: &mut Rng) -> Self {
        let code = other.map(|dwelling| dwelling.town.municipality_code);
        let start = rng.below(towns.len() as u32) as usize;
        let mut choices = towns[start..].iter().chain(&towns[..start]);
        let town = choices.find(|town| Some(town.municipality_code) != code);
        Self::in_town(town.unwrap_or(&towns[start]), rng)
    }

    /// Returns a random dwelling in Denmark. A municipality gets as many as its population.
    pub(super) fn anywhere(rng: &mut Rng) -> Self {
        Self::in_town(municipalities::draw(rng), rng)
    }

    /// Returns a random dwelling in another municipality of Denmark. A municipality gets as many as its population.
    pub(super) fn elsewhere(other: &Self, rng: &mut Rng) -> Self {
        let dwelling = Self::anywhere(rng);
        let code = dwelling.town.municipality_code;
        match code == other.town.municipality_code {
            true => Self::away_from(Some(other), DANISH_TOWNS, rng),
            false => dwelling,
        }
    }

    /// Returns the dwelling with another house number.
    pub(super) fn next_door(mut self) -> Self {
        self.house = self.house % 198 + 1;
        self
    }

    /// Returns the dwelling with the next street code.
    pub(super) fn other_street_code(mut self) -> Self {
        self.street_number += 1;
        self
    }

    /// Returns the dwelling with another name of the place.
    pub(super) fn renamed_place(mut self) -> Self {
        self.locality = match self.locality {
            "" => LOCALITIES[0],
            _ => "",
        };
        self
    }

    /// Returns the dwelling with a high street code: no fixed address, or one that only the authorities know.
    pub(super) fn high_street_code(mut self) -> Self {
        self.street_number = 9900 + self.street_number % 99;
        self.street = "Uden fast bopæl";
        self.house = 0;
        self.letter = None;
        self.floor = "";
        self.door = "";
        self
    }

    pub(super) fn street(&self) -> &'static str {
        self.street
    }

    /// Returns the street in the short form for letters.
    pub(super) fn street_for_letters(&self) -> String {
        self.street.chars().take(20).collect()
    }

    pub(super) fn street_code(&self) -> String {
        format!("{:04}", self.street_number)
    }

    pub(super) fn house_number(&self) -> String {
        match (self.house, self.letter) {
            (0, _) => String::new(),
            (house, Some(letter)) => format!("{house:03}{letter}"),
            (house, None) => format!("{house:03}"),
        }
    }

    pub(super) const fn floor(&self) -> &'static str {
        self.floor
    }

    /// Returns the door as the register writes it: right-aligned in four characters, but left-aligned in one of a
    /// hundred dwellings.
    pub(super) fn door(&self) -> String {
        match (self.door, (self.house + self.street_number) % 100) {
            ("", _) => String::new(),
            (door, 0) => door.to_owned(),
            (door, _) => format!("{door:>4}"),
        }
    }

    pub(super) fn building_number(&self) -> String {
        match self.building {
            0 => String::new(),
            building => format!("{building:04}"),
        }
    }

    /// Returns the address as one line, cut to the length of the field.
    pub(super) fn standard_address(&self) -> String {
        let mut line = self.street.to_owned();
        if self.house != 0 {
            line.push_str(&format!(" {}", self.house));
            line.extend(self.letter);
        }
        if !self.floor.is_empty() {
            line.push_str(&format!(",{}", self.floor));
        }
        if !self.door.is_empty() {
            line.push_str(&format!(" {}", self.door));
        }
        line.chars().take(34).collect()
    }

    /// Returns the UUID of the dwelling in the address register; the same for all who live there.
    pub(super) fn uuid(&self) -> String {
        let place = self.floor.bytes().chain(self.door.bytes());
        let place = place.fold(self.building as u64, |sum, byte| sum * 31 + u64::from(byte));
        let letter = self.letter.map_or(0, u64::from);
        let town = self
            .town
            .postal_code
            .bytes()
            .fold(0, |sum, byte| sum * 10 + u64::from(byte));
        let key = Key::new(town).with(u64::from(self.street_number));
        key.with(u64::from(self.house) * 128 + letter)
            .with(place)
            .uuid()
    }

    fn in_town(town: &'static Town, rng: &mut Rng) -> Self {
        let greenland = town.municipality_code.starts_with("09");
        let street = rng.below(STREETS.len() as u32);
        let municipality = town.municipality_code.parse().unwrap_or(0_u32);
        let flat = rng.permille(350);
        Self {
            town,
            street: STREETS[street as usize],
            street_number: (municipality * 131 + street * 97) % 9800 + 4,
            house: 1 + rng.below(198),
            letter: rng.permille(120).then(|| rng.pick(&['A', 'B', 'C', 'D'])),
            floor: if flat {
                rng.pick(&["st", "01", "02", "03", "05", "kl"])
            } else {
                ""
            },
            door: if flat {
                rng.pick(&["th", "tv", "mf", "0004"])
            } else {
                ""
            },
            building: if greenland { 1000 + rng.below(8999) } else { 0 },
            locality: if rng.permille(60) {
                rng.pick(LOCALITIES)
            } else {
                ""
            },
        }
    }
}

pub(super) fn country(rng: &mut Rng) -> &'static Country {
    &COUNTRIES[rng.below(COUNTRIES.len() as u32) as usize]
}

/// The country code of Denmark.
pub(super) const DENMARK: &str = "5100";

pub(super) const fn town(
    municipality_code: &'static str,
    postal_code: &'static str,
    postal_district: &'static str,
    name: &'static str,
) -> Town {
    Town {
        municipality_code,
        postal_code,
        postal_district,
        name,
    }
}

pub(super) static DANISH_TOWNS: &[Town] = &[
    town("0101", "2100", "København Ø", ""),
    town("0101", "2300", "København S", ""),
    town("0101", "2200", "København N", ""),
    town("0147", "2000", "Frederiksberg", ""),
    town("0151", "2750", "Ballerup", ""),
    town("0157", "2900", "Hellerup", ""),
    town("0173", "2800", "Kongens Lyngby", ""),
    town("0217", "3000", "Helsingør", ""),
    town("0219", "3400", "Hillerød", ""),
    town("0265", "4000", "Roskilde", ""),
    town("0316", "4300", "Holbæk", "Tølløse"),
    town("0370", "4700", "Næstved", ""),
    town("0376", "4800", "Nykøbing F", "Væggerløse"),
    town("0400", "3700", "Rønne", ""),
    town("0461", "5000", "Odense C", ""),
    town("0461", "5210", "Odense NV", "Næsby"),
    town("0479", "5700", "Svendborg", "Thurø"),
    town("0540", "6400", "Sønderborg", ""),
    town("0561", "6700", "Esbjerg", ""),
    town("0573", "6800", "Varde", ""),
    town("0607", "7000", "Fredericia", ""),
    town("0615", "8700", "Horsens", ""),
    town("0621", "6000", "Kolding", ""),
    town("0630", "7100", "Vejle", "Højen"),
    town("0706", "8410", "Rønde", "Thorsager"),
    town("0706", "8400", "Ebeltoft", ""),
    town("0740", "8600", "Silkeborg", ""),
    town("0751", "8000", "Aarhus C", ""),
    town("0751", "8200", "Aarhus N", ""),
    town("0787", "7700", "Thisted", "Hundborg"),
    town("0791", "8800", "Viborg", ""),
    town("0820", "9600", "Aars", ""),
    town("0860", "9800", "Hjørring", ""),
];

pub(super) static AALBORG: &[Town] = &[
    town("0851", "9000", "Aalborg", ""),
    town("0851", "9220", "Aalborg Øst", ""),
    town("0851", "9310", "Vodskov", ""),
    town("0851", "9400", "Nørresundby", "Lindholm"),
];

pub(super) static GREENLAND: &[Town] = &[
    town("0955", "3920", "Qaqortoq", ""),
    town("0956", "3900", "Nuuk", ""),
    town("0957", "3911", "Sisimiut", ""),
];

#[rustfmt::skip]
static COUNTRIES: &[Country] = &[
    Country { code: "5120", name: "Sverige", city: "S 214 20 Malmö", street: "Tallgatan" },
    Country { code: "5110", name: "Norge", city: "N 0150 Oslo", street: "Bjørkeveien" },
    Country { code: "5180", name: "Tyskland", city: "D 24937 Flensburg", street: "Große Straße" },
    Country { code: "5130", name: "Frankrig", city: "F 75011 Paris", street: "Rue de la Fête" },
    Country { code: "5150", name: "Italien", city: "I 52044 Cortona", street: "Via Vallerina" },
    Country { code: "5154", name: "Polen", city: "PL 80-831 Gdansk", street: "Ulica Morska" },
    Country { code: "5164", name: "Spanien", city: "E 29640 Fuengirola", street: "Calle de España" },
    Country { code: "5170", name: "Storbritannien", city: "London N1 9GU", street: "Mill Lane" },
    Country { code: "5172", name: "Tyrkiet", city: "TR 34000 Istanbul", street: "Deniz Caddesi" },
    Country { code: "5390", name: "USA", city: "Solvang, CA 93463", street: "Copenhagen Drive" },
    Country { code: "5902", name: "Færøerne", city: "FO 100 Tórshavn", street: "Áarvegur" },
];

#[rustfmt::skip]
const STREETS: &[&str] = &[
    "Dalsgårdsvej", "Søgade", "Nørre Tranders Vej", "Hovedgaden", "Vestergade", "Østerbrogade", "Skolevej",
    "Kirkestræde", "Møllevej", "Ågade", "Birkevej", "Strandvejen", "Rønnebærvej", "Søndergade", "Bakkevænget",
    "Jernbanegade", "Skovbrynet", "Lærkevej", "Toldbodgade", "H.C. Ørsteds Vej", "Engvej", "Plantagevej",
    "Kongensgade", "Havnegade", "Fyrrebakken", "Gammel Landevej", "Kløvervænget", "Anemonevej", "Bøgevej",
    "Store Kongens Tværgade i Hesselager Syd", "Vinkelvej", "Åboulevarden",
];

const LOCALITIES: &[&str] = &[
    "Bøgelund",
    "Gl. Skovgård",
    "Højgården",
    "Lillemølle",
    "Damhuset",
];
