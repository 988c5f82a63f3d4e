import subprocess
import sys

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from analysis import cfconv
from analysis.cfconv import HalfList, convolve, convolve_reference

END = 5.0


@pytest.fixture(autouse=True)
def threads():
    """A function that sets how many threads torch has, for the length of a test."""
    before = torch.get_num_threads()
    torch.set_num_threads(2)
    yield torch.set_num_threads
    torch.set_num_threads(before)


def half_list(n_atoms: list[int], *, seed: int = 0, end: float = END, dtype: torch.dtype = torch.float32) -> HalfList:
    """Molecules with random distances between all their atoms, some of them at 0 and at the end."""
    first, second, counts, start = [], [], [], 0
    for n in n_atoms:
        i, j = np.triu_indices(n, 1)
        first.append(start + i)
        second.append(start + j)
        counts.append(len(i))
        start += n
    first, second = (torch.from_numpy(np.concatenate(x).astype(np.int32)) for x in (first, second))
    distance = torch.from_numpy(np.random.default_rng(seed).uniform(0, end, len(first))).to(dtype)
    distance[::17] = end
    distance[5::17] = 0
    offsets = torch.tensor([0, *np.cumsum(counts)])
    return HalfList.share_out(first, second, distance, offsets=offsets, n_atoms=start)


def random(*shape: int, seed: int = 1, dtype: torch.dtype = torch.float32) -> torch.Tensor:
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed), dtype=torch.float64).to(dtype)


def cubic(distance: np.ndarray, width: int) -> np.ndarray:
    """Filters that cubic interpolation has to hit exactly: one polynomial of degree 3 per feature."""
    coefficients = np.random.default_rng(2).normal(size=(4, width)) / 5.0 ** np.arange(4)[:, None]
    return np.polynomial.polynomial.polyval(distance, coefficients).T


def by_definition(features: np.ndarray, pairs: HalfList) -> np.ndarray:
    """y_i = Σ_j h_j ∘ W(d_ij), atom by atom, with the cubic filters themselves."""
    filters = cubic(pairs.distance.double().numpy(), features.shape[1])
    y = np.zeros_like(features)
    for p, (i, j) in enumerate(zip(pairs.first.tolist(), pairs.second.tolist(), strict=True)):
        y[i] += filters[p] * features[j]
        y[j] += filters[p] * features[i]
    return y


def with_gradients(function, features: torch.Tensor, table: torch.Tensor, pairs: HalfList, end: float = END):
    """Result, gradient with respect to features, and with respect to the table, for a random loss."""
    features, table = features.clone().requires_grad_(), table.clone().requires_grad_()
    y = function(features, table, pairs, end=end)
    return (y.detach(), *torch.autograd.grad((y * random(*y.shape, seed=3, dtype=y.dtype)).sum(), (features, table)))


@pytest.mark.parametrize("function", [convolve, convolve_reference])
@pytest.mark.parametrize("width", [*range(1, 34), 38, 64, 100, 128])
def test_the_convolution_is_what_its_formula_says_at_any_width(function, width):
    pairs = half_list([5, 1, 3, 9, 2], dtype=torch.float64)
    features = random(20, width, dtype=torch.float64)
    table = torch.from_numpy(cubic(np.linspace(0, END, 12), width))
    y = function(features, table, pairs, end=END)
    np.testing.assert_allclose(y.numpy(), by_definition(features.numpy(), pairs), atol=1e-11)


@pytest.mark.parametrize("intervals_per_width", [8, 16, 32])
def test_the_interpolation_error_keeps_the_bound_that_the_docstring_states(intervals_per_width):
    """A Gaussian of width σ: its fourth derivative is 3/σ⁴ at most."""
    sigma = 0.25
    end = 20 * sigma
    grid = torch.linspace(0, end, 20 * intervals_per_width + 1, dtype=torch.float64)
    n = 4001
    distance = torch.linspace(0, end, n, dtype=torch.float64)
    first = torch.arange(0, 2 * n, 2, dtype=torch.int32)
    pairs = HalfList(first, first + 1, distance, torch.tensor([0, n]), 2 * n)
    for centre in (0.0, 7.3 * sigma, end):
        table = torch.exp(-((grid - centre) ** 2) / (2 * sigma**2))[:, None]
        found = convolve(torch.ones(2 * n, 1, dtype=torch.float64), table, pairs, end=end)[::2, 0]
        error = (found - torch.exp(-((distance - centre) ** 2) / (2 * sigma**2))).abs()
        step_over_width = 1 / intervals_per_width
        assert error.max() <= 3 / 24 * step_over_width**4
        inner = error[(distance > end / 10) & (distance < 0.9 * end)]
        assert inner.max() <= 9 / 128 * step_over_width**4
        assert error.max() > 0.03 * step_over_width**4


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
@pytest.mark.parametrize("width", [1, 7, 16, 38, 65])
def test_result_and_gradients_are_those_of_pure_torch(width, dtype):
    pairs = half_list([4, 12, 1, 18, 18, 3], dtype=dtype)
    features, table = random(56, width, dtype=dtype), random(40, width, seed=2, dtype=dtype)
    fast = with_gradients(convolve, features, table, pairs)
    reference = with_gradients(convolve_reference, features, table, pairs)
    tolerance = 1e-5 if dtype == torch.float32 else 1e-13
    for ours, theirs in zip(fast, reference, strict=True):
        assert ours.dtype == dtype
        torch.testing.assert_close(ours, theirs, rtol=tolerance, atol=tolerance * float(theirs.abs().max()))


@pytest.mark.parametrize("function", [convolve, convolve_reference])
def test_gradients_are_those_of_finite_differences(function):
    pairs = half_list([4, 3, 1], dtype=torch.float64)
    features = random(8, 3, dtype=torch.float64).requires_grad_()
    table = random(6, 3, seed=2, dtype=torch.float64).requires_grad_()
    assert torch.autograd.gradcheck(lambda h, w: function(h, w, pairs, end=END), (features, table))


@given(seed=st.integers(0, 2**16), n_atoms=st.lists(st.integers(1, 9), min_size=1, max_size=8))
@settings(max_examples=30, deadline=None)
def test_the_operator_is_its_own_adjoint(seed, n_atoms):
    """⟨a, C b⟩ = ⟨C a, b⟩, because each pair counts the same in both directions."""
    pairs = half_list(n_atoms, seed=seed, dtype=torch.float64)
    table = random(30, 5, seed=seed, dtype=torch.float64)
    a = random(sum(n_atoms), 5, seed=seed + 1, dtype=torch.float64)
    b = random(sum(n_atoms), 5, seed=seed + 2, dtype=torch.float64)
    left, right = (a * convolve(b, table, pairs, end=END)).sum(), (convolve(a, table, pairs, end=END) * b).sum()
    torch.testing.assert_close(left, right, rtol=1e-10, atol=1e-10)


@pytest.mark.parametrize("n_atoms", [[1], [1, 1, 1]])
@pytest.mark.parametrize("function", [convolve, convolve_reference])
def test_without_a_pair_there_is_nothing(function, n_atoms):
    pairs = half_list(n_atoms)
    y, d_features, d_table = with_gradients(function, random(sum(n_atoms), 6), random(9, 6), pairs)
    assert y.shape == (sum(n_atoms), 6)
    for tensor in (y, d_features, d_table):
        assert not tensor.any()


@pytest.mark.parametrize("function", [convolve, convolve_reference])
@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_a_pair_counts_up_to_the_end_of_the_table_and_not_beyond(function, dtype):
    """4.3 is larger as a float32 than as a float64: a distance just below must not fall off the table."""
    end = 4.3
    kinds = [np.nextafter(end, 0), end, np.nextafter(end, 9), 4.301, 100.0, np.inf]
    distance = torch.tensor(kinds, dtype=torch.float64).to(dtype)
    first = torch.arange(0, 12, 2, dtype=torch.int32)
    pairs = HalfList(first, first + 1, distance, torch.tensor([0, 6]), 12)
    y = function(torch.ones(12, 1, dtype=dtype), torch.full((10, 1), 2.0, dtype=dtype), pairs, end=end)
    expected = [2, 2, 2 if dtype == torch.float32 else 0, 0, 0, 0]
    torch.testing.assert_close(y[::2, 0], torch.tensor(expected, dtype=dtype))


def test_the_smallest_table_has_four_rows():
    pairs = half_list([6], dtype=torch.float64)
    features = random(6, 4, dtype=torch.float64)
    y = convolve(features, torch.from_numpy(cubic(np.linspace(0, END, 4), 4)), pairs, end=END)
    np.testing.assert_allclose(y.numpy(), by_definition(features.numpy(), pairs), atol=1e-11)


def test_one_and_two_threads_agree_and_each_repeats_its_bits(threads):
    molecules = [18] * 60 + [1, 3, 29]
    features, table = random(sum(molecules), 38), random(200, 38, seed=2)
    results = {}
    for number in (1, 2):
        threads(number)
        pairs = half_list(molecules)
        assert len(pairs.chunks) == number + 1
        results[number] = with_gradients(convolve, features, table, pairs)
        for once, again in zip(results[number], with_gradients(convolve, features, table, pairs), strict=True):
            assert torch.equal(once, again)
    assert torch.equal(results[1][0], results[2][0])
    assert torch.equal(results[1][1], results[2][1])
    torch.testing.assert_close(results[1][2], results[2][2], rtol=1e-5, atol=1e-5 * float(results[1][2].abs().max()))


def test_more_threads_than_cores(threads):
    threads(1)
    one = with_gradients(convolve, random(90, 8), random(50, 8), half_list([18] * 5))
    threads(5)
    many = with_gradients(convolve, random(90, 8), random(50, 8), half_list([18] * 5))
    for a, b in zip(one, many, strict=True):
        torch.testing.assert_close(a, b, rtol=1e-5, atol=1e-5)


def test_chunks_are_cut_between_molecules_and_hold_about_equally_many_pairs(threads):
    threads(3)
    pairs = half_list([10] * 30)
    assert pairs.chunks.tolist() == [0, 450, 900, 1350]
    assert half_list([10, 2]).chunks.tolist()[-1] == 46


def test_columns_that_are_not_contiguous_are_taken_as_they_are():
    pairs = half_list([7, 4])
    features, table = random(11, 12)[:, ::2], random(6, 20).T.contiguous().T[:, :6]
    reference = with_gradients(convolve_reference, features, torch.cat([table] * 2), pairs)
    fast = with_gradients(convolve, features, torch.cat([table] * 2), pairs)
    torch.testing.assert_close(fast, reference, rtol=1e-5, atol=1e-5)


def test_without_numba_pure_torch_takes_over(monkeypatch):
    pairs, features, table = half_list([7, 4]), random(11, 12), random(9, 12)
    fast = convolve(features, table, pairs, end=END)
    monkeypatch.setattr(cfconv, "HAS_NUMBA", False)
    monkeypatch.delattr(cfconv, "_kernels")
    torch.testing.assert_close(convolve(features, table, pairs, end=END), fast, rtol=1e-5, atol=1e-5)


def test_the_module_can_be_imported_where_numba_is_missing():
    code = "import sys; sys.modules['numba'] = None; from analysis import cfconv; assert not cfconv.HAS_NUMBA"
    subprocess.run([sys.executable, "-c", code], check=True)


def test_forces_are_refused_where_they_would_be_silently_zero():
    pairs = half_list([3])
    pairs.distance.requires_grad_()
    with pytest.raises(ValueError, match="no gradient with respect to distances"):
        convolve(random(3, 4), random(9, 4), pairs, end=END)


def test_second_derivatives_are_refused():
    features = random(3, 4).requires_grad_()
    y = (convolve(features, random(9, 4), half_list([3]), end=END) * features).sum()
    (gradient,) = torch.autograd.grad(y, features, create_graph=True)
    with pytest.raises(RuntimeError, match="once_differentiable"):
        gradient.sum().backward()


@pytest.mark.parametrize(
    ("features", "table", "end", "match"),
    [
        (random(3, 4), random(9, 5), END, "must have one width"),
        (random(3, 4), random(9, 4, dtype=torch.float64), END, "must both be float32 or float64"),
        (random(3, 4).half(), random(9, 4).half(), END, "must both be float32 or float64"),
        (random(3, 4), random(3, 4), END, "too short to interpolate"),
        (random(3, 4), random(9, 4), 0.0, "end at a positive distance"),
        (random(3, 4), random(9, 4), float("nan"), "end at a positive distance"),
        (random(2, 4), random(9, 4), END, "features of 2 atoms, but pairs of 3"),
    ],
)
def test_what_does_not_fit_together_is_refused(features, table, end, match):
    with pytest.raises(ValueError, match=match):
        convolve(features, table, half_list([3]), end=end)


@pytest.mark.parametrize(
    ("change", "match"),
    [
        ({"first": torch.tensor([0, 0], dtype=torch.int32)}, "3 distances, but 2 first"),
        ({"second": torch.tensor([1, 3, 2], dtype=torch.int32)}, "pairs of atoms 1 … 3, but there are 3"),
        ({"first": torch.tensor([-1, 0, 1], dtype=torch.int32)}, "pairs of atoms -1 … 1"),
        ({"chunks": torch.tensor([0, 2])}, r"chunks \[0, 2\] do not share out 3 pairs"),
        ({"chunks": torch.tensor([1, 3])}, "do not share out"),
        ({"chunks": torch.tensor([0, 3, 2, 3])}, "do not share out"),
    ],
)
def test_a_list_that_would_reach_outside_the_arrays_is_refused(change, match):
    good = half_list([3])
    parts = {"first": good.first, "second": good.second, "distance": good.distance, "chunks": good.chunks}
    with pytest.raises(ValueError, match=match):
        HalfList(**(parts | change), n_atoms=3)
