"""The licences of others in a wheel: maturin puts in only the licence of cprflow."""

import base64
import csv
import hashlib
import io
import shutil
import zipfile
from pathlib import Path

NAME = "THIRD-PARTY-LICENSES.txt"


def with_third_party(wheel: Path, out: Path, third_party: str) -> Path:
    """Copies a wheel into a directory, adds the licences of others and returns the path of the copy."""
    target = out / wheel.name
    with zipfile.ZipFile(wheel) as source:
        names = source.namelist()
        information = next(name for name in names if name.endswith(".dist-info/METADATA")).removesuffix("/METADATA")
        added = f"{information}/licenses/{NAME}"
        if added in names:
            shutil.copyfile(wheel, target)
            return target
        changed = {
            added: third_party.encode(),
            f"{information}/METADATA": with_license_file(source.read(f"{information}/METADATA")),
        }
        record = f"{information}/RECORD"
        changed[record] = with_digests(source.read(record), changed)
        with zipfile.ZipFile(target, "w", zipfile.ZIP_DEFLATED, compresslevel=9) as copy:
            for entry in source.infolist():
                if entry.filename not in changed:
                    copy.writestr(entry, source.read(entry))
            time = source.getinfo(record).date_time
            # The list of files comes last, as the format recommends.
            for name, data in changed.items():
                entry = zipfile.ZipInfo(name, time)
                entry.external_attr = 0o100644 << 16
                entry.compress_type = zipfile.ZIP_DEFLATED
                copy.writestr(entry, data)
    return target


def with_license_file(metadata: bytes) -> bytes:
    """Names the file in the metadata, after the licence of cprflow."""
    line = b"License-File: LICENSE\n"
    if metadata.count(line) != 1:
        raise ValueError("the metadata of the wheel does not name the file LICENSE once: correct host/dist/wheels.py")
    return metadata.replace(line, line + f"License-File: {NAME}\n".encode())


def with_digests(record: bytes, changed: dict[str, bytes]) -> bytes:
    """Returns the wheel's list of files, with the digests of those that were added or changed."""
    before = [row for row in csv.reader(io.StringIO(record.decode())) if row[0] not in changed]
    # The list itself is in the list, without a digest.
    own = [row for row in before if not row[1]]
    rows = [row for row in before if row[1]]
    for name, data in changed.items():
        digest = base64.urlsafe_b64encode(hashlib.sha256(data).digest()).rstrip(b"=").decode()
        rows.append([name, f"sha256={digest}", str(len(data))])
    text = io.StringIO()
    csv.writer(text, lineterminator="\n").writerows(rows + own)
    return text.getvalue().encode()
