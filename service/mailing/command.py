"""The command `craic recommend`."""

import sys
import time
from dataclasses import replace
from pathlib import Path
from typing import Any

import click

from service.command_line import FAILED, read_settings, run_foreseen
from service.settings import Settings

#: As a request may ask for.
_SHARE = click.FloatRange(0.0, 0.5)


@click.command()
@click.option("--all", "everyone", is_flag=True, help="Everybody of whom something is known.")
@click.option(
    "--users",
    type=click.Path(exists=True, dir_okay=False, path_type=Path),
    help="The people of this file, one user id a line.",
)
@click.option(
    "--output",
    required=True,
    type=click.Path(dir_okay=False, path_type=Path),
    help="The file to write: .jsonl, .csv or .parquet.",
)
@click.option("--variant", help="The arm to ask; default: DEFAULT_VARIANT.")
@click.option("--limit", type=click.IntRange(1, 255), help="Events for each; DEFAULT_RECOMMENDATION_COUNT.")
@click.option("--city", help="Events in this city; where none are listed there, those elsewhere.")
@click.option(
    "--max-per-venue", type=click.IntRange(1), help="For each at one venue; default: MAX_PER_VENUE."
)
@click.option("--max-per-series", type=click.IntRange(1), help="The same of a series; MAX_PER_SERIES.")
@click.option("--soon-weight", type=_SHARE, help="Share of scores by how soon events are; SOON_WEIGHT.")
@click.option("--popularity-weight", type=_SHARE, help="The same by how popular they are; POPULARITY_WEIGHT.")
def recommend(
    everyone: bool,
    users: Path | None,
    output: Path,
    variant: str | None,
    limit: int | None,
    city: str | None,
    **arrangement: Any,
) -> None:
    """Write recommendations for many people to a file, as for a newsletter.

    Works from the published model and the database, with or without a running service. Nothing is stored or counted
    in an experiment. The file appears when it is whole. A .jsonl file has a line for each person, with everything the
    API answers; .csv and .parquet have a row for each recommendation (.parquet needs the extra `parquet`).

    \b
      craic recommend --all --limit 5 --output friday.csv
      craic recommend --users subscribers.txt --variant als --output friday.jsonl

    Exit codes: 0 written, 1 nothing written, 2 wrong command line.
    """
    from service.mailing.files import check_output

    if everyone == (users is not None):
        raise click.UsageError("give either --all or --users FILE")
    try:
        check_output(output)
    except ValueError as error:
        raise click.UsageError(f"--output: {error}") from None
    settings = read_settings()
    wanted = {name: said for name, said in arrangement.items() if said is not None}
    run_foreseen(_write(replace(settings, **wanted), users, output, variant, limit, city))


async def _write(
    settings: Settings,
    users: Path | None,
    output: Path,
    variant: str | None,
    limit: int | None,
    city: str | None,
) -> None:
    from core.bundle import BundleError
    from service.database import open_configured_database
    from service.errors import BadRequestError
    from service.live.standalone import load_state
    from service.mailing.answering import answers
    from service.mailing.files import read_users, writing
    from service.models import ModelRegistry, NoModelError
    from service.recommending.asking import Question, usual_arrangement, variant_named

    try:
        arm = variant_named(variant or settings.default_variant)
    except BadRequestError as error:
        raise click.UsageError(f"--{error}") from None
    people = None if users is None else read_users(users)
    database = await open_configured_database(settings)
    try:
        state = await load_state(ModelRegistry(settings.models_directory), database, time.time)
    except (NoModelError, BundleError) as error:
        click.echo(f"Nothing is written: {error}", err=True)
        sys.exit(FAILED)
    finally:
        await database.close()
    if people is None:
        people = state.people()

    arrangement, length = usual_arrangement(settings), limit or settings.default_recommendation_count

    def ask(user_id: str) -> Question:
        return Question(user_id, (city or "").strip() or None, length, arm, arrangement=arrangement)

    answered = answers(state, people, ask, time.time())
    with (
        writing(output) as write,
        click.progressbar(answered, length=len(people), label="Recommending", file=sys.stderr) as bar,
    ):
        for user_id, answer in bar:
            write(user_id, answer)
    click.echo(f"{len(people):,} people are in {output}", err=True)
