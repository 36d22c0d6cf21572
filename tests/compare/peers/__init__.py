"""The libraries that are compared with cprflow: one file each, written as an experienced user would write it.

Each module has:

- `load(path, threads)`, which returns what `answer` reads. It runs before the clock starts.
- `answer(source, tables, threads)`, which yields the typed rows of each table, as an Arrow table or a data frame.
- `part(source)` if it reads only every n-th line: it returns n.

All of them give text without trailing spaces, dates, times, booleans and numbers. A blank value is null, and so is a date
that does not exist.
"""
