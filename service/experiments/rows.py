"""The people of an experiment as rows for other programs, without their names."""

import csv
import io
from collections.abc import Mapping
from typing import Any

from service.experiments.people import VariantPeople

COLUMNS = (
    "variant",
    "map_version",
    "exposures",
    "clicks",
    "saves",
    "hides",
    "errors",
    "pre_activity",
    "is_crossed",
)


def rows_of(people: Mapping[str, VariantPeople]) -> list[dict[str, Any]]:
    """One row a person, variant by variant."""
    return [
        dict(zip(COLUMNS, (variant, *values), strict=True))
        for variant, one in people.items()
        for values in zip(*(getattr(one, name).tolist() for name in COLUMNS[1:]), strict=True)
    ]


def csv_of(rows: list[dict[str, Any]]) -> str:
    """Rows as CSV with a header."""
    text = io.StringIO()
    writer = csv.DictWriter(text, COLUMNS, lineterminator="\n")
    writer.writeheader()
    writer.writerows(rows)
    return text.getvalue()
