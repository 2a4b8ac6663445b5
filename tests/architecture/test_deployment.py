"""docker-compose.yml: it starts commands that exist with settings that are accepted, and opens one port."""

import importlib.util
import re
from collections.abc import Mapping
from typing import Any

import pytest
import yaml

from fhir_server.settings import VARIABLES, Settings, transport
from fhir_server.variables import PREFIX
from tests.architecture.files import ROOT

COMPOSE: dict[str, Any] = yaml.safe_load((ROOT / "docker-compose.yml").read_text())
SERVICES: dict[str, dict[str, Any]] = COMPOSE["services"]
OURS = {name: service for name, service in SERVICES.items() if "build" in service}
PLANNED = {"serve", "work", "demo", "token", "users", "keys", "backup", "verify", "reindex"}
SECRET = re.compile(r"PASSWORD|SECRET|PASSPHRASE|_KEY$|CREDENTIAL")


def subcommands() -> set[str]:
    """The real ones, once there is a command line."""
    if importlib.util.find_spec("fhir_server.cli.main") is None:
        return PLANNED
    main = importlib.import_module("fhir_server.cli.main")
    return set(getattr(main, "SUBCOMMANDS", PLANNED))


def environment(service: Mapping[str, Any]) -> dict[str, str]:
    """As compose hands it over when the caller sets nothing: `${NAME:-default}` is its default."""
    given = service.get("environment", {})
    return {name: re.sub(r"\$\{\w+:-([^}]*)\}", r"\1", value) for name, value in given.items()}


def test_the_server_its_worker_the_database_and_a_proxy_are_there() -> None:
    assert SERVICES.keys() == {"mongo", "server", "worker", "proxy"}
    assert OURS.keys() == {"server", "worker"}


@pytest.mark.parametrize("name", OURS)
def test_every_variable_is_a_setting_and_its_value_is_accepted(name: str) -> None:
    given = environment(OURS[name])

    settings = Settings.from_environment(given)

    assert given.keys() & {variable.name for variable in VARIABLES}
    assert settings.mongo_uri
    assert all(isinstance(value, str) for value in given.values())


def test_s59_t43_the_server_listens_behind_a_declared_proxy() -> None:
    assert transport(Settings.from_environment(environment(OURS["server"]))).hsts


def test_server_and_worker_agree_on_every_setting() -> None:
    server, worker = (
        {name: value for name, value in environment(OURS[service]).items() if name.startswith(PREFIX)}
        for service in ("server", "worker")
    )

    assert server == worker


def test_the_variables_of_the_image_are_settings() -> None:
    known = {variable.name for variable in VARIABLES}

    assert set(re.findall(rf"{PREFIX}[A-Z_]+", (ROOT / "Dockerfile").read_text())) <= known


@pytest.mark.parametrize("file", ["docker-compose.yml", "Dockerfile"])
def test_every_command_exists(file: str) -> None:
    text = (ROOT / file).read_text()

    named = re.findall(r'\[\s*"?fhir-server"?,\s*"?([a-z-]+)"?', text) + re.findall(r"`fhir-server ([a-z-]+)", text)

    assert named
    assert set(named) <= subcommands()


def test_s59_only_the_proxy_publishes_a_port() -> None:
    assert {name for name, service in SERVICES.items() if "ports" in service} == {"proxy"}
    assert not {name for name, service in SERVICES.items() if service.get("network_mode")}


def test_mongodb_is_on_an_internal_network_alone() -> None:
    networks = SERVICES["mongo"]["networks"]

    assert networks == ["data"]
    assert COMPOSE["networks"]["data"]["internal"] is True
    assert "data" not in SERVICES["proxy"]["networks"]


@pytest.mark.parametrize("name", OURS)
def test_server_and_worker_wait_for_a_database_that_takes_writes(name: str) -> None:
    assert OURS[name]["depends_on"]["mongo"]["condition"] == "service_healthy"
    assert "isWritablePrimary" in SERVICES["mongo"]["healthcheck"]["test"][-1]


@pytest.mark.parametrize("name", OURS)
def test_our_containers_can_do_little(name: str) -> None:
    service = OURS[name]

    assert service["read_only"] is True
    assert service["cap_drop"] == ["ALL"]
    assert "no-new-privileges:true" in service["security_opt"]
    assert re.search(r"^USER (?!root|0$)\S+$", (ROOT / "Dockerfile").read_text(), re.MULTILINE)


def test_there_are_no_secrets_in_it() -> None:
    for service in SERVICES.values():
        assert not [name for name in service.get("environment", {}) if SECRET.search(name)]
        assert not [value for value in environment(service).values() if re.search(r"//[^/]*@", value)]
