"""A site prepared for the service to serve: a CRAIC_HOME with its database filled and a model published.

Everything comes in by the doors that users have: CSV files, `craic import`, `craic train`. That takes a minute, so a
home is kept under bench/results/ for as long as neither the data nor the code that made it changes.
"""

import csv
import json
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from hashlib import sha256
from os import environ
from pathlib import Path
from types import MappingProxyType
from typing import Any

import numpy as np

from bench import servers
from bench.sites import Site, load_site

#: What data is called that is no file.
SYNTHETIC = "synthetic"
ROOT = Path(__file__).parent.parent
RESULTS = ROOT / "bench" / "results"

_CITIES = ("Dublin", "Cork", "Galway")
#: Far enough away that no event of a home that was kept has started.
_START = "2099-{month:02d}-{day:02d}T20:00:00Z"
#: What decides the content of a home, beside the data.
_MAKERS = ("bench/homes.py", "bench/sites.py", "core", "training", "service/importing", "service/storage")


#: Where a home keeps what was compiled (`service.process`).
_KERNELS = "cache"


class HomeError(Exception):
    """There is no home to measure on; the message says why."""


@dataclass(frozen=True, slots=True)
class Home:
    """A prepared CRAIC_HOME."""

    directory: Path
    data: str  #: the file's name, or SYNTHETIC
    n_users: int  #: users are called "0", "1", …, and so are events
    n_events: int

    @property
    def first_id(self) -> int:
        """What the first of the people and the first of the events is called."""
        return 0


def prepare_home(file: str | None) -> Home:
    """The home of a data file, by default as `bench.sites` has it; made now if there is none of this code's.

    Raises HomeError when the file cannot be read, or its import or the training fails.
    """
    file = file or environ.get("BENCH_DATA")
    data = Path(file).name if file else SYNTHETIC
    try:
        return _prepare(file, data)
    except (OSError, ValueError, subprocess.CalledProcessError) as error:
        raise HomeError(f"{data} could not be prepared: {error}") from error


@contextmanager
def working_copy(home: Home) -> Iterator[Path]:
    """A copy for one server to write to, gone afterwards, so that no measuring finds the traces of another.

    Only compiled kernels go where the next server finds them.
    """
    with tempfile.TemporaryDirectory(dir=RESULTS, prefix="running-") as scratch:
        copy = Path(scratch) / "home"
        shutil.copytree(home.directory, copy, ignore=shutil.ignore_patterns(_KERNELS))
        (home.directory / _KERNELS).mkdir(exist_ok=True)
        (copy / _KERNELS).symlink_to(home.directory / _KERNELS)
        yield copy


def _prepare(file: str | None, data: str) -> Home:
    data_key = _digest([Path(file)] if file else [])
    directory = RESULTS / f"home-{data_key}-{_digest(_sources(_MAKERS))}"
    if not directory.is_dir():
        say(f"preparing {data}: import and training, once")
        _make(load_site(file), directory)
        _remove_others(directory, f"home-{data_key}-*")
    facts = json.loads((directory / "bench.json").read_text("utf-8"))
    return Home(directory, data, facts["n_users"], facts["n_events"])


def _make(site: Site, directory: Path) -> None:
    """Build a home beside its place and put it there when it is whole."""
    RESULTS.mkdir(exist_ok=True)
    with tempfile.TemporaryDirectory(dir=RESULTS, prefix="unfinished-") as scratch:
        home = Path(scratch) / "home"
        fill_home(home, site, Path(scratch))
        craic(home, "training", "train")
        (home / "bench.json").write_text(
            json.dumps({"n_users": site.train.n_rows, "n_events": site.n_events}), "utf-8"
        )
        home.rename(directory)


def fill_home(home: Path, site: Site, scratch: Path) -> None:
    """Import a site into the embedded database of a home, by way of files under `scratch`."""
    events, interactions = scratch / "events.csv", scratch / "interactions.csv"
    _write_csv(events, _event_rows(site.n_events))
    _write_csv(interactions, _interaction_rows(site))
    craic(home, "service", "import", "--events", str(events), "--interactions", str(interactions))


def fill_events(home: Path, n_events: int) -> None:
    """Import so many events, and nothing that anybody did, into the embedded database of a home."""
    with tempfile.TemporaryDirectory() as scratch:
        events = Path(scratch) / "events.csv"
        _write_csv(events, _event_rows(n_events))
        craic(home, "service", "import", "--events", str(events))


def _event_rows(n_events: int) -> Iterator[tuple[Any, ...]]:
    yield ("event_id", "title", "city", "start_time", "genres")
    for event in range(n_events):
        start = _START.format(month=event % 12 + 1, day=event % 28 + 1)
        yield event, f"Place {event}", _CITIES[event % len(_CITIES)], start, "[]"


def _interaction_rows(site: Site) -> Iterator[tuple[Any, ...]]:
    yield ("user_id", "event_id", "action")
    users = np.repeat(np.arange(site.train.n_rows), np.diff(site.train.indptr))
    for user, event in zip(users.tolist(), site.train.indices.tolist(), strict=True):
        yield user, event, "save"


def _write_csv(path: Path, rows: Iterable[tuple[Any, ...]]) -> None:
    with path.open("w", encoding="utf-8", newline="") as file:
        csv.writer(file).writerows(rows)


def craic(home: Path, *command: str, settings: Mapping[str, str] = MappingProxyType({})) -> None:
    """Run a command on a home to its end; it tells of its progress on standard error.

    Raises subprocess.CalledProcessError when it fails.
    """
    subprocess.run(
        [sys.executable, "-m", *command],
        env=servers.service_environment(home, environ) | dict(settings),
        stdout=sys.stderr,
        check=True,
    )


def _sources(names: Iterable[str]) -> list[Path]:
    """The named files, and the code below the named directories, in one order."""
    paths = [ROOT / name for name in names]
    below = (found for path in paths for found in path.rglob("*") if found.suffix in (".py", ".sql"))
    return sorted({path for path in paths if path.is_file()} | set(below))


def _digest(paths: Iterable[Path]) -> str:
    digest = sha256()
    for path in paths:
        digest.update(path.read_bytes())
    return digest.hexdigest()[:12]


def _remove_others(directory: Path, pattern: str) -> None:
    for other in RESULTS.glob(pattern):
        if other != directory:
            shutil.rmtree(other)


def say(text: str) -> None:
    """Tell whoever waits what is going on."""
    print(text, file=sys.stderr, flush=True)
