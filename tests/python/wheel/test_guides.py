"""The links of the documentation lead somewhere, and docs/migrating.md names fields that exist."""

import csv
import pathlib
import re

REPOSITORY = pathlib.Path(__file__).parents[3]
CODE = re.compile(r"^```.*?^```$", flags=re.MULTILINE | re.DOTALL)


def prose(path):
    return CODE.sub("", path.read_text())


def anchors(path):
    """Returns the anchors that GitHub makes from the headings of a page."""
    headings = re.findall(r"^#+ (.*)$", prose(path), flags=re.MULTILINE)
    return {re.sub(r"[^\w\- ]", "", heading.strip().lower()).replace(" ", "-") for heading in headings}


def test_links():
    pages = [*REPOSITORY.glob("*.md"), *REPOSITORY.glob("docs/*.md")]
    links = [(page, link) for page in pages for link in re.findall(r"\]\(([^)\s]+)\)", prose(page))]
    assert len(links) > 200
    for page, link in links:
        if link.startswith("https://"):
            continue
        path, _, anchor = link.partition("#")
        target = page.parent / path if path else page
        assert target.exists(), f"{page.name}: {link}"
        assert not anchor or anchor in anchors(target), f"{page.name}: {link}"


def test_fields_of_migrating():
    """The table of fields is right about record types, CPR's names, tables and columns."""

    def rows(name):
        with (REPOSITORY / "tests/data" / name).open() as file:
            return list(csv.DictReader(file))

    tables = {row["type"]: row["name"] for row in rows("record_types.csv")}
    columns = {(row["type"], row["cpr_field"]): row["column"] for row in rows("fields.csv")}
    checked = 0
    page = prose(REPOSITORY / "docs/migrating.md")
    for record, fields, table, named in re.findall(r"^\| (\d{3}) \| ([^|]+) \| `(\w+)` \| (.+) \|$", page, flags=re.MULTILINE):
        assert tables[record] == table
        fields = [field.split(" (")[0] for field in re.split(r", | to ", fields)]
        for field, column in zip(fields, re.findall(r"`(\w+)`", named)):
            assert columns[record, field] == column, f"{record} {field}"
            checked += 1
    assert checked > 60
