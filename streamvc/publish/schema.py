"""The JSON Schema of what is published; `python -m streamvc.publish.schema` writes it to the package."""

import json
from pathlib import Path
from typing import Any

from pydantic.json_schema import GenerateJsonSchema, JsonSchemaValue

from streamvc.publish.cloudevents import ADAPTER

PATH = Path(__file__).with_name("event.schema.json")


class _CompactSchema(GenerateJsonSchema):
    """Leaves out the titles, which only repeat the names, and the line breaks of docstrings."""

    def field_title_should_be_set(self, schema: Any) -> bool:
        return False

    def generate(self, schema: Any, mode: Any = "validation") -> JsonSchemaValue:
        generated = super().generate(schema, mode)
        for definition in generated["$defs"].values():
            definition.pop("title", None)
            definition["description"] = " ".join(definition["description"].split())
        generated.pop("discriminator")  # of OpenAPI; each type says its own
        return generated


def event_schema() -> dict[str, Any]:
    """The schema (draft 2020-12) of all that `cloudevents.encode` returns, made from the types: one of four envelopes."""
    return {
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        "$id": "urn:streamvc:events:v2",
        "description": "An event, state, health or heartbeat of streamvc, as CloudEvents 1.0.",
        **ADAPTER.json_schema(mode="serialization", schema_generator=_CompactSchema),
    }


if __name__ == "__main__":
    PATH.write_text(json.dumps(event_schema(), indent=2) + "\n", encoding="utf-8")
