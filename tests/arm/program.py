"""What runs on either machine: `program.py BUNDLE SUBJECTS PEOPLE OUTPUT` lets the model of a bundle answer.

A subject is `votes`, the search for the best of all votes; or `neighbourhood`, the kernel that is part of; or an arm of
the service, which compiles the kernels of all arms and takes the longest.
OUTPUT becomes a directory: `answers.npz` with every ranking, score and reason, and `kernels.json`: how many forms of
kernels came from the cache, and how many were compiled. What those came to is left in `assembly/` of the cache. Around
each part it makes a system call that the counting plugin answers (counting.c); elsewhere that one is refused.
"""

import ctypes
import json
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
from numba.core import config

from bench.answers import LIMIT
from core.bundle import open_bundle
from core.collaborative import scale
from core.kernels.live import Profile
from core.kernels.votes import find_best
from core.kernels.workspace import Answer, workspace
from core.live_site import LiveSite
from core.model import COPY_ON_WRITE, Model, model_from
from core.recommender import Ranking
from service.live.catalogue import Candidates
from service.live.filters import NO_LIMITS
from service.live.state import LiveState
from service.recommending.arms import ARMS, asker_for
from service.recommending.asking import Question, answer_question, find_candidates
from service.recommending.encoding import Encoder
from service.storage.queries.events import EventRow
from tests.live import Desk, all_open, profile_of

TELL = 5000  #: the system call that the plugin answers, as counting.c has it
NOW = 1_800_000_000
_GENRES = ("folk", "trad", "techno", "jazz", "punk")


def main() -> None:
    """Answer, and tell."""
    bundle, subjects, people, output = sys.argv[1:]
    model = model_from(open_bundle(Path(bundle), COPY_ON_WRITE))
    answers = {}
    for subject in subjects.split(","):
        by = {"votes": by_votes, "neighbourhood": by_the_neighbourhood}.get(subject)
        found = by(model, int(people)) if by is not None else by_the_arm(model, subject, int(people))
        answers |= {f"{subject} {name}": array for name, array in found.items()}
    leave(Path(output), answers)


def by_votes(model: Model, people: int) -> dict[str, np.ndarray]:
    """The keys of the best events by votes drawn at random, so many times; tells before and after all of them."""
    rng = np.random.default_rng(0)
    n_events = len(model.events)
    space, open_events = workspace(0, n_events), np.ones(n_events, np.uint8)
    event_scales = scale(model.neighbourhood.event_masses, model.settings.collaborative.popularity_discount)
    best = np.zeros((people, LIMIT), np.uint64)

    def find(sums: np.ndarray, line: int) -> None:
        space.event_sums[:n_events] = sums
        size = find_best(np.float32(0.5), event_scales, open_events, space, LIMIT)
        best[line, :size] = space.keys[:size]

    drawn = (rng.random((people, n_events)) ** 4).astype(np.float32)
    find(drawn[0], 0)  # compiles, or takes from the cache
    tell()
    for line, sums in enumerate(drawn):
        find(sums, line)
    tell()
    return {"keys": best}


def by_the_neighbourhood(model: Model, people: int) -> dict[str, np.ndarray]:
    """What `core.kernels.neighbourhood.recommend` makes of the first people; tells before and after."""
    settings = model.settings.collaborative
    liked = model.preferences.liked
    live = LiveSite(liked, model.neighbourhood, len(model.events), settings)
    desk = Desk.for_site(live, settings.neighbours, LIMIT)
    profiles = [profile_of(live, user) for user in range(people)]
    open_events = all_open(live)

    def ask(profile: Profile) -> int:
        return desk.recommend(profile, live.held, settings.half_powers, open_events)[0]

    ask(profiles[0])  # compiles, or takes from the cache
    tell()
    for profile in profiles:
        ask(profile)
    tell()
    made: dict[str, np.ndarray] = {}
    for line, profile in enumerate(profiles):
        n = ask(profile)
        note(made, desk.answer, people, line, n, n)
    return made


def state_of(model: Model) -> LiveState:
    """The model live, with a catalogue of all its events, all of them open."""
    state = LiveState(model)
    state.put_events([_event(event_id, number) for number, event_id in enumerate(model.events)])
    state.settle_events()
    state.build_content()
    return state


def by_the_arm(model: Model, arm: str, people: int) -> dict[str, np.ndarray]:
    """What an arm ranks for the first people.

    Tells before and after ranking for all of them, and once more after answering all of them in bytes.
    """
    state, encoder = state_of(model), Encoder()
    users = list(model.users)[:people]
    candidates, _, _ = find_candidates(state, None, NO_LIMITS, NOW)
    ranking_of(state, candidates, arm, users[0])  # compiles, or takes from the cache
    reply_to(state, encoder, arm, users[0])
    tell()
    for user in users:
        ranking_of(state, candidates, arm, user)
    tell()
    for user in users:
        reply_to(state, encoder, arm, user)
    tell()
    made: dict[str, np.ndarray] = {}
    for line, user in enumerate(users):
        ranking = ranking_of(state, candidates, arm, user)
        note(made, ranking.answer, people, line, ranking.n, ranking.n_personal)
    return made


def note(
    made: dict[str, np.ndarray], answer: Answer, people: int, line: int, n: int, n_personal: int
) -> None:
    """Copy an answer to its line of all answers, which hold -1 where it ends."""
    for name, array in answer._asdict().items():
        whole = made.setdefault(name, np.full((people, *array.shape), -1, array.dtype))
        filled = n if name in ("events", "scores") else n_personal
        whole[line, :filled] = array[:filled]


def ranking_of(state: LiveState, candidates: Candidates, arm: str, user: str) -> Ranking:
    """What the arm ranks for a user, in numbers."""
    profile = state.profile(user)
    return ARMS[arm](state, asker_for(state, arm, user, profile, ()), candidates, LIMIT)


def reply_to(state: LiveState, encoder: Encoder, arm: str, user: str) -> bytes:
    """What the arm answers to a user, in bytes."""
    question = Question(user, None, LIMIT, arm)
    return answer_question(state, encoder, question, "arm", NOW, time.perf_counter()).body


def tell() -> None:
    """Let the plugin print how many instructions there have been."""
    ctypes.CDLL(None).syscall(TELL)


def leave(output: Path, answers: dict[str, np.ndarray]) -> None:
    """Write everything down."""
    output.mkdir()
    np.savez(output / "answers.npz", **answers)
    assembly = Path(config.CACHE_DIR) / "assembly"
    assembly.mkdir(exist_ok=True)
    hits = misses = 0
    for name, kernel in kernels():
        hits += sum(kernel.stats.cache_hits.values())
        misses += sum(kernel.stats.cache_misses.values())
        if kernel.stats.cache_misses:  # what came from the cache cannot be looked at
            for number, text in enumerate(kernel.inspect_asm().values()):
                (assembly / f"{name}-{number}.s").write_text(text, "utf-8")
    (output / "kernels.json").write_text(json.dumps({"hits": hits, "misses": misses}), "utf-8")


def kernels() -> Iterator[tuple[str, Any]]:
    """Every kernel of the project that was asked for, by module and name."""
    found = {}
    for module_name, module in sorted(sys.modules.items()):
        if module_name.partition(".")[0] in ("core", "service"):
            for thing in vars(module).values():
                if hasattr(thing, "inspect_asm") and thing.stats.cache_path and thing.overloads:
                    found[f"{thing.py_func.__module__}.{thing.py_func.__name__}"] = thing
    yield from found.items()


def _event(event_id: str, number: int) -> EventRow:
    unknown: dict[str, Any] = dict.fromkeys(EventRow.__struct_fields__)
    known: dict[str, Any] = {
        "event_id": event_id,
        "title": f"Event {number}",
        "start_time": NOW + 86_400 + 3_600 * (number % 500),
        "venue_name": f"Venue {number % 37}",
        "city": "Cork",
        "genres": (_GENRES[number % 5], _GENRES[number // 5 % 5]),
        "tags": (),
        "images": (),
        "created_at": 0,
        "updated_at": 0,
    }
    return EventRow(**{**unknown, **known})


if __name__ == "__main__":
    main()
