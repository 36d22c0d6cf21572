"""The exceptions of the package, by whose fault an error is. No message contains a value of a person's record."""


class Error(Exception):
    """Any error of cprflow."""

    __module__ = "cprflow"


class DataError(Error):
    """The extract is not valid: it cannot be read to its end, or a finding says that it cannot be trusted.

    ``kind`` is a stable code, for example ``"missing-end"``. ``line`` is the number of the record and ``offset`` its
    first byte, if the error has a place.
    """

    __module__ = "cprflow"
    kind: "str | None" = None
    line: "int | None" = None
    offset: "int | None" = None


class RequestError(Error, ValueError):
    """The caller asked for something that does not exist or is not allowed: a table, a column, a condition."""

    __module__ = "cprflow"


class ComponentError(Error):
    """The component in the sandbox exceeded a limit or broke its contract."""

    __module__ = "cprflow"


class ConfigurationError(Error):
    """The configuration, or a list, key or secret that it names, is not valid."""

    __module__ = "cprflow"


class FileError(Error, OSError):
    """A file or directory cannot be read or written. ``errno`` is the operating system's code, if it has one."""

    __module__ = "cprflow"

    def __str__(self):
        return str(self.args[0]) if self.args else ""


class ServerError(Error):
    """The inbox or the subscription service cannot be reached, or refused an operation."""

    __module__ = "cprflow"


class DatasetError(Error):
    """A dataset or a ledger cannot be used, or another process uses it."""

    __module__ = "cprflow"


class InternalError(Error):
    """A bug in cprflow. The message has the place in the source, and nothing else."""

    __module__ = "cprflow"
