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
# Fine-tuning with Unsloth; compiled by ftspec 0.1.0 from dpo-tiny (sha256 89d7ec1a2cca)

from unsloth import FastLanguageModel  # isort: skip - first, because it patches the others
from datasets import load_dataset
from trl import DPOConfig, DPOTrainer

model, tokenizer = FastLanguageModel.from_pretrained(
    model_name="../../../../specs/tiny-model", revision="main", dtype="auto",
    attn_implementation="sdpa", trust_remote_code=False, load_in_4bit=False, load_in_8bit=False,
    full_finetuning=False, max_seq_length=256, use_gradient_checkpointing=False,
    use_exact_model_name=True, device_map="cpu",
)  # fmt: skip
model = FastLanguageModel.get_peft_model(
    model, r=8, lora_alpha=16, lora_dropout=0.0, target_modules="all-linear", target_parameters=[],
    bias="none", modules_to_save=None, use_rslora=False, use_dora=False, init_lora_weights=True,
    random_state=42, use_gradient_checkpointing=False,
)  # fmt: skip
train = load_dataset("json", data_files="../../../../specs/data/preferences.jsonl", split="train")
roles = {"human": "user", "gpt": "assistant"}
train = train.map(lambda row: {
    name: [{"role": roles.get(t["from"], t["from"]), "content": t["value"]} for t in turns]
    for name, turns in (
        ("prompt", row["conversations"]), ("chosen", [row["chosen"]]),
        ("rejected", [row["rejected"]]),
    )
}, remove_columns=train.column_names)  # fmt: skip

args = DPOConfig(
    # results, logging and evaluation
    output_dir="../../../../specs/runs/dpo-tiny/unsloth/model", save_strategy="no",
    load_best_model_at_end=False, push_to_hub=False, logging_steps=1, logging_strategy="steps",
    logging_first_step=False, logging_nan_inf_filter=False, report_to="none", eval_strategy="no",
    # length, batch and optimizer
    max_steps=4, per_device_train_batch_size=2, gradient_accumulation_steps=2,
    average_tokens_across_devices=True, learning_rate=0.001, lr_scheduler_type="cosine",
    lr_scheduler_kwargs={"num_cycles": 0.5}, warmup_steps=1, optim="adamw_torch_fused",
    adam_beta1=0.9, adam_beta2=0.999, adam_epsilon=1e-08, weight_decay=0.0, max_grad_norm=1.0,
    label_smoothing_factor=0.0, neftune_noise_alpha=None,
    # model, precision and memory
    disable_dropout=True, bf16=False, fp16=False, tf32=False, use_cpu=True, use_liger_kernel=False,
    gradient_checkpointing=False,
    # data and loss
    max_length=256, truncation_mode="keep_start", loss_type=["sigmoid"], beta=0.1,
    label_smoothing=0.0, ld_alpha=None, discopop_tau=0.05, f_divergence_type="reverse_kl",
    use_weighting=False, precompute_ref_log_probs=False, sync_ref_model=False,
    router_aux_loss_coef=0.0, padding_free=False, pad_to_multiple_of=8,
    train_sampling_strategy="random", dataloader_drop_last=False, seed=42, data_seed=42,
)  # fmt: skip
trainer = DPOTrainer(
    model=model, args=args, train_dataset=train,
    processing_class=tokenizer,
)  # fmt: skip
trainer.train()
trainer.save_model()
trainer.save_state()
