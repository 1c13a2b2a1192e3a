"""Which associations a question fits, by which field: asked of a plain ledger and of a packed one alike."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

from eni_ledger.ledger.archive import index_builder, index_keys
from eni_ledger.ledger.archive.prune import prune
from eni_ledger.ledger.format import gzip_members
from eni_ledger.ledger.query.questions import History
from eni_ledger.ledger.read.terms import Query, readings
from eni_ledger.ledger.write.batch import record_found
from helpers.ledgers import add_event, copy, del_event, record, settings

if TYPE_CHECKING:
    from pathlib import Path

    from eni_ledger.base.events import Association

TASK_ID = "3f9a1c20de414f0a8a1b2c3d4e5f6071"
ARN = "arn:aws:ecs:eu-central-1:123456789012:task/"
AWS = "arn:aws:ecs:eu-central-1:123456789012:"
TASK2 = "blue/5f8a2b3dde414f0a8a1b2c3d4e5f6071"
HEX = "5e7d9b21c0aa" + "e" * 52
NERDCTL = f"k8s-demo-{'7c1f' * 16}"

# What is recorded of each of these, and the texts that mean it and nothing else.
ABOUT: list[tuple[dict[str, Any], list[str]]] = [
    (
        {"addresses": ["10.0.32.5/20", "fd00::5/64"], "netns": "/host/proc/257/ns/net", "pid": 2577},
        [
            "10.0.32.5",
            "::ffff:10.0.32.5",
            "[10.0.32.5]",
            "fd00::5",
            "[fd00::5]",
            "fd00:0::5",
            "/host/proc/257/ns/net",
            "/proc/257/ns/net",
            "2577",
        ],
    ),
    (
        {"netns": "/proc/258/ns/net", "branch_mac": "0a:36:bf:4e:57:7e"},
        [
            "/proc/258/ns/net",
            "/host/proc/258/ns/net",
            "0a36.bf4e.577e",
            "0a36bf4e577e",
            "0A36BF4E577E",
            "0A:36:BF:4E:57:7E",
            "a:36:bf:4e:57:7e",
        ],
    ),
    (
        {"task_arn": f"{ARN}prod/{TASK_ID}"},
        [f"{ARN}prod/{TASK_ID}", f"{ARN}{TASK_ID}", TASK_ID, TASK_ID[:12], "3f9a1c"],
    ),
    ({"container_id": HEX}, [HEX, HEX[:12], HEX[:6], f"default-{HEX}", f"k8s.io-{HEX[:12]}"]),
    (
        {"container_id": NERDCTL, "netns": "/var/run/netns/x"},
        [NERDCTL, NERDCTL[9:], NERDCTL[9:21], "k8s-demo-7c1f", "/run/netns/x", "/host/var/run/netns/x"],
    ),
    ({"container_id": "demo-web"}, ["demo-web", "web", "demo-w"]),
    (
        {"vlan_id": 3101, "observed_vlan_id": 3102, "observed_mac": "0a:aa:bb:cc:dd:ee"},
        ["3101", "3102", "vlan3102", "0aaa.bbcc.ddee"],
    ),
    ({"addresses": ["10.0.40.1/20"], "observed_addresses": ["10.0.40.2/20"]}, ["10.0.40.1", "10.0.40.2"]),
    (
        {
            "private_dns_name": "ip-10-0-77-5.eu-central-1.compute.internal",
            "pause_name": "ecs-web-7-internalecspause-0a",
            "containers": [
                {"id": "c77a" * 16, "name": "app", "docker_name": "ecs-web-7-app-c0ffee0123456789ab"},
                {"id": "880012" + "d" * 58, "name": "envoy", "docker_name": "1234567"},
                {"id": "9" * 64},
            ],
        },
        [
            "ip-10-0-77-5.eu-central-1.compute.internal",
            "ip-10-0-77-5",
            "ecs-web-7-internalecspause-0a",
            "ecs-web-7-app-c0ffee0123456789ab",
            "c77a" * 16,
            "c77ac77ac77a",
            "c77ac7",
            "880012",
            "1234567",
            "9" * 64,
        ],
    ),
    ({"addresses": ["10.0.78.5/20"]}, ["ip-10-0-78-5.eu-central-1.compute.internal", "ip-10-0-78-5"]),
    (
        {"task_family": "api", "task_revision": 17, "service": "front", "cluster": "blue", "task_arn": f"{ARN}{TASK2}"},
        [
            "api",
            "family:api",
            "api:17",
            "family:api:17",
            "api:17/5f8a2b3d",
            "api:17/5",
            "api/5f8a",
            "family:api/5f8a",
            "task:api:17/5f8a",
            "task:5f8a",
            "front/5f8a",
            "blue/5f8a",
            "front",
            "service:front",
            "blue/front",
            "service:blue/front",
            f"{AWS}service/blue/front",
            f"{AWS}task-definition/api:17",
            "blue",
            "cluster:blue",
            f"{AWS}cluster/blue",
        ],
    ),
    ({"task_family": "vlan", "task_revision": "3"}, ["family:vlan:3", "family:vlan"]),
    (
        {
            "instance_id": "i-0123456789abcdef0",
            "trunk_ifname": "ens7",
            "trunk_mac": "0A:77:00:00:00:01",
            "trunk_eni_id": "eni-0bbbbbbbbbbbbbbbb",
            "addresses": ["10.77.0.6/20", "fd77::6/64"],
            "pid": 77777,
            "netns": "/run/netns/seventy",
        },
        [
            "i-0123456789abcdef0",
            "instance:i-0123456789abcdef0",
            "arn:aws:ec2:eu-central-1:123456789012:instance/i-0123456789abcdef0",
            "ens7",
            "trunk:ens7",
            "trunk:0a:77:00:00:00:01",
            "0a:77:00:00:00:01",
            "trunk:eni-0bbbbbbbbbbbbbbbb",
            "eni-0bbbbbbbbbbbbbbbb",
            "10.77.0.0/16",
            "10.77.0.4/30",
            "10.64.0.0/10",
            "fd77::/64",
            "fd77::/16",
            "ip-10-77-0-6.eu-central-1.compute.internal",
            "pid:77777",
            "netns:seventy",
        ],
    ),
    ({"eni_id": "eni-0aaaaaaaaaaaaaaaa"}, ["eni-0aaaaaaaaaaaaaaaa", "ENI-0AAAAAAAAAAAAAAAA", "eni-0aaaaaaaaaaaaaaaa!"]),
]


@pytest.fixture(scope="module", params=["plain", "packed", "packed by an older version"])
def asked(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> tuple[History, list[str]]:
    """Give a ledger with all that is asked about, ended and live, and the IDs of the associations; packed or not."""
    where = tmp_path_factory.mktemp("query") / "state"
    ids = [
        str(record(where, add_event(n + 1, **over), rotate_bytes=3000)["association_id"])
        for n, (over, _) in enumerate(ABOUT)
    ]
    record(where, del_event(1), rotate_bytes=1)
    if request.param != "plain":
        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(gzip_members, "MEMBER", 1200)
            if request.param != "packed":
                patch.setattr(index_builder, "VERSION", 3)
                patch.setattr(index_keys, "of_owners", lambda _: ())
            prune(settings(where))
        assert not list(where.glob("ledger-*.jsonl"))
    return History(str(where)), ids


@pytest.mark.parametrize(("number", "text"), [(n, text) for n, (_, texts) in enumerate(ABOUT) for text in texts])
def test_every_spelling_finds_what_was_recorded(asked: tuple[History, list[str]], number: int, text: str) -> None:
    history, ids = asked
    assert [one["association_id"] for one in history.who(text)] == [ids[number]]
    assert [one["association_id"] for one in history.who(text, "2199-01-01T00:00:00.000000Z")] == ids[
        number : number + 1
    ] * (
        number != 0  # that one has ended
    )


def test_a_container_that_was_there_at_another_time_is_no_unknown_name(asked: tuple[History, list[str]]) -> None:
    assert asked[0].who("demo-web", "1970-01-01T00:00:00.000000Z") == []


@pytest.mark.parametrize(
    "text",
    [
        "web:17",
        "family:web",
        "prod",
        "i-0123456789abcdef1",
        "10.9.0.0/16",
        "12" * 6,
        "10.9.9.9",
        "fd00::6",
        "k8s.io-" + "12" * 32,
        "/proc/9/ns/net",
        "0a36.bf4e.577f",
    ],
)
def test_what_is_looked_up_and_not_there_is_nobody(asked: tuple[History, list[str]], text: str) -> None:
    assert asked[0].who(text) == []


def test_what_fits_several_things_is_all_of_them_with_the_field(tmp_path: Path) -> None:
    where, short = tmp_path / "state", "3f9a1c20de41"
    container = record(where, add_event(1, container_id=short + "0" * 52))["association_id"]
    task = record(where, add_event(2, task_arn=f"{ARN}prod/{TASK_ID}"))["association_id"]
    query, history = Query(short), History(str(where))
    found = history.who(short)
    assert query.fitted(found) == {container: "container_id", task: "task_arn"}
    assert [one["association_id"] for one in history.who(TASK_ID)] == [task]
    assert Query(TASK_ID).fitted(history.who(TASK_ID)) == {}


def test_a_number_is_a_vlan_a_pid_and_an_inode(tmp_path: Path) -> None:
    where = tmp_path / "state"
    ids = [
        record(where, add_event(n, **over))["association_id"]
        for n, over in enumerate([{"vlan_id": 233}, {"pid": 233}, {"netns_inode": 233}, {"vlan_id": 2330}])
    ]
    found = History(str(where)).who("233")
    assert Query("233").fitted(found) == dict(zip(ids, ["vlan_id", "pid", "netns_inode"], strict=False))


def test_the_same_thing_at_several_times_is_told_without_its_field() -> None:
    one = {"association_id": "assoc-1", "container_id": "ab" * 32, "vlan_id": 101}
    other = {"association_id": "assoc-2", "container_id": "ab" * 32, "vlan_id": 101}
    assert Query("101").fitted([one, other]) == {}
    assert Query("abab").fitted([one, other]) == {}
    assert Query("abab").fitted([one, {**other, "container_id": "abab"}]) == dict.fromkeys(
        ("assoc-1", "assoc-2"), "container_id"
    )


def test_a_whole_id_is_not_meant_as_the_start_of_others_of_its_field() -> None:
    whole: Association = {"association_id": "assoc-1", "container_id": "demo-web"}
    longer: Association = {"association_id": "assoc-2", "container_id": "demo-web-2"}
    task: Association = {"association_id": "assoc-3", "container_id": "c", "task_arn": f"{ARN}prod/demo-web3"}
    assert Query("demo-web").best([whole, longer, task]) == [whole, task]


def test_tasks_of_one_id_in_two_places_are_two() -> None:
    one = {"association_id": "assoc-1", "task_arn": f"{ARN}prod/{TASK_ID}"}
    assert Query(f"{ARN}prod/{TASK_ID}").matches(one)
    assert Query(f"{ARN}{TASK_ID}").matches(one)
    assert not Query(f"{ARN}test/{TASK_ID}").matches(one)
    assert not Query(f"arn:aws:ecs:eu-west-1:123456789012:task/{TASK_ID}").matches(one)
    assert not Query(f"{ARN}prod/{TASK_ID}").matches({**one, "task_arn": None})


def test_twelve_digits_are_a_mac_when_they_are_nothing_else() -> None:
    assert [query.kind for query in readings("0a36bf4e577e")] == ["name", "mac"]
    assert [query.kind for query in readings("0a36bf4e577")] == ["name"]


def test_a_name_is_of_all_that_is_called_so_and_the_fields_are_told(tmp_path: Path) -> None:
    where = tmp_path / "state"
    fields = [{"task_family": "api", "service": "api"}, {"service": "api"}, {"cluster": "api"}, {"container_id": "api"},
              {"trunk_ifname": "api"}, {"container_id": "api-2"}, {"task_family": "api-2"}]  # fmt: skip
    ids = [record(where, add_event(n, **over))["association_id"] for n, over in enumerate(fields)]
    found = History(str(where)).who("api")
    assert [one["association_id"] for one in found] == ids[:5]
    told = ["task_family, service", "service", "cluster", "container_id", "trunk_ifname"]
    assert Query("api").fitted(found) == dict(zip(ids, told, strict=False))
    assert [one["association_id"] for one in History(str(where)).who("container:api")] == [ids[3]]


@pytest.mark.parametrize("text", ["web:7", "web/3f9a", "prod/web", "web:7/3f9a", "prod/3f9a", "service:prod/web"])
def test_what_is_told_by_an_add_and_an_identify_together(tmp_path: Path, text: str) -> None:
    where = tmp_path / "state"
    known = {"task_family": "web", "service": "web"}
    one = record(where, add_event(1, **known, task_arn=f"{ARN}test/{TASK_ID}"))["association_id"]
    two = record(where, add_event(2, **known))["association_id"]
    three = record(where, add_event(3, task_revision="7", cluster="prod"))["association_id"]
    record(where, add_event(4), rotate_bytes=1)
    late = {"cluster": "prod", "task_revision": "7", "task_arn": f"{ARN}prod/{TASK_ID}"}
    events = [{"event": "identify", "association_id": three, **known, "task_arn": f"{ARN}prod/{TASK_ID}"}]
    events.append({"event": "identify", "association_id": two, **late})
    record_found(settings(where), {}, lambda _: events)
    record(where, add_event(5), rotate_bytes=1)
    for state_dir in (where, copy(where, tmp_path / "packed")):
        if state_dir != where:
            prune(settings(state_dir))
        found = [found["association_id"] for found in History(str(state_dir)).who(text)]
        assert found == [two, three] if text != "web/3f9a" else [one, two, three]


@pytest.mark.parametrize("length", [6, 7, 8, 12, 32])
def test_the_start_of_a_task_that_was_identified_long_after_its_add(tmp_path: Path, length: int) -> None:
    where = tmp_path / "state"
    one = record(where, add_event(1))["association_id"]
    for n in range(2, 9):
        record(where, add_event(n), rotate_bytes=1)
    event = {"event": "identify", "association_id": one, "task_arn": f"{ARN}prod/{TASK_ID}"}
    record_found(settings(where), {}, lambda _: [event])
    record(where, add_event(9), rotate_bytes=1)
    for state_dir in (where, copy(where, tmp_path / "packed")):
        if state_dir != where:
            prune(settings(state_dir))
        assert [found["association_id"] for found in History(str(state_dir)).who(TASK_ID[:length])] == [one]
