import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from fused.segments import join


@given(data=st.data())
@settings(max_examples=40, deadline=None)
def test_segments_come_one_after_the_other(data):
    values = np.arange(50, dtype=data.draw(st.sampled_from([np.uint8, np.uint16, np.float32])))
    columns = data.draw(st.sampled_from([None, 1, 3]))
    values = values if columns is None else np.stack([values] * columns, axis=1)
    parts = data.draw(st.lists(st.tuples(st.integers(0, 40), st.integers(0, 10)), max_size=6))
    starts, counts = np.array(parts, np.int64).reshape(-1, 2).T
    shift = np.array(data.draw(st.lists(st.integers(0, 9), min_size=len(parts), max_size=len(parts))), np.int64)
    found = join(values, starts, counts, shift=shift, dtype=np.int64)
    plain = join(values, starts, counts)
    expected = [values[a : a + n].astype(np.int64) + s for (a, n), s in zip(parts, shift, strict=True)]
    np.testing.assert_array_equal(found, np.concatenate([values[:0].astype(np.int64), *expected]))
    assert found.dtype == np.int64
    assert plain.dtype == values.dtype
    np.testing.assert_array_equal(plain, np.concatenate([values[:0], *[values[a : a + n] for a, n in parts]]))


def test_numbers_that_the_values_type_could_not_hold():
    values = np.array([60000, 65535], np.uint16)
    found = join(values, np.array([0, 1]), np.array([2, 1]), shift=np.array([70000, 5]), dtype=np.int32)
    assert found.tolist() == [130000, 135535, 65540]


def test_values_that_do_not_lie_in_order():
    values = np.arange(12.0).reshape(3, 4).T
    assert join(values, np.array([2]), np.array([2])).tolist() == values[2:4].tolist()


@pytest.mark.parametrize(("start", "count"), [(-1, 2), (3, 3), (6, 0), (2, -1)])
def test_a_segment_outside_the_values_is_refused(start, count):
    with pytest.raises(IndexError, match="beyond the 5 values"):
        join(np.arange(5), np.array([0, start]), np.array([1, count]))
