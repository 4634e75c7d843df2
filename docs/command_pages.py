"""Sphinx directive `commands`: every command with its arguments and options, as the program itself states them."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Any

import typer.main
from docutils import nodes
from sphinx.application import Sphinx
from sphinx.util.docutils import SphinxDirective

from foray.cli.main import app


class Commands(SphinxDirective):
    """A section a command: what it does, how it is called, its arguments and options with their defaults."""

    def run(self) -> list[nodes.Node]:
        return [self._section(path, command, context) for path, command, context in leaf_commands()]

    def _section(self, path: str, command: Any, context: Any) -> nodes.section:
        section = nodes.section("", nodes.title("", path), ids=[nodes.make_id(path)], names=[path])
        self.state.document.note_explicit_target(section)
        for paragraph in (command.help or "").strip().split("\n\n"):
            section += nodes.paragraph("", "", *_inline(" ".join(paragraph.split())))
        usage = " ".join([path, *command.collect_usage_pieces(context)])
        section += nodes.literal_block(usage, usage, language="none")
        rows = [param.get_help_record(context) for param in command.get_params(context)]
        entries = [
            nodes.definition_list_item(
                "",
                nodes.term("", "", nodes.literal("", name.strip())),
                nodes.definition("", nodes.paragraph("", "", *_inline(" ".join(text.split())))),
            )
            for name, text in filter(None, rows)
        ]
        section += nodes.definition_list("", *entries)
        return section


def leaf_commands() -> Iterator[tuple[str, Any, Any]]:
    """Every command that does something: its full name, the Click command, its context."""
    return _below(typer.main.get_command(app), None)


def _below(command: Any, parent: Any) -> Iterator[tuple[str, Any, Any]]:
    context = command.make_context(command.name or "foray", [], parent=parent, resilient_parsing=True)
    if not hasattr(command, "commands"):
        yield context.command_path, command, context
        return
    for child in command.commands.values():
        yield from _below(child, context)


def _inline(text: str) -> list[nodes.Node]:
    """Text in which `backticks` mark code."""
    parts = re.split(r"`([^`]+)`", text)
    return [nodes.literal("", part) if index % 2 else nodes.Text(part) for index, part in enumerate(parts)]


def setup(app: Sphinx) -> dict[str, bool]:
    app.add_directive("commands", Commands)
    return {"parallel_read_safe": True, "parallel_write_safe": True}
