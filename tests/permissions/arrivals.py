"""What a day in small brings: datasets of every kind, and their files."""

from __future__ import annotations

import shutil
from pathlib import Path

import pyarrow as pa
from tests.corpus.parquet_files import written

DATASETS = Path(__file__).parents[2] / "datasets"
OWN = {
    "chained": """
format: csv
columns: [{name: link, type: text}]
table: public.chained
index: chained
kick_off: {state_machine: after-load}
""",
    "noted": """
format: csv
columns: [{name: note, type: text}]
index: noted
""",
    "lenient": """
format: csv
columns: [{name: number, type: integer}]
table: public.lenient
index: lenient
max_reject_ratio: 0.6
""",
    "people": """
format: parquet
columns: [{name: id, type: integer}, {name: born, type: date}]
table: public.people
index: people
max_reject_ratio: 0.6
""",
    "found": """
format: parquet
columns: [{name: id, type: integer}, {name: born, type: date}]
index: found
""",
    "messages": """
format: jsonl
columns: [{name: event_id, type: text, required: true}, {name: type, type: text}]
table: public.messages
event_id: event_id
""",
}
"""One that kicks off a state machine; without a table, with rejects, both of Parquet files; what messages become."""
RATE = """\
name: boardings
type: boarding
window: 1m
at_least: 1
"""

AIRPORT = b"faa,name,lat,lon,alt,tz,dst,tzone\nABC,%d,1.5,2.5,3,-5,A,Europe/Rome\n"
PLANE = b"tailnum,year,type,manufacturer,model,engines,seats,speed,engine\nN%d,2004,a,b,c,2,55,NA,d\n"
HOUR = b'{"origin":"EWR","year":2013,"month":1,"day":1,"hour":%d,"time_hour":"2013-01-01T06:00:00Z"}\n'


def write_datasets(folder: Path) -> Path:
    """The repository's own, those above, and a rate."""
    shutil.copytree(DATASETS, folder)
    for name, body in OWN.items():
        (folder / f"{name}.yaml").write_text(f"name: {name}\nprefix: {name}/{body}")
    (folder / "rates").mkdir(exist_ok=True)
    (folder / "rates" / "boardings.yaml").write_text(RATE)
    return folder


def people(first: int, born: list[str | None] | None = None) -> bytes:
    """A Parquet file of two rows."""
    ids = pa.array([first, first + 1], pa.int32())
    return written({"id": ids, "born": born or pa.array([None, None], pa.date32())})
