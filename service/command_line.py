"""What all commands share: the settings, and one line for what may go wrong outside of this program."""

import asyncio
import os
import sys
from collections.abc import Coroutine, Iterator
from contextlib import contextmanager
from typing import Any, TypeVar

import click

from service.settings import Settings, SettingsError

T = TypeVar("T")

FAILED = 1


def read_settings() -> Settings:
    """The settings; what is wrong with them is one line, and exit code 2."""
    with foreseen_failures():
        return Settings.from_environment(os.environ)


def run_foreseen(work: Coroutine[Any, Any, T]) -> T:
    """Run to the end; what may go wrong outside of this program is one line, and exit code 1."""
    with foreseen_failures():
        return asyncio.run(work)


@contextmanager
def foreseen_failures() -> Iterator[None]:
    """Make one line on standard error and an exit code of what may go wrong outside of this program."""
    from service.importing.errors import ImportFileError
    from service.storage.errors import StorageError

    try:
        yield
    except SettingsError as error:
        raise click.UsageError(str(error)) from None
    except (ImportFileError, StorageError, OSError) as error:
        click.echo(f"Error: {error}", err=True)
        sys.exit(FAILED)
