"""Settings of the service, read once from environment variables."""

from __future__ import annotations

import difflib
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Annotated, Any, Literal, get_type_hints
from urllib.parse import urlsplit

#: As `core.kernels.workspace.MOST_ANSWERS`, which is not imported here: settings are read before numba may be.
LONGEST_ANSWER = 255

_TRUTHS = {"true": True, "1": True, "yes": True, "false": False, "0": False, "no": False}


class SettingsError(ValueError):
    """A setting has a wrong value, is missing, or is not known; the message names it."""


class _ExpectedError(ValueError):
    """What a parser raises: the message says what is expected instead."""


def _text(raw: str) -> str:
    return raw.strip()


def _secret(raw: str) -> str:
    return raw  # byte for byte: a secret shared with other services must not be tidied up by one of them


def _whole(low: int, high: int) -> Callable[[str], int]:
    def parse(raw: str) -> int:
        if not re.fullmatch(r"[+-]?[0-9]{1,18}", raw.strip()) or not low <= int(raw) <= high:
            raise _ExpectedError(f"a whole number from {low} to {high}")
        return int(raw)

    return parse


def _number(low: float, high: float) -> Callable[[str], float]:
    def parse(raw: str) -> float:
        try:
            value = float(raw)
        except ValueError:
            value = float("nan")
        if not low <= value <= high:  # also refuses nan
            raise _ExpectedError(f"a number from {low:g} to {high:g}")
        return value

    return parse


def _name(raw: str) -> str:
    if not re.fullmatch(r"[A-Za-z0-9_.-]{1,50}", raw.strip()):
        raise _ExpectedError("a name of at most 50 letters, digits, '_', '.' and '-'")
    return raw.strip()


def _truth(raw: str) -> bool:
    if raw.strip().lower() not in _TRUTHS:
        raise _ExpectedError("true or false")
    return _TRUTHS[raw.strip().lower()]


def _draft_or_running(raw: str) -> str:
    if raw.strip() not in ("draft", "running"):
        raise _ExpectedError("draft or running")
    return raw.strip()


def _directory(raw: str) -> Path:
    path = Path(raw.strip()).expanduser().resolve()
    if path.exists() and not path.is_dir():
        raise _ExpectedError("a directory, or a path where one can be made")
    return path


def _origins(raw: str) -> tuple[str, ...]:
    origins = tuple(part.strip().rstrip("/") for part in raw.split(",") if part.strip())
    if not all(origin == "*" or _is_origin(origin) for origin in origins):
        raise _ExpectedError("origins such as https://example.org separated by commas, or *")
    return origins


def _is_origin(text: str) -> bool:
    try:
        parts = urlsplit(text)
    except ValueError:  # an unclosed bracket of an IPv6 address
        return False
    return (
        parts.scheme in ("http", "https")
        and bool(parts.netloc)
        and text == f"{parts.scheme}://{parts.netloc}"
    )


@dataclass(frozen=True, kw_only=True)
class Settings:
    """Everything that can be set from outside: a field is the environment variable of that name in capitals.

    The annotation of a field carries the parser of its variable. A variable that is empty counts as not set,
    because deployment files often carry empty ones. Variables that belong to other services are left alone;
    only an unknown ``CRAIC_…`` is refused, as it can only be a mistake. Secrets are kept out of ``repr``.
    """

    craic_home: Annotated[Path, _directory] = field(default_factory=lambda: Path(".craic").resolve())
    service_host: Annotated[str, _text] = "0.0.0.0"  # noqa: S104 - meant to be reached by the aggregator
    service_port: Annotated[int, _whole(1, 65_535)] = 4004
    cors_origins: Annotated[tuple[str, ...], _origins] = ()
    max_body_bytes: Annotated[int, _whole(256, 2**30)] = 65_536

    # MySQL or MariaDB; without DB_HOST the embedded SQLite file is used
    db_host: Annotated[str | None, _text] = None
    db_port: Annotated[int, _whole(1, 65_535)] = 3306
    db_user: Annotated[str | None, _text] = None
    db_password: Annotated[str | None, _secret] = field(default=None, repr=False)
    db_name: Annotated[str, _text] = "gigsdb"
    poll_seconds: Annotated[float, _number(0.05, 3_600)] = 2.0
    queue_max_megabytes: Annotated[int, _whole(1, 2**20)] = 64
    prediction_retention_days: Annotated[int, _whole(1, 36_500)] = 90

    model_dir: Annotated[Path | None, _directory] = None
    min_training_samples: Annotated[int, _whole(1, 10**9)] = 100
    default_recommendation_count: Annotated[int, _whole(1, LONGEST_ANSWER)] = 20
    max_recommendation_count: Annotated[int, _whole(1, LONGEST_ANSWER)] = 100
    retrain_threshold_days: Annotated[float, _number(0, 36_500)] = 7.0
    retrain_min_interactions: Annotated[int, _whole(1, 10**9)] = 100
    keep_models: Annotated[int, _whole(2, 1_000)] = 5
    max_per_venue: Annotated[int | None, _whole(1, LONGEST_ANSWER)] = None
    max_per_series: Annotated[int | None, _whole(1, LONGEST_ANSWER)] = None
    soon_weight: Annotated[float, _number(0, 0.5)] = 0.0
    popularity_weight: Annotated[float, _number(0, 0.5)] = 0.0
    default_variant: Annotated[str, _name] = "collaborative_filtering"
    default_experiment_id: Annotated[str, _name] = "rec_algorithm_v1"
    default_experiment_status: Annotated[Literal["draft", "running"], _draft_or_running] = "draft"
    control_variant: Annotated[str, _name] = "control"

    # DynamoDB, for experiments; without a key, or with USE_LOCAL_DYNAMODB, they are kept in this service's database
    use_local_dynamodb: Annotated[bool | None, _truth] = None
    aws_region: Annotated[str, _text] = "eu-west-1"
    aws_access_key_id: Annotated[str | None, _secret] = field(default=None, repr=False)
    aws_secret_access_key: Annotated[str | None, _secret] = field(default=None, repr=False)
    dynamodb_table_experiments: Annotated[str, _text] = "whatsthecraic-experiments"
    dynamodb_table_assignments: Annotated[str, _text] = "whatsthecraic-ab-assignments"
    dynamodb_seconds: Annotated[float, _number(0.05, 3_600)] = 30.0
    dynamodb_hold_seconds: Annotated[float, _number(0, 30 * 86_400)] = 86_400.0

    jwt_secret: Annotated[str | None, _secret] = field(default=None, repr=False)
    jwt_leeway_seconds: Annotated[int, _whole(0, 3_600)] = 30
    api_key: Annotated[str | None, _secret] = field(default=None, repr=False)

    def __post_init__(self) -> None:
        if self.db_host is not None and self.db_user is None:
            raise SettingsError("DB_USER: needed because DB_HOST is set")
        if self.default_recommendation_count > self.max_recommendation_count:
            raise SettingsError(
                f"DEFAULT_RECOMMENDATION_COUNT: {self.default_recommendation_count} is more than "
                f"MAX_RECOMMENDATION_COUNT, which is {self.max_recommendation_count}"
            )

    @property
    def uses_mysql(self) -> bool:
        return self.db_host is not None

    @property
    def uses_dynamodb(self) -> bool:
        """Whether experiments are in DynamoDB: with AWS's key, or when told so, with whatever the machine's role is."""
        if self.use_local_dynamodb is None:
            return self.aws_access_key_id is not None
        return not self.use_local_dynamodb

    @property
    def sqlite_file(self) -> Path:
        """The embedded database, used when ``uses_mysql`` is false."""
        return self.craic_home / "craic.db"

    @property
    def models_directory(self) -> Path:
        """Where bundles are published: MODEL_DIR, or ``models`` under CRAIC_HOME."""
        return self.model_dir or self.craic_home / "models"

    @classmethod
    def from_environment(cls, env: Mapping[str, str]) -> Settings:
        """Read every known variable of ``env``.

        Raises SettingsError for a value that does not fit, naming the variable, the value and what is
        expected, and for an unknown variable that starts with ``CRAIC_``.
        """
        hints = get_type_hints(cls, include_extras=True)
        _refuse_unknown(env, [name.upper() for name in hints])
        given = {name: env.get(name.upper(), "") for name in hints}
        return cls(**{name: _parsed(name, raw, hints[name]) for name, raw in given.items() if raw.strip()})


def _parsed(name: str, raw: str, hint: Any) -> Any:
    (parse,) = hint.__metadata__
    try:
        return parse(raw)
    except _ExpectedError as expected:
        raise SettingsError(f"{name.upper()}: expected {expected}, got {raw!r}") from None


def _refuse_unknown(env: Mapping[str, str], known: list[str]) -> None:
    for variable in sorted(env):
        if variable.startswith("CRAIC_") and variable not in known:
            nearest = difflib.get_close_matches(variable, known, n=1, cutoff=0.0)[0]
            raise SettingsError(f"{variable}: no such setting; the nearest is {nearest}")
