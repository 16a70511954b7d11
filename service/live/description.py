"""What the service makes of a row of the events table, and keeps on disk so that a start need not make it again."""

import hashlib
from collections.abc import Iterable, Sequence
from pathlib import Path

from msgspec import Struct

from core.tastes import Kind
from service.live.event import Card, json_text, make_card
from service.live.features import Feature, feature_key, feature_label, features_of
from service.storage.queries.events import EventRow

#: The modules that decide what is made of a row.
_MAKERS = ("cities", "description", "event", "features", "moments", "titles")
_OF_TITLES = (int(Kind.ARTIST), int(Kind.SERIES))


class ContentFeature(Struct, frozen=True, gc=False, array_like=True):
    """A content feature of an event. The first digit of the key is its kind."""

    key: str
    label: bytes  #: as it stands between the quotes of JSON


class Described(Struct, frozen=True, gc=False, array_like=True):
    """A row with its card and its content features."""

    row: EventRow
    card: Card
    features: tuple[ContentFeature, ...]
    made_by: str  #: the `MAKERS` of the version that made it

    @property
    def event_id(self) -> str:
        return self.row.event_id


def _digest_of_makers() -> str:
    digest = hashlib.sha256()
    for name in _MAKERS:
        digest.update(Path(__file__).with_name(f"{name}.py").read_bytes())
    return digest.hexdigest()[:12]


#: Tells one version of what is made of a row from another.
MAKERS = _digest_of_makers()


def describe(events: Iterable[EventRow]) -> list[Described]:
    """The events with what is made of them."""
    # Titles hardly repeat; genres, venues and evenings do.
    known: dict[Feature, ContentFeature] = {}

    def made(feature: Feature) -> ContentFeature:
        if feature[0] in _OF_TITLES:
            return _content_feature(feature)
        found = known.get(feature)
        if found is None:
            found = known[feature] = _content_feature(feature)
        return found

    return [
        Described(event, make_card(event), tuple(map(made, features_of(event))), MAKERS) for event in events
    ]


def up_to_date(kept: Sequence[Described]) -> list[Described]:
    """The same events; what another version made of them is made anew."""
    if all(event.made_by == MAKERS for event in kept):
        return list(kept)
    return describe(event.row for event in kept)


def _content_feature(feature: Feature) -> ContentFeature:
    return ContentFeature(feature_key(*feature), json_text(feature_label(*feature)))
