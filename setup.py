"""The wheel brings the models that `predict` and `md` take; the repository holds them once, as records."""

from pathlib import Path

from setuptools import setup
from setuptools.command.build_py import build_py

MODELS = {
    "beyond": ("181384c8f449", "3fcb6de57a53", "9db6bf4d17bb", "c1e21ffdb886", "cae142e684d5"),
    "geometries": ("be270687fae0", "f726b7425530", "5c79829fd715", "14f7dadbfe7a", "5c55068d104d"),
    "forces": ("18cb53e0e4a2", "387a6f5f1c1d", "5c5839f3e3d4", "6c5d32b50736", "bbd194551509"),
}
"""Runs of "Beyond", of the same taught other geometries, and of PaiNN with forces; a test compares them with those that
the commands ask for."""
FOLDERS = [f"{experiment}/{run}" for experiment, runs in MODELS.items() for run in runs]
INTERVALS = "results/prediction/intervals.json"
"""How far their predictions may be off."""


class BuildWithModels(build_py):
    """Copies the records of the models into the package that is built; an editable one reads the checkout's own."""

    def run(self) -> None:
        """Build as ever, then copy."""
        super().run()
        if not self.editable_mode:
            for run in FOLDERS:
                self.copy_tree(f"results/{run}", f"{self.build_lib}/analysis/models/{run}")
            self.mkpath(f"{self.build_lib}/analysis/models/prediction")
            self.copy_file(INTERVALS, f"{self.build_lib}/analysis/models/prediction")

    def get_source_files(self) -> list[str]:
        """What a source distribution has to hold."""
        models = (path.as_posix() for run in FOLDERS for path in Path("results", run).iterdir())
        return [*super().get_source_files(), *models, INTERVALS]


setup(cmdclass={"build_py": BuildWithModels})
