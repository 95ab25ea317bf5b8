# /// script
# requires-python = ">=3.11"
# dependencies = [
#     "trl==1.16.0", "transformers==5.6.0", "peft==0.18.1", "accelerate==1.11.0",
#     "datasets==5.2.0", "torch==2.11.0", "torchvision==0.26.0", "pillow==11.3.0",
# ]
# ///
# Fine-tuning with TRL; compiled by ftspec 0.1.0 from image-pairs (sha256 be5e1f25876c)

import math
import re
from os.path import join
from pathlib import Path

import torch
from datasets import load_dataset
from PIL import Image, ImageOps
from transformers import AutoModelForImageTextToText, AutoProcessor, AutoTokenizer
from trl import DPOConfig, DPOTrainer

IMAGE_FOLDER, IMAGE_MARK = "..", "<|vision_start|><|image_pad|><|vision_end|>"
MIN_PIXELS, MAX_PIXELS, SQUARE = None, 262144, None
MAX_WIDTH = None
FROZEN = "(?!.*\\b(language_model|lm_head)\\b).*"
LEARNED = "answers"
TURN_ENDS = None


def resized(image, pixels):
    factor = math.sqrt(pixels / (image.width * image.height))
    return image.resize((int(image.width * factor), int(image.height * factor)))


def shown(image):
    """An image as the processor gets it."""
    if isinstance(image, str):
        image = Image.open(join(IMAGE_FOLDER, image))
    if MAX_WIDTH and image.width > MAX_WIDTH:
        height = (image.height * MAX_WIDTH + image.width // 2) // image.width
        image = image.resize((MAX_WIDTH, max(1, height)), Image.Resampling.LANCZOS)
    if MAX_PIXELS and image.width * image.height > MAX_PIXELS:
        image = resized(image, MAX_PIXELS)
    if MIN_PIXELS and image.width * image.height < MIN_PIXELS:
        image = resized(image, MIN_PIXELS)
    image = image.convert("RGB")
    if SQUARE:
        image = ImageOps.pad(image, (SQUARE, SQUARE), Image.Resampling.BILINEAR, (0, 0, 0))
    return image


def in_parts(content):
    """Texts and places of images, one after the other."""
    if not isinstance(content, str):
        return [part for each in content for part in (
            in_parts(each["text"]) if each["type"] == "text" else [{"type": each["type"]}]
        )]  # fmt: skip
    first, *texts = content.split("<image>")
    parts = [{"type": "text", "text": first}]
    for text in texts:
        parts += [{"type": "image"}, {"type": "text", "text": text}]
    return [part for part in parts if part["type"] == "image" or part["text"]]


def places(turns):
    return [part for turn in turns for part in turn["content"] if part["type"] == "image"]


def conversation(turns, images):
    """Turns in parts, and their images."""
    turns = [{**turn, "content": in_parts(turn["content"])} for turn in turns]
    images = images if isinstance(images, list) else [images]
    images = [shown(image) for image in images if image is not None]
    if images and not places(turns):
        asked = next(turn for turn in turns if turn["role"] == "user")
        asked["content"] = [{"type": "image"} for _ in images] + asked["content"]
    if len(places(turns)) != len(images):
        raise ValueError(f"{len(images)} images for {len(places(turns))} places: {turns}")
    return turns, images


def written(turns, opened):
    """The text of a conversation, with an open answer behind it or none."""
    if IMAGE_MARK:
        turns = [
            {**turn, "content": "".join(part.get("text", IMAGE_MARK) for part in turn["content"])}
            for turn in turns
        ]
    return processor.apply_chat_template(turns, tokenize=False, add_generation_prompt=opened)


def batch_of(conversations, opened=False):
    images = [images for _, images in conversations]
    return processor(
        text=[written(turns, opened) for turns, _ in conversations],
        images=images if any(images) else None,
        padding=True, padding_side="right", pad_to_multiple_of=8, add_special_tokens=False,
        return_tensors="pt",
    )  # fmt: skip


def beginning(turns, images, ids, opened):
    """How many tokens of a row these first turns are."""
    batch = batch_of([(turns, images[: len(places(turns))])], opened)
    length = int(batch["attention_mask"].sum())
    if not torch.equal(batch["input_ids"][0, :length], ids[:length]):
        raise ValueError(f"the template writes the first {len(turns)} turns in another way alone")
    return length


def collate(rows):
    """A batch of pairs, made when it is needed: the chosen answers, then the rejected ones."""
    conversations, given = [], []
    for answer in ("chosen", "rejected"):
        for row in rows:
            conversations.append(conversation(row["prompt"] + row[answer], row["images"]))
            given.append(len(row["prompt"]))
    batch = batch_of(conversations)
    longest = int(batch["attention_mask"].sum(1).max())
    if args.max_length and longest > args.max_length:
        raise ValueError(f"a row has {longest} tokens with its images, more than {args.max_length}")
    learned = torch.zeros_like(batch["attention_mask"])
    for (turns, images), count, ids, mask in zip(conversations, given, batch["input_ids"], learned):
        start = beginning(turns[:count], images, ids, True)
        mask[start : beginning(turns, images, ids, False)] = 1
    return {**batch, "completion_mask": learned}


MODEL = ".."
tokenizer = AutoTokenizer.from_pretrained(MODEL, revision="main", trust_remote_code=False)
processor = AutoProcessor.from_pretrained(MODEL, revision="main", trust_remote_code=False)
processor.tokenizer = tokenizer
tokenizer.pad_token = tokenizer.pad_token or tokenizer.eos_token
tokenizer.chat_template = Path("qwen2_vl.chat_template.jinja").read_text("utf-8")
processor.chat_template = tokenizer.chat_template
train = load_dataset("json", data_files="../rows.jsonl", split="train")
roles = {"human": "user", "gpt": "assistant"}
train = train.map(lambda row: {
    name: [{"role": roles.get(t["from"], t["from"]), "content": t["value"]} for t in turns]
    for name, turns in (
        ("prompt", row["conversations"]), ("chosen", [row["chosen"]]),
        ("rejected", [row["rejected"]]),
    )
}, remove_columns=[name for name in train.column_names if name != "pictures"])  # fmt: skip
train = train.rename_columns({"pictures": "images"})
model = AutoModelForImageTextToText.from_pretrained(
    MODEL, revision="main", dtype="float32", attn_implementation="sdpa", trust_remote_code=False,
)  # fmt: skip
for name, parameter in model.named_parameters():
    parameter.requires_grad_(not re.fullmatch(FROZEN, name))
reference = AutoModelForImageTextToText.from_pretrained(
    pretrained_model_name_or_path="..", revision="main", dtype="float32",
    attn_implementation="sdpa", trust_remote_code=False,
)  # fmt: skip

args = DPOConfig(
    # results, logging and evaluation
    output_dir="../runs/image-pairs/trl/model", save_strategy="no", load_best_model_at_end=False,
    push_to_hub=False, logging_steps=10, logging_strategy="steps", logging_first_step=False,
    logging_nan_inf_filter=False, report_to="none", eval_strategy="no",
    # length, batch and optimizer
    max_steps=10, per_device_train_batch_size=2, gradient_accumulation_steps=2,
    average_tokens_across_devices=True, learning_rate=5e-07, lr_scheduler_type="cosine",
    lr_scheduler_kwargs={"num_cycles": 0.5}, warmup_steps=1, optim="adamw_torch_fused",
    adam_beta1=0.9, adam_beta2=0.999, adam_epsilon=1e-08, weight_decay=0.0, max_grad_norm=1.0,
    label_smoothing_factor=0.0, neftune_noise_alpha=None,
    # model, precision and memory
    disable_dropout=True, bf16=False, fp16=False, tf32=False, use_cpu=True, use_liger_kernel=False,
    gradient_checkpointing=True, gradient_checkpointing_kwargs={"use_reentrant": False},
    # data and loss
    max_length=1024, truncation_mode="keep_start", loss_type=["sigmoid"], beta=0.2,
    label_smoothing=0.0, ld_alpha=None, discopop_tau=0.05, f_divergence_type="reverse_kl",
    use_weighting=False, precompute_ref_log_probs=False, sync_ref_model=False,
    router_aux_loss_coef=0.0, padding_free=False, pad_to_multiple_of=8,
    train_sampling_strategy="random", dataloader_drop_last=False, seed=42, data_seed=42,
)  # fmt: skip
trainer = DPOTrainer(
    model=model, ref_model=reference, args=args, train_dataset=train,
    processing_class=processor, data_collator=collate,
)  # fmt: skip
trainer.train()
trainer.save_model()
trainer.save_state()
