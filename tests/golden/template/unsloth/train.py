# /// script
# requires-python = ">=3.11"
# dependencies = [
#     "unsloth==2026.10.9", "unsloth-zoo==2026.10.9", "trl==1.15.0", "transformers==5.6.0",
#     "peft==0.18.1", "accelerate==1.11.0", "datasets==4.8.5", "torch==2.11.0",
#     "torchvision==0.26.0", "torchao==0.17.0", "xformers==0.0.35", "certifi==2026.10.18",
# ]
# [tool.uv]
# override-dependencies = ["certifi>=2026.1.1"]
# ///
# Fine-tuning with Unsloth; compiled by ftspec 0.1.0 from template (sha256 337895756174)

from unsloth import FastLanguageModel  # isort: skip - first, because it patches the others
from datasets import load_dataset
from jinja2 import StrictUndefined
from jinja2.sandbox import ImmutableSandboxedEnvironment
from trl import SFTConfig, SFTTrainer

model, tokenizer = FastLanguageModel.from_pretrained(
    model_name="org/model", revision="main", dtype="auto", attn_implementation="sdpa",
    trust_remote_code=False, load_in_4bit=False, load_in_8bit=False, full_finetuning=False,
    max_seq_length=512, use_gradient_checkpointing=True, use_exact_model_name=True,
    device_map="cpu",
)  # fmt: skip
model = FastLanguageModel.get_peft_model(
    model, r=16, lora_alpha=32, lora_dropout=0.0, target_modules="all-linear", target_parameters=[],
    bias="none", modules_to_save=None, use_rslora=False, use_dora=False, init_lora_weights=True,
    random_state=42, use_gradient_checkpointing=True,
)  # fmt: skip
train = load_dataset("org/rows", split="train")
sandbox = ImmutableSandboxedEnvironment(keep_trailing_newline=True, undefined=StrictUndefined)
prompt = sandbox.from_string(
    "Q: {{ question }}\n"
    "{% if context is defined and context %}C: {{ context }}\n"
    "{% endif %}A:"
)  # fmt: skip
completion = sandbox.from_string(" {{ answer }}")
train = train.map(lambda row: {
    "prompt_ids": tokenizer(prompt.render(row))["input_ids"],
    "completion_ids": tokenizer(
        completion.render(row).removesuffix(tokenizer.eos_token) + tokenizer.eos_token,
        add_special_tokens=False,
    )["input_ids"],
}, remove_columns=train.column_names)  # fmt: skip
train = train.map(lambda row: {
    "input_ids": row["prompt_ids"] + row["completion_ids"],
    "completion_mask": [0] * len(row["prompt_ids"]) + [1] * len(row["completion_ids"]),
}, remove_columns=train.column_names)  # fmt: skip
train = train.shuffle(seed=42)
train = train.filter(lambda row: len(row["input_ids"]) <= 512)
held_out = train.train_test_split(test_size=0.1, shuffle=False)
train, evaluation = held_out["train"], held_out["test"]

args = SFTConfig(
    # results, logging and evaluation
    output_dir="../runs/template/unsloth/model", save_strategy="no", load_best_model_at_end=False,
    push_to_hub=False, logging_steps=10, logging_strategy="steps", logging_first_step=False,
    logging_nan_inf_filter=False, report_to="none", eval_strategy="epoch",
    # length, batch and optimizer
    max_steps=10, per_device_train_batch_size=2, per_device_eval_batch_size=2,
    gradient_accumulation_steps=4, average_tokens_across_devices=True, learning_rate=0.0002,
    lr_scheduler_type="cosine", lr_scheduler_kwargs={"num_cycles": 0.5}, warmup_steps=1,
    optim="adamw_torch_fused", adam_beta1=0.9, adam_beta2=0.999, adam_epsilon=1e-08,
    weight_decay=0.0, max_grad_norm=1.0, label_smoothing_factor=0.0, neftune_noise_alpha=None,
    # model, precision and memory
    bf16=False, fp16=False, tf32=False, use_cpu=True, use_liger_kernel=False,
    gradient_checkpointing=True, gradient_checkpointing_kwargs={"use_reentrant": False},
    # data and loss
    max_length=512, truncation_mode="keep_start", completion_only_loss=True,
    assistant_only_loss=False, loss_type="nll", router_aux_loss_coef=0.0, packing=False,
    padding_free=False, pad_to_multiple_of=8, shuffle_dataset=False,
    train_sampling_strategy="random", dataloader_drop_last=False, seed=42, data_seed=42,
)  # fmt: skip
trainer = SFTTrainer(
    model=model, args=args, train_dataset=train, eval_dataset=evaluation,
    processing_class=tokenizer,
)  # fmt: skip
trainer.model_accepts_loss_kwargs = False  # a step is the mean of its passes' means
trainer.train()
trainer.save_model()
trainer.save_state()
