# SPDX-License-Identifier: Apache-2.0
"""Who is offered what, as frameworks and operators ask for it: constraints, least amounts, domains, the whitelist."""

import json
import struct
import time

import pytest

import raw_protobuf
from harness import make_task, wait_for


def domain(region, zone="z"):
    return json.dumps({"fault_domain": {"region": {"name": region}, "zone": {"name": zone}}})


def constraints(selector, predicate, role="*"):
    return {"role_constraints": {role: {"groups": [{"attribute_constraints": [
        {"selector": selector, "predicate": predicate}]}]}}}


def hosts(master, scheduler):
    """The names of the hosts that the framework has offers of."""
    state = master.state()
    names = {s["id"]: s["hostname"] for s in state["slaves"]}
    return sorted(names[o["slave_id"]] for f in state["frameworks"] if f["id"] == scheduler.framework_id
                  for o in f["offers"])


def wait_hosts(master, scheduler, expected, timeout=10.0):
    wait_for(lambda: hosts(master, scheduler) == expected, timeout, "offers of %s" % expected)
    time.sleep(0.2)  # long enough for several rounds of offers
    assert hosts(master, scheduler) == expected


def test_a_framework_is_offered_only_the_agents_that_it_wants(cluster):
    master = cluster.start_master()
    for name in ("a1", "a2", "b1"):
        cluster.start_agent(master, hostname=name, attributes="rack:" + name)
    scheduler = cluster.scheduler(master, subscribe=False)
    wanted = constraints({"attribute_name": "rack"}, {"text_matches": {"regex": "a[0-9]"}})
    scheduler.subscribe(offer_constraints=wanted)
    wait_hosts(master, scheduler, ["a1", "a2"])
    other = constraints({"pseudoattribute_type": "HOSTNAME"}, {"text_equals": {"value": "b1"}})
    response = scheduler.post({
        "type": "UPDATE_FRAMEWORK", "framework_id": {"value": scheduler.framework_id},
        "update_framework": {"framework_info": scheduler.framework, "offer_constraints": other}})
    assert response.status == 200
    wait_hosts(master, scheduler, ["a1", "a2", "b1"])
    scheduler.pump()
    scheduler.decline([o for e in scheduler.events if e["type"] == "OFFERS" for o in e["offers"]["offers"]], 0)
    wait_hosts(master, scheduler, ["b1"])


def test_constraints_that_cannot_be_are_refused_with_the_reason(cluster):
    master = cluster.start_master(offer_constraints_re2_max_program_size=10)
    for wrong, text in (
            (constraints({"attribute_name": "rack"}, {"text_matches": {"regex": "("}}),
             "Offer constraints are not valid: A role * has an invalid 'AttributeConstraint': Failed to construct "
             "regex from pattern '(': "),
            (constraints({"attribute_name": "rack"}, {"text_matches": {"regex": "abcdefgh" * 8}}),
             "is larger than maximum of 10 allowed"),
            (constraints({"attribute_name": "rack"}, {"exists": {}}, role="other"),
             "Offer constraints specify `role_constraints` for a role 'other'not contained in the set of roles")):
        scheduler = cluster.scheduler(master, subscribe=False)
        with pytest.raises(AssertionError) as failure:
            scheduler.subscribe(offer_constraints=wrong)
        assert text in str(failure.value)
        scheduler.stream.close()


def test_what_must_at_least_be_in_an_offer(cluster):
    master = cluster.start_master()
    cluster.start_agent(master, hostname="small", resources="cpus:1;mem:512")
    cluster.start_agent(master, hostname="large", resources="cpus:4;mem:512")
    least = {"min_allocatable_resources": {"quantities": [{"quantities": {"cpus": {"value": 2}}}]}}
    picky = cluster.scheduler(master, offer_filters={"*": least})
    wait_hosts(master, picky, ["large"])
    anybody = cluster.scheduler(master)
    wait_hosts(master, anybody, ["small"])


def test_other_regions_are_for_those_who_know_of_them(cluster):
    master = cluster.start_master(domain=domain("here"), require_agent_domain=True)
    assert master.state()["domain"]["fault_domain"]["region"]["name"] == "here"
    cluster.start_agent(master, hostname="near", domain=domain("here", "z2"))
    cluster.start_agent(master, hostname="far", domain=domain("there"))
    homely = cluster.scheduler(master)
    wait_hosts(master, homely, ["near"])
    aware = cluster.scheduler(master, capabilities=[{"type": "REGION_AWARE"}])
    wait_hosts(master, aware, ["far"])
    nowhere = cluster.start_agent(master, wait=False)
    wait_for(lambda: "this master requires one" in master.read_log(), what="the refusal of an agent without a domain")
    assert not nowhere.serves() or len(master.state()["slaves"]) == 2


def test_the_whitelist_is_read_again(cluster):
    path = cluster.path("whitelist")
    with open(path, "w", encoding="utf-8") as file:
        file.write("h1\n")
    master = cluster.start_master(whitelist="file://%s" % path)
    cluster.start_agent(master, hostname="h1")
    cluster.start_agent(master, hostname="h2")
    scheduler = cluster.scheduler(master)
    wait_hosts(master, scheduler, ["h1"])
    with open(path, "w", encoding="utf-8") as file:
        file.write("h1\nh2\n")
    wait_hosts(master, scheduler, ["h1", "h2"], timeout=15)


def test_random_sorters_offer_to_all(cluster):
    master = cluster.start_master(role_sorter="random", framework_sorter="random")
    schedulers = [cluster.scheduler(master, roles=[role], capabilities=[{"type": "MULTI_ROLE"}])
                  for role in ("a", "a", "b")]
    for number in range(3):
        cluster.start_agent(master, hostname="h%d" % number)

    def offered():
        return sum(len(f["offers"]) for f in master.state()["frameworks"])

    wait_for(lambda: offered() == 3, what="an offer of each agent")
    assert sum(len(hosts(master, s)) for s in schedulers) == 3
    role = explain(master, schedulers[0])[0]["roles"][0]
    assert (role["before"], role["after"]) == (0, 2) and "drawn by chance" in role["text"]


@pytest.mark.parametrize("is_aware", [True, False])
def test_who_declines_everything_comes_last_with_demand_aware_shares(cluster, is_aware):
    master = cluster.start_master(demand_aware_shares=is_aware)
    cluster.start_agent(master, hostname="first", resources="cpus:1;mem:128")
    idle = cluster.scheduler(master)
    for _ in range(3):
        idle.decline([idle.take_offer()], 0)
    busy = cluster.scheduler(master)
    task = make_task("sleep 600", cpus=1, mem=96)
    busy.launch(busy.take_offer(), [task])
    busy.wait_update(task["task_id"]["value"], "TASK_RUNNING")
    assert ("declined everything of late" in explain(master, idle)[0]["roles"][0]["text"]) == is_aware
    cluster.start_agent(master, hostname="second", resources="cpus:1;mem:128")
    # By shares it is the turn of the one that has nothing.
    wait_hosts(master, busy if is_aware else idle, ["second"])


def test_packing_offers_agents_that_are_partly_used_first(cluster):
    master = cluster.start_master(offer_packing=True)
    cluster.start_agent(master, hostname="used", resources="cpus:4;mem:512;disk:0")
    worker = cluster.scheduler(master)
    task = make_task("sleep 600", cpus=3, mem=384)
    worker.launch(worker.take_offer(), [task])
    worker.wait_update(task["task_id"]["value"], "TASK_RUNNING")
    worker.call("SUPPRESS")
    cluster.start_agent(master, hostname="free", resources="cpus:4;mem:512;disk:0")
    limits = {"cpus": {"value": 1}, "mem": {"value": 96}}
    operator(master, "UPDATE_QUOTA", quota_configs=[{"role": "small", "limits": limits}])
    # Each may have as much as is left of the one; without packing half of them would get it of the other.
    for _ in range(6):
        small = cluster.scheduler(master, roles=["small"], capabilities=[{"type": "MULTI_ROLE"}])
        assert small.take_offer()["hostname"] == "used"
        assert hosts(master, small) == ["used"]
        small.teardown()


def test_flags_that_make_no_sense(cluster):
    for flags, text in (({"role_sorter": "fair"}, "'fair' is none of drf, random"),
                        ({"domain": "{}"}, "domain must be a fault domain"),
                        ({"allocator_agent_recovery_factor": 2}, "must be between 0 and 1")):
        master = cluster.start_master(wait=False, **flags)
        wait_for(lambda daemon=master: not daemon.is_running(), what="the end of a master that was told nonsense")
        assert text in master.read_log()


def test_a_nested_role_is_offered_what_is_reserved_above(cluster):
    master = cluster.start_master()
    cluster.start_agent(master, resources="cpus(ads):2;mem(ads):256;cpus:1;mem:128")
    scheduler = cluster.scheduler(master, roles=["ads/web"], capabilities=[
        {"type": "MULTI_ROLE"}, {"type": "RESERVATION_REFINEMENT"}])
    offer = scheduler.take_offer()
    assert sum(r["scalar"]["value"] for r in offer["resources"] if r["name"] == "cpus") == 3


def explain(master, scheduler):
    """GET /master/allocator: the roles' reasons, as {role: {reason: group}}."""
    answer = master.get("/master/allocator?framework=" + scheduler.framework_id).json()
    return answer, {r["role"]: {g["reason"]: g for g in r["not_offered"]} for r in answer["roles"]}


def test_why_a_framework_is_not_offered_something(cluster):
    master = cluster.start_master(min_allocatable_resources="cpus:1")
    for name, resources in (("declined", "cpus:2;mem:128"), ("tiny", "cpus:0.5;mem:128"),
                            ("reserved", "cpus(ads):2;mem(ads):128"), ("out", "cpus:2;mem:128"),
                            ("hoarded", "cpus:2;mem:64")):
        cluster.start_agent(master, hostname=name, resources=resources, attributes="name:" + name)
    ids = {s["hostname"]: s["id"] for s in master.state()["slaves"]}
    hoarder = cluster.scheduler(master, subscribe=False, name="hoarder")
    hoarder.subscribe(offer_constraints=constraints({"attribute_name": "name"}, {"text_equals": {"value": "hoarded"}}))
    wait_hosts(master, hoarder, ["hoarded"])
    call = {"type": "DEACTIVATE_AGENT", "deactivate_agent": {"agent_id": {"value": ids["out"]}}}
    assert master.post("/api/v1", call).status == 200
    scheduler = cluster.scheduler(master)
    wait_hosts(master, scheduler, ["declined"])
    scheduler.decline([scheduler.take_offer()], 600)
    answer, reasons = explain(master, scheduler)
    assert answer["active"] and answer["offers"]["made"] == 1 and answer["offers"]["declined"] == 1
    latest = answer["offers"]["latest"][0]
    assert latest["hostname"] == "declined" and latest["resources"].startswith("cpus:2; mem:128")
    found = reasons["*"]
    assert {k: v["agent_ids"] for k, v in found.items()} == {
        "FILTERED": [ids["declined"]], "BELOW_MINIMUM": [ids["tiny"]], "RESERVED": [ids["reserved"]],
        "AGENT_INACTIVE": [ids["out"]], "NOTHING_FREE": [ids["hoarded"]]}
    assert 590 < found["FILTERED"]["filtered_until"] - time.time() <= 600
    assert found["FILTERED"]["free"]["cpus"] == 2
    assert "less than cpus:1, --min_allocatable_resources" in found["BELOW_MINIMUM"]["text"]
    assert "reserved for role ads" in found["RESERVED"]["text"]
    assert "deactivated by an operator" in found["AGENT_INACTIVE"]["text"]
    assert "to %s (hoarder)" % hoarder.framework_id in found["NOTHING_FREE"]["text"]
    excluded = explain(master, hoarder)[1]["*"]["OFFER_CONSTRAINTS"]
    assert excluded["agents"] == 3  # those with something free for it
    scheduler.call("SUPPRESS")
    answer, _ = explain(master, scheduler)
    assert answer["roles"][0]["suppressed"] and "REVIVE" in answer["roles"][0]["text"]
    assert master.get("/master/allocator").status == 400
    assert master.get("/master/allocator?framework=nobody").status == 404


def test_why_of_a_role_that_is_suppressed(cluster, master, agent):
    """Nothing is promised for the next round to who asked for no offers, or is away."""
    scheduler = cluster.scheduler(master, failover_timeout=600)
    scheduler.decline([scheduler.take_offer()], refuse_seconds=0)
    scheduler.call("SUPPRESS")
    group = wait_for(lambda: explain(master, scheduler)[1]["*"].get("SUPPRESSED"), what="the agent to be free")
    assert group["text"] == "nothing on the agents' side is in the way"
    scheduler.close()
    wait_for(lambda: "FRAMEWORK_INACTIVE" in explain(master, scheduler)[1]["*"], what="the framework to be away")


def operator(master, kind, **content):
    """A call of the operator API."""
    response = master.post("/api/v1", {"type": kind, kind.lower(): content})
    assert response.status in (200, 202), response.text
    return response


def reasons_by_host(master, scheduler, role="*"):
    """Why the framework is not offered each host: {host name: (reason, text)}."""
    names = {s["id"]: s["hostname"] for s in master.state()["slaves"]}
    return {names[agent]: (group["reason"], group["text"]) for group in explain(master, scheduler)[1][role].values()
            for agent in group["agent_ids"]}


def test_each_reason_is_the_true_one(cluster):
    whitelist = cluster.path("whitelist")
    with open(whitelist, "w", encoding="utf-8") as file:
        file.write("\n".join(["far", "gpu", "drained", "planned", "spare", "refined"]))
    master = cluster.start_master(domain=domain("here"), filter_gpu_resources=True, whitelist="file://%s" % whitelist)
    cluster.start_agent(master, hostname="far", domain=domain("there"))
    cluster.start_agent(master, hostname="gpu", resources="cpus:1;mem:128;gpus:1")
    cluster.start_agent(master, hostname="drained")
    cluster.start_agent(master, hostname="planned")
    cluster.start_agent(master, hostname="strange")
    cluster.start_agent(master, hostname="spare", resources="cpus:1;mem:128;disk:0", modules=FIXED,
                        resource_estimator="org_apache_mesos_FixedResourceEstimator")
    cluster.start_agent(master, hostname="refined", resources="cpus(a):1;mem(a):128;disk(a):1")
    wait_for(lambda: master.metrics()["master/cpus_revocable_total"] == 2, what="the estimate to come to the master")
    ids = {s["hostname"]: s["id"] for s in master.state()["slaves"]}
    operator(master, "RESERVE_RESOURCES", agent_id={"value": ids["refined"]}, resources=[
        {"name": name, "type": "SCALAR", "scalar": {"value": value}, "reservations": [
            {"type": "STATIC", "role": "a"}, {"type": "DYNAMIC", "role": "a/b"}]}
        for name, value in (("cpus", 1), ("mem", 128), ("disk", 1))])
    operator(master, "DRAIN_AGENT", agent_id={"value": ids["drained"]})
    operator(master, "UPDATE_MAINTENANCE_SCHEDULE", schedule={"windows": [{
        "machine_ids": [{"hostname": "planned", "ip": "127.0.0.1"}],
        "unavailability": {"start": {"nanoseconds": int((time.time() + 3600) * 1e9)}}}]})
    scheduler = cluster.scheduler(master)
    wait_hosts(master, scheduler, ["planned", "spare"])  # of the latter what is not revocable
    found = reasons_by_host(master, scheduler)
    assert {host: reason for host, (reason, _) in found.items()} == {
        "far": "REGION", "gpu": "GPUS", "drained": "AGENT_INACTIVE", "planned": "NOTHING_FREE",
        "strange": "NOT_WHITELISTED", "spare": "CAPABILITY", "refined": "RESERVED"}
    for host, text in (("far", "(region there)"), ("drained", "(draining)"), ("spare", "needs REVOCABLE_RESOURCES"),
                       ("refined", "reserved for role a/b"), ("strange", "--whitelist"),
                       ("planned", "1 of them in offers to this framework; 1 of them are to be unavailable")):
        assert text in found[host][1], found[host]
    # One that is in the role, but does not know of refined reservations.
    refiner = cluster.scheduler(master, roles=["a/b"], capabilities=[{"type": "MULTI_ROLE"}])
    assert "needs RESERVATION_REFINEMENT" in reasons_by_host(master, refiner, "a/b")["refined"][1]
    scheduler.call("SUPPRESS")
    role = explain(master, scheduler)[0]["roles"][0]
    assert role["suppressed"] and role["text"].startswith("the framework suppressed offers in this role")


def test_a_shared_volume_that_a_framework_cannot_have(cluster):
    master = cluster.start_master()
    volume = {"name": "disk", "type": "SCALAR", "scalar": {"value": 8},
              "reservations": [{"type": "DYNAMIC", "role": "team", "principal": "p"}]}
    cluster.start_agent(master, resources="cpus:1;mem:128;disk:8;ports:[]")
    many = [{"type": "MULTI_ROLE"}, {"type": "SHARED_RESOURCES"}]
    owner = cluster.scheduler(master, roles=["team"], capabilities=many, principal="p")
    offer = owner.take_offer()
    owner.accept([offer], [
        {"type": "RESERVE", "reserve": {"resources": [volume]}},
        {"type": "CREATE", "create": {"volumes": [{**volume, "shared": {}, "disk": {
            "persistence": {"id": "v", "principal": "p"}, "volume": {"mode": "RW", "container_path": "v"}}}]}}])
    offer = owner.take_offer(lambda o: any("shared" in r for r in o["resources"]))
    task = make_task("sleep 600", cpus=1, mem=128)
    owner.launch(offer, [task])
    owner.wait_update(task["task_id"]["value"], "TASK_RUNNING")
    other = cluster.scheduler(master, roles=["team"], capabilities=many[:1])
    group = explain(master, other)[1]["team"]["CAPABILITY"]
    assert "it needs SHARED_RESOURCES" in group["text"] and group["free"] == {"disk": 8}


def test_the_operator_api_tells_why_as_well(cluster):
    master = cluster.start_master()
    cluster.start_agent(master, hostname="h", resources="cpus:2;mem:128;disk:0")
    scheduler = cluster.scheduler(master)
    scheduler.decline([scheduler.take_offer()], 600)
    wanted, _ = explain(master, scheduler)
    content = {"framework_id": {"value": scheduler.framework_id}}
    answer = operator(master, "MESETA_EXPLAIN_OFFERS", **content).json()
    assert answer["type"] == "MESETA_EXPLAIN_OFFERS"
    told = answer["meseta_explain_offers"]
    for a, b in zip(wanted["roles"], told["roles"]):
        for x, y in zip(a["not_offered"], b["not_offered"]):
            assert y.pop("text").startswith("the framework declined what is free there")
            x.pop("text")  # it has the seconds that are left
    assert told == wanted
    media = "application/x-protobuf"
    call = raw_protobuf.encode([(1, 10001), (10001, [(1, [(1, scheduler.framework_id)])])])
    response = master.post("/api/v1", call, headers={"Content-Type": media, "Accept": media})
    assert (response.status, response.headers["Content-Type"]) == (200, media)
    fields = raw_protobuf.decode(response.body)
    assert fields[1] == [10001]
    body = raw_protobuf.decode(fields[10001][0])
    assert body[1] == [scheduler.framework_id.encode()]
    group = raw_protobuf.decode(raw_protobuf.decode(body[5][0])[9][0])
    assert group[1] == [b"FILTERED"] and group[4] == [1]
    free = dict((entry[1][0], struct.unpack("<d", entry[2][0])[0]) for entry in map(raw_protobuf.decode, group[6]))
    assert free[b"cpus"] == 2 and free[b"mem"] == 128
    for wrong, status, text in (({"framework_id": {"value": "nobody"}}, 404, "No framework found with ID nobody"),
                                ({}, 400, "framework_id")):
        response = master.post("/api/v1", {"type": "MESETA_EXPLAIN_OFFERS", "meseta_explain_offers": wrong})
        assert response.status == status and text in response.text


def test_quotas_are_kept_and_told(cluster):
    master = cluster.start_master()
    cluster.start_agent(master, hostname="h1", resources="cpus:4;mem:1024")
    cluster.start_agent(master, hostname="h2", resources="cpus:4;mem:1024")

    def quota(role, **content):
        scalars = {k: {n: {"value": v} for n, v in amounts.items()} for k, amounts in content.items()}
        call = {"type": "UPDATE_QUOTA", "update_quota": {"quota_configs": [{"role": role, **scalars}]}}
        response = master.post("/api/v1", call)
        assert response.status == 200, response.text

    multi = {"capabilities": [{"type": "MULTI_ROLE"}]}
    quota("limited", limits={"cpus": 1, "mem": 256})
    limited = cluster.scheduler(master, roles=["limited"], **multi)
    offer = limited.take_offer()
    assert {r["name"]: r["scalar"]["value"] for r in offer["resources"] if r["type"] == "SCALAR" and r["name"] != "disk"
            } == {"cpus": 1, "mem": 256}
    text = explain(master, limited)[1]["limited"]["QUOTA_LIMIT"]["text"]
    assert "the limit of role limited is cpus:1, and 0 of it are left" in text
    quota("promised", guarantees={"cpus": 7, "mem": 2048 - 256}, limits={"cpus": 8})
    other = cluster.scheduler(master, roles=["other"], **multi)
    time.sleep(0.3)  # long enough for several rounds of offers
    assert hosts(master, other) == []
    assert "guarantees of roles lack cpus:7" in explain(master, other)[1]["other"]["QUOTA_HEADROOM"]["text"]
    promised = cluster.scheduler(master, roles=["promised"], **multi)
    wait_hosts(master, promised, ["h1", "h2"])
    quota("promised", limits={"cpus": 8})
    promised.teardown()
    wait_hosts(master, other, ["h1", "h2"])


FIXED = json.dumps({"libraries": [{"modules": [
    {"name": "org_apache_mesos_FixedResourceEstimator", "parameters": [{"key": "resources", "value": "cpus:2"}]},
    {"name": "org_apache_mesos_LoadQoSController", "parameters": [{"key": "load_threshold_5min", "value": "-1"}]}]}]})


def test_revocable_resources_are_offered_and_taken_back(cluster):
    master = cluster.start_master()
    daemon = cluster.start_agent(master, resources="cpus:1;mem:512", modules=FIXED,
                                 resource_estimator="org_apache_mesos_FixedResourceEstimator")
    # One offer has all: what the agent tells later comes as an offer of its own.
    wait_for(lambda: master.metrics()["master/cpus_revocable_total"] == 2, what="the estimate to come to the master")
    scheduler = cluster.scheduler(master, capabilities=[{"type": "REVOCABLE_RESOURCES"}, {"type": "PARTITION_AWARE"}])
    offer = scheduler.take_offer(lambda o: any("revocable" in r for r in o["resources"]))
    assert {("revocable" in r, r["scalar"]["value"]) for r in offer["resources"] if r["name"] == "cpus"} == {
        (False, 1), (True, 2)}
    task = make_task("sleep 600")
    task["resources"] = [{"name": "cpus", "type": "SCALAR", "scalar": {"value": 1}, "revocable": {}},
                         {"name": "mem", "type": "SCALAR", "scalar": {"value": 32}}]
    scheduler.launch(offer, [task])
    task_id = task["task_id"]["value"]
    scheduler.wait_update(task_id, "TASK_RUNNING")
    assert master.metrics()["master/cpus_revocable_used"] == 1
    # A framework that cannot have them is not offered them.
    assert all("revocable" not in r for r in cluster.scheduler(master).wait_offer()["resources"])
    daemon.stop()
    quick = cluster.start_agent(master, resources="cpus:1;mem:512", modules=FIXED, hostname="quick",
                                resource_estimator="org_apache_mesos_FixedResourceEstimator",
                                qos_controller="org_apache_mesos_LoadQoSController")
    offer = scheduler.take_offer(lambda o: o["hostname"] == "quick" and any("revocable" in r for r in o["resources"]))
    task = {"name": "second", "task_id": {"value": "second"}, "command": task["command"],
            "resources": task["resources"][:1]}  # what is not revocable stands in another offer
    scheduler.launch(offer, [task])
    status = scheduler.wait_update("second", {"TASK_GONE"}, timeout=20)
    assert status["reason"] == "REASON_CONTAINER_PREEMPTED"
    assert "Container preempted by QoS correction" in status["message"]
    assert quick.metrics()["slave/executors_preempted"] == 1
    scheduler.teardown()
    old = cluster.scheduler(master, capabilities=[{"type": "REVOCABLE_RESOURCES"}])
    offer = old.take_offer(lambda o: any("revocable" in r for r in o["resources"]))
    old.launch(offer, [{"name": "third", "task_id": {"value": "third"}, "command": task["command"],
                        "resources": task["resources"]}])
    status = old.wait_update("third", "TASK_LOST", timeout=20)
    assert (status["source"], status["reason"]) == ("SOURCE_AGENT", "REASON_CONTAINER_PREEMPTED")


def test_modules_that_are_not_built_in_are_refused(cluster):
    other = json.dumps({"libraries": [{"file": "x.so", "modules": [{"name": "org_other"}]}]})
    for flags, text in (({"modules": other}, "'org_other' is not built in"),
                        ({"resource_estimator": "mine"}, "'mine' is not org_apache_mesos_FixedResourceEstimator"),
                        ({"resource_estimator": "org_apache_mesos_FixedResourceEstimator"}, "lacks 'resources'")):
        agent = cluster.start_agent(cluster.start_master(), wait=False, **flags)
        wait_for(lambda daemon=agent: not daemon.is_running(), what="the end of an agent that was told nonsense")
        assert text in agent.read_log()
