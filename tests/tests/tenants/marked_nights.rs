//! Persons of special shapes over several nights: random ones that proptest can shrink, and every shape there is.
#![expect(clippy::unwrap_used, reason = "a test that cannot be set up must fail")]

use cprflow_tests::marked::Nights;
use cprflow_tests::marked::shape::{
    Chain, DAMAGES, Dates, HARMLESS, Lost, OTHER_TYPES, Shape, UNREADABLE_TYPES,
};
use proptest::prelude::*;

/// Returns persons of special shapes over three nights. In the first, all are delivered.
pub(crate) fn nights() -> impl Strategy<Value = Nights> {
    let later = || prop::option::weighted(0.7, shape());
    let group = (shape(), later(), later());
    let group = group.prop_map(|(first, second, third)| vec![Some(first), second, third]);
    let unreadable = prop::option::weighted(0.15, 0..3_usize);
    (prop::collection::vec(group, 4..9), unreadable, any::<u64>()).prop_map(
        |(shapes, unreadable, seed)| Nights {
            shapes,
            unreadable,
            seed,
            is_small: false,
        },
    )
}

fn shape() -> impl Strategy<Value = Shape> {
    let chain = (1..=5_u8, 0..12_u8, any::<u16>(), 0..24_u8, any::<u8>());
    let chain = chain.prop_map(|(changes, protected, links, lost, deleted)| Chain {
        changes,
        protected: Some(protected).filter(|number| *number <= changes),
        links,
        lost: match lost {
            0..6 => Lost::Number(lost % (changes + 1)),
            6..11 => Lost::Link(lost % changes),
            _ => Lost::Nothing,
        },
        deleted,
    });
    let circle = (1..=4_u8, 0..8_u8, any::<bool>());
    prop_oneof![
        4 => Just(Shape::Ordinary),
        2 => prop::sample::select(&Dates::ALL[..]).prop_map(Shape::Protected),
        1 => Just(Shape::ProtectedTwice),
        1 => any::<u8>().prop_map(Shape::OtherProtection),
        1 => any::<u8>().prop_map(Shape::UnreadableType),
        1 => any::<u8>().prop_map(Shape::Damaged),
        1 => any::<u8>().prop_map(Shape::Harmless),
        4 => chain.prop_map(Shape::Chain),
        1 => circle.prop_map(|(length, protected, has_outsider)| Shape::Circle {
            length,
            protected: Some(protected).filter(|number| *number < length),
            has_outsider,
        }),
        1 => Just(Shape::FormerAlone),
        1 => Just(Shape::CurrentAlone),
        1 => Just(Shape::CurrentOfProtected),
        1 => any::<bool>().prop_map(|differ| Shape::Twice { differ }),
        1 => Just(Shape::WithoutPerson),
        1 => any::<u8>().prop_map(Shape::RelativeWithDate),
        1 => Just(Shape::Unsubscribed),
        1 => (any::<u8>(), any::<bool>()).prop_map(|(status, is_unsubscribed)| Shape::Ended {
            status,
            is_unsubscribed,
        }),
    ]
}

/// Returns every shape: every chain of up to five changes, with a protection at every place and with every kind of
/// gap, and every other shape in all its forms.
pub(crate) fn every_shape() -> Vec<Shape> {
    let mut shapes = vec![
        Shape::Ordinary,
        Shape::ProtectedTwice,
        Shape::FormerAlone,
        Shape::CurrentAlone,
        Shape::CurrentOfProtected,
        Shape::Twice { differ: false },
        Shape::Twice { differ: true },
        Shape::WithoutPerson,
        Shape::Unsubscribed,
    ];
    let indexes = |count: usize| 0..u8::try_from(count).unwrap();
    shapes.extend(Dates::ALL.map(Shape::Protected));
    shapes.extend(indexes(OTHER_TYPES.len()).map(Shape::OtherProtection));
    shapes.extend(indexes(UNREADABLE_TYPES.len()).map(Shape::UnreadableType));
    shapes.extend(indexes(DAMAGES.len()).map(Shape::Damaged));
    shapes.extend(indexes(HARMLESS.len()).map(Shape::Harmless));
    shapes.extend((0..3).map(Shape::RelativeWithDate));
    let places = |count: u8| std::iter::once(None).chain((0..count).map(Some));
    for length in 1..=4 {
        for protected in places(length) {
            shapes.extend([false, true].map(|has_outsider| Shape::Circle {
                length,
                protected,
                has_outsider,
            }));
        }
    }
    for changes in 1..=5 {
        let numbers = (0..=changes).map(Lost::Number);
        let links = (0..changes).map(Lost::Link);
        for lost in [Lost::Nothing].into_iter().chain(numbers).chain(links) {
            for protected in places(changes + 1) {
                // All by 001, all by 022, and by turns.
                for links in [0, 0x5555, 0x9324] {
                    shapes.push(Shape::Chain(Chain {
                        changes,
                        protected,
                        links,
                        lost,
                        deleted: 0b1010,
                    }));
                }
            }
        }
    }
    shapes
}
