"""The package itself: what importing it costs, its types and its documentation."""

import ast
import doctest
import inspect
import pathlib
import re
import subprocess
import sys

import cprflow
import pytest

PACKAGE = pathlib.Path(cprflow.__file__).parent
REPOSITORY = pathlib.Path(__file__).parents[3]


@pytest.mark.parametrize(("value", "outcome"), [(None, "skipped"), ("", "skipped"), ("0", "skipped"), ("1", "failed")])
def test_what_is_missing_skips_or_fails_a_test(monkeypatch, value, outcome):
    import exports

    monkeypatch.delenv("CPRFLOW_REQUIRE_NOTHING", raising=False)
    if value is not None:
        monkeypatch.setenv("CPRFLOW_REQUIRE_NOTHING", value)
    raised = {"skipped": pytest.skip.Exception, "failed": pytest.fail.Exception}[outcome]
    with pytest.raises(raised, match="nothing is not installed"):
        exports.missing("CPRFLOW_REQUIRE_NOTHING", "nothing is not installed")


def seconds(statement):
    """Returns the shortest of several times that a new Python needs for a statement."""
    script = f"import time\nstart = time.perf_counter()\n{statement}\nprint(time.perf_counter() - start)"
    runs = [subprocess.run([sys.executable, "-c", script], capture_output=True, check=True) for _ in range(7)]
    return min(float(run.stdout) for run in runs)


def test_importing_it_is_fast():
    assert seconds("import cprflow") <= 3 * seconds("import json") + 0.030


def test_importing_it_imports_no_other_package():
    script = "import cprflow, sys; print(*sys.modules)"
    modules = subprocess.run([sys.executable, "-c", script], capture_output=True, check=True).stdout.decode().split()
    assert not {"polars", "dlt", "pyspark", "pyarrow", "pandas", "numpy", "typing", "dataclasses"} & set(modules)


def test_adapters_say_which_package_is_missing():
    for adapter, package in [("polars", "polars"), ("dlt", "dlt"), ("spark", "pyspark")]:
        script = f"import sys; sys.modules['{package}'] = None; import cprflow; cprflow.{adapter}"
        ended = subprocess.run([sys.executable, "-c", script], capture_output=True)
        assert f"pip install 'cprflow[{adapter}]'".encode() in ended.stderr
    with pytest.raises(AttributeError):
        cprflow.nothing


def test_stubs_have_exactly_what_the_module_has():
    tree = ast.parse((PACKAGE / "_native.pyi").read_text())
    native = cprflow._native
    functions = {node.name: node for node in tree.body if isinstance(node, ast.FunctionDef)}
    classes = {node.name: node for node in tree.body if isinstance(node, ast.ClassDef)}
    public = {name for name in dir(native) if not name.startswith("_")}
    assert public == functions.keys() | classes.keys()
    for name, node in functions.items():
        compare_signature(getattr(native, name), node, name)
    for name, node in classes.items():
        members = {member.name: member for member in node.body if isinstance(member, ast.FunctionDef)}
        cls = getattr(native, name)
        own = {member for member in vars(cls) if not member.startswith("__") or member.startswith("__arrow")}
        assert own == {member for member in members if not member.startswith("__") or member.startswith("__arrow")}
        for member, stub in members.items():
            assert hasattr(cls, member), f"{name}.{member}"
            is_property = any(isinstance(one, ast.Name) and one.id == "property" for one in stub.decorator_list)
            assert is_property == inspect.isdatadescriptor(vars(cls)[member]) or member.startswith("__")
            if not is_property and not member.startswith("__"):
                compare_signature(vars(cls)[member], stub, f"{name}.{member}")
    assert (PACKAGE / "py.typed").exists()
    assert set(cprflow.__all__) == public - {"main"} | {"__version__"} | set(dir(cprflow._errors)) & set(cprflow.__all__)


def compare_signature(function, stub, name):
    found = inspect.signature(function).parameters
    arguments = stub.args
    names = [one.arg for one in [*arguments.posonlyargs, *arguments.args, *arguments.kwonlyargs]]
    assert [one for one in found if one != "self"] == [one for one in names if one != "self"], name
    keyword_only = {one for one, value in found.items() if value.kind is inspect.Parameter.KEYWORD_ONLY}
    assert keyword_only == {one.arg for one in arguments.kwonlyargs}, name


def test_stubtest_finds_no_difference(tmp_path):
    # No program imports all names of the native module.
    (tmp_path / "allowed").write_text("cprflow._native.__all__\n")
    command = [sys.executable, "-m", "mypy.stubtest", "--allowlist", "allowed", "cprflow._native"]
    checked = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True)
    assert checked.returncode == 0, checked


def mypy(directory, *arguments):
    """Runs mypy like a user who has installed the package."""
    command = [sys.executable, "-m", "mypy", "--config-file=", "--cache-dir=cache", "--ignore-missing-imports"]
    return subprocess.run([*command, *arguments], cwd=directory, capture_output=True, text=True)


def test_type_checkers_find_wrong_names_and_values(tmp_path):
    """They know the modules that `cprflow.__getattr__` imports, and must not take it for one that knows every name."""
    script = """
import cprflow
cprflow.nothing  # wrong
cprflow.open("extract").nothing  # wrong
cprflow.dataset("dataset", timestamps="local")  # wrong
cprflow.polars.nothing  # wrong
cprflow.polars.scan("extract", "person")
cprflow.dlt.resource("dataset", "person", timestamps="local")  # wrong
cprflow.dlt.resource("dataset", "person", write_disposition="replace", timestamps="utc")
cprflow.spark.register
cprflow.export.nothing  # wrong
rows: int = cprflow.dataset("dataset").table("person").scan(columns=["pnr"]).stats().rows
"""
    (tmp_path / "script.py").write_text(script)
    checked = mypy(tmp_path, "--strict", "script.py")
    found = [int(line) for line in re.findall(r"^script\.py:(\d+): error", checked.stdout, flags=re.MULTILINE)]
    lines = script.splitlines()
    assert found == [number for number, line in enumerate(lines, 1) if line.endswith("# wrong")], checked


def test_the_package_has_no_type_error(tmp_path):
    checked = mypy(tmp_path, "-p", "cprflow")
    assert checked.returncode == 0, checked


def test_everything_has_a_docstring():
    for name in cprflow.__all__:
        if name != "__version__":
            thing = getattr(cprflow, name)
            assert thing.__doc__ and thing.__doc__.strip(), name
            assert thing.__module__ in ("cprflow", "cprflow._native"), name
        for member, value in vars(thing).items() if inspect.isclass(thing) else ():
            if not member.startswith("_") and (callable(value) or inspect.isdatadescriptor(value)):
                assert value.__doc__ and value.__doc__.strip(), f"{name}.{member}"


def test_the_table_of_exceptions_has_exactly_those_of_the_package():
    page = (REPOSITORY / "docs/use-from.md").read_text()
    documented = {}
    for row in re.findall(r"^\| `(cprflow\.[\w.]*Error)` \| ([^|]*)\| [^|]*\| ([^|]*)\| [^|]* \|$", page, flags=re.MULTILINE):
        documented[row[0]] = [re.findall(r"`(\w+)`", cell) for cell in row[1:]]
    assert issubclass(cprflow.export.TargetError, cprflow.Error)
    expected = {}
    for cls in [cprflow.Error, *cprflow.Error.__subclasses__()]:
        bases = [base.__name__ for base in cls.__bases__ if not issubclass(base, cprflow.Error) and base is not Exception]
        attributes = [name for name in vars(cls) if not name.startswith("_")]
        expected[f"{cls.__module__}.{cls.__name__}"] = [bases, attributes + ["errno"] * issubclass(cls, OSError)]
    assert documented == expected
    # The codes of errors that end a scan early. Nothing in Python copies an extract.
    source = (REPOSITORY / "host/core/src/error.rs").read_text()
    [kinds] = re.findall(r"impl DataErrorKind \{.*?\n\}\n", source, flags=re.DOTALL)
    early = re.search(r"\bor `record-too-long`.*? if reading stopped early", page, flags=re.DOTALL).group()
    codes = re.findall(r'=> "([a-z-]+)"', kinds)
    assert re.findall(r"`([a-z-]+)`", early) == [code for code in codes if code != "not-separable"]


def functions():
    """Returns the functions and methods of the package by their names, without those of Spark and of the export."""
    found = {}
    for name in cprflow.__all__:
        thing = getattr(cprflow, name)
        if inspect.isclass(thing):
            methods = {member: value for member, value in vars(thing).items() if not member.startswith("_")}
            found |= {f"{name}.{member}": value for member, value in methods.items() if callable(value)}
        elif callable(thing):
            found[name] = thing
    for module in (cprflow.polars, cprflow.dlt):
        found |= {f"{module.__name__}.{name}": getattr(module, name) for name in module.__all__}
    return found


def test_every_function_has_an_example_that_runs(two_nights, monkeypatch):
    """An example can show other values than here, and they have the same types."""
    import dlt
    import polars

    monkeypatch.chdir(two_nights.root)
    cprflow.generate("d261123.l000001", persons=1000, seed=7)
    names = {
        "cprflow": cprflow,
        "polars": polars,
        "extract": cprflow.open("d261123.l000001"),
        "published": cprflow.dataset(two_nights.dataset),
        "pipeline": dlt.pipeline(
            "examples", destination=dlt.destinations.duckdb("loaded.db"), pipelines_dir=str(two_nights.root / "dlt")
        ),
    }
    for name, function in functions().items():
        examples = doctest.DocTestParser().get_examples(inspect.getdoc(function))
        assert examples, name
        for example in examples:
            source = example.source.replace("/srv/cpr", str(two_nights.dataset))
            if example.want:
                shown = eval(source, names)
                assert type(shown) is type(ast.literal_eval(example.want)), (name, source, shown)
            else:
                exec(source, names)


def test_results_print_without_values(extract, published):
    opened = cprflow.open(extract)
    person = opened.table("person")
    batch = next(iter(person))
    report = opened.verify()
    things = [
        opened, person, person.scan(), person.schema, person.schema["pnr"], batch, report, report.findings[0],
        report.findings[0].places[0], report.start, opened.stats(), cprflow.catalog()[1],
        cprflow.dataset(published.path), cprflow.dataset(published.path).deliveries()[0],
        cprflow.sync(published.job.config),
    ]
    numbers = set()
    for found in opened.table("person").scan(columns=["pnr"], limit=3000):
        import pyarrow

        numbers |= set(pyarrow.record_batch(found).column(0).to_pylist())
    for thing in things:
        assert type(thing).__name__ in repr(thing)
        assert not any(number in repr(thing) + str(thing) for number in numbers)
