"""Tests of `cprflow export` for every target: exports that are killed at each of their steps."""

import cprflow
import pytest

from exports import Exports, SOME, current, delivered, normal, own_persons


class Kills(Exports):
    def test_a_killed_export_of_current_tables_is_completed(self, sink, export, two_nights, current_step):
        """Killed in the first run and in a later one, in which a person was replaced."""
        job = two_nights
        export(job.dataset, *self.some(), kill=current_step)
        sink.check_readable(SOME)
        export(job.dataset, *self.some())
        self.compare(sink, current(job.dataset))
        before = {name: normal(sink.rows(name)) for name in SOME}
        job.night(2, persons=60)
        assert cprflow.sync(job.config).ok
        after = {name: current(job.dataset)[name] for name in SOME}
        assert all(before[name] != after[name] for name in SOME)
        # A later run makes no table.
        if not current_step.startswith("created"):
            export(job.dataset, *self.some(), kill=current_step)
            seen = {name: normal(sink.rows(name)) for name in SOME}
            assert all(seen[name] in (before[name], after[name]) for name in SOME)
            sink.check_between(seen, before, after)
        export(job.dataset, *self.some())
        self.compare(sink, current(job.dataset))
        assert not any(one["changed"] for one in export(job.dataset, *self.some())["tables"].values())

    def test_a_killed_export_of_deliveries_is_completed(self, sink, export, erase, feed, two_nights, delivery_step):
        """Killed in the first run, and in a later one that adds, replaces and deletes deliveries."""
        job = two_nights
        options = ["--since", "0", "--config", job.config, *self.some()]
        export(job.dataset, *options, kill=delivery_step)
        sink.check_readable(SOME)
        export(job.dataset, *options)
        self.compare(sink, delivered(job.dataset, feed(job)))
        before = {name: normal(sink.rows(name)) for name in SOME}
        job.night(2, persons=60)
        assert cprflow.sync(job.config).ok
        erase(job, own_persons(job, "event")[0])
        self.expire_the_first(job)
        if not delivery_step.startswith("created"):
            after = delivered(job.dataset, feed(job))
            export(job.dataset, *options, kill=delivery_step)
            seen = {name: normal(sink.rows(name)) for name in SOME}
            assert all(seen[name] in (before[name], after[name]) for name in SOME)
            sink.check_between(seen, before, after)
        export(job.dataset, *options)
        self.compare(sink, delivered(job.dataset, feed(job)))
        assert not any(one["changed"] for one in export(job.dataset, *options)["tables"].values())

    @pytest.mark.parametrize("is_current", [True, False])
    def test_a_killed_export_that_adds_columns_is_completed(self, sink, export, feed, job, column_step, is_current):
        policy = "[tenant.school]\nagreements = ['town']\npurpose = 'x'\ndataset = 'tenants/school'\n"
        job.configure(policy + "[tenant.school.columns]\nperson = ['pnr', 'status']\n")
        job.night(0, persons=60)
        assert cprflow.sync(job.config).ok
        dataset = job.root / "tenants" / "school"
        options = [] if is_current else ["--since", "0", "--config", job.config, "--tenant", "school"]
        export(dataset, *options, "--table", "person")
        before = normal(sink.rows("person"))
        job.configure(policy)
        job.night(1, persons=60)
        assert cprflow.sync(job.config).ok
        export(dataset, *options, "--table", "person", kill=column_step)
        # The older rows, with or without the new columns.
        assert self.without_nulls(normal(sink.rows("person"))) == self.without_nulls(before)
        export(dataset, *options, "--table", "person")
        assert "birth_date" in sink.rows("person").column_names
        if is_current:
            assert normal(sink.rows("person")) == current(dataset)["person"]
        else:
            expected = delivered(dataset, feed(job, "--tenant", "school"))["person"]
            assert self.without_nulls(normal(sink.rows("person"))) == self.without_nulls(expected)
        assert not export(dataset, *options, "--table", "person")["tables"]["person"]["changed"]
