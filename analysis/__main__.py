"""``python -m analysis``: the study's runs from the command line."""

from analysis.cli.commands import app

if __name__ == "__main__":
    app(prog_name="python -m analysis")
