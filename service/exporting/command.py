"""The command `craic export`."""

from pathlib import Path

import click

from service.command_line import read_settings, run_foreseen
from service.settings import Settings

_FILE = click.Path(dir_okay=False, path_type=Path)


@click.command()
@click.option("--events", type=_FILE, help="Where to write the events.")
@click.option("--interactions", type=_FILE, help="Where to write what people did.")
def export(events: Path | None, interactions: Path | None) -> None:
    """Export events and interactions to CSV or JSON lines (.csv, .jsonl, .ndjson), as `craic import` takes them.

    Saves and hides that stand are in it beside the feedback given through this service; what people did before they
    asked to be erased is not. Times are ISO 8601 in UTC; an empty time is one that nobody knows. A file appears when it
    is whole.

    \b
      craic export --events events.csv --interactions interactions.csv

    Exit codes: 0 written, 1 failed, 2 wrong command line.
    """
    from service.exporting.rows import ENDINGS

    if not events and not interactions:
        raise click.UsageError("nothing to export: give --events, --interactions or both")
    for option, path in (("--events", events), ("--interactions", interactions)):
        if path and path.suffix.lower() not in ENDINGS:
            raise click.UsageError(
                f"{option}: expected a name that ends in {', '.join(ENDINGS)}, got {path.name}"
            )
    run_foreseen(_write(read_settings(), events, interactions))


async def _write(settings: Settings, events: Path | None, interactions: Path | None) -> None:
    from service.database import open_configured_database
    from service.exporting.rows import export_events, export_interactions

    database = await open_configured_database(settings)
    try:
        if events:
            click.echo(f"{await export_events(database, events):,} events are in {events}", err=True)
        if interactions:
            count = await export_interactions(database, interactions)
            click.echo(f"{count:,} interactions are in {interactions}", err=True)
    finally:
        await database.close()
