"""Signing in as people do, and scripts that work beside the running product."""

import json
import os
import subprocess
import sys
import time
from itertools import count
from pathlib import Path
from typing import Any

from playwright.sync_api import BrowserContext, Page, expect

from config.embedded import CHECKOUT
from config.stack import Stack
from examples.authenticator import STEP_SECONDS, code_of

_numbers = count(1, 1000)


def signed_in(window: BrowserContext, username: str, password: str) -> Page:
    """The first page after signing in by the form."""
    page = window.new_page()
    page.goto("/")
    page.get_by_label("Username").fill(username)
    page.get_by_label("Password").fill(password)
    page.get_by_role("button", name="Log in").click()
    expect(page.get_by_role("heading", name="What waits for you")).to_be_visible()
    return page


def code_now(secret: str) -> str:
    """What the person's device shows."""
    return code_of(secret, int(time.time()) // STEP_SECONDS)


def told_by(stack: Stack, script: str, *arguments: str) -> Any:
    """What a script of this folder prints, run on the product's own database."""
    path = str(Path(__file__).parent / script)
    return json.loads(run_beside(stack, path, *arguments, FACTORIES_FROM=str(next(_numbers))))


def run_beside(stack: Stack, *command: str, **variables: str) -> str:
    """Run Python with the product's environment; give what it prints."""
    done = subprocess.run(
        [sys.executable, *command],
        cwd=CHECKOUT,
        env=os.environ
        | stack.services.environment()
        | {"DJANGO_SETTINGS_MODULE": "config.settings", "PYTHONPATH": str(CHECKOUT)}
        | variables,
        check=False,
        capture_output=True,
        text=True,
    )
    assert done.returncode == 0, done.stderr
    return done.stdout
