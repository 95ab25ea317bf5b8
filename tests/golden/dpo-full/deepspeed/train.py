# /// script
# requires-python = ">=3.11"
# dependencies = [
#     "deepspeed==0.19.8", "trl==1.16.0", "transformers==5.6.0", "peft==0.18.1",
#     "accelerate==1.11.0", "datasets==5.2.0", "torch==2.11.0",
# ]
# ///
# Fine-tuning with DeepSpeed; compiled by ftspec 0.1.0 from dpo-full (sha256 277f6daee548)

from datasets import load_dataset
from transformers import AutoModelForCausalLM, AutoTokenizer
from trl import DPOConfig, DPOTrainer

MODEL = "../../../../specs/tiny-model"
tokenizer = AutoTokenizer.from_pretrained(MODEL, revision="main", trust_remote_code=False)
train = load_dataset("org/pairs", split="train")
train = train.select_columns(["question", "chosen", "rejected"])
train = train.rename_columns({"question": "prompt"})
evaluation = load_dataset("org/pairs", split="test")
evaluation = evaluation.select_columns(["question", "chosen", "rejected"])
evaluation = evaluation.rename_columns({"question": "prompt"})
reference = AutoModelForCausalLM.from_pretrained(
    pretrained_model_name_or_path="org/other", dtype="float32", attn_implementation="sdpa",
    trust_remote_code=False,
)  # fmt: skip

args = DPOConfig(
    # results, logging and evaluation
    output_dir="../runs/dpo-full/deepspeed/model", save_strategy="no", load_best_model_at_end=False,
    push_to_hub=False, logging_steps=10, logging_strategy="steps", logging_first_step=False,
    logging_nan_inf_filter=False, report_to="none", eval_strategy="epoch",
    # length, batch and optimizer
    max_steps=10, per_device_train_batch_size=2, per_device_eval_batch_size=2,
    gradient_accumulation_steps=4, average_tokens_across_devices=True, learning_rate=5e-07,
    lr_scheduler_type="cosine", lr_scheduler_kwargs={"num_cycles": 0.5}, warmup_steps=1,
    optim="adamw_torch_fused", adam_beta1=0.9, adam_beta2=0.999, adam_epsilon=1e-08,
    weight_decay=0.0, max_grad_norm=1.0, label_smoothing_factor=0.0, neftune_noise_alpha=None,
    # model, precision and memory
    model_init_kwargs={"revision": "main", "dtype": "float32", "attn_implementation": "sdpa"},
    trust_remote_code=False, disable_dropout=True, bf16=False, fp16=False, tf32=False, use_cpu=True,
    use_liger_kernel=False, gradient_checkpointing=True,
    gradient_checkpointing_kwargs={"use_reentrant": False}, deepspeed="ds_config.json",
    # data and loss
    max_length=512, truncation_mode="keep_start", loss_type=["robust", "sft"],
    loss_weights=[1.0, 0.25], beta=0.2, label_smoothing=0.1, ld_alpha=0.5, discopop_tau=0.05,
    f_divergence_type="reverse_kl", use_weighting=False, precompute_ref_log_probs=True,
    sync_ref_model=False, router_aux_loss_coef=0.0, padding_free=False, pad_to_multiple_of=8,
    train_sampling_strategy="random", dataloader_drop_last=False, seed=42, data_seed=42,
)  # fmt: skip
trainer = DPOTrainer(
    model=MODEL, ref_model=reference, args=args, train_dataset=train, eval_dataset=evaluation,
    processing_class=tokenizer,
)  # fmt: skip
trainer.train()
trainer.save_model()
trainer.save_state()
