"""`python -m export.publish`: makes a verified bundle the current one, or an earlier one again."""

from pathlib import Path
from typing import Annotated

import typer

from export.command import BundleFolder, RunFolder, bundle_folder, done, make_app
from tfsage.errors import TfsageError
from tfsage.launch import launch

app = make_app()


@app.command(epilog="Example: python -m export.publish --run runs/demo --root bundles")
def main(
    root: Annotated[Path, typer.Option("--root", help="Folder of published bundles, with CURRENT in it.")],
    run: RunFolder = None,
    bundle: BundleFolder = None,
    rollback: Annotated[
        str | None, typer.Option("--rollback", metavar="SPACE_ID", help="Make this published bundle current again.")
    ] = None,
) -> None:
    """Verify a bundle, copy it below ROOT, and point CURRENT at it; or roll back to an earlier one."""
    if rollback is not None:
        from tfsage.bundle import rollback as roll_back

        done(f"{root / 'CURRENT'} points to {roll_back(root, rollback).folder.name} again")
        return
    if run is None:
        raise TfsageError("which bundle? Give --run RUN, or --rollback SPACE_ID")
    from tfsage.quiet import quiet_tensorflow

    quiet_tensorflow()
    from export.publish_bundle import publish
    from tfsage.bundle import Bundle

    made = publish(Bundle.open(bundle_folder(run, bundle)), root, run)
    done(f"published {made.folder}; {root / 'CURRENT'} points to it")


if __name__ == "__main__":
    launch(app)
