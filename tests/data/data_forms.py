"""The same series and labels written in every form that can be read."""

import numpy as np
import pyarrow as pa
import pyarrow.csv
import pyarrow.parquet


def long_table(X, y):
    return pa.table(
        {
            "utterance": np.repeat([f"u{i}" for i in range(len(X))], X.lengths),
            "speaker": np.repeat(y, X.lengths),
            **{f"c{i}": X.values[:, i] for i in range(X.n_channels)},
        }
    )


def write_ts(path, X, y):
    lines = [
        "# a comment",
        "@problemName Vowels",
        "@timeStamps false",
        "@missing false",
        "@univariate false",
        f"@dimensions {X.n_channels}",
        "@equalLength false",
        f"@classLabel true {' '.join(str(label) for label in np.unique(y))}",
        "@data",
    ]
    for series, label in zip(X, y, strict=True):
        lines.append(":".join([*(",".join(str(v) for v in channel) for channel in series.T), str(label)]))
    path.write_text("\n".join(lines) + "\n")


def write_all(folder, X, y):
    """Paths by form, each with the arguments that read it."""
    table = long_table(X, y)
    columns = {"id": "utterance", "target": "speaker"}
    pyarrow.csv.write_csv(table, folder / "vowels.csv")
    pyarrow.parquet.write_table(table, folder / "vowels.parquet")
    np.savez_compressed(folder / "vowels.npz", values=X.values, offsets=X.offsets, y=y)
    write_ts(folder / "vowels.ts", X, y)
    forms = {
        "csv": (folder / "vowels.csv", columns),
        "parquet": (folder / "vowels.parquet", columns),
        "npz": (folder / "vowels.npz", {}),
        "ts": (folder / "vowels.ts", {}),
    }
    for kind, write in (("csv", pyarrow.csv.write_csv), ("parquet", pyarrow.parquet.write_table)):
        directory = folder / f"vowels-{kind}"
        directory.mkdir()
        for index, (start, stop) in enumerate(zip(X.offsets[:-1], X.offsets[1:], strict=True)):
            write(table[start:stop].drop_columns("utterance"), directory / f"u{index}.{kind}")
        forms[f"{kind} directory"] = (directory, {"target": "speaker"})
    return forms
