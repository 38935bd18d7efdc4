"""
The story as JSON: the collector's answer with the origins and notes beside it.

Numbers of nanoseconds are decimal strings, as everywhere in docs/query-api.md.
"""

from __future__ import annotations

from otelctx.story.assembly import Story
from otelctx.story.records import check_story


def story_json(answer: object, story: Story) -> dict[str, object]:
    """
    Return *answer*, the JSON that *story* was assembled from, with two more keys.

    `origins`: `{"field", "value", "how", "service", "span_name", "time_unix_nano"}`; `how` as in `Origin`.
    `notes`: `{"kind", "text", "span_id"}`; `kind` as in `NoteKind`.
    """
    origins = [
        {
            "field": origin.field,
            "value": origin.value,
            "how": origin.how,
            "service": origin.service,
            "span_name": origin.span_name,
            "time_unix_nano": str(origin.time),
        }
        for origin in story.origins
    ]
    notes = [{"kind": note.kind, "text": note.text, "span_id": note.span_id} for note in story.notes]
    return {**check_story(answer), "origins": origins, "notes": notes}
