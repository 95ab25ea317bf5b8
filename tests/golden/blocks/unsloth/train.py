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
# Fine-tuning with Unsloth; compiled by ftspec 0.1.0 from blocks (sha256 0a3fa9eabc40)

from unsloth import FastLanguageModel  # isort: skip - first, because it patches the others
import torch
from datasets import load_dataset
from trl import SFTConfig, SFTTrainer

model, tokenizer = FastLanguageModel.from_pretrained(
    model_name="../../../../specs/tiny-model", revision="main", dtype=torch.float32,
    attn_implementation="sdpa", trust_remote_code=False, load_in_4bit=False, load_in_8bit=False,
    full_finetuning=True, max_seq_length=256, use_gradient_checkpointing=True,
    use_exact_model_name=True,
)  # fmt: skip
train = load_dataset("json", data_files="../documents.jsonl", split="train")
train = train.select_columns(["text"])

args = SFTConfig(
    # results, logging and evaluation
    output_dir="../runs/blocks/unsloth/model", save_strategy="no", load_best_model_at_end=False,
    push_to_hub=False, logging_steps=10, logging_strategy="steps", logging_first_step=False,
    logging_nan_inf_filter=False, report_to="none", eval_strategy="no",
    # length, batch and optimizer
    max_steps=6, per_device_train_batch_size=4, gradient_accumulation_steps=1,
    average_tokens_across_devices=True, learning_rate=2e-05, lr_scheduler_type="cosine",
    lr_scheduler_kwargs={"num_cycles": 0.5}, warmup_steps=1, optim="adamw_torch_fused",
    adam_beta1=0.9, adam_beta2=0.999, adam_epsilon=1e-08, weight_decay=0.0, max_grad_norm=1.0,
    label_smoothing_factor=0.0, neftune_noise_alpha=None,
    # model, precision and memory
    bf16=True, fp16=False, tf32=False, use_cpu=False, use_liger_kernel=False,
    gradient_checkpointing=True, gradient_checkpointing_kwargs={"use_reentrant": False},
    # data and loss
    dataset_num_proc=1, max_length=256, truncation_mode="keep_start", completion_only_loss=False,
    assistant_only_loss=False, loss_type="nll", router_aux_loss_coef=0.0, packing=True,
    packing_strategy="wrapped", padding_free=False, pad_to_multiple_of=8, shuffle_dataset=False,
    train_sampling_strategy="random", dataloader_drop_last=False, seed=42, data_seed=42,
)  # fmt: skip
trainer = SFTTrainer(
    model=model, args=args, train_dataset=train,
    processing_class=tokenizer,
)  # fmt: skip
trainer.train()
trainer.save_model()
trainer.save_state()
