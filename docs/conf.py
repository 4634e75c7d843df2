"""Settings of the documentation: `make docs` builds it with warnings as errors, and runs its doctests."""

from __future__ import annotations

import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parent))  # command_pages.py

from sphinx.util.inspect import TypeAliasForwardRef

import foray

project = "foray"
author = "foray contributors"
copyright = "foray contributors, Apache-2.0"
version = release = foray.__version__

extensions = [
    "myst_nb",
    "sphinx.ext.autodoc",
    "sphinx.ext.autosummary",
    "sphinx.ext.doctest",
    "sphinx.ext.napoleon",
    "command_pages",
]
source_suffix = {".md": "myst-nb", ".ipynb": "myst-nb"}
default_role = "literal"  # `names` in docstrings
exclude_patterns = ["_build", "**/.ipynb_checkpoints"]
nitpicky = True
nitpick_ignore_regex = [
    # Types that are a few words, which each field states; unions whose members stand on the page.
    (r"py:.*", r"(Activation|ArtifactPrecision|CertificateVerdict|Interpolation|Outcome|PairStatus|Precision)"),
    (r"py:.*", r"(Exported|Optimizer|Preference|Progress|Recipe|Resize|Runtime|StoredPreprocessing|Triple)"),
    (r"py:.*", r"foray\.(progress\.Progress|processes\.Processes)"),
    # Names of other projects, whose inventories would need a connection at every build.
    (r"py:.*", r"(torch|numpy|np|npt|PIL|pydantic|pydantic_core|pathlib|collections|typing|annotated_types|os)\..*"),
    (r"py:.*", r"(Path|PathLike|Module|Tensor|device|dtype|NDArray|Array|ndarray|BaseModel|ConfigDict)"),
]

myst_enable_extensions = ["colon_fence", "deflist", "fieldlist"]
myst_heading_anchors = 3
nb_execution_mode = "force"
nb_execution_raise_on_error = True
nb_execution_timeout = 300
nb_output_stderr = "remove"  # progress, and warnings of other packages

autodoc_typehints = "description"
autodoc_typehints_description_target = "documented"
autodoc_preserve_defaults = True
autodoc_type_aliases = {"Recipe": "Recipe"}
TypeAliasForwardRef.__repr__ = lambda alias: alias.name  # what Sphinx writes of an alias within a union
autodoc_member_order = "bysource"
autosummary_generate = True
# In docstrings, examples see the names of their module; here they are given.
doctest_global_setup = """
from foray.records.quantities import *
from foray.specs import *
from foray.statistics import *
"""

smartquotes = False

html_theme = "furo"
html_title = "foray"
html_static_path = ["_static"]
html_css_files = ["site.css"]
html_theme_options = {"navigation_with_keys": True, "top_of_page_buttons": []}
