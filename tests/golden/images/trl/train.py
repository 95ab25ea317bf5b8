# /// script
# requires-python = ">=3.11"
# dependencies = [
#     "trl==1.16.0", "transformers==5.6.0", "peft==0.18.1", "accelerate==1.11.0",
#     "datasets==5.2.0", "torch==2.11.0", "torchvision==0.26.0", "pillow==11.3.0",
# ]
# ///
# Fine-tuning with TRL; compiled by ftspec 0.1.0 from images (sha256 0356e380692b)

import math
from os.path import join

import torch
from datasets import load_dataset
from peft import LoraConfig
from PIL import Image, ImageOps
from transformers import AutoModelForImageTextToText, AutoProcessor, AutoTokenizer
from trl import SFTConfig, SFTTrainer

IMAGE_FOLDER, IMAGE_MARK = "..", "<|vision_start|><|image_pad|><|vision_end|>"
MIN_PIXELS, MAX_PIXELS, SQUARE = 1024, 262144, None
MAX_WIDTH = None
FROZEN = ".*\\b(multi_modal_projector|visual\\.merger)\\b.*"
LEARNED = "assistant"
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


def answer_end(ids, start, end):
    """Where an answer ends: behind its end-of-turn token, where these are named."""
    if TURN_ENDS is None:
        return end
    ends = [tokenizer.convert_tokens_to_ids(token) for token in TURN_ENDS]
    ends.append(tokenizer.eos_token_id)
    found = [at for at in range(start, end) if ids[at] in ends]
    if not found:
        raise ValueError(f"an answer ends with none of {TURN_ENDS}: {tokenizer.decode(ids)}")
    return found[0] + 1


def collate(rows):
    """A batch, made when it is needed: texts and images, with labels where an answer is learned."""
    conversations = [conversation(row["messages"], row["images"]) for row in rows]
    batch = batch_of(conversations)
    longest = int(batch["attention_mask"].sum(1).max())
    if args.max_length and longest > args.max_length:
        raise ValueError(f"a row has {longest} tokens with its images, more than {args.max_length}")
    learned = batch["attention_mask"] == 1
    if LEARNED == "text":
        learned &= batch["input_ids"] != processor.image_token_id
    elif LEARNED != "all":
        learned = torch.zeros_like(learned)
        for (turns, images), ids, mask in zip(conversations, batch["input_ids"], learned):
            answers = [at for at, turn in enumerate(turns) if turn["role"] == "assistant"]
            for at in answers[-1:] if LEARNED == "completions" else answers:
                start = beginning(turns[:at], images, ids, True)
                end = beginning(turns[: at + 1], images, ids, False)
                mask[start : answer_end(ids, start, end)] = True
    return {**batch, "labels": batch["input_ids"].where(learned, -100)}


MODEL = ".."
tokenizer = AutoTokenizer.from_pretrained(MODEL, revision="main", trust_remote_code=False)
processor = AutoProcessor.from_pretrained(MODEL, revision="main", trust_remote_code=False)
processor.tokenizer = tokenizer
tokenizer.pad_token = tokenizer.pad_token or tokenizer.eos_token
train = load_dataset("json", data_files="../rows.jsonl", split="train")
train = train.select_columns(["messages", "pictures"])
train = train.rename_columns({"pictures": "images"})
model = AutoModelForImageTextToText.from_pretrained(
    MODEL, revision="main", dtype="auto", attn_implementation="sdpa", trust_remote_code=False,
)  # fmt: skip

args = SFTConfig(
    # results, logging and evaluation
    output_dir="../runs/images/trl/model", save_strategy="no", load_best_model_at_end=False,
    push_to_hub=False, logging_steps=10, logging_strategy="steps", logging_first_step=False,
    logging_nan_inf_filter=False, report_to="none", eval_strategy="no",
    # length, batch and optimizer
    max_steps=10, per_device_train_batch_size=2, gradient_accumulation_steps=2,
    average_tokens_across_devices=True, learning_rate=0.0002, lr_scheduler_type="cosine",
    lr_scheduler_kwargs={"num_cycles": 0.5}, warmup_steps=1, optim="adamw_torch_fused",
    adam_beta1=0.9, adam_beta2=0.999, adam_epsilon=1e-08, weight_decay=0.0, max_grad_norm=1.0,
    label_smoothing_factor=0.0, neftune_noise_alpha=None,
    # model, precision and memory
    bf16=False, fp16=False, tf32=False, use_cpu=True, use_liger_kernel=False,
    gradient_checkpointing=True, gradient_checkpointing_kwargs={"use_reentrant": False},
    # data and loss
    chat_template_path="qwen2_vl.chat_template.jinja", max_length=1024,
    truncation_mode="keep_start", completion_only_loss=False, assistant_only_loss=False,
    loss_type="nll", router_aux_loss_coef=0.0, packing=False, padding_free=False,
    pad_to_multiple_of=8, shuffle_dataset=False, train_sampling_strategy="random",
    dataloader_drop_last=False, seed=42, data_seed=42,
)  # fmt: skip
peft_config = LoraConfig(
    r=16, lora_alpha=32, lora_dropout=0.0, target_modules="all-linear", bias="none",
    use_rslora=False, use_dora=False, init_lora_weights=True, modules_to_save=None,
)  # fmt: skip
peft_config.exclude_modules = FROZEN
trainer = SFTTrainer(
    model=model, args=args, train_dataset=train,
    processing_class=processor, data_collator=collate, peft_config=peft_config,
)  # fmt: skip
trainer.model_accepts_loss_kwargs = False  # a step is the mean of its passes' means
trainer.train()
trainer.save_model()
trainer.save_state()
