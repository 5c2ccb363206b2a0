"""The models behind the docks: what they show, and that they keep Qt's rules for models."""

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from engine.model.events import (
    JournalEntry,
    RunAccepted,
    RunCompleted,
    RunFailed,
    RunStarted,
    StepCompleted,
    StepFailed,
    StepQueued,
    StepSkipped,
    StepStarted,
)
from engine.model.graph import EdgeDefinition, GraphDefinition, NodeDefinition
from engine.model.problem import Problem, Severity
from engine.model.run import EventRecord, GraphSummary, HistoryPage, RunSummary, to_datetime
from engine.model.status import RunStatus, StepStatus
from engine.model.tool import Tool
from wfe_desktop.models.graphs import DETAIL_ROLE, GraphsModel
from wfe_desktop.models.json_tree import CHUNK, JsonTreeModel, describe_value
from wfe_desktop.models.log import Level, LogModel
from wfe_desktop.models.palette import TOOL_MIME, PaletteModel
from wfe_desktop.models.problems import PLACE_ROLE, ProblemsModel
from wfe_desktop.models.run_view import RunView, StepView
from wfe_desktop.models.runs import STATUS_ROLE, Column, RunsModel
from wfe_desktop.models.times import describe_duration, describe_moment, describe_size

NOW_US = 1_800_000_000_000_000
NOW = to_datetime(NOW_US)


def make_tool(name: str, category: str, label: str = "", description: str = "") -> Tool:
    return Tool(name, lambda: None, description, category, label or name, (), ())


def make_summary(number: int, status: RunStatus = RunStatus.COMPLETED) -> RunSummary:
    at = NOW - timedelta(minutes=number)
    return RunSummary(
        f"run-{number}", "g", 1, f"Flow {number}", status, at, at, at + timedelta(seconds=2), None, 3
    )


def make_record(seq: int, message: str, event: str = "completed", node: str = "a") -> EventRecord:
    data = {"execution_event": event, "node_id": node}
    return EventRecord(seq, NOW, "run", "node_execution", node, message, data)


def column(model: RunsModel, row: int, which: Column) -> Any:
    return model.index(row, which).data()


class TestRuns:
    @pytest.fixture
    def model(self, qapp) -> RunsModel:
        return RunsModel(lambda: NOW_US)

    def test_it_keeps_the_rules_for_models(self, model, qtmodeltester):
        model.add_page(HistoryPage([make_summary(n) for n in range(5)], 5, has_more=False), seq=0)
        qtmodeltester.check(model)

    def test_pages_are_asked_for_one_after_the_other(self, model):
        asked = []
        model.page_requested.connect(lambda offset, limit: asked.append((offset, limit)))
        model.reload()
        model.reload()
        model.add_page(HistoryPage([make_summary(n) for n in range(50)], 60, has_more=True), seq=0)
        root = model.index(-1, -1)
        assert model.canFetchMore(root)
        model.fetchMore(root)
        model.fetchMore(root)  # one is on its way already
        model.add_page(HistoryPage([make_summary(n) for n in range(50, 60)], 60, has_more=False), seq=0)
        assert asked == [(0, 50), (0, 50), (50, 50)]
        assert model.rowCount() == 60
        assert not model.canFetchMore(root)

    def test_a_run_appears_on_top_at_once_and_its_events_change_its_row(self, model):
        model.add_page(HistoryPage([make_summary(1)], 1, has_more=False), seq=10)
        begun = NOW_US - 2_100_000
        model.fold(
            [
                JournalEntry(11, "new", RunAccepted(begun, "g", 1, "Fresh", {})),
                JournalEntry(12, "new", RunStarted(begun)),
                JournalEntry(13, "new", StepStarted(begun, "a", 1, 1)),
                JournalEntry(14, "new", StepStarted(begun, "a", 1, 2)),
            ]
        )
        assert column(model, 0, Column.RUN) == "Fresh"
        assert model.index(0, 0).data(STATUS_ROLE) == "running"
        assert column(model, 0, Column.TOOK) == "2.1 s"
        assert column(model, 0, Column.STEPS) == "1", "a second attempt is no further step"
        model.fold([JournalEntry(15, "new", RunFailed(NOW_US, "broken", "a"))])
        assert model.index(0, 0).data(STATUS_ROLE) == "failed"
        assert "broken" in model.index(0, 0).data(3)

    def test_events_that_a_page_includes_already_are_not_counted_twice(self, model):
        model.add_page(HistoryPage([make_summary(1, RunStatus.RUNNING)], 1, has_more=False), seq=20)
        model.fold([JournalEntry(19, "run-1", StepStarted(NOW_US, "a", 1, 1))])
        assert column(model, 0, Column.STEPS) == "3"
        model.fold([JournalEntry(21, "run-1", StepStarted(NOW_US, "b", 1, 1))])
        assert column(model, 0, Column.STEPS) == "4"

    def test_a_run_that_came_as_an_event_is_not_added_again_by_a_page(self, model):
        model.fold([JournalEntry(1, "run-0", RunAccepted(NOW_US, "g", 1, "Flow 0", {}))])
        model.add_page(HistoryPage([make_summary(0), make_summary(1)], 2, has_more=False), seq=1)
        assert [model.run_at(row).run_id for row in range(model.rowCount())] == ["run-0", "run-1"]

    def test_a_run_that_has_ended_is_no_longer_active(self, model):
        model.fold([JournalEntry(1, "r", RunAccepted(NOW_US, "g", 1, "F", {}))])
        assert [row.run_id for row in model.active] == ["r"]
        model.fold([JournalEntry(2, "r", RunCompleted(NOW_US))])
        assert model.active == []


class TestLog:
    def test_it_keeps_the_rules_for_models(self, qapp, qtmodeltester):
        model = LogModel()
        model.append(make_record(n, f"line {n}") for n in range(1, 6))
        qtmodeltester.check(model)

    def test_lines_come_once_and_in_order(self, qapp):
        model = LogModel()
        model.append([make_record(1, "one"), make_record(2, "two")])
        model.append([make_record(2, "two"), make_record(3, "three")])
        assert [model.line_at(row).text for row in range(model.rowCount())] == ["one", "two", "three"]

    def test_the_filter_hides_without_forgetting(self, qapp):
        model = LogModel()
        model.append(
            [
                make_record(1, "begun", "started"),
                make_record(2, "done"),
                make_record(3, "broke", "failed", "Gate"),
            ]
        )
        model.set_filter(Level.WARNING, "")
        assert [model.line_at(0).text, model.rowCount(), model.line_count] == ["broke", 1, 3]
        model.append([make_record(4, "done too"), make_record(5, "broke again", "failed", "Other")])
        assert model.rowCount() == 2
        model.set_filter(Level.DETAIL, "gate")
        assert [model.line_at(row).text for row in range(model.rowCount())] == ["broke"]
        model.set_filter(Level.DETAIL, "")
        assert model.rowCount() == 5

    def test_memory_is_bounded_and_the_newest_lines_stay(self, qapp):
        model = LogModel(most_lines=1_000)
        for start in range(1, 5_001, 250):
            model.append(make_record(n, f"line {n}") for n in range(start, start + 250))
        assert model.line_count <= 1_000
        assert model.line_at(model.rowCount() - 1).text == "line 5000"

    def test_a_message_cannot_forge_a_line(self, qapp):
        model = LogModel()
        model.append([make_record(1, "one\r\n12:00:00 two\x1b[31m red")])
        assert "\n" not in model.text_of([0])
        assert "\x1b" not in model.text_of([0])


class TestProblems:
    GRAPH = GraphDefinition(
        name="g",
        nodes=(NodeDefinition(id="a", function_name="t"), NodeDefinition(id="b", function_name="t")),
        edges=(EdgeDefinition(from_node="a", to_node="b"),),
    )

    def test_errors_come_first_and_each_says_where(self, qapp, qtmodeltester):
        model = ProblemsModel()
        model.set_problems(
            [
                Problem(Severity.WARNING, "w", "Odd.", edge=0),
                Problem(Severity.ERROR, "e", "Wrong.", node_id="a", field="parameters.limit"),
                Problem(Severity.WARNING, "g", "Hm."),
            ],
            self.GRAPH,
            {"a": "Analyze", "b": "Gate"}.__getitem__,
        )
        qtmodeltester.check(model)
        places = [model.index(row).data(PLACE_ROLE) for row in range(model.rowCount())]
        assert places == ["Analyze · limit", "Analyze → Gate", "Workflow"]
        assert model.error_count == 1


class TestJsonTree:
    def test_it_keeps_the_rules_for_models(self, qapp, qtmodeltester):
        model = JsonTreeModel()
        model.set_value({"a": {"b": [1, 2, {"c": None}]}, "d": "text", "empty": {}})
        qtmodeltester.check(model)

    def test_a_long_list_is_built_as_far_as_it_is_opened(self, qapp):
        model = JsonTreeModel()
        model.set_value({"numbers": list(range(1_000))})
        numbers = model.index(0, 0)
        assert model.rowCount(numbers) == 0
        assert model.hasChildren(numbers)
        model.fetchMore(numbers)
        assert model.rowCount(numbers) == CHUNK
        assert model.canFetchMore(numbers)
        while model.canFetchMore(numbers):
            model.fetchMore(numbers)
        assert model.rowCount(numbers) == 1_000
        assert model.path_of(model.index(999, 0, numbers)) == ["numbers", "999"]

    def test_a_large_text_is_folded_with_its_size(self):
        shown = describe_value("x" * 2_000_000)
        assert shown.endswith("2.0 MB")
        assert len(shown) < 120


class TestPalette:
    @pytest.fixture
    def model(self, qapp) -> PaletteModel:
        model = PaletteModel()
        tools = [
            make_tool("code_analyze", "Code review", "Analyze code", "Measures a Python file"),
            make_tool("suggest", "Code review", "Suggest fixes"),
            make_tool("calc", "Numbers", "Calculate", "add and multiply"),
        ]
        model.set_catalog({tool.name: tool for tool in tools}, ["calc", "gone"])
        return model

    def labels(self, model: PaletteModel) -> dict[str, list[str]]:
        return {
            model.index(row, 0).data(): [
                model.index(child, 0, model.index(row, 0)).data()
                for child in range(model.rowCount(model.index(row, 0)))
            ]
            for row in range(model.rowCount())
        }

    def test_it_keeps_the_rules_for_models(self, model, qtmodeltester):
        qtmodeltester.check(model)

    def test_tools_are_listed_by_category_after_the_recent_ones(self, model):
        assert self.labels(model) == {
            "Recent": ["Calculate"],
            "Code review": ["Analyze code", "Suggest fixes"],
            "Numbers": ["Calculate"],
        }

    def test_every_word_must_match_somewhere(self, model):
        model.set_filter("python an")
        assert self.labels(model) == {"Code review": ["Analyze code"]}
        model.set_filter("python fixes")
        assert self.labels(model) == {}

    def test_a_drag_carries_the_tools_name(self, model):
        tool = model.index(0, 0, model.index(1, 0))
        assert bytes(model.mimeData([tool]).data(TOOL_MIME).data()) == b"code_analyze"


class TestGraphs:
    def test_the_latest_change_comes_first_and_the_filter_searches(self, qapp, qtmodeltester):
        model = GraphsModel(lambda: NOW)
        old = GraphSummary("1", "Old", "about rivers", 1, NOW, NOW - timedelta(hours=30), 1)
        new = GraphSummary("2", "New", "", 3, NOW, NOW - timedelta(minutes=5), 4)
        model.set_graphs([old, new])
        qtmodeltester.check(model)
        assert [model.index(row).data() for row in range(2)] == ["New", "Old"]
        assert model.index(0).data(DETAIL_ROLE) == "4 nodes · version 3 · 5 min ago"
        model.set_filter("RIVER")
        assert model.graph_at(0) is old


class TestRunView:
    GRAPH = GraphDefinition(
        name="g",
        nodes=tuple(NodeDefinition(id=name, function_name="t") for name in "abc"),
        edges=(
            EdgeDefinition(from_node="a", to_node="b", condition="result > 1"),
            EdgeDefinition(from_node="a", to_node="c", condition="else"),
            EdgeDefinition(from_node="b", to_node="c"),
        ),
    )

    def test_what_a_step_waits_for_and_where_a_result_is_from_are_said_in_a_few_words(self):
        view = RunView("r", self.GRAPH)
        queued = StepQueued(5, "a", 1, 1, {"gpu": 2, "db": 1})
        view.fold([JournalEntry(1, "r", RunStarted(0)), JournalEntry(2, "r", queued)])
        assert view.nodes["a"] == StepView(
            StepStatus.WAITING, 1, 1, about="waits for gpu \u00d7 2, db \u00d7 1"
        )
        view.fold([JournalEntry(3, "r", StepStarted(10, "a", 1, 1))])
        assert view.nodes["a"].about == ""
        done = StepCompleted(20, "a", 1, 1, 5, {}, cached_from="0123456789ab")
        view.fold([JournalEntry(4, "r", done)])
        assert view.nodes["a"].about == "kept result of run …89ab"

    def test_events_become_statuses_edges_and_bars(self):
        view = RunView("r", self.GRAPH)
        view.fold([JournalEntry(1, "r", RunStarted(0)), JournalEntry(2, "r", StepStarted(10, "a", 1, 1))])
        assert view.nodes["a"].status is StepStatus.RUNNING
        done = StepCompleted(2_010, "a", 1, 1, 5, {}, (), 2_000, (1,), (0,))
        changes = view.fold([JournalEntry(3, "r", done), JournalEntry(4, "r", StepSkipped(2_010, "b"))])
        assert view.nodes["a"].duration_s == 0.002
        assert changes.nodes["b"].status is StepStatus.SKIPPED
        a_b, a_c, b_c = (edge.key for edge in self.GRAPH.edges)
        assert view.edges == {a_b: "skipped", a_c: "taken", b_c: "skipped"}
        view.fold([JournalEntry(5, "r", StepStarted(2_020, "c", 1, 1))])
        failed = StepFailed(3_000, "c", 1, 1, "no", "ValueError")
        view.fold([JournalEntry(6, "r", failed), JournalEntry(7, "r", RunFailed(3_001, "no", "c"))])
        assert view.nodes["c"].error == "no"
        assert view.status is RunStatus.FAILED
        assert [(s.node, s.ended_us, s.status.value) for s in view.spans] == [
            ("a", 2_010, "completed"),
            ("c", 3_000, "failed"),
        ]

    def test_other_runs_and_repeated_entries_change_nothing(self):
        view = RunView("r", self.GRAPH)
        entry = JournalEntry(2, "r", StepStarted(10, "a", 1, 1))
        view.fold([entry])
        assert not view.fold([entry, JournalEntry(9, "other", StepStarted(10, "b", 1, 1))]).nodes
        assert len(view.spans) == 1


def test_times_read_like_people_say_them():
    zone = UTC
    noon = datetime(2026, 5, 20, 12, tzinfo=zone)
    moments = [
        (timedelta(seconds=3), "just now"),
        (timedelta(seconds=40), "40 s ago"),
        (timedelta(minutes=2), "2 min ago"),
        (timedelta(hours=3), "09:00"),
        (timedelta(hours=20), "yesterday 16:00"),
        (timedelta(days=9), "11 May 12:00"),
        (timedelta(days=400), "15 Apr 2025"),
    ]
    assert [describe_moment(noon - ago, noon) for ago, _ in moments] == [text for _, text in moments]
    durations = [
        (0.0021, "2 ms"),
        (0.9999, "1.0 s"),
        (12.43, "12.4 s"),
        (125.0, "2 min 5 s"),
        (7500.0, "2 h 5 min"),
    ]
    assert [describe_duration(seconds) for seconds, _ in durations] == [text for _, text in durations]
    assert [describe_size(size) for size in (812, 14_200, 2_100_000)] == ["812 bytes", "14.2 KB", "2.1 MB"]
