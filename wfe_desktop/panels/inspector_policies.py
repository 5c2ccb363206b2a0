"""The tab Policies of a node: how it joins, its items, what a failure does, where its result goes."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from PySide6.QtCore import Qt
from PySide6.QtWidgets import QCheckBox, QGridLayout, QVBoxLayout, QWidget

from engine.model.graph import NodeDefinition, RetryPolicy
from engine.model.problem import Problem
from wfe_desktop.document.document import WorkflowDocument
from wfe_desktop.document.edits import GraphEditError
from wfe_desktop.forms.controls import line, words
from wfe_desktop.forms.expression import completions, find_fault
from wfe_desktop.forms.field_row import ExpressionRow, FieldRow
from wfe_desktop.forms.fields import UNSET, FieldSpec, Kind, MaybeValue
from wfe_desktop.models.times import describe_duration
from wfe_desktop.panels.inspector_parts import column
from wfe_desktop.panels.inspector_shared import ResourcesForm
from wfe_desktop.theme import SPACE

_SAVE_AS = FieldSpec(
    "save_as", Kind.TEXT, {"type": "string", "maxLength": 200}, "state key", empty="not saved"
)
_JOIN = FieldSpec(
    "join", Kind.SCALAR, {"anyOf": [{"enum": ["all", "any"]}, {"type": "integer", "minimum": 1}]},
    "all, any or a number", default="all", takes_text=True,
)  # fmt: skip
_ON_ERROR = FieldSpec(
    "on_error", Kind.CHOICE, {}, default="fail", choices=("fail", "continue"), takes_text=True
)
_DEFAULT_RESULT = FieldSpec("default_result", Kind.JSON, {}, "any", takes_text=True, empty="null")
_ID = FieldSpec("id", Kind.TEXT, {"type": "string", "maxLength": 200}, "steps.<id>", required=True)
_DESCRIPTION = FieldSpec(
    "description", Kind.LONG_TEXT, {"type": "string", "maxLength": 10_000}, default="", empty="For people"
)
_MAX_PARALLEL = FieldSpec(
    "max_parallel", Kind.INTEGER, {"type": "integer", "minimum": 1, "maximum": 10_000}, "1–10,000",
    empty="64 (default)",
)  # fmt: skip
_ON_ITEM_ERROR = FieldSpec(
    "on_item_error", Kind.CHOICE, {}, default="fail", choices=("fail", "collect"), takes_text=True
)


def _retry_spec(name: str, hint: str, low: float, high: float) -> FieldSpec:
    kind = Kind.INTEGER if name == "max_attempts" else Kind.NUMBER
    schema = {"type": kind.value, "minimum": low, "maximum": high}
    return FieldSpec(name, kind, schema, hint, default=_plain(RetryPolicy.model_fields[name].default))


def _plain(value: Any) -> Any:
    """2.0 as 2, as people write it."""
    return int(value) if isinstance(value, float) and value.is_integer() else value


_RETRY = (
    ("Attempts", _retry_spec("max_attempts", "1–1,000", 1, 1_000), "How often the step is tried, the first time included."),
    ("Growth", _retry_spec("backoff", "≥ 1", 1, 100), "Each further delay is so many times the one before."),
    ("First delay", _retry_spec("delay_s", "s", 0, 86_400), "Seconds before the second attempt."),
    ("Longest delay", _retry_spec("max_delay_s", "s", 0, 86_400), "Seconds; delays grow no further."),
    ("Random share", _retry_spec("jitter", "0–1", 0, 1), "The share of a delay that varies, so that steps that failed together are not tried again together."),
)  # fmt: skip
_ON = FieldSpec("on", Kind.TEXT, {}, "names", default="", takes_text=True, empty="any failure")
_TTL = FieldSpec("ttl_s", Kind.NUMBER, {"type": "number", "exclusiveMinimum": 0}, "s", empty="no end")
_KEPT = "save_as", "join", "on_error", "default_result", "description", "max_parallel", "on_item_error"


class PoliciesForm(QWidget):
    """What is not the tool's own. A value that the graph cannot hold stays in its field, with the reason."""

    def __init__(
        self,
        document: WorkflowDocument,
        resources: Mapping[str, int] | None = None,
        parent: QWidget | None = None,
    ) -> None:
        super().__init__(parent)
        self._document = document
        self._node_id: str | None = None
        self._problems: Sequence[Problem] = ()
        self._refused: dict[str, tuple[MaybeValue, str]] = {}
        self.rows: dict[str, FieldRow] = {}
        layout = column(self)
        self._make_starts(layout)
        layout.addWidget(line())
        self._make_items(layout)
        layout.addWidget(line())
        self._make_failure(layout)
        layout.addWidget(line())
        self._make_shared(layout, resources or {})
        layout.addWidget(line())
        self._add(layout, "Save the result as", _SAVE_AS, "Also write the result to this key of the state.")
        self._add(layout, "Id", _ID, "How expressions name the step. Changing it rewrites the edges and expressions that name it.")  # fmt: skip
        self._add(layout, "Notes", _DESCRIPTION, "For people; nothing in a run depends on it.")
        layout.addStretch(1)

    # ------------------------------------------------------------------------------------------ building

    def _make_starts(self, layout: QVBoxLayout) -> None:
        self.start = _switch("Runs start here", "The entry of the workflow. Without one, runs start at every node that no edge leads to.")  # fmt: skip
        self.start.clicked.connect(self._set_start)
        self.pause = _switch("Runs pause here (F9)", "A breakpoint: runs from this window pause before this node starts.")  # fmt: skip
        self.pause.clicked.connect(self._set_pause)
        layout.addWidget(self.start)
        layout.addWidget(self.pause)
        self._add(layout, "Join", _JOIN, "all: wait until every incoming edge is decided. any, or a number: run at the first, or n-th, taken edge.")  # fmt: skip

    def _make_items(self, layout: QVBoxLayout) -> None:
        tip = "An expression that gives a list: the tool is called once for each of its items. Expressions of this node then know item and index."  # fmt: skip
        self.for_each = ExpressionRow("For each", "list", tip, "such as state.files")
        document = self._document
        self.for_each.expression.offer(lambda: completions(document.graph, document.catalog))
        self.for_each.edited.connect(self._set_for_each)
        self.for_each.left.connect(document.end_typing)
        layout.addWidget(self.for_each)
        self.items_note = words(
            "The result is the list of the items' results. Parameters know item and index.",
            "second",
            wrap=True,
        )
        layout.addWidget(self.items_note)
        self._add(layout, "Items at once", _MAX_PARALLEL, "How many items are under way at the same time.")
        self._add(layout, "When an item fails", _ON_ITEM_ERROR, "fail: the step fails. collect: the error takes the place of that item's result, and the others go on.")  # fmt: skip

    def _make_failure(self, layout: QVBoxLayout) -> None:
        self.retry = _switch("Try again after a failure", "A step that fails is tried again after a while, which no restart shortens.")  # fmt: skip
        self.retry.clicked.connect(self._switch_retry)
        layout.addWidget(self.retry)
        self.retry_box = QWidget()
        inside = QVBoxLayout(self.retry_box)
        inside.setContentsMargins(0, 0, 0, 0)
        inside.setSpacing(3 * SPACE)
        grid = QGridLayout()
        grid.setHorizontalSpacing(3 * SPACE)
        grid.setVerticalSpacing(3 * SPACE)
        for index, (label, spec, tip) in enumerate(_RETRY):
            row = self._make_row(label, spec, tip)
            grid.addWidget(row, index // 2, index % 2, Qt.AlignmentFlag.AlignTop)
        grid.setColumnStretch(0, 1)
        grid.setColumnStretch(1, 1)
        inside.addLayout(grid)
        self.retry_note = words(role="second", wrap=True)
        inside.addWidget(self.retry_note)
        inside.addWidget(self._make_row("Only after", _ON, "Names of exceptions, such as TimeoutError, with commas between them. Left out: after any failure."))  # fmt: skip
        layout.addWidget(self.retry_box)
        self._add(layout, "On failure", _ON_ERROR, "fail: the run fails, unless an error edge takes over. continue: go on with the default result.")  # fmt: skip
        self._add(layout, "Default result", _DEFAULT_RESULT, "What counts as the result after a failure, as JSON.")  # fmt: skip

    def _make_shared(self, layout: QVBoxLayout, resources: Mapping[str, int]) -> None:
        self.resources = ResourcesForm(resources)
        self.resources.edited.connect(self._set_resources)
        self.resources.left.connect(self._document.end_typing)
        layout.addWidget(self.resources)
        self.cache = _switch("Use results again", "A result is kept, and used again for the same arguments and the same code of the tool, instead of calling it.")  # fmt: skip
        self.cache.clicked.connect(self._switch_cache)
        layout.addWidget(self.cache)
        self.cache_box = QWidget()
        inside = QVBoxLayout(self.cache_box)
        inside.setContentsMargins(0, 0, 0, 0)
        inside.addWidget(self._make_row("For how long", _TTL, "Seconds; an older result is not used. Left out: without end."))  # fmt: skip
        layout.addWidget(self.cache_box)
        self.cache_problem = words(role="error", wrap=True)
        layout.addWidget(self.cache_problem)

    def _add(self, layout: QVBoxLayout, label: str, spec: FieldSpec, tooltip: str) -> None:
        layout.addWidget(self._make_row(label, spec, tooltip))

    def _make_row(self, label: str, spec: FieldSpec, tooltip: str) -> FieldRow:
        row = self.rows[spec.name] = FieldRow(label, spec, tooltip)
        row.left.connect(self._document.end_typing)
        if spec is _ID:
            row.left.connect(self._rename)
        else:
            row.edited.connect(lambda value: self._set(spec.name, value))
        return row

    # ------------------------------------------------------------------------------------------ showing

    def show_node(self, node: NodeDefinition) -> None:
        """Bring the fields in step with the node."""
        id_row = self.rows["id"]
        if node.id != self._node_id:
            self._node_id = node.id
            self._refused.clear()
            id_row.show_value(node.id)
        elif not id_row.editor.field.hasFocus():
            id_row.show_value(node.id)
        self.start.setChecked(self._document.graph.entry_point == node.id)
        self.pause.setChecked(node.id in self._document.breakpoints)
        for name in self.rows:
            if name != "id":
                self._show(name, node)
        self._show_items(node)
        self.retry.setChecked(node.retry is not None)
        self.retry_box.setVisible(node.retry is not None)
        self.retry_note.setText(_describe_delays(node.retry) if node.retry is not None else "")
        self.resources.show_resources(node.resources, self._find_problem)
        self.cache.setChecked(node.cache is not None)
        self.cache_box.setVisible(node.cache is not None)
        refused = self._find_problem("cache") or ""
        self.cache_problem.setText(refused)
        self.cache_problem.setVisible(bool(refused))
        self.rows["default_result"].setVisible(node.on_error == "continue" or node.default_result is not None)

    def show_problems(self, problems: Sequence[Problem]) -> None:
        """What validation says of the graph; what concerns a field here is shown at it."""
        self._problems = problems
        node = self._document.find_node(self._node_id) if self._node_id is not None else None
        if node is not None:
            self.show_node(node)

    def _show(self, name: str, node: NodeDefinition) -> None:
        row, value = self.rows[name], _read(node, name)
        refused = self._refused.get(name)
        if refused is not None and _same(refused[0], value):
            row.show_message(refused[1])
            return
        self._refused.pop(name, None)
        problem = self._find_problem(name)
        if name == "on" and _names(row.value) == _names(value):  # commas and spaces stay as they are typed
            row.show_value(row.value, _explain_names(value) or problem)
        else:
            row.show_value(value, _explain_names(value) if name == "on" else problem)

    def _show_items(self, node: NodeDefinition) -> None:
        text = node.for_each or ""
        if text or self.for_each.expression.text.strip():
            fault = find_fault(text, result_allowed=False) if text.strip() else None
            self.for_each.show_text(text, fault or self._find_problem("for_each"))
        else:
            self.for_each.show_message(None)
        for name in ("max_parallel", "on_item_error"):
            is_set = getattr(node, name) != NodeDefinition.model_fields[name].default
            self.rows[name].setVisible(bool(text) or is_set)
        self.items_note.setVisible(bool(text))

    def _find_problem(self, name: str) -> str | None:
        field = f"retry.{name}" if name in RetryPolicy.model_fields else name
        return next(
            (p.message for p in self._problems if p.node_id == self._node_id and p.field == field), None
        )

    # ------------------------------------------------------------------------------------------ editing

    def _set(self, name: str, value: MaybeValue) -> None:
        node = self._document.find_node(self._node_id) if self._node_id is not None else None
        if node is None:
            return
        row = self.rows[name]
        self._refused.pop(name, None)
        if row.fault is not None and not row.spec.takes_text:
            self._refuse(name, row.fault)
            return
        try:
            if name in _KEPT:
                wanted = NodeDefinition.model_fields[name].default if value is UNSET else value
                self._document.set_node_field(node.id, name, wanted)
            elif name == "on":
                self._document.set_retry_field(node.id, name, _names(value))
                row.show_message(_explain_names(value))
            elif name == _TTL.name:
                self._document.set_ttl(node.id, None if value is UNSET else value)
            else:
                wanted = RetryPolicy.model_fields[name].default if value is UNSET else value
                self._document.set_retry_field(node.id, name, wanted)
        except GraphEditError as error:
            self._refuse(name, str(error))

    def _refuse(self, name: str, message: str) -> None:
        """The field keeps what was typed until the graph's own value becomes another."""
        node = self._document.find_node(self._node_id) if self._node_id is not None else None
        if node is not None:
            self._refused[name] = (_read(node, name), message)
        self.rows[name].show_message(message)

    def _set_for_each(self, text: str) -> None:
        if self._node_id is None:
            return
        try:
            self._document.set_node_field(self._node_id, "for_each", text if text.strip() else None)
        except GraphEditError as error:
            self.for_each.show_message(str(error))

    def _switch_retry(self) -> None:
        if self._node_id is not None:
            self._document.switch_retry(self._node_id, on=self.retry.isChecked())

    def _switch_cache(self) -> None:
        if self._node_id is not None:
            self._document.switch_cache(self._node_id, on=self.cache.isChecked())

    def _set_resources(self, resources: object) -> None:
        if self._node_id is not None:
            try:
                self._document.set_node_field(self._node_id, "resources", resources)
            except GraphEditError as error:
                self.resources.message.setText(str(error))
                self.resources.message.show()

    def _rename(self) -> None:
        """The id is taken over when the field is left: half an id would rewrite expressions at each key."""
        row = self.rows["id"]
        if self._node_id is None or row.value == self._node_id:
            return
        try:
            self._document.rename_node(self._node_id, "" if row.value is UNSET else str(row.value))
        except GraphEditError as error:
            row.show_message(str(error))

    def _set_start(self) -> None:
        try:
            self._document.set_entry(self._node_id if self.start.isChecked() else None)
        except GraphEditError as error:
            self.start.setChecked(not self.start.isChecked())
            self._document.refused.emit(str(error))

    def _set_pause(self) -> None:
        if self._node_id is not None:
            self._document.toggle_breakpoints([self._node_id])


def _switch(text: str, tooltip: str) -> QCheckBox:
    switch = QCheckBox(text)
    switch.setProperty("toggle", "true")
    switch.setToolTip(tooltip)
    return switch


def _read(node: NodeDefinition, name: str) -> MaybeValue:
    """What a field shows of the node; nothing for a default."""
    if name == _TTL.name:
        ttl_s = node.cache.ttl_s if node.cache is not None else None
        return UNSET if ttl_s is None else _plain(ttl_s)
    if name not in RetryPolicy.model_fields:
        value = getattr(node, name)
        return UNSET if value == NodeDefinition.model_fields[name].default else value
    policy = node.retry or RetryPolicy()
    value = getattr(policy, name)
    if value == RetryPolicy.model_fields[name].default:
        return UNSET
    return ", ".join(value) if name == "on" else _plain(value)


def _same(one: MaybeValue, other: MaybeValue) -> bool:
    return one is other or (one is not UNSET and other is not UNSET and bool(one == other))


def _names(value: MaybeValue) -> tuple[str, ...]:
    parts = (part.strip() for part in str(value).split(",")) if value is not UNSET else ()
    return tuple(dict.fromkeys(part for part in parts if part))


def _explain_names(value: MaybeValue) -> str | None:
    """What is wrong with names of exceptions; a policy takes any, but no failure would ever match."""
    wrong = next((name for name in _names(value) if not name.isidentifier()), None)
    if wrong is None:
        return None
    return f'No exception is called "{wrong}". Write names such as TimeoutError, with commas between them.'


def _describe_delays(policy: RetryPolicy) -> str:
    """The waits between attempts, in words."""
    count = policy.max_attempts - 1
    if not count:
        return "Tried once, so a failure counts at once."
    delays = [min(policy.max_delay_s, policy.delay_s * policy.backoff**n) for n in range(min(count, 5))]
    shown = ", ".join(f"{d:.3g} s" if d < 60 else describe_duration(d) for d in delays)
    varied = f", each ±{policy.jitter:.0%}" if policy.jitter else ""
    return f"Waits {shown}{', …' if count > len(delays) else ''}{varied}."
