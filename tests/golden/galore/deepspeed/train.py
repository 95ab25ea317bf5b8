# /// script
# requires-python = ">=3.11"
# dependencies = [
#     "deepspeed==0.19.8", "trl==1.16.0", "transformers==5.6.0", "peft==0.18.1",
#     "accelerate==1.11.0", "datasets==5.2.0", "torch==2.11.0", "galore-torch==1.0",
# ]
# ///
# Fine-tuning with DeepSpeed; compiled by ftspec 0.1.0 from galore (sha256 54351399cf95)

from datasets import load_dataset
from transformers import AutoTokenizer
from trl import SFTConfig, SFTTrainer

MODEL = "../../../../specs/tiny-model"
tokenizer = AutoTokenizer.from_pretrained(MODEL, revision="main", trust_remote_code=False)
train = load_dataset("json", data_files="../../../../specs/data/chat.jsonl", split="train")
train = train.select_columns(["messages"])

args = SFTConfig(
    # results, logging and evaluation
    output_dir="../runs/galore/deepspeed/model", save_strategy="no", load_best_model_at_end=False,
    push_to_hub=False, logging_steps=10, logging_strategy="steps", logging_first_step=False,
    logging_nan_inf_filter=False, report_to="none", eval_strategy="no",
    # length, batch and optimizer
    max_steps=40, per_device_train_batch_size=8, gradient_accumulation_steps=2,
    average_tokens_across_devices=True, learning_rate=0.0001,
    lr_scheduler_type="warmup_stable_decay",
    lr_scheduler_kwargs={
        "num_stable_steps": 32, "num_decay_steps": 4, "decay_type": "1-sqrt", "min_lr_ratio": 0.1,
        "warmup_type": "linear", "num_cycles": 0.5,
    },
    warmup_steps=4, optim="galore_adamw",
    optim_args="rank=8,update_proj_gap=200,scale=0.25,proj_type=std",
    optim_target_modules=["q_proj", "v_proj"], weight_decay=0.0, max_grad_norm=1.0,
    label_smoothing_factor=0.0, neftune_noise_alpha=None,
    # model, precision and memory
    model_init_kwargs={"revision": "main", "dtype": "float32", "attn_implementation": "sdpa"},
    trust_remote_code=False, bf16=False, fp16=False, tf32=False, use_cpu=True,
    use_liger_kernel=False, gradient_checkpointing=True,
    gradient_checkpointing_kwargs={"use_reentrant": False}, deepspeed="ds_config.json",
    # data and loss
    max_length=512, truncation_mode="keep_start", completion_only_loss=False,
    assistant_only_loss=True, loss_type="nll", router_aux_loss_coef=0.0, packing=False,
    padding_free=False, pad_to_multiple_of=8, shuffle_dataset=False,
    train_sampling_strategy="random", dataloader_drop_last=False, seed=42, data_seed=42,
)  # fmt: skip
trainer = SFTTrainer(
    model=MODEL, args=args, train_dataset=train,
    processing_class=tokenizer,
)  # fmt: skip
trainer.train()
trainer.save_model()
trainer.save_state()
