//! What users expect of a command that reads and writes files: names, formats, existing files, devices, packed files.
#![expect(clippy::unwrap_used, reason = "a test that cannot be set up must fail")]

use std::fs;
use std::io::Write;
use std::os::unix::fs::{FileTypeExt, MetadataExt, PermissionsExt, symlink};
use std::process::{Command, Stdio};
use std::thread;

use cprflow_tests::command::{TestDirectory, binary, command, cprflow, cprflow_with};
use cprflow_tests::extract;
use flate2::Compression;
use flate2::write::GzEncoder;
use serde_json::Value;

fn gzip(bytes: &[u8]) -> Vec<u8> {
    let mut packed = GzEncoder::new(Vec::new(), Compression::fast());
    packed.write_all(bytes).unwrap();
    packed.finish().unwrap()
}

#[test]
fn the_format_follows_the_extension() {
    let place = TestDirectory::new();
    let extract = place.file("extract", &extract::small(20, 1));
    let begins = |name: &str| {
        let path = place.path(name);
        let ended = cprflow(["scan", &extract, "-t", "person", "-o", &path]);
        assert_eq!(ended.code, 0, "{}", ended.stderr);
        fs::read(path).unwrap()
    };
    assert!(begins("a.csv").starts_with(b"pnr,current_pnr,"));
    assert!(begins("a.CSV").starts_with(b"pnr,"));
    assert!(begins("a.jsonl").starts_with(b"{\"pnr\":"));
    assert!(begins("a.ndjson").starts_with(b"{\"pnr\":"));
    assert!(begins("a.parquet").starts_with(b"PAR1"));
    assert!(begins("a.arrow").starts_with(&[0xff; 4]));
    assert!(begins("a.txt").starts_with(b"+---"));
    for name in ["a.foo", "a"] {
        let ended = cprflow(["scan", &extract, "-t", "person", "-o", &place.path(name)]);
        assert_eq!(ended.code, 2);
        assert!(ended.stderr.contains("--format"), "{}", ended.stderr);
        assert!(!fs::exists(place.path(name)).unwrap());
    }
}

#[test]
fn an_existing_file_is_replaced_only_if_asked_to() {
    let place = TestDirectory::new();
    let extract = place.file("extract", &extract::small(20, 1));
    let file = place.file("rows.csv", b"mine");
    fs::set_permissions(&file, fs::Permissions::from_mode(0o644)).unwrap();
    let link = place.path("link.csv");
    symlink(&file, &link).unwrap();
    for arguments in [
        &["scan", &extract, "-t", "person", "-o", &file][..],
        &["scan", &extract, "-t", "person", "-o", &link],
        &["generate", "--persons", "3", "-o", &file],
    ] {
        let ended = cprflow(arguments);
        assert_eq!(ended.code, 2, "{arguments:?}");
        assert!(ended.stderr.contains("--force"), "{}", ended.stderr);
        assert_eq!(fs::read(&file).unwrap(), b"mine");
    }
    // Through a link the file is replaced, not the link, and it keeps its mode.
    let ended = cprflow(["scan", &extract, "-t", "person", "-o", &link, "--force"]);
    assert_eq!(ended.code, 0, "{}", ended.stderr);
    assert!(fs::read(&file).unwrap().starts_with(b"pnr,"));
    assert!(fs::symlink_metadata(&link).unwrap().is_symlink());
    assert_eq!(fs::metadata(&file).unwrap().mode() & 0o777, 0o644);
    // A new file can be read by its owner only.
    let new = place.path("new.csv");
    cprflow(["scan", &extract, "-t", "person", "-o", &new]);
    assert_eq!(fs::metadata(&new).unwrap().mode() & 0o777, 0o600);
    let lost = place.path("lost.csv");
    symlink(place.path("nowhere"), &lost).unwrap();
    let ended = cprflow(["scan", &extract, "-t", "person", "-o", &lost]);
    assert!(
        ended.code == 2 && ended.stderr.contains("symbolic link"),
        "{}",
        ended.stderr
    );
}

#[test]
fn devices_and_pipes_stay_what_they_are() {
    let place = TestDirectory::new();
    let extract = place.file("extract", &extract::small(20, 1));
    let expected = cprflow(["scan", &extract, "-t", "person"]).stdout;
    let pipe = place.path("pipe");
    assert!(
        Command::new("mkfifo")
            .arg(&pipe)
            .status()
            .unwrap()
            .success()
    );
    let reader = thread::spawn({
        let pipe = pipe.clone();
        move || fs::read(pipe).unwrap()
    });
    let ended = cprflow(["scan", &extract, "-t", "person", "-o", &pipe]);
    assert_eq!(ended.code, 0, "{}", ended.stderr);
    assert!(reader.join().unwrap() == expected);
    assert!(fs::metadata(&pipe).unwrap().file_type().is_fifo());
    // A character device of this test's own, or a link to one where nodes cannot be made.
    let null = place.path("null");
    let mut make = Command::new("mknod");
    let is_made = make
        .args([&null, "c", "1", "3"])
        .stderr(Stdio::null())
        .status();
    if !is_made.is_ok_and(|status| status.success()) {
        symlink("/dev/null", &null).unwrap();
    }
    assert_eq!(
        cprflow(["scan", &extract, "-t", "person", "-o", &null]).code,
        0
    );
    assert!(fs::metadata(&null).unwrap().file_type().is_char_device());
    let full = place.path("full");
    symlink("/dev/full", &full).unwrap();
    let ended = cprflow(["scan", &extract, "-t", "person", "-o", &full]);
    assert_eq!(ended.code, 2, "{}", ended.stderr);
    assert!(fs::symlink_metadata(&full).unwrap().is_symlink());
}

#[test]
fn rows_fit_the_terminal_or_are_written_vertically() {
    let place = TestDirectory::new();
    let extract = place.file("extract", &extract::small(20, 1));
    let ended = cprflow([
        "scan",
        &extract,
        "-t",
        "person",
        "--vertical",
        "--limit",
        "2",
    ]);
    let text = ended.text();
    assert!(text.starts_with("[ row 1 ]"), "{text}");
    assert!(
        text.lines().any(|line| line.starts_with("[ row 2 ]")),
        "{text}"
    );
    assert!(text.lines().any(|line| line.starts_with("pnr ")), "{text}");
    // A terminal of 80 columns.
    let run = format!(
        "stty rows 24 cols 80; exec {} scan {extract} -t person --limit 2",
        binary().display()
    );
    let output = Command::new("script")
        .args(["-qec", &run, "/dev/null"])
        .env_remove("COLUMNS")
        .env("NO_COLOR", "1")
        .stdin(Stdio::null())
        .output()
        .unwrap();
    let text = String::from_utf8(output.stdout).unwrap();
    assert!(output.status.success(), "{text}");
    assert!(text.contains("columns do not fit the terminal"), "{text}");
    assert!(text.contains("| pnr "), "{text}");
    let too_long = text
        .lines()
        .filter(|line| line.starts_with(['|', '+']) && line.trim_end().chars().count() > 80);
    assert_eq!(too_long.count(), 0, "{text}");
}

#[test]
fn an_extract_has_at_least_one_person() {
    let ended = cprflow(["generate", "--persons", "0"]);
    assert_eq!(ended.code, 2);
    assert!(ended.stderr.contains("--persons"), "{}", ended.stderr);
    assert!(!ended.stderr.contains("person number"), "{}", ended.stderr);
}

#[test]
fn fails_if_standard_output_is_closed() {
    let place = TestDirectory::new();
    let extract = place.file("extract", &extract::small(20, 1));
    for arguments in [
        "scan EXTRACT -t person",
        "verify EXTRACT",
        "tables",
        "generate --persons 2",
        "--help",
        "--version",
    ] {
        let arguments = arguments.replace("EXTRACT", &extract);
        let run = |redirection: &str| {
            let script = format!("exec {} {arguments} {redirection}", binary().display());
            let output = Command::new("sh").args(["-c", &script]).output().unwrap();
            (
                output.status.code(),
                String::from_utf8(output.stderr).unwrap(),
            )
        };
        let (code, stderr) = run(">&-");
        assert_eq!(code, Some(2), "{arguments}");
        assert!(stderr.contains("standard output: it is closed"), "{stderr}");
        for open in [">/dev/null", "1<>/dev/null"] {
            assert_eq!(run(open).0, Some(0), "{arguments} {open}");
        }
    }
}

#[test]
fn tables_and_columns_have_several_names() {
    let place = TestDirectory::new();
    let extract = place.file("extract", &extract::small(20, 1));
    let rows = |table: &str| cprflow(["scan", &extract, "-t", table]);
    let expected = rows("person").stdout;
    assert!(!expected.is_empty());
    for name in ["Person", "PERSON", "001", " person "] {
        assert!(rows(name).stdout == expected, "{name}");
    }
    let title = cprflow(["scan", &extract, "-t", "Aktuelle adresseoplysninger"]);
    let own = rows("address").stdout;
    let titles = cprflow(["tables", "--format", "json"]);
    let tables: Value = serde_json::from_str(titles.text()).unwrap();
    let tables = tables.as_array().or(tables["tables"].as_array()).unwrap();
    let address = tables
        .iter()
        .find(|table| table["name"] == "address")
        .unwrap();
    let by_title = rows(address["cpr_title"].as_str().unwrap()).stdout;
    assert!(by_title == own && title.code <= 2);
    let columns = |columns: &str| cprflow(["scan", &extract, "-t", "person", "--columns", columns]);
    assert!(columns("pnr, Sex").stdout == columns("pnr,sex").stdout);
    for (ended, advice) in [
        (rows("persons"), "Did you mean \"person\"?"),
        (rows("adress"), "Did you mean \"address\"?"),
        (columns("pnr,birthdate"), "Did you mean \"birth_date\"?"),
        (cprflow(["schema", "events"]), "Did you mean \"event\"?"),
    ] {
        assert_eq!(ended.code, 2);
        assert!(ended.stderr.contains(advice), "{}", ended.stderr);
    }
    // What can be a person number is not repeated.
    let ended = rows("010101-0101");
    assert!(
        ended.code == 2 && !ended.stderr.contains("0101"),
        "{}",
        ended.stderr
    );
}

#[test]
fn packed_files_several_files_and_directories_are_read() {
    let place = TestDirectory::new();
    let (first, second) = (extract::small(20, 1), extract::small(30, 2));
    let inbox = place.path("inbox");
    fs::create_dir(&inbox).unwrap();
    let put = |name: &str, bytes: &[u8]| fs::write(format!("{inbox}/{name}"), bytes).unwrap();
    put("d260302.l000001", &first);
    put("d260303.l000001.gz", &gzip(&second));
    put("d260302.l000001.metadata", b"<metadata/>");
    put(".hidden", b"x");
    let csv = |arguments: &[&str]| {
        let ended = cprflow([&["scan", "-t", "person", "-f", "csv"], arguments].concat());
        assert_eq!(ended.code, 0, "{}", ended.stderr);
        ended.text().to_owned()
    };
    let one = place.file("one", &first);
    let two = place.file("two", &second);
    let packed = place.file("two.packed", &gzip(&second));
    let (first_rows, second_rows) = (csv(&[&one]), csv(&[&two]));
    let rows_of = |text: &str| text.split_once('\n').unwrap().1.to_owned();
    assert_eq!(csv(&[&packed]), second_rows);
    let both = format!("{first_rows}{}", rows_of(&second_rows));
    assert_eq!(csv(&[&inbox]), both);
    assert_eq!(csv(&[&one, &packed]), both);
    let limited = csv(&[&one, &packed, "--limit", "25"]);
    assert_eq!(limited.lines().count(), 26);
    let piped = cprflow_with(["scan", "-", "-t", "person", "-f", "csv"], &gzip(&second));
    assert_eq!(piped.text(), second_rows);
    // All tables of both extracts in one directory.
    let tables = place.path("tables");
    let ended = cprflow(["scan", &inbox, "--all", "-o", &tables]);
    assert_eq!(ended.code, 0, "{}", ended.stderr);
    let counts = cprflow(["scan", &inbox, "-f", "summary"]);
    assert!(
        counts
            .text()
            .lines()
            .any(|line| { line.split_whitespace().eq(["delivery_start", "2"]) })
    );
    // Reports have the names of the files.
    let report = cprflow(["verify", &inbox, "--format", "json"]);
    let report: Value = serde_json::from_str(report.text()).unwrap();
    let files: Vec<&str> = report
        .as_array()
        .unwrap()
        .iter()
        .map(|one| one["file"].as_str().unwrap())
        .collect();
    assert!(files[0].ends_with("d260302.l000001") && files[1].ends_with("d260303.l000001.gz"));
    let one = cprflow(["verify", &one, "--format", "json"]);
    let one: Value = serde_json::from_str(one.text()).unwrap();
    assert!(one.is_object() && one.get("file").is_none());
    // A packed file that is cut off is no whole result.
    let cut = place.file("cut.gz", &gzip(&second)[..200]);
    let ended = cprflow(["scan", &cut, "-t", "person", "-o", &place.path("cut.csv")]);
    assert_eq!(ended.code, 2, "{}", ended.stderr);
    assert!(
        ended.stderr.contains("the gzip file is cut off"),
        "{}",
        ended.stderr
    );
    assert!(!fs::exists(place.path("cut.csv")).unwrap());
}

#[test]
fn quiet_prints_errors_only() {
    let place = TestDirectory::new();
    let extract = place.file(
        "extract",
        b"00000000000000001202603020260301\ngarbage that is no record, in a line of its own\n",
    );
    let said = |more: &[&str]| cprflow([&["scan", &extract, "-t", "name"], more].concat());
    assert!(
        said(&[]).stderr.contains("warning: "),
        "{}",
        said(&[]).stderr
    );
    let quiet = said(&["-q"]);
    assert!(
        quiet.stderr.lines().all(|line| line.starts_with("error: ")),
        "{}",
        quiet.stderr
    );
    assert_eq!(quiet.code, said(&[]).code);
    let file = place.path("x");
    let quiet = cprflow(["generate", "--persons", "2", "-o", &file, "--quiet"]);
    assert_eq!(quiet.stderr, "");
}

#[test]
fn the_configuration_in_the_current_directory_is_found() {
    let place = TestDirectory::new();
    fs::create_dir(place.path("inbox")).unwrap();
    let text = "dataset = \"dataset\"\nstate = \"state\"\n[agreement.odense]\ninbox = \"inbox\"\n";
    let run = |arguments: &[&str]| {
        let output = command()
            .args(arguments)
            .current_dir(place.root())
            .output()
            .unwrap();
        let stderr = String::from_utf8(output.stderr).unwrap();
        (
            output.status.code(),
            String::from_utf8(output.stdout).unwrap(),
            stderr,
        )
    };
    for arguments in [&["status"][..], &["tenant", "list"], &["doctor"]] {
        let (code, _, stderr) = run(arguments);
        assert_eq!(code, Some(2), "{arguments:?}");
        assert!(
            stderr.contains("no cprflow.toml in this directory"),
            "{stderr}"
        );
    }
    place.file("cprflow.toml", text.as_bytes());
    let (code, stdout, stderr) = run(&["status"]);
    assert_eq!(code, Some(0), "{stderr}");
    assert!(stdout.starts_with("odense  "), "{stdout}");
    // `sync` refuses to publish all data without a purpose, and so `doctor` does not call it well.
    assert_eq!(run(&["sync"]).0, Some(2));
    let (code, stdout, _) = run(&["doctor"]);
    assert!(
        code == Some(1) && stdout.contains("--unrestricted"),
        "{stdout}"
    );
    // An inbox on the command line needs no configuration.
    let (code, stdout, _) = run(&[
        "status",
        "--inbox",
        "inbox",
        "--dataset",
        "other",
        "--state",
        "s",
    ]);
    assert!(
        code == Some(0) && stdout.starts_with("default  "),
        "{stdout}"
    );
}

#[test]
fn errors_in_the_configuration_name_the_key_and_the_encoding() {
    let place = TestDirectory::new();
    let refused = |bytes: &[u8]| {
        let file = place.file("c.toml", bytes);
        let ended = cprflow(["status", "--config", &file]);
        assert_eq!(ended.code, 2);
        ended.stderr
    };
    let windows = refused(b"[agreement.a]\ninbox = \"C:\\in\"\n");
    assert!(
        windows.contains("line 2: [agreement.a] inbox: "),
        "{windows}"
    );
    assert!(windows.contains("single quotes"), "{windows}");
    let kind = refused(b"[agreement.a]\ninbox = 7\n");
    assert!(kind.contains("[agreement.a] inbox: "), "{kind}");
    assert!(refused(b"\xff\xfea\0=\0").contains("UTF-16"));
    let latin1 = refused(b"# \n[agreement.a]\ninbox = \"\xe6\"\n");
    assert!(
        latin1.contains("line 3: ") && latin1.contains("UTF-8"),
        "{latin1}"
    );
    let marked = b"\xef\xbb\xbfdataset = \"d\"\n[agreement.a]\ninbox = \"in\"\n";
    let file = place.file("c.toml", marked);
    assert_eq!(
        cprflow(["status", "--config", &file, "--state", &place.path("s")]).code,
        0
    );
}

#[test]
fn metrics_have_the_state_and_no_personal_data() {
    let place = TestDirectory::new();
    let inbox = place.path("inbox");
    fs::create_dir(&inbox).unwrap();
    fs::write(format!("{inbox}/d260302.l000001"), extract::small(20, 1)).unwrap();
    let (dataset, state, file) = (place.path("d"), place.path("s"), place.path("cprflow.prom"));
    let source = ["--inbox", &inbox, "--dataset", &dataset, "--state", &state];
    let run = |command: &str, more: &[&str]| {
        let arguments = [&[command, "--metrics", &file], &source[..], more].concat();
        cprflow(arguments)
    };
    assert_eq!(run("sync", &["--unrestricted", "test"]).code, 0);
    let metrics = fs::read_to_string(&file).unwrap();
    for line in [
        "# TYPE cprflow_deliveries_published gauge",
        "cprflow_deliveries_published{agreement=\"default\"} 0",
        "cprflow_inbox_visit_failed{agreement=\"default\"} 0",
        "cprflow_run_success 1",
    ] {
        assert!(metrics.lines().any(|one| one == line), "{line}: {metrics}");
    }
    assert!(
        metrics.contains("cprflow_run_duration_seconds "),
        "{metrics}"
    );
    assert_eq!(fs::metadata(&file).unwrap().mode() & 0o777, 0o644);
    assert_eq!(run("status", &[]).code, 0);
    let metrics = fs::read_to_string(&file).unwrap();
    assert!(!metrics.contains("cprflow_run_"), "{metrics}");
}

#[test]
fn warns_about_codes_that_do_not_exist() {
    let place = TestDirectory::new();
    let extract = place.file("extract", &extract::small(20, 1));
    let warned = |table: &str, condition: &str| {
        let ended = cprflow(["scan", &extract, "-t", table, "--where", condition]);
        assert_eq!(ended.code, 0, "{}", ended.stderr);
        ended
            .stderr
            .contains("warning: --where: no row has this value")
    };
    assert!(warned("person", "sex = 'F'"));
    assert!(warned("address", "municipality_code = '265'"));
    assert!(warned("address", "municipality_code = '9999'"));
    assert!(!warned("person", "sex = 'K' and status = '01'"));
    assert!(!warned("address", "municipality_code = '0265'"));
}

#[test]
fn scenarios_are_directories_of_sound_extracts() {
    let place = TestDirectory::new();
    let directory = place.path("scenarios");
    let names = "move-in,protected-child,number-chain,emigration-return,death-of-spouse";
    let arguments = ["generate", "--scenario", names, "-o", &directory];
    let ended = cprflow(arguments);
    assert_eq!(ended.code, 0, "{}", ended.stderr);
    for name in names.split(',') {
        let files = fs::read_dir(format!("{directory}/{name}")).unwrap();
        let mut files: Vec<_> = files.map(|file| file.unwrap().path()).collect();
        files.sort();
        let expected = files.pop().unwrap();
        let expected = fs::read_to_string(expected).unwrap();
        assert!(expected.contains("Expected:"), "{expected}");
        assert!(files.len() >= 2, "{name}");
        for file in files {
            let ended = cprflow(["verify", file.to_str().unwrap()]);
            assert_eq!(ended.code, 0, "{name}: {}", ended.stderr);
        }
    }
    // Nothing is replaced unless asked for.
    assert_eq!(cprflow(arguments).code, 2);
    assert_eq!(cprflow([&arguments[..], &["--force"]].concat()).code, 0);
    for wrong in [
        &["generate", "--scenario", "move-in"][..],
        &["generate", "--scenario", "moving", "-o", &directory],
        &[
            "generate",
            "--scenario",
            "move-in",
            "--persons",
            "5",
            "-o",
            &directory,
        ],
        &["generate"],
    ] {
        assert_eq!(cprflow(wrong).code, 2, "{wrong:?}");
    }
}
