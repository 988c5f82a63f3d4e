import copy
from dataclasses import replace

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from fused import _kernels, choice
from fused.choice import Way
from fused.convolution import (
    Dense,
    Grid,
    HalfList,
    Interaction,
    Spare,
    convolve,
    convolve_reference,
    energies,
    interact,
)

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
    atoms, pairs = (torch.tensor([0, *np.cumsum(numbers)]) for numbers in (n_atoms, counts))
    threads = torch.get_num_threads()
    return HalfList.share_out(first, second, distance, atoms=atoms, pairs=pairs, threads=threads)


def one_block(first: torch.Tensor, distance: torch.Tensor, n_atoms: int) -> HalfList:
    """Pairs of each atom in `first` with the next one."""
    return HalfList(first, first + 1, distance, torch.tensor([[0, 0], [n_atoms, len(first)]]))


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
    pairs = one_block(first, distance, 2 * n)
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
    pairs = one_block(first, distance, 12)
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
        assert len(pairs.shares()) == pairs.threads == number
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


def test_blocks_are_cut_between_molecules_and_each_thread_gets_as_much_work(threads):
    threads(3)
    pairs = half_list([10] * 300)
    atoms, ends = pairs.blocks.T.tolist()
    assert all(atom % 10 == 0 for atom in atoms)
    assert [end * 10 for end in ends] == [atom * 45 for atom in atoms]
    assert max(np.diff(atoms) + np.diff(ends)) <= 4096 + 55
    assert len(pairs.blocks) % 3 == 1
    shares = [int(share[-1, 1] - share[0, 1]) for share in pairs.shares()]
    assert sum(shares) == 300 * 45
    assert max(shares) - min(shares) <= 45


def test_few_molecules_leave_threads_without_a_share(threads):
    threads(5)
    assert half_list([10, 2]).threads == 2


def test_columns_that_are_not_contiguous_are_taken_as_they_are():
    pairs = half_list([7, 4])
    features, table = random(11, 12)[:, ::2], random(6, 20).T.contiguous().T[:, :6]
    reference = with_gradients(convolve_reference, features, torch.cat([table] * 2), pairs)
    fast = with_gradients(convolve, features, torch.cat([table] * 2), pairs)
    torch.testing.assert_close(fast, reference, rtol=1e-5, atol=1e-5)


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
        ({"second": torch.tensor([1, 3, 2], dtype=torch.int32)}, "pair 1 is of atoms 0 and 3, .* the atoms 0 … 2"),
        ({"first": torch.tensor([-1, 0, 1], dtype=torch.int32)}, "pair 0 is of atoms -1 and 1"),
        ({"blocks": torch.tensor([[0, 0], [2, 1], [3, 3]])}, "pair 1 is of atoms 0 and 2, .* the atoms 2 … 2"),
        ({"blocks": torch.tensor([[0, 0], [3, 2]])}, "do not share out 3 pairs"),
        ({"blocks": torch.tensor([[0, 1], [3, 3]])}, "do not share out"),
        ({"blocks": torch.tensor([[0, 0], [3, 3], [2, 2], [3, 3]])}, "do not share out"),
        ({"threads": 2}, "2 threads can't share 1 blocks"),
        ({"threads": 0}, "0 threads"),
    ],
)
@pytest.mark.parametrize("compiled", [True, False])
def test_a_list_that_would_reach_outside_the_arrays_is_refused(change, match, compiled, monkeypatch):
    if not compiled:
        monkeypatch.setattr(HalfList, "_stray_pair", HalfList._stray_pair_reference)
    good = half_list([3])
    parts = {"first": good.first, "second": good.second, "distance": good.distance, "blocks": good.blocks}
    with pytest.raises(ValueError, match=match):
        HalfList(**(parts | change))


# ---- whole interaction blocks --------------------------------------------------------------------------------------


KINDS = 7


def grid(rows: int = 60, *, n_rbf: int = 20, dtype: torch.dtype = torch.float32) -> Grid:
    """Random basis functions, and a cut-off function that goes to 0."""
    cutoff = torch.linspace(0, torch.pi, rows, dtype=torch.float64).cos().add(1).div(2)
    return Grid(random(rows, n_rbf, seed=8, dtype=dtype), cutoff.to(dtype), END)


def layers(width: int, number: int = 3, *, n_rbf: int = 20, dtype: torch.dtype = torch.float32) -> list[Interaction]:
    """Random blocks that neither blow up nor die out."""

    def tensor(*shape: int, seed: int) -> torch.Tensor:
        return (random(*shape, seed=seed, dtype=dtype) / shape[-1] ** 0.5).requires_grad_()

    square, row = (width, width), (width,)
    shapes = [(width, n_rbf), row, square, row, square, row, square, row, square]
    return [Interaction.of([tensor(*shape, seed=10 * n + k) for k, shape in enumerate(shapes)]) for n in range(number)]


def atoms(molecules: list[int], width: int, *, dtype: torch.dtype = torch.float32) -> tuple[torch.Tensor, torch.Tensor]:
    """An embedding of KINDS rows, and each atom's row in it."""
    numbers = torch.from_numpy(np.random.default_rng(4).integers(KINDS, size=sum(molecules)))
    return random(KINDS, width, dtype=dtype), numbers


def in_double(given: list[Interaction]) -> list[Interaction]:
    return [Interaction.of([t.detach().double().requires_grad_() for t in layer.tensors()]) for layer in given]


def grid_in_double(given: Grid) -> Grid:
    return Grid(given.basis.double(), given.cutoff.double(), given.end)


def result_and_gradients(
    embedding: torch.Tensor, numbers: torch.Tensor, given: list[Interaction], pairs: HalfList, on: Grid
) -> list[torch.Tensor]:
    embedding = embedding.detach().requires_grad_()
    y = interact(embedding, numbers, given, pairs, on)
    tensors = [embedding] + [tensor for layer in given for tensor in layer.tensors()]
    return [y.detach(), *torch.autograd.grad((y * random(*y.shape, seed=3, dtype=y.dtype)).sum(), tensors)]


@pytest.mark.parametrize("molecules", [[4, 12, 1, 18, 18, 3], [1], [1, 1, 2], [29] * 40])
@pytest.mark.parametrize("width", [1, 7, 16, 30, 38, 64, 65, 100, 128])
def test_interactions_and_all_gradients_are_those_of_pure_torch_in_float64(width, molecules):
    pairs, (x, numbers), given = half_list(molecules), atoms(molecules, width), layers(width)
    fast = result_and_gradients(x, numbers, given, pairs, grid())
    exact = result_and_gradients(x.double(), numbers, in_double(given), pairs, grid_in_double(grid()))
    for ours, theirs in zip(fast, exact, strict=True):
        assert ours.dtype == torch.float32
        torch.testing.assert_close(ours.double(), theirs, rtol=1e-4, atol=2e-6 * float(theirs.abs().max() + 1))


@pytest.mark.parametrize(("rows", "n_rbf"), [(4, 1), (5, 7), (129, 50)])
def test_interactions_with_other_grids(rows, n_rbf):
    pairs, (x, numbers), given = half_list([9, 5]), atoms([9, 5], 18), layers(18, n_rbf=n_rbf)
    on = grid(rows, n_rbf=n_rbf)
    fast = result_and_gradients(x, numbers, given, pairs, on)
    exact = result_and_gradients(x.double(), numbers, in_double(given), pairs, grid_in_double(on))
    for ours, theirs in zip(fast, exact, strict=True):
        torch.testing.assert_close(ours.double(), theirs, rtol=1e-4, atol=2e-6 * float(theirs.abs().max() + 1))


def test_interactions_in_pure_torch_are_finite_differences_own():
    pairs, (x, numbers) = half_list([4, 3, 1], dtype=torch.float64), atoms([4, 3, 1], 3, dtype=torch.float64)
    given, on = layers(3, 2, n_rbf=4, dtype=torch.float64), grid(5, n_rbf=4, dtype=torch.float64)

    def whole(x: torch.Tensor, *tensors: torch.Tensor) -> torch.Tensor:
        return interact(x, numbers, [Interaction.of(tensors[:9]), Interaction.of(tensors[9:])], pairs, on)

    tensors = [tensor for layer in given for tensor in layer.tensors()]
    assert torch.autograd.gradcheck(whole, (x.requires_grad_(), *tensors))


def test_interactions_with_any_number_of_threads(threads):
    molecules, width = [18] * 60 + [1, 3, 29], 38
    found = {}
    for number in (1, 2, 5):
        threads(number)
        pairs, (x, numbers), given = half_list(molecules), atoms(molecules, width), layers(width)
        found[number] = result_and_gradients(x, numbers, given, pairs, grid())
        for once, again in zip(found[number], result_and_gradients(x, numbers, given, pairs, grid()), strict=True):
            assert torch.equal(once, again)
    for number in (2, 5):
        assert torch.equal(found[1][0], found[number][0])
        for one, many in zip(found[1], found[number], strict=True):
            torch.testing.assert_close(one, many, rtol=1e-4, atol=1e-5 * float(one.abs().max()))


NARROW = [Way(32, 4, 2, 2), Way(16, 4, 4, 4)]
"""For processors with AVX alone, and with NEON."""


@pytest.mark.parametrize("way", [*choice.candidates()[1:], *NARROW], ids=str)
def test_each_way_to_work_gives_the_same_but_for_rounding(way):
    """What LLVM makes of the narrow ones here differs from what it makes of them there, their bookkeeping doesn't."""
    with choice.forced(way):
        for width in (30, 38):
            test_interactions_and_all_gradients_are_those_of_pure_torch_in_float64(width, [4, 12, 1, 18])
            test_energies_and_all_gradients_are_those_of_pure_torch_in_float64(width, width // 2, [4, 12, 1, 18])
            test_result_and_gradients_are_those_of_pure_torch(width, torch.float32)
        test_result_and_gradients_are_those_of_pure_torch(38, torch.float64)


@pytest.mark.parametrize("way", [*choice.candidates()[1:], *NARROW], ids=str)
def test_each_way_to_work_repeats_its_bits(way):
    pairs, (x, numbers), given = half_list([29] * 40), atoms([29] * 40, 38), layers(38)
    with choice.forced(way):
        once, again = (result_and_gradients(x, numbers, given, pairs, grid()) for _ in range(2))
    assert all(torch.equal(*both) for both in zip(once, again, strict=True))


def test_one_block_used_twice_gets_both_gradients():
    pairs, (x, numbers), on = half_list([5, 9]), atoms([5, 9], 8), grid()
    (layer,) = layers(8, 1)
    twice = result_and_gradients(x, numbers, [layer, layer], pairs, on)[2:]
    copies = in_double([layer, layer])
    apart = result_and_gradients(x.double(), numbers, copies, pairs, grid_in_double(on))[2:]
    for k in range(9):
        torch.testing.assert_close(twice[k].double(), apart[k] + apart[9 + k], rtol=1e-4, atol=1e-5)


def test_spare_memory_is_used_again_but_never_twice_at_once():
    pairs, (x, numbers), given, spare = half_list([9] * 20), atoms([9] * 20, 16), layers(16), Spare()
    weight = given[0].in2f.weight
    alone = result_and_gradients(x, numbers, given, pairs, grid())[2 + 8]
    first, second = (interact(x, numbers, given, pairs, grid(), spare=spare) for _ in range(2))
    weights = random(180, 16, seed=3)
    for y in (second, first):
        (gradient,) = torch.autograd.grad((y * weights).sum(), weight)
        assert torch.equal(gradient, alone)
    del first, second, y
    again = [spare.take(1), spare.take(1)]
    assert min(map(len, again)) > 180 * 16
    assert again[0].ctypes.data != again[1].ctypes.data
    assert len(spare.take(1)) == 1
    assert copy.deepcopy(spare) is not spare


def test_a_backward_pass_can_be_repeated():
    pairs, (x, numbers), given = half_list([9] * 20), atoms([9] * 20, 16), layers(16)
    y = interact(x, numbers, given, pairs, grid()).square().sum()
    tensors = [tensor for layer in given for tensor in layer.tensors()]
    for once, again in zip(
        torch.autograd.grad(y, tensors, retain_graph=True), torch.autograd.grad(y, tensors), strict=True
    ):
        assert torch.equal(once, again)


@pytest.mark.parametrize(
    ("change", "match"),
    [
        ({"filter_hidden": Dense(random(4, 9), random(4))}, r"filter_hidden: \[4, 9\] .* need \[4, 20\]"),
        ({"filter_output": Dense(random(5, 4), random(5))}, r"filter_output: \[5, 4\] .* need \[4, 4\]"),
        ({"in2f": Dense(random(4, 5))}, r"in2f: \[4, 5\]"),
        ({"hidden": Dense(random(4, 4, dtype=torch.float64), random(4))}, "hidden: .*float64"),
        ({"hidden": Dense(random(4, 4))}, "hidden: none"),
        ({"output": Dense(random(4, 4), random(3))}, r"output: \[3\]"),
    ],
)
def test_blocks_that_do_not_fit_are_refused(change, match):
    good, bad = layers(4, 2)
    with pytest.raises(ValueError, match=match):
        interact(*atoms([3], 4), [good, replace(bad, **change)], half_list([3]), grid())


@pytest.mark.parametrize(
    ("on", "match"),
    [
        (grid(3), "too short to interpolate"),
        (replace(grid(), end=-1.0), "end at a positive distance"),
        (replace(grid(), cutoff=torch.ones(59)), "must be of one grid"),
        (replace(grid(), cutoff=torch.ones(60, 1)), "must be of one grid"),
        (replace(grid(), basis=random(60, 20, dtype=torch.float64)), "must be of type torch.float32"),
        (replace(grid(), cutoff=torch.ones(60, dtype=torch.float64)), "must be of type torch.float32"),
        (replace(grid(), basis=random(60, 20).requires_grad_()), "no gradient"),
        (replace(grid(), cutoff=torch.ones(60).requires_grad_()), "no gradient"),
    ],
)
def test_a_grid_that_does_not_fit_is_refused(on, match):
    with pytest.raises(ValueError, match=match):
        interact(*atoms([3], 4), layers(4), half_list([3]), on)


@pytest.mark.parametrize("kind", [-1, KINDS])
def test_an_atom_without_a_row_of_the_embedding_is_refused(kind):
    embedding, numbers = atoms([3], 4)
    numbers[1] = kind
    with pytest.raises(IndexError, match=f"an embedding of {KINDS} rows"):
        interact(embedding, numbers, layers(4), half_list([3]), grid())


def test_no_block_at_all_is_refused():
    with pytest.raises(ValueError, match="at least one interaction block"):
        interact(*atoms([3], 4), [], half_list([3]), grid())


def activation(name: str, x: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
    """A compiled activation function and its slope."""
    y, slope = np.empty(len(x), np.float32), np.empty(len(x), np.float32)
    getattr(_kernels, name)(x.numpy(), y, slope)
    return torch.from_numpy(y).double(), torch.from_numpy(slope).double()


NUMBERS = torch.cat([torch.linspace(-30, 30, 20001), torch.tensor([0.0, -0.0, 1e-30, -1e4, 1e4, 88.0, -104.0])])
ROUNDING = torch.finfo(torch.float32).eps


def test_the_shifted_softplus_and_its_slope_are_exact_to_rounding():
    exact = NUMBERS.double()
    y, slope = activation("_shifted_softplus", NUMBERS)
    reference = torch.nn.functional.softplus(exact, threshold=1e9) - np.log(2)
    assert ((y - reference).abs() <= ROUNDING * (reference.abs() + 0.5)).all()
    assert not y[exact == 0].any()
    assert ((slope - exact.sigmoid()).abs() <= ROUNDING * exact.sigmoid() * 2 + 1e-34).all()


def test_the_silu_and_its_slope_are_exact_to_rounding():
    exact = NUMBERS.double().requires_grad_()
    y, slope = activation("_silu", NUMBERS)
    reference = torch.nn.functional.silu(exact)
    (steep,) = torch.autograd.grad(reference.sum(), exact)
    assert ((y - reference).abs() <= ROUNDING * 2 * reference.abs() + 1e-30).all()
    assert ((slope - steep).abs() <= ROUNDING * 2 * (1 + steep.abs())).all()


@pytest.mark.parametrize("name", ["_shifted_softplus", "_silu"])
def test_an_activation_keeps_what_is_not_a_number(name):
    assert activation(name, torch.tensor([float("nan"), 1.0]))[0].isnan().tolist() == [True, False]


@pytest.mark.parametrize("shape", [(1,), (5,), (3, 16), (2, 3, 641, 48)])
@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_the_loops_arrays_start_where_a_vector_does(shape, dtype):
    array = _kernels.zeros(shape, dtype)
    assert array.shape == shape
    assert array.dtype == dtype
    assert not array.any()
    assert array.ctypes.data % 64 == 0


# ---- readout -------------------------------------------------------------------------------------------------------


def readout(width: int, hidden: int | None = None) -> list[torch.Tensor]:
    """The readout's matrices and biases."""
    hidden = width // 2 + 1 if hidden is None else hidden
    shapes = [(hidden, width), (hidden,), (1, hidden), (1,)]
    return [(random(*shape, seed=30 + k) / shape[-1] ** 0.5).requires_grad_() for k, shape in enumerate(shapes)]


def head_in_double(head: list[torch.Tensor]) -> list[torch.Tensor]:
    return [tensor.detach().double().requires_grad_() for tensor in head]


def energies_and_gradients(
    x: torch.Tensor, molecules: list[int], head: list[torch.Tensor], threads: int = 2
) -> list[torch.Tensor]:
    x = x.detach().requires_grad_()
    y = energies(x, torch.tensor(molecules), Dense(*head[:2]), Dense(*head[2:]), threads=threads)
    return [y.detach(), *torch.autograd.grad((y * random(*y.shape, seed=3, dtype=y.dtype)).sum(), [x, *head])]


@pytest.mark.parametrize("molecules", [[4, 12, 1, 18, 18, 3], [1], [29] * 70, [3, 0, 2]])
@pytest.mark.parametrize(("width", "hidden"), [(1, 1), (7, 3), (38, 19), (64, 32), (128, 64), (16, 50)])
def test_energies_and_all_gradients_are_those_of_pure_torch_in_float64(width, hidden, molecules):
    x, head = random(sum(molecules), width), readout(width, hidden)
    fast = energies_and_gradients(x, molecules, head)
    exact = energies_and_gradients(x.double(), molecules, head_in_double(head))
    for ours, theirs in zip(fast, exact, strict=True):
        assert ours.dtype == torch.float32
        torch.testing.assert_close(ours.double(), theirs, rtol=1e-5, atol=2e-6 * float(theirs.abs().max() + 1))


def test_energies_in_pure_torch_are_finite_differences_own():
    x = random(8, 3, dtype=torch.float64).requires_grad_()

    def whole(x: torch.Tensor, *head: torch.Tensor) -> torch.Tensor:
        return energies(x, torch.tensor([4, 3, 1]), Dense(*head[:2]), Dense(*head[2:]), threads=1)

    assert torch.autograd.gradcheck(whole, (x, *head_in_double(readout(3))))


def test_energies_with_any_number_of_threads():
    molecules = [18] * 60 + [1, 3, 29]
    x, head = random(sum(molecules), 38), readout(38)
    found = {threads: energies_and_gradients(x, molecules, head, threads) for threads in (1, 2, 5, 99)}
    for threads, many in found.items():
        for once, again in zip(many, energies_and_gradients(x, molecules, head, threads), strict=True):
            assert torch.equal(once, again)
        assert torch.equal(found[1][0], many[0])
        for one, other in zip(found[1], many, strict=True):
            torch.testing.assert_close(one, other, rtol=1e-5, atol=1e-5 * float(one.abs().max()))


def test_energies_of_no_molecule_are_none():
    assert energies(random(0, 4), torch.zeros(0, dtype=torch.long), *dense_readout(4), threads=2).shape == (0,)


def dense_readout(width: int) -> tuple[Dense, Dense]:
    head = readout(width)
    return Dense(*head[:2]), Dense(*head[2:])


@pytest.mark.parametrize(
    ("molecules", "hidden", "output", "match"),
    [
        ([2, 2], {}, {}, "features of 3 atoms, but molecules of 4"),
        ([4, -1], {}, {}, "features of 3 atoms"),
        ([3], {"weight": random(3, 5)}, {}, r"hidden: \[3, 5\]"),
        ([3], {"bias": None}, {}, "hidden: none"),
        ([3], {}, {"weight": random(2, 3)}, r"output: \[2, 3\]"),
        ([3], {}, {"bias": random(1, dtype=torch.float64)}, "output: .*float64"),
    ],
)
def test_a_readout_that_does_not_fit_is_refused(molecules, hidden, output, match):
    layers = dense_readout(4)
    layers = replace(layers[0], **hidden), replace(layers[1], **output)
    with pytest.raises(ValueError, match=match):
        energies(random(3, 4), torch.tensor(molecules), *layers, threads=1)
