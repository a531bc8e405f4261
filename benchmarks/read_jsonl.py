"""`python -m benchmarks.read_jsonl [MB]`: jsonl.gz through `ingest` against orjson alone, on the same file.

How it is measured: each way in a process of its own, in turn, three times; medians of wall seconds after imports.
orjson alone is `for line in gzip.open(path): orjson.loads(line)`: it keeps nothing. Ours inflates, checks utf-8,
makes records with ids, keeps the other columns as JSON, and hands out Arrow batches. Peak memory is that of the whole
process, for the file and for a quarter of it: it must not grow. Then the same lines as one frame of zstd, and a
parquet file read by two workers: how many cores they keep busy (100% is one).
"""

import gzip
import json
import os
import random
import resource
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq

BAR, CORES = 0.70, 130
RUNS = 3
WORDS = [
    "fever",
    "malaria",
    "the",
    "patient",
    "was",
    "given",
    "500",
    "mg",
    "of",
    "paracetamol",
    "with",
    "Wasser",
    "ผู้ป่วย",
    "发热",
    "and",
    "sent",
    "home\n",
]

ORJSON = """
import gzip, orjson, resource, sys, time
started, n = time.perf_counter(), 0
with gzip.open(sys.argv[1]) as lines:
    for line in lines:
        orjson.loads(line)
        n += 1
"""
OURS = """
import resource, sys, time
from medcorpus.core.stage import Context
from medcorpus.stages.ingest import Ingest, IngestParams
stage = Ingest(IngestParams(path=sys.argv[1]), Context("bench", "/"))
for _ in stage.read({"files": []}, print): pass
import medcorpus.formats.jsonl, medcorpus.formats.members
started, n = time.perf_counter(), 0
spec = {"files": [{"path": sys.argv[1], "locator": "big", "format": "jsonl"}]}
for batch in stage.read(spec, print):
    n += batch.num_rows
"""
TELL = """
wall, use = time.perf_counter() - started, resource.getrusage(resource.RUSAGE_SELF)
print(n, wall, time.process_time() / wall * 100, use.ru_maxrss >> 10)
"""


def write(path: Path, megabytes: int) -> None:
    """Rows of about 2 kB."""
    rng = random.Random(7)
    with gzip.open(path, "wb", 6) as sink:
        size = number = 0
        while size < megabytes << 20:
            text = " ".join(rng.choices(WORDS, k=rng.randrange(50, 500)))
            row = {
                "id": number,
                "text": text,
                "url": f"https://example.org/{number}",
                "meta": {"year": 2000 + number % 25},
            }
            size += sink.write(json.dumps(row, ensure_ascii=False).encode() + b"\n")
            number += 1


def run(code: str, path: Path) -> tuple[int, float, float, int]:
    """(rows, wall seconds, percent of a core, peak MB)."""
    done = subprocess.run([sys.executable, "-c", code + TELL, str(path)], capture_output=True, text=True, check=True)
    rows, wall, cores, peak = done.stdout.split()
    return int(rows), float(wall), float(cores), int(peak)


def parquet_cores(path: Path, folder: Path) -> float:
    """Percent of a core that `ingest` with two workers keeps busy on one parquet file."""
    before, started = resource.getrusage(resource.RUSAGE_CHILDREN), time.perf_counter()
    command = [sys.executable, "-m", "medcorpus", "ingest", str(path), str(folder / "out"), "--workers", "2"]
    subprocess.run(command, check=True, capture_output=True)
    wall, after = time.perf_counter() - started, resource.getrusage(resource.RUSAGE_CHILDREN)
    return (after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime) / wall * 100


def main() -> int:
    """Print the table; 1 when a bar is not reached."""
    megabytes = int(sys.argv[1]) if len(sys.argv) > 1 else 1024
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        big, quarter = folder / "big.jsonl.gz", folder / "quarter.jsonl.gz"
        write(big, megabytes)
        write(quarter, megabytes // 4)
        with pa.input_stream(str(big)) as source, pa.output_stream(str(folder / "big.jsonl.zst")) as sink:
            while data := source.read(8 << 20):
                sink.write(data)
        run(OURS, quarter)  # compiles kernels
        runs = [(run(ORJSON, big), run(OURS, big)) for _ in range(RUNS)]
        theirs, ours = (statistics.median(pair[side][1] for pair in runs) for side in (0, 1))
        ratio = theirs / ours
        peaks = (run(OURS, quarter)[3], max(pair[1][3] for pair in runs))
        zstd = run(OURS, folder / "big.jsonl.zst")[2]
        rng = random.Random(7)
        texts = [" ".join(rng.choices(WORDS, k=300)) for _ in range(megabytes * 300)]
        pq.write_table(
            pa.table({"text": texts}),
            folder / "big.parquet",
            row_group_size=4096,
            use_dictionary=False,
            compression=None,
        )
        cores = parquet_cores(folder / "big.parquet", folder)
        load = os.getloadavg()[0]
    print(f"{megabytes} MB of jsonl, gzip; load of the machine {load:.1f} on {os.cpu_count()} cores")
    print(f"orjson alone   {theirs:6.2f} s  {megabytes / theirs:5.0f} MB/s")
    print(f"ingest         {ours:6.2f} s  {megabytes / ours:5.0f} MB/s   ratio {ratio:.2f} (bar {BAR})")
    print(f"peak memory    {peaks[0]} MB for a quarter, {peaks[1]} MB for all")
    print(f"one zstd frame {zstd:.0f}% of a core, one parquet file with two workers {cores:.0f}% (bar {CORES}%)")
    return int(ratio < BAR or peaks[1] > peaks[0] + 60 or min(zstd, cores) < CORES)


if __name__ == "__main__":
    sys.exit(main())
