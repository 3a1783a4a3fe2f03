"""`memspike import-device`: a device from a card of SPICE or Verilog-A."""

from pathlib import Path
from typing import Annotated

import typer

from memspike.cli.console import out


def import_device(
    file: Annotated[Path, typer.Argument(help="A file with a .model, a .subckt or a Verilog-A module.")],
    law: Annotated[
        str | None, typer.Option(help="vteam, yakopcic, stanford-pku, linear-ion-drift or metastable-switch.")
    ] = None,
    name: Annotated[str | None, typer.Option(help="Which card, where the file has several.")] = None,
    out_file: Annotated[Path, typer.Option("--out", help="The TOML file to write.")] = Path("device.toml"),
) -> None:
    """Write the parameters of somebody else's card as a device.toml, which stands wherever a device is named."""
    from memspike.devices import description
    from memspike.interop.spice_cards import device_from_card
    from memspike.parts.errors import InputError

    if out_file.exists():
        raise InputError(f"{out_file} exists; give another file with --out.")
    if out_file.suffix != ".toml":
        raise InputError(
            f"--out is {out_file}; a name that ends with .toml is needed, or it cannot be named as a device."
        )
    found = device_from_card(file, law, name)
    description.write(found.device, out_file)
    for line in (f"{found.law} from {found.card}", *(f"note: {note}" for note in found.notes), f"device: {out_file}"):
        out.print(line, markup=False, soft_wrap=True)
