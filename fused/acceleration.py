"""SchNetPack's models made fast, in place."""

from dataclasses import dataclass, field

import torch
from schnetpack import nn as snn
from schnetpack import properties
from schnetpack.atomistic import Aggregation, Atomwise, DipoleMoment, Forces, PairwiseDistances
from schnetpack.model import AtomisticModel, NeuralNetworkPotential
from schnetpack.representation import PaiNN, SchNet
from schnetpack.representation.painn import PaiNNInteraction, PaiNNMixing
from schnetpack.representation.schnet import SchNetInteraction

from fused import tables
from fused.convolution import Spare
from fused.fineness import INTERVALS_PER_GAUSSIAN
from fused.forces import Prepared
from fused.halflist import PairVectors
from fused.painn import FusedPaiNN
from fused.schnet import FusedSchNet, Readout, has_fixed_grid, has_plain_blocks

_READ_ATOMS = (PairwiseDistances, Atomwise, DipoleMoment, Aggregation, Forces)
"""Modules that read neither vectors between atoms nor atoms' vectors, but for dipoles that are told to."""
_PASSIVE = ("torch.nn.", "schnetpack.nn.", "schnetpack.transform.")


@dataclass(frozen=True)
class Report:
    """What `accelerate` did to a model: modules by their names in it.

    Parameters
    ----------
    accelerated
        The name of each module that is fast now, and its class in SchNetPack.
    left
        The name of each module that stays as it is, and why.
    """

    accelerated: dict[str, str] = field(default_factory=dict)
    left: dict[str, str] = field(default_factory=dict)

    def __str__(self) -> str:
        lines = [f"{name or 'the model'}: {what}, accelerated" for name, what in self.accelerated.items()]
        return "\n".join(lines + [f"{name or 'the model'}: left as it is, {why}" for name, why in self.left.items()])


def accelerate(model: torch.nn.Module) -> Report:
    """Make SchNetPack's SchNet and PaiNN in a model fast, in place; parameters and `state_dict` stay the same.

    Afterwards the model takes SchNetPack's batches as before. Batches of molecules, on the CPU and in the parameters'
    precision, go through compiled layers, energies as forces (see `fused.forces`). All others are computed as before:
    periodic ones, those on an accelerator, and forces in float64. With `HalfNeighborList` in place of SchNetPack's
    neighbour list less has to be found in each batch. A model that is pickled is SchNetPack's own again when it is
    loaded.

    Parameters
    ----------
    model
        A `NeuralNetworkPotential`, any other `AtomisticModel`, or a module that holds some, as `AtomisticTask` does.

    Returns
    -------
    Report
        What is accelerated, and what stays as it is and why; it can be printed.
    """
    report = Report()
    potentials = [(name, part) for name, part in model.named_modules() if isinstance(part, AtomisticModel)]
    if not potentials:
        report.left[""] = f"{type(model).__name__} holds no AtomisticModel"
    for name, potential in potentials:
        _accelerate(name, potential, report)
    return report


def _accelerate(name: str, potential: AtomisticModel, report: Report) -> None:
    unknown = sorted(set(potential.required_derivatives or ()) - {properties.R})
    if unknown:
        wanted = ", ".join(unknown)
        report.left[name] = f"it needs derivatives with respect to {wanted}, which the compiled layers don't have"
        return
    prefix = f"{name}." if name else ""
    parts = {prefix + inner: part for inner, part in potential.named_modules() if inner}
    networks = {inner: part for inner, part in parts.items() if isinstance(part, SchNet | PaiNN)}
    if not networks:
        kind = type(getattr(potential, "representation", potential)).__name__
        report.left[name] = f"its representation, {kind}, is neither SchNet nor PaiNN"
        return
    inside = {id(part) for network in networks.values() for part in network.modules()}
    others = [part for part in parts.values() if id(part) not in inside]
    for inner, network in networks.items():
        why = _adopt(network, others, forces=bool(potential.required_derivatives))
        if why:
            report.left[inner] = why
        else:
            report.accelerated[inner] = network.stock.__name__
    if report.left.keys() & networks.keys():
        return
    for inner, part in parts.items():
        if type(part) in (PairwiseDistances, PairVectors):
            PairVectors.adopt(part, unneeded=_reads_no_vectors(potential, others))
        elif type(part) in (Atomwise, Readout):
            Readout.adopt(part, any_batch=True)
            if not part.is_plain():
                report.left[inner] = "it is not the sum over atoms of two dense layers with a SiLU between them"
                continue
        else:
            continue
        report.accelerated[inner] = part.stock.__name__


def _adopt(network: torch.nn.Module, others: list[torch.nn.Module], *, forces: bool) -> str | None:
    """Make a network fast, or say why not."""
    kind, name = (FusedSchNet, "schnet") if isinstance(network, SchNet) else (FusedPaiNN, "painn")
    if type(network) not in (kind, kind.stock):
        return f"{type(network).__name__} is a {kind.stock.__name__} changed"
    why = _unusual_schnet(network, forces=forces) if kind is FusedSchNet else _unusual_painn(network, others)
    if why:
        return why
    enough = tables.fine_enough(network.radial_basis, network.cutoff_fn, INTERVALS_PER_GAUSSIAN[name])
    if enough is None:
        return "its radial basis can't be tabulated finely enough"
    kind.adopt(network, intervals_per_gaussian=enough, any_batch=True, _spare=Spare(), _prepared=Prepared())
    return None


def _unusual_schnet(network: SchNet, *, forces: bool) -> str | None:
    if not len(network.interactions):
        return "it has no interaction blocks"
    changed = _changed(network.interactions, SchNetInteraction)
    if changed or not forces or (has_plain_blocks(network) and has_fixed_grid(network)):
        return changed
    return "forces are for the paper's blocks, and a radial basis that is not trained"


def _unusual_painn(network: PaiNN, others: list[torch.nn.Module]) -> str | None:
    if any(not _reads_atoms_alone(part) for part in others):
        names = ", ".join(sorted({type(part).__name__ for part in others if not _reads_atoms_alone(part)}))
        return f"{names} may read its vectors, which the compiled layers don't give"
    if not len(network.interactions):
        return "it has no interaction blocks"
    return (
        _changed(network.interactions, PaiNNInteraction)
        or _changed(network.mixing, PaiNNMixing)
        or (None if FusedPaiNN.has_usual_layers(network) else "its embedding or its activation is not the paper's")
    )


def _changed(blocks: torch.nn.ModuleList, kind: type[torch.nn.Module]) -> str | None:
    """Whether blocks, or dense layers in them, are of another class than SchNetPack's."""
    for block in blocks:
        dense = (part for part in block.modules() if isinstance(part, torch.nn.Linear))
        for part, expected in ((block, kind), *((layer, snn.Dense) for layer in dense)):
            if type(part) is not expected:
                return f"a {type(part).__name__} stands in the place of a {expected.__name__}"
    return None


def _reads_atoms_alone(part: torch.nn.Module) -> bool:
    if isinstance(part, DipoleMoment):
        return not part.use_vector_representation
    return isinstance(part, _READ_ATOMS) or f"{type(part).__module__}.".startswith(_PASSIVE)


def _reads_no_vectors(potential: AtomisticModel, others: list[torch.nn.Module]) -> bool:
    return type(potential) is NeuralNetworkPotential and all(map(_reads_atoms_alone, others))
