//! Persons of special shapes, with the protection that each must get.
//!
//! Every shape says, from the way it is made, which of its numbers are protected. Nothing here is computed from the
//! finished extract, so neither the oracle nor the product can share a mistake with it.

use std::collections::BTreeSet;

/// One or several person numbers of one kind. Numbers are counted from 0 within the shape.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Shape {
    /// A person without anything special.
    Ordinary,
    /// A 004 of type 0001, with these dates.
    Protected(Dates),
    /// Two 004 of type 0001: one is deleted, one is not.
    ProtectedTwice,
    /// A 004 of another type: an index of [`OTHER_TYPES`].
    OtherProtection(u8),
    /// A 004 whose type is not four digits: an index of [`UNREADABLE_TYPES`].
    UnreadableType(u8),
    /// A damaged 004 whose number can be read: an index of [`DAMAGES`].
    Damaged(u8),
    /// A line that is no record of a known type, and no sign of a 004: an index of [`HARMLESS`].
    Harmless(u8),
    /// Changes of the number: number 0 was replaced by number 1, and so on. The last number is valid.
    Chain(Chain),
    /// Replaced numbers that name each other in a circle of this length, from 1 on.
    Circle {
        /// The count of numbers in the circle.
        length: u8,
        /// The number with a 004.
        protected: Option<u8>,
        /// Whether a valid person has a 022 that names number 0.
        has_outsider: bool,
    },
    /// A valid person with a 022 whose former number is not in the extract.
    FormerAlone,
    /// A valid person whose 001 names another number, which is not in the extract.
    CurrentAlone,
    /// A valid person whose 001 names another valid person, who is protected.
    CurrentOfProtected,
    /// A person with two 001.
    Twice {
        /// Whether they differ.
        differ: bool,
    },
    /// Records without a 001.
    WithoutPerson,
    /// Number 0 has a record of this relative, number 1, with a start date of protection: 0 for the mother (031), 1 for
    /// the father (032), 2 for a child (033).
    RelativeWithDate(u8),
    /// A person with a receipt (997).
    Unsubscribed,
    /// A person with a status that ends the scope, and perhaps with a receipt.
    Ended {
        /// The status: an index of [`ENDED`].
        status: u8,
        /// Whether there is a receipt.
        is_unsubscribed: bool,
    },
}

/// The dates of a protection.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Dates {
    /// None.
    None,
    /// It has begun.
    Begun,
    /// It begins after the extract.
    Planned,
    /// Its deletion date is past.
    Ended,
    /// Its deletion date is in the future.
    Ending,
    /// They are no dates.
    Irregular,
}

impl Dates {
    /// All of them.
    pub const ALL: [Self; 6] = [
        Self::None,
        Self::Begun,
        Self::Planned,
        Self::Ended,
        Self::Ending,
        Self::Irregular,
    ];

    /// Returns what a 004 has after its type.
    pub const fn text(self) -> &'static str {
        match self {
            Self::None => "",
            Self::Begun => "2001-05-17",
            Self::Planned => "2031-05-17",
            Self::Ended => "2001-05-172020-05-17",
            Self::Ending => "2001-05-172031-05-17",
            Self::Irregular => "2026-00-00??????????",
        }
    }
}

/// A chain of changes of the number.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Chain {
    /// The count of changes. The chain has one number more.
    pub changes: u8,
    /// The number with a 004.
    pub protected: Option<u8>,
    /// How each link is told: two bits for each.
    pub links: u16,
    /// What the extract lacks.
    pub lost: Lost,
    /// The replaced numbers with status 50 instead of 60, as bits.
    pub deleted: u8,
}

/// What the extract lacks of a chain.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Lost {
    /// Nothing.
    Nothing,
    /// All records of this number.
    Number(u8),
    /// The link from this number to the next.
    Link(u8),
}

/// How a link of a chain is told.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Link {
    /// By the valid number in the 001 of the replaced one.
    Current,
    /// By a 022 of the number that replaced it.
    Former,
    /// By both.
    Both,
}

/// The types of protection that are not of name and address.
pub const OTHER_TYPES: [&str; 4] = ["0002", "0003", "0004", "0005"];

/// Statuses of persons who are no residents. None is that of a replaced number.
pub const ENDED: [&str; 5] = ["90", "70", "80", "30", "20"];

/// Types that are not four digits.
pub const UNREADABLE_TYPES: [&str; 7] = ["", "1", " 1", "\t", "000", "1   ", "0 01"];

/// Damaged 004 whose number can be read. `%` stands for the first six digits of the number, `#` for the others.
pub const DAMAGES: [&str; 13] = [
    "004% #0001",
    "004%-#00012026-01-01",
    " 004%#0001",
    "\t004%#0001",
    "0O4%#0001",
    "004\t%#0001",
    "004% #",
    "OO4%#0001",
    "  4%#0001",
    "0 04%#0001",
    "X004%#00012026-01-01",
    // Two of them on one line.
    "004%#0001004%#0001",
    // The line end between two records is lost.
    "007%#             004%#0001",
];

/// Lines that say nothing of a protection: a blank one, and records of a new type.
pub const HARMLESS: [&str; 3] = ["777%#UKENDT", "  ", "777%#TEXT 2026-01-01*202603011011"];

/// The part that a number has in its shape, as far as its records depend on it.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Part {
    /// Whether the number has records at all.
    pub is_there: bool,
    /// Whether one of them is a 001.
    pub has_person: bool,
    /// The status, if the shape decides it.
    pub status: Option<&'static str>,
    /// The number that its 001 names as valid.
    pub current: Option<u8>,
    /// The number that its 022 names.
    pub former: Option<u8>,
    /// Whether it is protected by what the shape says; a number without a 001 is so in any case.
    pub is_protected: bool,
    /// Whether the roster does not change for it.
    pub is_uncertain: bool,
}

impl Shape {
    /// The numbers that a shape can use.
    pub const NUMBERS: u8 = 7;

    /// Returns the parts of its numbers.
    pub fn parts(self) -> Vec<Part> {
        let ordinary = Part {
            is_there: true,
            has_person: true,
            ..Part::default()
        };
        let protected = Part {
            is_protected: true,
            ..ordinary.clone()
        };
        let absent = Part::default();
        match self {
            Self::Ordinary
            | Self::OtherProtection(_)
            | Self::Harmless(_)
            | Self::Twice { differ: false }
            | Self::Unsubscribed => vec![ordinary],
            Self::Ended { status, .. } => vec![Part {
                status: Some(ENDED[usize::from(status) % ENDED.len()]),
                ..ordinary
            }],
            Self::Protected(_) | Self::ProtectedTwice | Self::UnreadableType(_) => vec![protected],
            Self::Damaged(_) | Self::Twice { differ: true } => vec![Part {
                is_uncertain: true,
                ..protected
            }],
            Self::Chain(chain) => chain.parts(),
            Self::Circle {
                length,
                protected,
                has_outsider,
            } => {
                let of_circle = |number| Part {
                    status: Some("60"),
                    current: Some((number + 1) % length),
                    is_protected: true,
                    ..ordinary.clone()
                };
                let outsider = Part {
                    former: Some(0),
                    // A 022 ties the numbers, so a protection known by a 004 covers both.
                    is_protected: protected.is_some(),
                    ..ordinary.clone()
                };
                let circle = (0..length).map(of_circle);
                circle.chain(has_outsider.then_some(outsider)).collect()
            }
            Self::FormerAlone => vec![
                Part {
                    former: Some(1),
                    ..ordinary
                },
                absent,
            ],
            Self::CurrentAlone => vec![
                Part {
                    current: Some(1),
                    status: Some("01"),
                    ..ordinary
                },
                absent,
            ],
            Self::CurrentOfProtected => vec![
                Part {
                    current: Some(1),
                    status: Some("01"),
                    ..protected.clone()
                },
                protected,
            ],
            Self::WithoutPerson => vec![Part {
                has_person: false,
                ..ordinary
            }],
            Self::RelativeWithDate(_) => vec![ordinary, protected],
        }
    }

    /// Returns whether number 0 has a receipt.
    pub const fn is_unsubscribed(self) -> bool {
        matches!(
            self,
            Self::Unsubscribed
                | Self::Ended {
                    is_unsubscribed: true,
                    ..
                }
        )
    }

    /// Returns the numbers with a 004 of type 0001.
    pub fn with_protection(self) -> Vec<u8> {
        match self {
            Self::Protected(_) | Self::ProtectedTwice => vec![0],
            Self::Chain(chain) => {
                let is_there = |number: &u8| chain.lost != Lost::Number(*number);
                chain.protected.into_iter().filter(is_there).collect()
            }
            Self::Circle { protected, .. } => protected.into_iter().collect(),
            Self::CurrentOfProtected => vec![1],
            _ => Vec::new(),
        }
    }
}

impl Chain {
    /// Returns how the link from this number to the next is told.
    pub const fn link(self, number: u8) -> Link {
        match self.links >> (2 * number) & 3 {
            0 => Link::Current,
            1 => Link::Former,
            _ => Link::Both,
        }
    }

    fn parts(self) -> Vec<Part> {
        let mut parts: Vec<Part> = (0..=self.changes).map(|number| self.part(number)).collect();
        // A link can be read if the record that tells it is there.
        let is_tied = |from: u8| {
            let is_there = |number: u8| self.lost != Lost::Number(number);
            let by_current = self.link(from) != Link::Former && is_there(from);
            let by_former = self.link(from) != Link::Current && is_there(from + 1);
            self.lost != Lost::Link(from) && (by_current || by_former)
        };
        let is_there = |number: u8| self.lost != Lost::Number(number);
        if let Some(protected) = self.protected.filter(|number| is_there(*number)) {
            let mut first = protected;
            while first > 0 && is_tied(first - 1) {
                first -= 1;
            }
            let mut last = protected;
            while last < self.changes && is_tied(last) {
                last += 1;
            }
            for part in &mut parts[first.into()..=last.into()] {
                part.is_protected = true;
            }
        }
        // A replaced number is protected if the way to the valid one ends before it.
        for number in 0..self.changes {
            let mut at = number;
            while at < self.changes && is_there(at) && is_tied(at) {
                at += 1;
            }
            if at < self.changes || !is_there(at) {
                parts[usize::from(number)].is_protected |= is_there(number);
            }
        }
        parts
    }

    fn part(self, number: u8) -> Part {
        if self.lost == Lost::Number(number) {
            return Part::default();
        }
        let is_valid = number == self.changes;
        let status = match self.deleted >> number & 1 {
            0 => "60",
            _ => "50",
        };
        let tells =
            |from: u8, other: Link| self.link(from) != other && self.lost != Lost::Link(from);
        Part {
            is_there: true,
            has_person: true,
            status: (!is_valid).then_some(status),
            current: (!is_valid && tells(number, Link::Former)).then_some(number + 1),
            former: (number > 0 && tells(number - 1, Link::Current)).then(|| number - 1),
            ..Part::default()
        }
    }
}

/// Who must be treated as protected in an extract, by the way it was made.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Truth {
    /// Persons with a 001.
    pub delivered: BTreeSet<String>,
    /// Protected persons with a 001.
    pub protected: BTreeSet<String>,
    /// Persons for whom the roster does not change.
    pub uncertain: BTreeSet<String>,
    /// Whether a protection may belong to any person.
    pub is_anybody: bool,
}

impl Truth {
    /// Returns whether the person must be treated as protected.
    pub fn is_protected(&self, number: &str) -> bool {
        self.is_anybody || self.protected.contains(number) || !self.delivered.contains(number)
    }
}
