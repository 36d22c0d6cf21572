"""Tests of `cprflow export` for every target: the dataset's list of its exports, and what the status says of them."""

import datetime
import fcntl
import json
import re

import cprflow
import cprflow.export
import pytest

from conftest import EVERYTHING, DailyJob
from exports import Exports, SOME, current, normal, own_persons


class List(Exports):
    @pytest.mark.parametrize("is_current", [True, False])
    def test_the_status_names_a_target_until_it_has_caught_up(self, sink, export, erase, remarks, two_nights, is_current):
        job = two_nights
        options = [] if is_current else ["--since", "0", "--config", job.config]
        target = export(job.dataset, *options)["target"]
        assert remarks(job) == []
        erase(job, own_persons(job, "child")[0])
        [text] = remarks(job)
        name = target if sink.kind == "delta" else f"{target} (schema {sink.keywords['schema']})"
        assert text.startswith(f"the export to {name} has not caught up with an erasure")
        [listed] = (job.dataset / "_exports").glob("*.json")
        assert text.endswith(f"/_exports/{listed.name}")
        proof = json.loads((job.root / "state" / "erasures.jsonl").read_text().splitlines()[-1])
        assert [(one["target"], one["lag"]) for one in proof["exports"]] == [(target, "rows")]
        # Some of its tables are not enough.
        export(job.dataset, *options, *self.some(), "--vacuum", "0")
        assert remarks(job) == [text]
        export(job.dataset, *options)
        is_delta = sink.kind == "delta"
        assert ["files of older versions" in text for text in remarks(job)] == [True] * is_delta
        export(job.dataset, *options, "--vacuum", "0")
        assert remarks(job) == []
        # A run that is killed may have written something that its file does not name.
        export(job.dataset, *options, kill="listed")
        assert len(remarks(job)) == 1
        export(job.dataset, *options)
        assert remarks(job) == []

    def test_the_dataset_lists_its_exports(self, sink, export, run, two_nights):
        job = two_nights
        done = export(job.dataset)
        [listed] = (job.dataset / "_exports").glob("*.json")
        content = json.loads(listed.read_text())
        assert content["format"] == 1 and content["kind"] == sink.kind and content["target"] == done["target"]
        assert (content["content"], content["tenant"]) == ("current", None)
        assert content["started"] <= content["finished"]
        assert {name: one["generation"] for name, one in content["tables"].items()} == dict.fromkeys(
            done["tables"], done["generation"]
        )
        for path in [listed, listed.with_suffix(".lock")]:
            assert path.stat().st_mode & 0o777 == 0o600
        assert listed.parent.stat().st_mode & 0o777 == 0o700
        assert not re.search(r"\d{10}", re.sub(r"[0-9a-f-]{16,}", "", listed.read_text()))
        # The other commands do not trip over it.
        for command in ["sync", "status", "doctor", "deliveries", "expire"]:
            ended = run(command, "--config", job.config)
            assert ended.returncode == 0 and b"_exports" not in ended.stdout + ended.stderr, ended.stderr
        assert run("status", "--deep", "--config", job.config).returncode == 0
        assert run("views", "--dialect", "duckdb", job.dataset).returncode == 0
        assert cprflow.dataset(job.dataset).generation().number == done["generation"]

    def test_a_target_that_was_begun_is_listed(self, sink, export, two_nights):
        """Otherwise a run that was killed would leave a target that no proof of an erasure names."""
        job = two_nights
        export(job.dataset, *self.some(), kill="listed")
        [listed] = (job.dataset / "_exports").glob("*.json")
        content = json.loads(listed.read_text())
        assert content["finished"] is None
        assert content["tables"] == dict.fromkeys(SOME, {"generation": 0, "cleaned": None})

    @pytest.mark.parametrize("is_current", [True, False])
    @pytest.mark.parametrize("is_killed", [True, False])
    def test_a_table_that_the_file_did_not_name(self, sink, export, erase, remarks, two_nights, is_current, is_killed):
        """The run that wrote the table was killed before it wrote its file, or the file was removed."""
        job = two_nights
        options = [] if is_current else ["--since", "0", "--config", job.config]
        if is_killed:
            export(job.dataset, *options, *self.some(), kill="committed:event" if sink.kind == "delta" else "committed")
        else:
            export(job.dataset, *options, *self.some())
            [listed] = (job.dataset / "_exports").glob("*.json")
            listed.unlink()
        export(job.dataset, *options, "--table", "person")
        [listed] = (job.dataset / "_exports").glob("*.json")
        assert set(json.loads(listed.read_text())["tables"]) == set(SOME)
        erase(job, own_persons(job, "child")[0])
        export(job.dataset, *options, "--table", "person", "--vacuum", "0")
        [text] = remarks(job)
        assert "has not caught up with an erasure" in text
        export(job.dataset, *options, "--vacuum", "0")
        assert remarks(job) == []

    @pytest.mark.parametrize("is_current", [True, False])
    def test_the_file_says_when_each_table_was_exported(self, sink, export, two_nights, is_current):
        job = two_nights
        options = [] if is_current else ["--since", "0", "--config", job.config]

        def content():
            [listed] = (job.dataset / "_exports").glob("*.json")
            return json.loads(listed.read_text())

        def times(content, name):
            exported = content["tables"][name]["exported"]
            return exported if is_current else exported["town"]

        export(job.dataset, *options, *self.some())
        first = content()
        assert {times(first, name) for name in SOME} == {first["started"]}
        export(job.dataset, *options, "--table", "person", "--vacuum", "0")
        second = content()
        assert second["tables"]["event"] == first["tables"]["event"]
        assert first["started"] < second["started"] == times(second, "person")
        cleaned = [second["tables"][name]["cleaned_at"] for name in ("person", "event")]
        assert cleaned[0] == (second["started"] if sink.kind == "delta" else None)
        assert cleaned[1] != second["started"]

    @pytest.mark.parametrize("is_current", [True, False])
    def test_a_run_begins_before_it_reads_the_dataset(self, sink, two_nights, monkeypatch, is_current):
        """Otherwise an erasure could be complete between the two, and the target would count as exported after it."""
        job = two_nights
        read = []

        class Late(cprflow.export.Current if is_current else cprflow.export.Deliveries):
            def __init__(self, *arguments, **options):
                read.append(datetime.datetime.now(datetime.timezone.utc))
                super().__init__(*arguments, **options)

        monkeypatch.setattr(cprflow.export, Late.__base__.__name__, Late)
        options = {} if is_current else {"since": 0, "config": job.config}
        cprflow.export.run(job.dataset, sink.to, tables=["person"], **options, **sink.keywords)
        [listed] = (job.dataset / "_exports").glob("*.json")
        content = json.loads(listed.read_text())
        exported = content["tables"]["person"]["exported"]
        assert content["started"] == (exported if is_current else exported["town"])
        [time] = read
        assert datetime.datetime.fromisoformat(content["started"].replace("Z", "+00:00")) <= time

    def test_an_export_of_one_agreement_leaves_the_times_of_others(self, sink, export, two_nights):
        """Also if the file was removed: the table still has the rows of the other agreement."""
        job = two_nights
        options = ["--since", "0", "--config", job.config]
        job.configure(EVERYTHING + "[agreement.other]\ninbox = 'other/inbox'\n" + EVERYTHING)
        DailyJob(job.root / "other").night(0, persons=60, seed=9)
        assert cprflow.sync(job.config).ok
        export(job.dataset, *options, "--table", "person")
        [listed] = (job.dataset / "_exports").glob("*.json")
        before = json.loads(listed.read_text())
        assert before["tables"]["person"]["exported"] == dict.fromkeys(["other", "town"], before["started"])
        export(job.dataset, *options, "--table", "person", "--agreement", "town")
        after = json.loads(listed.read_text())
        assert after["tables"]["person"]["exported"] == {"other": before["started"], "town": after["started"]}
        listed.unlink()
        export(job.dataset, *options, "--table", "person", "--agreement", "town")
        alone = json.loads(listed.read_text())
        assert alone["tables"]["person"]["exported"] == {"town": alone["started"]}
        assert alone["tables"]["person"]["sequences"]["other"] == 0

    def test_an_unlisted_target(self, sink, export, two_nights):
        job = two_nights
        export(job.dataset, "--table", "person", "--unlisted")
        assert not (job.dataset / "_exports").exists()
        assert normal(sink.rows("person")) == current(job.dataset)["person"]

    def test_two_exports_at_the_same_time(self, sink, export, two_nights):
        job = two_nights
        export(job.dataset, "--table", "person")
        [lock] = (job.dataset / "_exports").glob("*.lock")
        with open(lock) as held:
            fcntl.flock(held, fcntl.LOCK_EX)
            assert "another export" in export(job.dataset, "--table", "person", code=2)
        export(job.dataset, "--table", "person")
