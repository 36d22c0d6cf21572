//! The long lists of the tenants' policies. Lines that several tenants have are shown once.

use std::collections::BTreeMap;

use crate::model::{PolicySection, TenantReport};

/// A section with more lines is shown as a list. Only lists are shared.
const SHORT: usize = 3;

/// Lines that the same tenants have.
pub(crate) struct SharedList<'a> {
    /// The number of the list on the page, from 1.
    pub(crate) number: usize,
    /// The label of the section.
    pub(crate) label: &'a str,
    /// The names of the tenants.
    pub(crate) tenants: String,
    pub(crate) lines: Vec<&'a str>,
    /// The places of the tenants in the report.
    members: Vec<usize>,
}

/// A list of one tenant.
pub(crate) struct TenantList<'a> {
    /// The label of the section.
    pub(crate) label: &'a str,
    /// The number of lines, with those in shared lists.
    pub(crate) length: usize,
    /// The lines that are in no shared list.
    pub(crate) own: Vec<&'a str>,
    pub(crate) shared: Vec<Reference>,
}

/// A shared list that has lines of a tenant.
pub(crate) struct Reference {
    /// The number of the list on the page.
    pub(crate) number: usize,
    /// What the lines are about: the names of the tables or classes.
    pub(crate) subjects: String,
}

impl PolicySection {
    /// Returns whether the section is shown as a list.
    pub(crate) const fn is_list(&self) -> bool {
        self.lines.len() > SHORT
    }
}

/// Returns the lines that several tenants have, in the order of the first tenant that has them.
pub(crate) fn shared_lists(tenants: &[TenantReport]) -> Vec<SharedList<'_>> {
    let mut members: BTreeMap<(&str, &str), Vec<usize>> = BTreeMap::new();
    for (place, label, line) in list_lines(tenants) {
        let places = members.entry((label, line)).or_default();
        if !places.contains(&place) {
            places.push(place);
        }
    }
    let mut lists: Vec<SharedList<'_>> = Vec::new();
    for (place, label, line) in list_lines(tenants) {
        let Some(places) = members.get(&(label, line)) else {
            continue;
        };
        // Each line is taken once, from the first tenant that has it.
        if places.len() < 2 || places.first() != Some(&place) {
            continue;
        }
        let known = lists
            .iter_mut()
            .find(|list| list.label == label && list.members == *places);
        match known {
            Some(list) => list.lines.push(line),
            None => lists.push(SharedList {
                number: lists.len() + 1,
                label,
                tenants: names(tenants, places),
                lines: vec![line],
                members: places.clone(),
            }),
        }
    }
    lists
}

/// Returns the lists of the tenant at a place in the report.
pub(crate) fn tenant_lists<'a>(
    tenant: &'a TenantReport,
    place: usize,
    shared: &[SharedList<'_>],
) -> Vec<TenantList<'a>> {
    let sections = tenant.policy.iter().filter(|section| section.is_list());
    sections
        .map(|section| {
            let of_section: Vec<_> = shared
                .iter()
                .filter(|list| list.label == section.label && list.members.contains(&place))
                .collect();
            let is_shared = |line: &&str| of_section.iter().any(|list| list.lines.contains(line));
            TenantList {
                label: &section.label,
                length: section.lines.len(),
                own: section
                    .lines
                    .iter()
                    .map(String::as_str)
                    .filter(|line| !is_shared(line))
                    .collect(),
                shared: of_section.iter().map(|list| reference(list)).collect(),
            }
        })
        .collect()
}

/// Returns each line of a list with the place of its tenant and the label of its section.
fn list_lines(tenants: &[TenantReport]) -> impl Iterator<Item = (usize, &str, &str)> {
    tenants.iter().enumerate().flat_map(|(place, tenant)| {
        let sections = tenant.policy.iter().filter(|section| section.is_list());
        sections.flat_map(move |section| {
            let lines = section.lines.iter();
            lines.map(move |line| (place, section.label.as_str(), line.as_str()))
        })
    })
}

fn names(tenants: &[TenantReport], places: &[usize]) -> String {
    let names = places.iter().filter_map(|place| tenants.get(*place));
    let names: Vec<_> = names.map(|tenant| tenant.name.as_str()).collect();
    names.join(", ")
}

fn reference(list: &SharedList<'_>) -> Reference {
    let subjects = list.lines.iter().map(|line| subject(line));
    Reference {
        number: list.number,
        subjects: subjects.collect::<Vec<_>>().join(", "),
    }
}

/// Returns what a line is about: the name before the colon, or the whole line.
fn subject(line: &str) -> &str {
    line.split_once(": ").map_or(line, |(subject, _)| subject)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn tenant(name: &str, lines: &[&str]) -> TenantReport {
        TenantReport {
            name: name.to_owned(),
            policy: vec![
                PolicySection {
                    label: "numbers".to_owned(),
                    lines: vec!["person numbers are shown".to_owned()],
                },
                PolicySection {
                    label: "sees".to_owned(),
                    lines: lines.iter().map(|line| (*line).to_owned()).collect(),
                },
            ],
            ..TenantReport::default()
        }
    }

    #[test]
    fn takes_each_shared_line_once() {
        let tenants = [
            tenant("a", &["all columns of child", "x: p, q", "y: p", "z: p"]),
            tenant("b", &["x: p, q", "y: p", "z: p, q", "w: p"]),
            tenant("c", &["x: p, q", "w: p", "v: p", "u: p"]),
            // Three lines are no list.
            tenant("d", &["x: p, q", "y: p", "z: p"]),
        ];
        let shared = shared_lists(&tenants);
        let shown: Vec<_> = shared
            .iter()
            .map(|list| {
                (
                    list.number,
                    list.label,
                    list.tenants.as_str(),
                    list.lines.join(" | "),
                )
            })
            .collect();
        assert_eq!(
            shown,
            [
                (1, "sees", "a, b, c", "x: p, q".to_owned()),
                (2, "sees", "a, b", "y: p".to_owned()),
                (3, "sees", "b, c", "w: p".to_owned()),
            ]
        );
        let own: Vec<_> = tenants
            .iter()
            .enumerate()
            .map(|(place, tenant)| {
                let lists = tenant_lists(tenant, place, &shared);
                let list = lists.into_iter().next();
                list.map(|list| {
                    let references = list.shared.iter();
                    let references = references.map(|one| (one.number, one.subjects.clone()));
                    (
                        list.length,
                        list.own.join(" | "),
                        references.collect::<Vec<_>>(),
                    )
                })
            })
            .collect();
        let references = |list: &[(usize, &str)]| -> Vec<(usize, String)> {
            let list = list.iter();
            list.map(|(number, subjects)| (*number, (*subjects).to_owned()))
                .collect()
        };
        assert_eq!(
            own,
            [
                Some((
                    4,
                    "all columns of child | z: p".to_owned(),
                    references(&[(1, "x"), (2, "y")])
                )),
                Some((
                    4,
                    "z: p, q".to_owned(),
                    references(&[(1, "x"), (2, "y"), (3, "w")])
                )),
                Some((
                    4,
                    "v: p | u: p".to_owned(),
                    references(&[(1, "x"), (3, "w")])
                )),
                None,
            ]
        );
    }

    #[test]
    fn a_tenant_alone_has_its_whole_list() {
        let tenants = [tenant("a", &["x: p", "y: p", "z: p", "z: p"])];
        let shared = shared_lists(&tenants);
        assert!(shared.is_empty());
        let lists = tenant_lists(&tenants[0], 0, &shared);
        assert_eq!(lists.len(), 1);
        assert_eq!(lists[0].own, ["x: p", "y: p", "z: p", "z: p"]);
    }
}
