"""LLaMA-Factory's chat templates as data: run inside its environment, prints JSON, one template a line.

ftspec/data/templates/llamafactory.json is what it prints (`make schemas`); a real test holds it to that.
"""

from __future__ import annotations

import json
from typing import Any

from llamafactory.data.template import TEMPLATES  # type: ignore[import-not-found]

SLOTS = ("prefix", "system", "user", "assistant")


def _pieces(slots: list[Any]) -> list[Any]:
    """Texts, and special tokens by their role or by their word; a set that it takes no notice of is none."""
    found: list[Any] = []
    for slot in slots:
        if isinstance(slot, set):
            role = next((one for one in ("bos_token", "eos_token") if one in slot), None)
            found += [{"special": role}] if role else []
        else:
            found.append(dict(slot) if isinstance(slot, dict) else slot)
    return found


def described(template: Any) -> dict[str, Any]:
    """One template; what is empty or off is left out."""
    kind = type(template).__name__
    entry: dict[str, Any] = {
        slot: _pieces(getattr(template, f"format_{slot}").slots) for slot in SLOTS
    }
    entry |= {
        "default_system": template.default_system,
        "stop_words": list(template.stop_words),
        "thought_words": list(template.thought_words) if "Reasoning" in kind else [],
        "system_in_user": kind == "Llama2Template",
        "closes_only": kind == "Glm47ReasoningTemplate",
        "efficient_eos": template.efficient_eos,
        "replace_eos": template.replace_eos,
        "replace_jinja": template.replace_jinja_template,
        "plugin": type(template.mm_plugin).__name__.removesuffix("Plugin").removesuffix("Base"),
    }
    return {key: value for key, value in entry.items() if value}


def main() -> None:
    """All of them, in the order of their names."""
    lines = [
        f"{json.dumps(name)}: {json.dumps(described(TEMPLATES[name]), ensure_ascii=False)}"
        for name in sorted(TEMPLATES)
    ]
    print("{\n" + ",\n".join(lines) + "\n}")


if __name__ == "__main__":
    main()
