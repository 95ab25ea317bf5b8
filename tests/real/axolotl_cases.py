"""Configs and specs whose rows are held against axolotl's own."""

from __future__ import annotations

from typing import Any

from ftspec.families.rows.instructions import custom, named

BASE: dict[str, Any] = {
    "base_model": "tiny-model",
    "adapter": "lora", "lora_r": 8, "lora_alpha": 16, "lora_target_linear": True,
    "micro_batch_size": 2, "gradient_accumulation_steps": 2, "learning_rate": 1e-4,
    "num_epochs": 1, "sequence_len": 512, "seed": 42, "bf16": False,
    "special_tokens": {"pad_token": "<|im_end|>"},
}  # fmt: skip
CUSTOM = {
    "field_instruction": "question", "field_input": "context", "field_output": "output",
    "format": "[INST] {{ {input}\n{instruction} [/INST]", "no_input_format": "[INST] {instruction} [/INST]",
    "system_prompt": "Answer {briefly}.", "system_format": "<<{system}>>\n",
}  # fmt: skip
CASES: dict[str, tuple[Any, dict[str, Any]]] = {
    # a type of rows, or what an entry says beside `type: alpaca`; and the config
    "alpaca": ("alpaca", {"val_set_size": 0.2}),
    "all-of-it": ("alpaca", {"train_on_inputs": True, "val_set_size": 7, "seed": 7}),
    "short": ("alpaca", {"sequence_len": 150, "val_set_size": 0.1}),
    "cut": ("alpaca", {"sequence_len": 200, "excess_length_strategy": "truncate"}),
    "chatml": ("alpaca:chatml", {}),
    "phi": ("alpaca:phi", {}),
    **{
        name.replace(":", "-"): (name, {})
        for name in (
            "jeopardy",
            "gpteacher",
            "oasst",
            "alpaca_chat",
            "alpaca_chat.load_concise",
            "alpaca_chat.load_qa",
            "alpaca_chat.load_camel_ai",
            "alpaca_chat.load_no_prompt",
            "alpaca_instruct",
            "alpaca_instruct.load_no_prompt",
            "alpaca_w_system",
            "alpaca_w_system.load_instruct",
            "alpaca_w_system.load_open_orca",
            "alpaca_w_system.load_open_orca_chatml",
            "context_qa",
            "context_qa.load_404",
            "creative_acr.load_answer",
            "orcamini",
            "summarizetldr",
        )
    },
    "context_qa.load_v2": ({"type": "context_qa.load_v2", "path": "told.jsonl"}, {}),
    "pieces": ({"path": "./", "data_files": ["rest.jsonl", "first.jsonl"]}, {"val_set_size": 0.2}),
    "a-piece": ({"path": "./", "data_files": "first.jsonl"}, {}),
    "a-table": ({"path": "rows.csv", "ds_type": "csv"}, {}),
    "a-slice": ({"split": "train[:17]", "shards": None, "revision": "main"}, {}),
    "a-style": ({"type": "alpaca_chat", "conversation": "chatml", "split": "train[:50]"}, {}),
    "custom": (CUSTOM, {"val_set_size": 0.3}),
    "custom-no-column": ({**CUSTOM, "field_system": "nowhere"}, {}),
    "custom-column": ({**CUSTOM, "field_system": "role"}, {}),
    "custom-plain": ({"field_input": "nowhere"}, {}),
    "completion": ("completion", {"sequence_len": 48}),
    "completion-held-out": ("completion", {"sequence_len": 32, "val_set_size": 0.2, "seed": 3}),
    "completion-few-rows": ("completion", {"sequence_len": 8, "min_sample_len": 6}),
    "distinct": (
        "completion",
        {"sequence_len": 40, "val_set_size": 0.2, "dataset_exact_deduplication": True},
    ),
}
THINKS = (
    "{%- for message in messages %}{{ '<|im_start|>' + message.role + '\n' }}{% if message.thinking %}"
    "{{ '<' + message.thinking + '>' }}{% endif %}{{ message.content + '<|im_end|>\n' }}{%- endfor %}"
)
UNSEEN = THINKS.replace("message.", "turn.").replace("for message", "for turn")
CHATS: dict[str, tuple[dict[str, Any], dict[str, Any]]] = {
    "own": ({}, {}),
    **{
        f"of-{name}": ({}, {"chat_template": name})
        for name in (
            "chatml",
            "qwen_25",
            "qwen3",
            "phi_35",
            "llama3",
            "gemma3",
            "mistral_v1",
            "deepseek_v2",
            "alpaca",
            "exaone",
        )
    },
    "every-turn": ({}, {"train_on_inputs": True, "chat_template": "qwen3"}),
    "every-turn-of-its-own": ({"roles_to_train": ["user"]}, {"train_on_inputs": True}),
    "no-ends": ({"train_on_eos": "none"}, {"chat_template": "chatml"}),
    "ends-by-their-other-name": (
        {"train_on_eos": "none", "train_on_eot": "turn", "roles_to_train": ["gpt"]},
        {"chat_template": "qwen3"},
    ),
    "two-ends": ({"train_on_eos": "turn"}, {"eot_tokens": ["\n"]}),
    "flags": (
        {"path": "flagged.jsonl", "message_field_training": "train"},
        {"chat_template": "qwen3"},
    ),
    "flags-of-all": (
        {"path": "flagged.jsonl", "message_field_training": "train", "train_on_eos": "none"},
        {"chat_template": "chatml", "train_on_inputs": True},
    ),
    "no-system": ({"drop_system_message": True}, {"chat_template": "chatml"}),
    "tools": ({"path": "calls.jsonl"}, {"chat_template": "qwen3"}),
    "tools-by-another-name": (
        {"path": "calls.jsonl", "field_tools": "functions"},
        {"chat_template": "qwen3"},
    ),
    "thoughts": ({"path": "thoughts.jsonl"}, {"chat_template": "qwen3"}),
    "thoughts-by-another-name": (
        {"path": "thoughts.jsonl", "field_thinking": "thinking"},
        {"chat_template": "qwen3"},
    ),
    "thoughts-that-are-asked-for": (
        {
            "path": "thoughts.jsonl",
            "field_thinking": "thinking",
            "template_thinking_key": "thinking",
            "chat_template": "jinja",
            "chat_template_jinja": "./thinks.jinja",
        },
        {},
    ),
    "thoughts-that-are-not-seen": (
        {"path": "thoughts.jsonl"},
        {"chat_template_jinja": UNSEEN},
    ),
    "thoughts-that-are-named": (
        {
            "path": "thoughts.jsonl",
            "message_property_mappings": {
                "role": "role",
                "content": "content",
                "thinking": "thinking",
            },
        },
        {"chat_template_jinja": UNSEEN},
    ),
    **{
        f"thoughts-of-{name}": ({"path": "thoughts.jsonl"}, {"chat_template": name})
        for name in ("exaone4", "gemma4")
    },
    "a-template-that-is-not-read": (
        {"chat_template_jinja": "{{ messages[0].content }}"},
        {"chat_template": "chatml"},
    ),
    "roles": (
        {"roles": {"user": ["user"], "assistant": ["assistant"], "system": ["system"]}},
        {"chat_template": "chatml"},
    ),
    "sharegpt": (
        {
            "path": "talks.jsonl",
            "field_messages": "talk",
            "message_property_mappings": {"role": "from", "content": "value"},
            "roles": {"user": ["human", "user"], "assistant": ["gpt"], "system": ["system"]},
        },
        {"chat_template": "chatml"},
    ),
    "cut-chats": ({}, {"sequence_len": 128, "excess_length_strategy": "truncate"}),
}
"""Of conversations: what an entry says, and the config."""
CHANGED = "a file that changes"
"""Made twice: with another file in between."""
ASKED = {"prompt": "[INST] {{ question }} {[/INST]", "completion": "{{ answer }}"}
SPECS_OF_ROWS: dict[str, tuple[dict[str, Any], tuple[str, ...]]] = {
    "turns": ({}, ()),
    "turns without their ends": ({"turn_part": "said"}, ()),
    "every turn": ({"train_on": "all"}, ()),
    "another end": ({"turn_ends": ["\n"]}, ()),
    "a named template": ({"overflow": "truncate", "max_length": 100}, ("model.chat_template=chatml",)),
    "a template of a file, told something": (
        {"overflow": "drop", "max_length": 120},
        ("model.chat_template=./own.jinja", "model.template_options={loud: true}"),
    ),
    "calls of tools": ({"train": "calls.jsonl"}, ()),
    "sharegpt under another name": (
        {"train": {"path": "talks.jsonl", "columns": {"conversations": "talk"}}}, (),
    ),
    "two files, the first rows, mixed": (
        {"train": ["calls.jsonl", {"path": "chats.jsonl", "limit": 11}], "mixed": True}, ("train.seed=3",),
    ),
    "one file, mixed": ({"mixed": True, "overflow": "drop", "max_length": 100}, ()),
    "the prompt of alpaca": ({"train": {"path": "rows.jsonl", "template": named("alpaca")}}, ()),
    "alpaca:chat, all": (
        {"train": {"path": "rows.jsonl", "template": named("alpaca:chat")}, "train_on": "all"}, (),
    ),
    "own formats": ({"train": {"path": "rows.jsonl", "template": custom(CUSTOM)}}, ()),
    "one column, of a table": (
        {
            "train": {"path": "rows.parquet", "limit": 40, "template": ASKED},
            "overflow": "truncate", "max_length": 24,
        }, (),
    ),
    CHANGED: ({"train": "changed.jsonl"}, ()),
    "texts": (
        {"train": {"path": "rows.jsonl", "format": "text", "columns": {"text": "output"}}},
        ("method.objective=cpt",),
    ),
}  # fmt: skip
"""Specs whose rows axolotl makes itself: `data`, and more sets."""
OWN = (
    "{%- for message in messages %}{{ '<|im_start|>' + message.role + ('!' if loud else '') + '\n' }}"
    "{{ message.content + (message.reasoning_content or '') + '<|im_end|>\n' }}{%- endfor %}"
)
KEYS = (
    *("chat_template", "train_on_inputs", "eot_tokens", "sequence_len", "excess_length_strategy"),
    *("dataset_prepared_path", "skip_prepare_dataset", "shuffle_merged_datasets"),
)
"""Keys of rows, beside their data sets."""
