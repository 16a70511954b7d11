import pytest

from service.storage.times import optional_text, to_text


def test_a_time_is_written_in_utc_to_the_second() -> None:
    assert to_text(1_700_000_000.9) == "2023-11-14 22:13:20"


def test_no_time_stays_no_time() -> None:
    assert optional_text(None) is None
    assert optional_text(0) == "1970-01-01 00:00:00"


def test_a_time_beyond_the_year_9999_is_an_error() -> None:
    with pytest.raises(ValueError, match="year"):
        to_text(10**12)
