"""Names of calls that scripts train by, and where their arguments stand among trl's settings."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

TRAINERS: Mapping[str, str] = {
    "SFT": "sft", "DPO": "dpo", "KTO": "kto", "Reward": "reward", "ORPO": "orpo", "CPO": "cpo",
    "GRPO": "grpo", "RLOO": "rloo", "GKD": "gkd", "OnlineDPO": "online-dpo", "PPO": "ppo",
    "Unsloth": "sft",
}  # fmt: skip
CONFIGS = (*(f"{name}Config" for name in TRAINERS), "TrainingArguments", "UnslothTrainingArguments")
FAST = ("FastLanguageModel", "FastModel", "FastVisionModel")
SEEING = "AutoModelForImageTextToText"
"""transformers' class of models that read images."""
PROCESSOR = "AutoProcessor"
"""What reads images and texts for them."""
LOADERS = (
    "AutoModelForCausalLM.from_pretrained",
    f"{SEEING}.from_pretrained",
    *(f"{name}.from_pretrained" for name in FAST),
)
SCORED = "AutoModelForSequenceClassification.from_pretrained"
ADAPTERS = ("LoraConfig", *(f"{name}.get_peft_model" for name in FAST))
TOKENS = (
    *(f"tokenizer.{word}_token" for word in ("bos", "eos", "pad", "unk")),
    *("tokenizer.add_special_tokens", "tokenizer.add_tokens", "add_new_tokens"),
    *("model.resize_token_embeddings", "tokenizer.chat_template"),
)
"""Calls and assignments that change the tokenizer, and the embeddings with it."""
RESIZED = "model.resize_token_embeddings.0"
WHOLE = "len(tokenizer)"
"""To how many rows embeddings are resized; any other number is a question."""
SHARED = ("standardize_sharegpt", "standardize_data_formats")
"""Unsloth's names, old and new, of what makes `role` and `content` of `from` and `value`."""
CHAT_FORMAT = "setup_chat_format"
"""trl's, up to 0.25: ChatML with tokens of its own."""
HELPERS = ("get_chat_template", CHAT_FORMAT, *SHARED, "train_on_responses_only")
SAMPLING = "SamplingParams"
"""vLLM's class of arguments, which Unsloth's configs are given as `vllm_sampling_params`."""
COLLATOR = "DataCollatorForCompletionOnlyLM"
"""trl's, which lets what stands behind a piece of text train."""
OF_UNSLOTH = "UnslothVisionDataCollator"
OF_TRL = "DataCollatorForVisionLanguageModeling"
SHOWING = (OF_UNSLOTH, OF_TRL)
"""Collators of rows with images."""
COLLATED = "collate"
"""Below this key stands what a collator does that the script has written itself."""
SEES = "sees"
"""The class of a model that reads images, where the script names one."""
RECOMPUTED = "model.gradient_checkpointing_enable"
PREPARED = "prepare_model_for_kbit_training"
"""peft's, which switches that on where weights are quantised, unless it is told not to."""
READ = (
    *CONFIGS, *LOADERS, SCORED, *ADAPTERS, *(f"{name}Trainer" for name in TRAINERS), "BitsAndBytesConfig",
    "load_dataset", COLLATOR, *SHOWING, f"{PROCESSOR}.from_pretrained", *HELPERS, *TOKENS,
    "trainer.train", RECOMPUTED, "Trainer", SAMPLING,
)  # fmt: skip
IDLE = (
    "AutoTokenizer.from_pretrained", "prepare_model_for_kbit_training", "get_peft_model", "print", "login",
    "trainer.save_model", "model.save_pretrained", "tokenizer.save_pretrained", "wandb.init",
    "load_dotenv", "logging.basicConfig", "warnings.filterwarnings", "os.makedirs",
)  # fmt: skip
"""Calls that set nothing of their own."""
THROUGH = (
    "get_peft_model", "prepare_model_for_kbit_training", "train_on_responses_only", CHAT_FORMAT,
    *(f"{name}.get_peft_model" for name in FAST),
)  # fmt: skip
"""Calls that give back the model or the trainer that they are given."""
VALUED = (
    *CONFIGS, *LOADERS, SCORED, *ADAPTERS, "BitsAndBytesConfig", COLLATOR, *SHOWING, "load_dataset"
)  # fmt: skip
"""Calls whose arguments are settings: a name of something that is not known is a question there."""
OBJECTS = (
    "model",
    "tokenizer",
    "processing_class",
    "processor",
    "token",
    "cache_dir",
    "device_map",
    "max_memory",
    "use_auth_token",
)
MODULES = frozenset(
    ("trl", "transformers", "peft", "datasets", "unsloth", "unsloth_zoo", "torch", "accelerate", "vllm",
     "huggingface_hub", "bitsandbytes", "os", "wandb", "logging", "warnings", "dotenv", "pprint")
)  # fmt: skip
"""Packages whose calls are known."""
_SEEING = (
    "Qwen2VL", "Qwen2_5_VL", "Qwen3VL", "Qwen3VLMoe", "Gemma3", "Gemma3n", "Llava", "LlavaNext",
    "LlavaOnevision", "Mistral3", "InternVL", "Idefics2", "Idefics3", "SmolVLM", "PaliGemma", "Mllama",
    "Glm4v", "Llama4", "AyaVision",
)  # fmt: skip
"""Models that read images, by the names of their classes."""
ALIKE: Mapping[str, str] = {
    "ForSequenceClassification.from_pretrained": SCORED,
    **dict.fromkeys(
        (f"{name}ForConditionalGeneration.from_pretrained" for name in _SEEING), LOADERS[1]
    ),
    "AutoModelForVision2Seq.from_pretrained": LOADERS[1],
    "Processor.from_pretrained": f"{PROCESSOR}.from_pretrained",
    **dict.fromkeys(("ForCausalLM.from_pretrained", "LMHeadModel.from_pretrained"), LOADERS[0]),
    **dict.fromkeys(
        ("Tokenizer.from_pretrained", "TokenizerFast.from_pretrained"),
        "AutoTokenizer.from_pretrained",
    ),
}
"""Classes of one architecture, whose calls say what those of any say."""
PARTED = ("load_dataset",)
DIVIDES = ("train_test_split",)
GIVEN_ROWS = ("train_dataset", "eval_dataset")
"""Below these keys stands which call has loaded the rows that a trainer is given, and which part of them."""
UNUSED = "unused LoraConfig"
"""An adapter that is described, and that neither the trainer nor the model is given."""
UNUSED_BITS = "unused BitsAndBytesConfig"
"""Weights in few bits that are described, and that no model is loaded with."""
TOKENIZER = "AutoTokenizer"
"""Below this key stands how the tokenizer is loaded."""
TOKENIZED = f"{TOKENIZER}.from_pretrained"
ATTRIBUTES = {TOKENIZED: ("add_eos_token", "add_bos_token")}
"""What may be said where an object is made, or set on it afterwards."""
OWN_TOKENS = tuple(f"{word}_token" for word in ("bos", "eos", "pad", "unk"))
UNTIL = "until"
"""Below this key stands the last release of trl that has all that the script uses, and what tells it."""
LAST: Mapping[str, Mapping[str, int]] = {
    "SFTTrainer": dict.fromkeys(
        ("dataset_text_field", "packing", "max_seq_length", "dataset_num_proc", "dataset_batch_size",
         "neftune_noise_alpha", "model_init_kwargs", "dataset_kwargs", "eval_packing",
         "num_of_sequences", "chars_per_token", "infinite"),
        12,
    ),
    "DPOTrainer": dict.fromkeys(
        ("beta", "label_smoothing", "loss_type", "label_pad_token_id", "padding_value",
         "truncation_mode", "max_length", "max_prompt_length", "max_target_length",
         "is_encoder_decoder", "disable_dropout", "generate_during_eval",
         "precompute_ref_log_probs", "ref_model_init_kwargs", "reference_free",
         "force_use_ref_model"),
        12,
    ),
    "RewardTrainer": {"max_length": 13},
    "Trainer": {"tokenizer": 15},
    "SFTConfig": {"max_seq_length": 19},
    "Config": {"max_prompt_length": 27},
    "DPOConfig": {"max_prompt_length": 28},
    "RLOOConfig": {"max_prompt_length": 28},
    "KTOConfig": {"max_prompt_length": 26},
}  # fmt: skip
"""Arguments that classes of trl had up to release 0.N; `Trainer` and `Config` are any of them."""
ASSUMED: Mapping[str, Any] = {
    "beta": 0.1, "label_smoothing": 0, "label_pad_token_id": -100, "truncation_mode": "keep_end",
    "disable_dropout": True, "generate_during_eval": False, "precompute_ref_log_probs": False,
    "reference_free": False, "force_use_ref_model": False,
}  # fmt: skip
"""What DPOTrainer's own signature assumed for them, up to trl 0.12."""
PACKED = ("SFTTrainer", "packing")
"""Keeps its call: to pack was the trainer's own argument once, and meant something else."""
LOADED = "AutoModelForCausalLM"
"""Below this key stand arguments of transformers' own from_pretrained that have no key of their own."""
KNOWN: Mapping[str, Any] = {
    "is_bfloat16_supported": True, "is_bf16_supported": True, "cuda.is_available": True,
    "cuda.get_device_capability": (8, 0), "mps.is_available": False, "xpu.is_available": False,
    "npu.is_available": False, "get_kbit_device_map": None,
    "get_last_checkpoint": None,
}  # fmt: skip
"""What is taken for granted of the GPU."""
HARMLESS = re.compile(
    r"""(async\s+)?def\s|class\s|\#
      | (tokenizer|processing_class|processor(\.tokenizer)?)\.
        (pad_token|pad_token_id|padding_side|model_max_length)\s*=
      | Fast\w+\.for_(training|inference)\(\s*model\s*\)$
      | \w*tok\w*\.(padding_side\s*=|pad_token(_id)?\s*=\s*\w+\.(eos|unk|bos)_token(_id)?\s*$)
      | if\s+(not\s+)?tokenizer\.pad_token(\s+is\s+None)?:
        \s*tokenizer\.pad_token\s*=\s*tokenizer\.eos_token\s*$
      | SamplingParams\.stop\s=\s\[tokenizer\.eos_token\]$
      | model\.resize_token_embeddings\.0\s=\slen\(tokenizer\)$
      | (trainer\.)?model\.(generation_)?config\.(use_cache|pretraining_tp|pad_token_id)\s*=
      | tokenizer\.add_special_tokens\(\s*\{\s*['"]pad_token['"]\s*:[^,]*\}\s*\)$
      | model\.resize_token_embeddings\(len\(tokenizer\)\)$
      | tokenizer\.(truncation_side\s*=|add_\w+_token\s*$)
      | (\w+\s*=\s*)?(time\.|datetime\.|(transformers\.)?set_seed\(|(np\.|numpy\.)?random\.seed\()
      | (torch\.)manual_seed\( | \w+\.mkdir\( | os\.makedirs\( | (sys\.)?exit\(
      | \w+\s*=\s*sum\(\s*\w+\.numel\(\)
      | (model\.)?print_trainable_parameters | (trainer\.)?model\.(enable_input_require_grads|print_)
      | get_ipython\( | Patch\w+\( | pprint(\.\w+)?\(
      | (print|pprint\.pprint|login|wandb\.init)(\#\d+)?\.\w+\s=
      | (\w+\s*=\s*)?(tokenizer|processor)(\.(batch_)?(decode|encode|tokenize))?\(
      | (\w+\s*=\s*)?(tokenizer|processor)\.apply_chat_template\(
      | (\w+\s*=\s*)?model\.generate\( | (display|Audio|Image|Markdown|HTML)\(
      | torch\._dynamo\.config\.\w+\s*=
      | os\.environ(?!\[['"](ACCELERATE_(?!LOG)|FSDP_|UNSLOTH_FORCE))
      | (torch\.cuda|gc|gpu_(stats|mem\w*)|start_gpu\w+)\b
      | (max_memory|logger|logging|warnings|wandb)\b
      | (tokenizer\s*=\s*)?AutoTokenizer\.from_pretrained\(
      | AutoTokenizer\.from_pretrained(\#\d+)?
        \.(token|use_auth_token|cache_dir|trust_remote_code|padding_side|use_fast)\s=
      | \w+\.from_pretrained(\#\d+)?
        \.(use_cache|device_map|max_memory|low_cpu_mem_usage|token|use_auth_token|cache_dir|offload_folder)\s=
      | print\( | (notebook_)?login\(
      | (\w*model)\.warnings_issued\s*=\s*\{\}
      | assert\s | breakpoint\(\)""",
    re.VERBOSE,
)
"""Statements that change nothing of what is trained."""
WRITTEN = "formatting"
"""Below this key stands what a function writes of the rows."""
REWARD_SOURCE = "reward_source"
"""A module with the reward functions that the script defines."""
DRAWN = "drawn"
"""Below this key stands which rows train."""
OF_ROWS = re.compile(
    r"\.(map|shuffle|select|train_test_split|\w+_columns|with_format|flatten_indices)\(|formatting_func = "
    r"|= concatenate_datasets\(|=\s*\[.+\bfor\s+\w+\s+in\b"
)
PLAIN = "Trainer"
"""transformers' own trainer, which is given tokens."""
LEARNED = re.compile(r"DataCollatorForLanguageModeling\([^()]*\bmlm\s*=\s*False[^()]*\)\s*$")
"""It makes labels of all tokens but those that pad."""
CUTS = re.compile(r"(tokenizer|processing_class)\.(truncation_side|model_max_length)\s*=")
"""What a script's own call of the tokenizer reads, and trl's trainers do not."""
COLLATES = re.compile(r"\.data_collator = \w+$")
PADS = re.compile(r"\.data_collator = DataCollatorForSeq2Seq\(")
"""It pads labels that the rows bring, and those of answers alone are made anew."""
MODEL = {
    "0": "model_name_or_path",
    "pretrained_model_name_or_path": "model_name_or_path",
    "model_name": "model_name_or_path",
    "revision": "model_revision",
}
MODEL_KEYS = (
    "model_name_or_path", "model_revision", "dtype", "torch_dtype", "attn_implementation",
    "trust_remote_code", "load_in_4bit", "load_in_8bit", "use_flash_attention_2",
)  # fmt: skip
"""Arguments of from_pretrained that have a key of their own."""
GIVEN = (
    "model", "0", "ref_model", "args", "1", "tokenizer", "processing_class", "train_dataset",
    "eval_dataset", "peft_config", "data_collator", "formatting_func", "compute_metrics", "callbacks",
    "optimizers", "reward_funcs", "teacher_model", "reward_model", "ref_policy", "policy",
    "value_model",
)  # fmt: skip
"""What a trainer is given that is read elsewhere, or is nothing at all."""
LATER = ("device_map", "low_cpu_mem_usage", "use_cache", "token", "cache_dir", "offload_folder")
