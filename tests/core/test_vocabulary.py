import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from core import vocabulary
from core.vocabulary import Vocabulary

#: Any string at all: JSON may hold lone surrogates.
IDS = st.text(st.characters(), max_size=6)


@given(st.lists(IDS, unique=True))
def test_every_id_is_found_at_its_place(ids: list[str]) -> None:
    numbered = Vocabulary.from_ids(ids)
    assert len(numbered) == len(ids)
    assert list(numbered) == ids
    assert [numbered.index_of(id_) for id_ in ids] == list(range(len(ids)))


@given(st.lists(IDS, unique=True), st.lists(IDS), st.sampled_from([1, 3, 1 << 64]))
def test_many_ids_are_found_as_each_of_them_is(ids: list[str], others: list[str], n_hashes: int) -> None:
    real = vocabulary._hash
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(vocabulary, "_hash", lambda encoded: real(encoded) % n_hashes)
        numbered = Vocabulary.from_ids(ids)
        wanted = [*others, *ids, *ids[:1]]
        assert numbered.indices_of(wanted) == [numbered.index_of(id_) for id_ in wanted]


@given(st.lists(IDS, unique=True), IDS)
def test_an_id_is_known_only_when_it_was_given(ids: list[str], wanted: str) -> None:
    numbered = Vocabulary.from_ids(ids)
    assert (wanted in numbered) == (wanted in ids)
    assert (numbered.index_of(wanted) == -1) == (wanted not in ids)


@given(st.lists(IDS, unique=True), IDS, st.integers(1, 3))
def test_ids_whose_hashes_collide_are_told_apart(ids: list[str], wanted: str, n_hashes: int) -> None:
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(vocabulary, "_hash", lambda encoded: len(encoded) % n_hashes)
        numbered = Vocabulary.from_ids(ids)
        assert [numbered.index_of(id_) for id_ in ids] == list(range(len(ids)))
        assert (wanted in numbered) == (wanted in ids)


@pytest.mark.parametrize("n_hashes", [1, 1 << 64])
def test_an_id_that_comes_twice_is_refused_by_name(n_hashes: int, monkeypatch: pytest.MonkeyPatch) -> None:
    real = vocabulary._hash
    monkeypatch.setattr(vocabulary, "_hash", lambda encoded: real(encoded) % n_hashes)
    with pytest.raises(ValueError, match=r"^ids: 'seán' comes twice$"):
        Vocabulary.from_ids(["aoife", "seán", "bríd", "seán"])


@given(st.lists(IDS, unique=True))
def test_the_arrays_make_the_same_vocabulary_without_a_copy(ids: list[str]) -> None:
    arrays = Vocabulary.from_ids(ids).arrays()
    again = Vocabulary.from_arrays(arrays)
    assert list(again) == ids
    assert all(again.index_of(id_) == index for index, id_ in enumerate(ids))
    assert all(np.shares_memory(again.arrays()[name], arrays[name]) for name in arrays if arrays[name].size)


def test_hashes_never_change_because_bundles_hold_them() -> None:
    arrays = Vocabulary.from_ids(["42", "seán"]).arrays()
    assert arrays["hashes"].tolist() == [8076588689699297152, 8820412187630416983]
    assert {name: str(array.dtype) for name, array in arrays.items()} == {
        "blob": "uint8",
        "offsets": "int64",
        "hashes": "uint64",
        "positions": "int32",
    }


def test_nothing_in_a_vocabulary_can_be_written() -> None:
    for array in Vocabulary.from_ids(["a"]).arrays().values():
        with pytest.raises(ValueError, match="read-only"):
            array[0] = 0


@pytest.mark.parametrize("index", [-1, 2])
def test_an_index_out_of_range_is_refused(index: int) -> None:
    with pytest.raises(IndexError, match=rf"^index: {index} is outside 0\.\.1"):
        Vocabulary.from_ids(["a", "b"]).id_at(index)


def test_what_is_no_string_is_not_in_a_vocabulary() -> None:
    assert 7 not in Vocabulary.from_ids(["7"])


@pytest.mark.parametrize(
    ("name", "values", "complaint"),
    [
        ("blob", np.zeros(3, np.int8), "blob: expected one dimension of uint8"),
        ("blob", np.zeros(2, np.uint8), "offsets: must ascend from 0 to the size of the blob, 2"),
        ("offsets", np.array([0, 2, 1, 3]), "offsets: must ascend"),
        ("offsets", np.array([], np.int64), "offsets: must ascend"),
        ("hashes", np.array([3, 2, 1], np.uint64), "hashes: 3 ascending values expected"),
        ("hashes", np.array([1, 2], np.uint64), "hashes: 3 ascending values expected"),
        ("positions", np.array([0, 1, 3], np.int32), r"positions: each of 0\.\.2 expected once"),
        ("positions", np.array([0, 1, 1], np.int32), r"positions: each of 0\.\.2 expected once"),
        ("positions", np.array([0, 1], np.int32), r"positions: each of 0\.\.2 expected once"),
        ("positions", np.array([0, -1, 2], np.int32), r"positions: each of 0\.\.2 expected once"),
        ("positions", np.zeros((3, 1), np.int32), "positions: expected one dimension of int32"),
    ],
)
def test_arrays_that_are_no_vocabulary_are_refused_by_name(
    name: str, values: np.ndarray, complaint: str
) -> None:
    arrays = Vocabulary.from_ids(["a", "b", "c"]).arrays()
    with pytest.raises(ValueError, match=rf"^{complaint}"):
        Vocabulary.from_arrays(arrays | {name: values})


def test_a_missing_array_is_refused_by_name() -> None:
    arrays = Vocabulary.from_ids(["a"]).arrays()
    del arrays["hashes"]
    with pytest.raises(ValueError, match=r"^hashes: missing"):
        Vocabulary.from_arrays(arrays)


@given(
    st.lists(IDS, unique=True),
    st.lists(IDS, unique=True),
    st.sampled_from([1, 3, 1 << 64]),
    st.sampled_from([1, 2, 100]),
)
def test_ids_are_found_in_another_vocabulary(
    ids: list[str], others: list[str], n_hashes: int, at_once: int
) -> None:
    real = vocabulary._hash
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(vocabulary, "_hash", lambda encoded: real(encoded) % n_hashes)
        patch.setattr(vocabulary, "_AT_ONCE", at_once)
        mine, theirs = Vocabulary.from_ids(ids), Vocabulary.from_ids(dict.fromkeys([*others, *ids[1::2]]))
        assert mine.indices_in(theirs).tolist() == [theirs.index_of(id_) for id_ in ids]
