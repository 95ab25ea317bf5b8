# /// script
# requires-python = ">=3.11"
# dependencies = [
#     "deepspeed==0.19.8", "trl==1.16.0", "transformers==5.6.0", "peft==0.18.1",
#     "accelerate==1.11.0", "datasets==5.2.0", "torch==2.11.0",
# ]
# ///
# Fine-tuning with DeepSpeed; compiled by ftspec 0.1.0 from template (sha256 337895756174)

from datasets import load_dataset
from jinja2 import StrictUndefined
from jinja2.sandbox import ImmutableSandboxedEnvironment
from peft import LoraConfig
from transformers import AutoTokenizer
from trl import SFTConfig, SFTTrainer

MODEL = "org/model"
tokenizer = AutoTokenizer.from_pretrained(MODEL, revision="main", trust_remote_code=False)
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
    output_dir="../runs/template/deepspeed/model", save_strategy="no", load_best_model_at_end=False,
    push_to_hub=False, logging_steps=10, logging_strategy="steps", logging_first_step=False,
    logging_nan_inf_filter=False, report_to="none", eval_strategy="epoch",
    # length, batch and optimizer
    max_steps=10, per_device_train_batch_size=2, per_device_eval_batch_size=2,
    gradient_accumulation_steps=4, average_tokens_across_devices=True, learning_rate=0.0002,
    lr_scheduler_type="cosine", lr_scheduler_kwargs={"num_cycles": 0.5}, warmup_steps=1,
    optim="adamw_torch_fused", adam_beta1=0.9, adam_beta2=0.999, adam_epsilon=1e-08,
    weight_decay=0.0, max_grad_norm=1.0, label_smoothing_factor=0.0, neftune_noise_alpha=None,
    # model, precision and memory
    model_init_kwargs={"revision": "main", "dtype": "auto", "attn_implementation": "sdpa"},
    trust_remote_code=False, bf16=False, fp16=False, tf32=False, use_cpu=True,
    use_liger_kernel=False, gradient_checkpointing=True,
    gradient_checkpointing_kwargs={"use_reentrant": False}, deepspeed="ds_config.json",
    # data and loss
    max_length=512, truncation_mode="keep_start", completion_only_loss=True,
    assistant_only_loss=False, loss_type="nll", router_aux_loss_coef=0.0, packing=False,
    padding_free=False, pad_to_multiple_of=8, shuffle_dataset=False,
    train_sampling_strategy="random", dataloader_drop_last=False, seed=42, data_seed=42,
)  # fmt: skip
peft_config = LoraConfig(
    r=16, lora_alpha=32, lora_dropout=0.0, target_modules="all-linear", bias="none",
    modules_to_save=None, use_rslora=False, use_dora=False, init_lora_weights=True,
)  # fmt: skip
trainer = SFTTrainer(
    model=MODEL, args=args, train_dataset=train, eval_dataset=evaluation,
    processing_class=tokenizer, peft_config=peft_config,
)  # fmt: skip
trainer.model_accepts_loss_kwargs = False  # a step is the mean of its passes' means
trainer.train()
trainer.save_model()
trainer.save_state()
