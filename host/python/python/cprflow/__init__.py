"""Extracts of Denmark's civil register (CPR) as Apache Arrow, parsed inside a WebAssembly sandbox.

Read an extract with any library that knows Arrow:

    import cprflow, polars

    extract = cprflow.open("d261123.l000001")
    persons = polars.DataFrame(extract.table("person"))

Read only some columns and rows; the others never leave the sandbox:

    cprflow.open("d261123.l000001").table("address").scan(
        columns=["pnr"], filter="municipality_code = '0851'"
    )

Read what ``cprflow sync`` has published:

    cprflow.dataset("/srv/cpr").current("person")  # as it is now
    cprflow.dataset("/srv/cpr").table("person")    # every delivery

``cprflow.polars``, ``cprflow.dlt`` and ``cprflow.spark`` have functions for these packages, which must be installed for them.
``cprflow.export`` writes a dataset to Delta tables or PostgreSQL. The command ``cprflow`` is installed with this package.
"""

from cprflow._errors import (
    ComponentError,
    ConfigurationError,
    DataError,
    DatasetError,
    Error,
    FileError,
    InternalError,
    RequestError,
    ServerError,
)
from cprflow._native import (
    Batch,
    BatchIterator,
    CatalogTable,
    Column,
    Dataset,
    Delivery,
    Extract,
    Finding,
    FindingPlace,
    Generated,
    Generation,
    Problem,
    Published,
    Report,
    Scan,
    ScanStats,
    Schema,
    Skipped,
    Start,
    SyncReport,
    Table,
    __version__,
    catalog,
    component_digest,
    dataset,
    generate,
    open,
    read_part,
    sync,
)

__all__ = [
    "Batch",
    "BatchIterator",
    "CatalogTable",
    "Column",
    "ComponentError",
    "ConfigurationError",
    "DataError",
    "Dataset",
    "DatasetError",
    "Delivery",
    "Error",
    "Extract",
    "FileError",
    "Finding",
    "FindingPlace",
    "Generated",
    "Generation",
    "InternalError",
    "Problem",
    "Published",
    "Report",
    "RequestError",
    "Scan",
    "ScanStats",
    "Schema",
    "ServerError",
    "Skipped",
    "Start",
    "SyncReport",
    "Table",
    "__version__",
    "catalog",
    "component_digest",
    "dataset",
    "generate",
    "open",
    "read_part",
    "sync",
]

# Type checkers know this name. The one of `typing` would make the import slower.
TYPE_CHECKING = False

if TYPE_CHECKING:
    from cprflow import dlt as dlt
    from cprflow import export as export
    from cprflow import polars as polars
    from cprflow import spark as spark
else:
    # Type checkers must not see this function: to them, it would give the module every attribute.
    def __getattr__(name):
        # Imported when they are used, because they need packages that may not be installed.
        if name in ("polars", "dlt", "spark", "export"):
            import importlib

            return importlib.import_module(f"cprflow.{name}")
        raise AttributeError(f"module 'cprflow' has no attribute {name!r}")
