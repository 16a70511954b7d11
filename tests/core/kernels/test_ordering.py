import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as npst

from core.kernels.ordering import descending_order

#: Few different values, so that many are alike, and all kinds of them.
VALUES = st.floats(allow_nan=False, width=32) | st.sampled_from(
    [0.0, -0.0, 0.5, 1.0, float(np.float32(1e-45))]
)


@given(npst.arrays(np.float32, st.integers(0, 60), elements=VALUES))
def test_the_greatest_comes_first_and_ties_go_to_the_lower_place(values: np.ndarray) -> None:
    order = descending_order(values)

    assert order.dtype == np.int32
    assert order.tolist() == sorted(range(values.size), key=lambda place: (-values[place], place))


@pytest.mark.parametrize("n_different", [3, 1 << 20])
def test_as_many_values_as_a_large_site_has_events_are_sorted(n_different: int) -> None:
    values = np.random.default_rng(0).integers(0, n_different, 100_000).astype(np.float32) / n_different

    np.testing.assert_array_equal(descending_order(values), np.argsort(-values, kind="stable"))
