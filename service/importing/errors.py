"""Why a file cannot be imported."""

from pathlib import Path

_SHOWN = 60


class BadValueError(ValueError):
    """One value is not what its column holds. Whoever reads the file adds where it stands."""

    def __init__(self, column: str, value: str, reason: str) -> None:
        super().__init__(f"column {column}: {shown(value)} {reason}")
        self.column = column
        self.value = value
        self.reason = reason


class ImportFileError(ValueError):
    """A file that cannot be imported as it is; nothing of it was written.

    `line` counts the file's physical lines from 1, where a quoted value may span several: it is the one that
    the row begins on. `line`, `column` and `value` are None where they make no sense.
    """

    def __init__(
        self,
        path: Path,
        reason: str,
        line: int | None = None,
        column: str | None = None,
        value: str | None = None,
    ) -> None:
        place = [str(path)]
        place += [f"line {line}"] if line is not None else []
        place += [f"column {column}"] if column is not None else []
        said = reason if value is None else f"{shown(value)} {reason}"
        super().__init__(f"{', '.join(place)}: {said}")
        self.path = path
        self.reason = reason
        self.line = line
        self.column = column
        self.value = value


def shown(value: str) -> str:
    """The value as a message quotes it, cut when it is long."""
    return repr(value if len(value) <= _SHOWN else value[:_SHOWN] + "…")
