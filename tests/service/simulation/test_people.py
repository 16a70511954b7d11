from collections import Counter

import numpy as np
import pytest

from service.simulation.people import (
    HIDDEN,
    LARGEST_EFFECT,
    SAVED,
    Shown,
    SimulatedPerson,
    clicks_for_each_answer,
    people_needed,
)

ANSWER = [
    Shown(str(n), genres) for n, genres in enumerate([("trad",), ("techno", "house"), (), ("jazz",)] * 3)
]


def lives(effect: float, people: int = 3_000) -> tuple[np.ndarray, np.ndarray, Counter[str]]:
    """Looks and clicks of each person, and how often each thing was done."""
    looks, clicks, acts = [], [], Counter[str]()
    for number in range(people):
        person = SimulatedPerson(7, number)
        done = [act.action for _ in range(person.looks) for act in person.react(ANSWER, effect)]
        looks.append(person.looks)
        clicks.append(done.count("click"))
        acts.update(done)
    return np.array(looks), np.array(clicks), acts


def test_the_effect_is_what_is_put_in_and_touches_nothing_but_clicks_and_the_saves_that_follow_them():
    looks, before, acts = lives(0.0)
    _, after, acts_after = lives(LARGEST_EFFECT)
    assert after.sum() / before.sum() == pytest.approx(1.0 + LARGEST_EFFECT, abs=0.02)
    assert acts_after["save"] / after.sum() == pytest.approx(SAVED, abs=0.02)
    assert acts_after["hide"] == acts["hide"] == pytest.approx(HIDDEN * looks.sum(), rel=0.1)
    assert (after >= before).all(), "a person does the same in every run but for the effect"


def test_their_clicks_vary_as_the_number_of_people_is_planned_for():
    looks, clicks, _ = lives(0.0)
    rate = clicks.sum() / looks.sum()
    known = clicks_for_each_answer()
    assert rate == pytest.approx(known.mean, abs=0.015)
    assert np.std((clicks - rate * looks) / looks.mean()) == pytest.approx(known.standard_deviation, rel=0.05)


def test_a_smaller_effect_needs_more_people():
    assert people_needed(0.05, 2) == pytest.approx(9 * people_needed(0.15, 2), rel=0.01)


def test_people_click_on_what_they_like_and_rather_further_up():
    person = SimulatedPerson(7, 3)
    clicked = Counter(
        act.place for _ in range(5_000) for act in person.react(ANSWER, 0.0) if act.action == "click"
    )
    best = max(range(4), key=lambda place: person.likes(ANSWER[place]))
    assert clicked[best] > clicked[best + 4] > clicked[best + 8]
    worst = min(range(4), key=lambda place: person.likes(ANSWER[place]))
    assert clicked[worst] < clicked[best]


def test_somebody_who_is_shown_nothing_does_nothing():
    person = SimulatedPerson(7, 3)
    assert [act for _ in range(100) for act in person.react([], LARGEST_EFFECT)] == []
