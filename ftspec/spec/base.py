"""What every node of a spec is: strict, frozen, closed; with a short form where people expect one.

No module of models begins with `from __future__ import annotations`: pydantic would compile the text of each
annotation at every start, which took a third of the time that making the classes takes.
"""

from typing import Annotated, Any, ClassVar, TypeVar

from pydantic import (
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Field,
    GetJsonSchemaHandler,
    model_validator,
)
from pydantic_core import CoreSchema, PydanticKnownError

T = TypeVar("T")


def _as_tuple(value: Any) -> Any:
    """A YAML sequence is a list; a frozen spec holds tuples. One item may stand for a list of one."""
    if isinstance(value, list):
        return tuple(value)
    single = isinstance(value, str | int | dict) and not isinstance(value, bool)
    return (value,) if single else value


Items = Annotated[tuple[T, ...], BeforeValidator(_as_tuple)]
"""A list in the file, a tuple in the spec."""


def _whole(value: Any) -> Any:
    if isinstance(value, bool) or not isinstance(value, int):
        raise PydanticKnownError("int_type")
    return value


StageName = Annotated[str, Field(pattern=r"^[a-z0-9][a-z0-9_-]{0,39}$")]
"""The name of a stage: it becomes that of a folder."""
Whole = BeforeValidator(_whole)
"""Beside a `Literal` of numbers, which by itself takes `true` and `1.0` for 1."""


class Node(BaseModel):
    """Base of all spec models.

    ``short`` names the field that a bare value stands for: ``model: org/name`` is
    ``model: {name: org/name}``.
    """

    model_config = ConfigDict(
        frozen=True,
        extra="forbid",
        strict=True,
        allow_inf_nan=False,
        validate_default=True,
        protected_namespaces=(),
        defer_build=True,
    )
    short: ClassVar[str | None] = None
    swayed: ClassVar[frozenset[str]] = frozenset()
    """Fields whose default gives way to something else in a spec, as what is said does not: such a field is
    written where it is said, its default too."""
    implied: ClassVar[bool] = False
    """Whether a section without a `type` is this variant of its union."""

    @classmethod
    def expand(cls, value: Any) -> Any:
        """The full form of a short form; anything else as it is."""
        if cls.short is None or isinstance(value, dict | BaseModel) or value is None:
            return value
        return {cls.short: value}

    @model_validator(mode="before")
    @classmethod
    def _expand(cls, value: Any) -> Any:
        return cls.expand(value)

    @classmethod
    def __get_pydantic_json_schema__(
        cls, core_schema: CoreSchema, handler: GetJsonSchemaHandler
    ) -> dict[str, Any]:
        schema = handler(core_schema)
        if cls.short is None:
            return schema
        full = handler.resolve_ref_schema(schema)
        if "anyOf" not in full and "properties" in full:
            body = dict(full)
            full.clear()
            bare = {k: v for k, v in body["properties"][cls.short].items() if k != "default"}
            full["anyOf"] = [bare, body]
            if "description" in body:
                full["description"] = body["description"]
        return schema
