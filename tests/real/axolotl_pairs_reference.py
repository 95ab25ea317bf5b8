"""Runs inside axolotl's environment: what its functions write of pairs and of judged answers.

python axolotl_pairs_reference.py TOKENIZER CASES.json OUT.json
"""

import copy
import json
import sys
from pathlib import Path

from axolotl.prompt_strategies.dpo import load as load_dpo
from axolotl.prompt_strategies.kto import load as load_kto
from axolotl.utils.dict import DictDefault
from transformers import AutoTokenizer

LOADERS = {"dpo": load_dpo, "kto": load_kto}


def main() -> None:
    folder, cases, out = sys.argv[1:]
    tokenizer = AutoTokenizer.from_pretrained(folder)
    found = {
        name: written(case, tokenizer) for name, case in json.loads(Path(cases).read_text()).items()
    }
    Path(out).write_text(json.dumps(found))


def written(case, tokenizer):
    entry = case["entry"]
    kind = "user_defined.default" if isinstance(entry["type"], dict) else entry["type"]
    cfg = DictDefault({"datasets": [entry], "chat_template": "chatml"})
    made = LOADERS[case["objective"]](kind, cfg, dataset_idx=0)
    function = made[0] if isinstance(made, tuple) else made
    more = {"tokenizer": tokenizer} if kind.startswith("chat_template") else {}
    names = ("prompt", "chosen", "rejected", "completion", "label")
    rows = [function(copy.deepcopy(row), **more) for row in case["rows"]]
    return [{name: row[name] for name in names if name in row} for row in rows]


if __name__ == "__main__":
    main()
