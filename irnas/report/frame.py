"""What stands around every page: its head, its policy, its style and its scripts."""

from __future__ import annotations

from irnas.report import look, script
from irnas.report.markup import Markup, fill


def page(title: object, body: Markup) -> str:
    """A self-contained page.

    Args:
        title: of the window, after the name of irnas.
        body: its content.
    """
    return fill(
        '<!doctype html>\n<html lang="en"><head><meta charset="utf-8"><title>irnas: {title}</title>'
        '<meta http-equiv="Content-Security-Policy" content="{policy}">'
        '<meta name="viewport" content="width=device-width, initial-scale=1"><style>{css}</style></head>\n'
        "<body><main>{body}</main>{scripts}</body></html>\n",
        title=title,
        # Of ours, and with quotes that an attribute in double quotes takes as they are.
        policy=Markup(script.policy()),
        css=Markup(look.CSS),
        body=body,
        scripts=script.scripts(),
    )
