"""What a GPU does with the book's runs: whether it agrees with the records, and how fast it trains (`make gpu-check`).

There SchNet's operators run in plain PyTorch, with the same grid of distances and the same half list as on the CPU;
PaiNN has SchNetPack's own layers.
"""

import json
import tempfile
from collections.abc import Callable, Sequence
from contextlib import suppress
from pathlib import Path

from analysis.data import qm9
from analysis.data.molecules import Molecules
from analysis.runs import checkout, devices, measured
from analysis.runs.config import RunConfig, adjust
from analysis.runs.records import Record
from analysis.training import loop, recording, repetition
from harness.benchmark import contestants, plan
from harness.benchmark.record import GpuCheck, GpuStep, Settings
from harness.benchmark.window import Window, WindowClosedError
from harness.machine import Machine

NETWORKS = (None, ("schnet", "stock"), ("schnet", "fused"), ("painn", "stock"))
"""What is measured: SchNetPack as it is (None); networks and whose layers they have, fed by our packed batches."""


def check(
    out: Path,
    recorded: Sequence[Record],
    molecules: Molecules,
    asked: Settings,
    *,
    device: str = "cuda",
    say: Callable[[str], None],
) -> GpuCheck:
    """Train recorded runs again on the device and compare, measure steps there, and write the record to `out`.

    `asked` says widths, batches, repeats and how long a measurement takes. Raises devices.DeviceError without such a
    device.
    """
    with devices.using(device):
        devices.accelerator()
        about = recording.machine()
        agreement = [_again(one, molecules, say) for one in recorded]
        with tempfile.TemporaryDirectory() as folder:
            stock = Path(folder)
            contestants.write_database(stock, molecules, asked.molecules)
            steps = [
                _steps(asked, molecules, stock, of, width, batch, repeat, say)
                for repeat in range(asked.repeats)
                for batch in asked.batches
                for width in asked.widths
                for of in NETWORKS
            ]
    content = {
        "machine": Machine.here().model_dump(),
        "device": about["device"],
        "versions": plan.versions(),
        "git": checkout.git_state(),
        "agreement": [one.model_dump(mode="json") for one in agreement],
        "steps": steps,
    }
    record = GpuCheck.model_validate_json(json.dumps(content))
    measured.write(out, record)
    return record


def _again(record: Record, molecules: Molecules, say: Callable[[str], None]) -> repetition.Repetition:
    with repetition.trained_again(record, molecules) as again:
        compared = repetition.compare(record, again)
        found = repetition.repetition(record, again, compared)
    within = "within" if found.within_tolerance else "NOT within"
    say(f"{record.config.experiment}/{record.id}: {within} the tolerance; {found.again.seconds:.0f} s")
    return found


def _steps(
    asked: Settings,
    molecules: Molecules,
    stock: Path,
    of: tuple[str, str] | None,
    width: int,
    batch: int,
    repeat: int,
    say: Callable[[str], None],
) -> dict[str, object]:
    """Train for a while: SchNetPack as it is (`of` is None), or a network and its layers."""
    window = Window(warm_up=asked.warm_up, min_steps=asked.min_steps, seconds=asked.seconds)
    sizes, clock = {"width": width, "batch": batch}, [contestants.Clock(window)]
    with tempfile.TemporaryDirectory() as scratch, suppress(WindowClosedError):
        if of is None:
            contestants.schnetpack(asked, stock, molecules=asked.molecules, callbacks=clock, **sizes)
        else:
            loop.train(_config(asked, *of, **sizes), molecules, Path(scratch), callbacks=clock, logger=None)
    seen = window.result()
    network, layers = of or ("schnet", "schnetpack")
    found = {"network": network, "layers": layers, **sizes, "repeat": repeat}
    found |= {name: seen[name] for name in ("molecules", "seconds")}
    say(
        f"{network} ({layers}), {width} features, batch {batch}: {seen['molecules'] / seen['seconds']:,.0f} molecules/s"
    )
    return GpuStep.model_validate(found).model_dump()


def _config(asked: Settings, network: str, layers: str, *, width: int, batch: int) -> RunConfig:
    config = contestants.config_of(asked, molecules=asked.molecules, width=width, batch=batch)
    return adjust(config, model={"representation": network, "convolution": layers})


def book_records(results: Path) -> list[Record]:
    """The first record of SchNet and of PaiNN on all of QM9."""
    from analysis import study

    molecules = qm9.load()
    return [
        next(iter(study.recorded(parameters(seeds=[0]), molecules, results=results).values()))[0]
        for parameters in (study.BaselineParameters, study.BeyondParameters)
    ]
