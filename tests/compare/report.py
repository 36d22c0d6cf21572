"""Writes the table and the curves of a comparison."""

LABELS = {
    "sandboxed": "cprflow (sandboxed)",
    "native": "cprflow (native library)",
    "arrow-csv": "arrow-csv (same rows as CSV)",
    "polars": "polars",
    "duckdb": "DuckDB",
    "pyarrow": "PyArrow",
    "pandas": "pandas.read_fwf (part, scaled)",
}

# The horizontal axis of each curve, and whether it is logarithmic.
AXES = {
    "bytes, all tables": ("megabytes of the extract, all tables", True),
    "bytes, one table": ("megabytes of the extract, one table", True),
    "columns": ("selected columns of `address`", False),
    "types": ("record types", False),
    "non-ascii": ("records of `name` with a character beyond ASCII, %", False),
    "bad-lines": ("records of `person` with a date that does not exist, %", False),
    "batch": ("largest number of rows of a batch, all tables", True),
    "tenants": ("tenants, each with the persons of 31 ages, all tables", False),
    "threads, all tables": ("cores and threads, all tables", False),
    "threads, one table": ("cores and threads, one table", False),
}


def table(results):
    """Returns the Markdown table of the question `table`: megabytes of the extract per second.

    The number in parentheses is how many times as long as the sandboxed cprflow a library needs.
    """
    results = [result for result in results if result["question"] == "table"]
    cells = {(result["peer"], result["cores"], result["point"]): result for result in results}
    columns = list(dict.fromkeys((result["cores"], result["point"]) for result in results))
    if not columns:
        return ""
    titles = [f"{point}, {cores} core{'s' * (cores > 1)}" for cores, point in columns]
    lines = [f"| | {' | '.join(titles)} |", "|---" * (len(columns) + 1) + "|"]
    for peer in dict.fromkeys(result["peer"] for result in results):
        row = [cell(cells, peer, *column) for column in columns]
        lines.append(f"| {LABELS[peer]} | {' | '.join(row)} |")
    return "\n".join(lines) + "\n"


def cell(cells, peer, cores, point):
    result, ours = cells.get((peer, cores, point)), cells.get(("sandboxed", cores, point))
    if result is None:
        return "-"
    speed = f"{result['bytes'] / 1e6 / result['median']:,.0f} MB/s"
    if peer == "sandboxed" or ours is None:
        return speed
    ratio = result["median"] / ours["median"]
    return f"{speed} ({ratio:.0f})" if ratio >= 10 else f"{speed} ({ratio:.1f})"


def curves(results, directory):
    """Draws a curve for each question: the medians of the rounds against what changes."""
    import matplotlib

    matplotlib.use("Agg")
    from matplotlib import pyplot, ticker

    for name, (axis, logarithmic) in AXES.items():
        lines = lines_of(results, name)
        if not any(len(points) > 1 for points in lines.values()):
            continue
        figure, plot = pyplot.subplots(figsize=(9, 4.5), layout="constrained")
        for peer, points in lines.items():
            plot.plot(*zip(*sorted(points)), marker="o", label=LABELS[peer], linewidth=2 if peer == "sandboxed" else 1)
        if logarithmic:
            plot.set_xscale("log")
        plot.set_yscale("log")
        ticks = sorted({x for points in lines.values() for x, _ in points})
        plot.set_xticks(ticks, [f"{tick:g}" for tick in ticks])
        plot.xaxis.set_minor_locator(ticker.NullLocator())
        # Labels between the powers of ten, because many curves lie between two of them.
        seconds = [y for points in lines.values() for _, y in points]
        steps = (1, 2, 5) if max(seconds) > 10 * min(seconds) else (1, 1.2, 1.5, 2, 2.5, 3, 4, 5, 6, 7, 8)
        labels = [step * 10**power for power in range(-6, 5) for step in steps]
        labels = [label for label in labels if min(seconds) / 1.1 <= label <= max(seconds) * 1.1]
        plot.yaxis.set_minor_locator(ticker.NullLocator())
        plot.set_yticks(labels, [f"{label:g}" for label in labels])
        plot.set_xlabel(axis)
        plot.set_ylabel("seconds (median)")
        plot.grid(alpha=0.3)
        figure.legend(fontsize="small", loc="outside right upper")
        for suffix in ("png", "svg"):
            figure.savefig(directory / f"{name.replace(', ', '-').replace(' ', '-')}.{suffix}")
        pyplot.close(figure)


def lines_of(results, name):
    """Returns the points of each library's curve. The curve over threads has the results of the table."""
    by_cores = name.startswith("threads, ")
    lines = {}
    for result in results:
        if by_cores and (result["question"], result["point"]) == ("table", name.removeprefix("threads, ")):
            lines.setdefault(result["peer"], []).append((result["cores"], result["median"]))
        elif result["question"] == name:
            lines.setdefault(result["peer"], []).append((float(result["point"]), result["median"]))
    return lines
