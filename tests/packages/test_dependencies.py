"""The check of licences, versions and sources, the lists of what packages contain, and the wheel's licences."""

import base64
import csv
import dataclasses
import hashlib
import io
import json
import zipfile
from pathlib import Path

import pytest

import bundled
import cargo
import licences
import policy
import sbom
import wheels

ALLOWED = policy.load()


def like(existing: str, /, **changes) -> cargo.Crate:
    """Returns a crate of Cargo.lock with changes."""
    crate = next(crate for crate in cargo.locked() if crate.name == existing)
    return dataclasses.replace(crate, **changes)


def test_everything_is_allowed():
    assert policy.problems(cargo.locked(), ALLOWED) == []


@pytest.mark.parametrize("licence", ["GPL-3.0-only", "MIT AND AGPL-3.0-only", "MPL-2.0", "LicenseRef-Own", None])
def test_a_crate_with_another_licence_is_found(licence):
    new = like("serde", name="new", version="1.0.0", licence=licence)
    (problem,) = policy.problems([*cargo.locked(), new], ALLOWED)
    assert problem.startswith("new 1.0.0 ")


@pytest.mark.parametrize("name", ["arrow", "parquet", "wasmtime", "rustls", "openssl-sys", "libssh2-sys", "ring"])
def test_a_second_version_is_found(name):
    new = like(name, version="99.0.0")
    (problem,) = policy.problems([*cargo.locked(), new], ALLOWED)
    assert problem.startswith(f"{name} has the versions ") and "99.0.0" in problem


def test_a_third_version_is_found():
    (problem,) = policy.problems([*cargo.locked(), like("sha2", version="0.99.0")], ALLOWED)
    assert "sha2" in problem and "allows 0.10, 0.11" in problem


def test_two_versions_of_one_series_are_found():
    (problem,) = policy.problems([*cargo.locked(), like("nom", version="8.99.0")], ALLOWED)
    assert "two compatible versions" in problem


@pytest.mark.parametrize("source", ["git+https://example.org/serde", "registry+https://example.org/index"])
def test_another_source_is_found(source):
    (problem,) = policy.problems([*cargo.locked(), like("serde", name="new", source=source)], ALLOWED)
    assert problem.startswith("new ") and source in problem


def test_a_forbidden_crate_is_found():
    (problem,) = policy.problems([*cargo.locked(), like("ring", name="aws-lc-sys", licence="ISC")], ALLOWED)
    assert "aws-lc-sys" in problem and "forbidden" in problem


@pytest.mark.parametrize("name", ["tiny-keccak", "embedded-io"])
def test_what_nothing_needs_any_more_is_found(name):
    without = [crate for crate in cargo.locked() if crate.name != name]
    (problem,) = policy.problems(without, ALLOWED)
    assert name in problem and "Remove it" in problem


@pytest.mark.parametrize(
    ("expression", "permitted"),
    [
        ("MIT", True),
        ("GPL-2.0-only", False),
        ("MIT OR GPL-2.0-only", True),
        ("GPL-2.0-only OR MIT", True),
        ("MIT/GPL-2.0-only", True),
        ("MIT AND GPL-2.0-only", False),
        ("(GPL-2.0-only OR MIT) AND ISC", True),
        ("GPL-2.0-only OR MIT AND GPL-3.0-only", False),
        ("Apache-2.0 WITH LLVM-exception", True),
        ("GPL-2.0-only WITH LLVM-exception", False),
        ("MIT WITH LLVM-exception", False),
    ],
)
def test_licence_expressions(expression, permitted):
    assert policy.permits(expression, set(ALLOWED["licences"])) == permitted


@pytest.mark.parametrize("expression", ["", "MIT OR", "(MIT", "MIT)", "MIT Apache-2.0"])
def test_wrong_licence_expressions(expression):
    with pytest.raises(ValueError, match="licence expression"):
        policy.permits(expression, {"MIT", "Apache-2.0"})


def test_an_allowance_needs_a_reason(tmp_path):
    file = tmp_path / "allowed.toml"
    file.write_text('duplicates = []\n[licences]\nMIT = " "\n[exceptions]\n[forbidden]\n')
    with pytest.raises(ValueError, match="MIT has no reason"):
        policy.load(file)


@pytest.mark.parametrize("package", ["command", "wheel"])
def test_licence_texts_of_a_package(package):
    crates = cargo.shipped(package)
    text = licences.third_party(crates)
    for crate in crates:
        assert crate.is_own or f"\n{crate.name} {crate.version} " in text
    # The part of the component, of the libraries in C and of the standard library.
    assert {"wit-bindgen", "wasmtime", "openssl-src"} <= {crate.name for crate in crates}
    for holder in ["libssh2", "Jean-loup Gailly", "Meta Platforms", "OpenSSL", "The Rust Project Developers"]:
        assert holder in text, holder
    # Tools of tests and builds are in no package.
    assert not {"proptest", "criterion", "russh", "syn", "maturin"} & {crate.name for crate in crates}
    assert ("pyo3" in {crate.name for crate in crates}) == (package == "wheel")


def test_a_crate_without_its_licence_text_is_found(tmp_path):
    with pytest.raises(ValueError, match="contains no licence text"):
        licences.texts(like("serde", licence="MIT", directory=tmp_path))
    assert "Apache License" in licences.texts(like("serde", licence="Apache-2.0", directory=tmp_path))[0]


def test_a_library_in_c_without_its_version_is_found(tmp_path):
    library = next(library for library in bundled.LIBRARIES if library.name == "zlib")
    file = tmp_path / library.version_file
    file.parent.mkdir(parents=True)
    file.write_text("other text")
    with pytest.raises(ValueError, match="no version of zlib"):
        library.version(tmp_path)


def test_the_bill_of_materials_lists_every_crate_and_library():
    crates = cargo.shipped("command")
    text = sbom.bill(crates, "cprflow", "0" * 64, 1_700_000_000)
    assert text == sbom.bill(crates, "cprflow", "0" * 64, 1_700_000_000)
    places = {component["purl"] for component in json.loads(text)["components"]}
    assert len(places) == len(crates) + len(bundled.LIBRARIES)
    assert {f"pkg:cargo/{crate.name}@{crate.version}" for crate in crates} < places
    assert any(place.startswith("pkg:generic/openssl@3.") for place in places)


def test_the_wheel_gets_the_licences_of_others(tmp_path):
    wheel = tmp_path / "x-1-py3-none-any.whl"
    with zipfile.ZipFile(wheel, "w") as archive:
        archive.writestr("x/__init__.py", "")
        archive.writestr("x-1.dist-info/METADATA", "Name: x\nLicense-File: LICENSE\n\nLicense-File: in the text\n")
        archive.writestr(
            "x-1.dist-info/RECORD",
            "x/__init__.py,sha256=a,0\nx-1.dist-info/METADATA,sha256=b,9\nx-1.dist-info/RECORD,,\n",
        )
    out = tmp_path / "out"
    out.mkdir()
    made = wheels.with_third_party(wheel, out, "text of others")
    with zipfile.ZipFile(made) as archive:
        files = {name: archive.read(name) for name in archive.namelist()}
    added = "x-1.dist-info/licenses/THIRD-PARTY-LICENSES.txt"
    assert files[added] == b"text of others"
    assert files["x-1.dist-info/METADATA"].count(b"License-File: THIRD-PARTY-LICENSES.txt\n") == 1
    rows = {row[0]: row[1:] for row in csv.reader(io.StringIO(files["x-1.dist-info/RECORD"].decode()))}
    assert rows.keys() == files.keys() and rows["x-1.dist-info/RECORD"] == ["", ""]
    for name in (added, "x-1.dist-info/METADATA"):
        digest = base64.urlsafe_b64encode(hashlib.sha256(files[name]).digest()).rstrip(b"=").decode()
        assert rows[name] == [f"sha256={digest}", str(len(files[name]))]
    # A wheel that has them is left as it is.
    again = tmp_path / "again"
    again.mkdir()
    assert wheels.with_third_party(made, again, "other").read_bytes() == made.read_bytes()


def test_published_crates_name_the_version_of_each_other():
    """Crates are published without paths, so a new version must be in the table of dependencies too."""
    toml = Path(cargo.ROOT / "Cargo.toml").read_text(encoding="utf-8")
    for crate in cargo.locked():
        if crate.is_own and f"\n{crate.name} = {{ version" in toml:
            assert f'\n{crate.name} = {{ version = "={crate.version}", path' in toml
