//! The page in four states: what it shows, that it needs no network and no script, and how Chromium lays it out.
#![expect(clippy::unwrap_used, reason = "a test that cannot be set up must fail")]

mod support;

use std::path::{Path, PathBuf};
use std::process::Command;

use cprflow_report::Report;

fn states() -> [(&'static str, Report); 4] {
    [
        ("first-day", support::first_day()),
        ("year", support::year()),
        ("trouble", support::trouble()),
        ("tenants", support::tenants()),
    ]
}

/// Returns how often a text occurs in a page.
fn count(page: &str, text: &str) -> usize {
    page.matches(text).count()
}

#[test]
fn needs_no_network_and_no_script() {
    for (name, report) in states() {
        let page = report.html().unwrap();
        for forbidden in [
            "<script",
            "<link",
            "<img",
            "<iframe",
            "<object",
            "http:",
            "https:",
            "url(",
            "@import",
            "src=",
            "javascript:",
            " on",
        ] {
            let found = match forbidden {
                // Handlers of events, such as onclick=.
                " on" => page.split(" on").skip(1).any(|rest| {
                    rest.split_once('=').is_some_and(|(name, _)| {
                        !name.is_empty() && name.bytes().all(|byte| byte.is_ascii_lowercase())
                    })
                }),
                _ => page.contains(forbidden),
            };
            assert!(!found, "{name} has {forbidden}");
        }
        assert!(page.contains("default-src 'none'"));
    }
}

#[test]
fn the_first_day_says_what_is_missing() {
    let page = support::first_day().html().unwrap();
    for text in [
        "Nothing needs attention; 2 notes",
        "About the dataset /srv/cprflow/dataset.",
        "<li>it lacks 1 delivery of agreement roskilde</li>",
        "The inbox was never checked.",
        "No delivery is published.",
        "The deliveries have no findings.",
        "No delivery and no file waits.",
        "No person has left the scope.",
        "not stated",
        "700 days left",
    ] {
        assert!(page.contains(text), "{text}");
    }
}

#[test]
fn a_year_shows_nights_volumes_and_tenants() {
    let report = support::year();
    let page = report.html().unwrap();
    assert_eq!(count(&page, "class=\"month\""), 13);
    let gaps = report.agreements[0].days.iter();
    let gaps = gaps
        .filter(|day| day.kind == cprflow_report::DayKind::Gap)
        .count();
    assert_eq!(count(&page, ": no delivery\">"), gaps);
    assert!(gaps > 3);
    assert_eq!(
        count(&page, "1\u{202f}650\u{202f}000 records"),
        1,
        "the full load"
    );
    assert_eq!(
        count(&page, "class=\"night step4\""),
        2,
        "the full load and the legend"
    );
    for text in [
        "<b>March 2026</b>",
        "<b>Mo</b><b>Tu</b>",
        "working day without a delivery: normal if",
        "irregular-value",
        "12\u{202f}033",
        "143 days left",
        "A01</code> Move",
        "Folkeskoleloven § 36",
        "Another policy came into force on 2026-06-15.",
        "class=\"mark\"",
        "812",
        "/srv/schools/dataset/current",
        "class religion: table church",
    ] {
        assert!(page.contains(text), "{text}");
    }
}

#[test]
fn trouble_comes_first_and_texts_are_escaped_and_redacted() {
    let page = support::trouble().html().unwrap();
    assert!(page.contains("4 things need attention"));
    assert!(page.find("4 things need attention") < page.find("<h2>"));
    assert!(
        page.contains("&#60;no metadata file&#62; &#38; more"),
        "escaped"
    );
    assert!(
        !page.contains("010101-0101") && page.contains("[number]"),
        "redacted"
    );
    assert!(page.contains("expired"));
    assert_eq!(count(&page, "a delivery was set aside\">"), 2);
}

#[test]
fn several_tenants_have_their_common_lines_once() {
    let page = support::tenants().html().unwrap();
    // Schools and care see the same of four tables. The library has a short list, which is not shared.
    let shared = "List 1, sees</h3>\n<p>Tenants: schools, care</p>\n<ul>\n<li>person: pnr, status, sex, birth_date</li>";
    assert!(page.contains(shared), "{page}");
    assert!(page.contains("List 2, hides</h3>\n<p>Tenants: schools, care</p>"));
    assert!(page.contains("List 3, hides</h3>\n<p>Tenants: schools, care, library</p>"));
    assert_eq!(
        count(&page, "<li>person: pnr, status, sex, birth_date</li>"),
        1
    );
    let reference =
        "<a href=\"#list-1\">List 1</a> at the end of the page: person, name, address, event</li>";
    assert_eq!(count(&page, reference), 2);
    for own in [
        "<li>all columns of child, custody, parents</li>",
        "<li>all columns of child</li>",
        "<li>class religion: table church_history</li>",
        "<dd>person: pnr<br>name: surname<br>event: registered</dd>",
    ] {
        assert_eq!(count(&page, own), 1, "{own}");
    }
    assert_eq!(count(&page, "<summary>sees: 5 entries</summary>"), 2);
    assert_eq!(count(&page, "<summary>hides: 5 entries</summary>"), 3);
    // A tenant alone has all of its entries.
    let alone = support::year().html().unwrap();
    assert!(!alone.contains("id=\"lists\"") && !alone.contains("#list-"));
    assert_eq!(
        count(&alone, "<li>person: pnr, status, sex, birth_date</li>"),
        1
    );
}

#[test]
fn months_without_a_delivery_are_told_in_words() {
    let page = support::tenants().html().unwrap();
    assert_eq!(count(&page, "class=\"month\""), 9);
    let months = "<b>August 2026 to December 2026</b><p class=\"soft\">0 days with a delivery, 87 working days without a delivery</p>";
    assert!(page.contains(months), "{page}");
}

/// Returns the command of Chromium.
fn chromium() -> Option<PathBuf> {
    let named = std::env::var_os("CPRFLOW_CHROMIUM").map(PathBuf::from);
    let path = std::env::var_os("PATH").unwrap_or_default();
    let found = named.or_else(|| {
        let mut places = std::env::split_paths(&path).flat_map(|directory| {
            ["chromium", "chromium-browser", "google-chrome"].map(|name| directory.join(name))
        });
        places.find(|place| place.is_file())
    });
    if found.is_none() {
        let is_mandatory = std::env::var("CPRFLOW_REQUIRE_CHROMIUM")
            .is_ok_and(|value| !["", "0"].contains(&value.as_str()));
        assert!(
            !is_mandatory,
            "there is no Chromium, and CPRFLOW_REQUIRE_CHROMIUM is set"
        );
        eprintln!(
            "SKIPPED: there is no Chromium to lay out the report (CPRFLOW_REQUIRE_CHROMIUM=1 makes this a failure)"
        );
    }
    found
}

/// A page with a frame as wide as a phone, because a window of Chromium is never that narrow. It measures the width of the
/// frame and of its content, and the number of elements that are cut off, empty or have tiny letters.
const FRAME: &str = "<!doctype html><style>body { margin: 0 }</style>
<iframe id=frame style='border: 0; width: WIDTHpx; height: 900px' srcdoc=\"PAGE\"></iframe>
<script>
document.getElementById('frame').addEventListener('load', event => {
  const page = event.target.contentDocument, view = event.target.contentWindow, width = page.documentElement.clientWidth;
  const shown = [...page.querySelectorAll('h1,h2,h3,p,dd,td,li,figure>svg,.days,.month b,.night,.figure')].filter(e => !e.closest('details:not([open])'));
  const outside = shown.filter(e => { const box = e.getBoundingClientRect(); return box.right > width + 1 || box.left < -1; });
  const flat = [...page.querySelectorAll('figure>svg,.days,.night,td.spark svg')].filter(e => e.getBoundingClientRect().height < 10);
  const small = shown.filter(e => parseFloat(view.getComputedStyle(e).fontSize) < 12);
  document.title = 'measured ' + [view.innerWidth, page.documentElement.scrollWidth, outside.length, flat.length, small.length, shown.length].join(' ');
});
</script>";

fn measure(chromium: &Path, page: &Path) -> Vec<u32> {
    let profile = tempfile_directory("profile");
    let output = Command::new(chromium)
        .args([
            "--headless",
            "--no-sandbox",
            "--disable-gpu",
            // Containers often have a small /dev/shm.
            "--disable-dev-shm-usage",
            "--hide-scrollbars",
            "--dump-dom",
        ])
        .arg(format!("--user-data-dir={}", profile.display()))
        .arg("--window-size=1400,900")
        .arg(format!("file://{}", page.display()))
        .output()
        .unwrap();
    let dom = String::from_utf8_lossy(&output.stdout);
    let title = dom
        .split("<title>measured ")
        .nth(1)
        .and_then(|rest| rest.split("</title>").next());
    let title = title.unwrap_or_else(|| panic!("{}", String::from_utf8_lossy(&output.stderr)));
    title
        .split(' ')
        .map(|number| number.parse().unwrap())
        .collect()
}

fn tempfile_directory(name: &str) -> PathBuf {
    let directory = Path::new(env!("CARGO_TARGET_TMPDIR"))
        .join("report")
        .join(name);
    std::fs::create_dir_all(&directory).unwrap();
    directory
}

/// The pages are kept in the target directory (`tmp/report`), to look at.
#[test]
fn chromium_lays_out_every_state_on_a_phone_and_on_a_desktop() {
    let Some(chromium) = chromium() else {
        return;
    };
    let directory = tempfile_directory("pages");
    for (name, report) in states() {
        let html = report.html().unwrap();
        std::fs::write(directory.join(format!("{name}.html")), &html).unwrap();
        for width in [390, 1280] {
            let page = html.replace('&', "&amp;").replace('"', "&quot;");
            let frame = FRAME
                .replace("WIDTH", &width.to_string())
                .replace("PAGE", &page);
            let path = directory.join(format!("{name}-{width}.html"));
            std::fs::write(&path, frame).unwrap();
            let measured = measure(&chromium, &path);
            let [window, content, outside, flat, small, shown] = measured[..] else {
                panic!("{measured:?}");
            };
            assert_eq!(window, width, "{name}");
            assert!(content <= width, "{name}: {content} of {width}");
            assert_eq!((outside, flat, small), (0, 0, 0), "{name} at {width}");
            assert!(shown > 30, "{name}: {shown}");
        }
    }
}
