"""Where recorded numbers come from: how many runs, on what machines, in what time."""

from collections.abc import Sequence

import pandas as pd

from analysis.figures import style
from analysis.figures.baseline import minutes
from analysis.figures.words import say
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
