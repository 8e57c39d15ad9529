"""What both command lines share: the spelling of options, and errors as one line and an exit code."""

from __future__ import annotations

import io
import os
import signal
import sys
from collections.abc import Sequence
from typing import Annotated, Any

import typer
from typer.core import TyperCommand

from dlscore.common.errors import UserError, debugging

# Options of LeRobot's commands that have a different name here.
ALIASES = {"policy-device": "device"}

# Packages of the extra `score`, which a render-only install does not have.
SCORING = ("torch", "torchvision", "lerobot", "diffusers", "gym_pusht", "pymunk", "pygame", "scipy", "huggingface_hub")

INTERRUPTED = 130  # exit code

# typer carries its own click in some versions; the class is found through typer's public one.
ClickException = next(base for base in typer.BadParameter.__mro__ if base.__name__ == "ClickException")


class Command(TyperCommand):
    """A command with its options in groups. Names stand on lines of their own where they are long, and are never cut."""

    def format_options(self, ctx: Any, formatter: Any) -> None:
        groups: dict[str, list[tuple[str, str]]] = {}
        for parameter in self.get_params(ctx):
            row = parameter.get_help_record(ctx)
            if row is not None:
                other = "Arguments" if parameter.param_type_name == "argument" else "Options"
                groups.setdefault(getattr(parameter, "rich_help_panel", None) or other, []).append(row)
        for name, rows in groups.items():
            with formatter.section(name):
                formatter.write_dl(rows)


class App(typer.Typer):
    """A Typer of commands of that class."""

    def command(self, *args: Any, **settings: Any) -> Any:
        """As Typer's."""
        return super().command(*args, cls=Command, **settings)


def normalize(name: str) -> str:
    """`policy_path` and `policy.path` are `policy-path`: options as LeRobot's users write them."""
    dashed = name.replace("_", "-").replace(".", "-")
    return ALIASES.get(dashed, dashed)


def make_app(name: str, version: str, help: str) -> typer.Typer:
    """A command line of this project: options spelled as LeRobot's users do, `-h`, `--version`, completion, no tracebacks."""
    app = App(
        name=name,
        help=help,
        no_args_is_help=True,
        pretty_exceptions_enable=False,
        rich_markup_mode=None,  # its tables cut the names of options, and its markup takes [px] for a style
        context_settings={"token_normalize_func": normalize, "help_option_names": ["-h", "--help"]},
    )

    def show(value: bool) -> None:
        if value:
            typer.echo(f"{name} {version}")
            raise typer.Exit()

    option = typer.Option("--version", callback=show, is_eager=True, help="Print the version.")

    def root(show_version: bool = False) -> None:
        pass

    root.__annotations__["show_version"] = Annotated[
        bool, option
    ]  # a postponed annotation cannot name a closure's variable
    app.callback()(root)
    return app


def run(app: typer.Typer, name: str, interrupted: str) -> int:
    """Run the command line; the exit code: 0 done, 1 failure, 2 usage, 130 interrupted. Never a traceback.

    interrupted: the message after Ctrl-C. DLSCORE_DEBUG=1 lets exceptions through, for debugging.
    """
    before = signal.signal(signal.SIGTERM, _terminate)
    for stream in (sys.stdout, sys.stderr):  # an encoding such as latin-1 lacks ─ and σ
        if isinstance(stream, io.TextIOWrapper):
            stream.reconfigure(errors="replace")
    try:
        result = typer.main.get_command(app).main(prog_name=name, standalone_mode=False)
        if result == INTERRUPTED:  # typer's silent exit code for Ctrl-C
            raise KeyboardInterrupt
        return result if isinstance(result, int) else 0
    except UserError as error:
        return _fail(name, str(error), getattr(error, "exit_code", 1))
    except (KeyboardInterrupt, typer.Abort):
        return _fail(name, interrupted, INTERRUPTED)
    except BrokenPipeError:
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())  # the reader of a pipe has gone
        return 1
    except Exception as error:
        if isinstance(error, ClickException):
            message: str = error.format_message()  # type: ignore[attr-defined]
            if type(error).__name__ == "NoArgsIsHelpError":  # its message is the help
                print(message, file=sys.stderr)
                return 2
            return _fail(name, f"{message} (see {name} --help)", 2)
        if debugging():
            raise
        if isinstance(error, ModuleNotFoundError) and (error.name or "").split(".")[0] in SCORING:
            return _fail(
                name, f"scoring needs {error.name}, which is not installed; pip install '.[score]' in the source", 1
            )
        return _fail(name, f"internal error ({type(error).__name__}: {error}); set DLSCORE_DEBUG=1 to see where", 1)
    finally:
        signal.signal(signal.SIGTERM, before)


def fail_if(problems: Sequence[str], of: int) -> None:
    """Raise UserError if there are problems with some of `of` files; print each on stderr if there are several."""
    if len(problems) > 1:
        for problem in problems:
            typer.echo(f"  {problem}", err=True)
        raise UserError(f"{len(problems)} of {of} files are damaged; see above")
    if problems:
        raise UserError(problems[0])


def _terminate(number: int, frame: object) -> None:
    raise KeyboardInterrupt  # like Ctrl-C, so that locks are released and drafts removed


def _fail(name: str, message: str, code: int) -> int:
    print(f"{name}: error: {' '.join(message.split())}", file=sys.stderr)
    return code
