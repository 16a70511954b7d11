"""The settings that `craic tune` has chosen, on disk beside the models, with what they were chosen on."""

import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from core.model import ModelSettings
from service.settings import SettingsError
from service.storage.whole_file import replace_file

_FILE = "settings.json"


@dataclass(frozen=True, slots=True)
class ChosenSettings:
    """What trainings use. `chosen_on` says how the settings were chosen; None for those that come with the program."""

    settings: ModelSettings
    chosen_on: Mapping[str, Any] | None = None


def read_chosen(models: Path) -> ChosenSettings:
    """The settings under the directory `models`, or the program's own where none were chosen.

    Settings that came with a later version of the program have its defaults. Raises SettingsError naming the file and
    the setting when one is unknown or wrong, OSError when the file cannot be read.
    """
    file = models / _FILE
    try:
        stored = json.loads(file.read_bytes())
        settings = _over(ModelSettings().as_dict(), stored["settings"], "settings")
        return ChosenSettings(ModelSettings.from_dict(settings), stored["chosen_on"])
    except FileNotFoundError:
        return ChosenSettings(ModelSettings())
    except (KeyError, TypeError, ValueError) as error:
        reason = f"{error} is missing" if isinstance(error, KeyError) else str(error)
        raise SettingsError(f"{file}: {reason}; `craic tune` writes it anew, with --reset it goes") from error


def store_chosen(models: Path, chosen: ChosenSettings) -> None:
    """Let trainings into `models` use these settings from now on. OSError when the disk fails."""
    models.mkdir(parents=True, exist_ok=True)
    content = {"settings": chosen.settings.as_dict(), "chosen_on": chosen.chosen_on}
    replace_file(models / _FILE, json.dumps(content, indent=1) + "\n")


def forget_chosen(models: Path) -> bool:
    """Let trainings use the program's own settings again; whether there were others."""
    try:
        (models / _FILE).unlink()
    except FileNotFoundError:
        return False
    return True


def _over(defaults: Mapping[str, Any], stored: Mapping[str, Any], name: str) -> dict[str, Any]:
    """`defaults` with the stored values in place of theirs. Raises ValueError for a name that they do not have."""
    if not isinstance(stored, dict):
        raise ValueError(f"{name}: expected names and values, got {stored!r}")
    if unknown := sorted(stored.keys() - defaults.keys()):
        raise ValueError(f"{name}.{unknown[0]}: no such setting")
    return {
        key: _over(value, stored.get(key, {}), f"{name}.{key}")
        if isinstance(value, dict)
        else stored.get(key, value)
        for key, value in defaults.items()
    }
