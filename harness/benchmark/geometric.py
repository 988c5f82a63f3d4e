"""(c) PyTorch Geometric's SchNet: molecules in memory, edges found beforehand, a plain training loop.

Everything is set in its favour: edges and distances are read from a file where (d) has to find them, and there is no
Lightning. Its loader has no workers: alone it gave 23,000 molecules/s here, with two workers 8,200.
"""

from pathlib import Path

import numpy as np
import torch
from torch_geometric.data import Data
from torch_geometric.loader import DataLoader
from torch_geometric.nn.models import SchNet

from harness.benchmark.record import Settings
from harness.benchmark.window import Window


class KnownEdges:
    """An interaction graph that gives the edges of the batch at hand."""

    def __init__(self) -> None:
        self.batch: Data | None = None

    def __call__(self, *_: object) -> tuple[torch.Tensor, torch.Tensor]:
        """Edge index int64 [2, 2P] and distances float32 [2P], Å."""
        return self.batch.edge_index, self.batch.edge_weight


def read(path: Path) -> list[Data]:
    """The molecules of a file that `measure.write_edges` wrote, as a list in memory."""
    arrays = {name: torch.from_numpy(array) for name, array in np.load(path).items()}
    atoms = arrays["numbers"].long().split(arrays["n_atoms"].tolist())
    edges = arrays["edges"].long().split(arrays["n_edges"].tolist(), dim=1)
    distances = arrays["distances"].split(arrays["n_edges"].tolist())
    return [
        Data(z=z, edge_index=edge, edge_weight=distance, y=y, num_nodes=len(z))
        for z, edge, distance, y in zip(atoms, edges, distances, arrays["targets"].split(1), strict=True)
    ]


def build(settings: Settings, width: int) -> SchNet:
    """The same network: as many features, filters, Gaussians and interactions, the same cut-off function and head."""
    torch.manual_seed(settings.seed)
    model = SchNet(
        hidden_channels=width,
        num_filters=width,
        num_interactions=settings.n_interactions,
        num_gaussians=settings.n_rbf,
        cutoff=settings.cutoff,
        interaction_graph=KnownEdges(),
    )
    model.act = torch.nn.SiLU()  # the head's activation in SchNetPack; here it would be the shifted softplus
    return model


def predict(model: SchNet, batch: Data) -> torch.Tensor:
    """Energies of a batch's molecules, float32 [B], eV."""
    model.interaction_graph.batch = batch
    return model(batch.z, None, batch.batch)[:, 0]


def train(settings: Settings, path: Path, *, width: int, batch: int, window: Window) -> None:
    """Train until the window closes."""
    generator = torch.Generator().manual_seed(settings.seed)
    loader = DataLoader(read(path), batch_size=batch, shuffle=True, generator=generator)
    model = build(settings, width)
    window.network(model)
    optimiser = torch.optim.AdamW(model.parameters(), lr=settings.learning_rate, fused=True)
    while True:
        window.epoch_begins()
        for inputs in loader:
            window.batch_in_hand()
            loss = torch.nn.functional.mse_loss(predict(model, inputs), inputs.y)
            optimiser.zero_grad()
            loss.backward()
            optimiser.step()
            window.step_done(len(inputs.y), loss.item())
