"""The commands that need the training package."""

import asyncio
import json
import os
import sys
from collections.abc import Coroutine
from typing import Any, TypeVar

import click

from core.bundle import BundleError
from core.model import ModelSettings
from service.database import open_configured_database
from service.models import ModelRegistry
from service.settings import Settings, SettingsError
from service.storage.database import Database
from service.storage.errors import StorageError
from training.need import why_not_needed
from training.pipeline import TrainingRefusedError, TrainingReport, train, utc_now
from training.snapshot import take_snapshot
from training.turn import TrainingBusyError, training_turn
from training.validation import Validation, validate

T = TypeVar("T")

#: Exit codes, beside 0 for success and 2 for a wrong command line.
FAILED, REFUSED, BUSY = 1, 3, 4

_EXIT_CODES = {TrainingRefusedError: REFUSED, TrainingBusyError: BUSY}

_SEED = click.IntRange(min=0)


@click.group(context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 100})
def main() -> None:
    """Training and evaluation."""


@main.command("train")
@click.option("--seed", default=0, show_default=True, type=_SEED, help="Of what is held out to validate.")
@click.option("--json", "as_json", is_flag=True, help="Print the report as JSON.")
@click.option("--only-if-new", is_flag=True, help="Train only when there is something new to learn.")
def train_command(seed: int, as_json: bool, only_if_new: bool) -> None:
    """Train a model on everything in the database and publish it.

    The new model is validated on the last fifth of the interactions (held out by person where no times are
    known), written to MODEL_DIR and becomes the one that serves. A running service takes it over by itself.

    With --only-if-new a model younger than RETRAIN_THRESHOLD_DAYS is kept until RETRAIN_MIN_INTERACTIONS have come.

    Exit codes: 0 published, or nothing new, 1 failed, 3 refused because there is too little data
    (MIN_TRAINING_SAMPLES), 4 another training is under way.
    """
    settings = _settings()
    outcome = _run(_train(settings, seed, only_if_new), "Nothing was published")
    if isinstance(outcome, TrainingReport):
        click.echo(json.dumps(_as_dict(outcome)) if as_json else _told(outcome))
    else:
        kept = {"status": "success", "model_version": ModelRegistry(settings.models_directory).current()}
        click.echo(json.dumps({**kept, "kept": outcome}) if as_json else f"Nothing was trained: {outcome}")


@main.command("evaluate")
@click.option("--seed", default=0, show_default=True, type=_SEED, help="Of what is held out.")
@click.option("--k", default=10, show_default=True, type=click.IntRange(1, 100), help="Length of the lists.")
@click.option("--json", "as_json", is_flag=True, help="Print JSON instead of a table.")
def evaluate_command(seed: int, k: int, as_json: bool) -> None:
    """Measure every arm on held-out interactions, without publishing anything.

    Each arm is fitted on the first four fifths of the interactions and has to name what people liked in the
    last fifth among the events that were open then. Without times, a fifth of each person's likes is held out.

    Exit codes: 0 measured, 1 failed, 3 refused because there is too little data.
    """
    validation = _run(_evaluate(_settings(), seed, k), "Nothing was measured")
    if validation is None:
        click.echo("Nothing was measured: there are too few likes to hold any out", err=True)
        sys.exit(REFUSED)
    if as_json:
        click.echo(json.dumps({name: metrics.as_dict() for name, metrics in validation.arms.items()}))
    else:
        click.echo(_table(validation))


async def _train(settings: Settings, seed: int, only_if_new: bool) -> TrainingReport | str:
    """Train, or say why no training is needed."""
    registry = ModelRegistry(settings.models_directory)
    with training_turn(settings.models_directory):
        database = await open_configured_database(settings)
        try:
            least, days = settings.retrain_min_interactions, settings.retrain_threshold_days
            if only_if_new and (reason := await why_not_needed(database, registry, utc_now(), least, days)):
                return reason
            return await _train_with(database, registry, settings, seed)
        finally:
            await database.close()


async def _train_with(
    database: Database, registry: ModelRegistry, settings: Settings, seed: int
) -> TrainingReport:
    return await train(
        database,
        registry,
        ModelSettings(),
        utc_now(),
        settings.min_training_samples,
        seed,
        settings.keep_models,
        progress=lambda step: click.echo(f"{step} …", err=True),
    )


async def _evaluate(settings: Settings, seed: int, k: int) -> Validation | None:
    database = await open_configured_database(settings)
    try:
        snapshot = await take_snapshot(database, int(utc_now().timestamp()))
    finally:
        await database.close()
    return validate(snapshot, ModelSettings(), seed, k)


def _run(work: Coroutine[Any, Any, T], outcome: str) -> T:
    """Run to the end; a failure becomes one line on standard error, which begins with `outcome`, and an exit code."""
    try:
        return asyncio.run(work)
    except (TrainingRefusedError, TrainingBusyError, BundleError, StorageError, OSError) as error:
        click.echo(f"{outcome}: {error}", err=True)
        sys.exit(_EXIT_CODES.get(type(error), FAILED))


def _settings() -> Settings:
    try:
        return Settings.from_environment(os.environ)
    except SettingsError as error:
        raise click.UsageError(str(error)) from None


def _as_dict(report: TrainingReport) -> dict[str, Any]:
    """The report by the names of the API's answer to a retraining."""
    return {
        "status": "success",
        "model_version": report.version,
        "metrics": {
            "training_samples": report.training_samples,
            "training_duration_seconds": round(report.training_duration_seconds, 3),
            "validation_metrics": report.validation_metrics,
        },
    }


def _told(report: TrainingReport) -> str:
    rows = report.rows
    left_out = {
        "of unknown actions": rows.unknown_action,
        "repeated": rows.duplicates,
        "after the cut-off": rows.after_cutoff,
    }
    lines = [
        f"Published model {report.version} in {report.training_duration_seconds:.1f} s.",
        f"{rows.kept:,} of {rows.rows:,} interactions used: {rows.liked:,} likes, {rows.dismissed:,} dismissals"
        + "".join(f"; {count:,} {what}" for what, count in left_out.items() if count)
        + ".",
    ]
    if report.validation is not None:
        lines.append(_table(report.validation))
    return "\n".join(lines)


def _table(validation: Validation) -> str:
    """The arms' measures, one line each."""
    how = "the last fifth by time" if validation.method == "time" else "a fifth of each person's likes"
    people = next(iter(validation.arms.values())).users
    measures = {name: metrics.as_dict() for name, metrics in validation.arms.items()}
    columns = [name for name in next(iter(measures.values())) if not name.startswith("users")]
    head = f"{'arm':<26}" + "".join(f"{name:>17}" for name in columns)
    body = [f"{arm:<26}" + "".join(f"{of[name]:>17.4f}" for name in columns) for arm, of in measures.items()]
    return "\n".join([f"Judged on {how}, {people:,} people:", head, *body])
