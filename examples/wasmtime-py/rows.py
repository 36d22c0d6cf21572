"""Prints the rows of a table of an extract as JSON lines: python rows.py COMPONENT EXTRACT TABLE [CONDITION]"""

import datetime
import json
import sys
import threading

import pyarrow
from wasmtime import Config, Engine, Store
from wasmtime.component import Component, Linker, Record

SOURCE = "cprflow:connector/source@0.3.0"
MEMORY = 256 << 20
SECONDS = 300
BLOCK = 64 << 10


def record(**fields):
    """Returns a record of the contract; `a_b` stands for `a-b`."""
    made = Record()
    for name, value in fields.items():
        setattr(made, name.replace("_", "-"), value)
    return made


class Source:
    """The interface `source` of an instance of the component."""

    def __init__(self, path):
        config = Config()
        config.epoch_interruption = True
        engine = Engine(config)
        self.store = Store(engine)
        self.store.set_limits(memory_size=MEMORY)
        # The timer ends an instance that takes too long.
        self.store.set_epoch_deadline(1)
        self.timer = threading.Timer(SECONDS, engine.increment_epoch)
        self.timer.daemon = True
        self.timer.start()
        component = Component.from_file(engine, path)
        linker = Linker(engine)
        imports = component.type.imports(engine)
        seed = next((name for name in imports if name.startswith("wasi:random/insecure-seed@")), None)
        if seed:
            # The seed that Rust's hash maps ask for. Every other import fails when it is called.
            linker.allow_shadowing = True
            with linker.root() as root, root.add_instance(seed) as instance:
                instance.add_func("insecure-seed", lambda store: (1, 2))
        linker.define_unknown_imports_as_traps(component)
        self.instance = linker.instantiate(self.store, component)
        self.interface = self.instance.get_export_index(self.store, SOURCE)

    def call(self, name, *arguments):
        """Calls a function and returns its result, or raises its error."""
        index = self.instance.get_export_index(self.store, name, self.interface)
        function = self.instance.get_func(self.store, index)
        result = function(self.store, *arguments)
        # wasmtime-py names the case of a result only where the types of both cases can be confused.
        if getattr(result, "tag", None) == "err":
            result = result.payload
        if hasattr(result, "kind") and hasattr(result, "message"):
            raise RuntimeError(result.message)
        return getattr(result, "payload", result)


def messages(source, extract, table, where):
    """Yields the batches of a table, as messages of one Arrow stream."""
    request = record(name=table, columns=None, where=where)
    options = record(tables=[request], batch_rows=0, check_persons=False, expected_previous=None)
    scan = source.call("[static]scan.open", options, None)
    with open(extract, "rb") as file:
        while block := file.read(BLOCK):
            source.call("[method]scan.push", scan, block)
            while batch := source.call("[method]scan.next", scan):
                yield batch.ipc
    source.call("[method]scan.finish", scan)
    while batch := source.call("[method]scan.next", scan):
        yield batch.ipc
    scan.drop(source.store)


def plain(value):
    """Returns a value as JSON has it."""
    if isinstance(value, datetime.date):
        return value.isoformat()
    return dict(value) if isinstance(value, list) else value


def main(component, extract, table, where=None):
    source = Source(component)
    stream = b"".join(messages(source, extract, table, where))
    for batch in pyarrow.ipc.open_stream(stream) if stream else ():
        for row in batch.to_pylist():
            print(json.dumps({name: plain(value) for name, value in row.items()}, ensure_ascii=False))


if __name__ == "__main__":
    main(*sys.argv[1:])
