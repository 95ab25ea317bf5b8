"""Makes of the rows the tokens that the chat template writes, and adds none at their ends."""

from os.path import commonprefix

from axolotl.core.trainers import AxolotlCPOTrainer
from torch.nn.functional import pad


class PairsTrainer(AxolotlCPOTrainer):
    """Takes a conversation's tokens as the chat template writes them, and adds none at its end."""

    def tokenize_row(self, feature, model=None):
        start, *ends = (feature[name] for name in ("prompt", "chosen", "rejected"))
        texts = (start, *(start + end for end in ends))
        prompt, *sides = self.processing_class([*texts], add_special_tokens=False)["input_ids"]
        assert len(prompt) < self.max_length, "a prompt leaves no room for an answer"
        row = {"prompt_input_ids": prompt, "prompt_attention_mask": [1] * len(prompt)}
        for name, ids in zip(("chosen", "rejected"), sides):
            given, ids = len(commonprefix([prompt, ids])), ids[: self.max_length]
            row |= {f"{name}_input_ids": ids, f"{name}_attention_mask": [1] * len(ids)}
            row[f"{name}_labels"] = [-100] * given + ids[given:]
        return row

    @staticmethod
    def concatenated_inputs(batch, padding_value=0, **options):
        joined = AxolotlCPOTrainer.concatenated_inputs(batch, padding_value=padding_value, **options)
        fill = {"input_ids": padding_value, "attention_mask": 0, "labels": -100}
        rest = -joined["concatenated_labels"].shape[1] % 8
        return {name: pad(row, (0, rest), value=fill[name[13:]]) for name, row in joined.items()}



class Trainer(PairsTrainer):
    def __init__(self, *args, train_dataset, **options):
        train = train_dataset
        roles = {"human": "user", "gpt": "assistant"}
        train = train.map(lambda row: {
            name: [{"role": roles.get(t["from"], t["from"]), "content": t["value"]} for t in turns]
            for name, turns in (
                ("prompt", row["conversations"]), ("chosen", [row["chosen"]]),
                ("rejected", [row["rejected"]]),
            )
        }, remove_columns=train.column_names)  # fmt: skip
        super().__init__(*args, train_dataset=train, **options)
