"""The workloads of kappa-bench in DuckDB, on the same NDJSON file: one JSON object a line.

Usage: duckdb_peer.py FOLDER [RUNS [EVENTS]]    where FOLDER has been filled by `kappa-bench`
Needs DuckDB's Python package (pip install duckdb); nothing else of kappa does.
"""

import glob
import json
import os
import statistics
import sys
import tempfile
import time

import duckdb

COLUMNS = "{{user_id: 'VARCHAR', action: 'VARCHAR', amount: 'DECIMAL(18,4)', timestamp: '{time}'}}"

# Nothing in these files is late: they are in the order of time.
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


def measure(query, source, runs):
    """Medians over some runs: seconds by wall and by processor, and the rows of the result."""
    walls, processors, rows = [], [], 0
    for _ in range(runs):
        with tempfile.TemporaryDirectory() as folder:
            connection = duckdb.connect(os.path.join(folder, "result.duckdb"))
            connection.execute(f"CREATE VIEW events AS SELECT * FROM {source}")
            before, cpu = time.perf_counter(), time.process_time()
            connection.execute(f"CREATE TABLE result AS {query}")
            connection.execute("CHECKPOINT")
            walls.append(time.perf_counter() - before)
            processors.append(time.process_time() - cpu)
            rows = connection.execute("SELECT count(*) FROM result").fetchone()[0]
            connection.close()
    return statistics.median(walls), statistics.median(processors), rows


def main():
    folder = sys.argv[1] if len(sys.argv) > 1 else "bench-data"
    runs = int(sys.argv[2]) if len(sys.argv) > 2 else 5
    events = int(sys.argv[3]) if len(sys.argv) > 3 else 5_000_000
    results = []
    for name, kind, query in WORKLOADS:
        files = glob.glob(os.path.join(folder, f"{kind}-{events}.ndjson"))
        if not files:
            sys.exit(f"there is no {kind}-{events}.ndjson in {folder}: run make bench first")
        path = files[0]
        # Parquet with times as times, and with times as the texts that the events have.
        times, texts = path.replace(".ndjson", ".parquet"), path.replace(".ndjson", "-text.parquet")
        for parquet, time in ((times, "TIMESTAMP"), (texts, "VARCHAR")):
            if not os.path.exists(parquet):
                duckdb.sql(f"COPY (FROM {read_json(path, time)}) TO '{parquet}' (FORMAT parquet)")
        for kind_of_file, source in (
            ("NDJSON", read_json(path, "TIMESTAMP")), ("Parquet", f"'{times}'"),
            ("Parquet, text", f"(SELECT * REPLACE (timestamp::TIMESTAMP AS timestamp) FROM '{texts}')"),
        ):
            wall, processor, rows = measure(query, source, runs)
            results.append({
                "workload": name, "source": kind_of_file, "events": events, "rows": rows,
                "seconds": round(wall, 3), "events_per_second": round(events / wall),
                "events_per_cpu_second": round(events / processor),
            })
            print("{workload:8} {source:14} {events_per_second:>12,} events/s "
                  "{events_per_cpu_second:>12,} events per CPU second {rows:>10,} rows"
                  .format(**results[-1]))
    with open(os.path.join(folder, "duckdb.json"), "w") as file:
        json.dump({"duckdb": duckdb.__version__, "runs": runs, "results": results}, file, indent=1)


main()
