"""Condense the certificates of the real tests into the file that the matrix shows: `make proven`.

    python scripts/proven.py FOLDER

FOLDER holds the certificates that the real tests kept (`FTSPEC_KEEP_PROOFS=FOLDER pytest -m real`), one
per proof, named after it. Records of the same cases are replaced, others stay.
"""

import sys
from pathlib import Path

from ftspec.verify.certificate import from_json
from ftspec.verify.proven import condensed, dump, load

KEPT = Path(__file__).resolve().parents[1] / "ftspec" / "verify" / "proven.json"


def main() -> None:
    """Read, merge, write."""
    records = {record.case: record for record in load()}
    files = sorted(Path(sys.argv[1]).glob("*.json"))
    for file in files:
        record = condensed(file.stem, from_json(file.read_text(encoding="utf-8")))
        if any(record.proves(backend) for backend in record.runs):
            records[record.case] = record
    KEPT.write_text(dump(records.values()), encoding="utf-8")
    print(f"{len(files)} certificates read, {len(records)} proofs kept")


if __name__ == "__main__":
    main()
