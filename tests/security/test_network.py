"""Nothing is sent or fetched unless a download was asked for."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

from tests.security import without_network

ROOT = Path(__file__).parents[2]


def test_import_help_training_and_prediction_need_no_network(tmp_path):
    done = subprocess.run(
        [sys.executable, "-m", "tests.security.without_network", str(tmp_path)],
        cwd=ROOT,
        env={**os.environ, "TF_CPP_MIN_LOG_LEVEL": "3"},
        capture_output=True,
        text=True,
        timeout=280,
    )
    assert done.returncode == 0, done.stdout[-1000:] + done.stderr[-3000:]
    assert "without network: " in done.stdout


@pytest.mark.parametrize(
    "attempt",
    [
        "socket.create_connection(('127.0.0.1', 9), timeout=1)",
        "urllib.request.urlopen('http://127.0.0.1:9/')",
        "socket.getaddrinfo('localhost', 80)",
        "subprocess.run([sys.executable, '-m', 'pip', '--version'])",
    ],
)
def test_an_attempt_is_seen(attempt):
    code = (
        "import socket, subprocess, sys, urllib.request\n"
        "from tests.security import without_network\n"
        f"sys.addaudithook(without_network.refuse)\n{attempt}\n"
    )
    done = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True)
    assert done.returncode != 0
    assert "the network is not to be used" in done.stderr


def test_every_script_is_tried():
    assert len(list(without_network.SCRIPTS.glob("[a-z]*.py"))) >= 12
