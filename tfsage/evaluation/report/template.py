"""Pages from templates: one layout, tables and charts that look alike, and one file that asks for nothing."""

from pathlib import Path

import jinja2

from tfsage.evaluation.report.axes import legend_key

_SHARED = Path(__file__).parent


def fill(template: Path, **values) -> str:
    """The HTML of a template, which finds layout.html.j2 and parts.html.j2 beside itself or here."""
    environment = jinja2.Environment(
        loader=jinja2.FileSystemLoader([template.parent, _SHARED]),
        autoescape=True,
        trim_blocks=True,
        lstrip_blocks=True,
        undefined=jinja2.StrictUndefined,
    )
    environment.globals["legend_key"] = legend_key
    return environment.get_template(template.name).render(**values)
