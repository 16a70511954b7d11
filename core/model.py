"""A trained model: what training puts into a bundle and the service takes out of it again."""

from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import asdict, dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray

from core.actions import ActionWeights
from core.als import AlsSettings, Factors, check_factors, check_sketch, no_factors
from core.bundle import Bundle, BundleError
from core.collaborative import CollaborativeSettings, Neighbourhood
from core.hybrid import Blend, check_blend, default_blend
from core.interactions import Preferences, PreferenceSettings
from core.kernels.sketch import LAYOUT, Sketch
from core.popularity import PopularitySettings
from core.sparse import Pairs, Rows, check_pairs, check_rows
from core.tastes import ContentSettings
from core.vocabulary import Vocabulary

#: What the parts of a sketch begin with in a bundle; those of another layout are not looked at.
_SKETCH = f"sketch{LAYOUT}"

#: What the live site changes in place, in its own pages: the weights. With them go all other arrays that kernels take:
#: those are compiled for writable arrays, and for read-only ones they would be compiled a second time.
COPY_ON_WRITE = frozenset(
    [f"{side}_{part}" for side in ("liked", "savers") for part in Rows._fields]
    + [f"factors_{part}" for part in Factors._fields]
    + [f"{_SKETCH}_{part}" for part in Sketch._fields]
    + [f"blend_{part}" for part in Blend._fields]
)


@dataclass(frozen=True, slots=True)
class ModelSettings:
    """Everything a training can be told; kept in the bundle, so that serving uses what was trained."""

    preferences: PreferenceSettings = field(default_factory=PreferenceSettings)
    popularity: PopularitySettings = field(default_factory=PopularitySettings)
    collaborative: CollaborativeSettings = field(default_factory=CollaborativeSettings)
    als: AlsSettings = field(default_factory=AlsSettings)
    content: ContentSettings = field(default_factory=ContentSettings)

    def as_dict(self) -> dict[str, Any]:
        """Plain values for a manifest."""
        return asdict(self)

    @classmethod
    def from_dict(cls, values: Mapping[str, Any]) -> "ModelSettings":
        """The settings that `as_dict` gave; ValueError or TypeError names what does not fit."""
        preferences = dict(values["preferences"])
        preferences["weights"] = ActionWeights(**preferences["weights"])
        return cls(
            preferences=PreferenceSettings(**preferences),
            popularity=PopularitySettings(**values["popularity"]),
            collaborative=CollaborativeSettings(**values["collaborative"]),
            als=AlsSettings(**values["als"]),
            # Models that were trained before these could be chosen have none.
            content=ContentSettings(**values.get("content", {})),
        )


@dataclass(frozen=True, slots=True)
class Model:
    """All arms of one training over one set of people and events."""

    version: str
    settings: ModelSettings
    users: Vocabulary
    events: Vocabulary
    preferences: Preferences  #: rows users
    neighbourhood: Neighbourhood
    popularity: NDArray[np.float32]  #: [events], 0…1
    saved: Pairs  #: rows users: what the site's own table of saves held, so that a save taken back is noticed
    hidden: Pairs  #: likewise of hides
    factors: Factors = field(default_factory=no_factors)
    blend: Blend = field(default_factory=default_blend)
    #: of the factors; None where they have not been sketched (yet): in a training, and by earlier releases
    sketch: Sketch | None = None

    def arrays(self) -> dict[str, NDArray[Any]]:
        """The arrays of the model by the names they have in a bundle."""
        liked, dismissed = self.preferences
        savers, user_masses, event_masses = self.neighbourhood
        named = {
            **{f"users_{name}": array for name, array in self.users.arrays().items()},
            **{f"events_{name}": array for name, array in self.events.arrays().items()},
            **{f"liked_{name}": array for name, array in liked._asdict().items()},
            **{f"dismissed_{name}": array for name, array in dismissed._asdict().items()},
            **{f"savers_{name}": array for name, array in savers._asdict().items()},
            **{f"saved_{name}": array for name, array in self.saved._asdict().items()},
            **{f"hidden_{name}": array for name, array in self.hidden._asdict().items()},
            **{f"factors_{name}": array for name, array in self.factors._asdict().items()},
            **{f"blend_{name}": array for name, array in self.blend._asdict().items()},
        }
        if self.sketch is not None:
            named |= {f"{_SKETCH}_{name}": array for name, array in self.sketch._asdict().items()}
        return named | {
            "user_masses": user_masses,
            "event_masses": event_masses,
            "popularity": self.popularity,
        }


def model_from(bundle: Bundle, rest: Callable[[], None] = lambda: None) -> Model:
    """The model a verified bundle holds; `rest` is called again and again meanwhile.

    Raises BundleError when its parts do not fit together.
    """
    try:
        model = _assemble(bundle, rest)
        _check(model, rest)
    except (KeyError, TypeError, ValueError) as error:
        reason = f"missing {error}" if isinstance(error, KeyError) else str(error)
        raise BundleError(bundle.directory, reason) from error
    return model


def _assemble(bundle: Bundle, rest: Callable[[], None]) -> Model:
    arrays = bundle.arrays
    users = _vocabulary("users", arrays, rest)
    rest()
    events = _vocabulary("events", arrays, rest)
    rest()
    has_sketch = any(f"{_SKETCH}_{part}" in arrays for part in Sketch._fields)
    return Model(
        version=bundle.facts["version"],
        settings=ModelSettings.from_dict(bundle.facts["settings"]),
        users=users,
        events=events,
        preferences=Preferences(
            Rows(*_group("liked", Rows, arrays)), Pairs(*_group("dismissed", Pairs, arrays))
        ),
        neighbourhood=Neighbourhood(
            Rows(*_group("savers", Rows, arrays)), arrays["user_masses"], arrays["event_masses"]
        ),
        popularity=arrays["popularity"],
        saved=Pairs(*_group("saved", Pairs, arrays)),
        hidden=Pairs(*_group("hidden", Pairs, arrays)),
        factors=Factors(*_group("factors", Factors, arrays)),
        blend=Blend(*_group("blend", Blend, arrays)),
        sketch=Sketch(*_group(_SKETCH, Sketch, arrays)) if has_sketch else None,
    )


def _group(
    name: str,
    kind: type[Rows] | type[Pairs] | type[Factors] | type[Blend] | type[Sketch],
    arrays: Mapping[str, NDArray[Any]],
) -> Iterator[NDArray[Any]]:
    """The arrays of one matrix, in the order in which its type takes them."""
    return (arrays[f"{name}_{part}"] for part in kind._fields)


def _vocabulary(name: str, arrays: Mapping[str, NDArray[Any]], rest: Callable[[], None]) -> Vocabulary:
    prefix = f"{name}_"
    own = {key.removeprefix(prefix): array for key, array in arrays.items() if key.startswith(prefix)}
    with _named(name):
        return Vocabulary.from_arrays(own, rest)


@contextmanager
def _named(group: str) -> Iterator[None]:
    """Let an error that begins with a part of a group ("indices: …") begin with the array's name in the bundle."""
    try:
        yield
    except ValueError as error:
        raise ValueError(f"{group}_{error}") from error


def _check(model: Model, rest: Callable[[], None]) -> None:
    n_users, n_events = len(model.users), len(model.events)
    matrices: dict[str, tuple[Rows | Pairs, int, int]] = {
        "liked": (model.preferences.liked, n_users, n_events),
        "dismissed": (model.preferences.dismissed, n_users, n_events),
        "saved": (model.saved, n_users, n_events),
        "hidden": (model.hidden, n_users, n_events),
        "savers": (model.neighbourhood.savers, n_events, n_users),
    }
    vectors = {
        "user_masses": (model.neighbourhood.user_masses, n_users),
        "event_masses": (model.neighbourhood.event_masses, n_events),
        "popularity": (model.popularity, n_events),
    }
    for name, (matrix, n_rows, n_columns) in matrices.items():
        if matrix.n_rows != n_rows:
            raise ValueError(f"{name}: {matrix.n_rows} rows for a vocabulary of {n_rows}")
        with _named(name):
            if isinstance(matrix, Rows):
                check_rows(matrix, n_columns, rest)
            else:
                check_pairs(matrix, n_columns, rest)
        rest()
    with _named("factors"):
        check_factors(model.factors, n_events, rest)
    rest()
    if model.sketch is not None:
        with _named(_SKETCH):
            check_sketch(model.sketch, model.factors)
    with _named("blend"):
        check_blend(model.blend)
    for name, (values, size) in vectors.items():
        if values.dtype != np.float32 or values.shape != (size,):
            raise ValueError(f"{name}: expected float32[{size}], got {values.dtype}{list(values.shape)}")
