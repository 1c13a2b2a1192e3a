"""The configuration file as a pydantic model, and the JSON Schemas of it and of the ledger's files."""

from __future__ import annotations

from typing import Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Field
from pydantic.json_schema import GenerateJsonSchema

from eni_ledger.base.config import AGENT_DB, AGENT_PLUGIN_DIR, DEFAULT_STATE_DIR
from eni_ledger.base.errors import UsageError
from eni_ledger.ledger.format.line import KEYS
from eni_ledger.ledger.format.schema import NEEDS, Event, State


class Config(BaseModel):
    """`/etc/eni-ledger/config.json`. A network configuration of the plugin can have the first four keys too."""

    model_config = ConfigDict(strict=True, extra="forbid", frozen=True)

    state_dir: Annotated[str, Field(pattern=r"^/[^\u0000]*$")] = Field(
        DEFAULT_STATE_DIR,
        alias="stateDir",
        description="Absolute path of the state directory. On an ECS host /var/lib/ecs/data/eni-ledger/state.",
    )
    on_error: Literal["warn", "fail"] = Field(
        "warn",
        alias="onError",
        description="What a failure to record does. warn: the call succeeds, and the failure is reported on"
        " stderr and in the journal. fail: the call fails.",
    )
    journald: bool = Field(True, description="Whether each event is also sent to the systemd journal.")
    sync: bool = Field(True, description="Whether an event is on disk before the call returns success.")
    lock_wait_ms: int = Field(
        200,
        alias="lockWaitMs",
        ge=0,
        le=10_000,
        description="Longest wait for another writer, milliseconds; then the event goes to the spool.",
    )
    rotate_bytes: int = Field(
        16 * 1024**2,
        alias="rotateBytes",
        ge=4096,
        le=1 << 30,
        description="Size at which a segment is sealed and the next one begins.",
    )
    retain_days: int = Field(
        400, alias="retainDays", ge=1, le=36_500, description="Days for which sealed segments are kept."
    )
    retain_bytes: int = Field(
        1024**3,
        alias="retainBytes",
        ge=4096,
        le=1 << 50,
        description="Size of all sealed segments together above which the oldest are removed.",
    )
    delegate_dir: Annotated[str, Field(pattern=r"^/[^\u0000]*$")] = Field(
        AGENT_PLUGIN_DIR,
        alias="delegateDir",
        description="Directory of the plugins that eni-ledger stands in front of, as the agent's container sees it.",
    )
    agent_db: Annotated[str, Field(pattern=r"^/[^\u0000]*$")] = Field(
        AGENT_DB,
        alias="agentDb",
        description="The ECS agent's database, as the agent's container sees it.",
    )


_MODELS: dict[str, type[BaseModel]] = {"event": Event, "state": State, "config": Config}
KINDS = tuple(_MODELS)


class _Schema(GenerateJsonSchema):
    """pydantic's schemas without the titles that only repeat a field's name."""

    def field_title_should_be_set(self, schema: Any) -> bool:  # noqa: ARG002 - pydantic's signature
        return False


def json_schema(kind: str) -> dict[str, Any]:
    """Return the JSON Schema (draft 2020-12) of `event` (a line), `state` or `config` (the files).

    Raises UsageError for another `kind`.
    """
    model = _MODELS.get(kind)
    if model is None:
        raise UsageError("no such schema", f"{kind!r:.80}", f"one of {', '.join(KINDS)}")
    made = model.model_json_schema(schema_generator=_Schema)
    about = {
        "$schema": GenerateJsonSchema.schema_dialect,
        "$id": f"urn:eni-ledger:schema:{kind}:1",
        "title": f"eni-ledger {kind}",
    }
    if kind == "event":
        order = [*KEYS, *made["properties"]]
        made["properties"] = dict(sorted(made["properties"].items(), key=lambda item: order.index(item[0])))
        made["allOf"] = [
            {
                "if": {"properties": {"event": {"const": name}, "via": {"not": {"const": "import"}}}},
                "then": {
                    "required": list(keys),
                    "properties": {key: {"not": {"type": "null"}} for key in keys},
                },
            }
            for name, keys in NEEDS.items()
        ]
    return {**about, **{key: value for key, value in made.items() if key not in about}}
