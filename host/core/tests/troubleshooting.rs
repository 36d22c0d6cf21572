//! Writes `docs/troubleshooting.md` from the texts and doc comments of the error types.
//!
//! `CPRFLOW_UPDATE_DOCS=1 cargo test -p cprflow --test troubleshooting` writes it again.
#![expect(clippy::unwrap_used, reason = "a test that cannot be set up must fail")]

use std::collections::BTreeSet;
use std::fmt::Write;
use std::fs;
use std::path::{Path, PathBuf};

use syn::{Attribute, Expr, ExprLit, Item, Lit, LitStr, Meta};

/// The directories with error types, in the order of the page, each with the title of its section.
const SECTIONS: [(&str, &str); 11] = [
    ("host/cli/src", "Command line"),
    ("host/delivery/src/config", "Configuration"),
    ("host/delivery/src/sync", "Daily job"),
    ("host/delivery/src/subscription", "Subscription"),
    ("host/delivery/src/operator", "Decisions about deliveries"),
    ("host/delivery/src", "Ledger, datasets, tenants and files"),
    (
        "host/transport/src/soap",
        "Subscription service and certificates",
    ),
    ("host/transport/src", "SFTP and inboxes"),
    ("host/core/src", "Component and its limits"),
    (
        "connector/src",
        "Extracts, metadata and answers of the service",
    ),
    ("connector/redact/src", "Person numbers in texts"),
];

const HEAD: &str = "\
# Troubleshooting

The error texts of cprflow's error types, by the part that reports them. Search this page for a few words of the
message: `…` stands for what differs, for example a file or a name. The sentence after a message says when it appears.
Every entry has an anchor, so that a runbook can link to it.

- Findings in extracts, for example `count-mismatch`, and what to do: [data-model.md](data-model.md#findings).
- Faults of servers, disks and networks, and what a run does about them: [faults.md](faults.md).
- `cprflow doctor` checks a configuration, `cprflow status` says what needs attention.

| exit code | meaning |
|---|---|
| 0 | success; there may be notes |
| 1 | finished, and something needs attention |
| 2 | failed, or only a part of the work is done |

## Codes of files and deliveries that are not published

`cprflow sync` and `cprflow status` print the code of the reason in parentheses, `--format json` has it as `code`. A
delivery is also set aside for a finding, with the finding's code.

| code | state | meaning | what to do |
|---|---|---|---|
| `no-metadata` | waiting | the data file is there, its metadata file is not | wait; after a day, ask the helpdesk |
| `no-data` | waiting | the metadata file is there, its data file is not | wait; after a day, ask the helpdesk |
| `growing` | waiting | the file is still being written, or changed during the download | wait |
| `size-differs` | waiting | the file has another size than its metadata says | wait; if it does not change, ask the helpdesk |
| `name-differs` | waiting | the metadata names another file | ask the helpdesk for a new delivery |
| `gone` | waiting | the file was removed since the server listed it | see which other program uses the inbox |
| `metadata-unreadable` | waiting | the metadata file cannot be read | wait; if it does not change, ask the helpdesk |
| `unreadable` | waiting | the first bytes are no extract | look at the message; ask the helpdesk to check the file |
| `transfer-reused` | waiting | the transfer UUID belongs to another file that came before | ask the helpdesk which of them is right |
| `erasure-unfinished` | waiting | it has other numbers of erased persons, and an erasure that was begun before is not complete | see what stops the erasure; the next `cprflow sync` continues |
| `not-kept` | waiting | the register lacks the extract of this published delivery, and cannot take it from the file | look at the message; the file stays on the server |
| `foreign` | stray | a directory, or a file of another service | nothing |
| `unusable-name` | stray | the file cannot be opened safely, for example a symbolic link | ask the helpdesk for a regular file |
| `nobodys` | stray | the file fits no agreement of the inbox | check the file patterns of the agreements |
| `ambiguous` | stray | the file fits several agreements | tell them apart by their file patterns |
| `no-production-date` | set aside | the extract does not say when it was produced | `cprflow retry … --as-of DATE` |
| `future-date` | set aside | the extract says that it was produced after today | check the clock; otherwise as the message says |
| `same-content` | set aside | it has the same bytes as a published delivery | usually `cprflow set-aside` |
| `routing-mismatch` | set aside | the metadata names another sender or recipient than the configuration | ask the helpdesk whether the delivery is yours |
| `church-without-purpose` | set aside | the extract has church membership, and the configuration has no purpose for it | give a purpose, or order the extract without it |
| `gone-from-server` | set aside | it disappeared before the download was complete | ask the helpdesk for a new delivery |
| `component` | set aside | the component exceeded a limit or broke its contract | look at the message; report it |
| `by-hand` | set aside | a person decided so, with `cprflow set-aside` | `cprflow retry`, if that was wrong |
| `unknown` | set aside | the ledger has no reason | `cprflow retry` |
| `tenant-not-ready` | tenant waits | the tenant's configuration, list or key cannot be used | `cprflow tenant check` |
| `request` | tenant waits | the policy does not fit the extract or the dataset | `cprflow tenant check` |
| `memory-limit`, `deadline`, `limit` | tenant waits | the scan exceeded a limit of the tenant | raise the limit, or narrow the policy |
| `stuck` | tenant waits | the scan did not end within its deadline and was given up | report it |
| `trap`, `bug` | tenant waits | the component or cprflow has failed | report it with the message |
| `incomplete` | tenant waits | the kept extract is not complete | `cprflow doctor` |
| `permissions`, `group` | tenant waits | the directory or the group of the dataset cannot be used | correct them as the message says |
| `disk` | tenant waits | a file cannot be read or written | free space, or correct the permissions |
| `failed` | tenant waits | another error | look at the message |
| `leavers-only` | remark | the delivery was decided by hand, and the tenant got only who left | nothing |
";

/// An error text.
struct Entry {
    anchor: String,
    message: String,
    /// When the error occurs.
    meaning: String,
}

#[test]
fn troubleshooting_page_lists_every_error() {
    let mut page = HEAD.to_owned();
    let mut seen = Vec::new();
    let mut count = 0;
    for (directory, title) in SECTIONS {
        let mut entries = Vec::new();
        for file in source_files(&root().join(directory)) {
            // A directory with a section of its own is not in that of its parent.
            if !seen.contains(&file) {
                let source = fs::read_to_string(&file).unwrap();
                entries_of(&source, crate_of(&file), &mut entries);
                seen.push(file);
            }
        }
        if entries.is_empty() {
            continue;
        }
        count += entries.len();
        write!(page, "\n## {title}\n\n").unwrap();
        for entry in entries {
            let Entry {
                anchor,
                message,
                meaning,
            } = entry;
            assert!(
                !meaning.is_empty(),
                "{anchor}: write in a doc comment when this error occurs"
            );
            writeln!(page, "- <a id=\"{anchor}\"></a>**{message}** {meaning}").unwrap();
        }
    }
    assert!(count > 200, "the error types were not found");
    let codes = reason_codes();
    assert!(codes.len() > 25, "{codes:?}");
    for code in codes {
        assert!(
            page.contains(&format!("`{code}`")),
            "{code} is not on the page"
        );
    }
    let mut anchors: Vec<&str> = page
        .lines()
        .filter_map(|line| line.split('"').nth(1))
        .collect();
    let all = anchors.len();
    assert!(anchors.iter().all(|anchor| !anchor.starts_with('-')));
    anchors.sort_unstable();
    anchors.dedup();
    assert_eq!(anchors.len(), all, "two errors have the same anchor");
    let path = root().join("docs/troubleshooting.md");
    if std::env::var_os("CPRFLOW_UPDATE_DOCS").is_some() {
        fs::write(path, page).unwrap();
    } else {
        assert!(
            fs::read_to_string(&path).unwrap_or_default() == page,
            "docs/troubleshooting.md is out of date: run this test with CPRFLOW_UPDATE_DOCS=1"
        );
    }
}

/// Returns the codes of reasons for which files, deliveries and tenants wait.
fn reason_codes() -> BTreeSet<String> {
    let mut sources = Vec::new();
    for file in source_files(&root().join("host/delivery/src")) {
        if file
            .iter()
            .any(|part| part == "tests" || part == "tests.rs")
        {
            continue;
        }
        let source = fs::read_to_string(file).unwrap();
        let product = source.split("#[cfg(test)]").next().unwrap_or_default();
        sources.push(product.to_owned());
    }
    let mut codes = BTreeSet::new();
    for source in &sources {
        for after in source.split("Reason::new(").skip(1) {
            let argument = after.split([',', ')']).next().unwrap().trim();
            if let Some(code) = argument.strip_prefix('"') {
                codes.insert(code.trim_end_matches('"').to_owned());
            } else if !argument.is_empty() && argument.chars().all(|c| c.is_uppercase() || c == '_')
            {
                let definition = format!("const {argument}: &str = \"");
                let value = sources
                    .iter()
                    .find_map(|source| source.split_once(&definition));
                let (_, value) = value.unwrap_or_else(|| panic!("{argument} has no value"));
                codes.insert(value.split('"').next().unwrap().to_owned());
            }
        }
        if let Some((_, body)) = source.split_once("fn reason_code(") {
            let body = body.split("\n}").next().unwrap();
            let arms = body.split("=> \"").skip(1);
            codes.extend(arms.map(|arm| arm.split('"').next().unwrap().to_owned()));
        }
    }
    codes
}

fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../..")
}

/// Returns the source files below a directory, in the order of their names.
fn source_files(directory: &Path) -> Vec<PathBuf> {
    let mut files = Vec::new();
    let mut entries: Vec<_> = fs::read_dir(directory)
        .unwrap()
        .map(|entry| entry.unwrap().path())
        .collect();
    entries.sort();
    for path in entries {
        if path.is_dir() {
            files.extend(source_files(&path));
        } else if path.extension().is_some_and(|extension| extension == "rs") {
            files.push(path);
        }
    }
    files
}

/// Returns the name of the directory of the crate that has a source file.
fn crate_of(file: &Path) -> &str {
    let source = file.ancestors().find(|one| one.ends_with("src"));
    let name = source.and_then(|source| source.parent()?.file_name()?.to_str());
    name.unwrap()
}

/// Adds the error texts of a source file. In anchors, a type `Error` has the name of its crate.
fn entries_of(source: &str, crate_name: &str, entries: &mut Vec<Entry>) {
    let named = |name: &syn::Ident| match name.to_string().as_str() {
        "Error" => crate_name.to_owned(),
        name => name.to_owned(),
    };
    for item in syn::parse_file(source).unwrap().items {
        match item {
            Item::Enum(of) => {
                for variant in of.variants {
                    let name = format!("{}-{}", named(&of.ident), variant.ident);
                    entries.extend(entry(&name, &variant.attrs));
                }
            }
            Item::Struct(of) => entries.extend(entry(&named(&of.ident), &of.attrs)),
            _ => {}
        }
    }
}

/// Returns the text of `#[error("…")]` with the doc comment beside it; `None` if the error has no words of its own.
fn entry(name: &str, attributes: &[Attribute]) -> Option<Entry> {
    let error = attributes.iter().find(|one| one.path().is_ident("error"))?;
    let parse = |input: syn::parse::ParseStream<'_>| {
        let text = input.parse::<LitStr>()?;
        input.parse::<proc_macro2::TokenStream>()?;
        Ok(text.value())
    };
    let message = without_values(&error.parse_args_with(parse).ok()?);
    if !message.chars().any(char::is_alphabetic) {
        return None;
    }
    let docs = attributes.iter().filter_map(|one| match &one.meta {
        Meta::NameValue(doc) if doc.path.is_ident("doc") => match &doc.value {
            Expr::Lit(ExprLit {
                lit: Lit::Str(text),
                ..
            }) => Some(text.value().trim().to_owned()),
            _ => None,
        },
        _ => None,
    });
    let docs: Vec<String> = docs.collect();
    // The first paragraph; links to code are for its readers only.
    let first = docs
        .split(|line| line.is_empty())
        .next()
        .unwrap_or_default();
    let meaning = without_links(&first.join(" "));
    Some(Entry {
        anchor: kebab(name),
        message: escaped(&message),
        meaning,
    })
}

/// Returns the text with `…` in place of each value.
fn without_values(format: &str) -> String {
    let mut text = String::new();
    let mut depth = 0;
    let mut characters = format.chars().peekable();
    while let Some(character) = characters.next() {
        match character {
            '{' | '}' if characters.peek() == Some(&character) => {
                characters.next();
                text.push(character);
            }
            '{' => {
                depth += 1;
                text.push('…');
            }
            '}' => depth -= 1,
            _ if depth == 0 => text.push(character),
            _ => {}
        }
    }
    while text.contains("……") {
        text = text.replace("……", "…");
    }
    text.split_whitespace().collect::<Vec<_>>().join(" ")
}

/// Returns a doc comment without its links to code: `[text](target)` and `[text]` become `text`.
fn without_links(text: &str) -> String {
    let mut out = String::new();
    let mut rest = text.replace("Self::", "");
    while let Some((before, after)) = rest.split_once('[') {
        out.push_str(before);
        let (inside, after) = after.split_once(']').unwrap_or((after, ""));
        out.push_str(inside);
        let after = match after.strip_prefix('(') {
            Some(target) => target.split_once(')').map_or("", |(_, after)| after),
            None => after,
        };
        rest = after.to_owned();
    }
    out + &rest
}

/// Returns the text without the meaning that some characters have in Markdown. Code in backticks has none.
fn escaped(text: &str) -> String {
    let parts = text
        .split('`')
        .enumerate()
        .map(|(index, part)| match index % 2 {
            0 => part
                .replace('*', "\\*")
                .replace('<', "&lt;")
                .replace('_', "\\_"),
            _ => part.to_owned(),
        });
    parts.collect::<Vec<_>>().join("`")
}

/// Returns `UsageError-UnknownTable` as `usage-unknown-table`.
fn kebab(name: &str) -> String {
    let mut text = String::new();
    for character in name.replace("Error-", "-").chars() {
        if character.is_uppercase() && !text.is_empty() && !text.ends_with('-') {
            text.push('-');
        }
        text.extend(character.to_lowercase());
    }
    text
}
