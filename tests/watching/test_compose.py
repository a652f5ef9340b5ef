"""Tests that the files of compose, Prometheus, Grafana and the IDE agree."""

import json
import re
import shutil
import subprocess
from pathlib import Path

import pytest
import yaml

from tests.fixtures.desk import config_from
from webapp.beside import END_SECONDS

ROOT = Path(__file__).parent.parent.parent
SETTING = re.compile(r"\$\{(\w+):(?:-|\?run make \.env)([^}]*)\}")
PINNED = re.compile(r":v?\d+\.\d+(\.\d+)?(-\w+)?@sha256:[0-9a-f]{64}$")
SERVICES = {
    *("prepare", "web", "checkpoints", "proxy", "db"),
    *("prometheus", "alertmanager", "grafana"),
}
RUN_ONCE = "prepare"
OWN = {"prepare", "web", "checkpoints"}  # not reached from outside the containers
BUILT = "receive_loan_from_bank"
KEEPING = SERVICES - {"proxy"}
SPECIFIED_KEYS = {
    *("build", "cap_add", "cap_drop", "command", "cpus", "depends_on", "entrypoint"),
    *("environment", "extra_hosts", "healthcheck", "image", "mem_limit", "ports", "pull_policy"),
    *("read_only", "restart", "security_opt", "shm_size", "stop_grace_period", "tmpfs", "user"),
    "volumes",
}
HEALTH_CHECK_KEYS = {"disable", "interval", "retries", "start_period", "test", "timeout"}
SIZED = re.compile(r"/[\w/]+:(\w+=\w+,)*size=\d+m(,\w+=\w+)*")


def defaults(text: str) -> str:
    """Fill in each variable's default, and the name of one that has none: a password."""
    return SETTING.sub(lambda found: found[2] or found[1], text)


def example() -> dict[str, str]:
    """Read .env.example."""
    lines = (ROOT / ".env.example").read_text().splitlines()
    return dict(line.split("=", 1) for line in lines if line and not line.startswith("#"))


def without_password(url: str) -> str:
    return re.sub(r":\w+@", "@", url)


def read_commented(file: Path):
    """Read JSON in which whole lines may be comments."""
    lines = file.read_text().splitlines()
    return json.loads("\n".join(line for line in lines if not line.lstrip().startswith("//")))


@pytest.fixture(scope="session")
def scraped():
    return yaml.safe_load((ROOT / "prometheus/prometheus.yml").read_text())


def test_services_are_the_expected_ones(compose):
    assert set(compose["services"]) == SERVICES


def test_keys_are_those_of_the_specification(compose):
    assert set(compose) == {"name", "services", "volumes"}
    for name, service in compose["services"].items():
        assert service.keys() <= SPECIFIED_KEYS, name
        assert service.get("healthcheck", {}).keys() <= HEALTH_CHECK_KEYS, name
        assert set(service.get("depends_on", {})) <= SERVICES - {name}, name


def test_images_are_pinned_or_built_here(compose):
    built = [s["image"] for s in compose["services"].values() if "build" in s]
    assert built == [BUILT]  # once, because two builds of one image sometimes fail
    for name, service in compose["services"].items():
        assert service["image"] == BUILT or PINNED.search(service["image"]), name
    for name in OWN - {RUN_ONCE}:
        assert compose["services"][name]["pull_policy"] == "never"


def test_services_have_a_health_check_and_restart(compose):
    for name, service in compose["services"].items():
        if name == RUN_ONCE:
            assert (service["healthcheck"], service["restart"]) == ({"disable": True}, "no")
            continue
        image = (ROOT / "Dockerfile").read_text() if service["image"] == BUILT else ""
        assert "healthcheck" in service or "HEALTHCHECK" in image, name
        assert service["restart"] == "unless-stopped", name


def test_data_is_in_named_volumes(compose):
    named = set()
    for name in KEEPING:
        service = compose["services"][name]
        kept = [v.split(":") for v in service["volumes"] if not v.startswith(".")]
        assert kept, name
        named |= {volume for volume, _ in kept}
    assert named == set(compose["volumes"])


def test_files_that_are_mounted_exist_and_are_read_only(compose):
    for service in compose["services"].values():
        for volume in service["volumes"]:
            if volume.startswith("."):
                source, _, mode = defaults(volume).split(":")
                assert (ROOT / source).exists(), source
                assert mode == "ro", volume


def test_only_loan_desk_is_reachable_from_other_machines(compose):
    for name, service in compose["services"].items():
        published = [defaults(port) for port in service.get("ports", [])]
        assert len(published) == (name not in OWN), name
        for port in published:
            assert port.startswith("127.0.0.1:") == (name != "proxy"), name
    assert defaults(compose["services"]["proxy"]["ports"][0]) == "5000:8080"
    assert defaults(compose["services"]["grafana"]["ports"][0]) == "127.0.0.1:3000:3000"


def test_services_have_limited_rights_and_resources(compose):
    for name, service in compose["services"].items():
        assert service["read_only"] is True, name
        assert service["cap_drop"] == ["ALL"], name
        assert "no-new-privileges:true" in service["security_opt"], name
        assert service["tmpfs"], name
        assert all(SIZED.fullmatch(folder) for folder in service["tmpfs"]), name
        assert service["mem_limit"], name
        assert service["cpus"], name


def test_web_container_has_time_for_a_graceful_stop(compose):
    text = (ROOT / "gunicorn.conf.py").read_text()
    graceful = int(re.search(r"^graceful_timeout = (\d+)", text, flags=re.M)[1])
    given = int(compose["services"]["web"]["stop_grace_period"].removesuffix("s"))
    assert given > graceful + END_SECONDS


def test_prometheus_and_grafana_start_without_the_web_container(compose):
    services = compose["services"]

    def started(name: str) -> set[str]:
        needed = set(services[name].get("depends_on", {}))
        return {name}.union(*(started(other) for other in needed))

    assert started("prometheus") | started("grafana") == SERVICES - OWN - {"proxy"}


def test_grafana_s_home_dashboard_exists(compose):
    grafana = compose["services"]["grafana"]
    mounted = {v.split(":")[1]: v.split(":")[0] for v in grafana["volumes"]}
    home = Path(grafana["environment"]["GF_DASHBOARDS_DEFAULT_HOME_DASHBOARD_PATH"])
    assert (ROOT / mounted[str(home.parent)] / home.name).is_file()
    provider = yaml.safe_load((ROOT / "grafana/provisioning/dashboards/loan-desk.yml").read_text())
    assert [p["options"]["path"] for p in provider["providers"]] == [str(home.parent)]
    assert all(p["allowUiUpdates"] is False for p in provider["providers"])


def test_settings_of_compose_are_those_of_the_example():
    named = {}
    text = (ROOT / "docker-compose.yml").read_text()
    assert "$" not in SETTING.sub("", text), "a variable has no default and no message"
    for name, value in SETTING.findall(text):
        assert named.setdefault(name, value) == value, f"{name} has two defaults"
    assert example() == named
    # An IDE passes .env to the service too, which refuses unknown LOAN_ settings.
    assert not [name for name in named if name.startswith("LOAN_")]


def test_every_password_is_chosen_where_it_is_used(tmp_path):
    for name in ("Makefile", ".env.example"):
        shutil.copy(ROOT / name, tmp_path)

    def made() -> list[str]:
        subprocess.run(["make", ".pgpass"], cwd=tmp_path, check=True)
        return [(tmp_path / name).read_text() for name in (".env", ".pgpass")]

    settings, pgpass = made()
    assert made() == [settings, pgpass]
    assert {(tmp_path / name).stat().st_mode & 0o777 for name in (".env", ".pgpass")} == {0o600}
    chosen = dict(line.split("=", 1) for line in settings.splitlines() if line[:1].isupper())
    assert chosen.keys() == example().keys()
    passwords = {name for name in chosen if name.endswith("_PASSWORD")}
    empty = {name for name, value in example().items() if not value}
    assert empty == passwords | {"ALERT_WEBHOOK_URL"}
    assert len({chosen[name] for name in passwords}) == len(passwords) == 5
    assert all(re.fullmatch(r"[A-Za-z0-9]{32}", chosen[name]) for name in passwords)
    assert pgpass.splitlines() == [
        f"*:*:*:loan_owner:{chosen['OWNER_DATABASE_PASSWORD']}",
        f"*:*:*:loan_desk:{chosen['DESK_DATABASE_PASSWORD']}",
    ]


def test_service_accepts_the_settings_it_is_given(compose):
    roles = {"prepare": "loan_owner", "web": "loan_desk", "checkpoints": "loan_desk"}
    for name, role in roles.items():
        settings = compose["services"][name]["environment"]
        config = config_from({k: defaults(v) for k, v in settings.items()})
        password = f"{role.removeprefix('loan_').upper()}_DATABASE_PASSWORD"
        assert config.database == f"postgresql+psycopg://{role}:{password}@db:5432/loan_desk"


def test_service_starts_after_prepare_and_without_the_owner_s_password(compose):
    web, prepare = compose["services"]["web"], compose["services"][RUN_ONCE]
    assert web["depends_on"] == {RUN_ONCE: {"condition": "service_completed_successfully"}}
    assert prepare["depends_on"] == {"db": {"condition": "service_healthy"}}
    assert "OWNER" not in str(web)
    assert web["command"] == ["gunicorn"]
    assert prepare["command"] == ["flask", "--app", "webapp", "prepare"]
    assert prepare["volumes"] == web["volumes"]  # the key that signs sessions


def test_checkpoints_are_signed_beside_the_service(compose):
    web, checkpoints = compose["services"]["web"], compose["services"]["checkpoints"]
    assert checkpoints["command"][:5] == ["flask", "--app", "webapp", "audit", "checkpoint"]
    assert checkpoints["volumes"] == web["volumes"]  # the key, and the files
    assert checkpoints["depends_on"] == web["depends_on"]
    assert "OWNER" not in str(checkpoints)


def test_ide_starts_the_service_on_the_monitored_database_and_port(compose, scraped):
    launch = read_commented(ROOT / ".vscode/launch.json")["configurations"]
    tasks = {t["label"]: t for t in read_commented(ROOT / ".vscode/tasks.json")["tasks"]}
    desk, tests = launch
    assert (desk["module"], tests["module"]) == ("gunicorn", "pytest")
    config = config_from(desk["env"])
    published = defaults(compose["services"]["db"]["ports"][0]).rpartition(":")[0]
    inside = compose["services"]["web"]["environment"]["LOAN_DATABASE_URL"]
    assert config.database_url == without_password(defaults(inside)).replace("db:5432", published)
    prepare = tasks[desk["preLaunchTask"]]
    owner = defaults(compose["services"][RUN_ONCE]["environment"]["LOAN_DATABASE_URL"])
    given = prepare["options"]["env"]
    assert given["LOAN_DATABASE_URL"] == without_password(owner).replace("db:5432", published)
    assert given["PGPASSFILE"] == desk["env"]["PGPASSFILE"] == "${workspaceFolder}/.pgpass"
    host, _, port = config.bind.rpartition(":")
    assert host == "0.0.0.0"
    assert (
        f"host.docker.internal:{port}"
        in scraped["scrape_configs"][0]["static_configs"][0]["targets"]
    )
    assert "host.docker.internal:host-gateway" in compose["services"]["prometheus"]["extra_hosts"]


def test_data_sources_are_the_containers(compose, datasources, scraped):
    database, prometheus = datasources["loan-desk-postgresql"], datasources["loan-desk-prometheus"]
    assert all(source["editable"] is False for source in datasources.values())
    assert prometheus["url"] == "http://prometheus:9090"
    assert prometheus["jsonData"]["timeInterval"] == scraped["global"]["scrape_interval"]
    assert (database["url"], database["user"]) == ("db:5432", "grafana")
    password = database["secureJsonData"]["password"].removeprefix("$")
    given = compose["services"]
    assert given["grafana"]["environment"][password] == given["db"]["environment"][password]
