# /// script
# requires-python = ">=3.11"
# dependencies = [
#     "trl==1.16.0", "transformers==5.6.0", "peft==0.18.1", "accelerate==1.11.0",
#     "datasets==5.2.0", "torch==2.11.0",
# ]
# ///
# Fine-tuning with TRL; compiled by ftspec 0.1.0 from axolotl-tiny (sha256 f58928280a0e)

from datasets import load_from_disk
from peft import LoraConfig
from transformers import AutoTokenizer
from trl import SFTConfig, SFTTrainer

MODEL = "../../../../specs/tiny-model"
tokenizer = AutoTokenizer.from_pretrained(MODEL, revision="main", trust_remote_code=False)
train = load_from_disk("data/train")

args = SFTConfig(
    # results, logging and evaluation
    output_dir="../../../../specs/runs/axolotl-tiny/trl/model", save_strategy="no",
    load_best_model_at_end=False, push_to_hub=False, logging_steps=1, logging_strategy="steps",
    logging_first_step=False, logging_nan_inf_filter=False, report_to="none", eval_strategy="no",
    # length, batch and optimizer
    max_steps=6, per_device_train_batch_size=4, gradient_accumulation_steps=1,
    average_tokens_across_devices=True, learning_rate=0.0002, lr_scheduler_type="cosine",
    lr_scheduler_kwargs={"num_cycles": 0.5}, warmup_steps=2, optim="adamw_torch_fused",
    adam_beta1=0.9, adam_beta2=0.999, adam_epsilon=1e-08, weight_decay=0.0, max_grad_norm=1.0,
    label_smoothing_factor=0.0, neftune_noise_alpha=None,
    # model, precision and memory
    model_init_kwargs={"revision": "main", "dtype": "auto", "attn_implementation": "sdpa"},
    trust_remote_code=False, bf16=False, fp16=False, tf32=False, use_cpu=True,
    use_liger_kernel=False, gradient_checkpointing=False,
    # data and loss
    dataset_kwargs={"skip_prepare_dataset": True}, max_length=None, truncation_mode="keep_start",
    completion_only_loss=False, assistant_only_loss=False, loss_type="nll",
    router_aux_loss_coef=0.0, packing=False, padding_free=False, pad_to_multiple_of=8,
    shuffle_dataset=False, train_sampling_strategy="random", dataloader_drop_last=False, seed=42,
    data_seed=42,
)  # fmt: skip
peft_config = LoraConfig(
    r=8, lora_alpha=16, lora_dropout=0.0, target_modules="all-linear", bias="none",
    use_rslora=False, use_dora=False, init_lora_weights=True, modules_to_save=None,
)  # fmt: skip
trainer = SFTTrainer(
    model=MODEL, args=args, train_dataset=train,
    processing_class=tokenizer, peft_config=peft_config,
)  # fmt: skip
trainer.train()
trainer.save_model()
trainer.save_state()
