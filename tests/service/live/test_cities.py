import pytest
from hypothesis import given
from hypothesis import strategies as st

from service.live.cities import city_key


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ("Dublin", "dublin"),
        ("Dún Laoghaire", "DUN LAOGHAIRE"),
        ("Dún Laoghaire", "Du\u0301n Laoghaire"),
        ("  Dún \t Laoghaire ", "Dun-Laoghaire"),
        ("Carrick-on-Shannon", "carrick on shannon"),
        ("Ballyjamesduff, Co. Cavan", "ballyjamesduff co cavan"),
        ("Straße", "STRASSE"),
        ("\uff24\uff35\uff22\uff2c\uff29\uff2e", "Dublin"),  # full-width letters
    ],
)
def test_spellings_of_one_city_agree(one, other):
    assert city_key(one) == city_key(other)


@pytest.mark.parametrize(("one", "other"), [("Cork", "York"), ("Newbridge", "New Bridge"), ("北京", "東京")])
def test_different_cities_stay_apart(one, other):
    assert city_key(one) != city_key(other)


@given(st.text())
def test_a_key_is_its_own_key(name):
    assert city_key(city_key(name)) == city_key(name)
