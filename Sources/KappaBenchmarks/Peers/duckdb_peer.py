"""Runs the workloads of kappa-bench in kappa and in DuckDB, alternately, on the same NDJSON file.

Usage: duckdb_peer.py KAPPA-BENCH FOLDER [RUNS [EVENTS]]    where KAPPA-BENCH has filled FOLDER
Needs DuckDB's Python package (pip install duckdb); nothing else of kappa does.
"""

import json
import os
import statistics
import subprocess
import sys
import tempfile
import time

import duckdb

COLUMNS = "{{user_id: 'VARCHAR', action: 'VARCHAR', amount: 'DECIMAL(18,4)', timestamp: '{time}'}}"

# No event in these files is late: they are in time order.
ACTION_COUNTS = """
    SELECT epoch_ms(epoch_ms(timestamp) // 10000 * 10000) AS window_start, action,
           count(*) AS events, sum(amount) AS revenue
    FROM events GROUP BY ALL"""
USER_TOTALS = """
    SELECT user_id, count(*) AS events, sum(amount) AS revenue, max(timestamp) AS last_seen,
           last(action) AS last_action
    FROM events GROUP BY user_id"""
USER_SESSIONS = """
    SELECT user_id, min(timestamp) AS window_start,
           max(timestamp) + INTERVAL 30 SECONDS AS window_end,
           count(*) AS events, sum(amount) AS revenue
    FROM (SELECT *, sum(starts) OVER (PARTITION BY user_id ORDER BY timestamp
                                      ROWS UNBOUNDED PRECEDING) AS session
          FROM (SELECT *, CASE WHEN timestamp - lag(timestamp) OVER (
                    PARTITION BY user_id ORDER BY timestamp) <= INTERVAL 30 SECONDS
                    THEN 0 ELSE 1 END AS starts FROM events))
    GROUP BY user_id, session"""

WORKLOADS = [
    ("W1", "few", ACTION_COUNTS),
    ("W2-100", "few", USER_TOTALS),
    ("W2-1M", "many", USER_TOTALS),
    ("W3-100", "few", USER_SESSIONS),
    ("W3-1M", "many", USER_SESSIONS),
]


def read_json(path, time):
    """The events of a file as a source of rows; `time` is the type of their times."""
    columns = COLUMNS.format(time=time)
    return f"read_json('{path}', format='newline_delimited', columns={columns})"


def measure(query, source):
    """The seconds that a query over a source takes, with a durable table as its result; and its rows."""
    with tempfile.TemporaryDirectory() as folder:
        connection = duckdb.connect(os.path.join(folder, "result.duckdb"))
        connection.execute(f"CREATE VIEW events AS SELECT * FROM {source}")
        before = time.perf_counter()
        connection.execute(f"CREATE TABLE result AS {query}")
        connection.execute("CHECKPOINT")
        seconds = time.perf_counter() - before
        rows = connection.execute("SELECT count(*) FROM result").fetchone()[0]
        connection.close()
        return seconds, rows


def measure_kappa(program, name, folder, events):
    """The seconds that a replay takes until its versions are live and synced; and their rows."""
    words = [program, "measure", name, folder, str(events), "both"]
    figures = json.loads(subprocess.run(words, capture_output=True, check=True).stdout)
    return figures[3], int(figures[2])


def sources(path):
    """The sources that DuckDB reads: NDJSON, and Parquet with times as timestamps or as texts."""
    times, texts = path.replace(".ndjson", ".parquet"), path.replace(".ndjson", "-text.parquet")
    for parquet, kind in ((times, "TIMESTAMP"), (texts, "VARCHAR")):
        if not os.path.exists(parquet):
            duckdb.sql(f"COPY (FROM {read_json(path, kind)}) TO '{parquet}' (FORMAT parquet)")
    text = f"(SELECT * REPLACE (timestamp::TIMESTAMP AS timestamp) FROM '{texts}')"
    return {"NDJSON": read_json(path, "TIMESTAMP"), "Parquet": f"'{times}'", "Parquet, text": text}


def main():
    if len(sys.argv) < 3:
        sys.exit(__doc__)
    program, folder = sys.argv[1:3]
    runs = int(sys.argv[3]) if len(sys.argv) > 3 else 5
    events = int(sys.argv[4]) if len(sys.argv) > 4 else 5_000_000
    print(f"M events/s, medians of {runs}, and how many times as fast kappa is (least to most)")
    results = []
    for name, kind, query in WORKLOADS:
        path = os.path.join(folder, f"{kind}-{events}.ndjson")
        if not os.path.exists(path):
            sys.exit(f"there is no {path}: run make bench first")
        peers = sources(path)
        seconds = {"kappa": []} | {source: [] for source in peers}
        for _ in range(runs):
            # Alternate, because the machine's speed varies from one minute to the next.
            own, rows = measure_kappa(program, name, folder, events)
            seconds["kappa"].append(own)
            for source, text in peers.items():
                taken, found = measure(query, text)
                seconds[source].append(taken)
                if found != rows:
                    sys.exit(f"{name}: kappa has {rows} rows, DuckDB {found} of {source}")
        speeds = {who: events / statistics.median(all) / 1e6 for who, all in seconds.items()}
        line = f"{name:8} kappa {speeds['kappa']:6.2f}"
        for source in peers:
            ratios = [theirs / own for own, theirs in zip(seconds["kappa"], seconds[source])]
            middle = statistics.median(ratios)
            line += f"   {source} {speeds[source]:6.2f}, {middle:.2f} ({min(ratios):.2f}-{max(ratios):.2f})"
            results.append({
                "workload": name, "source": source, "events": events, "rows": rows,
                "kappa": round(speeds["kappa"], 3), "duckdb": round(speeds[source], 3),
                "ratio": round(middle, 3),
            })
        print(line, flush=True)
    with open(os.path.join(folder, "duckdb.json"), "w") as file:
        json.dump({"duckdb": duckdb.__version__, "runs": runs, "results": results}, file, indent=1)


main()
