"""The workflow control-flow patterns that the program supports, each a sample that is run for real.

What "before" and "at once" mean is read from the journal: the order in which starts and ends were decided, which does
not depend on how fast the machine is.
"""

import itertools

import pytest

from engine.model.events import RunCancelled, RunCompleted, StepStarted


def ended(story, status="completed"):
    assert (story.status, story.run.error_message) == (status, None)


# ------------------------------------------------------------------------------------------------ basic patterns


@pytest.mark.parametrize(("price", "text"), [(100, "119"), (0, "0"), (9.99, "11.89")])
def test_wcp_01_each_step_of_a_sequence_starts_when_the_one_before_has_completed(bench, price, text):
    story = bench.play(1, price=price)
    ended(story)
    assert story.moments == [
        (kind, node) for node in ("tax", "round", "invoice") for kind in ("start", "end")
    ]
    assert story.state["invoice"] == f"To pay: {text}"


@pytest.mark.parametrize("seconds", [0, 0.03])
def test_wcp_02_both_branches_of_a_parallel_split_run_at_the_same_time(bench, seconds):
    story = bench.play(2, seconds=seconds)
    ended(story)
    assert story.visits == {"register": 1, "policy": 1, "damage": 1}
    assert story.at("end", "register") < min(story.at("start", "policy"), story.at("start", "damage"))
    assert story.most_at_once({"policy", "damage"}) == 2
    assert (story.state["policy"], story.state["damage"]) == ("valid", 800)


@pytest.mark.parametrize(("policy_s", "damage_s"), [(0, 0), (0, 0.03), (0.03, 0)])
def test_wcp_03_a_synchronization_waits_for_all_branches_and_runs_once(bench, policy_s, damage_s):
    story = bench.play(3, policy_s=policy_s, damage_s=damage_s, policy="expired", damage=5)
    ended(story)
    assert story.visits == {"register": 1, "policy": 1, "damage": 1, "decide": 1}
    assert story.at("start", "decide") > max(story.at("end", "policy"), story.at("end", "damage"))
    assert story.state["decision"] == "Policy expired, damage 5"


@pytest.mark.parametrize(
    ("amount", "chosen"), [(0, "pay"), (99.9, "pay"), (100, "clerk"), (999, "clerk"), (1000, "manager")]
)
def test_wcp_04_an_exclusive_choice_takes_one_branch(bench, amount, chosen):
    story = bench.play(4, amount=amount)
    ended(story)
    assert story.path == ["amount", chosen]
    assert story.skipped == {"pay", "clerk", "manager"} - {chosen}


@pytest.mark.parametrize(("amount", "chosen"), [(5, "cash"), (500, "transfer")])
def test_wcp_05_a_simple_merge_goes_on_from_the_branch_that_was_taken(bench, amount, chosen):
    story = bench.play(5, amount=amount)
    ended(story)
    assert story.path == ["amount", chosen, "book"]
    assert story.state["booked"] == chosen


# ------------------------------------------------------------------------------- branching and synchronization

SERVICES = ("police", "ambulance", "fire")
NEEDS = [list(some) for size in range(4) for some in itertools.combinations(SERVICES, size)]


@pytest.mark.parametrize("needs", NEEDS, ids=str)
def test_wcp_06_a_multi_choice_takes_every_branch_that_is_wanted_and_one_at_least(bench, needs):
    story = bench.play(6, needs=needs, seconds=0)
    ended(story)
    taken = set(needs) or {"advise"}
    assert story.visits == dict.fromkeys({"call", *taken}, 1)
    assert story.skipped == {*SERVICES, "advise"} - taken
    assert story.most_at_once(taken) == len(taken)


@pytest.mark.parametrize("needs", NEEDS, ids=str)
def test_wcp_07_a_synchronizing_merge_waits_for_the_branches_that_were_taken(bench, needs):
    story = bench.play(7, needs=needs, seconds=0.01)
    ended(story)
    taken = needs or ["advise"]
    assert story.visits == dict.fromkeys(["call", *taken, "report"], 1)
    assert story.at("start", "report") > max(story.at("end", node) for node in taken)
    assert story.state["came"] == taken


@pytest.mark.parametrize("patients", [1, 3])
@pytest.mark.parametrize(("breathing_s", "pulse_s"), [(0, 0.03), (0.03, 0), (0, 0)])
def test_wcp_09_a_discriminator_goes_on_at_the_first_branch_and_is_reset_by_the_last(
    bench, patients, breathing_s, pulse_s
):
    story = bench.play(9, patients=patients, breathing_s=breathing_s, pulse_s=pulse_s)
    ended(story)
    assert story.visits == {**dict.fromkeys(("patient", "breathing", "pulse", "triage"), patients), "done": 1}
    assert len(story.state["triaged"]) == patients
    for time in range(1, patients + 1):
        first, last = sorted(story.at("end", node, time) for node in ("breathing", "pulse"))
        assert story.moments[first][1] == story.state["triaged"][time - 1]
        assert first < story.at("start", "triage", time) < last
        if time < patients:
            assert story.at("start", "patient", time + 1) > last
    assert story.path[-1] == "done"


@pytest.mark.parametrize(
    ("state", "path"),
    [
        ({}, ["go", "write", "review", "go", "write", "review", "go", "write", "review", "publish"]),
        ({"quality": 50}, ["go", "write", "review", "publish"]),
        ({"enter": "review", "quality": 80}, ["go", "review", "publish"]),
        ({"enter": "review", "quality": 50}, ["go", "review", "go", "write", "review", "publish"]),
        ({"tries": 1}, ["go", "write", "review", "go", "write", "give_up"]),
        ({"tries": 0}, ["go", "write", "give_up"]),
    ],
)
def test_wcp_10_a_cycle_is_entered_and_left_at_different_nodes(bench, state, path):
    story = bench.play(10, **state)
    ended(story)
    assert story.path == path
    assert story.skipped == {"give_up", "publish", *({"review"} if path[-1] == "give_up" else ())} - {
        path[-1]
    } | ({"write"} if path == ["go", "review", "publish"] else set())


# ---------------------------------------------------------------------------------------------------- structure


@pytest.mark.parametrize("gift", [True, False])
@pytest.mark.parametrize(("pack_s", "invoice_s"), [(0, 0.03), (0.03, 0)])
def test_wcp_11_a_run_ends_when_nothing_is_left_to_do(bench, gift, pack_s, invoice_s):
    story = bench.play(11, gift=gift, pack_s=pack_s, invoice_s=invoice_s)
    ended(story)
    wanted = {"order", "pack", "ship", "invoice", *({"card"} if gift else ())}
    assert story.visits == dict.fromkeys(wanted, 1)
    assert [kind for kind, _ in story.moments].count("end") == len(wanted)
    assert isinstance(story.entries[-1].event, RunCompleted)
    assert story.entries[-1].event.exit_condition is None


@pytest.mark.parametrize(
    ("n", "triples", "halves"), [(0, 0, 0), (1, 0, 0), (2, 0, 1), (6, 2, 6), (7, 5, 11), (27, 41, 70)]
)
def test_wcp_21_structured_loops_test_first_and_test_last_one_in_the_other(bench, n, triples, halves):
    story = bench.play(21, n=n)
    ended(story)
    assert (story.visits["triple"], story.visits["halve"]) == (triples, halves)
    assert story.state["n"] == min(n, 1)
    assert story.state["steps"] == triples + halves
    rounds = (
        sum(node == "test" for node in story.path) - 1
    )  # each begins with an odd number, but maybe the first
    assert rounds == triples + (n > 1 and n % 2 == 0)
    assert story.path[-1] == "done"


# ------------------------------------------------------------------------------------------- multiple instances


def items(node, count):
    return {f"{node}[{number}]" for number in range(count)}


@pytest.mark.parametrize(("tell_s", "plan_s"), [(0.03, 0), (0, 0.03)])
@pytest.mark.parametrize("count", [0, 1, 5])
def test_wcp_12_instances_run_at_once_and_nothing_waits_for_them(bench, count, tell_s, plan_s):
    story = bench.play(12, passengers=list("ABCDE"[:count]), tell_s=tell_s, plan_s=plan_s)
    ended(story)
    assert story.most_at_once(items("tell", count)) == count
    assert story.at("start", "announce") == story.at("end", "plan") + 1
    assert story.state["told"] == [f"told {name}" for name in "ABCDE"[:count]]
    assert all(("end", node) in story.moments for node in items("tell", count))


@pytest.mark.parametrize("slowest", ["finance", "sales", "research"])
def test_wcp_13_a_fixed_number_of_instances_run_at_once_and_are_waited_for(bench, slowest):
    story = bench.play(13, **{"finance_s": 0, "sales_s": 0, "research_s": 0, f"{slowest}_s": 0.03})
    ended(story)
    assert story.path == ["report", "sign", "issue"]
    assert story.most_at_once(items("sign", 3)) == 3
    assert story.at("start", "issue") > max(story.at("end", node) for node in items("sign", 3))
    assert story.state["signatures"] == ["signed by finance", "signed by sales", "signed by research"]
    assert story.state["issued_with"] == 3


@pytest.mark.parametrize("count", [0, 1, 2, 20])
def test_wcp_14_as_many_instances_run_as_the_run_asks_for_and_are_waited_for(bench, count):
    story = bench.play(14, messages=[f"sensor {number}" for number in range(count)], seconds=0.01)
    ended(story)
    assert story.path == ["messages", "check", "identify"]
    assert story.most_at_once(items("check", count)) == count
    assert all(story.is_before(("end", node), ("start", "identify")) for node in items("check", count))
    assert story.state["checked"] == [f"sensor {number} checked" for number in range(count)]
    assert story.state["faults"] == count


# -------------------------------------------------------------------------------------------------- state-based


def looked_twice(entries):
    return sum(isinstance(entry.event, StepStarted) and entry.event.node == "look" for entry in entries) >= 2


@pytest.mark.parametrize(("file", "branch"), [("accept.txt", "accepted"), ("decline.txt", "declined")])
def test_wcp_16_what_comes_from_outside_first_decides_which_branch_is_taken(bench, file, branch):
    def put(run_id):
        (bench.workspace / file).touch()

    story = bench.play_until(16, looked_twice, put, every_s=0.005, looks=5_000)
    ended(story)
    assert story.state["outcome"] == branch
    assert story.visits["look"] == story.visits["wait"] + 1 >= 2
    assert story.path[-1] == branch
    assert story.skipped == {"accepted", "declined", "lapsed", "wait"} - {branch}


def test_wcp_16_without_anything_from_outside_the_time_decides(bench):
    story = bench.play(16, every_s=0, looks=3)
    ended(story)
    assert story.path == ["look", "wait", "look", "wait", "look", "lapsed"]


@pytest.mark.parametrize(
    ("wish_s", "reserve_s", "hold_s"), [(0, 0.05, 0), (0.05, 0, 0.2), (0.1, 0, 0), (0.02, 0.02, 0.02)]
)
def test_wcp_18_a_task_is_possible_only_while_the_milestone_lasts(bench, wish_s, reserve_s, hold_s):
    story = bench.play(18, wish_s=wish_s, reserve_s=reserve_s, hold_s=hold_s)
    ended(story)
    wish = story.at("end", "wish")
    lasts = story.at("end", "reserve") < wish < story.at("start", "issue")
    assert story.state["outcome"] == ("changed" if lasts else "refused")
    assert (story.visits["change"], story.visits["refuse"]) == (int(lasts), int(not lasts))


@pytest.mark.parametrize("order", list(itertools.permutations(("fuel", "brakes", "lights"))), ids=str)
def test_wcp_40_each_task_runs_once_in_any_order_and_never_two_at_once(bench, order):
    story = bench.play(40, order=list(order), seconds=0)
    ended(story)
    assert story.path == ["next", order[0], "next", order[1], "next", order[2], "next", "report"]
    assert story.most_at_once(set(order)) == 1
    assert story.state["report"] == list(order)


@pytest.mark.parametrize("order", [[], ["lights"], ["lights", "lights", "wings", "fuel"]], ids=str)
def test_wcp_40_no_order_makes_a_task_run_twice_or_be_left_out(bench, order):
    story = bench.play(40, order=order, seconds=0)
    ended(story)
    wished = [name for name in dict.fromkeys(order) if name != "wings"]
    assert story.state["report"][: len(wished)] == wished
    assert sorted(story.state["report"]) == ["brakes", "fuel", "lights"]


# ------------------------------------------------------------------------------------------------- cancellation


@pytest.mark.parametrize(("quick", "slow"), [("first", "second"), ("second", "first")])
def test_wcp_19_a_running_task_is_cancelled_when_another_has_made_it_needless(bench, quick, slow):
    story = bench.play(19, **{f"{quick}_s": 0, f"{slow}_s": 30})
    ended(story)
    assert story.state == {f"{quick}_s": 0, f"{slow}_s": 30, "settled_by": quick}
    assert story.moments[-1] == ("cancel", slow)
    assert story.run.steps[slow].status.value == "cancelled"
    assert slow not in story.run.results or story.run.results[slow] is None


def test_wcp_20_a_cancelled_run_ends_with_its_running_steps_and_starts_nothing_more(bench):
    def both_run(entries):
        running = {entry.event.node for entry in entries if isinstance(entry.event, StepStarted)}
        return running >= {"credit", "valuation"}

    story = bench.play_until(20, both_run, bench.engine.cancel_execution)
    assert story.status == "cancelled"
    assert isinstance(story.entries[-1].event, RunCancelled)
    assert story.visits == {"application": 1, "credit": 1, "valuation": 1}
    assert {story.run.steps[node].status.value for node in ("credit", "valuation")} == {"cancelled"}


def test_wcp_20_the_run_completes_when_nobody_cancels_it(bench):
    story = bench.play(20, seconds=0)
    ended(story)
    assert story.path[-1] == "offer"


@pytest.mark.parametrize(("ship_s", "newsletter_s"), [(0, 30), (0.01, 30)])
def test_wcp_43_the_run_is_completed_when_the_end_is_reached_whatever_still_runs(bench, ship_s, newsletter_s):
    story = bench.play(43, ship_s=ship_s, newsletter_s=newsletter_s)
    ended(story)
    assert story.state["outcome"] == "delivered"
    assert story.moments[-1] == ("cancel", "newsletter")
    assert story.visits["send"] == 0
    assert story.entries[-1].event.exit_condition == "steps.end.status == 'completed'"


def test_wcp_43_what_was_done_before_the_end_stays_done(bench):
    story = bench.play(43, ship_s=0.05, newsletter_s=0)
    ended(story)
    assert story.state["outcome"] == "delivered"
    assert story.state.get("sent", False) == (("end", "send") in story.moments)


# ---------------------------------------------------------------------------------------------------- triggers


def test_wcp_24_a_trigger_that_comes_before_it_is_waited_for_is_kept_and_used_up_once(bench):
    trigger = bench.workspace / "payment.txt"
    trigger.write_text("42 Euro")
    story = bench.play(24, prepare_s=0.01)
    ended(story)
    assert story.path == ["prepare", "look", "book", "use_up"]
    assert story.state["payment"] == "42 Euro"
    assert trigger.read_text() == ""
    again = bench.play(24, prepare_s=0, every_s=0, looks=2)
    assert again.path == ["prepare", "look", "wait", "look", "missing"]


def test_wcp_24_a_trigger_that_comes_late_is_waited_for(bench):
    def pay(run_id):
        (bench.workspace / "payment.txt").write_text("7")

    story = bench.play_until(24, looked_twice, pay, prepare_s=0, every_s=0.005, looks=5_000)
    ended(story)
    assert story.path[-2:] == ["book", "use_up"]
    assert story.state["payment"] == "7"
    assert story.visits["look"] == story.visits["wait"] + 1


# ------------------------------------------------------------------------------- discriminators and partial joins

ROUNDS = [
    [["north", "south", "west"]],
    [["north", "south"], ["south", "west"], ["west", "north"]],
    [["north", "west"], ["north", "south", "west"]],
]


def check_rounds(story, rounds, needed):
    """The join runs at the n-th end of each round, and the next round begins after all of its ends."""
    seen = dict.fromkeys(SUPPLIERS, 0)
    assert (story.visits["ask"], story.visits["order"], story.visits["close"]) == (
        len(rounds),
        len(rounds),
        1,
    )
    for number, asked in enumerate(rounds, 1):
        for name in asked:
            seen[name] += 1
        ends = sorted(story.at("end", name, seen[name]) for name in asked)
        begun = story.at("start", "order", number)
        assert sum(end < begun for end in ends) == needed
        assert set(story.state["orders"][number - 1]) == {story.moments[end][1] for end in ends[:needed]}
        if number < len(rounds):
            assert story.at("start", "ask", number + 1) > max(ends)
    assert {name: story.visits[name] for name in SUPPLIERS} == seen


SUPPLIERS = ("north", "south", "west")
PACES = [(0, 0.02, 0.04), (0.04, 0.02, 0), (0, 0, 0)]


@pytest.mark.parametrize("paces", PACES, ids=str)
@pytest.mark.parametrize("rounds", [*ROUNDS, [["north"], ["south"]]], ids=str)
def test_wcp_28_a_blocking_discriminator_goes_on_at_the_first_of_those_that_are_active(bench, rounds, paces):
    story = bench.play(
        28, rounds=rounds, **{f"{name}_s": s for name, s in zip(SUPPLIERS, paces, strict=True)}
    )
    ended(story)
    check_rounds(story, rounds, 1)


@pytest.mark.parametrize("paces", PACES, ids=str)
@pytest.mark.parametrize("rounds", ROUNDS, ids=str)
def test_wcp_31_a_blocking_partial_join_goes_on_at_the_second_of_those_that_are_active(bench, rounds, paces):
    story = bench.play(
        31, rounds=rounds, **{f"{name}_s": s for name, s in zip(SUPPLIERS, paces, strict=True)}
    )
    ended(story)
    check_rounds(story, rounds, 2)


def test_wcp_31_too_few_active_branches_do_not_block_the_run(bench):
    story = bench.play(31, rounds=[["north"], ["south", "west"]], north_s=0)
    ended(story)
    assert story.path == ["ask", "north"]
    assert story.skipped == {"south", "west", "order", "close"}


@pytest.mark.parametrize("slowest", ["first", "second", "third"])
def test_wcp_30_a_partial_join_goes_on_at_the_second_of_three_branches(bench, slowest):
    names = ("first", "second", "third")
    story = bench.play(30, **{**{f"{name}_s": 0 for name in names}, f"{slowest}_s": 0.05})
    ended(story)
    assert story.visits == dict.fromkeys(("request", *names, "go"), 1)
    ends = sorted(story.at("end", name) for name in names)
    assert ends[1] < story.at("start", "go") < ends[2]
    assert set(story.state["approved_by"]) == {story.moments[end][1] for end in ends[:2]}


# -------------------------------------------------------------------------------------------- synchronizing merges

WAYS = [
    list(some) for size in range(5) for some in itertools.combinations(("a", "b", "both", "direct"), size)
]


@pytest.mark.parametrize("ways", WAYS, ids=str)
def test_wcp_37_each_merge_waits_for_what_is_on_its_way_and_for_nothing_else(bench, ways):
    story = bench.play(37, ways=ways, seconds=0)
    ended(story)
    ran = {name for name in ("a", "b") if name in ways}
    if "a" in ran:
        ran.add("only_a")
    if "b" in ran or ("a" in ran and "both" in ways):
        ran.add("both")
    ends_run = bool(ran) or "direct" in ways
    assert story.visits == dict.fromkeys({"start", *ran, *({"end"} if ends_run else ())}, 1)
    assert all(story.is_before(("end", name), ("start", "end")) for name in ran)
    if ends_run:
        assert set(story.state["came"]) == ran


@pytest.mark.parametrize("archive", [True, False])
@pytest.mark.parametrize(("found_at", "tries"), [(1, 3), (2, 3), (3, 3), (4, 3), (9, 1)])
def test_wcp_38_a_merge_waits_for_a_loop_as_long_as_it_may_still_lead_to_it(bench, archive, found_at, tries):
    story = bench.play(38, archive=archive, found_at=found_at, tries=tries, seconds=0)
    ended(story)
    found = found_at <= tries
    assert story.visits["search"] == min(found_at, tries)
    assert story.visits["archive"] == archive
    assert story.visits["answer"] == (archive or found)
    assert story.visits["give_up"] == (not found)
    if archive or found:
        assert story.state["sources"] == [*(["archive"] if archive else []), *(["search"] if found else [])]
        assert story.at("start", "answer") > story.at("end", "search", story.visits["search"])


# ---------------------------------------------------------------------------------------------------- child runs


def nested(depth, price):
    """A product of parts of parts, each of this price, two of a kind."""
    parts = [nested(depth - 1, price)] * 2 if depth else []
    return {"price": price, "parts": parts}


@pytest.mark.parametrize("depth", [0, 1, 4])
def test_wcp_22_a_graph_runs_itself_until_there_is_nothing_left_to_run_it_for(bench, depth):
    before = bench.engine.query_historical_executions().total_count
    story = bench.play(22, product=nested(depth, 10))
    ended(story)
    runs = 2 ** (depth + 1) - 1
    assert story.state["cost"] == 10 * runs
    assert bench.engine.query_historical_executions().total_count - before == runs


def region_of(bench, story):
    [child] = bench.engine.query_historical_executions(parent_run_id=story.run.run_id).executions
    return bench.engine.get_execution_status(child.run_id)


@pytest.mark.parametrize("insurance_s", [0, 0.05])
def test_wcp_25_an_alarm_cancels_what_runs_in_the_region_and_nothing_else(bench, insurance_s):
    story = bench.play(25, alarm_s=0, flight_s=30, hotel_s=30, insurance_s=insurance_s)
    ended(story)
    assert story.state["outcome"] == "no trip"
    assert story.state["insurance"] == "insured"
    region = region_of(bench, story)
    assert region.status.value == "completed"
    assert {region.steps[node].status.value for node in ("flight", "hotel")} == {"cancelled"}


def test_wcp_25_without_an_alarm_the_region_completes(bench):
    story = bench.play(25, alarm_s=30, flight_s=0, hotel_s=0.01, insurance_s=0)
    ended(story)
    assert story.state["outcome"] == "trip booked"
    assert region_of(bench, story).steps["alarm"].status.value == "cancelled"


def test_wcp_26_the_instances_that_have_not_completed_are_cancelled_and_the_run_goes_on(bench):
    inner = []

    def two_are_asked(entries):
        inner[:] = [entry.run_id for entry in entries if getattr(entry.event, "item", None) == 1]
        return bool(inner)

    def stop(_):
        bench.engine.cancel_execution(inner[0])

    story = bench.play_until(26, two_are_asked, stop, seconds=30)
    ended(story)
    assert story.path == ["begin", "invite", "report"]
    assert story.state["outcome"] == "called off"
    region = region_of(bench, story)
    assert (region.status.value, region.steps["ask"].status.value) == ("cancelled", "cancelled")


def test_wcp_26_nobody_calls_it_off(bench):
    story = bench.play(26, seconds=0, guests=["Ann", "Ben"])
    ended(story)
    assert story.state["invited"]["answers"] == ["Ann comes", "Ben comes"]
    assert story.state["outcome"] == "all have answered"
