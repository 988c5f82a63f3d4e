"""The distances that filters are tabulated at, and what their Gaussians are there."""

import pytest
import torch
from schnetpack.nn import BesselRBF, CosineCutoff, GaussianRBF

from fused.tables import grid


def tabulated(basis, dtype=torch.float32, **settings):
    given = {"data_cutoff": 5.0, "intervals_per_gaussian": 16, "like": torch.zeros(1, dtype=dtype)} | settings
    return grid(basis.to(dtype), CosineCutoff(5.0).to(dtype), **given)


def distances(table, dtype=torch.float32):
    return torch.linspace(0, table.end, len(table.basis), dtype=torch.float64).to(dtype)


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
@pytest.mark.parametrize("n_rbf", [50, 300])
def test_no_product_of_two_values_is_too_small_for_all_digits(n_rbf, dtype):
    basis = GaussianRBF(n_rbf, 5.0)
    table = tabulated(basis, dtype)
    whole = basis(distances(table, dtype))
    least = torch.finfo(dtype).tiny ** 0.5
    assert table.basis[table.basis != 0].abs().min() >= least
    assert torch.equal(table.basis[whole >= least], whole[whole >= least])
    assert ((whole > 0) & (whole < least)).any()


def test_what_is_left_out_of_a_tail_changes_no_bit_of_filters_and_gradients():
    basis = GaussianRBF(20, 5.0)
    table = tabulated(basis)
    whole = basis(distances(table))
    draw = torch.Generator().manual_seed(0)
    weights, gradient = torch.randn(20, 64, generator=draw), torch.randn(len(whole), 64, generator=draw)
    assert not torch.equal(table.basis, whole)
    assert torch.equal(table.basis @ weights, whole @ weights)
    assert torch.equal(table.basis.T @ gradient, whole.T @ gradient)


def test_values_below_zero_stay():
    basis = BesselRBF(8, 5.0)
    table = tabulated(basis)
    found = table.basis[1:]  # at a distance of 0 it divides by 0
    assert (found < -0.01).any()
    torch.testing.assert_close(found, basis(distances(table))[1:])


def test_a_table_ends_where_the_first_of_both_cutoffs_does():
    assert tabulated(GaussianRBF(20, 5.0)).end == 5.0
    short = tabulated(GaussianRBF(20, 5.0), data_cutoff=4.0)
    assert short.end == 4.0
    assert len(short.basis) == 16 * 20 * 4 // 5 + 1
