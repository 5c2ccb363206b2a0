"""What a node's tool does: its description, parameters, outputs and schema."""

from __future__ import annotations

from collections.abc import Sequence

import orjson
from PySide6.QtCore import Qt
from PySide6.QtWidgets import QPushButton, QVBoxLayout, QWidget

from engine.model.tool import InputPort, OutputPort, Tool
from wfe_desktop.forms.controls import TextArea, line, words
from wfe_desktop.forms.fields import make_spec
from wfe_desktop.panels.inspector_parts import clear, column
from wfe_desktop.theme import SPACE, code_font


class HelpView(QWidget):
    """The tab Help of a node."""

    def __init__(self, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self._tool: Tool | None = None
        self._shown: str | None = None
        self._layout = column(self, 3 * SPACE)
        self._layout.setAlignment(Qt.AlignmentFlag.AlignTop)

    def show_tool(self, function_name: str, tool: Tool | None) -> None:
        """Describe a tool; one that is not registered is said to be missing."""
        if self._shown == function_name and self._tool is tool:
            return
        self._tool, self._shown = tool, function_name
        clear(self._layout)
        if tool is None:
            self._say(f'The tool "{function_name}" is not registered in this program.', "second")
            return
        self._say(tool.label, "heading")
        name = self._say(tool.name, "second")
        name.setProperty("code", "true")
        self._say(tool.description or "It has no description.")
        if tool.takes_state:
            self._say(_state_words(tool), "second")
        self._section("Parameters", tool.inputs)
        if tool.takes_any:
            self._say("It also takes parameters of any other name.", "second")
        self._section("Outputs", tool.outputs)
        if tool.source:
            self._say(f"From {tool.source}", "second")
        self._add_schema(tool)

    def _say(self, text: str, role: str = "") -> QWidget:
        label = words(text, role, wrap=True)
        label.setTextInteractionFlags(Qt.TextInteractionFlag.TextSelectableByMouse)
        self._layout.addWidget(label)
        return label

    def _section(self, title: str, ports: Sequence[InputPort | OutputPort]) -> None:
        if not ports:
            return
        self._layout.addWidget(line())
        self._say(title, "section")
        for port in ports:
            box = QWidget()
            rows = QVBoxLayout(box)
            rows.setContentsMargins(0, 0, 0, 0)
            rows.setSpacing(SPACE // 2)
            rows.addWidget(words(port.name))
            rows.addWidget(words(_port_words(port), "second", wrap=True))
            self._layout.addWidget(box)

    def _add_schema(self, tool: Tool) -> None:
        self._layout.addWidget(line())
        show = QPushButton("Show the JSON Schema")
        self._layout.addWidget(show, 0, Qt.AlignmentFlag.AlignLeft)
        area = TextArea(code=True, most=40)
        area.setFont(code_font())
        area.setReadOnly(True)
        area.setAccessibleName("JSON Schema")
        area.hide()
        self._layout.addWidget(area)

        def unfold() -> None:
            area.setPlainText(_schema_text(tool))
            area.show()
            show.hide()

        show.clicked.connect(unfold)


def _state_words(tool: Tool) -> str:
    parts = ["It works on the state."]
    if tool.state_reads:
        parts.append(f"It reads {', '.join(tool.state_reads)}.")
    if tool.state_writes:
        parts.append(f"It writes {', '.join(tool.state_writes)}.")
    return " ".join(parts)


def _port_words(port: InputPort | OutputPort) -> str:
    if isinstance(port, OutputPort):
        return " · ".join(part for part in (port.type.value, port.description) if part)
    spec = make_spec(port)
    need = "required" if port.required else spec.placeholder.replace(" (default)", " by default")
    return " · ".join(part for part in (spec.hint, need, port.description) if part)


def _schema_text(tool: Tool) -> str:
    schema = {
        "type": "object",
        "properties": {port.name: dict(port.schema) for port in tool.inputs},
        "required": [port.name for port in tool.inputs if port.required],
        "additionalProperties": tool.takes_any,
    }
    return orjson.dumps(schema, option=orjson.OPT_INDENT_2, default=str).decode()
