"""The exception of this package. No message contains a value of a person's record or a password."""

import os
import re

import cprflow


class TargetError(cprflow.Error):
    """The target of an export cannot be used: a Delta directory or a PostgreSQL database."""

    __module__ = "cprflow.export"


def redact(text: str) -> str:
    """Return a text of the command line without passwords and person numbers."""
    # A password can have any character, for example @ or a space, so the rest of the text is left out too.
    text = re.sub(r"(?is)(?<=://).*(@|password=).*", "[hidden]", text)
    text = re.sub(r"(?is)(\S*:\S*@|password=).*", "[hidden]", text)
    # Where a port must be, other text or a longer number can be a password whose @ was forgotten.
    text = re.sub(r"(?s)(?<=://)(?=[^/?#\s]*:(?!\d{0,5}([,/?#\s]|$))).*", "[hidden]", text)
    return re.sub(r"\d{6}-?\d{4,}", "[number]", text)


def system_error(error: BaseException) -> str:
    """Return the operating system's words for an error of a library, or an empty text.

    The text of the library itself can have values of rows, so it is never shown.
    """
    if isinstance(error, OSError) and error.errno is not None:
        return f": {os.strerror(error.errno)}"
    found = re.search(r"os error (\d+)|Os \{ code: (\d+)", str(error))
    return f": {os.strerror(int(found.group(1) or found.group(2)))}" if found else ""
