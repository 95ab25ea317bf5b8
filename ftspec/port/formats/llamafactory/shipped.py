"""LLaMA-Factory's own data/dataset_info.json: the data sets that most of its examples name.

https://github.com/hiyouga/LLaMA-Factory/blob/main/data/dataset_info.json of 0.9.4 and 0.9.5. Left out is
what stands on other hubs alone.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

CHAT = {
    "role_tag": "role",
    "content_tag": "content",
    "user_tag": "user",
    "assistant_tag": "assistant",
}
RANKED = {
    "alpaca": {
        "prompt": "instruction",
        "query": "input",
        "chosen": "chosen",
        "rejected": "rejected",
    },
    "sharegpt": {"messages": "conversations", "chosen": "chosen", "rejected": "rejected"},
}
"""What the columns of pairs are called where nothing else is said, but for the answers, which are named."""
Entry = Mapping[str, Any]
ALPACA = {
    "alpaca_en": "llamafactory/alpaca_en",
    "alpaca_zh": "llamafactory/alpaca_zh",
    "alpaca_gpt4_en": "llamafactory/alpaca_gpt4_en",
    "alpaca_gpt4_zh": "llamafactory/alpaca_gpt4_zh",
    "guanaco": "JosephusCheung/GuanacoDataset",
    "belle_2m": "BelleGroup/train_2M_CN",
    "belle_1m": "BelleGroup/train_1M_CN",
    "belle_0.5m": "BelleGroup/train_0.5M_CN",
    "belle_dialog": "BelleGroup/generated_chat_0.4M",
    "belle_math": "BelleGroup/school_math_0.25M",
    "open_platypus": "garage-bAInd/Open-Platypus",
    "codealpaca": "sahil2801/CodeAlpaca-20k",
    "alpaca_cot": "QingyiSi/Alpaca-CoT",
    "webnovel": "zxbsmk/webnovel_cn",
    "nectar_sft": "AstraMindAI/SFT-Nectar",
    "stem_zh": "hfl/stem_zh_instruction",
    "ruozhiba_gpt4": "hfl/ruozhiba_gpt4_turbo",
    "chinese_r1_distill": "Congliu/Chinese-DeepSeek-R1-Distill-data-110k-SFT",
    "oasst_de": "mayflowergmbh/oasst_de",
    "dolly_15k_de": "mayflowergmbh/dolly-15k_de",
    "alpaca-gpt4_de": "mayflowergmbh/alpaca-gpt4_de",
    "openschnabeltier_de": "mayflowergmbh/openschnabeltier_de",
    "evol_instruct_de": "mayflowergmbh/evol-instruct_de",
    "dolphin_de": "mayflowergmbh/dolphin_de",
    "booksum_de": "mayflowergmbh/booksum_de",
    "airoboros_de": "mayflowergmbh/airoboros-3.0_de",
    "ultrachat_de": "mayflowergmbh/ultra-chat_de",
}
SHAREGPT = {
    "lima": "llamafactory/lima",
    "slimorca": "Open-Orca/SlimOrca",
    "sharegpt_hyper": "totally-not-an-llm/sharegpt-hyperfiltered-3k",
    "sharegpt4": "shibing624/sharegpt_gpt4",
    "infinity_instruct": "BAAI/Infinity-Instruct",
    "agent_instruct": "THUDM/AgentInstruct",
    "evol_instruct": "WizardLM/WizardLM_evol_instruct_V2_196k",
    "neo_sft": "m-a-p/neo_sft_phase2",
    "magpie_pro_300k": "Magpie-Align/Magpie-Pro-300K-Filtered",
}
ASKED = {
    "mathinstruct": ("TIGER-Lab/MathInstruct", "instruction", "output"),
    "firefly": ("YeungNLP/firefly-train-1.1M", "input", "target"),
    "wikiqa": ("wiki_qa", "question", "answer"),
    "webqa": ("suolyer/webqa", "input", "output"),
    "adgen_train": ("HasturOfficial/adgen", "content", "summary"),
    "adgen_eval": ("HasturOfficial/adgen", "content", "summary"),
    "cosmopedia": ("HuggingFaceTB/cosmopedia", "prompt", "text"),
    "magpie_ultra": ("argilla/magpie-ultra-v0.1", "instruction", "response"),
    "web_instruct": ("TIGER-Lab/WebInstructSub", "question", "answer"),
    "openo1_sft": ("llamafactory/OpenO1-SFT", "prompt", "response"),
    "dlr_web": ("Attention1115/DLR-Web", "question", "response"),
}
"""A question and its answer, and no column beside them."""
SPLITS = {"adgen_train": "train", "adgen_eval": "validation", "dlr_web": "full"}
TEXTS = {
    "refinedweb": ("tiiuae/falcon-refinedweb", "content"),
    "wikipedia_en": ("olm/olm-wikipedia-20221220", "text"),
    "wikipedia_zh": ("pleisto/wikipedia-cn-20230720-filtered", "completion"),
    "pile": ("monology/pile-uncopyrighted", "text"),
    "skypile": ("Skywork/SkyPile-150B", "text"),
    "fineweb": ("HuggingFaceFW/fineweb", "text"),
    "fineweb_edu": ("HuggingFaceFW/fineweb-edu", "text"),
    "cci3_hq": ("BAAI/CCI3-HQ", "text"),
    "cci3_data": ("BAAI/CCI3-Data", "text"),
    "cci4_base": ("BAAI/CCI4.0-M2-Base-v1", "text"),
    "cci4_cot": ("BAAI/CCI4.0-M2-CoT-v1", "text"),
    "cci4_extra": ("BAAI/CCI4.0-M2-Extra-v1", "text"),
    "the_stack": ("bigcode/the-stack", "content"),
}
PAIRS: Entry = {"ranking": True, "formatting": "sharegpt", "columns": RANKED["sharegpt"]}


def _turns(
    *more: str, at: str = "messages", tags: Mapping[str, str] = CHAT, judged: bool = False
) -> Entry:
    """Conversations; ``more``: columns beside them, named as they are."""
    columns = {"messages": at, **dict(zip(more, more, strict=True))}
    found = {
        "formatting": "sharegpt",
        "columns": columns | ({"kto_tag": "label"} if judged else {}),
    }
    return {**found, "tags": tags} if tags else found


def _tools() -> Entry:
    return _turns("tools", at="conversations", tags={})


def _hub(name: str, *more: Entry, **own: Any) -> Entry:
    found: dict[str, Any] = {"hf_hub_url": name}
    for part in (*more, own):
        found |= part
    return found


def _entries() -> Iterator[tuple[str, Entry]]:
    for name in ("identity", "alpaca_en_demo", "alpaca_zh_demo"):
        yield name, {"file_name": f"{name}.json"}
    for name in ("glaive_toolcall_en_demo", "glaive_toolcall_zh_demo"):
        yield name, {"file_name": f"{name}.json", **_tools()}
    for name in ("dpo_en_demo", "dpo_zh_demo"):
        yield name, {"file_name": f"{name}.json", **PAIRS}
    yield "kto_en_demo", {"file_name": "kto_en_demo.json", **_turns(judged=True)}
    yield "c4_demo", {"file_name": "c4_demo.jsonl", "columns": {"prompt": "text"}}
    yield "wiki_demo", {"file_name": "wiki_demo.txt", "columns": {"prompt": "text"}}
    for name, seen in _SEEN.items():
        yield name, {"file_name": f"{name}.json", **_turns(*seen)}
    for name, hub in ALPACA.items():
        yield name, _hub(hub)
    for name, hub in SHAREGPT.items():
        yield name, _hub(hub, formatting="sharegpt")
    for name, (hub, question, answer) in ASKED.items():
        split = {"split": SPLITS[name]} if name in SPLITS else {}
        yield name, _hub(hub, split, columns={"prompt": question, "response": answer})
    for name, (hub, text) in TEXTS.items():
        yield name, _hub(hub, columns={"prompt": text})


_SEEN = {
    "mllm_demo": ("images",),
    "mllm_audio_demo": ("audios",),
    "mllm_video_demo": ("videos",),
    "mllm_video_audio_demo": ("videos", "audios"),
}
_SYSTEM = {**CHAT, "system_tag": "system"}
_IMAGES = _turns("images")
_ORCA = {"prompt": "question", "response": "response", "system": "system_prompt"}
_JUDGED = {"prompt": "prompt", "response": "completion", "kto_tag": "label"}
_SHOWN = {**RANKED["sharegpt"], "images": "images"}
_ASKED = {"prompt": "question", "chosen": "chosen", "rejected": "rejected"}
SHIPPED: Mapping[str, Entry] = {
    **dict(_entries()),
    "glaive_toolcall_en": _hub("llamafactory/glaive_toolcall_en", _tools()),
    "glaive_toolcall_zh": _hub("llamafactory/glaive_toolcall_zh", _tools()),
    "glaive_toolcall_100k": _hub("hiyouga/glaive-function-calling-v2-sharegpt", _tools()),
    "openorca": _hub("Open-Orca/OpenOrca", columns=_ORCA),
    "ultrachat_200k": _hub("HuggingFaceH4/ultrachat_200k", _turns(), split="train_sft"),
    "lmsys_chat": _hub("lmsys/lmsys-chat-1m", _turns(at="conversation")),
    "open_thoughts": _hub("llamafactory/OpenThoughts-114k", _turns(tags=_SYSTEM)),
    "open_r1_math": _hub("llamafactory/OpenR1-Math-94k", _turns(tags=_SYSTEM)),
    "llava_1k_en": _hub("BUAADreamer/llava-en-zh-2k", _IMAGES, subset="en"),
    "llava_1k_zh": _hub("BUAADreamer/llava-en-zh-2k", _IMAGES, subset="zh"),
    "llava_150k_en": _hub("BUAADreamer/llava-en-zh-300k", _IMAGES, subset="en"),
    "llava_150k_zh": _hub("BUAADreamer/llava-en-zh-300k", _IMAGES, subset="zh"),
    "pokemon_cap": _hub(
        "llamafactory/pokemon-gpt4o-captions", _turns("images", at="conversations", tags={})
    ),
    "mllm_pt_demo": _hub("BUAADreamer/mllm_pt_demo", _IMAGES),
    "dpo_mix_en": _hub("llamafactory/DPO-En-Zh-20k", PAIRS, subset="en"),
    "dpo_mix_zh": _hub("llamafactory/DPO-En-Zh-20k", PAIRS, subset="zh"),
    "ultrafeedback": _hub(
        "llamafactory/ultrafeedback_binarized",
        ranking=True,
        columns={"prompt": "instruction", "chosen": "chosen", "rejected": "rejected"},
    ),
    "coig_p": _hub("m-a-p/COIG-P", PAIRS),
    "rlhf_v": _hub("llamafactory/RLHF-V", PAIRS, columns=_SHOWN),
    "vlfeedback": _hub("Zhihui/VLFeedback", PAIRS, columns=_SHOWN),
    "rlaif_v": _hub("openbmb/RLAIF-V-Dataset", ranking=True, columns={**_ASKED, "images": "image"}),
    "orca_pairs": _hub(
        "Intel/orca_dpo_pairs", ranking=True, columns={**_ASKED, "system": "system"}
    ),
    "nectar_rm": _hub("AstraMindAI/RLAIF-Nectar", ranking=True),
    "orca_dpo_de": _hub("mayflowergmbh/intel_orca_dpo_pairs_de", ranking=True),
    "kto_mix_en": _hub("argilla/kto-mix-15k", _turns(at="completion", judged=True)),
    "ultrafeedback_kto": _hub(
        "argilla/ultrafeedback-binarized-preferences-cleaned-kto", columns=_JUDGED
    ),
    "redpajama_v2": _hub(
        "togethercomputer/RedPajama-Data-V2", columns={"prompt": "raw_content"}, subset="default"
    ),
    "starcoder_python": _hub(
        "bigcode/starcoderdata", columns={"prompt": "content"}, folder="python"
    ),
}
"""Their entries, by name."""
