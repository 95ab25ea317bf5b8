# /// script
# requires-python = ">=3.11"
# dependencies = [
#     "deepspeed==0.19.8", "trl==1.16.0", "transformers==5.6.0", "peft==0.18.1",
#     "accelerate==1.11.0", "datasets==5.2.0", "torch==2.11.0",
# ]
# ///
# Fine-tuning with DeepSpeed; compiled by ftspec 0.1.0 from simpo-tiny (sha256 4dcf1e772e20)

from os.path import commonprefix

from datasets import load_dataset
from peft import LoraConfig
from torch.nn.functional import pad
from transformers import AutoTokenizer
from trl.experimental.cpo import CPOConfig, CPOTrainer


class PairsTrainer(CPOTrainer):
    """Takes a conversation's tokens as the chat template writes them, and adds none at its end."""

    def tokenize_row(self, feature, model=None):
        if not conversations:
            return super().tokenize_row(feature, model)
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
        joined = CPOTrainer.concatenated_inputs(batch, padding_value=padding_value, **options)
        fill = {"input_ids": padding_value, "attention_mask": 0, "labels": -100}
        rest = -joined["concatenated_labels"].shape[1] % 8
        return {name: pad(row, (0, rest), value=fill[name[13:]]) for name, row in joined.items()}


MODEL = "../../../../specs/tiny-model"
tokenizer = AutoTokenizer.from_pretrained(MODEL, revision="main", trust_remote_code=False)
train = load_dataset("json", data_files="../../../../specs/data/preferences.jsonl", split="train")
roles = {"human": "user", "gpt": "assistant"}
train = train.map(lambda row: {
    name: [{"role": roles.get(t["from"], t["from"]), "content": t["value"]} for t in turns]
    for name, turns in (
        ("prompt", row["conversations"]), ("chosen", [row["chosen"]]),
        ("rejected", [row["rejected"]]),
    )
}, remove_columns=train.column_names)  # fmt: skip
conversations = isinstance(train[0]["chosen"], list)

args = CPOConfig(
    # results, logging and evaluation
    output_dir="../../../../specs/runs/simpo-tiny/deepspeed/model", save_strategy="no",
    load_best_model_at_end=False, push_to_hub=False, logging_steps=1, logging_strategy="steps",
    logging_first_step=False, logging_nan_inf_filter=False, report_to="none", eval_strategy="no",
    generate_during_eval=False,
    # length, batch and optimizer
    max_steps=4, per_device_train_batch_size=2, gradient_accumulation_steps=2,
    average_tokens_across_devices=True, learning_rate=0.001, lr_scheduler_type="cosine",
    lr_scheduler_kwargs={"num_cycles": 0.5}, warmup_steps=1, optim="adamw_torch_fused",
    adam_beta1=0.9, adam_beta2=0.999, adam_epsilon=1e-08, weight_decay=0.0, max_grad_norm=1.0,
    label_smoothing_factor=0.0, neftune_noise_alpha=None,
    # model, precision and memory
    model_init_kwargs={
        "revision": "main", "dtype": "auto", "attn_implementation": "sdpa", "device_map": None,
    },
    trust_remote_code=False, disable_dropout=True, bf16=False, fp16=False, tf32=False, use_cpu=True,
    use_liger_kernel=False, gradient_checkpointing=False, deepspeed="ds_config.json",
    # data and loss
    max_length=256, loss_type="simpo", beta=2.0, label_smoothing=0.0, cpo_alpha=0.0, alpha=0.0,
    simpo_gamma=1.0, train_sampling_strategy="random", dataloader_drop_last=False, seed=42,
    data_seed=42,
)  # fmt: skip
peft_config = LoraConfig(
    r=8, lora_alpha=16, lora_dropout=0.0, target_modules="all-linear", bias="none",
    modules_to_save=None, use_rslora=False, use_dora=False, init_lora_weights=True,
)  # fmt: skip
trainer = PairsTrainer(
    model=MODEL, args=args, train_dataset=train,
    processing_class=tokenizer, peft_config=peft_config,
)  # fmt: skip
trainer.train()
trainer.save_model()
trainer.save_state()
