"""Answers the questions of compare.py with one library, and stays warm: `worker.py LIBRARY THREADS`.

It reads one JSON object per line on standard input and writes one per line on standard output, as
`host/core/benches/compare.rs` does.
"""

import importlib
import json
import os
import sys
import time

import layout


def consume(result, counted):
    """Returns the rows of a result and the sum of its buffers. A buffer that columns share is summed once."""
    import numpy
    import pyarrow

    if not isinstance(result, pyarrow.Table):
        # A data frame is complete in memory.
        return len(result), 0
    total = 0
    for column in result.columns:
        for chunk in column.chunks:
            for buffer in chunk.buffers():
                if buffer is None or (buffer.address, buffer.size) in counted:
                    continue
                counted.add((buffer.address, buffer.size))
                words = numpy.frombuffer(buffer, numpy.uint64, buffer.size // 8)
                total += int(words.sum(dtype=numpy.uint64))
    return result.num_rows, total % 2**64


def main():
    library, threads = sys.argv[1], int(sys.argv[2])
    # Libraries read these when they are loaded.
    for variable in ("POLARS_MAX_THREADS", "OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS"):
        os.environ[variable] = str(threads)
    peer = importlib.import_module(f"peers.with_{library}")
    file = source = None
    for line in sys.stdin:
        question = json.loads(line)
        if question["file"] != file:
            # The old file leaves the memory before the new one is read.
            source = None
            file = question["file"]
            source = peer.load(file, threads)
        tables = layout.select(question["tables"], question["columns"])
        rows = total = 0
        start = time.perf_counter()
        results, counted = [], set()
        for result in peer.answer(source, tables, threads):
            of_table, of_buffers = consume(result, counted)
            rows += of_table
            total = (total + of_buffers) % 2**64
            # Kept until the end, so that no address occurs twice.
            results.append(result)
        seconds = time.perf_counter() - start
        del results, result
        part = peer.part(source) if hasattr(peer, "part") else 1
        print(json.dumps({"seconds": seconds, "rows": rows, "sum": total, "part": part}), flush=True)


if __name__ == "__main__":
    main()
