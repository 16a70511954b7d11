"""The commands that need the training package."""

import asyncio
import json
import os
import sys
from collections.abc import Coroutine, Sequence
from typing import Any, TypeVar

import click

from core.bundle import BundleError
from service.database import open_configured_database
from service.models import ModelRegistry
from service.settings import Settings, SettingsError
from service.storage.errors import StorageError
from service.training_turn import TrainingBusyError, training_turn
from training.arms_tuning import BY_DEFAULT, TUNABLE
from training.choosing import MINUTES, Choice, NothingToChooseByError, choose_settings
from training.chosen import forget_chosen, read_chosen, store_chosen
from training.need import why_not_needed
from training.parent import end_with_parent
from training.pipeline import HEADLINE_ARM, TrainingRefusedError, TrainingReport, train, utc_now
from training.ranking import ARMS
from training.snapshot import Snapshot, take_snapshot
from training.telling import choice_told, measures_as_dict, report_as_dict, table, told
from training.validation import Validation, validate

T = TypeVar("T")

#: Exit codes, beside 0 for success and 2 for a wrong command line.
FAILED, REFUSED, BUSY = 1, 3, 4

_EXIT_CODES: dict[type[Exception], int] = {
    TrainingRefusedError: REFUSED,
    NothingToChooseByError: REFUSED,
    TrainingBusyError: BUSY,
}

_FORESEEN: tuple[type[Exception], ...] = (*_EXIT_CODES, BundleError, StorageError, OSError)

_SEED = click.IntRange(min=0)


@click.group(context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 100})
def main() -> None:
    """Training and evaluation."""


@main.command("train")
@click.option("--seed", default=0, show_default=True, type=_SEED, help="Of what is held out to validate.")
@click.option("--json", "as_json", is_flag=True, help="Print the report as JSON.")
@click.option("--only-if-new", is_flag=True, help="Train only when there is something new to learn.")
@click.option("--with-parent", is_flag=True, help="End when the process that started this ends.")
@click.option(
    "--force", is_flag=True, help="Publish a model that the gate would refuse; its manifest says so."
)
def train_command(seed: int, as_json: bool, only_if_new: bool, with_parent: bool, force: bool) -> None:
    """Train a model on everything in the database and publish it, unless it is worse than the one that serves.

    The new model is validated on the last fifth of the interactions (held out by person where no times are
    known), together with the settings of the live model, on the same people. It is refused when it is worse
    beyond the 95 % interval, when an arm ranks nothing any more, when most people, events or likes are gone, or
    when its numbers are not finite. Otherwise it is written to MODEL_DIR and serves; a running service takes it
    over by itself. Settings are those that `craic tune` chose last.

    With --only-if-new a model younger than RETRAIN_THRESHOLD_DAYS is kept until RETRAIN_MIN_INTERACTIONS have come.

    Exit codes: 0 published, or nothing new, 1 failed, 3 refused: too little data (MIN_TRAINING_SAMPLES), or a model
    that did not pass, 4 another training is under way.
    """
    if with_parent:
        end_with_parent()
    settings = _settings()
    outcome = _run(_train(settings, seed, only_if_new, force), "Nothing was published")
    if isinstance(outcome, TrainingReport):
        click.echo(json.dumps(report_as_dict(outcome)) if as_json else told(outcome))
    else:
        kept = {"status": "success", "model_version": ModelRegistry(settings.models_directory).current()}
        click.echo(json.dumps({**kept, "kept": outcome}) if as_json else f"Nothing was trained: {outcome}")


@main.command("tune")
@click.option(
    "--arm",
    "arms",
    multiple=True,
    type=click.Choice(list(TUNABLE)),
    help="Choose for this arm only; may be given several times.  [default: all but hybrid]",
)
@click.option(
    "--minutes",
    default=MINUTES,
    show_default=True,
    type=click.FloatRange(min=0, min_open=True),
    help="Try no more when so many have passed.",
)
@click.option("--seed", default=0, show_default=True, type=_SEED, help="Of what is held out.")
@click.option("--json", "as_json", is_flag=True, help="Print what was chosen as JSON.")
@click.option("--reset", is_flag=True, help="Go back to the settings that come with the program, at once.")
def tune_command(arms: tuple[str, ...], minutes: float, seed: int, as_json: bool, reset: bool) -> None:
    """Choose the settings of the arms for this site; `craic train` uses them from then on.

    \b
    control                  how fast popularity fades, how long a new event is given credit
    collaborative_filtering  how many neighbours, what activity, rarity and popularity count
    als                      factors, regularization, confidence, what activity and rarity count
    content_based            what genre, artist, venue, distance, … count, and statements
    hybrid                   the neighbourhood that is best within the blend, instead of the one that is
                             best by itself: for sites where most people get hybrid

    One setting after the other takes the value with which the arm by itself ranks held-out likes best. The
    last fifth of the interactions is not looked at while choosing: it judges what was chosen against the
    settings before. What is worse beyond the interval, for an arm that was chosen for or for the default arm,
    is not taken. The settings are kept in MODEL_DIR with what they were chosen on: the people, the measure,
    the seed, the number of trials. A trial takes as long as fitting that arm, so als takes most of the time;
    each arm has an equal share of the minutes; the trial under way is still ended, and all is judged after
    that. It takes more memory than a training: 634 MB were seen with 810,000 interactions.

    To begin with: craic tune --arm als --arm content_based --minutes 10

    Exit codes: 0 chosen, 1 failed, 3 too little data or nothing better, 4 a training is under way.
    """
    settings = _settings()
    if reset:
        had = _run(_reset(settings), "Nothing was changed")
        click.echo("The settings are the program's own" + (" again." if had else "."))
        return
    choice = _run(_tune(settings, arms or BY_DEFAULT, minutes, seed), "Nothing was chosen")
    if as_json:
        chosen = {"settings": choice.chosen.settings.as_dict(), "chosen_on": choice.chosen.chosen_on}
        click.echo(json.dumps(chosen))
    else:
        click.echo(choice_told(choice))


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
        click.echo(json.dumps(measures_as_dict(validation)))
    else:
        click.echo(table(validation))


async def _train(settings: Settings, seed: int, only_if_new: bool, force: bool) -> TrainingReport | str:
    """Train, or say why no training is needed."""
    registry = ModelRegistry(settings.models_directory)
    with training_turn(settings.models_directory):
        chosen = read_chosen(settings.models_directory)
        database = await open_configured_database(settings, is_patient=True)
        try:
            least, days = settings.retrain_min_interactions, settings.retrain_threshold_days
            if only_if_new and (
                reason := await why_not_needed(database, registry, chosen.settings, utc_now(), least, days)
            ):
                return reason
            return await train(
                database,
                registry,
                chosen.settings,
                utc_now(),
                settings.min_training_samples,
                seed,
                settings.keep_models,
                _tell_step,
                headline=_headline(settings),
                force=force,
                chosen_on=chosen.chosen_on,
            )
        finally:
            await database.close()


async def _tune(settings: Settings, arms: Sequence[str], minutes: float, seed: int) -> Choice:
    """Choose settings and store them."""
    models = settings.models_directory
    with training_turn(models):
        before = read_chosen(models)
        choice = choose_settings(
            await _snapshot(settings), before, seed, _tell_step, arms=arms, minutes=minutes
        )
        if worse := [arm for arm in {*arms, _headline(settings)} if choice.is_worse(arm)]:
            raise TrainingRefusedError(
                f"what seemed best while choosing is worse for {' and '.join(sorted(worse))} on what was held back"
            )
        store_chosen(models, choice.chosen)
    return choice


async def _reset(settings: Settings) -> bool:
    with training_turn(settings.models_directory):
        return forget_chosen(settings.models_directory)


async def _evaluate(settings: Settings, seed: int, k: int) -> Validation | None:
    chosen = read_chosen(settings.models_directory)
    return validate(await _snapshot(settings), chosen.settings, seed, k)


async def _snapshot(settings: Settings) -> Snapshot:
    database = await open_configured_database(settings, is_patient=True)
    try:
        return await take_snapshot(database, int(utc_now().timestamp()))
    finally:
        await database.close()


def _headline(settings: Settings) -> str:
    """The arm that people get by default, and that decides whether a model is better."""
    return settings.default_variant if settings.default_variant in ARMS else HEADLINE_ARM


def _tell_step(step: str) -> None:
    click.echo(f"{step} …", err=True)


def _run(work: Coroutine[Any, Any, T], outcome: str) -> T:
    """Run to the end; a failure becomes one line on standard error, which begins with `outcome`, and an exit code."""
    try:
        return asyncio.run(work)
    except SettingsError as error:
        raise click.UsageError(str(error)) from None
    except _FORESEEN as error:
        click.echo(f"{outcome}: {error}", err=True)
        sys.exit(_EXIT_CODES.get(type(error), FAILED))


def _settings() -> Settings:
    try:
        return Settings.from_environment(os.environ)
    except SettingsError as error:
        raise click.UsageError(str(error)) from None
