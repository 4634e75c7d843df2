"""Parameters and options: messages of the library name the first, the command line the second; groups make requests."""

from __future__ import annotations

import ast
import re
from pathlib import Path

import pytest
import typer
from typer.testing import CliRunner

import foray
from foray.cli import options
from foray.cli.main import app
from foray.cli.terminal import named_options, with_options
from foray.cli.verb import Verb, with_groups
from foray.errors import ForayError

SOURCE = Path(foray.__file__).parent
TINY = "mobilenet_v1_x0.25"
# Sentences that are kept in files, about commands, and options of torchrun.
ABOUT_COMMANDS = (
    "comparison/selection.py", "decision/", "recipes/study.py", "records/cost_vocabulary.py",
    "reproduce/all_claims.py", "reproduce/judge", "reproduce/reproduction_page.py", "reproduce/section_",
    "reproduce/sources.py", "reproduce/statement_verdict.py", "reproduce/without_result.py",
    "settling/flip_question.py", "settling/label_page.py",
)  # fmt: skip


def messages() -> list[tuple[str, str]]:
    """(where, text) of every string of the library that is no docstring."""
    found = []
    for path in sorted(SOURCE.rglob("*.py")):
        name = path.relative_to(SOURCE).as_posix()
        if name.startswith(("cli/", "deploy/")):
            continue
        tree = ast.parse(path.read_text(encoding="utf-8"))
        docs = {id(node.value) for node in ast.walk(tree) if isinstance(node, ast.Expr)}
        found += [
            (f"{name}:{node.lineno}", node.value)
            for node in ast.walk(tree)
            if isinstance(node, ast.Constant) and isinstance(node.value, str) and id(node) not in docs
        ]
    return found


def test_messages_of_the_library_name_no_options() -> None:
    wrong = [
        where
        for where, text in messages()
        if re.search(
            r"(?<![\w-])--[a-z]", re.sub(r"torchrun --nproc-per-node|foray \w+ --\w+|--nproc-per-node", "", text)
        )
        and not where.startswith(ABOUT_COMMANDS)
    ]
    assert wrong == []


def test_every_parameter_that_a_message_names_is_an_option_of_a_verb() -> None:
    verbs = typer.main.get_command(app).commands.values()
    known = {name for verb in verbs if isinstance(verb, Verb) for name in verb.options_by_parameter()}
    named = {
        name: where
        for where, text in messages()
        if not where.startswith(("recipes/recipe.py", "recipes/optimizer.py"))  # which name keys of a recipe
        for name in re.findall(r"`(\w+)`", text)
    }
    assert len(named) > 20
    assert {name: where for name, where in named.items() if name not in known} == {}


@pytest.mark.parametrize(
    ("call", "arguments", "said"),
    [
        (
            lambda: foray.compare("digits", [TINY], "scratch", seeds=0),
            ("scale", "--search", "digits", "--steps", "2", "--dry-run"),
            ("`seeds` must be at least 1, not 0.", "--steps must be at least 3, not 2: with fewer"),
        ),
        (
            lambda: foray.train("digits", TINY, "scratch", resolution=5000),
            ("train", "digits", "--model", TINY, "--protocol", "scratch", "--set", "epochs"),
            ("`resolution` must be at most 4,096, not 5,000.", "--set epochs: write key=value"),
        ),
        (
            lambda: foray.train("digits", TINY, "linear"),
            ("train", "digits", "--model", TINY, "--protocol", "linear"),
            ("`protocol` linear starts from pretrained weights. Name them with `weights`: a folder",
             "--protocol linear starts from pretrained weights. Name them with --weights: a folder"),
        ),
        (
            lambda: foray.export_run("run", ["onnx"], ["int8"], "out"),
            ("export", "run", "--to", "onnx", "--precision", "int8"),
            ("name them with `data`.", "name them with --data."),
        ),
        (
            lambda: foray.compare("digits", [TINY], "scratch", precision="int8"),
            ("compare", "digits", "--models", TINY, "--protocol", "scratch", "--precision", "int8"),
            ("`precision` int8 needs a runtime: name it too, for example `runtime` litert.",
             "--precision int8 needs a runtime: name it too, for example --runtime litert."),
        ),
    ],
)  # fmt: skip
def test_python_reads_parameters_and_the_terminal_options(
    call, arguments, said: tuple[str, str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    with pytest.raises(ForayError) as refusal:
        call()
    assert said[0] in str(refusal.value)
    done = CliRunner().invoke(app, arguments)
    assert (done.exit_code, said[1] in " ".join(done.output.split())) == (2, True), done.output


def test_keys_of_a_recipe_are_no_options(tmp_path: Path) -> None:
    arguments = ("train", "digits", "--model", TINY, "--set", "unfreeze=last:3", "--out", tmp_path)
    done = CliRunner().invoke(app, list(map(str, arguments)))
    assert "foray: --set: `unfreeze` is for the protocol partial" in " ".join(done.output.split())


def test_names_that_are_no_options_of_the_verb_stay() -> None:
    with named_options({"seeds": "--seeds", "wait_seconds": "--wait"}):
        assert with_options("`seeds` and `wait_seconds`, `dropout`") == "--seeds and --wait, `dropout`"
    assert with_options("`seeds`") == "`seeds`"


def test_fields_of_a_group_are_options_in_its_place() -> None:
    own, taken = typer.Typer(), []

    @own.command()
    @with_groups
    def verb(*, first: bool = False, budget: options.BudgetOptions, last: bool = False) -> None:
        taken.append((first, budget.request(), last))

    done = CliRunner().invoke(own, ["--max-macs", "600M", "--last"])
    assert done.exit_code == 0, done.output
    ((first, budget, last),) = taken
    assert (first, budget.max_macs, budget.max_params, last) == (False, 600_000_000, None, True)
    shown = CliRunner().invoke(own, ["--help"]).output
    places = [shown.index(option) for option in ("--first", "--max-params", "--max-memory", "--last")]
    assert places == sorted(places)
