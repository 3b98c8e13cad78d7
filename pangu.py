"""`pangu`: the one program. Each verb is a command that lives in the room that does the work.

Rooms are imported only when one of their verbs is called, so that training runs where Beam is
not installed and the data half where torch is not.
"""

from __future__ import annotations

import importlib
import keyword
import sys
from typing import Any

import click

from pangu_settings import UserError

# verb -> (module that holds a click command of the same name, one line for `pangu --help`)
VERBS = {
    "sample-crawl": (
        "pipeline.commands.runs",
        "Fetch real Chinese pages as a WARC, to try things on.",
    ),
    "plan": ("pipeline.commands.runs", "Show which stages of a recipe would run, and why."),
    "run": ("pipeline.commands.runs", "Turn a recipe into corpus, tokenizer, shards and report."),
    "status": ("pipeline.commands.runs", "Show how far a run is."),
    "inspect": ("pipeline.commands.runs", "Show the life of one document of a run."),
    "extract": ("pipeline.commands.extract", "Write the documents of crawl files to one file."),
    "filter": (
        "pipeline.commands.filter",
        "Show or apply a preset: a page, or files of documents.",
    ),
    "dedup": (
        "pipeline.commands.dedup",
        "Say of each document in files which one stands for it.",
    ),
    "whatif": ("pipeline.commands.whatif", "Show what another limit of a rule would remove."),
    "classifier": ("pipeline.commands.classifier", "Train and test a spam or quality classifier."),
    "tokenizer": ("tokenizer.commands", "Train a vocabulary; encode and decode with it."),
    "parallel": ("training.commands.parallel", "Choose how a model is laid out over devices."),
    "train": ("training.commands.train", "Train a PanGu-α model from a configuration."),
    "generate": ("training.commands.generate", "Continue a Chinese prompt with a trained model."),
    "export": ("training.commands.export", "Write a trained model as safetensors."),
    "import": ("training.commands.import_weights", "Take in released weights of PanGu-α."),
}

# A missing third-party package names the extra that brings it.
ROOMS = ("pipeline", "filters", "tokenizer", "training")
EXTRA_OF_ROOM = {"pipeline": "data", "training": "train"}


def missing_package(verb: str, error: ModuleNotFoundError) -> Exception:
    """A line that names the extra which brings a missing package; the error itself if none does."""
    package = (error.name or "").partition(".")[0]
    room = VERBS[verb][0].partition(".")[0] if verb in VERBS else ""
    if room not in EXTRA_OF_ROOM or package in ROOMS:
        return error
    return click.ClickException(
        f"`pangu {verb}` needs the package '{package}', which is not installed; "
        f"install it from the checkout with: pip install '.[{EXTRA_OF_ROOM[room]}]'"
    )


class Program(click.Group):
    """A click group whose commands are looked up in VERBS and imported on first use."""

    def list_commands(self, context: click.Context) -> list[str]:
        return list(VERBS)

    def get_command(self, context: click.Context, name: str) -> click.Command | None:
        if name not in VERBS:
            return None
        module, _ = VERBS[name]
        try:
            commands = importlib.import_module(module)
        except ModuleNotFoundError as error:
            raise missing_package(name, error) from None
        # `import` is a word of Python's own, so its function carries an underscore.
        function = name.replace("-", "_") + ("_" if keyword.iskeyword(name) else "")
        command: click.Command = getattr(commands, function)
        return command

    def invoke(self, context: click.Context) -> Any:
        try:
            return super().invoke(context)
        except ModuleNotFoundError as error:
            # Commands import heavy packages where they need them, so one may be missed late.
            raise missing_package(context.invoked_subcommand or "", error) from None

    def format_commands(self, context: click.Context, formatter: click.HelpFormatter) -> None:
        with formatter.section("Commands"):
            formatter.write_dl([(verb, line) for verb, (_, line) in VERBS.items()])


@click.command(cls=Program, context_settings={"help_option_names": ["-h", "--help"]})
@click.version_option(package_name="pangu-alpha", prog_name="pangu")
def program() -> None:
    """Raw Chinese web crawls to a pretraining corpus and a trained PanGu-α model.

    \b
    Example:
      pangu sample-crawl crawl/
      pangu run recipes/demo.yaml --out runs/demo
      pangu train runs/demo/pretrain.yaml
      pangu generate runs/demo/checkpoints --prompt 今天
    """


def main() -> None:
    """Entry point of the `pangu` script; errors that a user can mend come without a traceback."""
    try:
        program(standalone_mode=True)
    except UserError as error:
        click.echo(f"pangu: {error}", err=True)
        sys.exit(1)


if __name__ == "__main__":
    main()
