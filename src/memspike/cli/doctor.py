"""`memspike doctor`: whether an installation is sound."""

from memspike.cli.console import computing, out
from memspike.parts.errors import RunError


@computing()
def doctor() -> None:
    """Check versions, devices, the JAX canaries and the caches."""
    from memspike.cli.checks import checks

    healthy = True
    for check in checks():
        healthy &= check.ok
        out.print(
            f"{'[green]ok  [/green]' if check.ok else '[red]FAIL[/red]'} {check.name}: {check.detail}", soft_wrap=True
        )
    if not healthy:
        raise RunError("Something is wrong with this installation; see the lines marked FAIL.")
