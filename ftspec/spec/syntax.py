"""What a YAML parser says about a syntax error, in words that name the remedy."""

from __future__ import annotations

WORDS: tuple[tuple[str, str, str, str], ...] = (
    # in the parser's message, in its context, what to say, the remedy
    ("'\\t'", "", "a tab where YAML wants spaces", "indent with spaces"),
    ("'@'", "", "a value cannot start with `@`", "put it in quotes"),
    ("'`'", "", "a value cannot start with a backtick", "put it in quotes"),
    ("'%'", "", "a value cannot start with `%`", "put it in quotes"),
    (
        "mapping values are not allowed",
        "",
        "a `:` where none can stand",
        "check the indentation; put a value that contains `: ` in quotes",
    ),
    (
        "sequence entries are not allowed",
        "",
        "a `- ` where no list item can stand",
        "start the list on a line of its own",
    ),
    (
        "could not find expected ':'",
        "",
        "this line is neither `key: value` nor a list item",
        "add the colon, or the indentation",
    ),
    (
        "found unexpected end of stream",
        "quoted",
        "the quotes that open here are never closed",
        "close them",
    ),
    ("<stream end>", "flow", "a bracket is never closed", "close it"),
    (
        "but got",
        "flow sequence",
        "a list in brackets goes wrong here",
        "separate items with commas, close with `]`",
    ),
    (
        "but got",
        "flow mapping",
        "a section in braces goes wrong here",
        "separate fields with commas, close with `}`",
    ),
    (
        "expected <block end>",
        "",
        "the indentation fits no line above",
        "give all fields of a section the same indentation",
    ),
    (
        "unknown escape character",
        "",
        "this escape is not known in double quotes",
        "use single quotes, or write `\\\\` for a backslash",
    ),
    ("undefined alias", "", "aliases are off in specs", "write the value out"),
)


def plain_words(problem: str, context: str) -> tuple[str, str]:
    """Message and remedy. What is not in the table is given in the parser's own words."""
    for inside, around, message, hint in WORDS:
        if inside in problem and around in context:
            return message, hint
    return (
        f"this is not YAML: {problem or 'it cannot be read'}",
        "check this line and the one above",
    )
