"""Every run of every experiment: which runs a notebook's parameters mean, and their records."""

from pathlib import Path

from pydantic import Field, NonNegativeInt, PositiveFloat, PositiveInt, field_validator
from tqdm import tqdm

from analysis import runs
from analysis.config import Profile, RunConfig, adjust, apply_profile
from analysis.molecules import Molecules
from analysis.parameters import NotebookParameters


class BaselineParameters(NotebookParameters):
    """Parameters of `03_baseline`: the model "Default", trained on the whole training part."""

    profile: Profile = Field("quick", description='"smoke", "quick" or "full"')
    seeds: list[NonNegativeInt] = Field([0, 1, 2], min_length=1, description="at least one, each once")
    epochs: PositiveInt | None = Field(None, description="a positive whole number, or None for the profile's")
    learning_rate: PositiveFloat | None = Field(None, description="a positive number, or None for the profile's")
    batch_size: PositiveInt | None = Field(None, description="a positive whole number, or None for the profile's")

    @field_validator("seeds")
    @classmethod
    def _each_once(cls, seeds: list[int]) -> list[int]:
        if len(set(seeds)) != len(seeds):
            raise ValueError("a seed stands there twice")
        return seeds

    def configs(self) -> list[RunConfig]:
        """One run per seed."""
        training = {"epochs": self.epochs, "learning_rate": self.learning_rate, "batch_size": self.batch_size}
        return [
            adjust(apply_profile(RunConfig(experiment="baseline", seed=seed), self.profile), training=training)
            for seed in self.seeds
        ]


def load_or_train(configs: list[RunConfig], molecules: Molecules, *, results: Path | None = None) -> list[runs.Record]:
    """The records of several runs, in order; a progress bar counts the runs if one of them has to be trained."""
    results = results or runs.results_folder()
    data = molecules.fingerprint()
    recorded = [(results / config.experiment / config.run_id(data)).exists() for config in configs]
    bar = tqdm(configs, desc="runs", unit="run", disable=all(recorded))
    return [
        runs.load_or_train(config, molecules, results=results, progress=not done)
        for config, done in zip(bar, recorded, strict=True)
    ]
