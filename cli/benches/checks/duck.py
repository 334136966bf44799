"""The twenty checks of twenty.yaml by DuckDB: one SELECT over the Parquet files, as fused as it goes.

Usage: duck.py INSUREES EDUCATIONS THREADS

Row by row checks share one scan (count(*) FILTER); a uniqueness is a grouping of its own, so each is a scalar subquery of the
same SELECT over only the columns that it needs. Prints one line of JSON.
"""

import json
import sys
import time

began = time.perf_counter()

import duckdb  # noqa: E402

insurees, educations, threads = sys.argv[1:4]
INSUREES, EDUCATIONS = f"read_parquet('{insurees}')", f"read_parquet('{educations}')"

broken_rows = {
    "B01": "CHFID is null",
    "B02": "FamilyID is null",
    "B03": "Gender is null",
    "B04": "PhotoID is null",
    "B05": "Gender not in ('M', 'F', 'O')",
    "B06": "Marital not in ('N', 'W', 'S', 'D', 'M')",
    "B07": "TypeOfId not in ('D', 'N', 'P', 'V')",
    "B08": "DOB not between date '1900-01-01' and date '2026-01-31'",
    "B09": "Relationship not between 1 and 8",
    "B10": "not regexp_matches(CHFID, '^[0-9]{9}$')",
    "B11": "not regexp_matches(Phone, '^[+]?[0-9 ]{8,15}$')",
    "B12": "not regexp_matches(Email, '^[^@ ]+@[^@ ]+[.][a-z]+$')",
    "B16": "length(LastName) not between 2 and 50",
    "B17": "length(CHFID) not between 9 and 12",
    "B18": "not IsHead and Relationship is null",
    "B19": f"Education not in (select EducationId from {EDUCATIONS})",
    "B20": "PhotoDate < DOB",
}
uniques = {"B13": ["CHFID"], "B14": ["InsureeUUID"], "B15": ["TypeOfId", "passport"]}


def repeated(columns):
    there = " and ".join(f"{column} is not null" for column in columns)
    groups = f"select count(*) n from {INSUREES} where {there} group by {', '.join(columns)} having count(*) > 1"
    return f"(select coalesce(sum(n), 0)::bigint from ({groups}))"


counts = [f"count(*) filter (where {broken}) {check}" for check, broken in broken_rows.items()]
repeats = [f"{repeated(columns)} {check}" for check, columns in uniques.items()]
query = f"select *, {', '.join(repeats)} from (select {', '.join(counts)} from {INSUREES})"

connection = duckdb.connect()
connection.execute(f"set threads = {int(threads)}")
ready = time.perf_counter()
answer = connection.execute(query)
row = answer.fetchone()
ended = time.perf_counter()
found = dict(sorted(zip((column[0] for column in answer.description), row)))
print(
    json.dumps(
        {
            "found": found,
            "broken": [check for check, count in found.items() if count],
            "prepare_seconds": ready - began,
            "seconds": ended - ready,
            "version": duckdb.__version__,
        }
    )
)
