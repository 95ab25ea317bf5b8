"""How fast the statistics of `ftspec data preview` count rows, against tokenizers alone on their texts."""

from __future__ import annotations

import json
import statistics
import tempfile
import time
from collections.abc import Callable, Sequence
from pathlib import Path

from child import ROOT, options, show

from ftspec.data.findings import Findings
from ftspec.data.preview import look
from ftspec.data.statistics import survey
from ftspec.plan.readers import Readers, readers
from ftspec.spec.load import loads

ROWS = 10_000
"""Rows of a round. Texts differ, so that no cache of the tokenizer helps more than it would."""
SPEC = """\
model: ./tiny-model
data: {train: %s, max_length: 256, overflow: truncate}
method: lora
hardware: {device: cpu}
"""


def write_rows(file: Path) -> None:
    """The shipped chats again and again, each a little different."""
    chats = (ROOT / "specs" / "data" / "chat.jsonl").read_text("utf-8").splitlines()
    with file.open("w", encoding="utf-8") as out:
        for number in range(ROWS):
            row = json.loads(chats[number % len(chats)])
            for message in row["messages"]:
                message["content"] += f" ({number})"
            out.write(json.dumps(row) + "\n")


def count(asked: Readers, names: Sequence[str]) -> int:
    """What the command does, less the printing."""
    rules = [group.rule for group in asked.groups if set(group.backends) & set(names)]
    numbers = survey(len(rules), asked.tokens)
    found = Findings()
    for looked in look(asked.sources("train"), asked.folder, asked.tokens, rules, found):
        numbers.add(looked)
    found.check()
    return numbers.rows


def texts(asked: Readers) -> list[str]:
    """The rendered rows."""
    rules = [asked.groups[0].rule]
    found = Findings()
    rows = look(asked.sources("train"), asked.folder, asked.tokens, rules, found)
    return [looked.views[0].parts[0].text for looked in rows]  # type: ignore[union-attr]


def main() -> None:
    """Measure and print."""
    chosen = options(__doc__ or "", rounds=5)
    with tempfile.TemporaryDirectory() as folder:
        file = Path(folder) / "rows.jsonl"
        write_rows(file)
        loaded = loads(SPEC % json.dumps(str(file)), name=str(ROOT / "specs" / "spec.yaml"))
        asked = readers(loaded, ("trl", "llamafactory"))
        rendered, tokenizer = texts(asked), asked.tokens.tokenizer

        def alone() -> int:
            return len(tokenizer.encode_batch(rendered, add_special_tokens=False))

        ways: dict[str, Callable[[], int]] = {
            "tokenizers alone, one batch": alone,
            "preview, TRL": lambda: count(asked, ["trl"]),
            "preview, LLaMA-Factory": lambda: count(asked, ["llamafactory"]),
            "preview, both": lambda: count(asked, ["trl", "llamafactory"]),
        }
        seconds: dict[str, list[tuple[float, float]]] = {name: [] for name in ways}
        for number in range(chosen.rounds + 1):
            for name, way in ways.items():
                wall, cpu = time.perf_counter(), time.process_time()
                assert way() == ROWS
                if number:  # the first round warms up
                    seconds[name].append((time.perf_counter() - wall, time.process_time() - cpu))
    base = seconds["tokenizers alone, one batch"]
    rows = []
    for name, of in seconds.items():
        ratios = [(a / c, b / d) for (a, b), (c, d) in zip(of, base, strict=True)]
        rows.append(
            {
                "way": name,
                "rows/s": ROWS / statistics.median(wall for wall, _ in of),
                "ratio, wall": statistics.median(wall for wall, _ in ratios),
                "ratio, cpu": statistics.median(cpu for _, cpu in ratios),
            }
        )
    show(rows, chosen.json)


if __name__ == "__main__":
    main()
