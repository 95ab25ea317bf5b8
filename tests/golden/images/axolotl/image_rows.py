"""Rows with images and their batches, as the spec says them: axolotl would take one image of each row."""

import math
from os.path import join
from types import SimpleNamespace

import torch
from axolotl import train as training
from axolotl.core.trainers import AxolotlTrainer
from axolotl.integrations.base import BasePlugin
from axolotl.loaders import load_processor
from axolotl.utils.data import sft
from PIL import Image, ImageOps

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


def shaped(train):
    train = train.select_columns(["messages", "pictures"])
    train = train.rename_columns({"pictures": "images"})
    return train


class Trainer(AxolotlTrainer):
    # named by the config: without this file axolotl would train on rows as it reads them itself
    pass


def load(cfg, tokenizer):
    found = load_processor(cfg, tokenizer)
    if cfg.chat_template == "jinja":
        found.chat_template = tokenizer.chat_template
    return found


class ImageRows(BasePlugin):
    def register(self, cfg):
        training.load_processor = load  # else its own template would be saved with the model
        sft.get_dataset_wrapper = lambda dataset, **_options: (shaped(dataset), None)

    def post_model_build(self, cfg, model):
        self.held = {name: parameter.dtype for name, parameter in model.named_parameters()}

    def pre_lora_load(self, cfg, model):
        cfg.lora_exclude_modules = FROZEN
        # beside a quantised base it has made float32 of all that is not quantised
        for name, parameter in model.named_parameters():
            if parameter.dtype != self.held[name]:
                parameter.data = parameter.data.to(self.held[name])

    def get_collator_cls_and_kwargs(self, cfg, is_eval=False):
        def collator(given, **_options):
            global args, processor, tokenizer
            limit = cfg.sequence_len if cfg.excess_length_strategy == "raise" else None
            args, tokenizer, processor = SimpleNamespace(max_length=limit), given, load(cfg, given)
            return collate

        return collator, {}
