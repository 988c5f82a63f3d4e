"""Where recorded numbers come from: how many runs, on what machines, in what time; and which edition shows them."""

from collections.abc import Sequence
from datetime import date

import pandas as pd
import yaml

from analysis.figures import style
from analysis.figures.baseline import minutes
from analysis.figures.words import say
from analysis.runs import checkout
from analysis.runs.records import Record


def took(records: Sequence[Record], *, lang: str) -> pd.DataFrame:
    """A row per kind of machine and number of threads: the runs recorded with them, and how long those took.

    Times are wall times of training, validation and evaluation; runs that were recorded side by side on one machine
    count in full each.
    """
    machines = pd.DataFrame([record.about["machine"] for record in records]).assign(minutes=list(map(minutes, records)))
    times = machines.groupby(["processor", "threads"])["minutes"].agg(["size", "mean", "sum"]).reset_index("threads")
    columns = {
        say("Threads", lang): times["threads"].map(lambda count: style.number(count, lang)),
        say("Runs", lang): times["size"].map(lambda count: style.number(count, lang)),
        say("Minutes per run", lang): times["mean"].map(lambda mean: style.number(mean, lang, 1)),
        say("Minutes in all", lang): times["sum"].map(lambda total: style.number(total, lang)),
    }
    return pd.DataFrame(columns).rename_axis(index=None, columns=say("Processor", lang))


def edition(*, lang: str) -> dict[str, str]:
    """The `version` of the compendium and the `date` of its release, as `CITATION.cff` of the checkout has them."""
    home = checkout.folder()
    if home is None:
        raise FileNotFoundError("no checkout of the compendium, and so no CITATION.cff: run this in a clone")
    said = yaml.safe_load((home / "CITATION.cff").read_text(encoding="utf-8"))
    released = date.fromisoformat(str(said["date-released"]))
    return {"version": str(said["version"]), "date": style.day(released, lang), "year": str(released.year)}
