"""Against SciPy, over the whole range that results may ask for."""

import pytest
from scipy.special import chdtrc, stdtr, stdtrit

from service.experiments.statistics.distributions import (
    chi_squared_above,
    student_quantile,
    student_two_sided,
)

FREEDOMS = [1.0, 1.7, 2.0, 5.5, 30.0, 998.3, 1e5, 3.7e6]


@pytest.mark.parametrize("freedom", FREEDOMS)
def test_students_tails_are_scipys(freedom: float):
    for t in (0.0, 1e-9, 0.01, 0.7, 1.96, -3.5, 6.0, 12.0, 37.0):
        expected = 2.0 * stdtr(freedom, -abs(t))
        assert student_two_sided(t, freedom) == pytest.approx(expected, rel=1e-7, abs=1e-290)


@pytest.mark.parametrize("freedom", FREEDOMS)
def test_students_quantiles_are_scipys(freedom: float):
    for probability in (0.6, 0.9, 0.95, 0.975, 0.995, 0.9995):
        expected = stdtrit(freedom, probability)
        assert student_quantile(probability, freedom) == pytest.approx(expected, rel=1e-8)


@pytest.mark.parametrize("freedom", [1, 2, 3, 7, 19, 60, 500])
def test_chi_squared_is_scipys(freedom: int):
    for x in (0.0, 1e-6, 0.3, 1.0, 3.84, 10.83, freedom + 1.0, freedom + 30.0, 700.0):
        assert chi_squared_above(x, freedom) == pytest.approx(chdtrc(freedom, x), rel=1e-8, abs=1e-14)
