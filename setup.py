"""The wheel brings the models that `predict` takes; the repository holds them once, as records."""

from pathlib import Path

from setuptools import setup
from setuptools.command.build_py import build_py

MODELS = ("181384c8f449", "3fcb6de57a53", "9db6bf4d17bb", "c1e21ffdb886", "cae142e684d5")
"""The runs of "Beyond", a seed each; a test compares them with those that `predict` asks for."""
INTERVALS = "results/prediction/intervals.json"
"""How far their predictions may be off."""


class BuildWithModels(build_py):
    """Copies the records of the models into the package that is built; an editable one reads the checkout's own."""

    def run(self) -> None:
        """Build as ever, then copy."""
        super().run()
        if not self.editable_mode:
            for run in MODELS:
                self.copy_tree(f"results/beyond/{run}", f"{self.build_lib}/analysis/models/beyond/{run}")
            self.mkpath(f"{self.build_lib}/analysis/models/prediction")
            self.copy_file(INTERVALS, f"{self.build_lib}/analysis/models/prediction")

    def get_source_files(self) -> list[str]:
        """What a source distribution has to hold."""
        models = (path.as_posix() for run in MODELS for path in Path("results", "beyond", run).iterdir())
        return [*super().get_source_files(), *models, INTERVALS]


setup(cmdclass={"build_py": BuildWithModels})
