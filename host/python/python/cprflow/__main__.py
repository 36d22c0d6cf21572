"""Run the command as ``python -m cprflow``."""

from cprflow._command import main

main()
