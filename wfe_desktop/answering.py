"""Answering steps that wait: for a signal, or for a decision about what was interrupted."""

from __future__ import annotations

from concurrent.futures import Future
from typing import Any, Literal, NamedTuple, cast

from PySide6.QtCore import QObject

from engine.errors import ValidationError
from engine.execution.engine import ExecutionEngine
from engine.model.run import RunSnapshot, Waiting
from wfe_desktop.background import Background
from wfe_desktop.dialogs.question import NO, YES, ask
from wfe_desktop.editors import Editor, Editors
from wfe_desktop.messages import Messages
from wfe_desktop.running import RunControl


class Question(NamedTuple):
    """What one step of a run waits for."""

    run_id: str
    node_id: str
    waits_for: Waiting


def find_questions(run: RunSnapshot) -> list[Question]:
    """What somebody could answer in a run."""
    return [
        Question(run.run_id, step.node_id, step.waits_for)
        for step in run.steps.values()
        if step.waits_for is not None and step.waits_for.kind in ("signal", "decision")
    ]


class Answering(QObject):
    """Says above the canvas which step of the shown run waits, and gives it its answer. On the GUI thread."""

    def __init__(
        self,
        engine: ExecutionEngine,
        background: Background,
        messages: Messages,
        editors: Editors,
        runs: RunControl,
    ) -> None:
        super().__init__()
        self._engine, self._background, self._messages = engine, background, messages
        self._editors, self._runs = editors, runs
        self._questions: dict[Editor, list[Question]] = {}
        for editor in editors:
            self._watch(editor)
        editors.opened.connect(self._watch)
        editors.closed.connect(lambda editor: self._questions.pop(editor, None))
        runs.state_read.connect(self._take)

    def _watch(self, editor: Editor) -> None:
        editor.waiting_bar.answer_requested.connect(lambda: self._answer(editor))
        editor.selection_changed.connect(lambda: self._show(editor))

    def _take(self, snapshot: object) -> None:
        editor, run = self._editors.current, cast("RunSnapshot | None", snapshot)
        if editor is not None:
            self._questions[editor] = find_questions(run) if run is not None else []
            self._show(editor)

    def _find(self, editor: Editor) -> Question | None:
        """The question of the selected node, else the first."""
        questions = self._questions.get(editor, [])
        selected, _ = editor.canvas.selection
        return next((q for q in questions if q.node_id in selected), next(iter(questions), None))

    def _show(self, editor: Editor) -> None:
        question = self._find(editor)
        if question is None:
            editor.waiting_bar.hide()
            return
        title, waits_for = editor.document.node_title(question.node_id), question.waits_for
        if waits_for.kind == "decision":
            text, button = f"“{title}” was interrupted: it may or may not have done its work", "Decide…"
        else:
            asked = waits_for.message or f"the signal “{waits_for.signal}”"
            text, button = f"“{title}” waits for an answer: {asked}", "Answer…"
        editor.waiting_bar.show_step(text, button, len(self._questions[editor]) - 1)

    # ------------------------------------------------------------------------------------------------ asking

    def _answer(self, editor: Editor) -> None:
        question = self._find(editor)
        if question is None:
            return
        if question.waits_for.kind == "decision":
            self._ask_decision(editor, question)
        elif is_yes_or_no(question.waits_for):
            self._ask_yes_or_no(editor, question)
        else:
            self._ask_value(editor, question)

    def _ask_yes_or_no(self, editor: Editor, question: Question) -> None:
        title = editor.document.node_title(question.node_id)
        ask(
            editor.window(),
            "answer",
            "Answer",
            question.waits_for.message or f"{title}: yes or no?",
            f"“{title}” goes on with the answer.",
            [
                ("Yes", YES, lambda: self._signal(editor, question, value=True)),
                ("No", YES, lambda: self._signal(editor, question, value=False)),
                ("Not now", NO, None),
            ],
        )

    def _ask_decision(self, editor: Editor, question: Question) -> None:
        title = editor.document.node_title(question.node_id)
        ask(
            editor.window(),
            "decide",
            "Decide",
            f"What becomes of “{title}”?",
            "The program ended while it was running, and it must not simply run a second time. "
            "Look whether it did its work.",
            [
                ("Not now", NO, None),  # first, so that Enter is not taken for one of the others
                ("Run it again", YES, lambda: self._decide(editor, question, "rerun")),
                ("Give its result…", YES, lambda: self._ask_value(editor, question)),
                ("Let it fail", YES, lambda: self._decide(editor, question, "fail")),
            ],
        )

    def _ask_value(self, editor: Editor, question: Question) -> None:
        from wfe_desktop.dialogs.answer_form import AnswerForm

        title, waits_for = editor.document.node_title(question.node_id), question.waits_for
        is_decision = waits_for.kind == "decision"
        form = AnswerForm(
            waits_for.message or (f"The result of “{title}”" if is_decision else f"An answer for “{title}”"),
            f"“{title}” is completed with it.",
            waits_for.schema,
            editor.window(),
        )

        def send(value: object) -> None:
            if is_decision:
                self._decide(editor, question, "result", value, form)
            else:
                self._signal(editor, question, value, form)

        form.answered.connect(send)
        form.open()

    # ----------------------------------------------------------------------------------------------- sending

    def _signal(self, editor: Editor, question: Question, value: Any, form: Any = None) -> None:
        try:
            answer = self._engine.signal(
                question.run_id, question.waits_for.signal or "", value, question.node_id
            )
        except ValidationError as error:  # it is no JSON value
            self._refused(error, form)
            return
        self._follow(editor, question, answer, form)

    def _decide(
        self,
        editor: Editor,
        question: Question,
        choice: Literal["rerun", "result", "fail"],
        value: Any = None,
        form: Any = None,
    ) -> None:
        try:
            answer = self._engine.decide_step(question.run_id, question.node_id, choice, value)
        except ValidationError as error:
            self._refused(error, form)
            return
        self._follow(editor, question, answer, form)

    def _follow(self, editor: Editor, question: Question, answer: Future[bool], form: Any) -> None:
        def done(was_taken: bool) -> None:
            if form is not None:
                form.close()
            if not was_taken:
                self._messages.info("The step does not wait for an answer any more.")
            self._questions[editor] = [q for q in self._questions.get(editor, []) if q != question]
            self._show(editor)
            self._runs.request_state()  # other items of the step may wait as well

        self._background.follow(
            answer, done, lambda error: self._refused(error, form), owner=form if form is not None else editor
        )

    def _refused(self, error: BaseException, form: Any) -> None:
        if form is not None and isinstance(error, ValidationError):
            form.show_refusal(error)
        else:
            self._messages.report(error)


def is_yes_or_no(waits_for: Waiting) -> bool:
    """Whether any truth value, and nothing else, is an answer."""
    schema = waits_for.schema or {}
    return schema.get("type") == "boolean" and not schema.keys() - {"type", "title", "description"}
