"""The common options mean the same in every process."""

import argparse
from pathlib import Path

import pytest

from runtime.args import CommonArgs, add_common_args


def parse(*given: str) -> CommonArgs:
    parser = argparse.ArgumentParser()
    add_common_args(parser, health_port=8081)
    return CommonArgs.of(parser.parse_args(given))


def test_without_options_a_process_is_reachable_from_its_machine_only() -> None:
    assert parse() == CommonArgs(None, "text", "info", "127.0.0.1", 8081)


def test_options_are_taken_over() -> None:
    given = ("--kubeconfig", "k", "--log-format", "json", "--log-level", "debug", "--health-host", "::")
    assert parse(*given, "--health-port", "0") == CommonArgs(Path("k"), "json", "debug", "::", 0)


def test_health_port_minus_one_switches_it_off() -> None:
    assert parse("--health-port", "-1").health_port is None


@pytest.mark.parametrize("port", ["-2", "65536", "http"])
def test_a_port_that_is_none_is_explained(port: str, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit):
        parse("--health-port", port)
    assert f"{port!r} is no port; use 1 to 65535, 0 for any free one or -1 for none" in capsys.readouterr().err
