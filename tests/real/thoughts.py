"""A chat template with thoughts and tools in the manner of Qwen3's, and rows for it."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

LAST = """\
{%- if tools %}
{{- '<|im_start|>system\\n# Tools' }}
{%- for tool in tools %}{{ '\\n' + (tool | tojson) }}{% endfor %}{{ '<|im_end|>\\n' }}
{%- endif %}
{%- for message in messages %}
{{- '<|im_start|>' + message.role + '\\n' }}
{%- if message.role == 'assistant' %}
{%- generation %}
{%- if loop.last %}
{{- '<think>\\n' + (message.reasoning_content or '') + '\\n</think>\\n\\n' }}
{%- endif %}
{{- message.content or '' }}
{%- for call in message.tool_calls or [] %}
{{- '<tool_call>' + (call.function | tojson) + '</tool_call>' }}
{%- endfor %}
{{- '<|im_end|>\\n' }}
{%- endgeneration %}
{%- else %}
{{- message.content + '<|im_end|>\\n' }}
{%- endif %}
{%- endfor %}
{%- if add_generation_prompt %}
{{- '<|im_start|>assistant\\n' }}
{%- if enable_thinking is defined and enable_thinking is false %}
{{- '<think>\\n\\n</think>\\n\\n' }}
{%- endif %}
{%- endif %}
"""
"""An empty thought stands before the last answer, as in Qwen3's own; `enable_thinking: false` gives it."""


def thinking_model(tiny: Path, folder: Path) -> Path:
    """The tiny model with that template."""
    if not folder.exists():
        shutil.copytree(tiny, folder)
        (folder / "chat_template.jinja").write_text(LAST, "utf-8")
    return folder


def tool_rows(file: Path) -> Path:
    """Conversations with tools whose arguments have different names, and a thought."""
    lines = []
    for number, name in enumerate(("town", "river", "hill", "lake") * 4):
        properties = {name: {"type": "string", "description": f"The {name}."}}
        parameters = {"type": "object", "properties": properties, "required": [name]}
        function = {"name": f"find_{name}", "parameters": parameters}
        if number % 2:
            function["description"] = f"Finds a {name}."
        call = {"name": function["name"], "arguments": {name: f"No. {number}", "exact": True}}
        talk = [
            {"role": "user", "content": f"Where is {name} {number}?"},
            {
                "role": "assistant",
                "content": "",
                "tool_calls": [{"type": "function", "function": call}],
            },
            {"role": "tool", "content": json.dumps({"north": number})},
            {"role": "assistant", "content": "In the north.", "reasoning_content": "It said so."},
        ]
        row = {"messages": talk, "tools": [{"type": "function", "function": function}]}
        lines.append(json.dumps(row))
    file.write_text("\n".join(lines) + "\n", "utf-8")
    return file
