"""Makes trl's tokens of the rows: each answer behind its prompt, written by the chat template as a whole.

axolotl's own types cut an answer's text out of a turn, and its trl (1.9) loses tokens where a prompt alone
ends otherwise than before its answer.
"""

from os.path import commonprefix

from axolotl.core.trainers import AxolotlKTOTrainer
from trl.data_utils import _tokenize, extract_prompt, is_conversational


def tokenised(row, tokenizer):
    row = row if "prompt" in row else extract_prompt(row)
    ends = {name: row[name] for name in ("chosen", "rejected", "completion") if name in row}
    asking = {"add_generation_prompt": True} if is_conversational(row) else {}
    if not asking:
        last = tokenizer.eos_token
        ends = {name: end.removesuffix(last) + last for name, end in ends.items()}
    start = _tokenize(tokenizer, row["prompt"], **asking)["input_ids"]
    whole = {n: _tokenize(tokenizer, row["prompt"] + end)["input_ids"] for n, end in ends.items()}
    given = min(len(commonprefix([start, ids])) for ids in whole.values())
    answers = {f"{name}_ids": ids[given:] for name, ids in whole.items()}
    return {"prompt_ids": start[:given], **answers}


class Trainer(AxolotlKTOTrainer):
    def _prepare_dataset(self, train, tokenizer, args, name):
        train = train.map(lambda row: {
            "prompt": row["messages"][:-1], "completion": row["messages"][-1:], "label": row["label"],
        }, remove_columns=train.column_names)  # fmt: skip
        texts = [column for column in train.column_names if column != "label"]
        train = train.map(tokenised, fn_kwargs={"tokenizer": tokenizer}, remove_columns=texts)
        # of a longer prompt's answers nothing would be left
        if getattr(args, "truncation_mode", "keep_start") == "keep_start":
            train = train.filter(lambda row: len(row["prompt_ids"]) < args.max_length)
        if self.calculate_KL:  # each prompt beside the answer of the row before it in a batch
            train = train.map(
                lambda rows: {
                    "KL_completion_ids": [rows["completion_ids"][-1], *rows["completion_ids"][:-1]]
                },
                batched=True, batch_size=args.per_device_train_batch_size,
            )  # fmt: skip
        return train
