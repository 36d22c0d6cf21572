"""Makes the extracts of the comparison. All persons in them are invented."""

import pathlib
import re
import subprocess

# A generated extract has about so many bytes per person.
BYTES_PER_PERSON = 1709

# Everything but ASCII.
TO_ASCII = bytes(range(128)) + b"o" * 128

# Only names and other texts have these letters: codes are in upper case, and a UUID has none of them.
LETTER = re.compile(rb"[g-z]")

# The date of birth in a record 001.
BIRTH_DATE = slice(39, 49)


def base(program, directory, megabytes):
    """Returns an extract of about that size."""
    path = pathlib.Path(directory) / f"extract-{megabytes}.cpr"
    if not path.exists():
        persons = max(1, round(megabytes * 1_000_000 / BYTES_PER_PERSON))
        unfinished = path.with_suffix(".part")
        subprocess.run([program, "generate", str(persons), str(unfinished)], check=True)
        unfinished.rename(path)
    return path


def non_ascii(extract, share):
    """Returns a copy in which that share of the records with letters (in per cent) has one character beyond ASCII."""
    return changed(extract, f"non-ascii-{share}", lambda line, spread: with_letter(line, spread < share), TO_ASCII)


def bad_lines(extract, share):
    """Returns a copy in which that share of the records 001 (in per cent) has a date of birth that does not exist."""
    return changed(extract, f"bad-lines-{share}", lambda line, spread: with_bad_date(line) if spread < share else line)


def changed(extract, suffix, change, table=None):
    path = extract.with_name(f"{extract.stem}-{suffix}.cpr")
    if path.exists():
        return path
    unfinished = path.with_suffix(".part")
    # Each record type is spread evenly.
    counts = {}
    with open(extract, "rb") as lines, open(unfinished, "wb") as out:
        for line in lines:
            number = counts[line[:3]] = counts.get(line[:3], -1) + 1
            line = line.translate(table) if table else line
            out.write(change(line, number * 37 % 100))
    unfinished.rename(path)
    return path


def with_letter(line, wanted):
    return LETTER.sub(b"\xf8", line, count=1) if wanted else line


def with_bad_date(line):
    if not line.startswith(b"001"):
        return line
    return line[: BIRTH_DATE.start] + b"1961-13-41" + line[BIRTH_DATE.stop :]
