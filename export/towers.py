"""`python -m export.towers`: the trained towers of a run as SavedModels, with a manifest that names their space."""

from pathlib import Path
from typing import Annotated

import typer

from export.command import BundleFolder, bundle_folder, done, make_app
from tfsage.launch import launch

app = make_app()


@app.command(epilog="Example: python -m export.towers --run runs/demo")
def main(
    run: Annotated[Path, typer.Option("--run", help="Run folder that `tfsage train` wrote.")],
    bundle: BundleFolder = None,
) -> None:
    """Export the towers of a run as SavedModels: the first step of a bundle."""
    from tfsage.quiet import quiet_keras_nlp

    quiet_keras_nlp()
    from export.save_towers import save_towers
    from tfsage.training.run import Run

    made = save_towers(Run.open(run), bundle_folder(run, bundle))
    done(f"space {made.manifest.space_id}: towers in {made.folder}")


if __name__ == "__main__":
    launch(app)
