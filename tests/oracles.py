"""Slow, readable twins of the kernels.

They share no code with what they check, except for the layout of its arguments. Where a kernel adds float32 numbers in
a stated order its twin adds the same numbers in that order, one by one, so that both give the same bits.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from core.als import Factors
from core.kernels.live import LiveRows, Profile, Site
from core.sparse import Rows

ZERO, ONE, FULL_WEIGHT = np.float32(0), np.float32(1), np.float32(255)
REASONS = 3


def top_k(scores: Mapping[int, np.float32], k: int) -> list[int]:
    """The indices of the k greatest positive scores, best first, of equal ones the lower index first."""
    ranked = sorted((index for index in scores if scores[index] > 0), key=lambda i: (-scores[i], i))
    return ranked[:k]


def entries(rows: LiveRows, row: int) -> list[tuple[int, np.float32]]:
    """The (column, weight) of a row as a walk meets them: the model's, then additions, newest first."""
    met = []
    if row < rows.indptr.size - 1:
        model = slice(rows.indptr[row], rows.indptr[row + 1])
        met += zip(rows.indices[model].tolist(), rows.weights[model].astype(np.float32), strict=True)
    link = rows.head[row]
    while link >= 0:
        met.append((int(rows.added[link]), np.float32(rows.added_weights[link])))
        link = rows.following[link]
    return [(column, weight) for column, weight in met if weight > 0]


def add_up(rows: LiveRows, factors: Mapping[int, np.float32]) -> dict[int, np.float32]:
    """Σ factor × weight over the rows that have a factor, by column, in order of first touch."""
    sums: dict[int, np.float32] = {}
    for row, factor in factors.items():
        for column, weight in entries(rows, row):
            if factor * weight > 0:
                sums[column] = sums.get(column, ZERO) + factor * weight
    return sums


@dataclass(frozen=True)
class Neighbour:
    """One of the k most similar users: what they share with the profile, and what their likes count."""

    user: int
    shared: np.float32
    vote: np.float32


@dataclass(frozen=True)
class Recommendation:
    """One ranked event; `shares` has a part of the score for each event of the profile."""

    event: int
    score: np.float32
    supporters: int
    shares: list[np.float32]

    @property
    def contributors(self) -> int:
        """How many events of the profile have a part."""
        return sum(share > 0 for share in self.shares)

    @property
    def reasons(self) -> list[int]:
        """Positions in the profile of the greatest parts, the earlier first of equal ones, -1 for none."""
        greatest = top_k(dict(enumerate(self.shares)), REASONS)
        return greatest + [-1] * (REASONS - len(greatest))

    @property
    def contributions(self) -> list[np.float32]:
        """The parts that belong to `reasons`."""
        return [self.shares[position] if position >= 0 else ZERO for position in self.reasons]


def amplify(similarity: np.float32, half_powers: int) -> np.float32:
    """similarity ** (half_powers / 2)."""
    return {2: similarity, 3: similarity * np.sqrt(similarity), 4: similarity * similarity}[half_powers]


def factors_of(profile: Profile, site: Site) -> dict[int, np.float32]:
    """What each event of the profile adds to a similarity, per 1/255 of a preference."""
    return {
        int(event): weight * site.event_weights[event]
        for event, weight in zip(profile.events, profile.weights, strict=True)
    }


def neighbourhood(profile: Profile, site: Site, half_powers: int, k: int) -> list[Neighbour]:
    """The k most similar users but for the profile's own row, in order of first touch."""
    shared = add_up(site.savers, factors_of(profile, site))
    shared.pop(profile.own_row, None)
    similarities = {user: shared[user] * site.user_scales[user] for user in shared}
    nearest = set(top_k(similarities, k))
    return [
        Neighbour(user, shared[user], amplify(similarities[user], half_powers))
        for user in shared
        if user in nearest
    ]


def recommend(
    profile: Profile, site: Site, half_powers: int, open_events: Sequence[int], k: int, n: int
) -> tuple[list[Recommendation], list[Neighbour]]:
    """The ranking of the open events for one profile, and the neighbourhood behind it."""
    neighbours = neighbourhood(profile, site, half_powers, k)
    likes = {neighbour.user: dict(entries(site.liked, neighbour.user)) for neighbour in neighbours}
    votes = add_up(site.liked, {neighbour.user: neighbour.vote for neighbour in neighbours})
    total = sum((neighbour.vote * FULL_WEIGHT for neighbour in neighbours), ZERO)
    scale = ONE / total if total > 0 else ZERO
    excluded = set(profile.excluded.tolist())
    scores = {
        event: votes[event] * site.event_scales[event] * scale
        for event in votes
        if open_events[event] and event not in excluded
    }
    ranking = []
    for event in top_k(scores, n):
        supporters = {
            neighbour.user: (neighbour, likes[neighbour.user][event])
            for neighbour in neighbours
            if event in likes[neighbour.user]
        }
        shares = [share * (site.event_scales[event] * scale) for share in split(profile, site, supporters)]
        ranking.append(Recommendation(event, scores[event], len(supporters), shares))
    return ranking, neighbours


def split(
    profile: Profile, site: Site, supporters: Mapping[int, tuple[Neighbour, np.float32]]
) -> list[np.float32]:
    """What each event of the profile adds to the votes for an event that `supporters` like so and so much.

    A vote is shared among the events of the profile by what each adds to what the neighbour shares with it.
    """
    shares = []
    for event, factor in factors_of(profile, site).items():
        share = ZERO
        for user, weight in entries(site.savers, event):
            if user in supporters:
                neighbour, preference = supporters[user]
                share = share + factor * weight / neighbour.shared * (neighbour.vote * preference)
        shares.append(share)
    return shares


def similar(
    event: int, site: Site, open_events: Sequence[int], excluded: Iterable[int], n: int
) -> list[tuple[int, np.float32]]:
    """The n open events with the greatest cosines with `event` over the people kept in its posting list."""
    unit = np.float32(1 / 255)
    savers = [(user, weight * unit) for user, weight in entries(site.savers, event)]
    norm = np.sqrt(sum((float(weight) ** 2 for _, weight in savers), 0.0))
    products = add_up(site.liked, dict(savers))
    hidden = {event, *excluded}
    cosines = {
        other: np.float32(min(1.0, float(products[other]) / (norm * np.sqrt(float(squares_of(site, other))))))
        for other in products
        if open_events[other] and other not in hidden
    }
    return [(other, cosines[other]) for other in top_k(cosines, n)]


def squares_of(site: Site, event: int) -> int:
    """Σ weight² over everyone who likes an event, in 1/255²."""
    everyone = range(site.liked.head.size)
    return sum(int(dict(entries(site.liked, user)).get(event, 0)) ** 2 for user in everyone)


def first_open(
    order: Iterable[int], open_events: Sequence[int], excluded: Iterable[int], n: int
) -> list[int]:
    """The first n events of `order` that are open and not excluded."""
    hidden = set(excluded)
    return [event for event in order if open_events[event] and event not in hidden][:n]


def fold_in(
    profile: Profile, factors: Factors, activity: float, most: int
) -> tuple[dict[int, float], np.ndarray]:
    """What each position of a profile counts, and the score of every event, by the textbook formula in float64.

    Whitened vectors make YᵀY + λI the unit matrix: x = (I + Zᵀ(C - I)Z)⁻¹ ZᵀC1, and an event's score is z·x.
    """
    vectors = factors.values.astype(np.float64) * factors.steps[:, np.newaxis]
    mass = max(1.0, float(profile.weights.sum()))
    extra = {
        position: float(profile.weights[position] * factors.confidences[event]) * mass**-activity
        for position, event in enumerate(profile.events.tolist())
        if event < len(vectors) and factors.steps[event] > 0
    }
    extra = dict(sorted(extra.items(), key=lambda item: (-item[1], item[0]))[:most])
    z = vectors[profile.events[list(extra)]]
    d = np.array(list(extra.values()))
    x = np.linalg.solve(np.eye(vectors.shape[1]) + (z.T * d) @ z, z.T @ (d + 1.0))
    # From x = Zᵀ(C1 - (C - I)Zx): what each event of the profile is multiplied by in x.
    return dict(zip(extra, (d + 1.0) - d * (z @ x), strict=True)), vectors @ x


def all_pairs_cosine(rows: Rows, k: int) -> list[list[tuple[int, np.float32]]]:
    """The k most similar other rows of each row with their cosines, best first."""
    return all_pairs_cosine_of(rows, range(rows.n_rows), k)


def all_pairs_cosine_of(rows: Rows, chosen: Iterable[int], k: int) -> list[list[tuple[int, np.float32]]]:
    """The lists of the chosen rows."""
    vectors = [
        {
            int(rows.indices[position]): np.float32(rows.weights[position])
            for position in range(rows.indptr[row], rows.indptr[row + 1])
        }
        for row in range(rows.n_rows)
    ]
    norms = [np.sqrt(sum(float(weight) ** 2 for weight in vector.values())) for vector in vectors]
    inverse = [np.float32(1.0 / norm) if norm else ZERO for norm in norms]
    nearest = []
    for row in chosen:
        cosines = {}
        for other, vector in enumerate(vectors):
            shared = [column for column in vectors[row] if column in vector]
            if other != row and shared:
                product = sum((vectors[row][column] * vector[column] for column in shared), ZERO)
                cosines[other] = min(ONE, product * (inverse[row] * inverse[other]))
        nearest.append([(other, cosines[other]) for other in top_k(cosines, k)])
    return nearest


class ContentTwin:
    """`core.kernels.content` with dictionaries; arrays in the order in which the kernels add."""

    def __init__(self, rows: Sequence[Sequence[int]], kinds: Sequence[int], pivot: float) -> None:
        self.rows, self.kinds, self.pivot = rows, kinds, np.float32(pivot)
        described = sum(bool(row) for row in rows)
        counts = [sum(feature in row for row in rows) for feature in range(len(kinds))]
        self.idf = [np.float32(np.log((described + 1.0) / (count + 0.5))) for count in counts]

    def value(self, row: Sequence[int], feature: int) -> np.float32:
        """The weight of a feature among those of its kind in an event."""
        squares = self.pivot * self.pivot
        for other in row:
            if self.kinds[other] == self.kinds[feature]:
                squares = squares + self.idf[other] * self.idf[other]
        return np.float32(self.idf[feature] / np.sqrt(squares))

    def taste(
        self,
        liked: Mapping[int, np.float32],
        stated: Sequence[tuple[int, np.float32, int]],
        parts: Sequence[int],
        kind_weights: Sequence[np.float32],
    ) -> list[tuple[int, np.float32, int]]:
        """Entries (feature, weight, part of the score)."""
        history: dict[int, np.float32] = {}
        for event, preference in liked.items():
            for feature in self.rows[event]:
                value = self.value(self.rows[event], feature)
                history[feature] = history.get(feature, ZERO) + preference * value
        entries = [(feature, weight, int(parts[self.kinds[feature]])) for feature, weight in history.items()]
        entries += [
            (feature, weight * self.value([feature], feature), part) for feature, weight, part in stated
        ]
        sums: dict[int, np.float32] = {}
        for feature, weight, _ in entries:
            sums[feature] = sums.get(feature, ZERO) + weight
        squares: dict[int, np.float32] = {}
        for feature, weight in sums.items():
            kind = self.kinds[feature]
            squares[kind] = squares.get(kind, ZERO) + weight * weight
        total = sum((kind_weights[kind] for kind in sorted(squares)), ZERO)
        scales = {
            kind: kind_weights[kind] / (np.sqrt(square) * total) if total > 0 else ZERO
            for kind, square in squares.items()
        }
        return [(feature, weight * scales[self.kinds[feature]], part) for feature, weight, part in entries]

    def split(
        self, event: int, taste: Iterable[tuple[int, np.float32, int]]
    ) -> tuple[dict[int, np.float32], dict[int, int]]:
        """The parts of an event's score, and the feature that adds most to each, the lower of two that add the same."""
        parts: dict[int, np.float32] = {}
        greatest: dict[int, tuple[np.float32, int]] = {}
        entries = list(taste)
        for feature in self.rows[event]:
            for wanted, weight, part in entries:
                amount = weight * self.value(self.rows[event], feature)
                if wanted == feature and amount > 0:
                    parts[part] = parts.get(part, ZERO) + amount
                    if amount > greatest.get(part, (ZERO, -1))[0]:
                        greatest[part] = (amount, feature)
        return parts, {part: feature for part, (_, feature) in greatest.items()}

    def score(self, event: int, taste: Iterable[tuple[int, np.float32, int]]) -> np.float32:
        """What all parts add up to."""
        return sum(self.split(event, taste)[0].values(), ZERO)


@dataclass(frozen=True)
class Blended:
    """One event of a blend: its score and what each component adds to it."""

    event: int
    score: float
    added: dict[str, float]


def blend(
    components: Mapping[str, Mapping[int, float]], weights: Mapping[str, float], n: int
) -> list[Blended]:
    """The n events with the greatest weighted sums of components, each in units of its greatest score.

    `components` have scores by event, of the same events each. What popularity alone speaks for is left out.
    """
    units = {
        name: weights[name] / max(scores.values()) if scores and max(scores.values()) > 0 else 0.0
        for name, scores in components.items()
    }
    events = set().union(*components.values())
    found = []
    for event in events:
        added = {name: units[name] * scores.get(event, 0.0) for name, scores in components.items()}
        if any(amount > 0 for name, amount in added.items() if name != "popularity"):
            found.append(Blended(event, sum(added.values()), added))
    return sorted(found, key=lambda one: (-one.score, one.event))[:n]


def fnv1a(units: Iterable[int], state: int) -> int:
    """The 32-bit FNV-1a hash of some code units, from a state on."""
    for unit in units:
        state = (state ^ unit) * 16_777_619 % 2**32
    return state


def gain_reached(
    scores: np.ndarray, weights: np.ndarray, gains: np.ndarray, worths: Sequence[float]
) -> list[float]:
    """One person's Σ gain × worth of its rank by kind, of scores [components, m] and gains [kinds, m]."""
    total = [ZERO] * scores.shape[1]
    for of_component, weight in zip(scores, weights, strict=True):
        if weight != 0:
            total = [value + weight * score for value, score in zip(total, of_component, strict=True)]
    ranked = sorted(range(len(total)), key=lambda place: (-total[place], place))
    return [
        sum(float(of_kind[place]) * worth for place, worth in zip(ranked, worths, strict=False))
        for of_kind in gains
    ]
