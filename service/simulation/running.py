"""An experiment from its first person to its results, with people whose reaction to it is known."""

from __future__ import annotations

import asyncio
import time
from collections import Counter
from collections.abc import Awaitable, Callable, Iterator
from dataclasses import dataclass, field
from typing import Any

from service.demo_site.programme import TICKETS
from service.experiments.assignment import Assigner
from service.experiments.definition import Experiment, Variant
from service.experiments.revisions import created, moved_to
from service.simulation.api import Api, SimulationError
from service.simulation.people import FEWEST_LOOKS, MOST_LOOKS, Act, Shown, SimulatedPerson

CONTROL, CHANGED = "control", "changed"
#: One variant, two goal metrics: clicks and saves.
COMPARISONS = 2
#: Enough for the service to share one write to disk among many that give feedback.
CONNECTIONS = 32
#: So long may it take until the results have everything; a store at AWS is sent counts every half minute.
COUNTED_WITHIN_SECONDS = 180.0
_LOOK_SECONDS = 0.5
#: Events in an answer.
_LIMIT = 10

#: Number, id and variant of somebody who takes part.
Participant = tuple[int, str, str]


@dataclass(frozen=True)
class Simulation:
    """What to simulate. With `effect` 0 the variants are alike in everything, even in what their people do."""

    experiment_id: str
    effect: float
    people: int
    seed: int
    layer: str = ""
    layer_from: float = 0.0
    layer_to: float = 1.0

    @property
    def experiment(self) -> Experiment:
        """Two variants that change nothing: any experiment of the site about its arms goes on beside it."""
        return Experiment(
            experiment_id=self.experiment_id,
            name=f"Simulated, with a true effect of {self.effect:+.0%}",
            variants=(Variant(CONTROL, 1.0), Variant(CHANGED, 1.0)),
            # The same people get the same variants in every run.
            seed=f"simulation-{self.seed}",
            layer=self.layer,
            layer_from=self.layer_from,
            layer_to=self.layer_to,
            planned_people=self.people,
        )

    @property
    def expected_requests(self) -> int:
        """About how many requests the people send: for answers, and for what they do with them."""
        return round(self.people * (FEWEST_LOOKS + MOST_LOOKS) / 2 * 1.6)

    def participants(self) -> Iterator[Participant]:
        """Everyone, by the public hash, as a front end would work it out."""
        running = moved_to(created(self.experiment, (), 0.0), "running", (), 0.0)
        assigner = Assigner([running])
        number = found = 0
        while found < self.people:
            user_id = f"simulated-{self.seed}-{number}"
            for draw in assigner.draw(user_id, time.time()):
                found += 1
                yield number, user_id, self.experiment.variant_ids[draw.place]
            number += 1


@dataclass
class Sent:
    """What came of each variant: how many `people`, answers (`exposures`), `clicks`, `saves` and `hides`."""

    counts: dict[str, Counter[str]] = field(default_factory=lambda: {CONTROL: Counter(), CHANGED: Counter()})

    def total(self, name: str) -> int:
        return sum(counts[name] for counts in self.counts.values())

    def rate(self, variant: str) -> float:
        """Clicks for each answer."""
        return self.counts[variant]["clicks"] / max(1, self.counts[variant]["exposures"])


async def start(api: Api, simulation: Simulation, settle_seconds: float) -> None:
    """Make the experiment, start it, and give the other processes of the service time to hear of it."""
    one = simulation.experiment
    asked = {
        "experiment_id": one.experiment_id,
        "name": one.name,
        "variants": [
            {"variant_id": variant.variant_id, "weight": variant.weight} for variant in one.variants
        ],
        "seed": one.seed,
        "layer": one.layer,
        "layer_from": one.layer_from,
        "layer_to": one.layer_to,
        "planned_people": one.planned_people,
    }
    await api.ask("POST", "/v1/experiments", asked)
    await api.ask("POST", f"/v1/experiments/{one.experiment_id}/start")
    await asyncio.sleep(settle_seconds)


async def is_demo(api: Api) -> bool:
    """Whether what the service recommends is the invented programme of `craic demo`, and nothing else."""
    answer = await api.ask("POST", "/v1/recommendations", {"limit": 50, "internal": True})
    sold_at = [item["ticket_url"] for item in answer["recommendations"] if item["ticket_url"]]
    return bool(sold_at) and all(url.startswith(TICKETS) for url in sold_at)


async def drive(api: Api, simulation: Simulation, on_person: Callable[[], None]) -> Sent:
    """Let everyone look and act; some at the same time, each one thing after the other."""
    sent = Sent()

    async def live(number: int, user_id: str, variant: str) -> None:
        await _live(api, simulation, SimulatedPerson(simulation.seed, number), user_id, variant, sent)

    await _for_all(simulation, live, on_person)
    return sent


async def _for_all(
    simulation: Simulation, do: Callable[[int, str, str], Awaitable[None]], on_person: Callable[[], None]
) -> None:
    waiting = simulation.participants()

    async def work() -> None:
        for participant in waiting:
            await do(*participant)
            on_person()

    try:
        async with asyncio.TaskGroup() as group:
            for _ in range(CONNECTIONS):
                group.create_task(work())
    except ExceptionGroup as failures:
        raise failures.exceptions[0] from None


async def _live(
    api: Api, simulation: Simulation, person: SimulatedPerson, user_id: str, variant: str, sent: Sent
) -> None:
    effect = simulation.effect if variant == CHANGED else 0.0
    counts = sent.counts[variant]
    counts["people"] += 1
    for _ in range(person.looks):
        answer = await api.ask("POST", "/v1/recommendations", {"user_id": user_id, "limit": _LIMIT})
        _check_told(answer["ab_experiment"], simulation, variant)
        counts["exposures"] += 1
        shown = [Shown(item["event_id"], tuple(item["genres"] or ())) for item in answer["recommendations"]]
        for act in person.react(shown, effect):
            await _act(api, user_id, answer["recommendation_id"], shown, act)
            counts[f"{act.action}s"] += 1


async def _act(api: Api, user_id: str, recommendation_id: str, shown: list[Shown], act: Act) -> None:
    context = {"recommendation_id": recommendation_id, "position": act.place, "client": "simulation"}
    body = {"user_id": user_id, "event_id": shown[act.place].event_id, "action": act.action}
    await api.ask("POST", "/v1/feedback", {**body, "context": context})


def _check_told(told: Any, simulation: Simulation, variant: str) -> None:
    """What an answer says of this experiment must be what the hash says; it may tell of an older one instead."""
    if told and told["experiment_id"] == simulation.experiment_id and told["variant"] != variant:
        raise SimulationError(f"expected the variant {variant} by the hash, got {told['variant']}")


async def counted(api: Api, simulation: Simulation, sent: Sent) -> Any:
    """The results once they hold all that was sent. Raises SimulationError when they do not in time."""
    deadline = time.monotonic() + COUNTED_WITHIN_SECONDS
    names = ("exposures", "clicks", "saves", "hides")
    wanted = {name: sent.total(name) for name in names}
    while True:
        results = await api.ask("GET", f"/v1/experiments/{simulation.experiment_id}/results")
        found = {name: sum(one[name] for one in results["variants"]) for name in names}
        if found == wanted and results["participants"] == sent.total("people"):
            return results
        if time.monotonic() > deadline:
            raise SimulationError(f"the results hold {found}; sent were {wanted}")
        await asyncio.sleep(_LOOK_SECONDS)


async def end(api: Api, simulation: Simulation) -> None:
    """Complete the experiment."""
    await api.ask("POST", f"/v1/experiments/{simulation.experiment_id}/complete")


async def erase(api: Api, simulation: Simulation, on_person: Callable[[], None]) -> None:
    """Have the service forget everyone who took part, and with them what the results count."""

    async def forget(_number: int, user_id: str, _variant: str) -> None:
        await api.erase(user_id)

    await _for_all(simulation, forget, on_person)
