//! Extracts in memory.

use std::fs;

use cprflow_connector::generate::{self, LayoutAge, Order, Settings};
use cprflow_connector::writer::OutputShape;

/// An extract with a name.
#[derive(Debug, Clone)]
pub struct Extract {
    /// The name for failure messages.
    pub name: String,
    /// The bytes.
    pub bytes: Vec<u8>,
}

/// Returns the public test extracts, and none if they are missing; see [`shared`](crate::shared).
pub fn public() -> Vec<Extract> {
    let Some(folder) = crate::shared("testdata") else {
        return Vec::new();
    };
    let entries = fs::read_dir(&folder).unwrap();
    let mut paths: Vec<_> = entries.map(|entry| entry.unwrap().path()).collect();
    paths.sort();
    assert!(!paths.is_empty(), "{} is empty", folder.display());
    let extract = |path: &std::path::PathBuf| Extract {
        name: path.file_name().unwrap().to_string_lossy().into_owned(),
        bytes: fs::read(path).unwrap(),
    };
    paths.iter().map(extract).collect()
}

/// Returns the status file of a generated population.
pub fn status(settings: &Settings) -> Vec<u8> {
    let mut bytes = Vec::new();
    generate::status(settings, &mut bytes).unwrap();
    bytes
}

/// Returns the change file of a generated population's first night.
pub fn changes(settings: &Settings) -> Vec<u8> {
    let mut bytes = Vec::new();
    generate::changes(settings, 1, &mut bytes).unwrap();
    bytes
}

/// Returns a status file in the default shape.
pub fn small(persons: u64, seed: u64) -> Vec<u8> {
    status(&Settings::busy(persons, seed))
}

/// Returns a status file without line ends.
pub fn packed(persons: u64, seed: u64) -> Vec<u8> {
    let mut settings = Settings::busy(persons, seed);
    settings.shape = OutputShape::Packed;
    status(&settings)
}

/// Returns an extract of every combination of kind, shape, order and layout.
pub fn every_kind(persons: u64, seed: u64) -> Vec<Extract> {
    let mut extracts = Vec::new();
    for shape in [OutputShape::Trimmed, OutputShape::Full, OutputShape::Packed] {
        for order in [Order::ByPerson, Order::SecondPass] {
            for layout in [LayoutAge::Current, LayoutAge::Original] {
                let mut settings = Settings::busy(persons, seed);
                (settings.shape, settings.order, settings.layout) = (shape, order, layout);
                let kind =
                    format!("{persons} persons, seed {seed}, {shape:?} {order:?} {layout:?}");
                extracts.push(Extract {
                    name: format!("status file of {kind}"),
                    bytes: status(&settings),
                });
                extracts.push(Extract {
                    name: format!("change file of {kind}"),
                    bytes: changes(&settings),
                });
            }
        }
    }
    extracts
}

/// Returns the lines of an extract without their line ends.
pub fn lines(bytes: &[u8]) -> Vec<Vec<u8>> {
    let mut lines: Vec<Vec<u8>> = bytes
        .split(|byte| *byte == b'\n')
        .map(<[u8]>::to_vec)
        .collect();
    if lines.last().is_some_and(Vec::is_empty) {
        lines.pop();
    }
    lines
}

/// Joins lines, each with this line end.
pub fn join(lines: &[Vec<u8>], end: &[u8]) -> Vec<u8> {
    lines
        .iter()
        .flat_map(|line| [line.as_slice(), end].concat())
        .collect()
}

/// A generator of pseudo-random numbers. The same seed gives the same numbers.
#[derive(Debug, Clone)]
pub struct Dice(u64);

impl Dice {
    /// Creates a generator with this seed.
    pub fn new(seed: u64) -> Self {
        Self(seed)
    }

    /// Returns a number below the limit.
    pub fn below(&mut self, limit: usize) -> usize {
        // SplitMix64.
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut mixed = self.0;
        mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        ((mixed ^ (mixed >> 31)) % limit as u64) as usize
    }

    /// Returns a byte that is not a line end.
    pub fn byte(&mut self) -> u8 {
        match self.below(256) as u8 {
            b'\n' | b'\r' => b'?',
            byte => byte,
        }
    }

    /// Returns a byte that is common in fields, or sometimes any byte.
    pub fn field_byte(&mut self) -> u8 {
        const USUAL: &[u8] = b"0000123456789    **+-=ABK\xc6\xd8\xe5\0\t\x7f";
        match self.below(3) {
            0 => self.byte(),
            _ => USUAL[self.below(USUAL.len())],
        }
    }
}

/// A kind of damage that does not change the line structure of a file.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Damage {
    /// Bytes of a field are overwritten.
    Overwrite,
    /// A line ends early.
    Truncate,
    /// A line continues beyond its layout.
    Tail,
    /// A record of an unknown type is inserted.
    UnknownType,
    /// A record of a new type, with a whole key and text, is inserted.
    NewType,
    /// A line that is not a record is inserted.
    Junk,
    /// A blank line is inserted.
    Blank,
}

/// Every kind of damage.
pub const EVERY_DAMAGE: &[Damage] = &[
    Damage::Overwrite,
    Damage::Truncate,
    Damage::Tail,
    Damage::UnknownType,
    Damage::Junk,
    Damage::Blank,
];

/// Damages lines `times` times. The first 27 bytes of the start record are not changed, because without them the
/// file is not an extract.
pub fn damage(lines: &mut Vec<Vec<u8>>, dice: &mut Dice, times: usize, kinds: &[Damage]) {
    const KEY: usize = 13;
    for _ in 0..times {
        // The start record is not changed.
        let place = 1 + dice.below(lines.len() - 1);
        match kinds[dice.below(kinds.len())] {
            Damage::Overwrite => {
                let line = &mut lines[place];
                if line.len() > KEY {
                    let from = KEY + dice.below(line.len() - KEY);
                    let to = (from + 1 + dice.below(12)).min(line.len());
                    line[from..to].fill_with(|| dice.field_byte());
                }
            }
            Damage::Truncate => {
                let length = 1 + dice.below(lines[place].len().max(1));
                lines[place].truncate(length);
            }
            Damage::Tail => {
                let line = &mut lines[place];
                let full = line.len().max(dice.below(500));
                line.resize(full, b' ');
                let more = 1 + dice.below(20);
                line.extend((0..more).map(|_| dice.byte()));
            }
            Damage::UnknownType => {
                let number = ["036", "061", "777", "998"][dice.below(4)];
                let mut line = number.as_bytes().to_vec();
                line.extend((0..dice.below(80)).map(|_| dice.field_byte()));
                lines.insert(place, line);
            }
            Damage::NewType => {
                let (day, serial) = (1 + dice.below(28), dice.below(1000));
                let text = format!("036{day:02}0170{serial:04}A RECORD OF A NEW TYPE");
                lines.insert(place, text.into_bytes());
            }
            Damage::Junk => {
                let junk = (0..dice.below(60)).map(|_| dice.byte());
                lines.insert(place, [b"?".to_vec(), junk.collect()].concat());
            }
            Damage::Blank => lines.insert(place, vec![b' '; dice.below(40)]),
        }
        // A record of 366 bytes marks another CPR product, which cprflow rejects.
        if lines[place].len() == 366 {
            lines[place].push(b'!');
        }
    }
}
