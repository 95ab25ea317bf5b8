# /// script
# requires-python = ">=3.11"
# dependencies = [
#     "trl==0.24.0", "transformers==5.6.0", "peft==0.18.1", "accelerate==1.11.0",
#     "datasets==5.2.0", "torch==2.11.0",
# ]
# ///
# Fine-tuning with TRL; compiled by ftspec 0.1.0 from ppo (sha256 28fe78f02d86)

from copy import deepcopy

import ppo
import rewards
from datasets import load_dataset
from peft import LoraConfig
from transformers import AutoModelForCausalLM, AutoTokenizer, set_seed
from trl import PPOConfig

MODEL = "../../../../specs/tiny-model"
tokenizer = AutoTokenizer.from_pretrained(MODEL, revision="main", trust_remote_code=False)
train = load_dataset("json", data_files="../../../../specs/data/prompts.jsonl", split="train")
train = train.map(lambda row: {"prompt": row["prompt"]})
train = train.filter(
    lambda row: len(
        tokenizer(row["prompt"])["input_ids"]
        if isinstance(row["prompt"], str)
        else tokenizer.apply_chat_template(row["prompt"], add_generation_prompt=True)["input_ids"]
    ) <= 64
)  # fmt: skip
prompts = ppo.tokenised(train, tokenizer)
# The trainer sets no seed before it makes what is drawn: an adapter, and the order within a batch
set_seed(42)
model = AutoModelForCausalLM.from_pretrained(
    MODEL, revision="main", dtype="auto", attn_implementation="sdpa", trust_remote_code=False,
)  # fmt: skip
reward_model = rewards.model(
    name="org/base", adapter="org/reward", trust_remote_code=False,
)  # fmt: skip
# It learns what each token is worth, and begins as the model that scores whole completions
value_model = deepcopy(reward_model).float()

args = PPOConfig(
    # results, logging and evaluation
    output_dir="../runs/ppo/trl/model", save_strategy="no", load_best_model_at_end=False,
    push_to_hub=False, logging_steps=10, logging_strategy="steps", logging_first_step=False,
    logging_nan_inf_filter=False, report_to="none", eval_strategy="no",
    # length, batch and optimizer
    total_episodes=48, per_device_train_batch_size=16, gradient_accumulation_steps=1,
    average_tokens_across_devices=True, learning_rate=1e-05, lr_scheduler_type="cosine",
    lr_scheduler_kwargs={"num_cycles": 0.5}, warmup_steps=1, optim="adamw_torch_fused",
    adam_beta1=0.9, adam_beta2=0.999, adam_epsilon=1e-08, weight_decay=0.0, max_grad_norm=0.5,
    label_smoothing_factor=0.0, neftune_noise_alpha=None,
    # model, precision and memory
    bf16=False, fp16=False, tf32=False, use_cpu=True, use_liger_kernel=False,
    gradient_checkpointing=True, gradient_checkpointing_kwargs={"use_reentrant": False},
    model_adapter_name=None,
    # data and loss
    dataloader_drop_last=True, seed=42, data_seed=42,
    # completions
    temperature=0.8, response_length=24, stop_token="eos", missing_eos_penalty=1.0,
    local_rollout_forward_batch_size=8, num_sample_generations=0,
    # rewards and policy
    num_ppo_epochs=2, num_mini_batches=2, kl_coef=0.1, kl_estimator="k3", cliprange=0.1,
    cliprange_value=0.3, vf_coef=0.2, gamma=0.99, lam=0.9, whiten_rewards=True,
    ref_adapter_name=None,
)  # fmt: skip
peft_config = LoraConfig(
    r=16, lora_alpha=32, lora_dropout=0.0, target_modules="all-linear", bias="none",
    use_rslora=False, use_dora=False, init_lora_weights=True, modules_to_save=None,
)  # fmt: skip
trainer = ppo.Trainer(
    args=args, processing_class=tokenizer, model=model, ref_model=None, reward_model=reward_model,
    value_model=value_model, train_dataset=prompts, peft_config=peft_config,
)  # fmt: skip
trainer.train()
trainer.save_model()
trainer.save_state()
