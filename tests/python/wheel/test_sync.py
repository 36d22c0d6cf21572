"""The daily job, and extracts as a tenant sees them."""

import collections
import json
import os
import signal
import subprocess
import sys
import time

import cprflow
import pyarrow
import pytest

from conftest import EVERYTHING, tenant


def most_common_municipality(extract):
    address = pyarrow.table(cprflow.open(extract).table("address").scan(columns=["municipality_code"]))
    return collections.Counter(address.column(0).to_pylist()).most_common(1)[0][0]


def test_a_run_publishes_and_reports(job):
    job.configure()
    extract = job.night(0)
    (job.inbox / "d260009.l431101").write_bytes(b"waits for its metadata")
    report = cprflow.sync(job.config)
    [published] = report.published
    assert (published.agreement, published.tenant, published.file_name) == ("town", None, "d260000.l431101")
    assert published.persons == 300 and (job.dataset / published.directory).is_dir()
    assert [(one.file_name, one.agreement) for one in report.waiting] == [("d260009.l431101", None)]
    assert report.ok and not report.problems and not report.needs_attention
    assert report.waiting[0].code and report.waiting[0].reason
    found = pyarrow.table(cprflow.dataset(job.dataset).deliveries()[0].table("person"))
    assert found.num_rows == pyarrow.table(cprflow.open(extract).table("person")).num_rows
    assert cprflow.sync(job.config, agreement="town").published == []


def test_a_damaged_delivery_is_set_aside(job):
    job.configure()
    path = job.night(0)
    data = path.read_bytes()
    path.write_bytes(data[: data.rindex(b"\n999999999999")] + b"\n")
    job.put(path, 0)
    report = cprflow.sync(job.config)
    assert [one.code for one in report.set_aside] == ["missing-end"]
    assert report.needs_attention and not report.ok and report.published == []


def test_problems_are_exceptions_that_were_not_raised(job):
    job.configure()
    job.inbox.rmdir()
    report = cprflow.sync(job.config)
    [problem] = report.problems
    assert isinstance(problem.error, cprflow.Error) and not report.ok
    assert "inbox" in str(problem.error) and "inbox" in repr(problem)


def test_a_server_that_cannot_be_reached_is_a_server_error(job):
    # No server listens on port 1.
    job.configure(f"identity = 'key'\nknown_hosts = 'known_hosts'\n{EVERYTHING}")
    job.config.write_text(job.config.read_text().replace("'inbox'", "'sftp://x@127.0.0.1:1/IN'"))
    subprocess.run(["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-f", job.root / "key"], check=True)
    (job.root / "known_hosts").write_text("[127.0.0.1]:1 " + (job.root / "key.pub").read_text())
    report = cprflow.sync(job.config)
    [problem] = report.problems
    assert problem.agreement == "town" and isinstance(problem.error, cprflow.ServerError)
    assert "127.0.0.1" in str(problem.error) and not report.ok


def test_wrong_configurations_are_refused(job):
    job.config.write_text("datset = 'x'\n")
    with pytest.raises(cprflow.ConfigurationError, match="datset"):
        cprflow.sync(job.config)
    job.configure()
    with pytest.raises(cprflow.RequestError, match="It has: town"):
        cprflow.sync(job.config, agreement="other")
    with pytest.raises(cprflow.FileError):
        cprflow.sync(job.root / "nothing.toml")


def test_another_process_is_an_error(job):
    """Two runs on one state directory exclude each other."""
    job.configure()
    job.night(0)
    assert cprflow.sync(job.config).ok
    script = f"""
import fcntl, glob, sys
locks = glob.glob({str(job.root / 'state')!r} + "/**/*lock*", recursive=True)
held = [open(lock, "r+") for lock in locks]
for lock in held:
    fcntl.flock(lock, fcntl.LOCK_EX)
print("held", flush=True)
sys.stdin.read()
"""
    holder = subprocess.Popen([sys.executable, "-c", script], stdin=subprocess.PIPE, stdout=subprocess.PIPE)
    assert holder.stdout.readline() == b"held\n"
    report = cprflow.sync(job.config)
    holder.communicate()
    [problem] = report.problems
    assert isinstance(problem.error, cprflow.DatasetError)
    assert cprflow.sync(job.config).ok


def test_ctrl_c_stops_a_run_after_the_step(job):
    if not os.environ.get("CPRFLOW_TEST_HOOKS"):
        pytest.skip("needs the hooks of the tests' profile, which hold a run at a step")
    job.configure()
    for number in range(3):
        path = job.root / "extract"
        cprflow.generate(path, persons=200, seed=5, changes=number > 0, night=number or None, busy=True)
        job.put(path, number)
    handled, go_on = job.root / "handled", job.root / "go-on"
    script = f"""
import signal
import cprflow

def stop(number, frame):
    open({str(handled)!r}, "w").close()
    raise KeyboardInterrupt

signal.signal(signal.SIGINT, stop)
try:
    cprflow.sync({str(job.config)!r})
except KeyboardInterrupt:
    raise SystemExit(7)
"""
    held = {**os.environ, "CPRFLOW_STOP_AT": "published", "CPRFLOW_GO_ON": str(go_on)}
    child = subprocess.Popen([sys.executable, "-c", script], env=held, stderr=subprocess.PIPE, text=True)
    assert child.stderr.readline() == "stopped at published\n"
    child.send_signal(signal.SIGINT)
    while child.poll() is None and not handled.exists():
        time.sleep(0.01)
    # The run goes on from this step only after Ctrl-C was seen, and after the time that noting it may take.
    time.sleep(0.5)
    go_on.touch()
    assert child.wait(timeout=60) == 7
    done = len(cprflow.dataset(job.dataset).deliveries())
    assert done == 1
    # The next run continues from there.
    report = cprflow.sync(job.config)
    assert report.ok and len(report.published) == 3 - done


@pytest.fixture
def policy(job):
    extract = job.night(0, persons=800)
    job.configure(
        tenant("school", f"persons = {{ municipalities = ['{most_common_municipality(extract)}'] }}")
        + tenant("hidden", "numbers = 'drop'\nclasses = ['name']")
    )
    return extract


def test_an_extract_as_a_tenant_sees_it(job, policy, run):
    whole = cprflow.open(policy)
    seen = cprflow.open(policy, config=job.config, tenant="school")
    assert "out_of_scope" in seen.tables and "out_of_scope" not in whole.tables
    assert "church" not in seen.tables and "line" not in seen.table("person").schema
    person = pyarrow.table(seen.table("person"))
    assert 0 < person.num_rows < 800
    ended = run(
        "scan", policy, "--table", "person", "--tenant", "school", "--config", job.config, "--format", "jsonl"
    )
    expected = [json.loads(line)["pnr"] for line in ended.stdout.splitlines()]
    assert person.column("pnr").to_pylist() == expected
    # Conditions apply to what the policy lets through, and columns are those of the policy.
    women = pyarrow.table(seen.table("person").scan(columns=["pnr"], filter="sex = 'K'"))
    assert 0 < women.num_rows < person.num_rows
    with pytest.raises(cprflow.RequestError, match="hides"):
        seen.table("church")
    with pytest.raises(cprflow.RequestError, match="without tenant="):
        seen.verify()
    assert seen.start.task_number == "431101"


def test_a_hidden_column_is_refused(job, policy):
    seen = cprflow.open(policy, config=job.config, tenant="hidden")
    assert "pnr" not in seen.table("person").schema
    with pytest.raises(cprflow.RequestError, match="pnr"):
        seen.table("person").scan(columns=["pnr"])
    with pytest.raises(cprflow.RequestError):
        seen.table("person").scan(filter="pnr = '0101965058'")


def test_pseudonyms_are_not_compared_and_polars_still_filters(job, policy):
    import polars

    import cprflow.polars

    key = job.root / "key"
    key.write_text("ab" * 32 + "\n")
    key.chmod(0o600)
    job.configure(tenant("research", "numbers = 'pseudonym'\nkey = { file = 'key' }"))
    seen = cprflow.open(policy, config=job.config, tenant="research")
    person = polars.DataFrame(seen.table("person"))
    assert not set(person["pnr"]) & set(polars.DataFrame(cprflow.open(policy).table("person"))["pnr"])
    one = person["pnr"][5]
    found = cprflow.polars.scan(seen.table("person")).filter(polars.col("pnr") == one).collect()
    assert found.equals(person.filter(polars.col("pnr") == one)) and found.height == 1


def test_unknown_tenants_are_refused(job, policy):
    with pytest.raises(cprflow.RequestError, match="school"):
        cprflow.open(policy, config=job.config, tenant="nobody")
    with pytest.raises(cprflow.RequestError, match="town"):
        cprflow.open(policy, config=job.config, tenant="school", agreement="other")


def test_an_advice_names_the_parameter(job, policy):
    """The command would name its option."""
    more = "[agreement.city]\ninbox = 'other'\n"
    job.config.write_text(job.config.read_text().replace("['town']", "['town', 'city']") + more)
    with pytest.raises(cprflow.RequestError, match="with agreement=: .*city") as raised:
        cprflow.open(policy, config=job.config, tenant="school")
    assert "--" not in str(raised.value)


def test_the_log_goes_to_logging(job, caplog):
    job.configure()
    whole = job.night(0)
    part = job.night(1)
    part.write_bytes(whole.read_bytes()[:50_000])
    job.put(part, 1)
    with caplog.at_level("INFO", logger="cprflow"):
        assert len(cprflow.sync(job.config).published) == 1
    assert {record.name for record in caplog.records} == {"cprflow"}
    by_level = {level: [one.getMessage() for one in caplog.records if one.levelname == level] for level in ("INFO", "WARNING")}
    assert any(text.startswith("published ") and "agreement=town" in text for text in by_level["INFO"])
    assert any(text.startswith("set aside: ") and "code=missing-end" in text for text in by_level["WARNING"])
    numbers = pyarrow.table(cprflow.open(whole).table("person").scan(columns=["pnr"])).column(0).to_pylist()
    assert not any(number in record.getMessage() for number in numbers for record in caplog.records)


def test_an_incomplete_extract_is_refused_for_a_tenant(job, policy):
    data = policy.read_bytes()
    with pytest.raises(cprflow.DataError, match="missing-end"):
        cprflow.open(data[: len(data) // 2], config=job.config, tenant="school")


def test_a_tenants_dataset_can_be_read(job, policy):
    report = cprflow.sync(job.config)
    assert {published.tenant for published in report.published} == {"school", "hidden"}
    dataset = cprflow.dataset(job.root / "tenants" / "school")
    person = pyarrow.table(dataset.table("person"))
    seen = pyarrow.table(cprflow.open(policy, config=job.config, tenant="school").table("person"))
    assert person.drop_columns(["agreement", "delivery", "sequence"]).equals(seen)
    assert dataset.deliveries()[0].manifest["tenant"]["name"] == "school"
    assert dataset.deliveries()[0].findings == []
    assert pyarrow.table(dataset.table("out_of_scope")).num_rows == 0


def test_a_bug_is_an_internal_error_that_names_its_place_only(job, monkeypatch):
    if not os.environ.get("CPRFLOW_TEST_HOOKS"):
        pytest.skip("this build of the module cannot be asked to panic")
    job.configure()
    job.night(0)
    monkeypatch.setenv("CPRFLOW_PANIC_AT", "published")
    monkeypatch.setenv("CPRFLOW_PANIC_WITH", "0101905058 Jensen")
    with pytest.raises(cprflow.InternalError, match=r"failpoint\.rs:\d+") as raised:
        cprflow.sync(job.config)
    assert "0101905058" not in str(raised.value) and "Jensen" not in str(raised.value)
    # The next run publishes what the interrupted one did not.
    monkeypatch.delenv("CPRFLOW_PANIC_AT")
    assert cprflow.sync(job.config).ok
    assert len(cprflow.dataset(job.dataset).deliveries()) == 1


def test_parts_of_a_tenant_have_what_one_scan_has(job):
    extract = job.root / "extract"
    cprflow.generate(extract, persons=9_000, seed=5, busy=True)
    municipality = most_common_municipality(extract)
    job.configure(EVERYTHING + tenant("town", f"persons = {{ municipalities = ['{municipality}'] }}"))
    opened = cprflow.open(extract, config=job.config, tenant="town")
    for table in ("person", "name", "event"):
        scan = opened.table(table).scan()
        divided = scan.divide(part_bytes=2 << 20)
        assert len(divided) > 2
        found = [
            pyarrow.table(cprflow.read_part(extract, part, config=job.config, tenant="town")) for part in divided
        ]
        assert pyarrow.concat_tables(found).combine_chunks() == pyarrow.table(scan).combine_chunks()
        with pytest.raises(cprflow.RequestError, match="policy"):
            cprflow.read_part(extract, divided[0])
