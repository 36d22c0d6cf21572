//! The marks of members whom another member's event affects.

use super::super::family::{Family, Member};

/// Returns the mark of a member whom another member's event affects: the relation between the two, before the event and
/// after it.
pub(in crate::native::generate) fn derived_mark(
    before: &Family,
    after: &Family,
    main: usize,
    reached: usize,
) -> &'static str {
    if main == reached {
        return "PH";
    }
    // A newborn is not in the family before.
    let known = before.members.len();
    let before = if main.max(reached) < known {
        before
    } else {
        after
    };
    let was = |relation: fn(&Family, usize, usize) -> bool| relation(before, main, reached);
    let is = |relation: fn(&Family, usize, usize) -> bool| relation(after, main, reached);
    match (was(is_mother), is(is_mother), was(is_father), is(is_father)) {
        (true, false, false, true) => return "MF",
        (false, true, true, false) => return "FM",
        (true, true, ..) => return "MO",
        (false, true, ..) => return "NM",
        (true, false, ..) => return "TM",
        (.., true, true) => return "FA",
        (.., false, true) => return "NF",
        (.., true, false) => return "TF",
        _ => {}
    }
    match (was(is_child), is(is_child)) {
        (true, true) => return "BØ",
        (false, true) => return "NB",
        (true, false) => return "TB",
        _ => {}
    }
    let is_partnership = [before, after].iter().any(|family| {
        [main, reached].iter().any(|&place| {
            family
                .members
                .get(place)
                .is_some_and(|m| m.civil.code == "P")
        })
    });
    match (was(is_spouse), is(is_spouse), is_partnership) {
        (true, _, false) => "ÆG",
        (true, _, true) => "PA",
        (false, true, false) => "NÆ",
        (false, true, true) => "NP",
        _ if is(is_former_spouse) => match has_former_partnership(after, main) {
            true => "HP",
            false => "HÆ",
        },
        _ => "NV",
    }
}

fn is_mother(family: &Family, main: usize, reached: usize) -> bool {
    member(family, main).is_some_and(|main| main.mother.member() == Some(reached))
}

fn is_father(family: &Family, main: usize, reached: usize) -> bool {
    member(family, main).is_some_and(|main| main.father.member() == Some(reached))
}

fn is_child(family: &Family, main: usize, reached: usize) -> bool {
    is_mother(family, reached, main) || is_father(family, reached, main)
}

fn is_spouse(family: &Family, main: usize, reached: usize) -> bool {
    let spouse = |one: usize| member(family, one).and_then(Member::spouse);
    spouse(main) == Some(reached) || spouse(reached) == Some(main)
}

fn is_former_spouse(family: &Family, main: usize, reached: usize) -> bool {
    let named = |one: usize, other: usize| {
        member(family, one).is_some_and(|one| {
            let bonds = one.former_civils.iter().map(|(civil, _)| civil);
            let mut bonds = bonds.chain([&one.civil]);
            bonds.any(|civil| civil.spouse.member() == Some(other))
        })
    };
    named(main, reached) || named(reached, main)
}

fn has_former_partnership(family: &Family, place: usize) -> bool {
    member(family, place).is_some_and(|member| {
        let mut bonds = member.former_civils.iter();
        bonds.any(|(civil, _)| civil.code == "P")
    })
}

fn member(family: &Family, place: usize) -> Option<&Member> {
    family.members.get(place)
}
