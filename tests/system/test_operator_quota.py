# SPDX-License-Identifier: Apache-2.0
"""Weights and quotas: both APIs, what is wrong with a request, and that what was answered with 200 stays."""

import contextlib
import os
import sqlite3

import pytest

import raw_protobuf as protobuf
from harness import make_task, scalar, wait_for
from test_operator import call, call_protobuf

DURABLE = {"registry": "replicated_log"}


def weights(master):
    return {w["role"]: w["weight"] for w in call(master, "GET_WEIGHTS").get("weight_infos", [])}


def quotas(master):
    configs = call(master, "GET_QUOTA")["status"].get("configs", [])
    return {c["role"]: ({k: v["value"] for k, v in c.get("guarantees", {}).items()},
                        {k: v["value"] for k, v in c.get("limits", {}).items()}) for c in configs}


def config(role, guarantees=None, limits=None):
    made = {"role": role}
    for key, amounts in (("guarantees", guarantees), ("limits", limits)):
        if amounts:
            made[key] = {name: {"value": value} for name, value in amounts.items()}
    return made


def update_quota(master, *configs, force=False):
    response = master.post("/api/v1", {"type": "UPDATE_QUOTA", "update_quota": {"force": force,
                                                                               "quota_configs": configs}})
    return response.status, response.text


# ---- weights ----

def test_weights_are_durable_and_go_before_the_flag(cluster):
    master = cluster.start_master(**DURABLE, weights="ads=2,dev=3")
    assert weights(master) == {"ads": 2.0, "dev": 3.0}
    assert call(master, "UPDATE_WEIGHTS", weight_infos=[{"role": "ads", "weight": 5}, {"role": " x/y ", "weight": 0.5}]
                ) is None
    assert master.request("PUT", "/weights", [{"role": "dev", "weight": 4.5}]).status == 200
    expected = {"ads": 5.0, "dev": 4.5, "x/y": 0.5}
    assert weights(master) == expected
    master.kill()
    master.flags["weights"] = "ads=9,other=7"
    master.restart()
    assert weights(master) == expected
    assert "Ignoring --weights: the registry has weights" in master.read_log()
    assert {w["role"]: w["weight"] for w in master.get("/weights").json()} == expected
    answer = protobuf.decode(call_protobuf(master, 15)[15][0])
    assert {protobuf.decode(w)[2][0].decode() for w in answer[1]} == set(expected)
    shown = {r["name"]: r["weight"] for r in master.get("/roles").json()["roles"]}
    assert shown["ads"] == 5.0 and shown["x"] == 1.0 and shown["x/y"] == 0.5


@pytest.mark.parametrize("infos, text", [
    ([{"weight": 1}], "Failed to validate update weights request JSON: Invalid role '': "),
    ([{"role": "a//b", "weight": 1}], "Failed to validate update weights request JSON: Invalid role 'a//b': "),
    ([{"role": "other", "weight": 1}], "Failed to validate update weights request JSON: Unknown role 'other'"),
    ([{"role": "ads", "weight": 0}], "Failed to validate update weights request JSON for role 'ads': Invalid weight '0': "
                                     "Weights must be positive"),
    ([{"role": "ads", "weight": 2}, {"role": "dev", "weight": -1}],
     "Failed to validate update weights request JSON for role 'dev': Invalid weight '-1': Weights must be positive"),
])
def test_bad_weights(cluster, infos, text):
    master = cluster.start_master(roles="ads,dev")
    response = master.post("/api/v1", {"type": "UPDATE_WEIGHTS", "update_weights": {"weight_infos": infos}})
    assert (response.status, response.text[:len(text)]) == (400, text)
    response = master.request("PUT", "/weights", infos)
    assert (response.status, response.text[:len(text)]) == (400, text)
    assert weights(master) == {}


def test_bad_weights_as_json(master):
    for body, text in (("{", "Failed to parse update weights request JSON '{': "),
                       ("{}", "Failed to"),
                       ('[{"role": "a"}]', "Failed to convert weights JSON array to protobuf '[{\"role\": \"a\"}]': "
                                           "Missing required fields: ")):
        response = master.request("PUT", "/weights", body)
        assert (response.status, response.text[:len(text)]) == (400, text)
    response = master.post("/weights", "[]")
    assert (response.status, response.headers["Allow"]) == (405, "GET, PUT")
    many = [{"role": "r%d" % i, "weight": 1} for i in range(2000)]
    response = master.request("PUT", "/weights", many)
    assert response.status == 400 and "too much for one call" in response.text


def test_new_weights_take_the_offers_back(cluster):
    master = cluster.start_master()
    cluster.start_agent(master)
    scheduler = cluster.scheduler(master, roles=["ads"], capabilities=[{"type": "MULTI_ROLE"}])
    offer = scheduler.wait_offer()
    call(master, "UPDATE_WEIGHTS", weight_infos=[{"role": "nobody", "weight": 3}])
    call(master, "UPDATE_WEIGHTS", weight_infos=[{"role": "ads", "weight": 3}])
    scheduler.wait("RESCIND", lambda e: e["rescind"]["offer_id"] == offer["id"])
    scheduler.wait_offer()


# ---- quotas ----

def test_quotas_are_durable(cluster):
    master = cluster.start_master(**DURABLE)
    cluster.start_agent(master, resources="cpus:8;mem:4096")
    assert update_quota(master, config("ads", {"cpus": 1.5, "mem": 100}, {"cpus": 2}), config("dev", None, {"cpus": 3})
                        ) == (200, "")
    assert master.post("/quota", {"role": "old", "guarantee": [scalar("cpus", 2)]}).status == 200
    expected = {"ads": ({"cpus": 1.5, "mem": 100.0}, {"cpus": 2.0}), "dev": ({}, {"cpus": 3.0}),
                "old": ({"cpus": 2.0}, {"cpus": 2.0})}
    assert quotas(master) == expected
    master.kill()
    master.restart()
    assert quotas(master) == expected
    status = master.get("/quota").json()
    assert {i["role"]: {r["name"]: r["scalar"]["value"] for r in i.get("guarantee", [])} for i in status["infos"]} == {
        "ads": {"cpus": 1.5, "mem": 100.0}, "dev": {}, "old": {"cpus": 2.0}}
    answer = protobuf.decode(protobuf.decode(call_protobuf(master, 28)[19][0])[1][0])
    assert len(answer[1]) == len(answer[2]) == 3
    shown = {r["name"]: r["quota"] for r in master.get("/roles").json()["roles"]}
    assert (shown["ads"]["guarantee"], shown["ads"]["limit"]) == ({"cpus": 1.5, "mem": 100.0}, {"cpus": 2.0})
    # Back to nothing, in each way there is.
    assert master.request("DELETE", "/quota/old").status == 200
    assert call(master, "REMOVE_QUOTA", role="dev") is None
    assert update_quota(master, config("ads")) == (200, "")
    assert quotas(master) == {}
    master.kill()
    with contextlib.closing(sqlite3.connect(os.path.join(master.flags["work_dir"], "registry.db"))) as database:
        table = database.execute("SELECT name FROM sqlite_master WHERE type = 'table'").fetchone()[0]
        keys = [row[0] for row in database.execute("SELECT * FROM %s" % table)]
    assert not [k for k in map(str, keys) if "quota" in k.lower()]
    master.restart()
    assert quotas(master) == {}


def test_a_limit_holds(cluster):
    master = cluster.start_master()
    cluster.start_agent(master, resources="cpus:8;mem:4096")
    assert update_quota(master, config("ads", None, {"cpus": 1})) == (200, "")
    scheduler = cluster.scheduler(master, roles=["ads"], capabilities=[{"type": "MULTI_ROLE"}])
    offer = scheduler.wait_offer()
    assert sum(r["scalar"]["value"] for r in offer["resources"] if r["name"] == "cpus") <= 1
    task = make_task("sleep 600", cpus=1)
    for resource in task["resources"]:
        resource["allocation_info"] = {"role": "ads"}
    scheduler.launch(offer, [task], refuse_seconds=0)
    scheduler.wait_update(task["task_id"]["value"], "TASK_RUNNING")
    status, text = update_quota(master, config("ads", None, {"cpus": 0.5}))
    assert (status, text) == (400, "Invalid QuotaConfig: Role 'ads' is already consuming 'cpus:1; mem:32'; this is more "
                                   "than the requested limits 'cpus:0.5' (use 'force' flag to bypass this check)")
    assert update_quota(master, config("ads", None, {"cpus": 0.5}), force=True) == (200, "")
    consumed = {r["name"]: r["quota"]["consumed"] for r in master.get("/roles").json()["roles"]}["ads"]
    assert consumed["cpus"] == 1.0


def test_a_guarantee_takes_offers_from_others(cluster):
    master = cluster.start_master()
    cluster.start_agent(master, resources="cpus:4;mem:1024;disk:100")
    hoarder = cluster.scheduler(master, roles=["dev"], capabilities=[{"type": "MULTI_ROLE"}])
    offer = hoarder.wait_offer()
    assert update_quota(master, config("ads", {"cpus": 4}, {"cpus": 4})) == (200, "")
    hoarder.wait("RESCIND", lambda e: e["rescind"]["offer_id"] == offer["id"])
    ads = cluster.scheduler(master, roles=["ads"], capabilities=[{"type": "MULTI_ROLE"}])
    ads.wait_offer(where=lambda o: any(r["name"] == "cpus" and r["scalar"]["value"] == 4 for r in o["resources"]))



@pytest.mark.parametrize("configs, text", [
    ([config("other", {"cpus": 1})], "Invalid QuotaConfig: 'other' is not on the roles whitelist"),
    ([config("ads/x", {"cpus": 1})], "Updating quota on nested role 'ads/x' is not supported yet"),
    ([config("bad role", {"cpus": 1})], "Invalid QuotaConfig: Invalid 'QuotaConfig.role': "),
    ([config("ads", {"cpus": -1})], "Invalid QuotaConfig: Invalid guarantee configuration {'cpus': -1}: Negative values "
                                    "not supported"),
    ([config("ads", None, {"mem": 1e-310})], "Invalid QuotaConfig: Invalid limit configuration {'mem': 0}: Subnormal "
                                             "values not supported"),
    ([config("ads", {"cpus": 1e13})], "Invalid QuotaConfig: Invalid 'QuotaConfig.guarantees': {'cpus': 10000000000000} is "
                                      "invalid: values greater than 1 trillion (1000000000000) are not supported"),
    ([config("ads", None, {"disk": 2e12})], "Invalid QuotaConfig: Invalid 'QuotaConfig.limits': {'disk': 2000000000000} is "
                                            "invalid: values greater than 1 exabyte (1099511627776) are not supported"),
    ([config("ads", {"cpus": 2}, {"cpus": 1})], "Invalid QuotaConfig: 'QuotaConfig.guarantees' cpus:2 is not contained "
                                                "within the 'QuotaConfig.limits' cpus:1"),
    ([config("dev", {"cpus": 1}), config("ads", {"cpus": 4, "mem": 12345678.5})],
     "Invalid QuotaConfig: total quota guarantees 'cpus:5; mem:12345678.5' exceed cluster capacity 'cpus:4; disk:100; mem:1024' (use 'force' flag to "
     "bypass this check)"),
])
def test_bad_quota_configs(cluster, configs, text):
    # A name that is no role cannot be in --roles.
    master = cluster.start_master(roles=None if "bad" in configs[0]["role"] else "ads,dev,ads/x")
    cluster.start_agent(master, resources="cpus:4;mem:1024;disk:100")
    status, why = update_quota(master, *configs)
    assert (status, why[:len(text)]) == (400, text)
    assert quotas(master) == {}
    if "force" in text:
        assert update_quota(master, *configs, force=True) == (200, "")


@pytest.mark.parametrize("request_, status, text", [
    ({"guarantee": [scalar("cpus", 1)]}, 400, "Failed to validate set quota request: QuotaInfo must specify a role"),
    ({"role": "a b", "guarantee": [scalar("cpus", 1)]}, 400,
     "Failed to validate set quota request: QuotaInfo with invalid role: "),
    ({"role": "ads"}, 400, "Failed to validate set quota request: QuotaInfo with empty 'guarantee'"),
    ({"role": "ads", "guarantee": [scalar("cpus", -1)]}, 400,
     "Failed to validate set quota request: QuotaInfo with invalid resource: "),
    ({"role": "ads", "guarantee": [scalar("cpus", 1, "ads")]}, 400,
     "Failed to validate set quota request: QuotaInfo must not contain any ReservationInfo"),
    ({"role": "ads", "guarantee": [{**scalar("disk", 1), "disk": {}}]}, 400,
     "Failed to validate set quota request: QuotaInfo must not contain DiskInfo"),
    ({"role": "ads", "guarantee": [{**scalar("cpus", 1), "revocable": {}}]}, 400,
     "Failed to validate set quota request: QuotaInfo must not contain RevocableInfo"),
    ({"role": "ads", "guarantee": [{"name": "ports", "type": "RANGES", "ranges": {"range": [{"begin": 1, "end": 2}]}}]},
     400, "Failed to validate set quota request: QuotaInfo must not include non-scalar resources"),
    ({"role": "ads", "guarantee": [scalar("cpus", 1), scalar("cpus", 2)]}, 400,
     "Failed to validate set quota request: QuotaInfo contains duplicate resource name 'cpus'"),
    ({"role": "taken", "guarantee": [scalar("cpus", 1)]}, 400,
     "Failed to validate set quota request: Cannot set quota for role 'taken' which already has quota"),
    ({"role": "taken/x", "guarantee": [scalar("cpus", 3)]}, 400,
     "Failed to validate set quota request: Invalid quota configuration. Parent role 'taken' with guarantees (cpus:1) does "
     "not contain the sum of its children's guarantees (cpus:3)"),
    ({"role": "taken/x", "guarantee": [scalar("cpus", 1)]}, 400, "Setting quota on nested role 'taken/x' is not supported "
                                                                 "yet"),
    ({"role": "ads", "guarantee": [scalar("cpus", 4)]}, 409,
     "Quota guarantees overcommit the cluster (use 'force' to bypass this check): Total quota guarantees 'cpus:5' exceed "
     "cluster capacity 'cpus:4; disk:100; mem:1024'"),
])
def test_bad_set_quota(cluster, request_, status, text):
    master = cluster.start_master()
    cluster.start_agent(master, resources="cpus:4;mem:1024;disk:100")
    assert update_quota(master, config("taken", {"cpus": 1})) == (200, "")
    for response in (master.post("/quota", request_),
                     master.post("/api/v1", {"type": "SET_QUOTA", "set_quota": {"quota_request": request_}})):
        assert (response.status, response.text[:len(text)]) == (status, text)
    if status == 409:
        assert master.post("/quota", {**request_, "force": True}).status == 200


def test_bad_requests_to_the_quota_endpoint(master):
    for method, path, body, status, text in (
            ("POST", "/quota", "{", 400, "Failed to parse set quota request JSON '{': "),
            ("POST", "/quota", '{"role": 5}', 400, "Failed to validate set quota request JSON '{\"role\": 5}': "),
            ("DELETE", "/quota", None, 400, "Failed to parse remove quota request for path '/master/quota': expected 3 "
                                            "tokens, found 2 tokens"),
            ("DELETE", "/master/quota/a/b", None, 400, "Failed to remove quota for path '/master/quota/a/b': Role 'a/b' has "
                                                       "no quota set"),
            ("PUT", "/quota", "{}", 405, "405 Method Not Allowed. Expecting one of { 'GET', 'POST', 'DELETE' }, but "
                                         "received 'PUT'.")):
        response = master.request(method, path, body)
        assert (response.status, response.text[:len(text)]) == (status, text)
    response = master.post("/api/v1", {"type": "REMOVE_QUOTA", "remove_quota": {"role": "ads"}})
    assert (response.status, response.text) == (400, "Failed to remove quota: Role 'ads' has no quota set")


def test_a_registry_of_a_newer_master_is_left_alone(cluster):
    master = cluster.start_master(**DURABLE)
    call(master, "UPDATE_WEIGHTS", weight_infos=[{"role": "ads", "weight": 5}])
    master.kill()
    path = os.path.join(master.flags["work_dir"], "registry.db")
    with contextlib.closing(sqlite3.connect(path)) as database, database:
        table = database.execute("SELECT name FROM sqlite_master WHERE type = 'table'").fetchone()[0]
        columns = [row[1] for row in database.execute("PRAGMA table_info(%s)" % table)]
        name = protobuf.encode([(1, "TIME_TRAVEL")])
        database.execute("INSERT INTO %s (%s) VALUES (?, ?)" % (table, ", ".join(columns[:2])),
                         ("capabilities/TIME_TRAVEL", name))
    master.start()
    wait_for(lambda: not master.is_running(), 10, "the master to give up")
    assert master.process.returncode == 1
    assert ("Failed to recover the registry: Master is missing the following minimum capabilities: TIME_TRAVEL"
            in master.read_log())
