"""Tables of a recipe that come in several kinds, one class a kind, all stored with the same keys in the same order."""

from __future__ import annotations

from collections.abc import Sequence
from types import NoneType
from typing import Any, ClassVar, get_args

from pydantic import (
    BaseModel,
    ConfigDict,
    SerializationInfo,
    SerializerFunctionWrapHandler,
    model_serializer,
    model_validator,
)


class Frozen(BaseModel):
    """Every number is finite: neither recipe.toml nor a record could be read back with another one."""

    model_config = ConfigDict(frozen=True, extra="forbid", allow_inf_nan=False)


class Variant(Frozen):
    """One kind of a table; the key `TAG` holds which.

    A kind declares the keys that mean something to it; None as the only value takes one back that its base declares.
    The stored form has `STORED_KEYS`, those of all kinds: keys of other kinds hold their default there and are dropped
    on reading. Any other value is an error: a recipe that states what is not done would mislead its reader.
    """

    TAG: ClassVar[str]
    NOUN: ClassVar[str]  # of the kinds, in messages
    STORED_KEYS: ClassVar[tuple[str, ...]]
    DEFAULT_KIND: ClassVar[str | None] = None  # of a table that does not say which it is

    @classmethod
    def variants(cls) -> Sequence[type[Variant]]:
        """All kinds of this table."""
        raise NotImplementedError

    @classmethod
    def kind(cls) -> str:
        """What `TAG` holds in a table of this kind."""
        name: str = get_args(cls.model_fields[cls.TAG].annotation)[0]
        return name

    @classmethod
    def has(cls, key: str) -> bool:
        """Whether `key` means something to this kind."""
        return key in cls.model_fields and cls.model_fields[key].annotation is not NoneType

    @classmethod
    def keys(cls) -> list[str]:
        """The keys of this kind, in the order they are stored."""
        return [key for key in cls.STORED_KEYS if cls.has(key)]

    @classmethod
    def stored_default(cls, key: str) -> Any:
        """What tables of the kinds without `key` hold there; None for a key without a default."""
        field = next(variant.model_fields[key] for variant in cls.variants() if variant.has(key))
        return None if field.is_required() else field.default

    @model_validator(mode="before")
    @classmethod
    def _keeps_own_keys(cls, given: Any) -> Any:
        if not isinstance(given, dict):
            return given
        foreign = [key for key in given if key in cls.STORED_KEYS and not cls.has(key)]
        for key in foreign:
            if given[key] != cls.stored_default(key):
                kinds = ", ".join(variant.kind() for variant in cls.variants() if variant.has(key))
                raise ValueError(
                    f"`{key}` is for the {cls.NOUN} {kinds}, not for {cls.kind()}: remove it (it is {given[key]!r} "
                    f"here), or choose another {cls.NOUN}"
                )
        return {key: value for key, value in given.items() if key not in foreign}

    @model_serializer(mode="wrap")
    def _as_stored(self, handler: SerializerFunctionWrapHandler, info: SerializationInfo) -> dict[str, Any]:
        own: dict[str, Any] = handler(self)
        if self.kind() != self.DEFAULT_KIND:
            own[self.TAG] = self.kind()
        if info.exclude_defaults:
            return {key: own[key] for key in self.STORED_KEYS if key in own}
        return {key: own[key] if self.has(key) else self.stored_default(key) for key in self.STORED_KEYS}
