"""The command ``cprflow``."""

# Runs the command again in a process of its own, without the working directory in the search path for modules.
_AGAIN = "import sys; sys.path[:] = [p for p in sys.path if p]; from cprflow._command import main; main()"


def main():
    """Run the command line and exit with its exit code."""
    import signal
    import sys

    # Python's handler would wait for Python code to run. The command ends at once, or has handlers of its own.
    signal.signal(signal.SIGINT, signal.SIG_DFL)

    if sys.argv[1:2] == ["export"]:
        _export(sys.argv[2:])

    from cprflow import _native

    sys.exit(_native.main(["cprflow", *sys.argv[1:]], [sys.executable, "-c", _AGAIN]))


def _export(arguments):
    """Run `cprflow export`, which is written in Python because its libraries are."""
    import sys

    try:
        from cprflow.export.command import main
    except ImportError as error:
        print(f"error: {error}", file=sys.stderr)
        sys.exit(2)
    main(arguments)
