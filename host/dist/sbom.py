"""The list of what a package contains, as a software bill of materials (SBOM) in CycloneDX 1.6."""

import datetime
import json
import uuid

import cargo
from bundled import bundled
from cargo import Crate


def bill(crates: list[Crate], file: str, sha256: str, time: int) -> str:
    """Returns the SBOM of a program as JSON. The same input gives the same text.

    `file` and `sha256` are the program's name and digest, and `time` is the time of the build in seconds since 1970.
    """
    version = cargo.version()
    root = f"pkg:generic/cprflow@{version}"
    made = datetime.datetime.fromtimestamp(time, datetime.UTC)
    document = {
        "$schema": "http://cyclonedx.org/schema/bom-1.6.schema.json",
        "bomFormat": "CycloneDX",
        "specVersion": "1.6",
        "serialNumber": f"urn:uuid:{uuid.uuid5(uuid.NAMESPACE_URL, f'{root}?sha256={sha256}')}",
        "version": 1,
        "metadata": {
            "timestamp": made.strftime("%Y-%m-%dT%H:%M:%SZ"),
            "component": {
                "type": "application",
                "bom-ref": root,
                "name": file,
                "version": version,
                "licenses": [{"license": {"id": "Apache-2.0"}}],
                "hashes": [{"alg": "SHA-256", "content": sha256}],
            },
        },
        "components": [
            *(component(crate) for crate in crates),
            *(
                {
                    "type": "library",
                    "bom-ref": f"pkg:generic/{library.name.lower()}@{library.version(crate.directory)}",
                    "name": library.name,
                    "version": library.version(crate.directory),
                    "description": f"In the crate {crate.name} {crate.version}",
                    "licenses": [{"license": {"id": library.licence}}],
                    "purl": f"pkg:generic/{library.name.lower()}@{library.version(crate.directory)}",
                }
                for library, crate in bundled(crates)
            ),
        ],
    }
    return json.dumps(document, indent=1, ensure_ascii=False) + "\n"


def component(crate: Crate) -> dict:
    """Returns a crate as a component of the SBOM."""
    place = f"pkg:cargo/{crate.name}@{crate.version}"
    links = [{"type": "vcs", "url": crate.repository}] if crate.repository else []
    return {
        "type": "library",
        "bom-ref": place,
        "name": crate.name,
        "version": crate.version,
        "description": crate.description,
        # SPDX knows no slash, which older crates have.
        "licenses": [{"expression": (crate.licence or "NOASSERTION").replace(" / ", " OR ").replace("/", " OR ")}],
        "purl": place,
        **({"externalReferences": links} if links else {}),
    }
