import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq

from analysis.data.tables import write_table


def test_a_table_of_a_records_kind_comes_back_exactly_and_takes_little_space(tmp_path):
    rng = np.random.default_rng(0)
    n = 20_000
    table = pd.DataFrame(
        {
            "index": np.sort(rng.choice(133_885, n, replace=False)).astype(np.int32),
            "n_atoms": rng.integers(3, 30, n).astype(np.int8),
            "test": rng.random(n) < 0.5,
            "error": rng.normal(0, 0.1, n).astype(np.float32),
        }
    )
    write_table(table, tmp_path / "table.parquet")
    pd.testing.assert_frame_equal(pd.read_parquet(tmp_path / "table.parquet"), table, check_exact=True)
    table.to_parquet(tmp_path / "default.parquet", compression="zstd")
    small, default = ((tmp_path / name).stat().st_size for name in ("table.parquet", "default.parquet"))
    assert small < 0.65 * default
    write_table(table[["index", "error"]], tmp_path / "no-dictionary.parquet")
    pd.testing.assert_frame_equal(pd.read_parquet(tmp_path / "no-dictionary.parquet"), table[["index", "error"]])


def test_lists_of_small_numbers_take_no_more_than_their_bits_and_bring_what_is_said_of_them(tmp_path):
    rng = np.random.default_rng(0)
    values = np.rint(rng.normal(0, 1000, 60_000)).astype(np.int16)
    lists = pa.ListArray.from_arrays(pa.array(np.arange(0, 60_001, 30, dtype=np.int32)), pa.array(values))
    write_table(pa.table({"force": lists}), tmp_path / "table.parquet", {"level": "B3LYP"})
    assert (tmp_path / "table.parquet").stat().st_size < 0.9 * values.nbytes
    table = pq.read_table(tmp_path / "table.parquet")
    assert table["force"].combine_chunks().equals(lists)
    assert table.schema.metadata[b"level"] == b"B3LYP"
