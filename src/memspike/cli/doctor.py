"""`memspike doctor`: whether an installation is sound."""

from memspike.cli.console import computing, out
from memspike.cli.own import Imports, bring
from memspike.parts.errors import RunError


@computing()
def doctor(imports: Imports = None) -> None:
    """Check versions, devices, the JAX canaries, the caches and parts of your own."""
    bring(imports)
    from memspike.cli.checks import checks

    healthy = True
    for check in checks():
        healthy &= check.ok
        out.print(
            f"{'[green]ok  [/green]' if check.ok else '[red]FAIL[/red]'} {check.name}: {check.detail}", soft_wrap=True
        )
    if not healthy:
        raise RunError("Something is wrong with this installation; see the lines marked FAIL.")
