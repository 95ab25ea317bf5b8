"""Rewards for completions, as trl's trainers call them: lists in, a list of numbers out.

This file is copied beside a training script as it is. It needs nothing but Python; only `model` uses
the libraries of the training.
"""

from __future__ import annotations

import importlib.util
import json
import re
from pathlib import Path


def text(completion):
    """What the model wrote: a text, or the last message of a conversation."""
    return completion if isinstance(completion, str) else completion[-1]["content"]


def in_format(tags):
    """1 where a completion is nothing but these tags, one after the other, each with something in it."""
    parts = (rf"<{tag}>(?!.*<{tag}>).+?</{tag}>" for tag in tags)
    shape = re.compile(r"\s*" + r"\s*".join(parts) + r"\s*", re.DOTALL)

    def reward_format(completions, **_):
        return [float(bool(shape.fullmatch(text(each)))) for each in completions]

    return reward_format


def matches(pattern):
    """1 where the pattern is found."""
    shape = re.compile(pattern, re.DOTALL)

    def reward_regex(completions, **_):
        return [float(bool(shape.search(text(each)))) for each in completions]

    return reward_regex


def exact_match(column, pattern):
    """1 where the answer is that of the row's column, spaces around it aside.

    With a pattern, the answer is what its first group finds last.
    """
    shape = re.compile(pattern, re.DOTALL) if pattern else None

    def answer(completion):
        if shape is None:
            return text(completion).strip()
        found = [each[1] for each in shape.finditer(text(completion)) if each[1] is not None]
        return found[-1].strip() if found else None

    def reward_exact_match(completions, **columns):
        if column not in columns:
            raise KeyError(f"the data has no column {column!r}; it has {', '.join(columns)}")
        right = columns[column]
        pairs = zip(completions, right, strict=True)
        return [float(answer(each) == str(wanted).strip()) for each, wanted in pairs]

    return reward_exact_match


def length(minimum, maximum, unit):
    """1 within the limits; outside, the shorter of length and limit divided by the longer."""

    def score(size):
        if minimum is not None and size < minimum:
            return size / minimum
        return maximum / size if maximum is not None and size > maximum else 1.0

    def reward_length(completions, completion_ids, **_):
        if unit == "tokens":
            return [score(len(ids)) for ids in completion_ids]
        words = unit == "words"
        texts = [text(each) for each in completions]
        return [score(len(each.split() if words else each)) for each in texts]

    return reward_length


def json_schema(schema):
    """1 where a completion is JSON, and nothing else, that the schema allows."""

    def score(completion):
        try:
            value = json.loads(text(completion))
        except (ValueError, RecursionError):
            return 0.0
        return float(allowed(value, schema))

    def reward_json_schema(completions, **_):
        return [score(each) for each in completions]

    return reward_json_schema


KINDS = {
    "object": lambda value: isinstance(value, dict),
    "array": lambda value: isinstance(value, list),
    "string": lambda value: isinstance(value, str),
    "number": lambda value: isinstance(value, (int, float)) and not isinstance(value, bool),
    "integer": lambda value: KINDS["number"](value) and value % 1 == 0,
    "boolean": lambda value: isinstance(value, bool),
    "null": lambda value: value is None,
}


def same(one, other):
    """Equality as JSON has it: true is not 1."""
    return json.dumps(one, sort_keys=True) == json.dumps(other, sort_keys=True)


def allowed(value, schema):
    """Whether a schema allows a value. Words that speak of another type say nothing."""
    kinds = schema.get("type", [])
    kinds = [kinds] if isinstance(kinds, str) else kinds
    fits = not kinds or any(KINDS[kind](value) for kind in kinds)
    listed = any(same(value, each) for each in schema.get("enum", [value]))
    if not (fits and listed and same(value, schema.get("const", value))):
        return False
    if KINDS["number"](value):
        return schema.get("minimum", value) <= value <= schema.get("maximum", value)
    if isinstance(value, str):
        size = len(value)
        return schema.get("minLength", 0) <= size <= schema.get("maxLength", size)
    if isinstance(value, list):
        size = len(value)
        within = schema.get("minItems", 0) <= size <= schema.get("maxItems", size)
        return within and all(allowed(each, schema.get("items", {})) for each in value)
    named = value if isinstance(value, dict) else {}
    needed = schema.get("required", ()) if isinstance(value, dict) else ()
    return all(name in named for name in needed) and all(
        allowed_property(name, each, schema) for name, each in named.items()
    )


def allowed_property(name, value, schema):
    """The same for one property of an object."""
    known = schema.get("properties", {})
    if name in known:
        return allowed(value, known[name])
    other = schema.get("additionalProperties", True)
    return other if isinstance(other, bool) else allowed(value, other)


def own(file, function):
    """A function out of a file beside this one."""
    place = Path(__file__).with_name(file)
    spec = importlib.util.spec_from_file_location(place.stem, place)
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return getattr(module, function)


def model(name, adapter, trust_remote_code):
    """A reward model, in the type that it was saved in; an adapter is merged into it in float32."""
    import torch
    from peft import PeftModel
    from transformers import AutoModelForSequenceClassification

    dtype = "auto" if adapter is None else torch.float32
    scored, told = AutoModelForSequenceClassification.from_pretrained(
        name,
        num_labels=1,
        dtype=dtype,
        trust_remote_code=trust_remote_code,
        output_loading_info=True,
    )
    drawn = told["missing_keys"]  # a head that is not there is drawn, and its scores mean nothing
    if adapter is not None:
        scored = PeftModel.from_pretrained(scored, adapter)
        saved = scored.active_peft_config.modules_to_save or ()
        drawn = [key for key in drawn if not {*key.split(".")} & {*saved}]
        scored = scored.merge_and_unload(safe_merge=True)
    if drawn:
        raise ValueError(f"{adapter or name} is no reward model: it has no {', '.join(drawn)}")
    return scored.eval()


def keeping(trainer, names, file="samples.jsonl", most=8):
    """The trainer's class, which notes the first completions of each round with their rewards.

    ``names`` are what the rewards are called, there and in the log.
    """

    class Keeping(trainer):
        def __init__(self, *given, **named):
            super().__init__(*given, **named)
            self.reward_func_names = list(names)

        def _calculate_rewards(self, inputs, prompts, completions, ids):
            scores = super()._calculate_rewards(inputs, prompts, completions, ids)
            self._keep(prompts, completions, ids, scores.tolist(), names)
            return scores

        def _calculate_rewards_from_functions(
            self, prompts, completions, completion_ids_list, **more
        ):
            # of online DPO, which adds the rewards up by itself
            totals = super()._calculate_rewards_from_functions(
                prompts=prompts,
                completions=completions,
                completion_ids_list=completion_ids_list,
                **more,
            )
            scores = [[total] for total in totals.tolist()]
            self._keep(prompts, completions, completion_ids_list, scores, ["total"])
            return totals

        def _keep(self, prompts, completions, ids, scores, names):
            if not (self.accelerator.is_main_process and self.model.training):
                return
            folder = Path(self.args.output_dir)
            folder.mkdir(parents=True, exist_ok=True)
            rounds = list(zip(prompts, completions, ids, scores, strict=False))
            with (folder / file).open("a", encoding="utf-8") as out:
                for prompt, completion, tokens, reward in rounds[:most]:
                    row = {
                        "step": self.state.global_step + 1,
                        "prompt": prompt,
                        "completion": completion,
                        "tokens": len(tokens),
                        "rewards": dict(zip(names, reward, strict=True)),
                    }
                    print(json.dumps(row, ensure_ascii=False), file=out)

    Keeping.__name__ = trainer.__name__
    return Keeping
