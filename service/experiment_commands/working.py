"""What these commands share: the store that the settings name, and how they print."""

import time
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING, Any

import click
import msgspec

from service.command_line import read_settings, run_foreseen

if TYPE_CHECKING:
    from service.experiments.admin import ExperimentAdmin
    from service.experiments.revisions import Revision
    from service.experiments.stores import PeopleReader
    from service.settings import Settings

ID = click.argument("experiment_id")


def with_store(work: "Callable[[PeopleReader, ExperimentAdmin], Awaitable[Any]]") -> Any:
    """Do something with the store that the settings name. What goes wrong is one line, and exit code 1."""
    from service.errors import RequestError
    from service.experiments.errors import DefinitionError, TransitionError, UnknownExperimentError

    async def run() -> Any:
        async with _opened(read_settings()) as (reader, admin):
            return await work(reader, admin)

    try:
        return run_foreseen(run())
    except (DefinitionError, TransitionError, UnknownExperimentError, RequestError) as error:
        raise click.ClickException(str(error)) from None


@asynccontextmanager
async def _opened(settings: "Settings") -> "AsyncIterator[tuple[PeopleReader, ExperimentAdmin]]":
    from service.database import open_configured_database
    from service.experiments.admin import ExperimentAdmin
    from service.experiments.counted import CountedPeople
    from service.experiments.standing import make_standing_experiment, standing_experiment
    from service.experiments.stores.opening import open_experiment_store
    from service.experiments.stores.sql import SQLStore
    from service.recommending.arms import ARMS
    from service.storage.queue import QueueSettings, open_queue

    database = await open_configured_database(settings)
    dynamodb = await open_experiment_store(settings)
    place, queue = QueueSettings(settings.craic_home), None
    try:
        store = dynamodb or SQLStore(database, settings.poll_seconds)
        if store.hold_seconds > 0 and place.file.exists():
            queue = await open_queue(place)
        await store.prepare()
        await make_standing_experiment(store, standing_experiment(settings), time.time())
        yield CountedPeople(store, queue), ExperimentAdmin(store, ARMS, time.time)
    finally:
        if queue is not None:
            await queue.close()
        if dynamodb is not None:
            await dynamodb.close()
        await database.close()


def print_line(revision: "Revision") -> None:
    """What an experiment is now, in a line."""
    one = revision.experiment
    total = sum(one.weights)
    parts = [f"{variant.variant_id} {variant.weight / total:.1%}" for variant in one.variants]
    click.echo(f"{one.experiment_id}  {one.status}  version {revision.version}  {', '.join(parts)}")


def print_json(value: Any) -> None:
    """Anything that msgspec encodes, for people and programs."""
    click.echo(msgspec.json.format(msgspec.json.encode(value), indent=2).decode())
