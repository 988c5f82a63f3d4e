"""Where recorded numbers come from: how many runs, on what machines, in what time."""

from collections.abc import Sequence

import numpy as np
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
    times = {}
    for record in records:
        machine = record.about["machine"]
        times.setdefault((machine["processor"], machine["threads"]), []).append(minutes(record))
    rows = [
        {
            say("Threads", lang): style.number(threads, lang),
            say("Runs", lang): style.number(len(times[processor, threads]), lang),
            say("Minutes per run", lang): style.number(float(np.mean(times[processor, threads])), lang, 1),
            say("Minutes in all", lang): style.number(sum(times[processor, threads]), lang),
        }
        for processor, threads in sorted(times)
    ]
    names = [processor for processor, _ in sorted(times)]
    return pd.DataFrame(rows, index=names).rename_axis(columns=say("Processor", lang))
