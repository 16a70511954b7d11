import itertools
from dataclasses import dataclass
from itertools import pairwise

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from core.content import NO_CONTENT, Content, ContentScorer, Layout, index_content, replace_rows
from core.hybrid import NAMED_BY_CONTENT
from core.kernels.blend import pool
from core.kernels.content import group_alike, name_by_content
from core.kernels.folding import gather_rows
from core.kernels.held import Held, held_in
from core.kernels.jit import kernel
from core.kernels.live import Profile
from core.kernels.workspace import answer
from core.reasons import Part
from core.recommender import Recommender
from core.sparse import Pairs
from core.tastes import NO_TASTE, PARTS_OF_KINDS, ContentSettings, Kind, Taste
from tests.live import all_open, live_site
from tests.oracles import ContentTwin
from tests.strategies import pairs_from_lists

NOTHING = np.empty(0, np.int32)
LAYOUT = Layout()
WEIGHTS = ContentSettings().kind_weights
#: Two kinds that many features share, and circumstances of which an event has at most one each.
KINDS = [Kind.GENRE] * 4 + [Kind.ARTIST] * 3 + [Kind.CITY] * 2 + [Kind.WEEKDAY] * 2


@dataclass(frozen=True)
class Site:
    rows: list[list[int]]
    liked: dict[int, float]
    stated: list[tuple[int, float, int]]
    open_events: list[int]
    excluded: list[int]
    layout: Layout = LAYOUT

    def content(self) -> Content:
        listed = np.zeros(len(self.rows), np.uint8)
        listed[self.open_events] = 1
        return index_content(
            *(pairs_from_lists(self.rows), np.array(KINDS, np.uint8), listed, ContentSettings()),
            layout=self.layout,
        )

    def mask(self) -> np.ndarray:
        return marked(self.open_events, len(self.rows) + 1)

    def profile(self) -> Profile:
        events = np.array(list(self.liked), np.int32)
        return Profile(events, np.array(list(self.liked.values()), np.float32), NOTHING, -1)

    def statements(self) -> Taste:
        return taste_of(*self.stated)


def marked(events: list[int], room: int) -> np.ndarray:
    mask = np.zeros(room, np.uint8)
    mask[events] = 1
    return mask


def taste_of(*entries: tuple[int, float, int]) -> Taste:
    features, weights, kinds = zip(*entries, strict=True) if entries else ((), (), ())
    return Taste(np.array(features, np.int32), np.array(weights, np.float32), np.array(kinds, np.uint8))


@st.composite
def sites(draw: st.DrawFn) -> Site:
    shared = st.lists(st.integers(0, 6), max_size=4, unique=True)
    where = st.sampled_from([[], [7], [8]])
    when = st.sampled_from([[], [9], [10]])
    row = st.tuples(shared, where, when).map(lambda parts: sorted(itertools.chain(*parts)))
    rows = draw(st.lists(row, max_size=8))
    events = st.integers(0, len(rows) - 1) if rows else st.nothing()
    weight = st.sampled_from([0.25, 0.5, 1.0])
    part = st.sampled_from([Part.GENRE_MATCH, Part.SPOTIFY_GENRE, Part.YOUTUBE_ARTIST])
    stated = st.tuples(st.integers(0, len(KINDS) + 1), weight, part)
    most = 4 if rows else 0
    return Site(
        rows=rows,
        liked=draw(st.dictionaries(events, weight, max_size=most)),
        stated=draw(st.lists(stated, max_size=4)),
        open_events=sorted(draw(st.sets(events, max_size=2 * most))),
        excluded=draw(st.lists(events, max_size=most)),
        layout=Layout(draw(st.sampled_from([0.0, 0.25, 1.0])), draw(st.sampled_from([0, 16]))),
    )


@settings(max_examples=150)
@given(sites(), st.integers(1, 5))
def test_tastes_and_rankings_are_those_of_the_twin(site: Site, n: int):
    content, scorer, out = site.content(), ContentScorer(ContentSettings()), answer(n)
    twin = ContentTwin(site.rows, KINDS, content.pivot[0])
    known = [
        (feature, np.float32(weight), part) for feature, weight, part in site.stated if feature < len(KINDS)
    ]
    liked = {event: np.float32(weight) for event, weight in site.liked.items()}
    expected = twin.taste(liked, known, PARTS_OF_KINDS.tolist(), list(WEIGHTS))

    taste = scorer.taste(content, site.profile(), site.statements())
    events = np.array(site.open_events, np.int32)
    size = scorer.rank(content, taste, site.mask(), np.array(site.excluded, np.int32), Held(out))

    assert taste.features.tolist() == [feature for feature, _, _ in expected]
    assert taste.kinds.tolist() == [part for _, _, part in expected]
    np.testing.assert_allclose(taste.weights, [weight for _, weight, _ in expected], rtol=1e-5)
    entries = list(zip(taste.features.tolist(), taste.weights, taste.kinds.tolist(), strict=True))
    scores = {event: float(twin.score(event, entries)) for event in site.open_events}
    np.testing.assert_allclose(scorer.scores(content, taste, events), list(scores.values()), atol=1e-6)
    shown = out.events[:size].tolist()
    possible = [event for event in scores if event not in site.excluded and scores[event] > 0]
    assert len(shown) == len(set(shown)) == min(n, len(possible))
    best = sorted((scores[event] for event in possible), reverse=True)[:size]
    np.testing.assert_allclose(out.scores[:size], best, atol=1e-6)
    keys = [(-out.scores[rank], event) for rank, event in enumerate(shown)]
    assert keys == sorted(keys)
    for rank, event in enumerate(shown):
        parts, subjects = twin.split(event, entries)
        assert {part for part in Part if out.parts[rank, part]} == set(parts)
        np.testing.assert_allclose([out.parts[rank, part] for part in parts], list(parts.values()), atol=1e-6)
        for part, subject in subjects.items():
            named = int(out.subjects[rank, part])
            amount, most = (
                sum(w * twin.value(site.rows[event], f) for f, w, p in entries if f == one and p == part)
                for one in (named, subject)
            )
            assert amount == pytest.approx(most, abs=1e-6)
        assert 0 < out.scores[rank] <= 1.0 + 1e-6
        assert out.parts[rank].sum() == pytest.approx(out.scores[rank], abs=1e-6)
        assert out.contributors[rank] == 0 and (out.reasons[rank] == -1).all()


def is_at_rest(scorer: ContentScorer) -> bool:
    space = scorer._space.value
    clear = (space.event_sums, space.group_sums, space.feature_sums, space.is_marked)
    return not any(array.any() for array in clear) and bool((space.entry_of_feature == -1).all())


@given(sites())
def test_the_scratch_space_is_at_rest_after_a_request(site: Site):
    content, scorer = site.content(), ContentScorer(ContentSettings())
    taste = scorer.taste(content, site.profile(), site.statements())

    scorer.rank(
        content,
        taste,
        site.mask(),
        np.array([len(site.rows) + 3], np.int32),
        Held(answer(2)),
    )
    scorer.scores(content, taste, np.array(site.open_events, np.int32))

    assert is_at_rest(scorer)


@given(sites(), sites())
def test_replaced_rows_are_the_new_ones_and_the_others_stay(old: Site, new: Site):
    changed = {2 * place: row for place, row in enumerate(new.rows)}
    n_events = max([len(old.rows), *(event + 1 for event in changed)])

    rows = replace_rows(pairs_from_lists(old.rows), changed, n_events)

    expected = [
        changed.get(event, old.rows[event] if event < len(old.rows) else []) for event in range(n_events)
    ]
    assert [rows.indices[rows.indptr[e] : rows.indptr[e + 1]].tolist() for e in range(n_events)] == expected


def test_somebody_of_whom_nothing_is_known_has_no_taste_and_no_personal_ranking():
    scorer, stranger = (
        ContentScorer(ContentSettings()),
        Profile(NOTHING, np.empty(0, np.float32), NOTHING, -1),
    )

    taste = scorer.taste(NO_CONTENT, stranger, NO_TASTE)

    assert taste is NO_TASTE
    assert scorer.rank(NO_CONTENT, taste, np.empty(0, np.uint8), NOTHING, Held(answer(3))) == 0


def test_a_rare_feature_says_more_than_a_common_one():
    rows = [[0], [0], [0], [0, 1], [1], [2]]
    site = Site(rows, {3: 1.0}, [], [0, 4, 5], [])
    content, scorer, out = site.content(), ContentScorer(ContentSettings()), answer(3)

    taste = scorer.taste(content, site.profile(), NO_TASTE)

    size = scorer.rank(content, taste, site.mask(), NOTHING, Held(out))

    assert out.events[:size].tolist() == [4, 0]


def test_the_arm_answers_by_taste_and_then_by_popularity():
    arm = Recommender(
        live_site(np.zeros((1, 6), np.uint8)), np.array([0.1, 0.9, 0.5, 0, 0.3, 0.2], np.float32)
    )
    content = Site([[0], [1], [0], [1], [], [0]], {}, [], [0, 1, 2, 3, 4, 5], []).content()
    mask = all_open(arm.live)
    taste = taste_of((0, 0.5, Part.SPOTIFY_GENRE))

    ranking = arm.content_based(content, taste, mask, np.array([5], np.int32), 5)

    assert ranking.events == [0, 2, 1, 4, 3]
    assert ranking.n_personal == 2
    assert ranking.answer.subjects[0, Part.SPOTIFY_GENRE] == 0
    scores = ranking.answer.scores[:5].tolist()
    assert scores == sorted(scores, reverse=True)


@pytest.mark.parametrize("values", [{"genre": -1.0}, {"pivot": 0.0}, {"statement": float("nan")}])
def test_settings_that_make_no_sense_are_refused_by_name(values: dict[str, float]):
    with pytest.raises(ValueError, match=next(iter(values))):
        ContentSettings(**values)


def test_settings_in_which_nothing_counts_are_refused():
    with pytest.raises(ValueError, match="no kind"):
        ContentSettings(**{kind.name.lower(): 0.0 for kind in Kind})


def test_events_that_are_not_marked_need_not_be_listed():
    content = index_content(
        Pairs(np.array([0, 1, 2], np.int64), np.array([0, 0], np.int32)),
        np.zeros(1, np.uint8),
        np.array([0, 1], np.uint8),
        ContentSettings(),
        layout=Layout(shared_by=1.0),
    )

    assert content.list_events.tolist() == [1]
    assert not content.members.size
    with pytest.raises(ValueError, match="is_listed"):
        index_content(
            pairs_from_lists([[], []]), np.zeros(1, np.uint8), np.zeros(1, np.uint8), ContentSettings()
        )


@kernel
def add_named(taste, content, open_events, excluded, space, pool, n_pool):  # type: ignore[no-untyped-def]
    content, space, pool = held_in(content), held_in(space), held_in(pool)
    return name_by_content(taste, content, open_events, excluded, space, NAMED_BY_CONTENT, pool, n_pool)


@given(sites(), st.lists(st.integers(0, 12), max_size=6, unique=True))
def test_a_pool_to_blend_has_what_was_named_and_what_content_names_first(site, named):
    content, scorer = site.content(), ContentScorer(ContentSettings())
    taste = scorer.taste(content, site.profile(), site.statements())
    mask, excluded = site.mask(), np.array(site.excluded, np.int32)
    before = np.array(named, np.int32)
    ranked = answer(NAMED_BY_CONTENT)
    by_content = ranked.events[: scorer.rank(content, taste, mask, excluded, Held(ranked))].tolist()

    held, space = scorer.hold(content)
    room = pool()
    room.events[: len(named)], room.votes[: len(named)] = before, 0.5
    n = add_named(taste, held, mask, excluded, space, Held(room), len(named))
    pooled, votes, scores = (array[:n] for array in room)

    assert pooled[: len(named)].tolist() == named
    assert sorted(pooled[len(named) :].tolist()) == sorted(set(by_content) - set(named))
    assert votes.tolist() == [0.5] * len(named) + [0.0] * (pooled.size - len(named))
    known = pooled < len(site.rows)
    np.testing.assert_array_equal(scores[known], scorer.scores(content, taste, pooled[known]))
    assert not scores[~known].any()
    assert is_at_rest(scorer)


@pytest.mark.parametrize("n", [1, 20, 100, 255])
def test_of_thousands_of_events_that_score_alike_the_first_are_taken(n: int):
    rng = np.random.default_rng(n)
    rows = [[int(rng.integers(7, 9)), int(rng.integers(9, 11))] for _ in range(3_000)]
    for event in rng.choice(3_000, 60, replace=False).tolist():
        rows[event] = [int(rng.integers(0, 7)), *rows[event]]
    is_open = np.sort(rng.choice(3_000, 2_000, replace=False))
    site = Site(rows, {5: 1.0, 900: 0.5}, [(3, 1.0, Part.GENRE_MATCH)], is_open.tolist(), [0, 7, 900])
    content, scorer, out = site.content(), ContentScorer(ContentSettings()), answer(n)
    taste = scorer.taste(content, site.profile(), site.statements())

    size = scorer.rank(content, taste, site.mask(), np.array(site.excluded, np.int32), Held(out))

    allowed = np.setdiff1d(is_open, site.excluded).astype(np.int32)
    scores = scorer.scores(content, taste, allowed)
    assert size == n
    assert out.events.tolist() == allowed[np.argsort(-scores, kind="stable")][:n].tolist()


@given(st.lists(st.dictionaries(st.integers(0, 2), st.sampled_from([0.5, 1.0]), max_size=3), max_size=40))
def test_rows_that_are_alike_are_of_one_group(rows: list[dict[int, float]]):
    rows = [dict(sorted(row.items())) for row in rows]
    pairs = pairs_from_lists([list(row) for row in rows])
    values = np.array([value for row in rows for value in row.values()], np.float32)

    group_of, first_of = group_alike(*pairs, values)
    indptr, features = gather_rows(*pairs, first_of)
    _, of_features = gather_rows(pairs.indptr, values, first_of)

    groups = [
        dict(zip(features[start:stop].tolist(), of_features[start:stop].tolist(), strict=True))
        for start, stop in pairwise(indptr)
    ]
    assert groups == [dict(row) for row in dict.fromkeys(tuple(row.items()) for row in rows)]
    assert [groups[group] for group in group_of] == rows
