"""Tests of `cprflow export` for every target: which rows, types and comments a target has."""

import collections
import json
import shutil
import subprocess
import sys

import cprflow
import cprflow.export
import duckdb
import pyarrow
import pytest

from conftest import EVERYTHING, DailyJob
from exports import Exports, QUESTION, current, delivered, normal, own_persons, put_leavers, question, without_empty


class Rows(Exports):
    def test_the_target_equals_each_generation(self, sink, export, two_nights):
        job = two_nights
        first = export(job.dataset)
        expected = current(job.dataset)
        assert self.whole(sink) == without_empty(expected)
        assert sorted(first["tables"]) == sorted(expected) and first["content"] == "current"
        assert first["generation"] == cprflow.dataset(job.dataset).generation().number
        assert all(one["rows_written"] == len(expected[name]) for name, one in first["tables"].items())
        again = export(job.dataset)
        assert not any(one["changed"] for one in again["tables"].values())
        job.night(2, persons=60)
        assert cprflow.sync(job.config).ok
        later = export(job.dataset)
        assert later["generation"] > first["generation"] and later["tables"]["person"]["changed"]
        assert self.whole(sink) == without_empty(current(job.dataset)) != without_empty(expected)
        assert sink.recorded("person") == later["generation"]

    def test_an_erased_person_is_gone_after_the_next_export(self, sink, export, erase, two_nights):
        job = two_nights
        export(job.dataset)
        victim = own_persons(job, "child")[0]
        assert any(victim in row for rows in self.whole(sink).values() for row in rows)
        erase(job, victim)
        export(job.dataset)
        exported = self.whole(sink)
        assert exported == without_empty(current(job.dataset))
        assert not any(victim in row for rows in exported.values() for row in rows)

    def test_a_table_whose_last_row_went_is_empty(self, sink, export, erase, two_nights):
        job = two_nights
        export(job.dataset)
        name = next(name for name in self.whole(sink) if len(set(own_persons(job, name))) == 1)
        erase(job, own_persons(job, name)[0])
        assert not current(job.dataset).get(name)
        assert export(job.dataset)["tables"][name]["changed"]
        assert sink.rows(name).num_rows == 0 and self.whole(sink) == without_empty(current(job.dataset))

    def test_what_a_policy_hides_later_is_gone(self, sink, export, job, tmp_path):
        """A person who leaves the scope, a table and a column that are hidden, and a column that comes."""
        policy = "[tenant.school]\nagreements = ['town']\npurpose = 'x'\ndataset = 'tenants/school'\n"
        job.configure(policy + "persons = { ages = [0, 70] }\n[tenant.school.columns]\nperson = ['pnr', 'status']\n")
        job.night(0, persons=60)
        assert cprflow.sync(job.config).ok
        dataset = job.root / "tenants" / "school"
        export(dataset)
        before = self.whole(sink)
        assert before == without_empty(current(dataset))
        assert sink.rows("person").column_names[:2] == ["pnr", "status"]
        job.configure(policy + "persons = { ages = [0, 60] }\nclasses = ['address']\n")
        assert cprflow.sync(job.config).ok
        export(dataset)
        after, now = self.whole(sink), current(dataset)
        assert "name" in before and "name" not in after and len(after["person"]) < len(before["person"])
        assert after["person"] == now["person"] and '"birth_date": "' in after["person"][0]
        masked = [json.loads(row) for row in after["plaintext_address"]]
        assert "addressing_name" not in json.loads(now["plaintext_address"][0])
        assert {row.pop("addressing_name") for row in masked} == {None}
        assert sorted(json.dumps(row, sort_keys=True) for row in masked) == now["plaintext_address"]
        # The same directory again, as if it belonged to nobody.
        message = export(dataset, "--since", "0", "--config", job.config, code=2)
        assert "tenant school" in message, message

    @pytest.mark.parametrize("is_tenant", [True, False])
    @pytest.mark.parametrize("is_current", [True, False])
    def test_persons_who_ended_or_moved_away(self, sink, export, feed, job, is_tenant, is_current):
        """They leave, or are marked, as in the dataset."""
        first = job.night(0, persons=60)
        rows = pyarrow.table(cprflow.open(first).table("address").scan(columns=["municipality_code"]))
        codes = collections.Counter(rows.column("municipality_code").to_pylist())
        municipality = next(code for code, _ in codes.most_common() if code not in (None, "0851"))
        job.configure(
            EVERYTHING + "[tenant.school]\nagreements = ['town']\npurpose = 'x'\ndataset = 'tenants/school'\n"
            f"persons = {{ municipalities = ['{municipality}'] }}\n"
        )
        assert cprflow.sync(job.config).ok
        school = job.root / "tenants" / "school"
        dataset = school if is_tenant else job.dataset
        options = [] if is_current else ["--since", "0", "--config", job.config]
        if is_tenant and not is_current:
            options += ["--tenant", "school"]
        export(dataset, *options)
        names = pyarrow.table(cprflow.dataset(school).current("name")).column("pnr").to_pylist()
        mover, ended = sorted(set(names))[:2]
        expected = self.expected(dataset, feed, job, is_tenant, is_current)
        before = self.whole(sink)
        assert before == expected
        assert all(any(f'"pnr": "{pnr}"' in row for row in before["person"]) for pnr in (mover, ended))
        put_leavers(job, mover, ended)
        report = cprflow.sync(job.config)
        assert report.ok, (report.problems, report.set_aside)
        export(dataset, *options)
        after = self.whole(sink)
        assert after == self.expected(dataset, feed, job, is_tenant, is_current) != before
        persons = {json.loads(row)["pnr"] for row in after["person"]}
        left = {row["pnr"]: row["reason"] for row in map(json.loads, after.get("out_of_scope", []))}
        if is_tenant:
            assert (left[mover], left[ended]) == ("moved", "unsubscribed")
        if is_current:
            assert ended not in persons and (mover in persons) != is_tenant
            own = {json.loads(row)["pnr"]: json.loads(row) for row in after["address"]}
            assert ended not in own and (is_tenant or own[mover]["municipality_code"] == "0851")
        elif not is_tenant:
            assert any(ended in row for row in after["subscription_receipt"])

    def test_an_older_generation_is_refused(self, sink, export, two_nights, tmp_path):
        job = two_nights
        backup = tmp_path / "backup"
        shutil.copytree(job.dataset, backup, symlinks=True)
        job.night(2, persons=60)
        assert cprflow.sync(job.config).ok
        export(job.dataset)
        exported = self.whole(sink)
        assert "older generation" in export(backup, code=2)
        assert self.whole(sink) == exported

    def test_withdrawn_tables_are_an_error(self, sink, export, two_nights):
        job = two_nights
        export(job.dataset, "--table", "person")
        exported = self.whole(sink)
        (job.dataset / "current").unlink()
        assert "no current tables" in export(job.dataset, "--table", "person", code=2)
        assert self.whole(sink) == exported

    def test_a_damaged_file_is_named(self, sink, export, two_nights):
        """The error comes while the library of the target reads the rows."""
        job = two_nights
        export(job.dataset, "--table", "person")
        before = normal(sink.rows("person"))
        job.night(2, persons=60)
        assert cprflow.sync(job.config).ok
        file = job.dataset / "current" / "person.parquet"
        data = file.read_bytes()
        file.write_bytes(data[:40] + bytes(len(data) // 3) + data[40 + len(data) // 3 :])
        message = export(job.dataset, "--table", "person", code=2)
        assert "person.parquet" in message and "Traceback" not in message
        assert normal(sink.rows("person")) == before
        file.write_bytes(data)
        export(job.dataset, "--table", "person")
        assert normal(sink.rows("person")) == current(job.dataset)["person"]

    def test_some_tables(self, sink, export, two_nights):
        job = two_nights
        export(job.dataset, "--table", "person")
        assert sink.tables() == {"person"}
        job.night(2, persons=60)
        assert cprflow.sync(job.config).ok
        export(job.dataset, "--table", "address")
        assert sink.recorded("person") < sink.recorded("address")
        [listed] = (job.dataset / "_exports").glob("*.json")
        tables = json.loads(listed.read_text())["tables"]
        assert tables["person"]["generation"] < tables["address"]["generation"]
        export(job.dataset)
        assert self.whole(sink) == without_empty(current(job.dataset))
        assert "no table 'nothing'" in export(job.dataset, "--table", "nothing", code=2)

    def test_deliveries_follow_the_change_feed(self, sink, export, erase, feed, two_nights):
        job = two_nights
        options = ["--since", "0", "--config", job.config]
        done = export(job.dataset, *options)
        assert self.whole(sink) == delivered(job.dataset, feed(job))
        assert done["sequences"] == {"town": 2} and done["generation"] is None
        assert not any(one["changed"] for one in export(job.dataset, *options)["tables"].values())
        job.night(2, persons=60)
        assert cprflow.sync(job.config).ok
        done = export(job.dataset, *options)
        assert self.whole(sink) == delivered(job.dataset, feed(job))
        assert done["tables"]["person"]["rows_written"] < 60
        # Made again without a person.
        victim = own_persons(job, "child")[0]
        erase(job, victim)
        assert "erased" in {entry["kind"] for entry in feed(job)}
        done = export(job.dataset, *options)
        exported = self.whole(sink)
        assert exported == delivered(job.dataset, feed(job))
        assert not any(victim in row for rows in exported.values() for row in rows)
        assert done["sequences"]["town"] == max(entry["sequence"] for entry in feed(job))
        # Expired. The entry keeps its number.
        self.expire_the_first(job)
        assert feed(job)[0]["kind"] == "expired"
        export(job.dataset, *options)
        exported = self.whole(sink)
        assert exported == delivered(job.dataset, feed(job))
        assert {json.loads(row)["delivery"] for row in exported["person"]} == {
            entry["directory"].rpartition("delivery=")[2] for entry in feed(job) if entry["kind"] == "new"
        }
        assert not any(one["changed"] for one in export(job.dataset, *options)["tables"].values())

    def test_deliveries_after_a_number(self, sink, export, feed, two_nights):
        job = two_nights
        options = ["--since", "1", "--config", job.config]
        export(job.dataset, *options)
        job.night(2, persons=60)
        assert cprflow.sync(job.config).ok
        export(job.dataset, *options)
        found = {json.loads(row)["sequence"] for row in self.whole(sink)["person"]}
        assert found == {2, 3}
        # A lower number later brings the rest, once.
        export(job.dataset, "--since", "0", "--config", job.config)
        assert self.whole(sink) == delivered(job.dataset, feed(job))

    def test_deliveries_of_a_tenant(self, sink, export, feed, job):
        job.configure(
            EVERYTHING + "[tenant.school]\nagreements = ['town']\npurpose = 'x'\ndataset = 'tenants/school'\n"
            "persons = { ages = [0, 60] }\n"
        )
        dataset = job.root / "tenants" / "school"
        options = ["--since", "0", "--config", job.config]
        for night in range(3):
            job.night(night, persons=60)
            assert cprflow.sync(job.config).ok
            export(dataset, *options, "--tenant", "school")
            assert self.whole(sink) == delivered(dataset, feed(job, "--tenant", "school"))
        assert "rewritten" in {entry["kind"] for entry in feed(job, "--tenant", "school")}
        assert "--tenant school" in export(dataset, *options, code=2)
        assert "Export to another" in export(job.dataset, *options, code=2)
        assert "Export to another" in export(dataset, code=2)

    def test_a_change_feed_that_ends_earlier_is_refused(self, sink, export, two_nights, tmp_path):
        job = two_nights
        backup = DailyJob(tmp_path / "backup" / "job")
        shutil.copytree(job.root, backup.root, symlinks=True, dirs_exist_ok=True)
        job.night(2, persons=60)
        assert cprflow.sync(job.config).ok
        export(job.dataset, "--since", "0", "--config", job.config)
        exported = self.whole(sink)
        message = export(backup.dataset, "--since", "0", "--config", backup.config, code=2)
        assert "the change feed ends at 2" in message
        assert self.whole(sink) == exported
        empty = tmp_path / "empty"
        empty.mkdir()
        assert "publishes nothing in" in export(empty, "--since", "0", "--config", job.config, code=2)

    def test_the_question_has_the_same_answer(self, sink, export, two_nights):
        """Residents under 18 in a municipality, with address and the numbers of their parents."""
        job = two_nights
        export(job.dataset)
        now = cprflow.dataset(job.dataset).generation()
        person, address, parents = (now.table(name) for name in ["person", "address", "parents"])
        [(municipality,)] = duckdb.sql(
            "SELECT municipality_code FROM address JOIN person USING (pnr) WHERE birth_date > '2008-11-23' "
            "GROUP BY ALL ORDER BY count(*) DESC, municipality_code LIMIT 1"
        ).fetchall()
        expected = sorted(question(job.dataset, municipality), key=str)
        assert expected and any(row[4] for row in expected)
        sql = QUESTION.format(born_after="2008-11-23", municipality=municipality)
        assert sorted(sink.question(sql), key=str) == expected

    def test_the_example_of_the_documentation(self, sink, many_persons):
        script = sink.example() + "\nimport json\nprint(json.dumps(" + sink.answer + ", default=str))\n"
        ended = subprocess.run([sys.executable, "-c", script], cwd=many_persons.root, capture_output=True, text=True)
        assert ended.returncode == 0, ended.stderr
        expected = json.loads(json.dumps(question(many_persons.dataset), default=str))
        assert len(expected) > 5
        assert sorted(json.loads(ended.stdout.splitlines()[-1]), key=str) == sorted(expected, key=str)

    def test_columns_have_types_and_comments(self, sink, export, two_nights):
        export(two_nights.dataset)
        types, comments = sink.columns("person")
        assert types["pnr"] == sink.types["text"] and types["irregular"] == sink.types["json"]
        assert types["birth_date"] == sink.types["date"] and types["status_start"] == sink.types["ntz"]
        assert types["status_start_uncertain"] == sink.types["boolean"]
        assert comments["status"] == "CPR: STATUS, record 001, position 24, length 2"
        assert comments["current_pnr"].endswith("Class of personal data: identity")
        assert "CPR: Personoplysninger, record 001" in sink.table_comment("person")
        for table in sink.tables():
            types, comments = sink.columns(table)
            assert types.keys() == comments.keys() and all(comments.values()), table
            assert not {"A column of cprflow", "A table of cprflow"} & {*comments.values(), sink.table_comment(table)}, table

    def test_times_can_be_points_in_time(self, sink, export, two_nights):
        job = two_nights
        export(job.dataset, "--table", "person", "--timestamps", "utc")
        assert sink.columns("person")[0]["status_start"] == sink.types["utc"]
        utc = cprflow.dataset(job.dataset, irregular="json", timestamps="utc").generation()
        assert normal(sink.rows("person")) == normal(pyarrow.table(utc.table("person")))
        job.night(2, persons=60)
        assert cprflow.sync(job.config).ok
        message = export(job.dataset, "--table", "person", code=2)
        assert "status_start" in message and "--timestamps" in message

    def test_the_function_does_the_same(self, sink, two_nights):
        job = two_nights
        seen = []
        done = cprflow.export.run(
            job.dataset, sink.to, tables=["person"], progress=lambda *arguments: seen.append(arguments), **sink.keywords
        )
        assert done.changed == ["person"] and done.generation == cprflow.dataset(job.dataset).generation().number
        assert seen == [(0, 1, "person")]
        for wrong in [{"since": -1}, {"timestamps": "local"}, {"vacuum": -1}, {"tenant": "x"}]:
            with pytest.raises(cprflow.RequestError):
                cprflow.export.run(job.dataset, sink.to, **sink.keywords, **wrong)
