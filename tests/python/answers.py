"""Runs the ready answers of `cprflow views --answers` in DuckDB, and compares every row with an implementation in plain
Python, which reads the same Parquet files without SQL. Then runs every query of the documentation and compares it too.

Usage: answers.py SQL DATASET DOCUMENT

A query of the document has a comment before its block: <!-- query: NAME -->. NAME is a key of QUERIES.
Writes one line for each view and query, with the number of its rows. Ends with 1 if rows differ.

The tests of other engines, `wheel/test_answers_*.py`, call `check` and `whole`.
"""

import collections
import datetime
import json
import pathlib
import re
import sys

import duckdb
import pyarrow.parquet


class Model:
    """The current tables of a dataset, and the answers by plain loops."""

    def __init__(self, dataset):
        current = (dataset / "current").resolve()
        self.directory = current
        self.day = datetime.date.fromisoformat(json.loads((current / "_generation.json").read_text())["day"])
        self.codes = {}
        for path in sorted((dataset / "codes").glob("*.parquet")):
            rows = pyarrow.parquet.read_table(path).to_pylist()
            self.codes[path.stem] = {row["code"]: row for row in rows}
        self.person = self.first("person", lambda row: (row["status"] or "~", row["birth_date"] or LATE))
        self.replaced = self.replacements()
        self.protection = self.protected_persons()
        self.shows_protection = self.has("protection", "protection_type") or self.has("person", "protected")
        self.addresses = self.address_now()
        self.names = {}
        for pnr, row in self.first("name", lambda row: (descending(row["name_start"]), row["surname"] or "~", row["given_name"] or "~")).items():
            self.names[pnr] = {part: row[part] for part in ("given_name", "middle_name", "surname")}
        self.parents = self.first("parents", lambda row: (row["mother_pnr"] or "~", row["father_pnr"] or "~"))

    def path(self, table):
        return self.directory / f"{table}.parquet"

    def has(self, table, column):
        path = self.path(table)
        return path.exists() and column in pyarrow.parquet.read_schema(path).names

    def rows(self, table):
        path = self.path(table)
        if not path.exists():
            return []
        return [collections.defaultdict(lambda: None, row) for row in pyarrow.parquet.read_table(path).to_pylist()]

    def first(self, table, order):
        """One row for each number: that of the newest extract, and of several the first in an order."""
        best = {}
        for row in self.rows(table):
            if row["pnr"] is None:
                continue
            key = (descending(row["as_of"]), row["agreement"] or "~", order(row))
            if row["pnr"] not in best or key < best[row["pnr"]][0]:
                best[row["pnr"]] = (key, row)
        return {pnr: row for pnr, (_, row) in best.items()}

    def code(self, table, code, column):
        row = self.codes[table].get(code)
        return row[column] if row else None

    def full_name(self, pnr):
        name = self.names.get(pnr)
        if not name:
            return None
        parts = [(name[part] or "").strip() for part in ("given_name", "middle_name", "surname")]
        return " ".join(part for part in parts if part) or None

    def replacements(self):
        """The next number of each replaced number, and the day of the change."""
        former = collections.defaultdict(list)
        for row in self.rows("former_pnr"):
            if row["former_pnr"] is not None:
                former[row["former_pnr"]].append(row)
        steps = {}
        for pnr in set(former) | set(self.person):
            row = self.person.get(pnr)
            status = row["status"] if row else None
            target = None
            if status in ("50", "60") and row["current_pnr"] not in (None, pnr):
                target = row["current_pnr"]
            elif row is None or status in ("30", "50", "60"):
                others = [one for one in former[pnr] if one["pnr"] != pnr]
                if others:
                    target = max(others, key=lambda one: f'{one["as_of"]} {one["agreement"]} {one["pnr"]}')["pnr"]
            if target is None:
                continue
            changed = row["status_start"].date() if row and status in ("50", "60") and row["status_start"] else None
            if changed is None:
                ends = [one["pnr_end_date"] for one in former[pnr] if one["pnr_end_date"]]
                changed = max(ends) if ends else None
            steps[pnr] = (target, changed)
        return steps

    def valid_number(self, pnr):
        seen = {pnr}
        while pnr in self.replaced:
            pnr = self.replaced[pnr][0]
            if pnr in seen:
                return None
            seen.add(pnr)
        return pnr

    def protected_persons(self):
        reasons = collections.defaultdict(list)
        rank = {"own": 1, "marked": 2, "relative": 3, "unclear": 4}
        for row in self.rows("protection"):
            kind = row["protection_type"]
            if kind not in ("0002", "0003", "0004", "0005"):
                reasons[row["pnr"]].append(("own", row["start_date"]))
        for table, column in (("mother_address", "mother_pnr"), ("father_address", "father_pnr"), ("child_address", "child_pnr")):
            for row in self.rows(table):
                irregular = dict(row["irregular"] or [])
                if row["protection_start_date"] is not None or "protection_start_date" in irregular:
                    reasons[row[column]].append(("relative", row["protection_start_date"]))
        for row in self.rows("person"):
            if row["status"] is None or not re.fullmatch("[0-9]{2}", row["status"]):
                reasons[row["pnr"]].append(("unclear", None))
            if row["protected"]:
                reasons[row["pnr"]].append(("marked", None))
        for pnr, row in self.person.items():
            if row["status"] in ("50", "60"):
                valid = self.valid_number(pnr) if pnr in self.replaced else None
                if valid not in self.person:
                    reasons[pnr].append(("unclear", None))
        reasons.pop(None, None)
        tied = collections.defaultdict(set)
        for table, other in (("person", "current_pnr"), ("former_pnr", "former_pnr")):
            for row in self.rows(table):
                if None not in (row["pnr"], row[other]):
                    tied[row["pnr"]].add(row[other])
                    tied[row[other]].add(row["pnr"])
        found = {}
        waiting = list(reasons)
        while waiting:
            pnr = waiting.pop()
            if pnr in found:
                continue
            own = reasons.get(pnr, [])
            best = min(own, key=lambda one: rank[one[0]])[0] if own else "number"
            since = [one[1] for one in own if one[1]]
            found[pnr] = (best, min(since) if since else None)
            waiting.extend(tied[pnr])
        named = {row["pnr"] for row in self.rows("name") if row["surname"] is not None or row["given_name"] is not None}
        for pnr, row in self.person.items():
            if named and pnr not in named and pnr not in found and row["status"] is not None:
                if row["status"] not in ("30", "50", "60"):
                    found[pnr] = ("nameless", None)
        return found

    def is_protected(self, pnr):
        return self.known(pnr in self.protection)

    def is_relative_protected(self, pnr):
        return self.known(pnr in self.protection or pnr not in self.person)

    def known(self, is_protected):
        """Without names and marks, no person is known to be unprotected."""
        shows_all = self.has("name", "surname") or self.has("name", "given_name") or self.has("person", "protected")
        return is_protected if self.shows_protection and (is_protected or shows_all) else None

    def address_now(self):
        coded = self.first("address", lambda row: (descending(row["moved_in"]), row["street_code"] or "~", row["house_number"] or "~"))
        plain = self.first("plaintext_address", lambda row: row["standard_address"] or "~")
        empty = collections.defaultdict(lambda: None)
        found = {}
        for pnr in set(coded) | set(plain):
            one, other = coded.get(pnr, empty), plain.get(pnr, empty)
            both = lambda column, clean: clean(one[column]) or clean(other[column])
            co_name = text(one["co_name"]) or text(other["co_name"])
            if co_name and not co_name.lower().startswith(("c/o", "v/")):
                co_name = "c/o " + co_name
            street = text(one["street_name"]) or text(other["street_addressing_name"])
            house, floor, door = (both(column, zeros) for column in ("house_number", "floor", "door"))
            if street:
                where = [part for part in (floor and floor.lower() + ".", door and door.lower()) if part]
                line = street + (" " + house.upper() if house else "") + (", " + " ".join(where) if where else "")
            else:
                line = text(other["standard_address"])
            postal, district = number(other["postal_code"]), text(other["postal_district"])
            town, place = text(other["town_name"]), text(other["locality"])
            postal_line = " ".join(part for part in (postal, district) if part) if postal else None
            found[pnr] = {
                "municipality_code": both("municipality_code", number), "street_code": both("street_code", number),
                "co_name": co_name, "place_name": place, "street_line": line, "town_name": town,
                "postal_code": postal, "postal_district": district,
                "moved_in": one["moved_in"] and one["moved_in"].date(),
                "address": ", ".join(part for part in (co_name, place, line, town, postal_line) if part) or None,
            }
        return found

    def address(self, pnr):
        return self.addresses.get(pnr, collections.defaultdict(lambda: None))

    # The answers. Each returns the columns and the rows that are compared.

    def protected(self):
        return ["pnr", "reason", "since"], [(pnr, *rest) for pnr, rest in self.protection.items()]

    def number_changes(self):
        columns = ["former_pnr", "next_pnr", "valid_pnr", "changed_on", "former_status", "former_status_en"]
        rows = []
        for pnr, (following, changed) in self.replaced.items():
            status = self.person[pnr]["status"] if pnr in self.person else None
            rows.append((pnr, following, self.valid_number(pnr), changed, status, self.code("status", status, "name_en")))
        return columns, rows

    def resident(self):
        columns = ["pnr", "full_name", "sex", "birth_date", "age", "status_da", "address", "co_name", "place_name",
                   "street_line", "postal_code", "municipality_code", "municipality", "region_en", "moved_in", "protected", "today"]
        rows = []
        for pnr, row in self.person.items():
            if row["status"] not in ("01", "03"):
                continue
            home = self.address(pnr)
            where = home["municipality_code"]
            rows.append((pnr, self.full_name(pnr), row["sex"], row["birth_date"], age(row["birth_date"], self.day),
                         self.code("status", row["status"], "name_da"), home["address"], home["co_name"], home["place_name"],
                         home["street_line"], home["postal_code"], where, self.code("municipality", where, "name_da"),
                         self.code("municipality", where, "region_en"), home["moved_in"], self.is_protected(pnr), self.day))
        return columns, rows

    def family(self):
        columns = ["pnr", "relation", "relative_pnr", "relative_name", "since", "until", "in_force", "custody_en",
                   "protected", "relative_protected"]
        found = set()
        add = lambda *row: found.add(row)
        for row in self.rows("child"):
            add(row["pnr"], "child", row["child_pnr"], None, None, None, None)
        for pnr, row in self.parents.items():
            add(pnr, "mother", row["mother_pnr"], row["mother_name"], row["mother_since"], None, None)
            add(pnr, "father", row["father_pnr"], row["father_name"], row["father_since"], None, None)
        for row in self.rows("civil_status"):
            relation = "spouse" if row["civil_status"] in ("G", "P") else "former_spouse"
            since = row["civil_status_start"] and row["civil_status_start"].date()
            add(row["pnr"], relation, row["spouse_pnr"], row["spouse_name"], since, None, None)
        for row in self.rows("custody"):
            parents = self.parents.get(row["pnr"], collections.defaultdict(lambda: None))
            kind = row["custody_type"]
            holder = {"0003": "mother", "0004": "father"}.get(kind)
            relative = parents[f"{holder}_pnr"] if holder else row["custodian_pnr"]
            name = parents[f"{holder}_name"] if holder else None
            add(row["pnr"], "custody_holder", relative, name, row["start_date"], row["deletion_date"], kind)
        rows = []
        for pnr, relation, relative, name, since, until, kind in found:
            if pnr is None or relative is None and not text(name):
                continue
            shown = self.full_name(relative) if relative else None
            rows.append((pnr, relation, relative, shown or text(name), since, until, until is None or until > self.day,
                         self.code("custody_type", kind, "name_en"), self.is_protected(pnr), self.is_relative_protected(relative)))
        return columns, rows

    def moves(self):
        columns = ["pnr", "moved_on", "is_current", "municipality_code", "municipality", "street_code",
                   "from_municipality_code", "from_municipality", "from_street_code", "from_country_code", "from_country_en", "protected"]
        homes = collections.defaultdict(set)
        for table, is_current in (("address", True), ("address_history", False)):
            for row in self.rows(table):
                if not is_current and row["correction_mark"] is not None:
                    continue
                if row["pnr"] and row["moved_in"] and number(row["municipality_code"]):
                    parts = [row[column] for column in ("municipality_code", "street_code", "house_number", "floor", "door")]
                    homes[row["pnr"]].add((row["moved_in"], is_current, *parts, row["moved_in_uncertain"]))
        arrivals = {}
        for row in self.rows("emigration_history"):
            if row["correction_mark"] is None and row["immigrated"]:
                key = (row["pnr"], row["immigrated"].date())
                countries = [one for one in (arrivals.get(key), row["immigration_country_code"]) if one]
                arrivals[key] = min(countries) if countries else None
        rows = []
        for pnr, own in homes.items():
            order = sorted(own, key=lambda home: tuple((part is None, part) for part in home[:7]))
            before = None
            for home in order:
                day = home[0].date()
                arrived = (pnr, day) in arrivals
                country = arrivals.get((pnr, day))
                where, street = number(home[2]), number(home[3])
                origin = None if arrived or not before else before
                rows.append((pnr, day, home[1], where, self.code("municipality", where, "name_da"), street,
                             origin and origin[0], origin and self.code("municipality", origin[0], "name_da"),
                             origin and origin[1], country, self.code("country", country, "name_en"), self.is_protected(pnr)))
                before = (where, street)
        return columns, rows

    def births(self):
        columns = ["pnr", "birth_date", "sex", "full_name", "birth_authority_code", "birth_authority", "mother_pnr",
                   "father_pnr", "municipality_code", "protected"]
        places = self.first("birth_registration", lambda row: row["birth_authority_code"] or "~")
        empty = collections.defaultdict(lambda: None)
        rows = []
        for pnr, row in self.person.items():
            if row["status"] is None or row["status"] in ("30", "50", "60"):
                continue
            place, parents = places.get(pnr, empty), self.parents.get(pnr, empty)
            code = number(place["birth_authority_code"])
            name = self.code("authority", code, "name_da") or text(place["birth_authority_text"])
            rows.append((pnr, row["birth_date"], row["sex"], self.full_name(pnr), code, name, parents["mother_pnr"],
                         parents["father_pnr"], self.address(pnr)["municipality_code"], self.is_protected(pnr)))
        return columns, rows

    def deaths(self):
        columns = ["pnr", "died_on", "birth_date", "age", "sex", "full_name", "protected"]
        rows = []
        for pnr, row in self.person.items():
            if row["status"] == "90":
                died = row["status_start"] and row["status_start"].date()
                rows.append((pnr, died, row["birth_date"], age(row["birth_date"], died), row["sex"], self.full_name(pnr), self.is_protected(pnr)))
        return columns, rows

    def new_since(self, since):
        columns = ["pnr", "full_name", "status_en", "event_codes", "events_en", "protected", "as_of"]
        told = collections.defaultdict(set)
        for row in self.rows("event"):
            if row["as_of"] and row["as_of"] > since and row["event_code"] is not None:
                told[row["pnr"]].add(row["event_code"])
        rows = []
        for pnr, row in self.person.items():
            if row["as_of"] and row["as_of"] > since:
                codes = sorted(told[pnr], key=lambda code: code.encode())
                names = [self.code("event", code, "name_en") or code for code in codes]
                rows.append((pnr, self.full_name(pnr), self.code("status", row["status"], "name_en"), codes or None,
                             names or None, self.is_protected(pnr), row["as_of"]))
        return columns, rows


LATE = datetime.date.max

# The views of the answers.
VIEWS = ("resident", "protected", "family", "moves", "births", "deaths", "number_changes")


def descending(moment):
    """A key that sorts later moments first. None comes last, as in DuckDB."""
    if moment is None:
        return (1, 0)
    if isinstance(moment, datetime.datetime):
        return (0, -(moment - datetime.datetime(1, 1, 1)).total_seconds())
    return (0, -moment.toordinal())


def text(value):
    return (value or "").strip() or None


def zeros(value):
    return (value or "").strip().lstrip("0") or None


def number(code):
    code = (code or "").strip()
    return None if code in ("", "0000") else code


def age(born, day):
    if born is None or day is None:
        return None
    return day.year - born.year - ((day.month, day.day) < (born.month, born.day))


def dicts(answer):
    columns, rows = answer
    return [dict(zip(columns, row)) for row in rows]


def counted(rows, *keys):
    counts = collections.Counter(tuple(row[key] for key in keys) for row in rows)
    return [(*key, count) for key, count in counts.items()]


def in_last_days(day, model, days):
    return day is not None and model.day - datetime.timedelta(days=days) < day <= model.day


def residents_without_protected(model):
    return [(row["full_name"], row["address"], row["age"]) for row in dicts(model.resident()) if row["protected"] is False]


def residents_by_municipality(model):
    return counted([row for row in dicts(model.resident())], "municipality", "region_en")


def moved_in_from(model):
    rows = [row for row in dicts(model.moves()) if row["is_current"] and row["protected"] is False and in_last_days(row["moved_on"], model, 30)]
    where = lambda row: row["from_country_en"] or row["from_municipality"]
    return counted([{**row, "origin": where(row)} for row in rows], "municipality", "origin")


def children_with_custody(model):
    persons = {row["pnr"]: row for row in dicts(model.resident())}
    rows = []
    for row in dicts(model.family()):
        child = persons.get(row["pnr"])
        if row["relation"] == "custody_holder" and row["in_force"] and child and child["age"] is not None and child["age"] < 18:
            if row["protected"] is False and row["relative_protected"] is False:
                rows.append((child["full_name"], row["relative_name"], row["custody_en"]))
    return rows


def deaths_by_year(model):
    return counted([{"year": row["died_on"] and row["died_on"].year} for row in dicts(model.deaths())], "year")


def births_by_month(model):
    rows = [row for row in dicts(model.births()) if in_last_days(row["birth_date"], model, 365)]
    return counted([{"month": row["birth_date"].replace(day=1)} for row in rows], "month")


def follow_number_changes(model):
    return [(row["former_pnr"], row["valid_pnr"]) for row in dicts(model.number_changes()) if row["valid_pnr"]]


def protected_by_reason(model):
    return counted(dicts(model.protected()), "reason")


def delivered_since(model):
    since = model.day - datetime.timedelta(days=7)
    return [(row["pnr"], row["status_en"], row["events_en"]) for row in dicts(model.new_since(since))]


# The queries of the documentation.
QUERIES = {
    function.__name__: function
    for function in (residents_without_protected, residents_by_municipality, moved_in_from, children_with_custody,
                     deaths_by_year, births_by_month, follow_number_changes, protected_by_reason, delivered_since)
}


def compare(name, seen, wanted):
    plain = lambda rows: collections.Counter(repr(tuple(row)) for row in rows)
    seen, wanted = plain(seen), plain(wanted)
    if seen == wanted:
        print(f"{name}: {sum(seen.values())} rows")
        return True
    for what, rows in (("unexpected", seen - wanted), ("missing", wanted - seen)):
        print(f"{name}: {sum(rows.values())} {what} rows, first: {sorted(rows)[:3]}")
    return False


def formatting(ask):
    """Danish forms, by hand."""
    street = "SELECT danish_street({})"
    co_name = "SELECT danish_co_name({})"
    cases = [
        (street.format("'Algade', '062', '03', '  th'"), "Algade 62, 3. th"),
        (street.format("'Algade', '062', 'st', 'TV'"), "Algade 62, st. tv"),
        (street.format("'Algade', '012B', '', '0004'"), "Algade 12B, 4"),
        (street.format("'Algade', '012b', '00', '0000'"), "Algade 12B"),
        (street.format("'Algade', NULL, '01', NULL"), "Algade, 1."),
        (street.format("'Ny Vej', '1', '10', '12'"), "Ny Vej 1, 10. 12"),
        (street.format("'', '', '', ''"), None),
        (co_name.format("'Hans Hansen'"), "c/o Hans Hansen"),
        (co_name.format("'C/O Hansen'"), "C/O Hansen"),
        (co_name.format("'v/Hansen'"), "v/Hansen"),
        (co_name.format("'  '"), None),
        ("SELECT age_on(DATE '2004-02-29', DATE '2026-02-28')", 21),
        ("SELECT age_on(DATE '2004-02-29', DATE '2026-03-01')", 22),
        ("SELECT code_or_null('0000')", None),
    ]
    # One query, because Spark takes long for each.
    selected = ", ".join(f"{sql.removeprefix('SELECT ')} AS case_{number}" for number, (sql, _) in enumerate(cases))
    [found] = ask(f"SELECT {selected}")
    wrong = [(sql, answer, seen) for (sql, answer), seen in zip(cases, found, strict=True) if seen != answer]
    for sql, answer, seen in wrong:
        print(f"{sql}: {seen!r} instead of {answer!r}")
    return not wrong


def since_days(model):
    """The days for which new_since is compared, and how many days before today they are."""
    return [(days, model.day - datetime.timedelta(days=days)) for days in (0, 1, 5, 400)]


def check(ask, model, document):
    """Returns whether an engine answers as plain Python. `ask` returns the rows of a query as tuples."""
    is_equal = formatting(ask)
    for view in VIEWS:
        columns, wanted = getattr(model, view)()
        is_equal &= compare(view, ask(f"SELECT {', '.join(columns)} FROM {view}"), wanted)
    for days, since in since_days(model):
        columns, wanted = model.new_since(since)
        seen = ask(f"SELECT {', '.join(columns)} FROM new_since(DATE '{since}')")
        is_equal &= compare(f"new_since {days}", seen, wanted)
    found = re.findall(r"<!-- query: (\w+) -->\s*```sql\n(.*?)```", document.read_text(), re.DOTALL)
    if {name for name, _ in found} != set(QUERIES) or document.read_text().count("```sql") != len(found):
        print(f"the document has other queries: {[name for name, _ in found]}")
        is_equal = False
    for name, query in found:
        is_equal &= compare(name, ask(query), QUERIES[name](model))
    return is_equal


def whole(ask, duckdb_sql, model):
    """Returns whether an engine has the rows of DuckDB in every view, with all columns in the same order."""
    connection = duckdb.connect()
    connection.execute(duckdb_sql)
    # The longest period has the most rows.
    [*_, (_, since)] = since_days(model)
    is_equal = True
    for view in (*VIEWS, "today", f"new_since(DATE '{since}')"):
        described = connection.execute(f"DESCRIBE SELECT * FROM {view}").fetchall()
        columns = ", ".join(name for name, *_ in described)
        wanted = connection.execute(f"SELECT * FROM {view}").fetchall()
        is_equal &= compare(f"whole {view}", ask(f"SELECT * FROM {view}"), wanted)
        # The columns have the names that DuckDB gives them.
        is_equal &= compare(f"columns of {view}", ask(f"SELECT {columns} FROM {view} WHERE false"), [])
    return is_equal


def main():
    sql, dataset, document = (pathlib.Path(argument) for argument in sys.argv[1:])
    connection = duckdb.connect()
    connection.execute(sql.read_text())
    ask = lambda query: connection.execute(query).fetchall()
    sys.exit(0 if check(ask, Model(dataset), document) else 1)


if __name__ == "__main__":
    main()
