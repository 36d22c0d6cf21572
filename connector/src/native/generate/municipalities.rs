//! The 98 municipalities of Denmark, with a town of each and its share of the population.

use super::places::{Town, town};
use super::rng::Rng;

/// Returns the town of a random municipality. The chance of a municipality is its share of the population.
pub(super) fn draw(rng: &mut Rng) -> &'static Town {
    let mut left = rng.below(TOTAL);
    for (town, thousands) in MUNICIPALITIES {
        if left < *thousands {
            return town;
        }
        left -= thousands;
    }
    &MUNICIPALITIES[0].0
}

/// The sum of the weights.
const TOTAL: u32 = {
    let (mut sum, mut place) = (0, 0);
    while place < MUNICIPALITIES.len() {
        sum += MUNICIPALITIES[place].1;
        place += 1;
    }
    sum
};

/// A town of each municipality, and the municipality's inhabitants in thousands.
#[rustfmt::skip]
static MUNICIPALITIES: &[(Town, u32)] = &[
    (town("0101", "2100", "København Ø", ""), 660),
    (town("0147", "2000", "Frederiksberg", ""), 105),
    (town("0151", "2750", "Ballerup", ""), 52),
    (town("0153", "2605", "Brøndby", ""), 39),
    (town("0155", "2791", "Dragør", ""), 15),
    (town("0157", "2900", "Hellerup", ""), 75),
    (town("0159", "2860", "Søborg", ""), 69),
    (town("0161", "2600", "Glostrup", ""), 24),
    (town("0163", "2730", "Herlev", ""), 30),
    (town("0165", "2620", "Albertslund", ""), 28),
    (town("0167", "2650", "Hvidovre", ""), 54),
    (town("0169", "2630", "Taastrup", ""), 58),
    (town("0173", "2800", "Kongens Lyngby", ""), 59),
    (town("0175", "2610", "Rødovre", ""), 44),
    (town("0183", "2635", "Ishøj", ""), 24),
    (town("0185", "2770", "Kastrup", ""), 44),
    (town("0187", "2665", "Vallensbæk Strand", ""), 17),
    (town("0190", "3500", "Værløse", ""), 42),
    (town("0201", "3450", "Allerød", ""), 26),
    (town("0210", "3480", "Fredensborg", ""), 42),
    (town("0217", "3000", "Helsingør", ""), 64),
    (town("0219", "3400", "Hillerød", ""), 55),
    (town("0223", "2970", "Hørsholm", ""), 25),
    (town("0230", "2840", "Holte", ""), 57),
    (town("0240", "3660", "Stenløse", ""), 45),
    (town("0250", "3600", "Frederikssund", ""), 47),
    (town("0253", "2670", "Greve", ""), 52),
    (town("0259", "4600", "Køge", ""), 63),
    (town("0260", "3300", "Frederiksværk", ""), 32),
    (town("0265", "4000", "Roskilde", ""), 91),
    (town("0269", "2680", "Solrød Strand", ""), 25),
    (town("0270", "3200", "Helsinge", ""), 42),
    (town("0306", "4500", "Nykøbing Sj", ""), 33),
    (town("0316", "4300", "Holbæk", ""), 74),
    (town("0320", "4690", "Haslev", ""), 38),
    (town("0326", "4400", "Kalundborg", ""), 49),
    (town("0329", "4100", "Ringsted", ""), 36),
    (town("0330", "4200", "Slagelse", ""), 80),
    (town("0336", "4660", "Store Heddinge", ""), 24),
    (town("0340", "4180", "Sorø", ""), 31),
    (town("0350", "4330", "Hvalsø", ""), 29),
    (town("0360", "4930", "Maribo", ""), 40),
    (town("0370", "4700", "Næstved", ""), 84),
    (town("0376", "4800", "Nykøbing F", ""), 60),
    (town("0390", "4760", "Vordingborg", ""), 45),
    (town("0400", "3700", "Rønne", ""), 39),
    (town("0410", "5500", "Middelfart", ""), 40),
    (town("0420", "5610", "Assens", ""), 41),
    (town("0430", "5600", "Faaborg", ""), 52),
    (town("0440", "5300", "Kerteminde", ""), 24),
    (town("0450", "5800", "Nyborg", ""), 32),
    (town("0461", "5000", "Odense C", ""), 209),
    (town("0479", "5700", "Svendborg", ""), 60),
    (town("0480", "5400", "Bogense", ""), 30),
    (town("0482", "5900", "Rudkøbing", ""), 12),
    (town("0492", "5970", "Ærøskøbing", ""), 6),
    (town("0510", "6100", "Haderslev", ""), 55),
    (town("0530", "7190", "Billund", ""), 27),
    (town("0540", "6400", "Sønderborg", ""), 74),
    (town("0550", "6270", "Tønder", ""), 36),
    (town("0561", "6700", "Esbjerg", ""), 115),
    (town("0563", "6720", "Fanø", ""), 3),
    (town("0573", "6800", "Varde", ""), 49),
    (town("0575", "6600", "Vejen", ""), 42),
    (town("0580", "6200", "Aabenraa", ""), 59),
    (town("0607", "7000", "Fredericia", ""), 52),
    (town("0615", "8700", "Horsens", ""), 97),
    (town("0621", "6000", "Kolding", ""), 95),
    (town("0630", "7100", "Vejle", ""), 122),
    (town("0657", "7400", "Herning", ""), 90),
    (town("0661", "7500", "Holstebro", ""), 59),
    (town("0665", "7620", "Lemvig", ""), 19),
    (town("0671", "7600", "Struer", ""), 21),
    (town("0706", "8400", "Ebeltoft", ""), 44),
    (town("0707", "8500", "Grenaa", ""), 37),
    (town("0710", "8370", "Hadsten", ""), 50),
    (town("0727", "8300", "Odder", ""), 24),
    (town("0730", "8900", "Randers C", ""), 100),
    (town("0740", "8600", "Silkeborg", ""), 100),
    (town("0741", "8305", "Samsø", ""), 4),
    (town("0746", "8660", "Skanderborg", ""), 66),
    (town("0751", "8000", "Aarhus C", ""), 373),
    (town("0756", "7430", "Ikast", ""), 43),
    (town("0760", "6950", "Ringkøbing", ""), 56),
    (town("0766", "8722", "Hedensted", ""), 49),
    (town("0773", "7900", "Nykøbing M", ""), 20),
    (town("0779", "7800", "Skive", ""), 44),
    (town("0787", "7700", "Thisted", ""), 43),
    (town("0791", "8800", "Viborg", ""), 98),
    (town("0810", "9460", "Brovst", ""), 38),
    (town("0813", "9900", "Frederikshavn", ""), 58),
    (town("0820", "9600", "Aars", ""), 36),
    (town("0825", "9940", "Læsø", ""), 2),
    (town("0840", "9530", "Støvring", ""), 31),
    (town("0846", "9500", "Hobro", ""), 41),
    (town("0849", "9440", "Aabybro", ""), 39),
    (town("0851", "9000", "Aalborg", ""), 225),
    (town("0860", "9800", "Hjørring", ""), 63),
];

#[cfg(test)]
mod tests {
    use super::*;
    use crate::codes::code_table_named;

    #[test]
    fn every_municipality_of_today_is_there_once() {
        let known = code_table_named("municipality").unwrap();
        let of_today = known.codes.iter().filter(|code| code.more[0].is_some());
        let of_today: Vec<_> = of_today.map(|code| code.code).collect();
        let codes: Vec<_> = MUNICIPALITIES
            .iter()
            .map(|(town, _)| town.municipality_code)
            .collect();
        assert_eq!(codes, of_today);
        assert_eq!(codes.len(), 98);
    }
}
