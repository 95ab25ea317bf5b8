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
# Fine-tuning with Unsloth; compiled by ftspec 0.1.0 from hub-awkward (sha256 51e1e80c41b5)

from unsloth import FastLanguageModel  # isort: skip - first, because it patches the others
from datasets import concatenate_datasets, load_dataset
from transformers import AutoConfig
from trl import SFTConfig, SFTTrainer

stored = AutoConfig.from_pretrained("off/1e-4", revision="0x1F", trust_remote_code=False).dtype
if stored is None:  # of which Unsloth would make bfloat16
    raise SystemExit("the model's config.json names no type of its weights: name it here")
model, tokenizer = FastLanguageModel.from_pretrained(
    model_name="off/1e-4", revision="0x1F", dtype=stored, attn_implementation="sdpa",
    trust_remote_code=False, load_in_4bit=False, load_in_8bit=False, full_finetuning=False,
    max_seq_length=2048, use_gradient_checkpointing=True, use_exact_model_name=True,
)  # fmt: skip
model = FastLanguageModel.get_peft_model(
    model, r=16, lora_alpha=32, lora_dropout=0.0, target_modules=["y", "null", "e1"],
    target_parameters=[], bias="none", modules_to_save=None, use_rslora=False, use_dora=False,
    init_lora_weights=True, random_state=42, use_gradient_checkpointing=True,
)  # fmt: skip
train = concatenate_datasets([
    load_dataset("no/null", "3.10", split="train[:10%]"),
    load_dataset('o\'brien/"quoted"', "{{ x }} # 1", split="on"),
])  # fmt: skip
train = train.select_columns(["yes"])
train = train.rename_columns({"yes": "messages"})

args = SFTConfig(
    # results, logging and evaluation
    output_dir='../runs/it\'s $HOME; `date` & "more"/unsloth/model', save_strategy="no",
    load_best_model_at_end=False, push_to_hub=True, hub_model_id="1e-4/no", hub_private_repo=False,
    logging_steps=10, logging_strategy="steps", logging_first_step=False,
    logging_nan_inf_filter=False, report_to=["trackio"], eval_strategy="no",
    # length, batch and optimizer
    max_steps=1000, per_device_train_batch_size=8, gradient_accumulation_steps=2,
    average_tokens_across_devices=True, learning_rate=0.0002, lr_scheduler_type="cosine",
    lr_scheduler_kwargs={"num_cycles": 0.5}, warmup_steps=30, optim="adamw_torch_fused",
    adam_beta1=0.9, adam_beta2=0.999, adam_epsilon=1e-08, weight_decay=0.0, max_grad_norm=1.0,
    label_smoothing_factor=0.0, neftune_noise_alpha=None,
    # model, precision and memory
    bf16=True, fp16=False, tf32=False, use_cpu=False, use_liger_kernel=False,
    gradient_checkpointing=True, gradient_checkpointing_kwargs={"use_reentrant": False},
    # data and loss
    max_length=2048, truncation_mode="keep_start", completion_only_loss=False,
    assistant_only_loss=True, loss_type="nll", router_aux_loss_coef=0.0, packing=False,
    padding_free=False, pad_to_multiple_of=8, shuffle_dataset=False,
    train_sampling_strategy="random", dataloader_drop_last=False, seed=42, data_seed=42,
)  # fmt: skip
trainer = SFTTrainer(
    model=model, args=args, train_dataset=train,
    processing_class=tokenizer,
)  # fmt: skip
trainer.train()
trainer.save_model()
trainer.save_state()
