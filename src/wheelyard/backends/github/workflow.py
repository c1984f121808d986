"""The workflow that a new repository gets; pure. Its text is one for GitHub as it is: see the tests, which check the schema."""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import Final

PATH: Final = ".github/workflows/update-index.yml"
"""Where it is kept, on the default branch."""

_HEAD: Final = """\
# Made by `wheelyard github.init_pkg_repo`.
# A server lists what is uploaded through it by itself. This lists what was added to releases by hand, and repairs
# the branch '@BRANCH_TEXT@'. Releases that the server makes start no run: their tags have no workflows.
name: update-index

on:
  push:
    branches: [@DEFAULT@]
  release:
    types: [published, edited, deleted]
  workflow_dispatch:
@SCHEDULE@
permissions: {}

concurrency:
  group: update-index
  cancel-in-progress: false

jobs:
  build:
    runs-on: ubuntu-latest
    timeout-minutes: 30
    permissions:
      contents: write
    steps:
      - uses: actions/setup-python@v6
        with:
          python-version: "3.13"
      - run: python -m pip install wheelyard
      - name: Update index.
        run: >-
          wheelyard update_index
          --type github
          --name "$NAME"
          --secret_env GITHUB_TOKEN
          --owner "${GITHUB_REPOSITORY%/*}"
          --repo "${GITHUB_REPOSITORY#*/}"
          --branch "$BRANCH"
          --index_filename "$INDEX_FILENAME"
          --api_url "$GITHUB_API_URL"
        env:
          GITHUB_TOKEN: ${{ github.token }}
          NAME: @NAME@
          BRANCH: @BRANCH@
          INDEX_FILENAME: @INDEX_FILENAME@
"""

_SCHEDULE: Final = """\
  schedule:
    - cron: "17 * * * *" # what was published through a server gets onto the pages
"""

_PAGES: Final = """\
      - name: Generate public github pages.
        run: >-
          wheelyard github.gen_gh_pages
          --name "$NAME"
          --token_env GITHUB_TOKEN
          --owner "${GITHUB_REPOSITORY%/*}"
          --repo "${GITHUB_REPOSITORY#*/}"
          --branch "$BRANCH"
          --index_filename "$INDEX_FILENAME"
          --api_url "$GITHUB_API_URL"
          --output_folder gh-pages
        env:
          GITHUB_TOKEN: ${{ github.token }}
          NAME: @NAME@
          BRANCH: @BRANCH@
          INDEX_FILENAME: @INDEX_FILENAME@
      - uses: actions/upload-pages-artifact@v5
        with:
          path: gh-pages

  deploy:
    needs: build
    if: github.ref_type == 'branch' # the environment takes no tags, which releases run for; the next run has it
    runs-on: ubuntu-latest
    timeout-minutes: 15
    permissions:
      pages: write
      id-token: write
    environment:
      name: github-pages
      url: ${{ steps.deployment.outputs.page_url }}
    steps:
      - id: deployment
        uses: actions/deploy-pages@v5
"""


@dataclass(frozen=True, slots=True, kw_only=True)
class Workflow:
    """
    What the workflow is for.

    Attributes:
        name: Name of the index.
        branch: Its branch.
        index_filename: The predecessor's list on the default branch.
        default_branch: Whose pushes start it.
        pages: Whether it publishes the index with GitHub Pages.
    """

    name: str
    branch: str
    index_filename: str
    default_branch: str
    pages: bool

    def render(self) -> str:
        """Write it; every value is quoted as YAML, and none stands where a shell would read it."""
        text = (_HEAD + (_PAGES if self.pages else "")).replace(
            "@SCHEDULE@\n", f"{_SCHEDULE}\n" if self.pages else "\n"
        )
        values = {
            "@DEFAULT@": json.dumps(self.default_branch),
            "@NAME@": json.dumps(self.name),
            "@BRANCH@": json.dumps(self.branch),
            "@INDEX_FILENAME@": json.dumps(self.index_filename),
            "@BRANCH_TEXT@": "".join(character for character in self.branch if character.isprintable()),
        }
        for mark, value in values.items():
            text = text.replace(mark, value)
        return text
