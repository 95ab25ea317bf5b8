"""What a collator that a script has written itself makes of rows with images: statement by statement.

Known is the one that trl's examples had up to 0.19: texts by the chat template, images beside them, labels of
all tokens but some. Any other statement, and it is not understood.
"""

from __future__ import annotations

import ast
import re
from typing import NamedTuple

from ftspec.port.scripts.drawn import with_numbers


class Collated(NamedTuple):
    """What it reads of a row, and what is learned."""

    line: int
    """Where a trainer is given it."""
    column: str
    """The column of the turns; empty where a row is a list of turns."""
    images: str
    """The column of the images; empty where they stand in the turns."""
    masked: bool
    """Whether tokens that stand for images are not learned."""
    stripped: bool
    """Whether a text loses the blanks at its ends."""
    length: int | None
    """How many tokens of a row are kept."""


_ROW = r"\w+(?:\['(?P<column>\w+)'\])?"
_TEXTS = re.compile(
    rf"(?P<texts>\w+) = \[\w+\.apply_chat_template\({_ROW}"
    r"(?:, (?:tokenize=False|add_generation_prompt=False))+\)(?P<strip>\.strip\(\))? for \w+ in \w+\]"
)
_IMAGES = re.compile(
    r"(?P<images>\w+) = \[(?:\[\w+\['(?P<one>\w+)'\](?:\.convert\('RGB'\))?\]|\w+\['(?P<many>\w+)'\]"
    r"|process_vision_info\(\w+(?:\['\w+'\])?\)\[0\]) for \w+ in \w+\]"
)
_LABELS = re.compile(r"(?P<labels>\w+) = (?P<batch>\w+)\['input_ids'\]\.clone\(\)")
_PADS = re.compile(r"(?P<labels>\w+)\[(?P=labels) == \w+(?:\.tokenizer)?\.pad_token_id\] = -100")
_MARK = r"\w+\.tokenizer\.convert_tokens_to_ids\(\w+\.image_token\)|\w+\.image_token_id"
_TOKEN = re.compile(rf"(?P<token>\w+) = (?:\[?(?:{_MARK})\]?|\[151652, 151653, 151655\])")
"""The token that an image's place is made of; of the Qwen-VLs, those around it as well."""
_MASKS = re.compile(
    r"(?:for (?P<each>\w+) in (?P<token>\w+):\s+)?"
    rf"(?P<labels>\w+)\[(?P=labels) == (?P<masked>\w+|{_MARK})\] = -100"
)
_HANDED = re.compile(r"(?P<batch>\w+)\['labels'\] = (?P<labels>\w+)")


def collated(tree: ast.Module) -> Collated | None:
    """The collator that a trainer is given, if it is understood."""
    tree = with_numbers(tree)
    defined = [node for node in ast.walk(tree) if isinstance(node, ast.FunctionDef)]
    for node in ast.walk(tree):
        match node:
            case ast.keyword(arg="data_collator", value=ast.Name(id=name)):
                functions = [one for one in defined if one.name == name]
                try:
                    return _read(functions[0], node.value.lineno) if len(functions) == 1 else None
                except RecursionError:  # an expression that is deeper than any collator's
                    return None
    return None


def _read(function: ast.FunctionDef, line: int) -> Collated | None:
    """The function, if each of its statements is known and they fit together."""
    said: dict[str, str | None] = {}
    tokens: set[str] = set()
    length: int | None = None
    done: list[str] = []
    for node in _statements(function.body):
        text = ast.unparse(node)
        if (found := _processed(node)) is not None:
            batch, texts, images, length = found
            if (texts, images) != (said.get("texts"), said.get("images")):
                return None
            said["batch"] = batch
            done.append("processed")
        elif (token := _TOKEN.fullmatch(text)) is not None:
            tokens.add(token["token"])
        elif (masks := _MASKS.fullmatch(text)) and (
            (masks["token"] or masks["masked"]) in tokens or re.fullmatch(_MARK, masks["masked"])
        ):
            if masks["labels"] != said.get("labels") or masks["each"] not in (
                None,
                masks["masked"],
            ):
                return None
            said["masks"] = ""
        elif text == f"return {said.get('batch')}":
            done.append("returned")
        elif (step := _step(text, said)) is not None:
            done.append(step)
        else:
            return None
    if done != ["texts", "images", "processed", "labels", "padded", "handed", "returned"]:
        return None
    images = said.get("many") or said.get("one") or ""
    return Collated(
        line, said.get("column") or "", images, "masks" in said, bool(said.get("strip")), length
    )


def _statements(body: list[ast.stmt]) -> list[ast.stmt]:
    """Statements without texts that explain; loops as lists; of a choice between image tokens, both sides."""
    found: list[ast.stmt] = []
    for node in body:
        match node:
            case ast.Expr(value=ast.Constant()):
                continue
            case ast.If(test=test, body=[one], orelse=[other]) if ast.unparse(test).startswith(
                "isinstance(processor, "
            ) and all(_TOKEN.fullmatch(ast.unparse(each)) for each in (one, other)):
                found += [one, other]
            case ast.For(target=ast.Name(), iter=ast.Name(), orelse=[]) if made := _lists(node):
                found += made
            case ast.Assign(value=value) if ast.unparse(value) in ("[]", "([], [])"):
                continue  # which a loop fills
            case _:
                found.append(node)
    return found


def _lists(loop: ast.For) -> list[ast.stmt]:
    """A loop that fills lists, as one list for each; nothing where it does more."""
    made: list[ast.stmt] = []
    named: dict[str, ast.expr] = {}
    for node in loop.body:
        match node:
            case ast.Assign(targets=[ast.Name(id=name)], value=value) if name not in named:
                named[name] = value
            case ast.Expr(
                value=ast.Call(
                    func=ast.Attribute(value=ast.Name(id=name), attr="append"), args=[value]
                )
            ):
                value = (
                    named[value.id] if isinstance(value, ast.Name) and value.id in named else value
                )
                if isinstance(value, ast.Call) and isinstance(value.func, ast.Attribute):
                    owner = value.func.value  # of `text.strip()`
                    if isinstance(owner, ast.Name) and owner.id in named:
                        function = ast.Attribute(named[owner.id], value.func.attr, ast.Load())
                        value = ast.Call(function, value.args, value.keywords)
                each = ast.comprehension(loop.target, loop.iter, [], 0)
                made.append(
                    ast.Assign(
                        [ast.Name(name, ast.Store())],
                        ast.ListComp(value, [each]),
                        lineno=node.lineno,
                    )
                )
            case _:
                return []
    return made


_STEPS = {"texts": _TEXTS, "images": _IMAGES, "labels": _LABELS, "padded": _PADS, "handed": _HANDED}


def _step(text: str, said: dict[str, str | None]) -> str | None:
    """The step that a statement is, which adds names to ``said``; None if a name is another's."""
    for step, pattern in _STEPS.items():
        if (found := pattern.fullmatch(text)) is not None:
            named = {name: value for name, value in found.groupdict().items() if value}
            fits = all(said.get(name, value) == value for name, value in named.items())
            said |= named
            return step if fits else None
    return None


def _processed(node: ast.stmt) -> tuple[str, str, str, int | None] | None:
    """Of `batch = processor(text=texts, images=images, ...)` the names, and how many tokens are kept."""
    match node:
        case ast.Assign(
            targets=[ast.Name(id=batch)], value=ast.Call(func=ast.Name(), args=[], keywords=given)
        ):
            said = {one.arg: ast.unparse(one.value) for one in given}
            texts, images = said.pop("text", ""), said.pop("images", "")
            length = said.pop("max_length", "None")
            cut = said.pop("truncation", "False") == "True"
            said.pop("pad_to_multiple_of", "")  # what pads is not learned
            if said == {"return_tensors": "'pt'", "padding": "True"} and (
                length.isdecimal() or not cut
            ):
                return batch, texts, images, int(length) if cut else None
    return None
