import pytest

from service.storage.queries.json_columns import JsonColumns


@pytest.mark.parametrize(
    ("text", "names"),
    [
        (None, ()),
        ("null", ()),
        ("[]", ()),
        ('["trad", " folk ", "trad", ""]', ("trad", "folk")),
        (b'["trad"]', ("trad",)),
        ('[{"name": "Lankum"}, {"genre": "noise"}, {"id": 7}, 3, null]', ("Lankum", "noise")),
    ],
)
def test_names_come_from_texts_and_from_objects(text: str | bytes | None, names: tuple[str, ...]) -> None:
    columns = JsonColumns()

    assert columns.names(text) == names
    assert columns.unreadable == 0


@pytest.mark.parametrize("text", ["", "{", "trad, folk", '{"a": 1}', "7", '"trad"', b"\xff"])
def test_what_is_no_list_counts_as_empty_and_is_counted(text: str | bytes) -> None:
    columns = JsonColumns()

    assert columns.names(text) == ()
    assert columns.entries(text) == ()
    assert columns.unreadable == 2
