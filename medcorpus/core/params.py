"""Parameters of a stage: one pydantic declaration is the recipe key, the flag, the README row and the error.

A field has a *role* that says which keys it enters:

    data      (default) changes the columns the stage writes: in the stage's own key
    decision  only moves a limit that a reason looks at: in the key of every `select` naming the reason
    speed     changes time or memory, never rows: in no key
    place     where something lies (path, endpoint): may hold ${VAR}, never in a key or a log
"""

import os
import re
from typing import Any, Literal

from pydantic import BaseModel, ConfigDict, Field
from pydantic.fields import FieldInfo

Role = Literal["data", "decision", "speed", "place"]
_VARIABLE = re.compile(r"\$\{([A-Za-z_][A-Za-z0-9_]*)(?::-([^}]*))?\}")


class Params(BaseModel):
    """Base of every stage's parameters: frozen, unknown keys refused, no NaN or infinity."""

    model_config = ConfigDict(frozen=True, extra="forbid", allow_inf_nan=False, validate_default=True)

    @classmethod
    def fields_with(cls, *roles: Role) -> list[str]:
        """Names of the fields that have one of `roles`, in the order declared."""
        return [name for name, field in cls.model_fields.items() if role_of(field) in roles]

    def data(self) -> dict[str, Any]:
        """What goes into the stage's own key, as JSON values."""
        return self.model_dump(mode="json", include=set(self.fields_with("data")))


def role_of(field: FieldInfo) -> Role:
    """The role a field was declared with."""
    extra = field.json_schema_extra
    return extra["role"] if isinstance(extra, dict) and "role" in extra else "data"  # type: ignore[return-value]


def decision(default: Any = ..., **kwargs: Any) -> Any:
    """Declare a limit that only `select` looks at (see `Reason`)."""
    return Field(default, json_schema_extra={"role": "decision"}, **kwargs)


def speed(default: Any = ..., **kwargs: Any) -> Any:
    """Declare a setting that changes time or memory but never a row."""
    return Field(default, json_schema_extra={"role": "speed"}, **kwargs)


def place(default: Any = ..., **kwargs: Any) -> Any:
    """Declare a path or endpoint; `${VAR}` and `${VAR:-default}` are filled in when it is used."""
    return Field(default, json_schema_extra={"role": "place"}, **kwargs)


def fill(text: str) -> str:
    """`text` with `${VAR}` replaced from the environment.

    Raises KeyError with the variable's name when it is not set and has no default.
    """

    def value(match: re.Match[str]) -> str:
        name, default = match.groups()
        if name in os.environ:
            return os.environ[name]
        if default is None:
            raise KeyError(name)
        return default

    return _VARIABLE.sub(value, text)


def variables(text: str) -> list[tuple[str, str | None]]:
    """The `${VAR}` in `text`: names and defaults."""
    return [(match[1], match[2]) for match in _VARIABLE.finditer(text)]
