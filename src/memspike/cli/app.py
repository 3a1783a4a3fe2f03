"""The program: its verbs, and errors as one sentence with an exit status. Verbs import what they need when called."""

import sys
from typing import Annotated, NoReturn

import typer

from memspike import __version__
from memspike.cli import compare, data, deploy, doctor, export, fit, neurobench, nir, report, run, show, spice
from memspike.cli import import_device as import_device_
from memspike.cli import list as list_
from memspike.cli.console import err, out
from memspike.parts.errors import InputError, InterruptedRunError, RunError

app = typer.Typer(
    help="Simulate and train spiking neural networks made of memristive devices.",
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    context_settings={"help_option_names": ["-h", "--help"]},
)
app.command("list")(list_.list_)
app.command("show")(show.show)
app.command("run")(run.run)
app.command("fit")(fit.fit)
app.command("report")(report.report)
app.command("compare")(compare.compare)
app.command("export")(export.export)
app.command("import-device")(import_device_.import_device)
app.add_typer(nir.nir_app, name="nir")
app.command("deploy")(deploy.deploy)
app.command("neurobench")(neurobench.neurobench)
app.command("spice")(spice.spice)
app.add_typer(data.data_app, name="data")
app.command("doctor")(doctor.doctor)


def _version(wanted: bool | None) -> None:
    if wanted:
        out.print(f"memspike {__version__}")
        raise typer.Exit


@app.callback()
def _main(
    version: Annotated[
        bool | None, typer.Option("--version", callback=_version, is_eager=True, help="Print it.")
    ] = None,
) -> None:
    """Options of the program itself."""


def _stop(message: str, status: int) -> NoReturn:
    err.print(f"memspike: {message}", markup=False, soft_wrap=True)
    sys.exit(status)


def _of_jax(error: RuntimeError) -> bool:
    jax = sys.modules.get("jax")  # not imported here: the program starts without it
    return jax is not None and isinstance(error, jax.errors.JaxRuntimeError)


def main() -> None:
    """Entry point: bad input ends with status 2, a failure with 1, an interruption with 130."""
    try:
        app()
    except InputError as error:
        _stop(str(error), 2)
    except InterruptedRunError as error:
        _stop(str(error), 130)
    except RunError as error:
        _stop(str(error), 1)
    except KeyboardInterrupt:
        _stop("Interrupted.", 130)
    except MemoryError:
        _stop("The machine ran out of memory; use a smaller training.batch or fewer --seeds.", 1)
    except RuntimeError as error:
        if not _of_jax(error):
            raise
        _stop(f"JAX failed: {str(error).splitlines()[0]}", 1)
    except OSError as error:
        _stop(f"{error.filename or 'A file'} cannot be used: {error.strerror or error}.", 1)
