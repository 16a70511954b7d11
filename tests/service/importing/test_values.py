import pytest

from service.importing import values
from service.importing.errors import BadValueError


def refused(check: object, text: str | None, reason: str, **options: float) -> None:
    with pytest.raises(BadValueError, match=reason) as caught:
        check("the_column", text, **options)  # type: ignore[operator]
    assert caught.value.column == "the_column"


@pytest.mark.parametrize(
    ("text", "value"), [("7", "7"), (" gig 7 ", "gig 7"), ("007", "007"), ("Ünï🎻", "Ünï🎻")]
)
def test_an_id_is_any_text_without_the_spaces_around_it(text: str, value: str) -> None:
    assert values.identifier("id", text) == value


@pytest.mark.parametrize(
    ("text", "reason"),
    [(None, "no id"), ("", "no id"), ("  ", "no id"), ("x" * 256, "longer than 255"), ("a\nb", "printed")],
)
def test_what_is_no_id_is_refused(text: str | None, reason: str) -> None:
    refused(values.identifier, text, reason)


@pytest.mark.parametrize("text", ["a", "0", "-1", "1.0", "007", "²", "٣", "2147483648"])
def test_an_id_of_the_sites_server_is_a_plain_whole_number(text: str) -> None:
    refused(values.numeric_identifier, text, "whole number")
    assert values.numeric_identifier("id", " 2147483647 ") == "2147483647"


def test_an_interaction_without_an_action_is_a_save() -> None:
    assert values.action("action", None) == "save"
    assert values.action("action", "") == "save"
    assert values.action("action", "thumbs_down") == "thumbs_down"


def test_an_action_that_nobody_knows_is_refused_with_those_there_are() -> None:
    refused(values.action, "Save", "save, thumbs_up, click, skip, unsave, unhide, hide, thumbs_down")


@pytest.mark.parametrize(
    "text",
    [
        "2026-03-17T20:00:00Z",
        "2026-03-17T20:00:00.999Z",
        "2026-03-17 20:00",
        "2026-03-17T21:30:00+01:30",
        "20260317T200000Z",
        "1773777600",
        "1773777600.75",
        " 1773777600 ",
    ],
)
def test_a_time_is_read_in_any_spelling(text: str) -> None:
    assert values.instant("at", text) == 1_773_777_600


def test_a_date_is_its_first_second_in_utc() -> None:
    assert values.instant("at", "2026-03-17") == values.instant("at", "20260317") == 1_773_705_600


def test_an_empty_time_is_none_unless_there_must_be_one() -> None:
    assert values.instant("at", "") is None
    assert values.instant("at", None) is None
    refused(values.required_instant, "", "no time")


@pytest.mark.parametrize(
    "text", ["tomorrow", "2026-13-01", "2026-02-30", "17/03/2026", "2026", "1773", "-1773777600"]
)
def test_what_is_no_time_is_refused(text: str) -> None:
    refused(values.instant, text, "neither an ISO 8601 time nor unix seconds")


@pytest.mark.parametrize("text", ["1970-01-01", "1969-12-31T23:59:59Z", "1773777600000", "9" * 400])
def test_a_time_out_of_range_is_refused(text: str) -> None:
    refused(values.instant, text, "not between 1970 and 9999")


def test_a_recorded_time_ends_where_a_timestamp_column_does() -> None:
    assert values.instant("at", "2147483647", values.LAST_TIMESTAMP) == 2_147_483_647
    refused(values.instant, "2147483648", "not between 1970 and 2038", last=values.LAST_TIMESTAMP)


@pytest.mark.parametrize(
    ("text", "value"), [("12", 12.0), (" 9.999 ", 10.0), ("0", 0.0), ("", None), (None, None)]
)
def test_a_number_is_rounded_as_the_database_keeps_it(text: str | None, value: float | None) -> None:
    assert values.number("price", text, low=0, high=100, decimals=2) == value


@pytest.mark.parametrize("text", ["-0.01", "100.01", "nan", "inf"])
def test_a_number_out_of_range_is_refused(text: str) -> None:
    refused(values.number, text, "outside 0 to 100", low=0, high=100, decimals=2)


@pytest.mark.parametrize("text", ["free", "€12", "1,50", "0x10"])
def test_what_is_no_number_is_refused(text: str) -> None:
    refused(values.number, text, "not a number", low=0, high=100, decimals=2)


@pytest.mark.parametrize(
    ("text", "stored"),
    [
        ("", None),
        (None, None),
        ("[]", "[]"),
        ("trad", '["trad"]'),
        ("trad| folk |trad|", '["trad","folk"]'),
        ("drum, bass|jungle", '["drum, bass","jungle"]'),
        ("trad, folk", '["trad","folk"]'),
        ('["trad", " folk", ""]', '["trad","folk"]'),
    ],
)
def test_names_come_as_a_list_or_as_text_with_separators(text: str | None, stored: str | None) -> None:
    assert values.names("genres", text) == stored


@pytest.mark.parametrize(
    ("text", "reason"), [("[1]", "texts"), ('["a"', "JSON"), ('[{"name": "a"}]', "texts")]
)
def test_a_list_of_something_else_is_refused(text: str, reason: str) -> None:
    refused(values.names, text, reason)


def test_an_image_may_have_commas_in_its_address() -> None:
    assert values.images("images", "a.jpg?w=1,2|b.jpg") == '["a.jpg?w=1,2","b.jpg"]'
    assert values.images("images", '[{"url": "a.jpg"}]') == '[{"url":"a.jpg"}]'
    assert values.images("images", "") is None


def test_text_has_a_greatest_length() -> None:
    assert values.line("city", " Cork ", 4) == "Cork"
    assert values.line("city", " ", 4) is None
    refused(values.line, "Dublin", "longer than 4", longest=4)
    refused(values.required_line, " ", "empty", longest=4)
