"""Draw the README's picture from the records: part of `make notebooks`."""

from pathlib import Path

from analysis import qm9, study
from analysis.figures import baseline

if __name__ == "__main__":
    records = study.load_or_train(study.BaselineParameters(), qm9.load())
    picture = Path(__file__).resolve().parent.parent / "book" / "_static" / "error-by-size.png"
    picture.write_bytes(baseline.error_by_size(records, lang="en").png())
