# /// script
# requires-python = ">=3.11"
# dependencies = [
#     "deepspeed==0.19.8", "trl==1.16.0", "transformers==5.6.0", "peft==0.18.1",
#     "accelerate==1.11.0", "datasets==5.2.0", "torch==2.11.0",
# ]
# ///
# Fine-tuning with DeepSpeed; compiled by ftspec 0.1.0 from grpo-tiny (sha256 a2de6f7ac1a5)

import rewards
from datasets import load_dataset
from peft import LoraConfig
from transformers import AutoTokenizer
from trl import GRPOConfig, GRPOTrainer

MODEL = "../../../../specs/tiny-model"
tokenizer = AutoTokenizer.from_pretrained(MODEL, revision="main", trust_remote_code=False)
train = load_dataset("json", data_files="../../../../specs/data/prompts.jsonl", split="train")
train = train.map(lambda row: {"prompt": row["prompt"]})

args = GRPOConfig(
    # results, logging and evaluation
    output_dir="../../../../specs/runs/grpo-tiny/deepspeed/model", save_strategy="no",
    load_best_model_at_end=False, push_to_hub=False, logging_steps=1, logging_strategy="steps",
    logging_first_step=False, logging_nan_inf_filter=False, report_to="none", eval_strategy="no",
    # length, batch and optimizer
    max_steps=4, per_device_train_batch_size=4, gradient_accumulation_steps=2,
    average_tokens_across_devices=True, learning_rate=0.001, lr_scheduler_type="cosine",
    lr_scheduler_kwargs={"num_cycles": 0.5}, warmup_steps=1, optim="adamw_torch_fused",
    adam_beta1=0.9, adam_beta2=0.999, adam_epsilon=1e-08, weight_decay=0.0, max_grad_norm=1.0,
    label_smoothing_factor=0.0, neftune_noise_alpha=None,
    # model, precision and memory
    model_init_kwargs={"revision": "main", "dtype": "auto", "attn_implementation": "sdpa"},
    trust_remote_code=False, disable_dropout=True, bf16=False, fp16=False, tf32=False, use_cpu=True,
    use_liger_kernel=False, gradient_checkpointing=False, deepspeed="ds_config.json",
    # data and loss
    chat_template_kwargs=None, loss_type="dapo", beta=0.04, sync_ref_model=False,
    router_aux_loss_coef=0.0, pad_to_multiple_of=None, remove_unused_columns=False,
    shuffle_dataset=True, dataloader_drop_last=False, seed=42, data_seed=42,
    # completions
    num_generations=4, max_completion_length=24, steps_per_generation=2, temperature=1.0, top_p=1.0,
    top_k=0, top_entropy_quantile=1.0, min_p=0.0, repetition_penalty=1.0, generation_kwargs=None,
    cache_implementation=None, use_vllm=False, use_transformers_continuous_batching=False,
    log_completions=False,
    # rewards and policy
    reward_weights=[1.0, 0.5, 0.5], multi_objective_aggregation="sum_then_normalize",
    scale_rewards="group", epsilon=0.2, epsilon_high=None, delta=None,
    importance_sampling_level="token", num_iterations=1, mask_truncated_completions=False,
    entropy_coef=0.0, use_adaptive_entropy=False, use_bias_correction_kl=True,
    off_policy_mask_threshold=None, cast_lm_head_to_fp32=False,
)  # fmt: skip
peft_config = LoraConfig(
    r=8, lora_alpha=16, lora_dropout=0.0, target_modules="all-linear", bias="none",
    modules_to_save=None, use_rslora=False, use_dora=False, init_lora_weights=True,
)  # fmt: skip
reward_funcs = [
    rewards.exact_match(column="answer", pattern="(-?\\d+)"),
    rewards.length(minimum=None, maximum=60, unit="characters"),
    rewards.own(file="own_rewards_1.py", function="few_repetitions"),
]  # fmt: skip
trainer_class = rewards.keeping(GRPOTrainer, ["exact_match", "length", "python"])
trainer = trainer_class(
    model=MODEL, reward_funcs=reward_funcs, args=args, train_dataset=train,
    processing_class=tokenizer, peft_config=peft_config,
)  # fmt: skip
trainer.train()
trainer.save_model()
trainer.save_state()
