"""The parts of the bench, in the order in which they run."""

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import NamedTuple

from bench import kernels, service, small
from bench.figures import Findings
from bench.homes import SYNTHETIC, Home, prepare_home, say
from bench.servers import Cores, available_cores, pinned
from bench.sites import load_site, made_up_site


@dataclass(frozen=True, slots=True)
class Setting:
    """What every part works on."""

    home: Home
    cores: Cores
    full: bool

    @classmethod
    def prepared(cls, *, full: bool) -> "Setting":
        """The home of BENCH_DATA, made if need be. Raises HomeError."""
        return cls(prepare_home(None), available_cores(), full)


class Part(NamedTuple):
    """One part: how it is measured."""

    measure: Callable[[Setting, Findings], None]
    yields: tuple[str, ...]  #: the parts of its figures
    is_quick: bool  #: whether it belongs to a run of five minutes


def _kernels(setting: Setting, findings: Findings) -> None:
    plan = kernels.FULL if setting.full else kernels.QUICK
    kernels.measure_kernels(setting.home, setting.cores, findings, plan)


def _pairs(setting: Setting, findings: Findings) -> None:
    # Imported here: bench.all_pairs brings in SciPy, which a part that measures memory must not have.
    from bench import all_pairs

    with pinned(setting.cores.server):
        plan = all_pairs.FULL if setting.full else all_pairs.QUICK
        all_pairs.measure_pairs(load_site(None), findings, plan)
        if setting.full and setting.home.data != SYNTHETIC:
            all_pairs.measure_pairs(made_up_site(), findings, plan, ", synthetic")
    all_pairs.measure_two_threads(load_site(None), findings, plan)


def _service(setting: Setting, findings: Findings) -> None:
    plan = service.FULL if setting.full else service.QUICK
    service.measure_service(setting.home, setting.cores, findings, plan)


def _small(setting: Setting, findings: Findings) -> None:
    small.measure_small(load_site(None), setting.cores, findings, small.FULL)


def _growth(setting: Setting, findings: Findings) -> None:
    # Imported here: a part that measures memory by size brings in what only trainings have.
    from bench import growth

    growth.measure_growth(setting.cores, findings, growth.FULL)


def _peers(setting: Setting, findings: Findings) -> None:
    from bench.peers.measuring import measure_peers

    measure_peers(setting.home, load_site(None), setting.cores, findings)


PARTS: Mapping[str, Part] = MappingProxyType(
    {
        "kernels": Part(_kernels, ("kernels",), is_quick=True),
        "pairs": Part(_pairs, ("pairs",), is_quick=True),
        "service": Part(_service, ("service", "rates", "reload"), is_quick=True),
        "small": Part(_small, ("small",), is_quick=False),
        "growth": Part(_growth, ("growth",), is_quick=False),
        "peers": Part(_peers, ("peers",), is_quick=False),
    }
)


def default_parts(*, full: bool) -> list[str]:
    """The parts of a run that names none."""
    return [name for name, part in PARTS.items() if full or part.is_quick]


def measure_parts(setting: Setting, names: Iterable[str], findings: Findings) -> None:
    """Measure some parts one after the other, and add what is found as soon as it is."""
    for name in names:
        say(f"measuring: {name}")
        PARTS[name].measure(setting, findings)
