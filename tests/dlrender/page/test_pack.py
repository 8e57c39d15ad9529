"""Packed arrays come back within half a quantum, whatever blocks they came in, and floats to the last bit."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as arrays

from dlrender.page.pack import NATS, Packer, pack, quantum_of, unpack

SHAPES = arrays.array_shapes(min_dims=3, max_dims=3, max_side=7)


@given(
    arrays.arrays(np.float32, SHAPES, elements=st.floats(-1e6, 1e6, width=32)),
    st.sampled_from([(), (-2, -1), (0,), (-1,)]),
)
def test_rounded_values_come_back_within_half_a_quantum(values, axes):
    packed = pack(values, NATS, axes)
    assert np.abs(unpack(packed) - values).max(initial=0) <= NATS / 2


@given(arrays.arrays(np.float32, (5, 3), elements=st.floats(width=32)))
def test_floats_come_back_to_the_last_bit(values):
    assert unpack(pack(values, None)).tobytes() == values.tobytes()


def test_blocks_are_one_array():
    values = np.random.default_rng(0).normal(size=(9, 4, 4)) * 50
    packer = Packer(NATS, (-2, -1))
    for block in np.array_split(values, 4):
        packer.add(block)
    assert packer.finish() == pack(values, NATS, (-2, -1))


def test_a_gaussian_takes_a_byte_a_cell_or_less():
    x = np.arange(50) * 10.24
    values = -((x[:, None] - 200) ** 2 + (x - 300) ** 2) / (2 * 30**2)
    packed = pack(np.repeat(values[None], 20, axis=0) + np.arange(20)[:, None, None], NATS, (-2, -1))
    assert sum(map(len, packed["planes"])) <= values.size * 20


@pytest.mark.parametrize(
    ("units", "low", "high", "quantum"),
    [
        ("nats / px^2", -1e6, -3, 1 / 64),
        ("px", -700, 0, 1 / 16),
        ("1", -2, 2, 4 / 65536),
        ("nats", -1e9, 0, 1e9 / 2**30),
    ],
)
def test_the_quantum_is_as_fine_as_the_units_need(units, low, high, quantum):
    assert quantum_of(units, low, high) == pytest.approx(quantum)
