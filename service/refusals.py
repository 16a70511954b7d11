"""Trainings whose model was not published: what they were and why, beside the models on disk."""

import json
import logging
from pathlib import Path
from typing import Any

from msgspec import Struct, ValidationError, convert, to_builtins

from service.storage.whole_file import replace_file

logger = logging.getLogger(__name__)

_FILE = "refused.json"
_REMEMBERED = 20


class Refusal(Struct, frozen=True):
    """One of them. `validation` is as in a manifest, None when it did not come to one."""

    model_version: str  #: the version it would have had
    refused_at: float  #: unix seconds
    reasons: list[str]
    training_samples: int
    settings: dict[str, Any]
    validation: dict[str, Any] | None = None


def read_refusals(models: Path) -> list[Refusal]:
    """The last refusals, the latest first; none when the file is not there or not to be read, which is logged."""
    try:
        return convert(json.loads((models / _FILE).read_bytes()), list[Refusal])
    except FileNotFoundError:
        return []
    except (OSError, ValueError, ValidationError) as error:
        logger.warning("%s: %s", models / _FILE, error)
        return []


def note_refusal(models: Path, refusal: Refusal) -> None:
    """Put a refusal before the others. OSError when the disk fails."""
    kept = [refusal, *read_refusals(models)][:_REMEMBERED]
    replace_file(models / _FILE, json.dumps(to_builtins(kept), indent=1, ensure_ascii=False) + "\n")
