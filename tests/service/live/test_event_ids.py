import pytest

from core.vocabulary import Vocabulary
from service.live.event_ids import EventIds


def test_ids_are_those_of_the_model_and_then_those_that_came() -> None:
    ids = EventIds(Vocabulary.from_ids(["rock", "trad"]))
    ids.append("jazz")

    assert list(ids) == ["rock", "trad", "jazz"]
    assert (len(ids), ids[1], ids[2], ids[1:]) == (3, "trad", "jazz", ["trad", "jazz"])


@pytest.mark.parametrize("index", [-1, 3])
def test_an_index_of_no_event_is_an_error(index: int) -> None:
    ids = EventIds(Vocabulary.from_ids(["rock", "trad"]))
    ids.append("jazz")

    with pytest.raises(IndexError):
        ids[index]
